/**
 * `gossipd repair`: flags to a repair, and its outcome to words, JSON and an exit code.
 *
 * Opens the store for reading, whatever is asked for. Guards what repair/ cannot see: that the output is not the store
 * itself, that nobody uses a store which is to be replaced, that the new file belongs to who owned the old one.
 */
import { existsSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OperationalError } from '../base/errors.ts';
import { systemClock } from '../observe/system_clock.ts';
import { systemRng } from '../observe/system_rng.ts';
import type { Level } from '../repair/audit.ts';
import { parseTarget } from '../repair/convert.ts';
import { outputExists } from '../repair/in_place.ts';
import { type RepairPlace, type RepairResult, repairStore } from '../repair/repair_store.ts';
import { isTemporaryName } from '../repair/temporary_file.ts';
import { type PatientFile, patientFile } from '../store/patient_file.ts';
import { nodeStoreFolder, type StoreFile, type StoreFolder } from '../store/store_file.ts';
import type { WritableVersion } from '../store/versions.ts';
import { openBackupFile } from './backup_file.ts';
import { ignoredIds, openAuditPorts, usageError } from './check_flags.ts';
import type { Cli, Flags, StorePlace } from './cli.ts';
import { fileHolders, inUse, watchFile } from './file_holders.ts';
import { lockFor, ownedLike } from './file_owner.ts';
import { FindingList } from './finding_list.ts';
import { isBeingWritten } from './live_tail.ts';
import { Output, printJson, printText } from './output.ts';
import { notAStore, type RepairReport, reportDocument, reportExitCode, reportText } from './repair_report.ts';
import { runTask } from './run_task.ts';

const LISTED_FOR_PEOPLE = 20;
const LISTED_AS_JSON = 1000;
/** A node that cannot be seen from here shows itself by what it writes. */
const WATCH_MS = 400;

/** Throws OperationalError: `bad_argument`, `store_missing`, `not_a_store`, `store_in_use`, or what the disk throws. */
export const repair = async (cli: Cli, argument: string | undefined, flags: Flags): Promise<number> => {
  if (flags['output'] !== undefined && flags['inPlace'] === true)
    throw usageError('--output and --in-place exclude each other', 'Leave one of them out.');
  const version = flags['to'] === undefined ? undefined : parseTarget(String(flags['to']));
  const level = String(flags['level'] ?? 'order') as Level;
  const ignore = ignoredIds(flags);
  const place = cli.place(argument, flags);
  const { ports, close } = await openAuditPorts(cli, flags, level);
  const opened: { close: () => void }[] = [];
  try {
    const file = patientFile(place.open());
    opened.push(file);
    const target = await openTarget(cli, place, file, flags);
    opened.push(target);
    const backup = await openBackup(file, flags);
    if (backup !== undefined) opened.push(backup);
    const run = new Run(cli, flags, { place, file, version, target, backup: backup?.file });
    return await run.run({ ...ports, ignore, restoreBits: flags['restoreBits'] !== false });
  } finally {
    for (const each of opened.reverse()) each.close();
    await close();
  }
};

/** Where the result goes, and what must be undone at the end whatever happens. */
interface Target {
  readonly place: RepairPlace | undefined;
  /** Of the file that is written; undefined for a dry run. */
  readonly path: string | undefined;
  /** Processes that read the file which --output --force replaces. */
  readonly replacedHolders: number;
  readonly close: () => void;
}

const openTarget = async (cli: Cli, place: StorePlace, file: PatientFile, flags: Flags): Promise<Target> => {
  if (flags['inPlace'] === true) return inPlaceTarget(cli, place, file);
  if (flags['output'] === undefined)
    return { place: undefined, path: undefined, replacedHolders: 0, close: () => {} };
  return outputTarget(place, file, resolve(String(flags['output'])), flags['force'] === true);
};

const outputTarget = (place: StorePlace, file: StoreFile, path: string, force: boolean): Target => {
  const [folder, name] = [nodeStoreFolder(dirname(path)), basename(path)];
  if (!existsSync(folder.path))
    throw usageError(`there is no folder ${folder.path}`, 'Name a file in a folder that exists.');
  const here = folder.identity(name);
  const source = file.identity();
  if (here !== undefined) {
    if (statSync(path).isDirectory()) throw usageError(`${path} is a folder`, 'Name a file in it.');
    if (here.ino === source.ino && here.dev === source.dev)
      throw usageError(`${path} is the store itself`, 'Name another file, or use --in-place.');
    if (!force) throw outputExists(path);
  }
  removeLeftovers(folder);
  return {
    place: { folder, name, adopt: ownedLike(place.path, folder), how: { kind: 'output', force } },
    path,
    replacedHolders: here === undefined ? 0 : fileHolders(path).length,
    close: () => {},
  };
};

