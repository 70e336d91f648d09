/**
 * The test vectors of BOLT 8, appendix A: every handshake of the initiator and of the responder, good and bad, and the
 * 1001 messages with two key rotations. Run with both signature engines.
 *
 * Where the specification says that reading fails, our state machine is fed the short act and refuses its length; the
 * connection itself waits for the exact count (B8-13).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, toHex } from '../../src/base/bytes.ts';
import { loadEngine } from '../../src/crypto/engine.ts';
import { Transport } from '../../src/noise/framing.ts';
import {
  type HandshakeFailure,
  type HandshakeStep,
  InitiatorHandshake,
  ResponderHandshake,
} from '../../src/noise/handshake.ts';

const hex = (text: string): Uint8Array => fromHex(text)!;

const INITIATOR = {
  localSecret: hex('11'.repeat(32)),
  ephemeralSecret: hex('12'.repeat(32)),
  remoteKey: hex('028d7500dd4c12685d1f568b4c2b5048e8534b873319f3a8daa612b469132ec7f7'),
};
const RESPONDER = { localSecret: hex('21'.repeat(32)), ephemeralSecret: hex('22'.repeat(32)) };
const INITIATOR_KEY = '034f355bdcb7cc0af728ef3cceb9615d90684bb5b2ca5f859ab0f0b704075871aa';
const ACT_ONE =
  '00036360e856310ce5d294e8be33fc807077dc56ac80d95d9cd4ddbd21325eff73f70df6086551151f58b8afe6c195782c6a';
const ACT_TWO =
  '0002466d7fcae563e5cb09a0d1870bb580344804617879a14949cf22285f1bae3f276e2470b93aac583c9ef6eafca3f730ae';
const ACT_THREE =
  '00b9e3a702e93e3a9948c2ed6e5fd7590a6e1c3a0344cfc9d5b57357049aa22355361aa02e55a8fc28fef5bd6d71ad0c38228dc68b1c466263b47fdf31e560e139ba';
const CHAINING_KEY = hex('919219dbb2920afa8db80f9a51787a840bcf111ed8d588caf9ab4be716e42b01');
const FIRST_KEY = hex('969ab31b4d288cedf6218839b27a3e2140827047f2c0f01bf5c04435d43511a9');
const SECOND_KEY = hex('bb9020b8965f4df047e07f955f3c4b88418984aadc5cdb35096b9ea8fa5c3442');

const refuses = (step: HandshakeStep, reason: HandshakeFailure): void => {
  assert.deepEqual(step, { ok: false, reason });
};

/** Both transports have the vector's keys: each understands what one made directly of those keys sends, and is understood. */
const speaksWith = (transport: Transport, sendingKey: Uint8Array, receivingKey: Uint8Array): void => {
  const other = new Transport({
    chainingKey: CHAINING_KEY,
    sendingKey: receivingKey,
    receivingKey: sendingKey,
  });
  const text = new TextEncoder().encode('hello');
  const heard: string[] = [];
  const hear = (raw: Uint8Array): void => {
    heard.push(new TextDecoder().decode(raw));
  };
  assert.ok(other.receive(transport.encrypt(text), hear));
  assert.ok(transport.receive(other.encrypt(text), hear));
  assert.deepEqual(heard, ['hello', 'hello']);
};

const VECTORS = {
  initiator: [
    ['act2 short read', 'B8-03, B8-13', ACT_TWO.slice(0, -2), 'act_bad_length'],
    ['act2 bad version', 'B8-04', `01${ACT_TWO.slice(2)}`, 'act_bad_version'],
    ['act2 bad key serialization', 'B8-12', `0004${ACT_TWO.slice(4)}`, 'act_bad_key'],
    ['act2 bad MAC', 'B8-09', `${ACT_TWO.slice(0, -2)}af`, 'act_bad_tag'],
  ],
  responderActOne: [
    ['act1 short read', 'B8-03, B8-13', ACT_ONE.slice(0, -2), 'act_bad_length'],
    ['act1 bad version', 'B8-04', `01${ACT_ONE.slice(2)}`, 'act_bad_version'],
    ['act1 bad key serialization', 'B8-12', `0004${ACT_ONE.slice(4)}`, 'act_bad_key'],
    ['act1 bad MAC', 'B8-08', `${ACT_ONE.slice(0, -2)}6b`, 'act_bad_tag'],
  ],
  responderActThree: [
    ['act3 bad version', 'B8-04', `01${ACT_THREE.slice(2)}`, 'act_bad_version'],
    ['act3 short read', 'B8-03, B8-13', ACT_THREE.slice(0, -2), 'act_bad_length'],
    ['act3 bad MAC for ciphertext', 'B8-10', `00c9${ACT_THREE.slice(4)}`, 'act_bad_tag'],
    [
      'act3 bad rs',
      'B8-12',
      '00bfe3a702e93e3a9948c2ed6e5fd7590a6e1c3a0344cfc9d5b57357049aa2235536ad09a8ee351870c2bb7f78b754a26c6cef79a98d25139c856d7efd252c2ae73c',
      'act_bad_key',
    ],
    ['act3 bad MAC', 'B8-11', `${ACT_THREE.slice(0, -2)}bb`, 'act_bad_tag'],
  ],
} as const;

