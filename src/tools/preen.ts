/**
 * `gossipd guard --preen`: what a service manager runs right before lightningd starts. One sentence of output; exits with 0
 * whatever happens to it, but for what was put right, unless --strict.
 */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { OperationalError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import { systemClock } from '../observe/system_clock.ts';
import { systemRng } from '../observe/system_rng.ts';
import { audit } from '../repair/audit.ts';
import { newestGood } from '../repair/backup_ring.ts';
import {
  isHarmful,
  type PreenOutcome,
  type PreenRepair,
  type PreenRestore,
  type PreenSteps,
  preen,
  type QuickCheck,
} from '../repair/preen.ts';
import { repairStore } from '../repair/repair_store.ts';
import { keptName, restoreBackup } from '../repair/restore.ts';
import type { Task } from '../repair/task.ts';
import type { FindingId } from '../store/finding.ts';
import { nodeStoreFolder, type StoreFile, type StoreFolder } from '../store/store_file.ts';
import { backupMachine } from './backup_machine.ts';
import type { Flags, StorePlace } from './cli.ts';
import { EXIT, NO_FUNDS } from './exit_bits.ts';
import { inUse, watchFile } from './file_holders.ts';
import { printJson, printText } from './output.ts';
import { requireUntouched, requireUnused } from './restore.ts';
import { runTask } from './run_task.ts';

export interface PreenFlags {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly strict: boolean;
  readonly backupDir: string | undefined;
  readonly toolVersion: string;
}

/** The guard itself opens the store for some milliseconds in each round. */
const LOOKS = 5;
const BETWEEN_LOOKS_MS = 300;
/** Older headers have another layout, and nothing that runs today reads them. */
const OLDEST_REPAIRED_VERSION = 7;

/** Files of earlier repairs that stay: a node that crashes at every start must not fill its disk with them. */
const KEPT_REPAIRS = 4;
/** Beyond the new file's size: lightningd is about to write. */
const LEAVE_FREE_BYTES = 64 * 1024 * 1024;

const JUDGE = { level: 'order', restoreBits: true, ignore: new Set<FindingId>() } as const;

const unusedSoon = async (path: string): Promise<void> => {
  for (let look = 1; ; look++) {
    try {
      requireUnused(path);
      return;
    } catch (error) {
      if (look === LOOKS || !(error instanceof OperationalError)) throw error;
      await sleep(BETWEEN_LOOKS_MS);
    }
  }
};

const withFile = async <T>(open: () => StoreFile, work: (file: StoreFile) => Promise<T>): Promise<T> => {
  const file = open();
  try {
    return await work(file);
  } finally {
    file.close();
  }
};

const quickCheck = (place: StorePlace, task: Task): Promise<QuickCheck | 'not_a_store' | 'cancelled'> =>
  withFile(place.open, async (file) => {
    const harmful: Partial<Record<FindingId, number>> = {};
    const result = await audit({
      ...{ file, task, rng: systemRng(), level: JUDGE.level, restoreBits: JUDGE.restoreBits, live: false },
      onFinding: ({ id, severity }) => {
        if (isHarmful(severity)) harmful[id] = (harmful[id] ?? 0) + 1;
      },
    });
    if (result.cancelled !== undefined) return 'cancelled';
    if (result.format === undefined) return 'not_a_store';
    return {
      harmful,
      channels: result.channels,
      records: result.records.live,
      version: result.format.version,
    };
  });

/** The newest good backup as a store to take lost records from; a folder that cannot be read must not stop the repair. */
const openBackup = (backups: StoreFolder | undefined, name: string): StoreFile | undefined => {
  try {
    const newest = backups === undefined ? undefined : newestGood(backups, name);
    if (newest === undefined || newest.manifest.compressed) return undefined;
    return backups?.open(newest.file, 'read');
  } catch (error) {
    if (error instanceof OperationalError) return undefined;
    throw error;
  }
};

const repairInPlace = async (
  place: StorePlace,
  options: PreenFlags,
  task: Task,
  backup: StoreFile | undefined,
): Promise<PreenRepair | 'cancelled' | 'backup_not_a_store'> =>
  withFile(place.open, async (file) => {
    const written = watchFile(place.path);
    const {
      ended,
      written: done,
      plan,
      backup_name,
    } = await repairStore({
      ...{ file, judge: JUDGE, live: false, version: undefined, task },
      ...(backup === undefined ? {} : { backup }),
      onFinding: () => {},
      place: {
        folder: place.folder,
        name: place.name,
        how: {
          kind: 'in_place',
          toolVersion: options.toolVersion,
          objection: () => inUse(place.path) ?? written(),
        },
      },
      clock: systemClock(),
      rng: systemRng(),
    });
    if (ended === 'cancelled' || ended === 'backup_not_a_store') return ended;
    if (ended === 'not_a_store' || done === undefined || plan === undefined)
      throw new OperationalError('not_a_store', 'stop', 'nothing in it can be read', 'gossipd check');
    const { records_lost, bytes_lost } = plan.audit;
    return {
      records_kept: done.counts.kept,
      records_lost,
      bytes_lost,
      records_from_backup: done.from_backup,
      kept_as: backup_name,
    };
  });

/** A full disk would end lightningd; what it needs goes before a repair. */
const requireSpace = (place: StorePlace): void => {
  const needed = sizeOf(place) + LEAVE_FREE_BYTES;
  const free = place.folder.freeBytes();
  if (free >= needed) return;
  throw new OperationalError(
    'disk_full',
    'degrade',
    `it needs ${needed} bytes free in ${place.directory}, and ${free} are`,
    'Free disk space, and start lightningd again.',
  );
};

/** Of `NAME.bak-<utc>` and `NAME.undo-<utc>.json`, all but the newest. */
const removeOldRepairs = async (folder: StoreFolder, name: string): Promise<void> => {
  const times = folder.list().flatMap((entry) => {
    const rest = entry.startsWith(`${name}.bak-`) ? entry.slice(name.length + 5) : '';
    return /^\d{8}T\d{6}Z(?:-\d+)?$/.test(rest) ? [rest] : [];
  });
  const old = times.sort().slice(0, -KEPT_REPAIRS);
  for (const time of old) {
    folder.remove(`${name}.undo-${time}.json`);
    folder.remove(`${name}.bak-${time}`);
  }
  if (old.length > 0) await folder.sync();
};

export const stepsFor = (place: StorePlace, options: PreenFlags, task: Task): PreenSteps => {
  const { folder, name, path } = place;
  const { backupDir } = options;
  const backups = backupDir === undefined || !existsSync(backupDir) ? undefined : nodeStoreFolder(backupDir);
  const locked = async <T>(work: () => Promise<T>): Promise<T> => {
    requireSpace(place);
    const lock = folder.lock(`${name}.lock`, silentLog);
    try {
      const result = await work();
      await removeOldRepairs(folder, name);
      return result;
    } finally {
      lock.release();
    }
  };
  const repair = async (): Promise<PreenRepair | 'cancelled'> => {
    const backup = openBackup(backups, name);
    try {
      const repaired = await repairInPlace(place, options, task, backup);
      if (repaired !== 'backup_not_a_store') return repaired;
    } finally {
      backup?.close();
    }
    const alone = await repairInPlace(place, options, task, undefined);
    return alone === 'backup_not_a_store' ? 'cancelled' : alone;
  };
  const restore = async (): Promise<PreenRestore | 'cancelled' | undefined> => {
    if (backups === undefined || newestGood(backups, name) === undefined) return undefined;
    const written = watchFile(path);
    return restoreBackup({
      from: backups,
      file: undefined,
      store: name,
      to: { folder, name },
      version: undefined,
      requireUnused: () => requireUntouched(path, written),
      clock: systemClock(),
      rng: systemRng(),
      task,
      machine: backupMachine(),
    });
  };
  return {
    path,
    size: () => (folder.exists(name) ? sizeOf(place) : undefined),
    requireUnused: () => unusedSoon(path),
    check: () => quickCheck(place, task),
    repair: (version) => (version < OLDEST_REPAIRED_VERSION ? Promise.resolve(undefined) : locked(repair)),
    restore: () => (backups === undefined ? Promise.resolve(undefined) : locked(restore)),
    setAside: () =>
      locked(async () => {
        const kept = keptName(folder, name, systemClock());
        folder.rename(name, kept);
        await folder.sync();
        return kept;
      }),
  };
};

const sizeOf = (place: StorePlace): number => {
  const file = place.open();
  try {
    return file.size();
  } finally {
    file.close();
  }
};

const exitOf = ({ action, harmful, bytes_lost }: PreenOutcome, strict: boolean): number => {
  switch (action) {
    case 'sound':
    case 'absent':
      return EXIT.clean;
    case 'repaired':
      return EXIT.corrected | ((bytes_lost ?? 0) > 0 ? EXIT.lost : 0);
    case 'restored':
    case 'set_aside':
      return EXIT.corrected;
    case 'left':
      if (!strict) return EXIT.clean;
      return Object.keys(harmful).length > 0 ? EXIT.left : EXIT.operational;
  }
};

/** Exit bits: 0 sound, or left alone; 1 put right, 64 added when bytes were lost; with --strict 4 or 8 when left alone. */
export const preenStore = async (place: StorePlace, flags: Flags, options: PreenFlags): Promise<number> => {
  const outcome = await runTask(flags, (task) =>
    // One sentence is all that a service manager's log should have of it.
    preen(stepsFor(place, options, { ...task, progress: () => {} })),
  );
  if (options.json) await printJson({ path: place.path, ...outcome });
  else if (outcome.action === 'left')
    process.stderr.write(`gossipd: warning: ${outcome.message} ${NO_FUNDS}\n`);
  else if (!options.quiet) await printText(`${outcome.message} ${NO_FUNDS}`);
  return exitOf(outcome, options.strict);
};
