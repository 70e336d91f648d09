/**
 * writeRepaired: the second pass of a repair or conversion: writes what a plan keeps into a new file, and makes it durable.
 *
 * repair_store hands in a plan, a name that leads to nothing yet, and what is taken from a backup. The order in the new file:
 * channels from the backup first, so that whatever the damaged store still has of them follows them; then the damaged
 * store's records in their own order; then newer updates and node announcements from the backup.
 * The sources are only read. When the disk refuses, or the task is cancelled, nothing is left under the name.
 */
import type { StoreFolder } from '../store/store_file.ts';
import type { StoreFormat } from '../store/versions.ts';
import type { BackupChoice } from './backup_choice.ts';
import { noMoves, type RepairPlan } from './plan.ts';
import type { PositionSet } from './positions.ts';
import { type CopyCounts, RecordCopier } from './record_copier.ts';
import { RecordSink } from './record_sink.ts';
import type { Task } from './task.ts';
import { removeQuietly } from './temporary_file.ts';

export interface WriteJob {
  readonly plan: RepairPlan;
  readonly backup?: BackupChoice;
  /** Of the new file: version 7 to 16. */
  readonly format: StoreFormat;
  /** 32 bytes; unused below version 16. */
  readonly uuid: Uint8Array;
}

export interface Written {
  /** Of the damaged store's records. */
  readonly counts: CopyCounts;
  /** Records taken from the backup. */
  readonly from_backup: number;
  /** Records in the new file. */
  readonly records: number;
  readonly bytes: number;
}

/** Throws what the disk throws. @param name where nothing is yet */
export const writeRepaired = async (
  job: WriteJob,
  folder: StoreFolder,
  name: string,
  task: Task,
): Promise<Written | 'cancelled'> => {
  let written: Written | 'cancelled' = 'cancelled';
  try {
    const file = folder.open(name, 'create');
    try {
      const sink = new RecordSink(file, job.format, job.uuid);
      const copied = await copyAll(job, sink, task);
      if (copied !== 'cancelled') {
        sink.flush();
        await file.dataSync();
        written = { ...copied, records: sink.records, bytes: sink.size };
      }
    } finally {
      file.close();
    }
  } catch (error) {
    removeQuietly(folder, name);
    throw error;
  }
  if (written === 'cancelled') folder.remove(name);
  return written;
};

const copyAll = async (
  { plan, backup }: WriteJob,
  sink: RecordSink,
  task: Task,
): Promise<Pick<Written, 'counts' | 'from_backup'> | 'cancelled'> => {
  let fromBackup = 0;
  const takeFromBackup = async (only: PositionSet | undefined): Promise<boolean> => {
    if (backup === undefined || only === undefined || only.size === 0) return true;
    const { source, drops, amounts } = backup.plan;
    const copier = new RecordCopier({ source, drops, amounts, moves: noMoves(), only }, sink);
    const before = sink.records;
    const whole = await copier.run(task, 'writing from the backup');
    fromBackup += sink.records - before;
    return whole;
  };
  if (!(await takeFromBackup(backup?.announcements))) return 'cancelled';
  const { drops, amounts } = backup ?? plan;
  const copier = new RecordCopier({ source: plan.source, drops, amounts, moves: plan.moves }, sink);
  if (!(await copier.run(task, 'writing'))) return 'cancelled';
  if (!(await takeFromBackup(backup?.others))) return 'cancelled';
  return { counts: copier.counts, from_backup: fromBackup };
};
