/**
 * repairStore: plan, write, check what was written, and only then give it its name.
 *
 * `gossipd repair` and `gossipd convert` hand in the open source, how to judge it, and where the result goes; without a place
 * it is a dry run. What leaving records out brings to light (a node whose first channel is gone, say) shows in the check
 * of the result, which is then the plan of one more round. The source is only read. Nothing half done has a name: when
 * the disk refuses, the task is cancelled or the check fails, what was begun is removed.
 */
import { OperationalError } from '../base/errors.ts';
import type { Rng } from '../base/rng.ts';
import type { Clock } from '../base/time.ts';
import type { Finding } from '../store/finding.ts';
import { FIRST_RECORD_POSITION, UUID_BYTES } from '../store/format.ts';
import { quarantine } from '../store/quarantine.ts';
import type { StoreFile, StoreFolder } from '../store/store_file.ts';
import type { StoreFormat, WritableVersion } from '../store/versions.ts';
import { GOSSIP_STORE_UUID } from '../wire/store_record.ts';
import { type BackupChoice, chooseFromBackup } from './backup_choice.ts';
import { targetFormat } from './convert.ts';
import { publishInPlace, publishOutput } from './in_place.ts';
import { openReader } from './live_records.ts';
import { type PlanOptions, planRepair, type RepairPlan } from './plan.ts';
import type { CopyCounts } from './record_copier.ts';
import type { Task } from './task.ts';
import { removeQuietly, temporaryName } from './temporary_file.ts';
import { type Written, writeRepaired } from './write_repaired.ts';

/** Each further round is for what the one before brought to light; two have been enough for everything we could think of. */
const MAX_ROUNDS = 4;

/** Where the result goes. */
export interface RepairPlace {
  readonly folder: StoreFolder;
  readonly name: string;
  /** Called with the name of each file that is made, before the result gets its own: to give it owner and mode. */
  readonly adopt?: (name: string) => void;
  readonly how:
    | { readonly kind: 'output'; readonly force: boolean }
    | {
        readonly kind: 'in_place';
        readonly toolVersion: string;
        /** Asked right before the store is replaced. */
        readonly objection: () => OperationalError | undefined;
      };
}

export interface RepairOptions {
  readonly file: StoreFile;
  /** How to judge records, in the source, in the backup and in the result. */
  readonly judge: Omit<PlanOptions, 'file' | 'task' | 'rng' | 'onFinding' | 'live'>;
  readonly live: PlanOptions['live'];
  readonly onFinding: (finding: Finding) => void;
  /** The source's own version unless given. */
  readonly version: WritableVersion | undefined;
  /** A store of any version to take lost records from; only read. */
  readonly backup?: StoreFile;
  /** A dry run unless given. */
  readonly place?: RepairPlace;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly task: Task;
}

export interface RepairResult {
  readonly ended: 'done' | 'cancelled' | 'not_a_store' | 'backup_not_a_store';
  readonly plan?: RepairPlan;
  /** Of the new file. */
  readonly format?: StoreFormat;
  /** Records that a backup has and the store has lost. */
  readonly in_backup: number;
  /** Undefined after a dry run, and after a repair in place that had nothing to do. */
  readonly written?: {
    readonly counts: CopyCounts;
    readonly from_backup: number;
    readonly bytes: number;
    /** Findings of at least `warn` that are left in the new file and that writing could put right. */
    readonly left: number;
  };
  /** Name of the index of what was set aside. */
  readonly quarantine?: string;
  /** After a repair in place: names of the old file and of the journal. */
  readonly backup_name?: string;
  readonly undo?: string;
}

/** Throws OperationalError, with nothing left behind. */
export const repairStore = async (options: RepairOptions): Promise<RepairResult> => {
  const { file, judge, live, onFinding, rng, task, place } = options;
  const plan = await planRepair({ ...judge, file, live, onFinding, rng, task });
  if (plan === 'cancelled' || plan === 'not_a_store') return { ended: plan, in_backup: 0 };
  const format = targetFormat(plan.source.format, options.version);
  const choice = await choose(options, plan);
  if (choice === 'cancelled' || choice === 'backup_not_a_store') return { ended: choice, in_backup: 0 };
  if (place === undefined || (place.how.kind === 'in_place' && isInOrder(plan, format, choice)))
    return { ended: 'done', plan, format, in_backup: takenFrom(choice) };
  requireSpace(place, plan.source.bytes);
  return new Repair(options, place, plan, format).run(choice);
};

