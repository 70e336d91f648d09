/**
 * preen: makes a store fit for lightningd right before it starts, and never stands in the way of that start.
 *
 * tools/guard hands in the quick check, the repair and the restore as functions, so that this file is only the decision: what
 * is sound or merely untidy stays as it is; what makes CLN drop its whole map or crash is repaired into a new file; where
 * that fails, the newest good backup takes its place; where that fails too, the file is left alone and the reason is told. An
 * empty file is set aside, because CLN up to v25.12 aborts on one and makes a new store where there is none.
 */
import { OperationalError } from '../base/errors.ts';
import type { FindingId, Severity } from '../store/finding.ts';

export interface QuickCheck {
  /** Findings by id that make CLN drop the store or crash. */
  readonly harmful: Readonly<Partial<Record<FindingId, number>>>;
  readonly channels: number;
  readonly records: number;
  /** Of the store. */
  readonly version: number;
}

export interface PreenRepair {
  readonly records_kept: number;
  readonly records_lost: number;
  readonly bytes_lost: number;
  readonly records_from_backup: number;
  /** Name of the file that was replaced. */
  readonly kept_as: string | undefined;
}

export interface PreenRestore {
  readonly file: string;
  readonly channels: number;
}

export interface PreenSteps {
  readonly path: string;
  /** Bytes of the file; undefined when there is none. Throws what the disk throws. */
  readonly size: () => number | undefined;
  /** Throws OperationalError when a process has the file open. */
  readonly requireUnused: () => Promise<void>;
  readonly check: () => Promise<QuickCheck | 'not_a_store' | 'cancelled'>;
  /** Undefined when this version of the store cannot be written. */
  readonly repair: (version: number) => Promise<PreenRepair | 'cancelled' | undefined>;
  /** Undefined when there is no backup. */
  readonly restore: () => Promise<PreenRestore | 'cancelled' | undefined>;
  /** Gives the file another name; returns it. */
  readonly setAside: () => Promise<string>;
}

export type PreenAction = 'sound' | 'absent' | 'repaired' | 'restored' | 'set_aside' | 'left';

export interface PreenOutcome {
  readonly action: PreenAction;
  /** One sentence. */
  readonly message: string;
  readonly harmful: Readonly<Partial<Record<FindingId, number>>>;
  readonly records_kept: number | null;
  readonly records_lost: number | null;
  readonly bytes_lost: number | null;
  readonly records_from_backup: number | null;
  readonly kept_as: string | null;
  /** Why what was tried first did not work. */
  readonly failures: readonly string[];
}

/** Errors cost records or stop a reader; what is less is left for the operator's own time. */
export const isHarmful = (severity: Severity): boolean => severity === 'error';

const outcomeOf = (action: PreenAction, message: string, rest: Partial<PreenOutcome> = {}): PreenOutcome => ({
  action,
  message,
  harmful: {},
  records_kept: null,
  records_lost: null,
  bytes_lost: null,
  records_from_backup: null,
  kept_as: null,
  failures: [],
  ...rest,
});

const listed = (harmful: QuickCheck['harmful']): string =>
  Object.entries(harmful)
    .map(([id, count]) => (count === 1 ? id : `${id} ×${count}`))
    .join(', ');

/** Runs a step; what the disk refuses becomes a reason, kept in `failures`. */
const attempt = async <T>(
  what: string,
  failures: string[],
  step: () => Promise<T>,
): Promise<T | 'failed'> => {
  try {
    return await step();
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
    failures.push(`${what}: ${error.message}`);
    return 'failed';
  }
};

const left = (path: string, harmful: QuickCheck['harmful'], failures: readonly string[]): PreenOutcome =>
  outcomeOf('left', `${path} was left as it is: ${failures.join('; ')}.`, { harmful, failures });

const restoreOr = async (
  steps: PreenSteps,
  harmful: QuickCheck['harmful'],
  failures: string[],
): Promise<PreenOutcome | undefined> => {
  const restored = await attempt('restoring a backup', failures, steps.restore);
  if (restored === 'failed' || restored === undefined) return undefined;
  if (restored === 'cancelled') {
    failures.push('stopped before a backup was restored');
    return undefined;
  }
  const { file, channels } = restored;
  return outcomeOf(
    'restored',
    `${steps.path} was replaced by the backup ${file} with ${channels} channels, because ${failures.join('; ')}.`,
    { harmful, failures },
  );
};

const preenEmpty = async (steps: PreenSteps): Promise<PreenOutcome> => {
  const failures = ['the file is empty'];
  const restored = await restoreOr(steps, {}, failures);
  if (restored !== undefined) return restored;
  const name = await attempt('setting the empty file aside', failures, steps.setAside);
  if (name === 'failed') return left(steps.path, {}, failures);
  return outcomeOf(
    'set_aside',
    `${steps.path} was empty and is now ${name}: lightningd makes a new one and fetches the map from peers.`,
    { kept_as: name, failures },
  );
};

const preenDamaged = async (
  steps: PreenSteps,
  { harmful, version }: QuickCheck,
  failures: string[],
): Promise<PreenOutcome> => {
  const { path } = steps;
  const repaired = await attempt('repairing it', failures, () => steps.repair(version));
  if (typeof repaired === 'object') {
    const { kept_as, ...figures } = repaired;
    const { records_kept, records_lost, records_from_backup } = figures;
    const added = records_from_backup === 0 ? '' : `, ${records_from_backup} taken from a backup`;
    return outcomeOf(
      'repaired',
      `${path} was repaired (${listed(harmful)}): ${records_kept} records kept, ${records_lost} lost${added}.`,
      { harmful, ...figures, kept_as: kept_as ?? null, failures },
    );
  }
  if (repaired === 'cancelled') {
    failures.push('stopped before the repair was done');
    return left(path, harmful, failures);
  }
  if (repaired === undefined) failures.push(`version ${version} is not written any more`);
  return (await restoreOr(steps, harmful, failures)) ?? left(path, harmful, failures);
};

/** Never throws OperationalError: what the disk refuses is told in the outcome. */
export const preen = async (steps: PreenSteps): Promise<PreenOutcome> => {
  const { path } = steps;
  const failures: string[] = [];
  const size = await attempt('looking at it', failures, async () => steps.size());
  if (size === 'failed') return left(path, {}, failures);
  if (size === undefined) return outcomeOf('absent', `${path} is not there yet: lightningd makes one.`);
  const unused = await attempt('somebody has it open', failures, async () => {
    await steps.requireUnused();
    return 'unused' as const;
  });
  if (unused === 'failed') return left(path, {}, failures);
  if (size === 0) return preenEmpty(steps);
  const checked = await attempt('checking it', failures, steps.check);
  if (checked === 'failed') return left(path, {}, failures);
  if (checked === 'cancelled') return left(path, {}, ['stopped before the check was done']);
  if (checked === 'not_a_store') {
    failures.push('it holds no record of any known version');
    return (await restoreOr(steps, {}, failures)) ?? left(path, {}, failures);
  }
  if (Object.keys(checked.harmful).length === 0) {
    const { records, channels } = checked;
    return outcomeOf('sound', `${path} is sound: ${records} records, ${channels} channels.`, {
      records_kept: records,
    });
  }
  return preenDamaged(steps, checked, failures);
};
