/**
 * Who has a file open: asked before a store is replaced, because whoever holds the old one would go on reading and writing it.
 *
 * On Linux every process's descriptors are looked at, as far as this user may; lightningd is also found by the pid file in
 * its folder, since it often runs as another user. Elsewhere lsof(8) is asked where there is one. A process in another
 * container cannot be seen at all: `watchFile` notices it by what it writes.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { OperationalError } from '../base/errors.ts';
import { isRunning } from '../store/lock.ts';

export interface FileHolder {
  readonly pid: number;
  /** Name of the program. */
  readonly command: string;
}

const PROC = '/proc';

/** Undefined for whatever cannot be looked at: it went away, or belongs to someone else. */
const attempt = <T>(look: () => T): T | undefined => {
  try {
    return look();
  } catch {
    return undefined;
  }
};

const commandOf = (pid: number): string =>
  attempt(() => readFileSync(`${PROC}/${pid}/comm`, 'utf8').trim()) ?? 'unknown';

const holdersByDescriptor = (path: string): FileHolder[] => {
  const wanted = attempt(() => statSync(path));
  const real = attempt(() => realpathSync(path));
  if (wanted === undefined) return [];
  const holders: FileHolder[] = [];
  for (const entry of readdirSync(PROC)) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const folder = `${PROC}/${entry}/fd`;
    const holds = (attempt(() => readdirSync(folder)) ?? []).some((descriptor) => {
      const link = `${folder}/${descriptor}`;
      if (attempt(() => readlinkSync(link)) === real) return true;
      const found = attempt(() => statSync(link));
      return found !== undefined && found.ino === wanted.ino && found.dev === wanted.dev;
    });
    if (holds) holders.push({ pid, command: commandOf(pid) });
  }
  return holders;
};

/** `p123`, then `clightningd`, for each process. */
const holdersByLsof = (path: string): FileHolder[] => {
  const { stdout } = spawnSync('lsof', ['-F', 'pc', '--', path], { encoding: 'utf8', timeout: 10_000 });
  const holders: FileHolder[] = [];
  let pid = 0;
  for (const line of (stdout ?? '').split('\n')) {
    if (line.startsWith('p')) pid = Number(line.slice(1));
    else if (line.startsWith('c')) holders.push({ pid, command: line.slice(1) });
  }
  return holders;
};

/** lightningd keeps its store in LIGHTNING_DIR/NETWORK/gossip_store and its pid in LIGHTNING_DIR/lightningd-NETWORK.pid. */
const lightningdOf = (path: string): FileHolder[] => {
  const folder = attempt(() => dirname(realpathSync(path)));
  if (folder === undefined || basename(path) !== 'gossip_store') return [];
  const text = attempt(() =>
    readFileSync(join(dirname(folder), `lightningd-${basename(folder)}.pid`), 'utf8'),
  );
  const pid = Number(/^\d+/.exec(text ?? '')?.[0] ?? 0);
  if (pid === 0 || !isRunning(pid)) return [];
  // A pid that is left over may belong to any program by now.
  const command = existsSync(PROC) ? commandOf(pid) : 'lightningd';
  return command.startsWith('lightningd') ? [{ pid, command }] : [];
};

/** Other processes that have the file open, or the node that it belongs to; empty when there is no such file. */
export const fileHolders = (path: string): readonly FileHolder[] => {
  if (!existsSync(path)) return [];
  const found = existsSync(`${PROC}/self/fd`) ? holdersByDescriptor(path) : holdersByLsof(path);
  const holders = new Map<number, FileHolder>();
  for (const holder of [...found, ...lightningdOf(path)]) {
    if (holder.pid !== process.pid) holders.set(holder.pid, holder);
  }
  return [...holders.values()];
};

/** OperationalError `store_in_use` when a process has the file open. */
export const inUse = (path: string): OperationalError | undefined => {
  const holders = fileHolders(path);
  const [first] = holders;
  if (first === undefined) return undefined;
  const others = holders.length === 1 ? '' : ` and ${holders.length - 1} more`;
  return new OperationalError(
    'store_in_use',
    'stop',
    `${path} is open in process ${first.pid} (${first.command})${others}, so it was not replaced`,
    'Stop the node (lightning-cli stop) and run this again, or write a new file with --output.',
  );
};

/** Remembers what a file is like; the function it returns says whether somebody has written to it since, or replaced it. */
export const watchFile = (path: string): (() => OperationalError | undefined) => {
  const look = (): string => {
    const found = statSync(path);
    return [found.dev, found.ino, found.size, found.mtimeMs].join(' ');
  };
  const before = attempt(look);
  return () =>
    attempt(look) === before
      ? undefined
      : new OperationalError(
          'store_in_use',
          'stop',
          `${path} was written to meanwhile, so it was not replaced: a process that cannot be seen from here uses it`,
          'Stop the node, also one in a container, and run this again, or write a new file with --output.',
        );
};
