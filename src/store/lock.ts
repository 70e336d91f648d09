/**
 * One writer for each store: a lock that the kernel gives back however the process ends.
 *
 * store_file hands in the path of the lock file. util-linux's flock(1) is started on a descriptor of ours: it locks the
 * open file description, which we go on holding after it has exited, until we close it or die. The file stays behind,
 * holding the pid of the holder for messages; it is never removed, because removing it would let two processes lock two
 * files of the same name. Where there is no flock(1) (macOS, Windows), the pid file itself is the lock and a holder that no
 * longer runs is displaced; between two processes that start in the same instant that is not airtight.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { OperationalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { StoreLock } from './store_file.ts';

/** Paths that this process holds by pid file: after a crash in a container a new process often has the old one's pid. */
const heldHere = new Set<string>();

const lockedBy = (path: string, holder: string): OperationalError =>
  new OperationalError(
    'store_locked',
    'stop',
    `another gossipd (pid ${holder}) is writing this store; its lock is ${path}`,
    `Stop process ${holder} first, or give this one a folder of its own.`,
  );

const holderOf = (path: string): string => {
  try {
    return /^\d+/.exec(readFileSync(path, 'utf8'))?.[0] ?? 'unknown';
  } catch {
    return 'unknown';
  }
};

const writePid = (fd: number): void => {
  ftruncateSync(fd, 0);
  writeSync(fd, `${process.pid}\n`, 0);
};

/** Whether a process has this number. */
export const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs, and belongs to someone else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
};

const lockByPidFile = (path: string): StoreLock => {
  const held = (pid: number): boolean => (pid === process.pid ? heldHere.has(path) : isRunning(pid));
  for (let attempt = 0; ; attempt++) {
    try {
      const fd = openSync(path, 'wx', 0o600);
      writePid(fd);
      heldHere.add(path);
      return {
        release: () => {
          if (!heldHere.delete(path)) return;
          closeSync(fd);
          rmSync(path, { force: true });
        },
      };
    } catch (error) {
      const exists = error instanceof Error && 'code' in error && error.code === 'EEXIST';
      if (!exists || attempt === 1) throw exists ? lockedBy(path, holderOf(path)) : cannotLock(path, error);
      const holder = holderOf(path);
      if (holder !== 'unknown' && held(Number(holder))) throw lockedBy(path, holder);
      rmSync(path, { force: true });
    }
  }
};

const cannotLock = (path: string, error: unknown): OperationalError =>
  new OperationalError(
    'store_not_writable',
    'stop',
    `cannot open the lock file ${path}`,
    'Check that the folder exists and that this user may write to it.',
    error,
  );

/**
 * Takes the lock or throws OperationalError `store_locked` naming the holder's pid. Blocks for the 2 to 4 ms of one child.
 *
 * @param command the flock(1) program; another name only in tests
 */
export const lockFile = (path: string, log: Log, command = 'flock'): StoreLock => {
  let fd: number;
  try {
    fd = openSync(path, 'a+', 0o600);
  } catch (error) {
    throw cannotLock(path, error);
  }
  const result = spawnSync(command, ['-xn', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', fd],
    timeout: 10_000,
  });
  if (result.status === 0) {
    writePid(fd);
    let open = true;
    return {
      release: () => {
        if (!open) return;
        open = false;
        ftruncateSync(fd, 0);
        closeSync(fd);
      },
    };
  }
  closeSync(fd);
  if (result.status === 1) throw lockedBy(path, holderOf(path));
  log.info('no flock(1) on this machine: the store is guarded by a pid file only', {
    path,
    status: result.status ?? undefined,
    error: result.error?.message,
  });
  return lockByPidFile(`${path}.pid`);
};
