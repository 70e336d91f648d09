/** The guard's status document, for monitoring: everything that a dashboard or a check needs, in one JSON object. Pure. */
import type { BackupManifest } from './backup_manifest.ts';
import type { DiskFigures } from './guard_judge.ts';
import type { DamagedRange, StoreScan } from './guard_scan.ts';
import type { Alert, AlertBoard, AlertSeverity } from './guard_state.ts';

const LISTED_DAMAGE = 20;

export interface GuardStatus {
  readonly gossipd_guard: 1;
  readonly time: string;
  readonly path: string;
  readonly rounds: number;
  readonly state: 'ok' | AlertSeverity;
  /** null while the file is not there or not a store. */
  readonly store: {
    readonly version: number;
    readonly bytes: number;
    readonly records: number;
    readonly channels: number;
    /** As of the last full pass. */
    readonly dead_bytes: number;
    /** Up to here readers can read. */
    readonly readable_bytes: number;
    /** Over up to a day; null in the first ten minutes. */
    readonly bytes_per_hour: number | null;
    readonly damaged_ranges: number;
    readonly damage: readonly DamagedRange[];
  } | null;
  readonly disk:
    | (DiskFigures & {
        readonly full_in_seconds: number | null;
        readonly full_at: string | null;
      })
    | null;
  readonly newest_backup: {
    readonly file: string;
    readonly time: string;
    readonly channels: number;
    readonly bytes: number;
  } | null;
  readonly alerts: readonly Alert[];
}

export interface StatusFacts {
  readonly nowMs: number;
  readonly path: string;
  readonly rounds: number;
  readonly board: AlertBoard;
  readonly scan: StoreScan | undefined;
  readonly version: number | undefined;
  readonly bytes: number;
  readonly rate: number | undefined;
  readonly disk: DiskFigures | undefined;
  readonly secondsUntilFull: number | undefined;
  readonly newest: BackupManifest | undefined;
}

const storeStatus = ({ scan, version, bytes, rate }: StatusFacts): GuardStatus['store'] =>
  scan === undefined
    ? null
    : {
        version: version ?? 0,
        bytes,
        records: scan.records,
        channels: scan.channels,
        dead_bytes: scan.deadBytes,
        readable_bytes: scan.readTo,
        bytes_per_hour: rate === undefined ? null : Math.round(rate * 3600),
        damaged_ranges: scan.damagedRanges,
        damage: scan.damage.slice(0, LISTED_DAMAGE),
      };

/** Beyond it a date says nothing, and may not be one. */
const FORESEEABLE_SECONDS = 10 * 365 * 24 * 3600;

const diskStatus = ({ disk, secondsUntilFull, nowMs }: StatusFacts): GuardStatus['disk'] => {
  if (disk === undefined) return null;
  const foreseen =
    secondsUntilFull !== undefined && secondsUntilFull <= FORESEEABLE_SECONDS ? secondsUntilFull : null;
  return {
    ...disk,
    full_in_seconds: foreseen,
    full_at: foreseen === null ? null : new Date(nowMs + foreseen * 1000).toISOString(),
  };
};

export const statusOf = (facts: StatusFacts): GuardStatus => {
  const { newest } = facts;
  return {
    gossipd_guard: 1,
    time: new Date(facts.nowMs).toISOString(),
    path: facts.path,
    rounds: facts.rounds,
    state: facts.board.worst,
    store: storeStatus(facts),
    disk: diskStatus(facts),
    newest_backup:
      newest === undefined
        ? null
        : { file: newest.file, time: newest.time, channels: newest.channels, bytes: newest.bytes },
    alerts: facts.board.list(),
  };
};
