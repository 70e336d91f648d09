/** `gossipd backup`: one backup into a folder, and what it says about it. */
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { OperationalError } from '../base/errors.ts';
import { systemClock } from '../observe/system_clock.ts';
import { type BackupOutcome, backUp, sourceIsDamaged } from '../repair/backup.ts';
import { type BackupManifest, isGood } from '../repair/backup_manifest.ts';
import { nodeStoreFolder, type StoreFolder } from '../store/store_file.ts';
import { backupMachine } from './backup_machine.ts';
import type { Flags, StorePlace } from './cli.ts';
import { EXIT, NO_FUNDS } from './exit_bits.ts';
import { printJson, printText } from './output.ts';
import { runTask } from './run_task.ts';

export interface BackupFlags {
  readonly to: string;
  readonly keep: number;
  readonly compress: boolean;
  readonly includePrivate: boolean;
  readonly json: boolean;
  readonly quiet: boolean;
}

/** Backups hold what the store holds, and nobody else's business. */
export const backupFolder = (path: string): StoreFolder => {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new OperationalError(
      'store_not_writable',
      'stop',
      `cannot make the folder ${path}`,
      'Name a folder that this user may write to with --to.',
      error,
    );
  }
  return nodeStoreFolder(resolve(path));
};

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;

const missingText = ({ missing }: BackupManifest): string => {
  const records = missing.records === 0 ? '' : `, at least ${count(missing.records, 'record')}`;
  return `${count(missing.ranges, 'damaged range')} of ${missing.bytes} bytes could not be read${records}`;
};

const damageText = (manifest: BackupManifest): string => {
  const parts = [
    ...(manifest.missing.ranges > 0 ? [missingText(manifest)] : []),
    ...(manifest.records_restored > 0
      ? [`${count(manifest.records_restored, 'header')} had to be put right`]
      : []),
    ...(manifest.records_left_out > 0
      ? [`${count(manifest.records_left_out, 'record')} that readers cannot bear left out`]
      : []),
    ...(manifest.source_version_byte === manifest.version
      ? []
      : [`its version byte is ${manifest.source_version_byte} instead of ${manifest.version}`]),
    ...(manifest.suspect === null ? [] : [`suspect: ${manifest.suspect}`]),
  ];
  return parts.join('; ');
};

const textOf = ({ manifest, removed }: BackupOutcome, folder: StoreFolder): string => {
  const damaged = sourceIsDamaged(manifest);
  const path = `${folder.path}/${manifest.file}`;
  return [
    `${path}: version ${manifest.version}, ${count(manifest.records, 'record')}, ${count(manifest.channels, 'channel')}, ` +
      `${manifest.bytes} bytes, verified.`,
    ...(manifest.private_records_left_out === 0
      ? []
      : [`${count(manifest.private_records_left_out, 'private record')} left out.`]),
    ...(removed.length === 0 ? [] : [`${count(removed.length, 'older backup')} removed.`]),
    ...(damaged ? [`The store needs a look: ${damageText(manifest)}.`] : []),
    ...(isGood(manifest) ? [] : ['It does not take the place of a good backup.']),
    damaged
      ? `Next: gossipd check ${manifest.source}`
      : `To restore: gossipd restore ${path} --to ${manifest.source}`,
    NO_FUNDS,
  ].join('\n');
};

/** Exit bits: 0; 4 the source is damaged or suspiciously small; 32 stopped. Throws OperationalError. */
export const backup = async (place: StorePlace, flags: Flags, options: BackupFlags): Promise<number> => {
  const to = backupFolder(options.to);
  const outcome = await runTask(flags, (task) =>
    backUp({
      source: place,
      to,
      keep: options.keep,
      includePrivate: options.includePrivate,
      compress: options.compress,
      clock: systemClock(),
      task,
      machine: backupMachine(),
    }),
  );
  if (outcome === 'cancelled') {
    if (options.json) await printJson({ cancelled: true });
    else if (!options.quiet)
      await printText('Stopped: no backup was made, and the earlier ones are untouched.');
    return EXIT.cancelled;
  }
  if (options.json) {
    await printJson({
      path: `${to.path}/${outcome.manifest.file}`,
      good: isGood(outcome.manifest),
      ...outcome.manifest,
      removed: outcome.removed,
    });
  } else if (!options.quiet) await printText(textOf(outcome, to));
  return sourceIsDamaged(outcome.manifest) ? EXIT.left : EXIT.clean;
};
