import assert from 'node:assert/strict';
import test from 'node:test';
import { bytesEqual, toHex } from '../base/bytes.ts';
import { seededRng } from '../base/rng.ts';
import { scidHi, scidLo } from '../base/short_channel_id.ts';
import {
  append,
  cut,
  flipBit,
  type GoodRecord,
  type GoodStore,
  goodAnnouncement,
  goodNode,
  goodScid,
  goodStore,
  goodUpdate,
  insert,
  noise,
  overwrite,
  rec,
  removeBytes,
  withFlags,
  withLength,
  withVersion,
  zeros,
} from '../store/damaged_stores.test.support.ts';
import { encodeChannelAmount, encodeDeleteChan, encodeEnded } from '../wire/gossip_store_messages.ts';
import {
  folderWith,
  formatOf,
  messagesIn,
  namesIn,
  OUTPUT,
  repaired,
  repairIn,
  STORE,
  wrongsOf,
} from './repair_bench.test.support.ts';

const hexes = (...messages: readonly Uint8Array[]): string[] => messages.map((message) => toHex(message));
const bytesOf = ({ bytes }: GoodStore, { position, end }: GoodRecord): Uint8Array =>
  bytes.slice(position, end);
const nth = (store: GoodStore, type: number, index = 0): GoodRecord =>
  store.records.filter((record) => record.type === type)[index]!;
const without = (all: readonly string[], ...messages: readonly Uint8Array[]): string[] => {
  const gone = new Set(hexes(...messages));
  return all.filter((hex) => !gone.has(hex));
};

for (const version of [7, 9, 10, 12, 14, 15, 16]) {
  test(`a sound store of version ${version} is copied byte for byte`, async () => {
    const store = goodStore(version, 5, { withPrivate: true, withDying: true });
    const { output, plan, written, folder } = await repaired(store.bytes);
    assert.ok(bytesEqual(output, store.bytes));
    assert.equal(plan?.work, 0);
    assert.equal(written?.counts.kept, store.records.length);
    assert.deepEqual(namesIn(folder), [STORE, OUTPUT].sort());
  });
}

test('stores older than version 7 become version 16 with every public record', async () => {
  for (const version of [3, 4, 5, 6]) {
    const store = goodStore(version, 4);
    const { output, messages, written } = await repaired(store.bytes);
    assert.equal(output[0], 16);
    assert.deepEqual(await wrongsOf(output), {});
    assert.equal(messages.length, 4 * 6);
    assert.equal(messages.includes(toHex(goodAnnouncement(3))), true);
    assert.equal(messages.includes(toHex(goodNode(7, 1_700_000_007))), true);
    assert.equal(written?.counts.dropped, 0);
  }
});

test('deleted records are left out without being lost', async () => {
  const store = goodStore(16, 4, { withDeleted: true, withRemoved: true });
  const { messages, written, plan } = await repaired(store.bytes);
  assert.deepEqual(messages, messagesIn(store));
  assert.ok((written?.counts.dead ?? 0) > 0);
  assert.deepEqual([plan?.work, plan?.audit.records_lost], [0, 0]);
});

test('a repaired store gets a uuid of its own; a copy in which nothing moved keeps the old one', async () => {
  const store = goodStore(16, 3);
  const uuid = (bytes: Uint8Array): string => toHex(bytes, 15, 47);
  const withDead = goodStore(16, 3, { withDeleted: true });
  assert.notEqual(uuid((await repaired(withDead.bytes)).output), uuid(withDead.bytes));
  assert.equal(uuid((await repaired(store.bytes)).output), uuid(store.bytes));
  const damaged = flipBit(store.bytes, nth(store, 258).position + 60, 0);
  assert.notEqual(uuid((await repaired(damaged, { restoreBits: false })).output), uuid(store.bytes));
});

test('GS-CRC: every record but the bad one is kept, and its bytes are set aside', async () => {
  for (const version of [7, 10, 14, 15, 16]) {
    const store = goodStore(version, 4);
    const bad = nth(store, 258, 3);
    const damaged = noise(store.bytes, bad.position + 40, 30, seededRng(3));
    const { messages, plan, quarantine, folder, output } = await repaired(damaged);
    assert.deepEqual(messages, without(messagesIn(store), bad.bytes));
    assert.equal(plan?.audit.records_lost, 1);
    assert.ok((plan?.audit.bytes_lost ?? 0) > 0);
    assert.deepEqual(await wrongsOf(output), {});
    const kept = folder.contents(String(quarantine).replace('.json', '.bin'));
    assert.ok(bytesEqual(kept, damaged.slice(bad.position, bad.end)));
  }
});

