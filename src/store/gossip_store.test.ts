import assert from 'node:assert/strict';
import test from 'node:test';
import { bytesEqual } from '../base/bytes.ts';
import { Bug, OperationalError } from '../base/errors.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import {
  FLAG_COMPLETED,
  FLAG_DELETED,
  FLAG_DYING,
  type StoreOffset,
  storeOffset,
} from '../wire/store_record.ts';
import { mintAccepted } from './accepted.ts';
import { MAX_MARKS } from './deferred_marks.ts';
import { EMPTY_STORE_BYTES } from './format.ts';
import type { GossipStore } from './gossip_store.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import { HOLD_BACK_PENDING_BYTES, MAX_PENDING_BYTES } from './pending_batches.ts';
import { scanStore } from './scan.ts';
import {
  acceptedChannel,
  acceptedDying,
  acceptedNode,
  acceptedRemoval,
  acceptedUpdate,
  announcementOf,
  benchOn,
  describe,
  ignore,
  updateOf,
} from './store_samples.test.support.ts';
import { NOT_STORED } from './writer.ts';

const inFile = (folder: MemoryFolder): string[] => {
  const seen: string[] = [];
  scanStore(folder.open('gossip_store', 'read'), (record) => seen.push(describe(record)));
  return seen.slice(1);
};

const flagsAt = (folder: MemoryFolder, offset: StoreOffset): number =>
  (folder.contents('gossip_store')[offset - 12] as number) << 8;

test('applies an announcement and then its amount, with offsets, at once', async () => {
  const store = await benchOn().open();
  const seen: string[] = [];
  const offset = store.append(acceptedChannel(1), (record) => seen.push(describe(record)));
  assert.deepEqual(seen, ['256@59', '4101@503']);
  assert.equal(offset, 59);
  assert.equal(store.publishedBytes, EMPTY_STORE_BYTES);
  await store.close();
});

test('what is applied live is what a later load visits', async () => {
  const { folder, open } = benchOn();
  const live: string[] = [];
  const note = (record: Parameters<typeof describe>[0]): unknown =>
    live.push(`${describe(record)} ${record.timestamp} ${record.length}`);
  const store = await open();
  store.append(acceptedChannel(1), note);
  store.append(acceptedUpdate(1, 0, 7), note);
  store.append(acceptedNode(2, 8), note);
  store.append(acceptedDying(9, 175, []), note);
  store.append(acceptedRemoval(9, []), note);
  await store.close();
  const loaded: string[] = [];
  const again = await benchOn(folder).open((record) =>
    loaded.push(`${describe(record)} ${record.timestamp} ${record.length}`),
  );
  assert.deepEqual(loaded.slice(1), live);
  await again.close();
});

test('publishes at the end of the turn, and makes durable within the interval', async () => {
  const { clock, folder, open } = benchOn(new MemoryFolder(), { syncIntervalMs: 250 });
  const store = await open();
  store.append(acceptedNode(1, 5), ignore);
  assert.deepEqual(inFile(folder), []);
  clock.advance(0);
  assert.deepEqual(inFile(folder), ['257@59']);
  assert.ok(store.durableBytes < store.publishedBytes);
  clock.advance(249);
  await Promise.resolve();
  assert.ok(store.durableBytes < store.publishedBytes);
  clock.advance(1);
  await store.sync();
  assert.equal(store.durableBytes, store.publishedBytes);
  await store.close();
});

test('publishes at once when 1 MiB waits', async () => {
  const store = await benchOn().open();
  let timestamp = 1;
  while (store.publishedBytes === EMPTY_STORE_BYTES) store.append(acceptedNode(1, timestamp++), ignore);
  assert.ok(store.publishedBytes >= 1024 * 1024 && store.publishedBytes < 1024 * 1024 + 400);
  assert.equal(store.pendingBytes, 0);
  await store.close();
});

