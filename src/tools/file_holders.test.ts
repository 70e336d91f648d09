import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileHolders, inUse, watchFile } from './file_holders.ts';

const folder = mkdtempSync(join(tmpdir(), 'gossipd-holders-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const skip = existsSync('/proc/self/fd') ? false : 'no /proc on this machine';

/** Waits until it is so; the process has been started and needs a moment. */
const until = async (holds: () => boolean): Promise<void> => {
  for (let tries = 0; !holds(); tries++) {
    assert.ok(tries < 1000, 'it never happened');
    await sleep(10);
  }
};

test('a process that has the file open is found by any name of the file; our own descriptors do not count', {
  skip,
}, async () => {
  const path = join(folder, 'held');
  writeFileSync(path, 'content');
  symlinkSync(path, join(folder, 'symbolic'));
  linkSync(path, join(folder, 'hard'));
  const own = openSync(path, 'r');
  const child = spawn('tail', ['-f', path], { stdio: 'ignore' });
  try {
    await until(() => fileHolders(path).some(({ command }) => command === 'tail'));
    for (const name of ['held', 'symbolic', 'hard'])
      assert.deepEqual(fileHolders(join(folder, name)), [{ pid: child.pid, command: 'tail' }]);
    assert.match(String(inUse(path)?.message), new RegExp(`process ${child.pid} \\(tail\\)`));
  } finally {
    child.kill('SIGKILL');
    closeSync(own);
  }
  await until(() => fileHolders(path).length === 0);
  assert.equal(inUse(path), undefined);
  assert.deepEqual(fileHolders(join(folder, 'nothing')), []);
});

test('lightningd is found by the pid file of its network, unless the pid is another program’s by now', {
  skip,
}, async () => {
  const network = join(folder, 'lightning', 'regtest');
  mkdirSync(network, { recursive: true });
  const store = join(network, 'gossip_store');
  writeFileSync(store, 'content');
  const pidFile = join(folder, 'lightning', 'lightningd-regtest.pid');
  writeFileSync(pidFile, `${process.pid}\n`);
  assert.deepEqual(fileHolders(store), []);
  const program = join(folder, 'lightningd');
  copyFileSync('/bin/sleep', program);
  const child = spawn(program, ['60'], { stdio: 'ignore' });
  try {
    writeFileSync(pidFile, `${child.pid}\n`);
    await until(() => fileHolders(store).length > 0);
    assert.deepEqual(fileHolders(store), [{ pid: child.pid, command: 'lightningd' }]);
  } finally {
    child.kill('SIGKILL');
  }
  for (const text of ['', 'nonsense', '0', '999999999']) {
    writeFileSync(pidFile, text);
    assert.deepEqual(fileHolders(store), []);
  }
});

test('a file that was written to, replaced or removed since it was looked at is noticed; a second name is not', () => {
  const place = (name: string): string => {
    const path = join(folder, name);
    writeFileSync(path, 'content');
    return path;
  };
  const path = place('watched');
  const same = watchFile(path);
  linkSync(path, join(folder, 'second'));
  assert.equal(same(), undefined);
  appendFileSync(path, 'more');
  assert.equal(same()?.code, 'store_in_use');
  const replaced = watchFile(path);
  renameSync(place('other'), path);
  assert.equal(replaced()?.code, 'store_in_use');
  const removed = watchFile(path);
  rmSync(path);
  assert.equal(removed()?.code, 'store_in_use');
});
