/** Runs repairs on a simulated disk, and looks at what they leave there. */
import assert from 'node:assert/strict';
import { bytesEqual, toHex } from '../base/bytes.ts';
import type { OperationalError } from '../base/errors.ts';
import { type Rng, seededRng } from '../base/rng.ts';
import { ManualClock } from '../base/time.ts';
import type { GoodStore } from '../store/damaged_stores.test.support.ts';
import type { Finding } from '../store/finding.ts';
import { MemoryFolder } from '../store/memory_folder.test.support.ts';
import { SalvageReader } from '../store/salvage_reader.ts';
import { type StoreFormat, storeFormat, type WritableVersion } from '../store/versions.ts';
import { audit } from './audit.ts';
import { type RepairPlace, type RepairResult, repairStore } from './repair_store.ts';
import { quietTask, type Task } from './task.ts';

export const STORE = 'gossip_store';
export const OUTPUT = 'repaired';

export interface BenchOptions {
  readonly version?: WritableVersion;
  readonly backup?: Uint8Array;
  readonly inPlace?: boolean;
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly ignore?: readonly string[];
  readonly restoreBits?: boolean;
  readonly task?: Task;
  readonly rng?: Rng;
  readonly objection?: () => OperationalError | undefined;
}

export interface BenchResult extends RepairResult {
  readonly findings: readonly Finding[];
}

/** A folder with the store in it. */
export const folderWith = (store: Uint8Array): MemoryFolder => {
  const folder = new MemoryFolder();
  folder.place(STORE, store);
  return folder;
};

/** Repairs `gossip_store` of the folder into `repaired`, or in place. */
export const repairIn = async (folder: MemoryFolder, options: BenchOptions = {}): Promise<BenchResult> => {
  const findings: Finding[] = [];
  if (options.backup !== undefined) folder.place('backup', options.backup);
  const how: RepairPlace['how'] =
    options.inPlace === true
      ? { kind: 'in_place', toolVersion: '1.2.3', objection: options.objection ?? (() => undefined) }
      : { kind: 'output', force: options.force ?? false };
  const result = await repairStore({
    file: folder.open(STORE, 'read'),
    judge: {
      level: 'order',
      restoreBits: options.restoreBits ?? true,
      ignore: new Set(options.ignore ?? []),
    },
    live: false,
    onFinding: (finding) => findings.push(finding),
    version: options.version,
    ...(options.backup === undefined ? {} : { backup: folder.open('backup', 'read') }),
    ...(options.dryRun === true
      ? {}
      : { place: { folder, name: options.inPlace === true ? STORE : OUTPUT, how } }),
    clock: new ManualClock(),
    rng: options.rng ?? seededRng(7),
    task: options.task ?? quietTask,
  });
  return { ...result, findings };
};

/** Every live message but the uuid as hex, in file order. */
export const messagesOf = (bytes: Uint8Array, format = formatOf(bytes)): string[] => {
  const folder = folderWith(bytes);
  const reader = new SalvageReader(folder.open(STORE, 'read'), { format });
  const messages: string[] = [];
  for (let step = reader.next(); step !== 'end'; step = reader.next()) {
    if (step !== 'live' || reader.record.type === 4107) continue;
    const { bytes: from, at, length } = reader.record;
    messages.push(toHex(from, at, at + length));
  }
  return messages;
};

export const formatOf = (bytes: Uint8Array): StoreFormat => {
  const format = storeFormat(bytes[0] ?? 0);
  assert.ok(format !== undefined, `no format for version ${bytes[0]}`);
  return format;
};

/** Findings of at least `warn` in a store, by id; `{}` when it is in order. */
export const wrongsOf = async (bytes: Uint8Array): Promise<Record<string, number>> => {
  const wrongs: Record<string, number> = {};
  await audit({
    file: folderWith(bytes).open(STORE, 'read'),
    level: 'order',
    task: quietTask,
    rng: seededRng(1),
    restoreBits: false,
    live: false,
    onFinding: ({ id, severity }) => {
      if (severity !== 'info') wrongs[id] = (wrongs[id] ?? 0) + 1;
    },
  });
  return wrongs;
};

export const namesIn = (folder: MemoryFolder): string[] => [...folder.list()].sort();

/** The same of a good store. */
export const messagesIn = (store: GoodStore): string[] =>
  store.records
    .filter(({ type, flags }) => type !== 4107 && (flags & 0x8000) === 0)
    .map(({ bytes }) => toHex(bytes));

/** Repairs `damaged`, and holds the result to what every result must be. */
export const repaired = async (damaged: Uint8Array, options: BenchOptions = {}) => {
  const folder = folderWith(damaged);
  const result = await repairIn(folder, options);
  assert.equal(result.ended, 'done');
  assert.ok(bytesEqual(folder.contents(STORE), damaged), 'the source was changed');
  const output = folder.contents(OUTPUT);
  assert.equal(result.written?.left, 0);
  assert.equal(result.written?.bytes, output.length);
  return { ...result, output, folder, messages: messagesOf(output) };
};