test('GS-CRC: one flipped bit is put right, unless that is not wanted', async () => {
  const store = goodStore(16, 4);
  const bad = nth(store, 258, 3);
  const damaged = flipBit(store.bytes, bad.position + 12 + 50, 3);
  const restored = await repaired(damaged);
  assert.deepEqual(restored.messages, messagesIn(store));
  assert.equal(restored.quarantine, undefined);
  const wary = await repaired(damaged, { restoreBits: false });
  assert.deepEqual(wary.messages, without(messagesIn(store), bad.bytes));
});

test('GS-CRC in an announcement: the channel goes, its nodes’ announcements stay readable, nothing else is lost', async () => {
  const store = goodStore(16, 3);
  const bad = nth(store, 256, 1);
  const damaged = noise(store.bytes, bad.position + 300, 40, seededRng(5));
  const { messages, output } = await repaired(damaged);
  assert.ok(!messages.includes(toHex(bad.bytes)));
  assert.ok(!messages.includes(toHex(nth(store, 4101, 1).bytes)), 'an amount that names no channel');
  assert.equal(messages.length, messagesIn(store).length - 2);
  // What is left of the channel is nothing to complain about: readers step over it.
  assert.deepEqual(await wrongsOf(output), {});
});

test('GS-TORN-TAIL, GS-ZERO-HOLE, GS-INCOMPLETE, GS-LEN, GS-VERSION: the seven kinds of damage to a small store', async () => {
  const store = goodStore(16, 6);
  const all = messagesIn(store);
  const last = store.records.at(-1)!;
  const middle = nth(store, 258, 5);
  const cases: readonly (readonly [Uint8Array, readonly string[], string])[] = [
    [cut(store.bytes, store.bytes.length - 50), without(all, last.bytes), 'GS-TORN-TAIL'],
    [withFlags(store.bytes, last.position, 0), all, 'GS-INCOMPLETE'],
    [append(store.bytes, new Uint8Array(4096)), all, 'GS-ZERO-HOLE'],
    [withLength(store.bytes, middle.position, middle.length ^ 4), all, 'GS-LEN'],
    [withVersion(store.bytes, 0), all, 'GS-VERSION'],
    [
      zeros(store.bytes, middle.position, middle.end - middle.position),
      without(all, middle.bytes),
      'GS-ZERO-HOLE',
    ],
  ];
  for (const [damaged, wanted, id] of cases) {
    const { messages, findings, output, plan } = await repaired(damaged);
    assert.deepEqual(messages, wanted, id);
    assert.ok(
      findings.some((finding) => finding.id === id),
      id,
    );
    assert.deepEqual(await wrongsOf(output), {}, id);
    assert.equal((plan?.work ?? 0) > 0, true);
    if (id === 'GS-ZERO-HOLE') assert.equal(plan?.audit.bytes_lost, 0, 'zeros lose no bytes');
  }
});

test('GS-MALFORMED, GS-UNKNOWN-TYPE, GS-ENDED, GS-DUP-UUID, GS-ORPHAN-AMOUNT are left out wherever they stand', async () => {
  const store = goodStore(16, 4);
  const { format } = store;
  const uuid = store.records[0]!;
  for (const extra of [
    rec(format, Uint8Array.of(1, 2, 3)),
    rec(format, Uint8Array.of(0x77, 0x77, 3)),
    rec(format, encodeEnded(47n, new Uint8Array(32))),
    rec(format, encodeEnded(1n)),
    bytesOf(store, uuid),
    rec(format, encodeChannelAmount(5n)),
  ]) {
    for (const place of [nth(store, 258, 2).position, store.bytes.length]) {
      const { messages, output, written } = await repaired(insert(store.bytes, place, extra));
      assert.deepEqual(messages, messagesIn(store));
      assert.deepEqual(await wrongsOf(output), {});
      assert.equal(written?.counts.dropped, 1);
    }
  }
});

test('GS-NO-UUID: a uuid is added', async () => {
  const store = goodStore(16, 3);
  const uuid = store.records[0]!;
  const { messages, output, written } = await repaired(
    removeBytes(store.bytes, uuid.position, uuid.end - uuid.position),
  );
  assert.deepEqual(messages, messagesIn(store));
  assert.deepEqual(await wrongsOf(output), {});
  assert.equal(written?.counts.kept, store.records.length - 1);
});

