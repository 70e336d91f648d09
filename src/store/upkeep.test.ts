import assert from 'node:assert/strict';
import test from 'node:test';
import type { ManualClock } from '../base/time.ts';
import type { StoreOffset } from '../wire/store_record.ts';
import type { Translate } from './gossip_store.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import { scanStore } from './scan.ts';
import type { StoreFile } from './store_file.ts';
import {
  acceptedChannel,
  acceptedNode,
  acceptedRemoval,
  acceptedUpdate,
  announcementOf,
  type Bench,
  benchOn,
  describe,
  ignore,
  nodeOf,
  updateOf,
} from './store_samples.test.support.ts';

const NAME = 'gossip_store';

/** Lets timers fire and what they started go on. */
const run = async (clock: ManualClock, ms: number): Promise<void> => {
  for (let passed = 0; passed < ms; passed += 250) {
    clock.advance(Math.min(250, ms - passed));
    for (let turn = 0; turn < 40; turn++) await Promise.resolve();
  }
};

const recordsOf = (file: StoreFile): string[] => {
  const seen: string[] = [];
  scanStore(file, (record) => seen.push(describe(record)));
  return seen.slice(1);
};

interface Relocations {
  readonly calls: Translate[];
  orphans: StoreOffset[];
}

const watched = (folder = new MemoryFolder()): Bench & { relocations: Relocations } => {
  const relocations: Relocations = { calls: [], orphans: [] };
  const bench = benchOn(folder, {
    upkeepMs: 1000,
    onRelocate: (translate) => {
      relocations.calls.push(translate);
      return relocations.orphans;
    },
  });
  return { ...bench, relocations };
};

const moved = ({ calls }: Relocations, offset: StoreOffset): StoreOffset =>
  calls.reduce((at, translate) => translate(at), offset);

/** Writes over the file that has the name, as another process or a bad disk would. */
const overwrite = (folder: MemoryFolder, position: number, bytes: Uint8Array): void =>
  folder.open(NAME, 'write').write(bytes, position);

test('a compaction leaves the dead behind; offsets, cursors, pending records and marks move along', async () => {
  const { folder, clock, open, relocations } = watched();
  const store = await open();
  const first = store.append(acceptedChannel(1), ignore);
  const stale = store.append(acceptedUpdate(1, 0, 5, undefined, first), ignore);
  const fresh = store.append(acceptedUpdate(1, 0, 6, stale), ignore);
  const gone = store.append(acceptedChannel(2), ignore);
  const tombstone = store.append(acceptedRemoval(2, [gone]), ignore);
  const kept = store.append(acceptedChannel(3), ignore);
  await store.sync();
  const cursor = store.cursor(kept);
  const old = folder.open(NAME, 'read');
  const before = store.publishedBytes;
  store.compact();
  const during = store.append(acceptedNode(7, 9), ignore);
  await run(clock, 1000);
  assert.equal(store.generation, 1);
  assert.ok(store.publishedBytes < before);
  assert.deepEqual([moved(relocations, stale), moved(relocations, gone)], [0, 0]);
  assert.deepEqual(store.readMessage(moved(relocations, first)), announcementOf(1));
  assert.deepEqual(store.readMessage(moved(relocations, fresh)), updateOf(1, 0, 6));
  assert.deepEqual(store.readMessage(moved(relocations, during)), nodeOf(7, 9));
  assert.equal(cursor.next()?.offset, moved(relocations, kept));
  assert.equal(cursor.next()?.type, 4101);
  assert.equal(cursor.next()?.offset, moved(relocations, during));
  assert.equal(recordsOf(old).at(-1)?.startsWith('4105@'), true, 'readers of the old file are told');
  const inFile = recordsOf(folder.open(NAME, 'read'));
  assert.ok(
    !inFile.some((record) => record.includes('4103') && record !== `4103@${moved(relocations, tombstone)}`),
  );
  const replaced = moved(relocations, fresh);
  const newest = store.append(acceptedUpdate(1, 0, 8, replaced), ignore);
  await store.sync();
  assert.equal(store.readMessage(replaced), undefined);
  await store.close();
  assert.ok(recordsOf(folder.open(NAME, 'read')).includes(`258@${newest}`));
});

test('a cursor that lags behind still meets the tombstones of channels that it has seen', async () => {
  const { clock, open } = watched();
  const store = await open();
  const channel = store.append(acceptedChannel(1), ignore);
  await store.sync();
  const cursor = store.cursor('start');
  while (cursor.next() !== undefined);
  store.append(acceptedRemoval(1, [channel]), ignore);
  store.append(acceptedNode(5, 6), ignore);
  await store.sync();
  store.compact();
  await run(clock, 1000);
  const seen: number[] = [];
  for (let record = cursor.next(); record !== undefined; record = cursor.next()) seen.push(record.type);
  assert.deepEqual([store.generation, seen], [1, [4103, 257]]);
  await store.close();
});

test('orphans that the map reports are flagged deleted in the new file', async () => {
  const { folder, clock, open, relocations } = watched();
  const store = await open();
  const node = store.append(acceptedNode(5, 6), ignore);
  store.append(acceptedNode(6, 6), ignore);
  await store.sync();
  relocations.orphans = [node];
  store.compact();
  await run(clock, 1000);
  await store.sync();
  await store.close();
  assert.deepEqual(
    recordsOf(folder.open(NAME, 'read')).map((record) => record.split('@')[0]),
    ['257'],
  );
});