test('a replaced update is deleted for our readers at once, and in the file once the new one is durable', async () => {
  const { folder, open } = benchOn();
  const store = await open();
  const old = store.append(acceptedUpdate(1, 0, 5), ignore);
  await store.sync();
  const fresh = store.append(acceptedUpdate(1, 0, 6, old), ignore);
  store.flush();
  assert.equal(store.readMessage(old), undefined);
  assert.equal(flagsAt(folder, old), FLAG_COMPLETED);
  assert.equal(store.cursor('start').next()?.type, 4107);
  const cursor = store.cursor(old);
  assert.equal(cursor.next()?.offset, fresh);
  await store.sync();
  assert.equal(flagsAt(folder, old), FLAG_COMPLETED | FLAG_DELETED);
  assert.equal(store.readMessage(old), undefined);
  assert.deepEqual(store.readMessage(fresh), updateOf(1, 0, 6));
  await store.close();
});

test('an update replaced within its own batch is deleted when the batch appears', async () => {
  const { folder, open } = benchOn();
  const store = await open();
  const old = store.append(acceptedUpdate(1, 0, 5), ignore);
  const fresh = store.append(acceptedUpdate(1, 0, 6, old), ignore);
  assert.equal(store.readMessage(old), undefined);
  store.flush();
  assert.equal(flagsAt(folder, old), FLAG_COMPLETED | FLAG_DELETED);
  assert.deepEqual(inFile(folder), [`258@${fresh}`]);
  await store.close();
});

test('removing a channel deletes its amount too, in the file and within a batch', async () => {
  for (const synced of [true, false]) {
    const { folder, open } = benchOn();
    const store = await open();
    const announcement = store.append(acceptedChannel(1), ignore);
    const update = store.append(acceptedUpdate(1, 0, 5), ignore);
    if (synced) await store.sync();
    const tombstone = store.append(acceptedRemoval(1, [announcement, update]), ignore);
    await store.close();
    assert.deepEqual(inFile(folder), [`4103@${tombstone}`]);
  }
});

test('chan_dying marks what it lists', async () => {
  const { folder, open } = benchOn();
  const store = await open();
  const announcement = store.append(acceptedChannel(1), ignore);
  await store.sync();
  const update = store.append(acceptedUpdate(1, 0, 5), ignore);
  store.append(acceptedDying(1, 175, [announcement, update]), ignore);
  await store.close();
  assert.equal(flagsAt(folder, announcement), FLAG_COMPLETED | FLAG_DYING);
  assert.equal(flagsAt(folder, update), FLAG_COMPLETED | FLAG_DYING);
  assert.deepEqual(
    inFile(folder).map((text) => text.split('@')[0]),
    ['256', '4101', '258', '4106'],
  );
});

test('an announcement gets the timestamp of its first update, in its batch or later', async () => {
  for (const synced of [true, false]) {
    const { folder, open } = benchOn();
    const store = await open();
    const announcement = store.append(acceptedChannel(1), ignore);
    if (synced) await store.sync();
    store.append(acceptedUpdate(1, 0, 1234, undefined, announcement), ignore);
    await store.close();
    const timestamps: number[] = [];
    const end = scanStore(folder.open('gossip_store', 'read'), (record) => timestamps.push(record.timestamp));
    assert.deepEqual([end.reason, timestamps], ['end_of_file', [0, 1234, 0, 1234]]);
  }
});

test('readMessage gives fresh copies, published or not, and nothing for what is not there', async () => {
  const store = await benchOn().open();
  const offset = store.append(acceptedChannel(3), ignore);
  const pending = store.readMessage(offset);
  assert.deepEqual(pending, announcementOf(3));
  pending?.fill(0);
  await store.sync();
  assert.deepEqual(store.readMessage(offset), announcementOf(3));
  for (const wrong of [0, 12, offset + 1, store.publishedBytes, 1e9]) {
    assert.equal(store.readMessage(storeOffset(wrong)), undefined);
  }
  await store.close();
  assert.equal(store.readMessage(offset), undefined);
});