const choose = async (
  { backup, judge, rng, task }: RepairOptions,
  plan: RepairPlan,
): Promise<BackupChoice | undefined | 'cancelled' | 'backup_not_a_store'> => {
  if (backup === undefined) return undefined;
  const there = await planRepair({
    ...{ ...judge, file: backup, rng, task, live: false },
    onFinding: () => {},
  });
  if (there === 'not_a_store') return 'backup_not_a_store';
  return there === 'cancelled' ? there : chooseFromBackup(plan, there, rng, task);
};

/** An announcement comes with its amount. */
const takenFrom = (choice: BackupChoice | undefined): number =>
  choice === undefined ? 0 : 2 * choice.announcements.size + choice.others.size;

/** Nothing would be better for writing the store again in its place. */
const isInOrder = (plan: RepairPlan, format: StoreFormat, choice: BackupChoice | undefined): boolean =>
  plan.work === 0 &&
  plan.counts['GS-DEAD-WEIGHT'] === undefined &&
  plan.source.format === format &&
  takenFrom(choice) === 0;

/** Of the size of the store; must be free for a repair in place. */
const SPACE_FACTOR = 2.2;

const requireSpace = ({ folder, how }: RepairPlace, bytes: number): void => {
  if (how.kind !== 'in_place') return;
  const [free, wanted] = [folder.freeBytes(), Math.ceil(bytes * SPACE_FACTOR)];
  if (free >= wanted) return;
  throw new OperationalError(
    'disk_full',
    'stop',
    `a repair in place wants ${wanted} bytes free in ${folder.path}, and there are ${free}; nothing was changed`,
    'Free disk space, or write to another disk with --output.',
  );
};

/** The uuid of a file that starts with one. */
const uuidOf = ({ source }: RepairPlan): Uint8Array | undefined => {
  if (!source.format.hasUuid) return undefined;
  const reader = openReader(source);
  if (reader.next() !== 'live' || reader.position !== FIRST_RECORD_POSITION) return undefined;
  const { bytes, at, type } = reader.record;
  return type === GOSSIP_STORE_UUID ? bytes.slice(at + 2, at + 2 + UUID_BYTES) : undefined;
};

const unsound = (path: string): OperationalError =>
  new OperationalError(
    'result_unsound',
    'stop',
    `what was written for ${path} reads back differently, so it was removed`,
    'Look at the disk and the memory: dmesg tells whether they report errors. The store itself is as it was.',
  );

/** Writing one result; `#begun` are the files that must be gone unless it succeeds. */
class Repair {
  readonly #options: RepairOptions;
  readonly #place: RepairPlace;
  readonly #plan: RepairPlan;
  readonly #format: StoreFormat;
  readonly #begun = new Set<string>();

  constructor(options: RepairOptions, place: RepairPlace, plan: RepairPlan, format: StoreFormat) {
    this.#options = options;
    this.#place = place;
    this.#plan = plan;
    this.#format = format;
  }

  async run(choice: BackupChoice | undefined): Promise<RepairResult> {
    try {
      const result = await this.#work(choice);
      if (result.ended !== 'done') this.#removeBegun();
      return result;
    } catch (error) {
      this.#removeBegun();
      throw error;
    }
  }

  async #work(choice: BackupChoice | undefined): Promise<RepairResult> {
    const format = this.#format;
    const made = await this.#rounds(choice);
    if (made === 'cancelled') return { ended: made, in_backup: 0 };
    const { temporary, ...written } = made;
    const aside = await this.#setAside();
    const names = await this.#publish(temporary);
    if (names === 'cancelled') return { ended: names, in_backup: 0 };
    return {
      ...{ ended: 'done', plan: this.#plan, format, written, in_backup: takenFrom(choice) },
      ...(aside === undefined ? {} : { quarantine: aside }),
      ...names,
    };
  }