const inPlaceTarget = async (cli: Cli, place: StorePlace, file: PatientFile): Promise<Target> => {
  // A link keeps leading to the file: what it leads to is replaced.
  const path = realpathSync(place.path);
  const [folder, name] = [nodeStoreFolder(dirname(path)), basename(path)];
  refuse(inUse(path));
  const lock = lockFor(path, folder, name);
  try {
    const watch = watchFile(path);
    await sleep(WATCH_MS);
    refuse(watch());
    removeLeftovers(folder);
    return {
      place: {
        folder,
        name,
        adopt: ownedLike(path, folder),
        how: {
          kind: 'in_place',
          toolVersion: cli.version,
          objection: () => inUse(path) ?? watch() ?? unreadable(path, file),
        },
      },
      path,
      replacedHolders: 0,
      close: () => lock.release(),
    };
  } catch (error) {
    lock.release();
    throw error;
  }
};

/** What cannot be read cannot be given back by an undo. */
const unreadable = (path: string, file: PatientFile): OperationalError | undefined => {
  const bytes = file.unreadableBytes();
  if (bytes === 0) return undefined;
  return new OperationalError(
    'disk_error',
    'stop',
    `the disk cannot read ${bytes} bytes of ${path}, so it was not replaced on this disk`,
    'Write the result to another disk with --output.',
  );
};

const refuse = (objection: OperationalError | undefined): void => {
  if (objection !== undefined) throw objection;
};

/** What a repair that was killed has left behind, unless one is at work there. */
const removeLeftovers = (folder: StoreFolder): void => {
  for (const name of folder.list().filter(isTemporaryName)) {
    if (fileHolders(join(folder.path, name)).length === 0) folder.remove(name);
  }
};

const openBackup = async (file: StoreFile, flags: Flags) => {
  if (flags['fromBackup'] === undefined) return undefined;
  const path = String(flags['fromBackup']);
  const backup = await openBackupFile(path);
  const [here, there] = [file.identity(), backup.file.identity()];
  if (here.ino !== there.ino || here.dev !== there.dev) return backup;
  backup.close();
  throw usageError(`${path} is the store itself`, 'Name a backup of it.');
};

interface Job {
  readonly place: StorePlace;
  readonly file: PatientFile;
  readonly version: WritableVersion | undefined;
  readonly target: Target;
  readonly backup: StoreFile | undefined;
}

class Run {
  readonly #cli: Cli;
  readonly #flags: Flags;
  readonly #job: Job;
  readonly #isQuiet: boolean;
  readonly #lines: Output | undefined;
  readonly #list: FindingList;

  constructor(cli: Cli, flags: Flags, job: Job) {
    this.#cli = cli;
    this.#flags = flags;
    this.#job = job;
    this.#isQuiet = flags['quiet'] === true;
    this.#lines = flags['jsonl'] === true && !this.#isQuiet ? new Output() : undefined;
    this.#list = new FindingList(cli.wantsJson(flags) ? LISTED_AS_JSON : LISTED_FOR_PEOPLE);
  }

  async run(judge: Parameters<typeof repairStore>[0]['judge']): Promise<number> {
    const { place, file, version, target, backup } = this.#job;
    const before = file.size();
    const isInPlace = target.place?.how.kind === 'in_place';
    const result = await runTask(this.#flags, (task) =>
      repairStore({
        ...{ file, judge, version },
        live: isInPlace ? false : () => isBeingWritten(file, place.path, before),
        onFinding: (finding) => {
          if (this.#list.add(finding)) this.#lines?.line(JSON.stringify(finding));
        },
        ...(backup === undefined ? {} : { backup }),
        ...(target.place === undefined ? {} : { place: target.place }),
        clock: systemClock(),
        rng: systemRng(),
        task: {
          ...task,
          breathe: async (bytes) => {
            await task.breathe(bytes);
            await this.#lines?.drain();
          },
        },
      }),
    );
    return this.#report(result, judge.level);
  }

  async #report(result: RepairResult, level: Level): Promise<number> {
    const { place, target, file } = this.#job;
    if (result.ended === 'not_a_store') throw notAStore(place.path, file);
    if (result.ended === 'backup_not_a_store')
      throw notAStore(String(this.#flags['fromBackup']), this.#job.backup ?? file);
    const report: RepairReport = {
      ...{ result, level, list: this.#list },
      path: place.path,
      output: target.path,
      folder: target.place?.folder.path,
      isInPlace: target.place?.how.kind === 'in_place',
      replacedHolders: target.replacedHolders,
      unreadableBytes: file.unreadableBytes(),
    };
    const exitCode = reportExitCode(report);
    if (this.#isQuiet) return exitCode;
    if (this.#lines !== undefined) {
      this.#lines.line(JSON.stringify({ summary: reportDocument(report, false) }));
      await this.#lines.drain();
    } else if (this.#cli.wantsJson(this.#flags)) await printJson(reportDocument(report, true));
    else await printText(reportText(report));
    return exitCode;
  }
}
