/**
 * runTask: gives a long piece of work its progress bar, Ctrl-C, --max-duration and --io-limit.
 *
 * The tools that read or write whole stores use it. Progress goes to standard error: one row on a terminal, a plain line every
 * few seconds elsewhere, nothing with --quiet; with --progress-fd N lines `done total label` go to that descriptor as well.
 * The first SIGINT or SIGTERM asks the work to stop; a second one ends the process at once.
 */
import { writeSync } from 'node:fs';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import type { Command } from 'commander';
import { OperationalError } from '../base/errors.ts';
import { standardError } from '../observe/line_output.ts';
import { ProgressLine } from '../observe/progress_line.ts';
import { systemClock } from '../observe/system_clock.ts';
import type { Task } from '../repair/task.ts';
import type { Flags } from './cli.ts';

const SHOW_AFTER_MS = 1_000;
const UNITS: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 };
const SECONDS: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600 };

const badArgument = (what: string, example: string): OperationalError =>
  new OperationalError('bad_argument', 'stop', what, `Write it like ${example}.`);

/** `20M` to bytes. */
export const parseBytes = (text: string): number => {
  const match = /^(\d+(?:\.\d+)?)([KMG]?)i?B?$/i.exec(text);
  const unit = UNITS[(match?.[2] ?? '').toUpperCase()];
  if (match === null || unit === undefined) throw badArgument(`"${text}" is no number of bytes`, '20M');
  return Math.floor(Number(match[1]) * unit);
};

/** `90`, `90s`, `5m`, `2h` to seconds. */
export const parseDuration = (text: string): number => {
  const match = /^(\d+(?:\.\d+)?)([smh]?)$/.exec(text);
  const unit = SECONDS[match?.[2] ?? ''];
  if (match === null || unit === undefined) throw badArgument(`"${text}" is no duration`, '90s, 5m or 2h');
  return Number(match[1]) * unit;
};

/** The flags that every long verb takes. */
export const withTaskFlags = (command: Command): Command =>
  command
    .option('--max-duration <time>', 'stop after this long, e.g. 90s or 5m; the result is then partial')
    .option('--io-limit <bytes>', 'read and write at most so many bytes a second, e.g. 20M')
    .option('--progress-fd <number>', 'write progress lines "done total label" to this open descriptor')
    .option('--quiet', 'print nothing: the exit code says it all');

const numberOf = (value: unknown): number | undefined => {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0) throw badArgument(`"${String(value)}" is no descriptor`, '3');
  return number;
};

/** Runs `work` with a Task made from the flags; the signal handlers are gone again when it resolves. */
export const runTask = async <T>(flags: Flags, work: (task: Task) => Promise<T>): Promise<T> => {
  const clock = systemClock();
  const started = clock.monotonicMs();
  const duration =
    flags['maxDuration'] === undefined ? undefined : parseDuration(String(flags['maxDuration']));
  const limit = flags['ioLimit'] === undefined ? undefined : parseBytes(String(flags['ioLimit']));
  const descriptor = numberOf(flags['progressFd']);
  const quiet = flags['quiet'] === true;
  let reason: 'interrupted' | 'max_duration' | undefined;
  let moved = 0;
  let shown: { label: string; line: ProgressLine } | undefined;
  const interrupt = (): void => {
    if (reason === 'interrupted') process.exit(130);
    reason = 'interrupted';
  };
  const task: Task = {
    cancelled: () => {
      if (reason === undefined && duration !== undefined && clock.monotonicMs() - started > duration * 1000)
        reason = 'max_duration';
      return reason;
    },
    progress: (label, done, total) => {
      if (descriptor !== undefined) writeSync(descriptor, `${done} ${total} ${label}\n`);
      if (quiet || clock.monotonicMs() - started < SHOW_AFTER_MS) return;
      if (shown?.label !== label) {
        shown?.line.end();
        shown = { label, line: new ProgressLine({ output: standardError(), clock, label, unit: 'bytes' }) };
      }
      shown.line.update(done, total);
    },
    breathe: async (bytes) => {
      moved += bytes;
      await turn();
      if (limit === undefined || limit === 0) return;
      const ahead = (moved / limit) * 1000 - (clock.monotonicMs() - started);
      // In short naps, so that Ctrl-C is heard.
      for (let left = ahead; left > 0 && task.cancelled() === undefined; left -= 200)
        await sleep(Math.min(left, 200));
    },
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    return await work(task);
  } finally {
    shown?.line.end();
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
};