for (const choice of ['fastest', 'noble'] as const) {
  const engine = loadEngine(choice);
  const by = choice === 'fastest' ? 'native engine' : 'noble';

  const initiatorAfterActOne = (): InitiatorHandshake => {
    const initiator = new InitiatorHandshake({ engine, ...INITIATOR });
    assert.equal(toHex(initiator.start()), ACT_ONE);
    return initiator;
  };
  const responderAfterActTwo = (): ResponderHandshake => {
    const responder = new ResponderHandshake({ engine, ...RESPONDER });
    const step = responder.receiveActOne(hex(ACT_ONE));
    assert.ok(step.ok);
    assert.equal(toHex(step.send!), ACT_TWO);
    return responder;
  };

  test(`transport-initiator successful handshake (B8-01, B8-02, B8-03, B8-06, B8-07; ${by})`, () => {
    const step = initiatorAfterActOne().receive(hex(ACT_TWO));
    assert.ok(step.ok);
    assert.equal(toHex(step.send!), ACT_THREE);
    speaksWith(step.transport!, FIRST_KEY, SECOND_KEY);
  });

  for (const [name, ids, act, reason] of VECTORS.initiator) {
    test(`transport-initiator ${name} (${ids}; ${by})`, () => {
      refuses(initiatorAfterActOne().receive(hex(act)), reason);
    });
  }

  test(`transport-responder successful handshake (B8-01, B8-02, B8-03, B8-06, B8-07; ${by})`, () => {
    const step = responderAfterActTwo().receiveActThree(hex(ACT_THREE));
    assert.ok(step.ok);
    assert.equal(toHex(step.remoteKey!), INITIATOR_KEY);
    speaksWith(step.transport!, SECOND_KEY, FIRST_KEY);
  });

  for (const [name, ids, act, reason] of VECTORS.responderActOne) {
    test(`transport-responder ${name} (${ids}; ${by})`, () => {
      refuses(new ResponderHandshake({ engine, ...RESPONDER }).receiveActOne(hex(act)), reason);
    });
  }

  for (const [name, ids, act, reason] of VECTORS.responderActThree) {
    test(`transport-responder ${name} (${ids}; ${by})`, () => {
      refuses(responderAfterActTwo().receiveActThree(hex(act)), reason);
    });
  }
}

/** Index of the message, from 0, and its whole frame. */
const FRAMES: Readonly<Record<number, string>> = {
  0: 'cf2b30ddf0cf3f80e7c35a6e6730b59fe802473180f396d88a8fb0db8cbcf25d2f214cf9ea1d95',
  1: '72887022101f0b6753e0c7de21657d35a4cb2a1f5cde2650528bbc8f837d0f0d7ad833b1a256a1',
  500: '178cb9d7387190fa34db9c2d50027d21793c9bc2d40b1e14dcf30ebeeeb220f48364f7a4c68bf8',
  501: '1b186c57d44eb6de4c057c49940d79bb838a145cb528d6e8fd26dbe50a60ca2c104b56b60e45bd',
  1000: '4a2f3cc3b5e78ddb83dcb426d9863d9d9a723b0337c89dd0b005d89f8d3c05c52b76b29b740f09',
  1001: '2ecd8c8a5629d0d02ab457a0fdd0f7b90a192cd46be5ecb6ca570bfc5e268338b1a16cf4ef2d36',
};

test('transport-message: 1002 messages with two key rotations, both ways (B8-07, B8-15, B8-16, B8-17)', () => {
  const keys = { chainingKey: CHAINING_KEY, sendingKey: FIRST_KEY, receivingKey: SECOND_KEY };
  const sender = new Transport(keys);
  const receiver = new Transport({ ...keys, sendingKey: SECOND_KEY, receivingKey: FIRST_KEY });
  const text = new TextEncoder().encode('hello');
  let heard = 0;
  let checked = 0;
  for (let index = 0; index <= 1001; index++) {
    const frame = sender.encrypt(text);
    const expected = FRAMES[index];
    if (expected !== undefined) {
      assert.equal(toHex(frame), expected, `message ${index}`);
      checked++;
    }
    assert.ok(
      receiver.receive(frame, (raw) => {
        assert.deepEqual([...raw], [...text]);
        heard++;
      }),
    );
  }
  assert.equal(checked, 6);
  assert.equal(heard, 1002);
});

test('transport-message: the same frames when written all at once (B8-15)', () => {
  const sender = new Transport({
    chainingKey: CHAINING_KEY,
    sendingKey: FIRST_KEY,
    receivingKey: SECOND_KEY,
  });
  const text = new TextEncoder().encode('hello');
  const frames = toHex(sender.encryptMany(Array.from({ length: 1002 }, () => text)));
  const frameChars = (5 + 34) * 2;
  for (const [index, expected] of Object.entries(FRAMES)) {
    assert.equal(frames.slice(Number(index) * frameChars, (Number(index) + 1) * frameChars), expected);
  }
});
