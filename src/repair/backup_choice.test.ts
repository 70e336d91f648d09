import assert from 'node:assert/strict';
import test from 'node:test';
import { bytesEqual, toHex } from '../base/bytes.ts';
import { seededRng } from '../base/rng.ts';
import { scidHi, scidLo } from '../base/short_channel_id.ts';
import {
  append,
  cut,
  GOOD_TIMESTAMP,
  type GoodRecord,
  type GoodStore,
  goodAnnouncement,
  goodNode,
  goodScid,
  goodStore,
  goodUpdate,
  noise,
  rec,
  removeBytes,
} from '../store/damaged_stores.test.support.ts';
import { encodeChannelAmount, encodeDeleteChan } from '../wire/gossip_store_messages.ts';
import { folderWith, messagesOf, OUTPUT, repairIn, STORE, wrongsOf } from './repair_bench.test.support.ts';

const nth = (store: GoodStore, type: number, index = 0): GoodRecord =>
  store.records.filter((record) => record.type === type)[index]!;
const messagesIn = (store: GoodStore): string[] =>
  store.records.filter(({ type }) => type !== 4107).map(({ bytes }) => toHex(bytes));

const restored = async (damaged: Uint8Array, backup: Uint8Array) => {
  const folder = folderWith(damaged);
  const result = await repairIn(folder, { backup });
  assert.equal(result.ended, 'done');
  assert.ok(bytesEqual(folder.contents(STORE), damaged));
  assert.ok(bytesEqual(folder.contents('backup'), backup), 'the backup was changed');
  const output = folder.contents(OUTPUT);
  return { ...result, output, messages: messagesOf(output) };
};

test('--from-backup: what was lost comes back, whatever the version of the backup', async () => {
  for (const version of [3, 4, 7, 9, 11, 12, 14, 15, 16]) {
    const store = goodStore(16, 6);
    const lost = store.records.slice(8, 21);
    const start = lost[0]!.position;
    const damaged = noise(store.bytes, start, lost.at(-1)!.end - start, seededRng(version));
    const { messages, output, written } = await restored(damaged, goodStore(version, 6).bytes);
    assert.deepEqual(await wrongsOf(output), {}, `version ${version}`);
    // Version 3 keeps other amounts and, in this sample, other update times.
    if (version > 4) assert.deepEqual([...messages].sort(), messagesIn(store).sort(), `version ${version}`);
    assert.equal(messages.length, messagesIn(store).length);
    // With them comes the announcement in front of the first, which had nothing left to stand for.
    assert.equal(written?.from_backup, lost.length + 1, `version ${version}`);
  }
});

test('--from-backup into a file of version 9: a backup of version 16 is taken in that version’s layout', async () => {
  const store = goodStore(9, 4);
  const lost = nth(store, 256, 1);
  const damaged = removeBytes(store.bytes, lost.position, nth(store, 258, 3).end - lost.position);
  const { messages, output } = await restored(damaged, goodStore(16, 4).bytes);
  assert.equal(output[0], 9);
  assert.deepEqual([...messages].sort(), messagesIn(store).sort());
  assert.deepEqual(await wrongsOf(output), {});
});

test('--from-backup: a channel that is restored stands before what is left of it here', async () => {
  const store = goodStore(16, 3);
  const announcement = nth(store, 256, 1);
  const damaged = noise(store.bytes, announcement.position, 440, seededRng(4));
  const { messages, output } = await restored(damaged, store.bytes);
  assert.deepEqual(messages.slice(0, 2), [toHex(announcement.bytes), toHex(nth(store, 4101, 1).bytes)]);
  assert.deepEqual(await wrongsOf(output), {});
  assert.deepEqual([...messages].sort(), messagesIn(store).sort());
});

test('--from-backup: never older than what is here, and the newer one replaces the older', async () => {
  const store = goodStore(16, 3);
  const { format } = store;
  const [older, newer] = [goodUpdate(0, 0, GOOD_TIMESTAMP - 9), goodUpdate(1, 1, GOOD_TIMESTAMP + 99)];
  const [olderNode, newerNode] = [goodNode(0, GOOD_TIMESTAMP - 9), goodNode(2, GOOD_TIMESTAMP + 99)];
  const backup = append(
    goodStore(16, 3, { withoutNodes: true }).bytes,
    ...[older, newer].map((message) => rec(format, message, { timestamp: 1 })),
    ...[olderNode, newerNode].map((message) => rec(format, message, { timestamp: 1 })),
  );
  const { messages, output, written } = await restored(store.bytes, backup);
  assert.ok(!messages.includes(toHex(older)) && !messages.includes(toHex(olderNode)));
  assert.deepEqual(messages.slice(-2), [toHex(newer), toHex(newerNode)]);
  assert.ok(!messages.includes(toHex(nth(store, 258, 3).bytes)), 'the older update stayed');
  assert.ok(!messages.includes(toHex(nth(store, 257, 2).bytes)), 'the older node stayed');
  assert.equal(written?.from_backup, 2);
  assert.deepEqual(await wrongsOf(output), {});
});

test('--from-backup: channels that were removed here or there, or were dying there, do not come back', async () => {
  const { format } = goodStore(16, 1);
  const store = goodStore(16, 2);
  const tombstone = (channel: number): Uint8Array => {
    const scid = goodScid(channel);
    return rec(format, encodeDeleteChan(scidHi(scid), scidLo(scid)));
  };
  const announced = (channel: number, flags = 0x2000): Uint8Array[] => [
    rec(format, goodAnnouncement(channel), { flags }),
    rec(format, encodeChannelAmount(7n)),
    rec(format, goodUpdate(channel, 0, 5), { timestamp: 5 }),
    rec(format, goodNode(2 * channel, 5), { timestamp: 5 }),
  ];
  const backup = append(
    goodStore(16, 2).bytes,
    ...announced(5),
    ...announced(6),
    tombstone(6),
    ...announced(7, 0x2800),
    ...announced(8),
  );
  const damaged = append(store.bytes, tombstone(5));
  const { messages, output, written } = await restored(damaged, backup);
  for (const channel of [5, 6, 7])
    assert.ok(!messages.includes(toHex(goodAnnouncement(channel))), `${channel}`);
  assert.ok(messages.includes(toHex(goodAnnouncement(8))));
  assert.equal(written?.from_backup, 4);
  assert.deepEqual(await wrongsOf(output), {});
});

test('--from-backup: an amount that was lost is the true one again', async () => {
  const store = goodStore(16, 3);
  const amount = nth(store, 4101, 2);
  const damaged = removeBytes(store.bytes, amount.position, amount.end - amount.position);
  const { messages } = await restored(damaged, store.bytes);
  assert.deepEqual(messages, messagesIn(store));
});

test('--from-backup with a damaged backup takes what is sound in it; a sound store stays as it is', async () => {
  const store = goodStore(16, 5);
  const noisy = noise(store.bytes, nth(store, 256, 4).position, 300, seededRng(1));
  const { messages } = await restored(cut(store.bytes, nth(store, 256, 3).position), noisy);
  const wanted = messagesIn(store).slice(0, 4 * 6);
  assert.deepEqual([...messages].sort(), wanted.sort());
  const unchanged = await restored(store.bytes, noisy);
  assert.deepEqual(unchanged.messages, messagesIn(store));
  assert.equal(unchanged.written?.from_backup, 0);
});
