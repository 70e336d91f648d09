import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { OperationalError } from '../base/errors.ts';
import { nodeStoreFolder, readFully, type StoreFolder, writeFully } from './store_file.ts';

const inFolder = async (use: (folder: StoreFolder, path: string) => Promise<void> | void): Promise<void> => {
  const path = mkdtempSync(join(tmpdir(), 'gossipd-store-'));
  try {
    await use(nodeStoreFolder(path), path);
  } finally {
    rmSync(path, { recursive: true });
  }
};

const hasCode =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof OperationalError && error.code === code && error.hint.length > 0;

test('a short write is continued where it stopped', () => {
  const calls: number[][] = [];
  writeFully(
    (start, length, position) => {
      calls.push([start, length, position]);
      return Math.min(length, 4);
    },
    10,
    100,
  );
  assert.deepEqual(calls, [
    [0, 10, 100],
    [4, 6, 104],
    [8, 2, 108],
  ]);
});

test('a write that takes no bytes is a full disk, not an endless loop', () => {
  assert.throws(() => writeFully(() => 0, 10, 0), /took no bytes/);
});

test('a short read is continued until the file ends', () => {
  const steps = [3, 2, 0];
  assert.equal(
    readFully(() => steps.shift() ?? 0, 0, 10, 0),
    5,
  );
});

test('files are created with mode 0600, written, synced, renamed and read back', async () => {
  await inFolder(async (folder, path) => {
    const file = folder.open('a', 'create');
    file.write(Uint8Array.of(1, 2, 3), 2);
    await file.dataSync();
    folder.rename('a', 'b');
    await folder.sync();
    assert.equal(file.size(), 5);
    assert.equal(statSync(join(path, 'b')).mode & 0o777, 0o600);
    assert.equal(folder.exists('a'), false);
    assert.deepEqual(folder.identity('b'), file.identity());
    assert.equal(folder.identity('a'), undefined);
    assert.deepEqual(folder.list(), ['b']);
    assert.ok(folder.freeBytes() > 0);
    const reader = folder.open('b', 'read');
    const buffer = new Uint8Array(8);
    assert.equal(reader.read(buffer, 1, 7, 1), 4);
    assert.deepEqual(buffer, Uint8Array.of(0, 0, 1, 2, 3, 0, 0, 0));
    reader.close();
    file.close();
    folder.remove('b');
    folder.remove('b');
  });
});

test('store_missing and store_not_writable name what to do', async () => {
  await inFolder((folder, path) => {
    assert.throws(() => folder.open('none', 'write'), hasCode('store_missing'));
    assert.throws(() => nodeStoreFolder(join(path, 'none')).open('x', 'create'), hasCode('store_missing'));
    assert.throws(() => nodeStoreFolder(path).open('.', 'create'), hasCode('store_not_writable'));
  });
});

test('disk_full is what a full device says', {
  skip: existsSync('/dev/full') ? false : 'no /dev/full here',
}, () => {
  const file = nodeStoreFolder('/dev').open('full', 'write');
  assert.throws(() => file.write(Uint8Array.of(1), 0), hasCode('disk_full'));
  file.close();
});

test('disk_error is everything else', async () => {
  await inFolder((folder) => {
    const file = folder.open('a', 'create');
    file.close();
    assert.throws(() => file.write(Uint8Array.of(1), 0), hasCode('disk_error'));
  });
});
