import assert from 'node:assert/strict';
import test from 'node:test';
import { OperationalError } from '../base/errors.ts';
import type { ManualClock } from '../base/time.ts';
import type { StoreOffset } from '../wire/store_record.ts';
import type { Translate } from './gossip_store.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import type { StoreFile, StoreFolder } from './store_file.ts';
import { acceptedChannel, announcementOf, benchOn, ignore } from './store_samples.test.support.ts';

const SECTOR_BYTES = 4096;

/** A disk on which some sectors of the first file that had the name cannot be read. */
const withBadSectors = (folder: MemoryFolder, sectors: ReadonlySet<number>): StoreFolder => {
  const bad = folder.identity('gossip_store')?.ino;
  const wrap = (file: StoreFile): StoreFile => ({
    ...file,
    read: (buffer, start, length, position) => {
      if (file.identity().ino === bad || bad === undefined) {
        for (let at = position - (position % SECTOR_BYTES); at < position + length; at += SECTOR_BYTES) {
          if (sectors.has(at)) throw new OperationalError('disk_error', 'degrade', 'reading: EIO', 'dmesg');
        }
      }
      return file.read(buffer, start, length, position);
    },
  });
  return new Proxy(folder, {
    get: (target, key) =>
      key === 'open'
        ? (name: string, mode: 'read' | 'write' | 'create') => wrap(target.open(name, mode))
        : Reflect.get(target, key, target),
  });
};

const run = async (clock: ManualClock, ms: number): Promise<void> => {
  for (let passed = 0; passed < ms; passed += 250) {
    clock.advance(250);
    for (let turn = 0; turn < 40; turn++) await Promise.resolve();
  }
};

test('a sector that cannot be read costs the records in it, at the start and while the store runs', async () => {
  // What happened: a failing disk answered EIO in the middle of the file, and a daemon with 200,000 sound records did not start.
  const folder = new MemoryFolder();
  const first = await benchOn(folder).open();
  const offsets = Array.from({ length: 100 }, (_, number) => first.append(acceptedChannel(number), ignore));
  await first.close();
  const isHit = (offset: number): boolean => offset + 432 > 8192 && offset - 12 < 8192 + SECTOR_BYTES;
  const intact = offsets.filter((offset) => !isHit(offset) && !isHit(offset + 22));

  const found = new Set<string>();
  const atStart = benchOn(folder.crash());
  const sick = benchOn(atStart.folder, { folder: withBadSectors(atStart.folder, new Set([8192])) });
  const store = await sick.open((record) => {
    if (record.type === 256) found.add(String(record.offset));
  });
  for (const offset of intact) assert.ok(found.has(String(offset)), `record at ${offset}`);
  assert.deepEqual([store.state, store.loadReport.rewritten], ['ok', 'damage']);
  await store.close();

  const moves: Translate[] = [];
  const sectors = new Set<number>();
  const live = folder.crash();
  const running = benchOn(live, {
    upkeepMs: 1000,
    folder: withBadSectors(live, sectors),
    onRelocate: (translate) => {
      moves.push(translate);
      return [];
    },
  });
  const serving = await running.open();
  sectors.add(8192);
  const cursor = serving.cursor('start');
  for (let count = 0; count < 1000 && cursor.next() !== undefined; count++);
  await run(running.clock, 60_000);
  assert.deepEqual([serving.state, moves.length], ['ok', 1]);
  for (const [number, offset] of offsets.entries()) {
    if (!intact.includes(offset)) continue;
    const moved = moves[0]?.(offset) ?? (0 as StoreOffset);
    assert.deepEqual(serving.readMessage(moved), announcementOf(number));
  }
  await serving.close();
});