test('store_damaged: the scrub finds a bad record, only that one is lost, and the state is ok again', async () => {
  const { folder, clock, open, relocations, lines, meter } = watched();
  const store = await open();
  const offsets = [1, 2, 3].map((number) => store.append(acceptedChannel(number), ignore));
  await store.sync();
  overwrite(folder, (offsets[1] as number) + 100, new Uint8Array(50).fill(0x77));
  await run(clock, 60_000);
  assert.equal(store.generation, 1);
  assert.equal(moved(relocations, offsets[1] as StoreOffset), 0);
  assert.deepEqual(store.readMessage(moved(relocations, offsets[2] as StoreOffset)), announcementOf(3));
  assert.deepEqual([store.state, meter.get('gossipd_store_damaged_ranges_total')], ['ok', 1]);
  assert.ok(store.quarantined !== undefined && folder.exists(store.quarantined));
  const told = lines.filter(({ level }) => level === 'unusual').map(({ message }) => message);
  assert.match(told[0] ?? '', /the store is damaged at offset .*no funds/);
  assert.match(told[1] ?? '', /sound file again/);
  await store.close();
});

test('a record that cannot be read when a peer asks for it is found damaged at once', async () => {
  const { folder, clock, open, relocations } = watched();
  const store = await open();
  const offset = store.append(acceptedNode(1, 5), ignore);
  await store.sync();
  overwrite(folder, offset + 20, Uint8Array.of(1, 2, 3));
  assert.equal(store.readMessage(offset), undefined);
  assert.equal(store.state, 'degraded');
  await run(clock, 2000);
  assert.deepEqual([store.state, store.generation, moved(relocations, offset)], ['ok', 1, 0]);
  await store.close();
});

test('store_replaced: the other file keeps a name of its own, and ours is written anew', async () => {
  const { folder, clock, open, relocations } = watched();
  const store = await open();
  const offset = store.append(acceptedNode(1, 5), ignore);
  await store.sync();
  folder.place(NAME, Uint8Array.of(9, 9, 9));
  await run(clock, 3000);
  assert.deepEqual([store.state, store.generation], ['ok', 1]);
  assert.deepEqual(store.readMessage(moved(relocations, offset)), nodeOf(1, 5));
  const foreign = folder.list().find((name) => name.startsWith(`${NAME}.foreign-`));
  assert.deepEqual(folder.contents(foreign ?? ''), Uint8Array.of(9, 9, 9));
  assert.deepEqual(recordsOf(folder.open(NAME, 'read')).length, 1);
  await store.close();
});

test('store_vanished: a file that was removed comes back with everything', async () => {
  const { folder, clock, open, lines } = watched();
  const store = await open();
  store.append(acceptedChannel(1), ignore);
  await store.sync();
  folder.remove(NAME);
  const waiting = store.append(acceptedNode(1, 5), ignore);
  assert.ok(waiting > 0);
  await run(clock, 3000);
  await store.sync();
  assert.deepEqual([store.state, store.durableBytes], ['ok', store.publishedBytes]);
  assert.deepEqual(
    recordsOf(folder.open(NAME, 'read')).map((record) => record.split('@')[0]),
    ['256', '4101', '257'],
  );
  assert.ok(lines.some(({ message }) => /was removed/.test(message)));
  await store.close();
});

test('store_foreign_bytes: what another writer appended is set aside, ours stays', async () => {
  const { folder, clock, open } = watched();
  const store = await open();
  store.append(acceptedChannel(1), ignore);
  await store.sync();
  overwrite(folder, store.publishedBytes, new Uint8Array(77).fill(5));
  await run(clock, 3000);
  assert.deepEqual([store.state, store.generation], ['ok', 1]);
  assert.equal(folder.contents(NAME).length, store.publishedBytes);
  const bin = folder.list().find((name) => name.endsWith('.bin'));
  assert.deepEqual(folder.contents(bin ?? ''), new Uint8Array(77).fill(5));
  await store.close();
});

test('a full disk during a compaction leaves the store as it was; it is tried again', async () => {
  const { folder, clock, open, lines } = watched();
  const store = await open();
  for (let number = 0; number < 20; number++) store.append(acceptedChannel(number), ignore);
  await store.sync();
  const before = folder.contents(NAME);
  folder.capacityBytes = before.length + 1000;
  store.compact();
  await run(clock, 5000);
  assert.deepEqual([store.generation, folder.exists(`${NAME}.tmp`)], [0, false]);
  assert.deepEqual(folder.contents(NAME), before);
  folder.heal();
  await run(clock, 61_000);
  assert.equal(store.generation, 1);
  assert.ok(lines.some(({ message }) => /could not compact the store; it is tried again/.test(message)));
  await store.close();
});

test('disk_nearly_full: writing stops in time, memory goes on, and everything is written when there is room', async () => {
  const { folder, clock, open, lines } = watched();
  folder.capacityBytes = 400 * 1024 * 1024;
  const store = await open();
  await run(clock, 12_000);
  folder.capacityBytes = 1024 * 1024;
  await run(clock, 24_000);
  assert.deepEqual([store.state, store.writable], ['degraded', true]);
  const published = store.publishedBytes;
  const offset = store.append(acceptedNode(1, 5), ignore);
  await run(clock, 2000);
  assert.deepEqual([store.publishedBytes, store.readMessage(offset)], [published, nodeOf(1, 5)]);
  folder.heal();
  await run(clock, 12_000);
  assert.deepEqual([store.state, store.pendingBytes], ['ok', 0]);
  assert.ok(store.publishedBytes > published);
  assert.ok(lines.some(({ message }) => /the disk has room again/.test(message)));
  await store.close();
});
