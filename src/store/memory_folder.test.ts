import assert from 'node:assert/strict';
import test from 'node:test';
import { OperationalError } from '../base/errors.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';

const hasCode =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof OperationalError && error.code === code;

const durableFile = async (): Promise<MemoryFolder> => {
  const folder = new MemoryFolder();
  const file = folder.open('f', 'create');
  file.write(Uint8Array.of(1, 2, 3, 4), 0);
  await file.dataSync();
  await folder.sync();
  return folder;
};

test('a crash keeps what was synced, and any part of what was not', async () => {
  const folder = await durableFile();
  folder.open('f', 'write').write(Uint8Array.of(9, 9, 9), 3);
  assert.deepEqual([...folder.crash({ fate: () => 0 }).contents('f')], [1, 2, 3, 4]);
  assert.deepEqual([...folder.crash({ fate: () => 2 }).contents('f')], [1, 2, 3, 9, 9]);
  assert.deepEqual([...folder.crash().contents('f')], [1, 2, 3, 9, 9, 9]);
});

test('a lost write in front of one that was kept leaves zeros', async () => {
  const folder = await durableFile();
  const file = folder.open('f', 'write');
  file.write(Uint8Array.of(7), 4);
  file.write(Uint8Array.of(8), 5);
  assert.deepEqual([...folder.crash({ fate: ({ index }) => index }).contents('f')], [1, 2, 3, 4, 0, 8]);
});

test('names are kept only up to the point that reached the disk', async () => {
  const folder = await durableFile();
  folder.open('g', 'create').write(Uint8Array.of(5), 0);
  folder.rename('g', 'f');
  assert.deepEqual(folder.crash({ names: 0 }).list(), ['f']);
  assert.deepEqual([...folder.crash({ names: 0 }).contents('f')], [1, 2, 3, 4]);
  assert.deepEqual(folder.crash({ names: 1 }).list(), ['f', 'g']);
  assert.deepEqual([...folder.crash({ names: 2 }).contents('f')], [5]);
});

test('a failed sync covers nothing, and neither does the next one that succeeds', async () => {
  const folder = await durableFile();
  const file = folder.open('f', 'write');
  file.write(Uint8Array.of(8), 0);
  folder.fail('dataSync', 'disk_error');
  await assert.rejects(file.dataSync(), hasCode('disk_error'));
  await file.dataSync();
  assert.deepEqual([...folder.crash({ fate: () => 0 }).contents('f')], [1, 2, 3, 4]);
  assert.equal(file.size(), 4);
  assert.equal(folder.contents('f')[0], 8);
});

test('the process ends in the middle of the write it is told to, and does nothing afterwards', async () => {
  const folder = await durableFile();
  folder.stopAfter(1, 2);
  const file = folder.open('f', 'write');
  file.write(Uint8Array.of(6), 4);
  assert.throws(() => file.write(Uint8Array.of(7, 7, 7), 5), hasCode('simulated_stop'));
  assert.throws(() => file.write(Uint8Array.of(7, 7, 7), 5), hasCode('simulated_stop'));
  assert.deepEqual([...folder.crash().contents('f')], [1, 2, 3, 4, 6, 7, 7]);
});

test('a full disk takes what fits', async () => {
  const folder = await durableFile();
  folder.capacityBytes = 6;
  const file = folder.open('f', 'write');
  assert.throws(() => file.write(Uint8Array.of(5, 6, 7, 8), 4), hasCode('disk_full'));
  assert.equal(file.size(), 6);
  assert.equal(folder.freeBytes(), 0);
  file.write(Uint8Array.of(9), 0);
});