test('GS-DUP-ANN, GS-DUP-UPDATE, GS-DUP-NODE: the record that readers take is the one that stays', async () => {
  const store = goodStore(16, 3);
  const { format } = store;
  const newer = goodUpdate(1, 0, 1_700_009_000);
  const newerNode = goodNode(2, 1_700_009_000);
  const { messages, output } = await repaired(
    append(
      store.bytes,
      bytesOf(store, nth(store, 256, 1)),
      bytesOf(store, nth(store, 4101, 1)),
      rec(format, newer, { timestamp: 1_700_009_000 }),
      rec(format, newerNode, { timestamp: 1_700_009_000 }),
    ),
  );
  const expected = without(messagesIn(store), nth(store, 258, 2).bytes, nth(store, 257, 2).bytes);
  assert.deepEqual(messages, [...expected, ...hexes(newer, newerNode)]);
  assert.deepEqual(await wrongsOf(output), {});
});

test('GS-REMOVED: what a tombstone names goes', async () => {
  const store = goodStore(16, 3);
  const scid = goodScid(1);
  const tombstone = encodeDeleteChan(scidHi(scid), scidLo(scid));
  const { messages } = await repaired(append(store.bytes, rec(store.format, tombstone)));
  for (const record of [nth(store, 256, 1), nth(store, 4101, 1), nth(store, 258, 2), nth(store, 258, 3)])
    assert.ok(!messages.includes(toHex(record.bytes)));
  assert.equal(messages.at(-1), toHex(tombstone));
});

test('GS-NO-AMOUNT: the largest htlc_maximum_msat becomes the amount, in whole satoshi, directly behind the announcement', async () => {
  for (const version of [14, 15, 16]) {
    const store = goodStore(version, 3);
    const amount = nth(store, 4101, 1);
    const damaged = removeBytes(store.bytes, amount.position, amount.end - amount.position);
    const { messages, output, written } = await repaired(damaged);
    const at = messages.indexOf(toHex(nth(store, 256, 1).bytes));
    assert.equal(messages[at + 1], toHex(encodeChannelAmount(1_000_000n)));
    assert.equal(messages.length, messagesIn(store).length);
    assert.deepEqual(await wrongsOf(output), {});
    assert.deepEqual([written?.counts.amounts_added, written?.counts.kept], [1, store.records.length - 1]);
  }
});

test('GS-AMOUNT: an amount that cannot be is replaced', async () => {
  const store = goodStore(16, 3);
  const amount = nth(store, 4101, 1);
  const message = amount.bytes.slice();
  message.fill(0xff, 2);
  const { messages, output } = await repaired(
    overwrite(store.bytes, amount.position, rec(store.format, message)),
  );
  const at = messages.indexOf(toHex(nth(store, 256, 1).bytes));
  assert.equal(messages[at + 1], toHex(encodeChannelAmount(1_000_000n)));
  assert.deepEqual(await wrongsOf(output), {});
});

test('GS-NO-AMOUNT without an update: a channel of which nothing is known is left out', async () => {
  const { bytes, format } = goodStore(16, 2);
  const { messages, output } = await repaired(append(bytes, rec(format, goodAnnouncement(9))));
  assert.ok(!messages.includes(toHex(goodAnnouncement(9))));
  assert.deepEqual(await wrongsOf(output), {});
});

test('GS-ORPHAN-UPDATE, GS-NODE-ORDER: what stands too early is moved behind its channel', async () => {
  const store = goodStore(16, 4);
  const early = [nth(store, 258, 4), nth(store, 258, 5), nth(store, 257, 4)];
  const first = store.records[1]!.position;
  let bytes = store.bytes;
  for (const { position, end } of [...early].reverse()) bytes = removeBytes(bytes, position, end - position);
  const damaged = insert(bytes, first, ...early.map((record) => bytesOf(store, record)));
  const { messages, output, written } = await repaired(damaged);
  assert.deepEqual([...messages].sort(), messagesIn(store).sort());
  const amountAt = messages.indexOf(toHex(nth(store, 4101, 2).bytes));
  assert.deepEqual(messages.slice(amountAt + 1, amountAt + 4), hexes(...early.map((record) => record.bytes)));
  assert.deepEqual(await wrongsOf(output), {});
  assert.equal(written?.counts.moved, 3);
});

