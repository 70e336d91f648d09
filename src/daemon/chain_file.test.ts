import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLog } from '../base/log.ts';
import { MAX_SAVED_POINTS } from '../chain/block_follower.ts';
import { ClosedMemory } from '../ingest/closed_memory.ts';
import { CHAIN_FILE_NAME, loadChainMemory, MAX_CHAIN_FILE_BYTES, saveChainMemory } from './chain_file.ts';

const inFolder = (work: (folder: string) => void): void => {
  const folder = mkdtempSync(join(tmpdir(), 'gossipd-chain-'));
  try {
    work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
};

const points = Array.from({ length: MAX_SAVED_POINTS + 10 }, (_, index) => ({
  height: 800_000 + index,
  hash: index.toString(16).padStart(64, '0'),
}));
const closedMemory = (): ClosedMemory => {
  const closed = new ClosedMemory();
  for (let index = 0; index < 100; index++) closed.remember(index << 8, index * 7, 800_000 + index);
  return closed;
};

test('what was saved is loaded: the last points, and the closed channels', () => {
  inFolder((folder) => {
    const closed = closedMemory().toBytes();
    assert.equal(saveChainMemory(folder, 'bitcoin', { points, closed }, silentLog), true);
    assert.deepEqual(readdirSync(folder), [CHAIN_FILE_NAME], 'no draft stays');
    const loaded = loadChainMemory(folder, 'bitcoin', silentLog);
    assert.deepEqual(loaded.points, points.slice(-MAX_SAVED_POINTS));
    const again = new ClosedMemory();
    again.load(loaded.closed);
    assert.equal(again.size, 100);
    assert.equal(again.has(5 << 8, 35), true);
    assert.deepEqual(loadChainMemory(folder, 'regtest', silentLog).points, [], 'another network');
  });
});

test('a file that is not there, cut anywhere, changed anywhere or too large is ignored', () => {
  inFolder((folder) => {
    const path = join(folder, CHAIN_FILE_NAME);
    assert.deepEqual(loadChainMemory(folder, 'bitcoin', silentLog).points, []);
    saveChainMemory(folder, 'bitcoin', { points: points.slice(0, 3), closed: new Uint8Array(24) }, silentLog);
    const whole = readFileSync(path);
    const isNothing = (): void => {
      const { points: none, closed } = loadChainMemory(folder, 'bitcoin', silentLog);
      assert.deepEqual([none.length, closed.length], [0, 0]);
    };
    for (let length = 0; length < whole.length; length += 7) {
      writeFileSync(path, whole.subarray(0, length));
      isNothing();
    }
    for (let at = 0; at < whole.length; at += 5) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] as number) ^ 1;
      writeFileSync(path, changed);
      isNothing();
    }
    writeFileSync(path, Buffer.alloc(MAX_CHAIN_FILE_BYTES + 1, 0x20));
    isNothing();
    rmSync(path);
  });
});

test('a disk that refuses is no error', () => {
  const folder = join(tmpdir(), 'gossipd-no-such-folder');
  assert.equal(saveChainMemory(folder, 'bitcoin', { points, closed: new Uint8Array(0) }, silentLog), false);
});
