/**
 * The manifest beside a backup: what the backup is a copy of, what it holds, what was missing, and its SHA-256.
 *
 * backup.ts writes it last, so that a backup with a manifest is whole; backup_ring.ts and restore.ts read it. It is JSON,
 * named as the backup with `.json` behind. Names are `<store>-<utc>.bak`, `.bak.gz` when compressed; two of one second get
 * a number. A manifest is read as hostile input: anything that does not fit is no manifest.
 */
import type { Clock } from '../base/time.ts';
import type { GapKind } from '../store/salvage_reader.ts';
import type { StoreFolder } from '../store/store_file.ts';
import { removeQuietly } from './temporary_file.ts';

/** One range of the source that no record could be read from. */
export interface MissingRange {
  readonly offset: number;
  readonly length: number;
  readonly kind: GapKind;
}

/** What of the source is not in the backup. Dead records and, unless asked for, private ones are left out without being missing. */
export interface Missing {
  readonly ranges: number;
  readonly bytes: number;
  /** Records that certainly were there. */
  readonly records: number;
  /** The first MAX_LISTED_RANGES. */
  readonly listed: readonly MissingRange[];
}

export const MAX_LISTED_RANGES = 100;
const MAX_MANIFEST_BYTES = 256 * 1024;
const MANIFEST_FORMAT = 1;

export interface BackupManifest {
  readonly gossipd_backup: number;
  readonly file: string;
  readonly compressed: boolean;
  /** Path of the store that was copied. */
  readonly source: string;
  /** ISO 8601, UTC. */
  readonly time: string;
  /** Version of the store format in the backup. */
  readonly version: number;
  /** What the source had in its first byte; another one is damage. */
  readonly source_version_byte: number;
  /** 8 for versions 3, 4 and early 5. */
  readonly header_bytes: number;
  /** Of the source, as hex; null before version 16. */
  readonly uuid: string | null;
  readonly records: number;
  readonly channels: number;
  readonly channel_updates: number;
  readonly node_announcements: number;
  /** Of the file as it lies there. */
  readonly bytes: number;
  /** Of the store in it; the same unless compressed. */
  readonly store_bytes: number;
  /** Of the file as it lies there, as hex. */
  readonly sha256: string;
  readonly source_bytes: number;
  /** Dead records that were left out. */
  readonly dead_bytes: number;
  readonly private_records_left_out: number;
  /** Sound records whose header the source had damaged. */
  readonly records_restored: number;
  /** Records that no reader should see: end markers, and messages that do not parse. */
  readonly records_left_out: number;
  readonly missing: Missing;
  /** Why it is kept apart from the good ones; null when it is not. */
  readonly suspect: string | null;
}

/** Nothing is missing, and it is not suspiciously small: only such backups are counted by rotation. */
export const isGood = (manifest: BackupManifest): boolean =>
  manifest.missing.ranges === 0 && manifest.suspect === null;

export const manifestName = (backup: string): string => `${backup}.json`;

const NAME = /^(.+)-(\d{8}T\d{6}Z)(?:-(\d{1,4}))?\.bak(\.gz)?$/;

export interface BackupName {
  readonly store: string;
  /** Orders backups by age: later is greater. */
  readonly order: string;
  readonly compressed: boolean;
}

/** Undefined for what is no backup's name. */
export const parseBackupName = (name: string): BackupName | undefined => {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  const [, store = '', utc = '', number = '0', ending] = match;
  return { store, order: `${utc}-${number.padStart(4, '0')}`, compressed: ending !== undefined };
};

/** `20260203T101500Z`: sorts by time and is a legal file name everywhere. */
export const timeInName = (clock: Clock): string =>
  new Date(clock.nowMs()).toISOString().replace(/[-:]|\.\d+/g, '');

/** A name that nothing in the folder has yet. */
export const freeBackupName = (
  folder: StoreFolder,
  store: string,
  clock: Clock,
  compressed: boolean,
): string => {
  const ending = compressed ? '.bak.gz' : '.bak';
  const first = `${store}-${timeInName(clock)}`;
  for (let number = 0; ; number++) {
    const stem = number === 0 ? first : `${first}-${number}`;
    if (!folder.exists(`${stem}.bak`) && !folder.exists(`${stem}.bak.gz`)) return `${stem}${ending}`;
  }
};

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const isText = (value: unknown): value is string => typeof value === 'string';
const isTextOrNull = (value: unknown): boolean => value === null || isText(value);
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const COUNTS = [
  ...['version', 'header_bytes', 'records', 'channels', 'channel_updates', 'node_announcements', 'bytes'],
  ...['store_bytes', 'source_bytes', 'dead_bytes', 'private_records_left_out', 'records_restored'],
  ...['records_left_out', 'source_version_byte'],
];

const isMissing = (value: unknown): boolean =>
  isObject(value) &&
  ['ranges', 'bytes', 'records'].every((key) => isCount(value[key])) &&
  Array.isArray(value['listed']);

const isManifest = (value: unknown): value is BackupManifest =>
  isObject(value) &&
  value['gossipd_backup'] === MANIFEST_FORMAT &&
  COUNTS.every((key) => isCount(value[key])) &&
  ['file', 'source', 'time'].every((key) => isText(value[key])) &&
  typeof value['compressed'] === 'boolean' &&
  /^[0-9a-f]{64}$/.test(String(value['sha256'])) &&
  isTextOrNull(value['uuid']) &&
  isTextOrNull(value['suspect']) &&
  isMissing(value['missing']);

/** Undefined for anything that is no manifest of this format. */
export const parseManifest = (text: string): BackupManifest | undefined => {
  try {
    const value: unknown = JSON.parse(text);
    return isManifest(value) ? value : undefined;
  } catch {
    return undefined;
  }
};

/** The manifest of a backup; undefined when there is none that can be read. Throws what the disk throws. */
export const readManifest = (folder: StoreFolder, backup: string): BackupManifest | undefined => {
  const name = manifestName(backup);
  if (!folder.exists(name)) return undefined;
  const file = folder.open(name, 'read');
  try {
    const size = file.size();
    if (size > MAX_MANIFEST_BYTES) return undefined;
    const bytes = new Uint8Array(size);
    const got = file.read(bytes, 0, size, 0);
    const manifest = parseManifest(new TextDecoder().decode(bytes.subarray(0, got)));
    return manifest?.file === backup ? manifest : undefined;
  } finally {
    file.close();
  }
};

export type ManifestContent = Omit<BackupManifest, 'gossipd_backup'>;

/** Writes the manifest durably and atomically. Throws what the disk throws, leaving nothing. */
export const writeManifest = async (
  folder: StoreFolder,
  content: ManifestContent,
): Promise<BackupManifest> => {
  const manifest: BackupManifest = { gossipd_backup: MANIFEST_FORMAT, ...content };
  const name = manifestName(manifest.file);
  const bytes = new TextEncoder().encode(`${JSON.stringify(manifest, null, 2)}\n`);
  const file = folder.open(`${name}.tmp`, 'create');
  try {
    file.write(bytes, 0);
    await file.dataSync();
    file.close();
    folder.rename(`${name}.tmp`, name);
  } catch (error) {
    removeQuietly(folder, `${name}.tmp`);
    throw error;
  }
  await folder.sync();
  return manifest;
};