test('a node whose first channel is left out is moved behind its next one', async () => {
  const { bytes, format } = goodStore(16, 1);
  // The node announcement stands behind a channel whose ids are in the wrong order; the good one comes later.
  const swapped = goodAnnouncement(20).slice();
  const [one, two] = [swapped.slice(300, 333), swapped.slice(333, 366)];
  swapped.set(two, 300);
  swapped.set(one, 333);
  const other = goodAnnouncement(20).slice();
  other[299] = 9;
  const node = goodNode(40, 1_700_000_000);
  const { messages, output } = await repaired(
    append(
      bytes,
      rec(format, swapped),
      rec(format, encodeChannelAmount(1n)),
      rec(format, node, { timestamp: 1_700_000_000 }),
      rec(format, other),
      rec(format, encodeChannelAmount(2n)),
    ),
  );
  assert.deepEqual(messages.slice(-3), hexes(other, encodeChannelAmount(2n), node));
  assert.deepEqual(await wrongsOf(output), {});
});

test('conversion: every record survives 16 to 14, 15 and back, in CLN’s layout of each', async () => {
  const store = goodStore(16, 5, { withDying: true });
  for (const version of [14, 15] as const) {
    const there = await repaired(store.bytes, { version });
    assert.equal(there.output[0], version);
    assert.equal(formatOf(there.output).version, version);
    assert.equal((there.output[1]! & 0x20) !== 0, version === 15);
    assert.deepEqual(there.messages, messagesIn(store));
    assert.deepEqual(await wrongsOf(there.output), {});
    const back = await repaired(there.output, { version: 16 });
    assert.deepEqual(back.messages, messagesIn(store));
    assert.deepEqual(await wrongsOf(back.output), {});
    assert.ok(bytesEqual(back.output.slice(47), store.bytes.slice(47)));
  }
});

test('conversion of every old version: private records and short updates are not carried over, and counted', async () => {
  for (const version of [4, 7, 8, 9, 10, 11, 12, 13]) {
    const store = goodStore(version, 4, { withPrivate: true, withShortUpdates: true, withDeleted: true });
    for (const target of [14, 15, 16] as const) {
      const { output, messages, written } = await repaired(store.bytes, { version: target });
      assert.equal(output[0], target);
      assert.ok(messages.every((hex) => ['0100', '0101', '0102', '1005'].includes(hex.slice(0, 4))));
      assert.equal(written?.counts.private, version <= 12 ? 2 : 0, `version ${version}`);
      assert.equal(written?.counts.obsolete, version <= 10 ? 4 : 0);
      assert.deepEqual(await wrongsOf(output), {});
    }
  }
});

test('an empty file becomes an empty store', async () => {
  const { output } = await repaired(new Uint8Array(0));
  assert.deepEqual([output[0], output.length], [16, 47]);
});

test('what is no store is not repaired, and nothing is written', async () => {
  const folder = folderWith(new TextEncoder().encode('x'.repeat(5000)));
  assert.equal((await repairIn(folder)).ended, 'not_a_store');
  assert.deepEqual(namesIn(folder), [STORE]);
});

test('a dry run writes nothing and foretells what a repair then does', async () => {
  const store = goodStore(16, 5);
  const bad = nth(store, 258, 3);
  const folder = folderWith(noise(store.bytes, bad.position + 40, 30, seededRng(3)));
  const dry = await repairIn(folder, { dryRun: true });
  assert.deepEqual([folder.operations, namesIn(folder)], [0, [STORE]]);
  const done = await repairIn(folder);
  assert.equal(dry.plan?.audit.records_kept, done.written?.counts.kept);
  assert.deepEqual(dry.findings, done.findings);
});

test('an ignored finding is not reported, and what it is about stays; but not what readers stumble over', async () => {
  const store = goodStore(16, 2);
  const newer = goodUpdate(1, 0, 1_700_009_000);
  const damaged = append(
    store.bytes,
    rec(store.format, newer, { timestamp: 1_700_009_000 }),
    rec(store.format, encodeEnded(47n, new Uint8Array(32))),
  );
  const { messages, findings, plan } = await repaired(damaged, { ignore: ['GS-DUP-UPDATE', 'GS-ENDED'] });
  assert.deepEqual(messages, [...messagesIn(store), toHex(newer)]);
  assert.deepEqual(findings, []);
  assert.deepEqual([plan?.work, plan?.kept_by_ignore], [0, 1]);
});
