/** `gossipd restore`: a backup in the place of a store that nobody has open. */
import { existsSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { OperationalError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import { systemClock } from '../observe/system_clock.ts';
import { systemRng } from '../observe/system_rng.ts';
import { isGood } from '../repair/backup_manifest.ts';
import { parseTarget } from '../repair/convert.ts';
import { type RestoreOutcome, restoreBackup } from '../repair/restore.ts';
import { STORE_NAME } from '../store/format.ts';
import { nodeStoreFolder, type StoreFolder } from '../store/store_file.ts';
import { backupMachine } from './backup_machine.ts';
import type { Flags } from './cli.ts';
import { EXIT, NO_FUNDS } from './exit_bits.ts';
import { fileHolders, watchFile } from './file_holders.ts';
import { printJson, printText } from './output.ts';
import { runTask } from './run_task.ts';

export interface RestoreFlags {
  readonly to: string;
  /** As the user wrote it. */
  readonly version: string | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
}

const isFolder = (path: string): boolean => existsSync(path) && statSync(path).isDirectory();

const missing = (what: string, hint: string): OperationalError =>
  new OperationalError('store_missing', 'stop', what, hint);

interface BackupPlace {
  readonly from: StoreFolder;
  readonly file: string | undefined;
}

const backupPlace = (argument: string): BackupPlace => {
  const path = resolve(argument);
  if (isFolder(path)) return { from: nodeStoreFolder(path), file: undefined };
  if (existsSync(path)) return { from: nodeStoreFolder(dirname(path)), file: basename(path) };
  throw missing(`there is no backup at ${path}`, 'Name a backup, or the folder that holds them.');
};

export interface TargetPlace {
  readonly path: string;
  readonly folder: StoreFolder;
  readonly name: string;
}

const targetPlace = (argument: string): TargetPlace => {
  const given = resolve(argument);
  const path = isFolder(given) ? join(given, STORE_NAME) : given;
  const directory = dirname(path);
  if (!isFolder(directory))
    throw missing(`there is no folder ${directory}`, 'Make it first, or name another place with --to.');
  return { path, folder: nodeStoreFolder(directory), name: basename(path) };
};

/** Throws OperationalError `store_in_use` naming who has the file open. */
export const requireUnused = (path: string): void => {
  const holders = fileHolders(path);
  const [first] = holders;
  if (first === undefined) return;
  const others = holders.length === 1 ? '' : ` and ${holders.length - 1} more`;
  throw new OperationalError(
    'store_in_use',
    'stop',
    `${path} is open in process ${first.pid} (${first.command})${others}`,
    'Stop lightningd or gossipd first, e.g. lightning-cli stop, then run this again.',
  );
};

/** As requireUnused; also throws when the file has changed since `written` began to watch it. */
export const requireUntouched = (path: string, written: () => OperationalError | undefined): void => {
  requireUnused(path);
  const change = written();
  if (change === undefined) return;
  throw new OperationalError(
    change.code,
    'stop',
    change.message,
    'Stop the node, also one in a container, and run this again.',
  );
};

/** Runs `work` while nobody else can write the store: holds the lock of gossipd's own writer. */
export const whileUnused = async <T>(target: TargetPlace, work: () => Promise<T>): Promise<T> => {
  requireUnused(target.path);
  const lock = target.folder.lock(`${target.name}.lock`, silentLog);
  try {
    return await work();
  } finally {
    lock.release();
  }
};

const textOf = (outcome: RestoreOutcome, target: TargetPlace): string => {
  const { file, manifest, version, records, channels, bytes, kept_as, refused } = outcome;
  return [
    ...refused.map((entry) => `Not used: ${entry.file} ${entry.reason}.`),
    `${target.path} is now ${file}${manifest === undefined ? '' : ` of ${manifest.time}`}: version ${version}, ` +
      `${records} records, ${channels} channels, ${bytes} bytes, verified.`,
    ...(manifest === undefined
      ? ['It has no manifest: each of its records is sound, but nobody can say whether it is all of them.']
      : []),
    ...(manifest !== undefined && !isGood(manifest)
      ? [`It is no complete backup (${manifest.suspect ?? `${manifest.missing.ranges} ranges missing`}).`]
      : []),
    ...(kept_as === undefined ? [] : [`The file before is ${target.folder.path}/${kept_as}.`]),
    'Next: start the node; what has changed since the backup comes from peers.',
    NO_FUNDS,
  ].join('\n');
};

const isWhole = ({ manifest }: RestoreOutcome): boolean => manifest !== undefined && isGood(manifest);

/** Exit bits: 0; 4 the backup that was restored is not known to be complete; 32 stopped. Throws OperationalError. */
export const restore = async (argument: string, flags: Flags, options: RestoreFlags): Promise<number> => {
  const { from, file } = backupPlace(argument);
  const target = targetPlace(options.to);
  const version = options.version === undefined ? undefined : parseTarget(options.version);
  const written = watchFile(target.path);
  const outcome = await whileUnused(target, () =>
    runTask(flags, (task) =>
      restoreBackup({
        from,
        file,
        to: target,
        version,
        requireUnused: () => requireUntouched(target.path, written),
        clock: systemClock(),
        rng: systemRng(),
        task,
        machine: backupMachine(),
      }),
    ),
  );
  if (outcome === 'cancelled') {
    if (options.json) await printJson({ cancelled: true });
    else if (!options.quiet) await printText(`Stopped: ${target.path} is as it was.`);
    return EXIT.cancelled;
  }
  if (options.json) {
    const { manifest, ...rest } = outcome;
    await printJson({
      path: target.path,
      ...rest,
      kept_as: rest.kept_as ?? null,
      complete: isWhole(outcome),
      time: manifest?.time ?? null,
    });
  } else if (!options.quiet) await printText(textOf(outcome, target));
  return isWhole(outcome) ? EXIT.clean : EXIT.left;
};