  /** Writes, checks what was written, and writes again what the check would still change. */
  async #rounds(choice: BackupChoice | undefined) {
    const { folder } = this.#place;
    let plan = this.#plan;
    let written = await this.#write(plan, choice);
    if (written === 'cancelled') return written;
    const { counts } = written.result;
    const fromBackup = written.result.from_backup;
    for (let round = 1; ; round++) {
      const check = await this.#check(written.temporary, written.result);
      if (check === 'cancelled') return check;
      const { plan: next, file } = check;
      try {
        if (next.work === 0 || round === MAX_ROUNDS) {
          const { bytes } = written.result;
          return { temporary: written.temporary, counts, from_backup: fromBackup, bytes, left: next.work };
        }
        const before: string = written.temporary;
        plan = next;
        written = await this.#write(plan, undefined);
        if (written === 'cancelled') return written;
        addRound(counts, written.result.counts);
        folder.remove(before);
        this.#begun.delete(before);
      } finally {
        file.close();
      }
    }
  }

  async #write(plan: RepairPlan, choice: BackupChoice | undefined) {
    const { rng, task } = this.#options;
    const { folder, name } = this.#place;
    const temporary = temporaryName(name, rng);
    this.#begun.add(temporary);
    const job = {
      ...{ plan, format: this.#format, uuid: this.#uuid(plan, choice) },
      ...(choice === undefined ? {} : { backup: choice }),
    };
    const result = await writeRepaired(job, folder, temporary, task);
    return result === 'cancelled' ? result : { temporary, result };
  }

  /** A copy in which every record keeps its place is the same file to those who follow it; anything else is another one. */
  #uuid(plan: RepairPlan, choice: BackupChoice | undefined): Uint8Array {
    const isCopy =
      plan.work === 0 &&
      plan.drops.size === 0 &&
      plan.audit.dead_bytes === 0 &&
      choice === undefined &&
      plan.source.format === this.#format;
    return (isCopy ? uuidOf(plan) : undefined) ?? this.#options.rng.bytes(UUID_BYTES);
  }

  /** Reads the new file as a stranger's. The file stays open for the round that may follow. */
  async #check(temporary: string, written: Written) {
    const { judge, rng, task } = this.#options;
    const { folder, name } = this.#place;
    const file = folder.open(temporary, 'read');
    let keepsOpen = false;
    try {
      const plan = await planRepair({
        ...{ ...judge, file, rng, task, live: false },
        onFinding: () => {},
      });
      if (plan === 'cancelled') return plan;
      const isWhole =
        plan !== 'not_a_store' &&
        plan.audit.bytes === written.bytes &&
        plan.audit.records.live === written.records &&
        plan.source.format === this.#format;
      if (!isWhole) throw unsound(`${folder.path}/${name}`);
      keepsOpen = true;
      return { plan, file };
    } finally {
      if (!keepsOpen) file.close();
    }
  }

  /** What no record could be read from is kept beside the result. */
  async #setAside(): Promise<string | undefined> {
    const { file, clock } = this.#options;
    const { folder, name, adopt } = this.#place;
    if (this.#plan.quarantine.length === 0) return undefined;
    const index = await quarantine(folder, name, file, this.#plan.quarantine, clock);
    const copy = index.replace(/\.json$/, '.bin');
    this.#begun.add(index).add(copy);
    adopt?.(index);
    adopt?.(copy);
    return index;
  }

  async #publish(temporary: string) {
    const { clock, task } = this.#options;
    const { folder, name, how, adopt } = this.#place;
    if (task.cancelled() !== undefined) return 'cancelled';
    adopt?.(temporary);
    if (how.kind === 'output') {
      await publishOutput(folder, temporary, name, how.force);
      return {};
    }
    const { toolVersion, objection } = how;
    const names = await publishInPlace({
      ...{ folder, name, temporary, toolVersion, objection, clock, task },
      ...(adopt === undefined ? {} : { adopt }),
      versionFrom: this.#plan.audit.version_byte ?? 0,
      versionTo: this.#format.version,
    });
    return names === 'cancelled' ? names : { backup_name: names.backup, undo: names.journal };
  }

  #removeBegun(): void {
    for (const name of this.#begun) removeQuietly(this.#place.folder, name);
  }
}

/** What a further round has left out was kept by the one before. */
const addRound = (total: CopyCounts, round: CopyCounts): void => {
  total.kept -= round.dropped;
  total.dropped += round.dropped;
  total.moved += round.moved;
  total.amounts_added += round.amounts_added;
};
