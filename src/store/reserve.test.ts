import assert from 'node:assert/strict';
import test from 'node:test';
import { type Rng, seededRng } from '../base/rng.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import { MAX_RESERVE_BYTES, Reserve, reserveBytesFor } from './reserve.ts';

const MIB = 1024 * 1024;
const NAME = 'gossip_store';
const FILE = 'gossip_store.reserve';

/** Only the test of the content wants random bytes, which take their time. */
const ZEROS: Rng = { bytes: (length) => new Uint8Array(length), fraction: () => 0 };

const reserveIn = (folder: MemoryFolder, rng = ZEROS) => new Reserve(folder, NAME, rng);

const fill = (reserve: Reserve): number => {
  let steps = 0;
  while (reserve.state === 'filling') {
    reserve.step();
    steps++;
  }
  return steps;
};

test('the size is what a compaction writes, rounded up, and has a maximum', () => {
  assert.equal(reserveBytesFor(0), 4 * MIB);
  assert.equal(reserveBytesFor(4 * MIB), 4 * MIB);
  assert.equal(reserveBytesFor(38_918_975), 40 * MIB);
  assert.equal(reserveBytesFor(1e12), MAX_RESERVE_BYTES);
});

test('it is written in pieces of 1 MiB, takes its room on the disk, and is not compressible', () => {
  const folder = new MemoryFolder();
  folder.capacityBytes = 16 * MIB;
  const reserve = reserveIn(folder, seededRng(7));
  assert.equal(reserve.ensure(100), 'filling');
  assert.equal(fill(reserve), 4);
  assert.deepEqual([reserve.state, reserve.bytes], ['whole', 4 * MIB]);
  assert.equal(folder.freeBytes(), 12 * MIB);
  const content = folder.contents(FILE);
  const counts = new Uint32Array(256);
  for (const byte of content) counts[byte] = (counts[byte] ?? 0) + 1;
  assert.ok(
    counts.every((count) => count > 15_000 && count < 18_000),
    'every byte value is about as frequent as any other',
  );
  assert.notDeepEqual(content.subarray(0, 4096), content.subarray(MIB, MIB + 4096));
  assert.equal(reserve.ensure(200), 'whole');
  assert.equal(reserve.release(), 4 * MIB);
  assert.deepEqual([reserve.state, reserve.bytes, folder.freeBytes()], ['none', 0, 16 * MIB]);
});

test('without four times its size free there is none, and an earlier one stays', () => {
  const folder = new MemoryFolder();
  folder.capacityBytes = 16 * MIB - 1;
  const reserve = reserveIn(folder);
  assert.equal(reserve.ensure(100), 'no_room');
  assert.equal(folder.exists(FILE), false);
  assert.equal(reserve.release(), 0);
  folder.capacityBytes = 16 * MIB;
  reserve.ensure(100);
  fill(reserve);
  assert.equal(reserve.ensure(5 * MIB), 'no_room');
  assert.equal(reserve.bytes, 4 * MIB);
  folder.capacityBytes = 5 * MIB;
  assert.equal(reserve.ensure(100), 'whole');
});

test('the next start takes over a whole one and replaces one of another size', () => {
  const folder = new MemoryFolder();
  const first = reserveIn(folder);
  first.ensure(100);
  fill(first);
  const second = reserveIn(folder);
  assert.equal(second.bytes, 4 * MIB);
  assert.equal(second.ensure(100), 'whole');
  folder.place(FILE, new Uint8Array(2 * MIB));
  const third = reserveIn(folder);
  assert.deepEqual([third.bytes, third.ensure(100)], [2 * MIB, 'filling']);
  assert.equal(fill(third), 4);
  assert.equal(folder.contents(FILE).length, 4 * MIB);
});

test('a map that has grown has it written anew, also while it is being filled', () => {
  const folder = new MemoryFolder();
  const reserve = reserveIn(folder);
  reserve.ensure(100);
  reserve.step();
  assert.equal(reserve.ensure(5 * MIB), 'filling');
  assert.equal(fill(reserve), 8);
  assert.equal(folder.contents(FILE).length, 8 * MIB);
});

test('a disk that refuses leaves no half of it and is not an error', () => {
  for (const call of ['create', 'write'] as const) {
    for (const code of ['disk_full', 'disk_error'] as const) {
      const folder = new MemoryFolder();
      const reserve = reserveIn(folder);
      folder.fail(call, code);
      reserve.ensure(100);
      fill(reserve);
      assert.deepEqual([reserve.state, reserve.bytes, folder.exists(FILE)], ['refused', 0, false]);
      assert.equal(reserve.ensure(100), 'filling');
      assert.equal(fill(reserve), 4);
    }
  }
});

test('a stop removes one that is half made and leaves a whole one', () => {
  const folder = new MemoryFolder();
  const reserve = reserveIn(folder);
  reserve.ensure(100);
  reserve.step();
  reserve.close();
  assert.equal(folder.exists(FILE), false);
  reserve.ensure(100);
  fill(reserve);
  reserve.close();
  assert.equal(folder.exists(FILE), true);
});
