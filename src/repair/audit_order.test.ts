import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NETWORKS } from '../base/chain_hash.ts';
import { scidHi, scidLo } from '../base/short_channel_id.ts';
import { overwrite, privateChannelOf } from '../store/damaged_stores.test.support.ts';
import { announcementOf, nodeOf, sampleScid, updateOf } from '../store/store_samples.test.support.ts';
import { encodeChannelAmount, encodeDeleteChan, encodeUuid } from '../wire/gossip_store_messages.ts';
import { FLAG_COMPLETED, FLAG_DELETED } from '../wire/store_record.ts';
import { auditOf, storeOf } from './audit_bench.test.support.ts';

const UUID = encodeUuid(new Uint8Array(32).fill(9));
const amount = (satoshis = 1_000_000n): Uint8Array => encodeChannelAmount(satoshis);
const channel = (number: number): Uint8Array[] => [announcementOf(number), amount()];
const removal = (number: number): Uint8Array =>
  encodeDeleteChan(scidHi(sampleScid(number)), scidLo(sampleScid(number)));
const deleted = (message: Uint8Array) => [message, { flags: FLAG_COMPLETED | FLAG_DELETED }] as const;
/** With the chain_hash at `at` of another network. */
const onChain = (message: Uint8Array, at: number, chain = NETWORKS.signet): Uint8Array =>
  overwrite(message, at, chain.chainHashBytes);
const ANNOUNCEMENT_CHAIN_AT = 260;
const UPDATE_CHAIN_AT = 66;

test('GS-ORPHAN-UPDATE: stays where its channel is nowhere, moves where the channel comes later', async () => {
  const { bytes, at } = storeOf(16, [UUID, updateOf(1, 0, 5), updateOf(2, 1, 5), ...channel(1)]);
  const { shown, findings } = await auditOf(bytes);
  assert.deepEqual(shown, [`GS-ORPHAN-UPDATE@${at[1]} move`, `GS-ORPHAN-UPDATE@${at[2]} keep`]);
  assert.equal(findings[1]?.short_channel_id, '100002x1x0');
});

test('GS-ORPHAN-NODE and GS-NODE-ORDER: no channel at all, or only behind it', async () => {
  const { bytes, at } = storeOf(16, [UUID, nodeOf(2, 5), nodeOf(90, 5), ...channel(1), nodeOf(3, 5)]);
  assert.deepEqual((await auditOf(bytes)).shown, [
    `GS-NODE-ORDER@${at[1]} move`,
    `GS-ORPHAN-NODE@${at[2]} keep`,
  ]);
});

test('GS-NODE-ORDER: the channel in front of it has been removed, one behind it is live', async () => {
  const { bytes, at } = storeOf(16, [
    UUID,
    deleted(announcementOf(1)),
    deleted(amount()),
    nodeOf(2, 5),
    announcementOf(7, [2, 3]),
    amount(),
  ]);
  assert.deepEqual((await auditOf(bytes)).shown, [`GS-NODE-ORDER@${at[3]} move`]);
});

test('GS-NODE-IDS: in the wrong order or the same, with amount and updates', async () => {
  for (const nodes of [
    [5, 4],
    [4, 4],
  ] as const) {
    const { bytes, at } = storeOf(16, [
      UUID,
      announcementOf(1, nodes),
      amount(),
      updateOf(1, 0, 5),
      ...channel(2),
    ]);
    const { shown, result } = await auditOf(bytes);
    assert.deepEqual(
      shown,
      [1, 2, 3].map((index) => `GS-NODE-IDS@${at[index]} drop`),
    );
    assert.equal(result.records_kept, 3);
    assert.equal(result.channels, 1);
  }
});

test('GS-DUP-ANN: the second announcement goes with its amount, unless the channel was removed between', async () => {
  const twice = storeOf(16, [UUID, ...channel(1), updateOf(1, 0, 5), ...channel(1)]);
  const { shown, result, findings } = await auditOf(twice.bytes);
  assert.deepEqual(shown, [`GS-DUP-ANN@${twice.at[4]} drop`, `GS-DUP-ANN@${twice.at[5]} drop`]);
  assert.equal(findings[1]?.severity, 'info');
  assert.deepEqual([result.records_kept, result.channels], [4, 1]);
  const again = storeOf(16, [
    UUID,
    deleted(announcementOf(1)),
    deleted(amount()),
    removal(1),
    ...channel(1),
    updateOf(1, 0, 5),
  ]);
  assert.deepEqual((await auditOf(again.bytes)).shown, []);
});

