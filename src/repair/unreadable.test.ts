import assert from 'node:assert/strict';
import test from 'node:test';
import { OperationalError } from '../base/errors.ts';
import { seededRng } from '../base/rng.ts';
import { ManualClock } from '../base/time.ts';
import { fileOf, goodStore } from '../store/damaged_stores.test.support.ts';
import { MemoryFolder } from '../store/memory_folder.test.support.ts';
import { patientFile } from '../store/patient_file.ts';
import type { StoreFile } from '../store/store_file.ts';
import { repairStore } from './repair_store.ts';
import { quietTask } from './task.ts';

/** A disk that cannot read these blocks of 4096 bytes. */
const withBadBlocks = (bytes: Uint8Array, isBad: (block: number) => boolean): StoreFile => {
  const file = fileOf(bytes);
  return {
    ...file,
    read: (buffer, start, length, position) => {
      const last = Math.floor((Math.min(position + length, bytes.length) - 1) / 4096);
      for (let block = Math.floor(position / 4096); block <= last; block++) {
        if (isBad(block)) throw new OperationalError('disk_error', 'degrade', 'EIO', 'Look at the disk.');
      }
      return file.read(buffer, start, length, position);
    },
  };
};

test('a block that the disk cannot read costs the records in it, and no others', async () => {
  const store = goodStore(16, 40);
  const [start, end] = [3 * 4096, 4 * 4096];
  const file = patientFile(withBadBlocks(store.bytes, (block) => block === 3));
  const folder = new MemoryFolder();
  const { written } = await repairStore({
    file,
    judge: { level: 'order', restoreBits: true, ignore: new Set() },
    live: false,
    onFinding: () => {},
    version: undefined,
    place: { folder, name: 'out', how: { kind: 'output', force: false } },
    clock: new ManualClock(),
    rng: seededRng(1),
    task: quietTask,
  });
  const touched = store.records.filter((record) => record.position < end && record.end > start).length;
  // The pair at each edge may go with its other half.
  assert.ok(written !== undefined && written.counts.kept >= store.records.length - touched - 2);
  assert.ok(written.counts.kept < store.records.length);
  assert.equal(file.unreadableBytes(), 4096);
});

test('a read that fails once is repeated, and nothing is lost', () => {
  const bytes = seededRng(3).bytes(20_000);
  let left = 1;
  const file = patientFile(withBadBlocks(bytes, () => left-- > 0));
  const buffer = new Uint8Array(20_000);
  assert.equal(file.read(buffer, 0, 20_000, 0), 20_000);
  assert.deepEqual(buffer, bytes);
  assert.equal(file.unreadableBytes(), 0);
  assert.equal(file.read(buffer, 0, 500, 19_900), 100);
});

test('a disk that can read almost nothing is given up on', () => {
  const file = patientFile(withBadBlocks(new Uint8Array(8 * 1024 * 1024), () => true));
  assert.throws(
    () => file.read(new Uint8Array(8 * 1024 * 1024), 0, 8 * 1024 * 1024, 0),
    (error) => error instanceof OperationalError && /ddrescue/.test(error.hint),
  );
});
