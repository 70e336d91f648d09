import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesEqual, fromHex, own } from '../base/bytes.ts';
import { Bug } from '../base/errors.ts';
import { seededRng } from '../base/rng.ts';
import { loadEngine } from '../crypto/engine.ts';
import {
  ACT_ONE_BYTES,
  ACT_THREE_BYTES,
  ACT_TWO_BYTES,
  type HandshakeStep,
  InitiatorHandshake,
  ResponderHandshake,
} from './handshake.ts';

const engine = loadEngine('fastest');
const rng = seededRng(80);
const good = (step: HandshakeStep): Extract<HandshakeStep, { ok: true }> => {
  assert.ok(step.ok, step.ok ? '' : step.reason);
  return step;
};
const parties = (): {
  initiator: InitiatorHandshake;
  responder: ResponderHandshake;
  initiatorKey: Uint8Array;
} => {
  const [ours, theirs] = [rng.bytes(32), rng.bytes(32)];
  return {
    initiator: new InitiatorHandshake({
      engine,
      localSecret: ours,
      remoteKey: engine.publicKey(theirs),
      ephemeralSecret: rng.bytes(32),
    }),
    responder: new ResponderHandshake({ engine, localSecret: theirs, ephemeralSecret: rng.bytes(32) }),
    initiatorKey: engine.publicKey(ours),
  };
};

test('two strangers shake hands, know each other and understand each other (B8-03, B8-05, B8-19)', () => {
  const { initiator, responder, initiatorKey } = parties();
  const actOne = initiator.start();
  assert.equal(actOne.length, ACT_ONE_BYTES);
  const second = good(responder.receiveActOne(actOne));
  assert.equal(second.send?.length, ACT_TWO_BYTES);
  assert.equal(second.transport, undefined);
  const third = good(initiator.receive(second.send!));
  assert.equal(third.send?.length, ACT_THREE_BYTES);
  const last = good(responder.receiveActThree(third.send!));
  assert.equal(last.send, undefined);
  assert.ok(bytesEqual(last.remoteKey!, initiatorKey));
  const [left, right] = [third.transport!, last.transport!];
  for (const [from, to] of [
    [left, right],
    [right, left],
  ] as const) {
    let got: Uint8Array | undefined;
    assert.ok(
      to.receive(from.encrypt(initiatorKey), (raw) => {
        got = own(raw);
      }),
    );
    assert.ok(bytesEqual(got!, initiatorKey));
  }
});

test('act_bad_tag: who dials with the wrong node id gets no answer (B8-02, B8-08)', () => {
  const { initiator } = parties();
  const { responder } = parties();
  assert.deepEqual(responder.receiveActOne(initiator.start()), { ok: false, reason: 'act_bad_tag' });
});

test('any changed byte of any act ends the handshake without an answer (B8-08 to B8-12)', () => {
  const reasons = ['act_bad_version', 'act_bad_key', 'act_bad_tag'];
  const bend = (act: Uint8Array, at: number): Uint8Array => {
    const bent = act.slice();
    bent[at] = bent[at]! ^ 1;
    return bent;
  };
  const refused = (step: HandshakeStep): void => {
    assert.ok(!step.ok && reasons.includes(step.reason));
    assert.equal('send' in step, false);
  };
  for (let at = 0; at < ACT_THREE_BYTES; at++) {
    if (at < ACT_ONE_BYTES) {
      const { initiator, responder } = parties();
      refused(responder.receiveActOne(bend(initiator.start(), at)));
    }
    if (at < ACT_TWO_BYTES) {
      const { initiator, responder } = parties();
      refused(initiator.receive(bend(good(responder.receiveActOne(initiator.start())).send!, at)));
    }
    const { initiator, responder } = parties();
    const actTwo = good(responder.receiveActOne(initiator.start())).send!;
    refused(responder.receiveActThree(bend(good(initiator.receive(actTwo)).send!, at)));
  }
});

test('act_bad_length: one byte less or more is not an act (B8-03)', () => {
  for (const change of [-1, 1]) {
    const refused = { ok: false, reason: 'act_bad_length' };
    assert.deepEqual(parties().responder.receiveActOne(new Uint8Array(ACT_ONE_BYTES + change)), refused);
    const { initiator, responder } = parties();
    good(responder.receiveActOne(initiator.start()));
    assert.deepEqual(initiator.receive(new Uint8Array(ACT_TWO_BYTES + change)), refused);
    assert.deepEqual(responder.receiveActThree(new Uint8Array(ACT_THREE_BYTES + change)), refused);
  }
});

test('steps out of order are a Bug of the caller, and so is dialling a key that is no point', () => {
  const { initiator, responder } = parties();
  assert.throws(() => initiator.receive(new Uint8Array(ACT_TWO_BYTES)), Bug);
  assert.throws(() => responder.receiveActThree(new Uint8Array(ACT_THREE_BYTES)), Bug);
  const actOne = initiator.start();
  assert.throws(() => initiator.start(), Bug);
  assert.ok(responder.receiveActOne(actOne).ok);
  assert.throws(() => responder.receiveActOne(actOne), Bug);
  const nowhere = new InitiatorHandshake({
    engine,
    localSecret: rng.bytes(32),
    remoteKey: fromHex(`04${'ab'.repeat(32)}`)!,
    ephemeralSecret: rng.bytes(32),
  });
  assert.throws(() => nowhere.start(), Bug);
});