test('readMessage reads messages of the greatest length', async () => {
  const raw = new Uint8Array(65535).fill(9);
  raw.set(announcementOf(1));
  const store = await benchOn().open();
  const offset = store.append(mintAccepted({ kind: 'channel_announcement', raw, satoshis: 1n }), ignore);
  store.flush();
  assert.ok(bytesEqual(store.readMessage(offset) ?? new Uint8Array(0), raw));
  await store.close();
});

test('disk_full: goes on from memory, says so once, retries with back-off, and loses nothing', async () => {
  const { folder, clock, lines, meter, open } = benchOn();
  const store = await open();
  folder.capacityBytes = 100;
  const offset = store.append(acceptedChannel(1), ignore);
  clock.advance(0);
  assert.deepEqual([store.state, store.writable], ['degraded', true]);
  assert.match(store.stateReason ?? '', /disk_full/);
  assert.deepEqual(store.readMessage(offset), announcementOf(1));
  for (let second = 1; second <= 300; second++) {
    if (second % 30 === 0) store.append(acceptedNode(1, second), ignore);
    clock.advance(1000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  // After 0, 1, 3, 7, 15, 31, 63, 123, 183 and 243 seconds.
  assert.equal(meter.get('gossipd_store_failures_total', 'disk_full'), 10);
  assert.equal(lines.filter(({ level }) => level === 'unusual').length, 1);
  folder.heal();
  clock.advance(60_000);
  await store.sync();
  assert.deepEqual([store.state, store.stateReason, store.pendingBytes], ['ok', undefined, 0]);
  assert.equal(lines.filter(({ level }) => level === 'unusual').length, 2);
  await store.close();
  assert.equal(inFile(folder).length, 12);
});

test('a batch that fails while a sync is under way is tried again', async () => {
  const { folder, clock, open } = benchOn();
  const store = await open();
  store.append(acceptedNode(1, 5), ignore);
  const syncing = store.sync();
  folder.fail('write', 'disk_full', 1);
  store.append(acceptedNode(2, 5), ignore);
  clock.advance(0);
  await syncing;
  assert.deepEqual([store.state, store.pendingBytes], ['degraded', 154]);
  clock.advance(1000);
  await store.sync();
  assert.deepEqual([store.state, inFile(folder)], ['ok', ['257@59', '257@213']]);
  await store.close();
});

test('a directory that cannot be synced keeps nothing from being published, and everything from being called durable', async () => {
  const { folder, open } = benchOn();
  await (await open()).close();
  folder.fail('syncDirectory', 'disk_error', 2);
  const store = await open();
  assert.deepEqual([store.state, store.durableBytes], ['degraded', 0]);
  store.append(acceptedNode(1, 5), ignore);
  await store.sync();
  assert.deepEqual([inFile(folder), store.durableBytes], [['257@59'], 0]);
  await store.sync();
  assert.deepEqual([store.state, store.durableBytes], ['ok', store.publishedBytes]);
  await store.close();
});

test('a full disk that lasts makes the store unwritable at 48 MiB and refuse at 64 MiB', async () => {
  const { folder, meter, open } = benchOn();
  const store = await open();
  folder.fail('write', 'disk_full', 1000);
  const raw = new Uint8Array(65535);
  raw.set(announcementOf(1));
  const big = mintAccepted({ kind: 'channel_announcement', raw, satoshis: 1n });
  let offset = store.append(big, ignore);
  store.flush();
  while (store.writable) offset = store.append(big, ignore);
  assert.ok(store.pendingBytes >= HOLD_BACK_PENDING_BYTES && offset !== NOT_STORED);
  while (offset !== NOT_STORED) offset = store.append(big, ignore);
  assert.ok(store.pendingBytes <= MAX_PENDING_BYTES);
  assert.equal(
    store.append(big, () => assert.fail('nothing is applied that is not taken')),
    NOT_STORED,
  );
  assert.equal(meter.get('gossipd_store_refused_total', 'channel_announcement'), 2);
  folder.heal();
  await store.sync();
  assert.deepEqual([store.state, store.writable, store.pendingBytes], ['ok', true, 0]);
  assert.equal(store.cursor('end').lagBytes(), 0);
  await store.close();
});

test('flags that wait for a failing sync are bounded', async () => {
  const { folder, open, clock } = benchOn();
  const store = await open();
  folder.fail('dataSync', 'disk_error', 1000);
  let old = store.append(acceptedUpdate(1, 0, 1), ignore);
  let timestamp = 2;
  for (let next = old; next !== NOT_STORED; timestamp++) {
    old = next;
    store.flush();
    next = store.append(acceptedUpdate(1, 0, timestamp, old), ignore);
    if (timestamp % 30_000 === 0) {
      clock.advance(1000);
      await store.sync();
    }
  }
  assert.equal(store.writable, false);
  assert.ok(timestamp > MAX_MARKS && timestamp < MAX_MARKS + 10);
  folder.heal();
  await store.close();
  assert.deepEqual(inFile(folder), [`258@${old}`]);
});

test('disk_error of a sync: nothing is called durable until it has been written and synced again', async () => {
  const { folder, open } = benchOn();
  const store = await open();
  const before = store.durableBytes;
  const offset = store.append(acceptedNode(1, 5), ignore);
  folder.fail('dataSync', 'disk_error', 1);
  await store.sync();
  assert.deepEqual([store.state, store.durableBytes], ['degraded', before]);
  assert.ok(store.publishedBytes > offset);
  await store.sync();
  assert.deepEqual([store.state, store.durableBytes], ['ok', store.publishedBytes]);
  const cut = folder.crash({ fate: () => 0 });
  assert.deepEqual(inFile(cut), [`257@${offset}`]);
  await store.close();
});

test('store_locked: a second writer of the same folder is refused until the first has closed', async () => {
  const { folder, open } = benchOn();
  const store = await open();
  await assert.rejects(
    benchOn(folder).open(),
    (error) => error instanceof OperationalError && error.code === 'store_locked',
  );
  await store.close();
  await (await benchOn(folder).open()).close();
});

test('close writes everything, is final, and may be called twice', async () => {
  const { folder, open, clock } = benchOn();
  const store = await open();
  store.append(acceptedNode(1, 5), ignore);
  await Promise.all([store.close(), store.close()]);
  assert.deepEqual(inFile(folder), ['257@59']);
  assert.equal(folder.unsyncedWrites(), 0);
  assert.throws(() => store.append(acceptedNode(1, 6), ignore), Bug);
  assert.deepEqual([store.writable, clock.pending], [false, 0]);
});

test('close with a full disk gives up, says what is lost, and gives the lock back', async () => {
  const { folder, lines, open } = benchOn();
  const store = await open();
  folder.capacityBytes = 60;
  store.append(acceptedNode(1, 5), ignore);
  await store.close();
  assert.ok(lines.some(({ level, fields }) => level === 'unusual' && fields?.['bytes_lost'] === 154));
  folder.heal();
  await (await benchOn(folder).open()).close();
});

test('a mark on something that is no record is refused and logged as broken', async () => {
  const { folder, lines, open } = benchOn();
  const store: GossipStore = await open();
  const node = store.append(acceptedNode(1, 5), ignore);
  await store.sync();
  store.append(acceptedUpdate(1, 0, 6, storeOffset(node + 3)), ignore);
  await store.close();
  assert.deepEqual(
    lines.filter(({ level }) => level === 'broken').map(({ fields }) => fields),
    [{ count: 1 }],
  );
  assert.deepEqual(
    inFile(folder).map((text) => Number.parseInt(text, 10)),
    [MESSAGE_TYPE.node_announcement, MESSAGE_TYPE.channel_update],
  );
});