test('GS-DUP-UPDATE and GS-DUP-NODE: the earlier of two goes; directions and deleted ones do not count', async () => {
  const { bytes, at } = storeOf(16, [
    UUID,
    ...channel(1),
    updateOf(1, 0, 5),
    updateOf(1, 1, 5),
    nodeOf(2, 5),
    updateOf(1, 0, 6),
    deleted(updateOf(1, 1, 4)),
    nodeOf(2, 6),
  ]);
  const { shown, result } = await auditOf(bytes);
  assert.deepEqual(shown, [`GS-DUP-UPDATE@${at[3]} drop`, `GS-DUP-NODE@${at[5]} drop`]);
  assert.equal(result.records_kept, 6);
});

test('rate-limited copies of versions 10 to 13 stand beside what they did not replace', async () => {
  const spam = [updateOf(1, 0, 6), { flags: 0x2000 }] as const;
  const messages = [
    ...channel(1),
    updateOf(1, 0, 5),
    spam,
    nodeOf(2, 5),
    [nodeOf(2, 6), { flags: 0x2000 }] as const,
  ];
  assert.deepEqual((await auditOf(storeOf(12, messages).bytes)).shown, []);
  const { bytes, at } = storeOf(14, messages);
  assert.deepEqual((await auditOf(bytes)).shown, [
    `GS-DUP-UPDATE@${at[2]} drop`,
    `GS-DUP-NODE@${at[4]} drop`,
  ]);
});

test('GS-REMOVED: what a tombstone should have taken with it', async () => {
  const { bytes, at } = storeOf(16, [
    UUID,
    ...channel(1),
    updateOf(1, 0, 5),
    deleted(updateOf(1, 1, 5)),
    removal(1),
    removal(2),
  ]);
  const { shown, result } = await auditOf(bytes);
  assert.deepEqual(
    shown,
    [1, 2, 3].map((index) => `GS-REMOVED@${at[index]} drop`),
  );
  assert.deepEqual([result.records_kept, result.channels], [3, 0]);
});

test('GS-WRONG-CHAIN: the few that differ from the most, or all that differ from a chain that is named', async () => {
  const foreign = onChain(announcementOf(2), ANNOUNCEMENT_CHAIN_AT);
  const { bytes, at } = storeOf(16, [
    UUID,
    ...channel(1),
    updateOf(1, 0, 5),
    foreign,
    amount(),
    updateOf(2, 0, 5),
    ...channel(3),
    onChain(updateOf(3, 0, 5), UPDATE_CHAIN_AT),
  ]);
  const minority = await auditOf(bytes);
  assert.deepEqual(
    minority.shown,
    [4, 5, 6, 9].map((index) => `GS-WRONG-CHAIN@${at[index]} drop`),
  );
  const named = await auditOf(bytes, { chainHash: NETWORKS.regtest.chainHashBytes });
  assert.deepEqual(named.shown, minority.shown);
  const other = await auditOf(bytes, { chainHash: NETWORKS.signet.chainHashBytes });
  assert.deepEqual(
    other.shown,
    [1, 2, 3, 6, 7, 8]
      .map((index) => `GS-WRONG-CHAIN@${at[index]} drop`)
      .concat(`GS-WRONG-CHAIN@${at[9]} drop`),
  );
  const even = storeOf(16, [UUID, ...channel(1), foreign, amount()]);
  assert.deepEqual((await auditOf(even.bytes)).shown, []);
});

test('GS-PRIVATE: named for what it is, and what stands behind it is no orphan', async () => {
  const { bytes, at } = storeOf(12, [
    privateChannelOf(5n, announcementOf(1)),
    nodeOf(2, 5),
    updateOf(1, 0, 5),
  ]);
  const { shown, findings, result } = await auditOf(bytes);
  assert.deepEqual(shown, [`GS-PRIVATE@${at[0]} keep`]);
  assert.deepEqual([findings[0]?.type, findings[0]?.short_channel_id], ['private_channel', '100001x1x0']);
  assert.equal(result.private_records, 1);
});

test('tables grow: every channel, update and node of a larger store is known, also backwards', async () => {
  const count = 3000;
  const numbers = Array.from({ length: count }, (_, index) => index);
  const messages = [
    ...numbers.flatMap((number) => [updateOf(number, 0, 5), nodeOf(2 * number, 5)]),
    ...numbers.flatMap(channel),
  ];
  const { result } = await auditOf(storeOf(16, [UUID, ...messages]).bytes);
  assert.deepEqual(result.counts, { 'GS-ORPHAN-UPDATE': count, 'GS-NODE-ORDER': count });
  assert.deepEqual([result.channels, result.half_channels, result.nodes], [count, count, 2 * count]);
  assert.equal(result.records_unjudged, 0);
});
