import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  engine,
  flipBit as flipped,
  makeChannel,
  makeIdentity,
  makeNode,
  makeUpdate,
  type SignedChannel,
} from '../../test/fixtures/signed_gossip.ts';
import { silentLog } from '../base/log.ts';
import { silentMeter } from '../base/meter.ts';
import type { UtxoLookup, UtxoResult } from '../chain/utxo_lookup.ts';
import { inlineChecker } from '../crypto/inline_checker.ts';
import { openVerifyPool } from '../crypto/verify_pool.ts';
import { encodeChannelAmount, encodeUuid } from '../wire/gossip_store_messages.ts';
import { auditOf, storeOf } from './audit_bench.test.support.ts';
import { quietTask } from './task.ts';

const UUID = encodeUuid(new Uint8Array(32).fill(9));
const amount = encodeChannelAmount(1_000_000n);
const verify = inlineChecker(engine);
const one = makeChannel({ seed: 1 });
const two = makeChannel({ seed: 2 });

const lookupOf = (known: readonly SignedChannel[], other: UtxoResult = { found: 'none' }): UtxoLookup => ({
  name: 'test',
  verifies: true,
  lookup: async (scid) => {
    const channel = known.find((each) => each.scid === scid);
    return channel === undefined
      ? other
      : { found: 'unspent', script: channel.script, satoshis: channel.satoshis };
  },
});

/** Two channels: uuid 0, announcement 1, amount 2, updates 3 and 4, nodes 5 and 6; announcement 7, amount 8, update 9. */
const messages = (): Uint8Array[] => [
  UUID,
  one.raw,
  amount,
  makeUpdate(one),
  makeUpdate(one, { direction: 1 }),
  makeNode(one.nodes[0]),
  makeNode(one.nodes[1]),
  two.raw,
  amount,
  makeUpdate(two, { direction: 1 }),
];

test('good signatures have no findings, whoever checks them', async () => {
  const { bytes } = storeOf(16, messages());
  const { shown, result } = await auditOf(bytes, { level: 'signature', verify });
  assert.deepEqual(shown, []);
  assert.equal(result.signatures_checked, 2 * 4 + 3 + 2);
  const pool = openVerifyPool({ workers: 2, engine: 'fastest', log: silentLog, meter: silentMeter });
  try {
    const threaded = await auditOf(bytes, { level: 'signature', verify: pool });
    assert.deepEqual([threaded.shown, threaded.result.signatures_checked], [[], 13]);
  } finally {
    await pool.close();
  }
});

test('GS-BAD-SIG: each signature of an announcement; its amount and updates go with it', async () => {
  for (const [index, name] of [
    'node_signature_1',
    'node_signature_2',
    'bitcoin_signature_1',
    'bitcoin_signature_2',
  ].entries()) {
    const list = messages();
    list[7] = flipped(two.raw, 2 + 64 * index + 20);
    const { bytes, at } = storeOf(16, list);
    const { shown, findings, result } = await auditOf(bytes, { level: 'signature', verify });
    assert.deepEqual(
      shown,
      [7, 8, 9].map((number) => `GS-BAD-SIG@${at[number]} drop`),
    );
    assert.equal(findings[0]?.reason, `of this channel_announcement, ${name} is wrong`);
    assert.equal(result.records_kept, 7);
  }
});

test('GS-BAD-SIG: an update by the other node, a node_announcement by another one', async () => {
  const list = messages();
  list[3] = makeUpdate(one, { signer: one.nodes[1] });
  list[6] = makeNode(one.nodes[1], { signer: makeIdentity('stranger') });
  const { bytes, at } = storeOf(16, list);
  const { shown } = await auditOf(bytes, { level: 'signature', verify });
  assert.deepEqual(shown, [`GS-BAD-SIG@${at[3]} drop`, `GS-BAD-SIG@${at[6]} drop`]);
  assert.deepEqual((await auditOf(bytes)).shown, []);
});

test('an update in front of its announcement is proved too; one without is not', async () => {
  const list = messages();
  const early = [
    UUID,
    flipped(makeUpdate(one), 10),
    makeUpdate(makeChannel({ seed: 3 })),
    ...list.slice(1, 3),
  ];
  const { bytes, at } = storeOf(16, early);
  const { shown, result } = await auditOf(bytes, { level: 'signature', verify });
  assert.deepEqual(shown, [`GS-BAD-SIG@${at[1]} drop`, `GS-ORPHAN-UPDATE@${at[2]} keep`]);
  assert.equal(result.signatures_checked, 5);
});

test('what the order rules leave out is not proved', async () => {
  const list = messages();
  const { bytes } = storeOf(16, [...list.slice(0, 3), flipped(makeUpdate(one), 10), makeUpdate(one)]);
  const { findings } = await auditOf(bytes, { level: 'signature', verify });
  assert.deepEqual(
    findings.map(({ id }) => id),
    ['GS-DUP-UPDATE'],
  );
});

test('the parts of a subset together find what the whole finds, and each looks at a part', async () => {
  const list = messages();
  list[3] = flipped(list[3]!, 10);
  list[9] = flipped(list[9]!, 10);
  const { bytes } = storeOf(16, list);
  const whole = await auditOf(bytes, { level: 'signature', verify });
  const found: string[] = [];
  let signatures = 0;
  for (const part of [1, 2, 3]) {
    const { shown, result } = await auditOf(bytes, { level: 'signature', verify, subset: { part, of: 3 } });
    found.push(...shown);
    signatures += result.signatures_checked;
    assert.ok(result.signatures_checked < 13);
  }
  assert.deepEqual(found.sort(), [...whole.shown].sort());
  assert.equal(signatures, 13);
});

test('GS-NOT-ON-CHAIN: no output, or one of other keys; a backend that cannot tell is no finding', async () => {
  const { bytes, at } = storeOf(16, messages());
  const onChain = (utxo: UtxoLookup) => auditOf(bytes, { level: 'chain', verify, utxo });
  const all = await onChain(lookupOf([one, two]));
  assert.deepEqual([all.shown, all.result.outputs_checked], [[], 2]);
  const gone = [7, 8, 9].map((index) => `GS-NOT-ON-CHAIN@${at[index]} drop`);
  assert.deepEqual((await onChain(lookupOf([one]))).shown, gone);
  const strange = { ...two, script: one.script };
  assert.deepEqual((await onChain(lookupOf([one, strange]))).shown, gone);
  const silent = await onChain(lookupOf([one], { found: 'unavailable' }));
  assert.deepEqual([silent.shown, silent.result.outputs_unknown], [[], 1]);
});

test('a bad signature is said once, whatever the chain says of the channel', async () => {
  const list = messages();
  list[7] = flipped(two.raw, 30);
  const { bytes, at } = storeOf(16, list);
  const { shown } = await auditOf(bytes, { level: 'chain', verify, utxo: lookupOf([one]) });
  assert.deepEqual(
    shown,
    [7, 8, 9].map((index) => `GS-BAD-SIG@${at[index]} drop`),
  );
});

test('stopped while proving: what was found stays found, and the result is partial', async () => {
  const { bytes } = storeOf(16, messages());
  let asked = 0;
  const task = { ...quietTask, cancelled: () => (asked++ > 4 ? ('interrupted' as const) : undefined) };
  const { result } = await auditOf(bytes, { level: 'signature', verify, task });
  assert.equal(result.cancelled, 'interrupted');
  assert.ok(result.signatures_checked < 13);
});
