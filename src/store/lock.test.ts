import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { OperationalError } from '../base/errors.ts';
import { recordingLog, silentLog } from '../base/log.ts';
import { lockFile } from './lock.ts';
import type { Lines } from './store_samples.test.support.ts';

const inFolder = async (use: (path: string) => Promise<void> | void): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'gossipd-lock-'));
  try {
    await use(join(folder, 'gossip_store.lock'));
  } finally {
    rmSync(folder, { recursive: true });
  }
};

const isLocked =
  (pid: number, path: string) =>
  (error: unknown): boolean =>
    error instanceof OperationalError &&
    error.code === 'store_locked' &&
    error.action === 'stop' &&
    error.message.includes(String(pid)) &&
    error.message.includes(path);

/** A process that takes the lock and then waits to be killed. */
const holder = async (path: string, command: string) => {
  const module = new URL('./lock.js', import.meta.url).href;
  const script = `
    const { lockFile } = await import(${JSON.stringify(module)});
    const log = { info() {} };
    lockFile(${JSON.stringify(path)}, log, ${JSON.stringify(command)});
    process.stdout.write('held');
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
};

for (const command of ['flock', 'no-such-program-flock']) {
  const path = (lock: string): string => (command === 'flock' ? lock : `${lock}.pid`);

  test(`store_locked names the holder and the file (${command})`, async () => {
    await inFolder((lock) => {
      const first = lockFile(lock, silentLog, command);
      assert.equal(readFileSync(path(lock), 'utf8'), `${process.pid}\n`);
      assert.throws(() => lockFile(lock, silentLog, command), isLocked(process.pid, path(lock)));
      first.release();
      first.release();
      lockFile(lock, silentLog, command).release();
    });
  });

  test(`a holder that was killed holds nothing (${command})`, async () => {
    await inFolder(async (lock) => {
      const child = await holder(lock, command);
      assert.throws(() => lockFile(lock, silentLog, command), isLocked(child.pid ?? 0, path(lock)));
      child.kill('SIGKILL');
      await once(child, 'exit');
      lockFile(lock, silentLog, command).release();
    });
  });
}

test('without flock(1) the log says so, and a stale pid file that names this very pid is displaced', async () => {
  await inFolder((lock) => {
    const lines: Lines = [];
    writeFileSync(`${lock}.pid`, `${process.pid}\n`);
    lockFile(lock, recordingLog(lines), 'no-such-program-flock').release();
    assert.deepEqual(
      lines.map(({ level }) => level),
      ['info'],
    );
  });
});

test('store_not_writable when the lock file cannot be made', async () => {
  await inFolder((lock) => {
    assert.throws(
      () => lockFile(join(lock, 'nowhere', 'x'), silentLog),
      (error) => error instanceof OperationalError && error.code === 'store_not_writable',
    );
  });
});
