/**
 * `gossipd guard`: rounds of the guard at an interval, until stopped; events to standard output, the state to a file, alerts to
 * a command.
 *
 * A round that fails for want of something is an alert; only wrong flags end the guard. Its own output never holds it up: the
 * alert command runs beside it, and a status file that cannot be written is told once.
 */
import { closeSync, existsSync, fsyncSync, openSync, renameSync, statSync, writeSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { OperationalError } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import { systemClock } from '../observe/system_clock.ts';
import { backUp } from '../repair/backup.ts';
import { newestGood } from '../repair/backup_ring.ts';
import { Guard, type GuardBackups, type GuardEvent } from '../repair/guard.ts';
import type { GuardStatus } from '../repair/guard_status.ts';
import { paced } from '../repair/pace.ts';
import type { Task } from '../repair/task.ts';
import { STORE_NAME } from '../store/format.ts';
import { nodeStoreFolder } from '../store/store_file.ts';
import { AlertCommand } from './alert_command.ts';
import { backupFolder } from './backup.ts';
import { backupMachine, diskFigures, modifiedMs } from './backup_machine.ts';
import type { Flags, StorePlace } from './cli.ts';
import { EXIT, NO_FUNDS } from './exit_bits.ts';
import { Output, printJson, printText } from './output.ts';
import { parseBytes, parseDuration, runTask } from './run_task.ts';

export interface GuardFlags {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly backupDir: string | undefined;
  readonly keep: number;
  readonly compress: boolean;
  readonly interval: string;
  readonly backupEvery: string;
  readonly statusFile: string | undefined;
  readonly onAlert: string | undefined;
  readonly once: boolean;
}

export const DEFAULT_IO_LIMIT = '20M';
const LEAST_INTERVAL_SECONDS = 1;
const NAP_MS = 200;

const isFolder = (path: string): boolean => existsSync(path) && statSync(path).isDirectory();

/** A store that need not be there: it may come back, or lightningd may make it. */
export const guardPlace = (argument: string | undefined, find: () => StorePlace): StorePlace => {
  if (argument === undefined) return find();
  const given = resolve(argument);
  const path = isFolder(given) ? join(given, STORE_NAME) : given;
  const [directory, name] = [dirname(path), basename(path)];
  if (!isFolder(directory)) return find();
  const folder = nodeStoreFolder(directory);
  return { path, directory, name, folder, open: () => folder.open(name, 'read') };
};

const megabytes = (bytes: number): string => `${(bytes / 1_000_000).toFixed(1)} MB`;

const eventText = (event: GuardEvent): string => {
  switch (event.event) {
    case 'alert':
      return event.state === 'raised'
        ? `${event.time} ${event.severity.toUpperCase()} ${event.id}: ${event.message}\n  Next: ${event.hint}`
        : `${event.time} resolved ${event.id}, raised ${event.since}`;
    case 'replaced':
      return `${event.time} the store was replaced: ${megabytes(event.bytes_before)} before, ${megabytes(event.bytes)} now`;
    case 'backup':
      return `${event.time} backup ${event.manifest.file}: ${event.manifest.channels} channels, ${megabytes(event.manifest.bytes)}`;
  }
};

const statusText = ({ path, state, store, alerts }: GuardStatus): string => {
  const holds =
    store === null
      ? ''
      : ` Version ${store.version}, ${megabytes(store.bytes)}, ${store.records} records, ${store.channels} channels.`;
  const verdict =
    state === 'ok' ? 'nothing to report' : `${alerts.length} alert${alerts.length === 1 ? '' : 's'}`;
  return `${path}: ${verdict}.${holds}\n${NO_FUNDS}`;
};

/** Replaces the file in one step, so that who reads it sees a whole document. */
const writeStatus = (path: string, status: GuardStatus): void => {
  const temporary = `${path}.tmp`;
  const descriptor = openSync(temporary, 'w', 0o644);
  try {
    writeSync(descriptor, `${JSON.stringify(status, null, 2)}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, path);
};

/** Writes the state after each round; tells once when that fails, and once more when it fails again later. */
const statusWriter = (path: string | undefined, tell: (message: string) => void) => {
  let failed = false;
  return (status: GuardStatus): void => {
    if (path === undefined) return;
    try {
      writeStatus(path, status);
      failed = false;
    } catch (error) {
      if (!failed) tell(`cannot write the status file ${path}: ${String(error)}`);
      failed = true;
    }
  };
};

const seconds = (text: string, least: number): number => {
  const value = parseDuration(text);
  if (value >= least) return value;
  throw new OperationalError('bad_argument', 'stop', `"${text}" is too short`, 'Use 60s, 5m or 1h.');
};

const tellError = (message: string): void => {
  process.stderr.write(`gossipd guard: ${message}\n`);
};

interface Pace {
  readonly clock: Clock;
  readonly newTask: () => Task;
}

const backupsOf = (
  place: StorePlace,
  options: GuardFlags,
  everyMs: number,
  { clock, newTask }: Pace,
): GuardBackups | undefined => {
  if (options.backupDir === undefined) return undefined;
  const to = backupFolder(options.backupDir);
  return {
    path: to.path,
    everyMs,
    newestGood: () => newestGood(to, place.name)?.manifest,
    take: () =>
      backUp({
        source: place,
        to,
        keep: options.keep,
        includePrivate: false,
        compress: options.compress,
        clock,
        task: newTask(),
        machine: backupMachine(),
      }),
  };
};

/** Exit bits of a single round. */
const exitOf = ({ alerts }: GuardStatus): number => {
  const operational = alerts.some(
    ({ id }) => id === 'missing' || id === 'unreadable' || id === 'backup_failed',
  );
  const left = alerts.some(({ id }) => id !== 'missing' && id !== 'unreadable' && id !== 'backup_failed');
  return (left ? EXIT.left : 0) | (operational ? EXIT.operational : 0);
};

const sleepUnlessStopped = async (task: Task, clock: Clock, ms: number): Promise<void> => {
  const until = clock.monotonicMs() + ms;
  for (let left = ms; left > 0 && task.cancelled() === undefined; left = until - clock.monotonicMs())
    await new Promise<void>((wake) => {
      clock.after(Math.min(left, NAP_MS), wake);
    });
};

/** Exit bits: 0 when stopped; of a single round 4 when something is wrong with the store or the disk, 8 when it cannot be read, 32 when it was stopped. */
export const guard = async (place: StorePlace, flags: Flags, options: GuardFlags): Promise<number> => {
  const intervalMs = seconds(options.interval, LEAST_INTERVAL_SECONDS) * 1000;
  const everyMs = seconds(options.backupEvery, LEAST_INTERVAL_SECONDS) * 1000;
  const ioLimit = parseBytes(String(flags['ioLimit'] ?? DEFAULT_IO_LIMIT));
  const clock = systemClock();
  const output = new Output();
  const saveStatus = statusWriter(options.statusFile, tellError);
  const command = options.onAlert === undefined ? undefined : new AlertCommand(options.onAlert, tellError);
  const onEvent = (event: GuardEvent): void => {
    if (event.event === 'alert') command?.push(event);
    if (options.quiet || (options.json && options.once)) return;
    output.line(options.json ? JSON.stringify(event) : eventText(event));
  };
  // Each pass has its own budget; runTask would spread one over the guard's whole life.
  const { status, stopped } = await runTask({ ...flags, ioLimit: undefined }, async (task) => {
    const state = () => ({ status: watching.status(), stopped: task.cancelled() !== undefined });
    const newTask = (): Task => paced(task, clock, ioLimit);
    const watching = new Guard({
      folder: place.folder,
      name: place.name,
      path: place.path,
      clock,
      newTask,
      disk: () => diskFigures(place.directory),
      modifiedMs: (name) => modifiedMs(place.directory, name),
      backups: backupsOf(place, options, everyMs, { clock, newTask }),
      onEvent,
    });
    for (;;) {
      await watching.round(!options.once);
      await output.drain();
      saveStatus(watching.status());
      if (options.once || task.cancelled() !== undefined) return state();
      await sleepUnlessStopped(task, clock, intervalMs);
      if (task.cancelled() !== undefined) return state();
    }
  });
  await command?.idle();
  if (!options.once) return EXIT.clean;
  if (options.json) await printJson(status);
  else if (!options.quiet) await printText(statusText(status));
  return exitOf(status) | (stopped ? EXIT.cancelled : 0);
};
