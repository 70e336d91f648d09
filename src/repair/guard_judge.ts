/**
 * What the guard's figures mean: each rule says which alert is raised, and with what words. Pure.
 *
 * guard.ts hands in facts and asks after each round; `isRaised` gives thresholds their hysteresis, so that a figure that sways
 * about its limit does not raise and resolve an alert every minute.
 */
import type { StoreScan } from './guard_scan.ts';
import type { AlertContent, AlertId } from './guard_state.ts';

export interface DiskFigures {
  readonly free_bytes: number;
  readonly total_bytes: number;
  /** 0 of 0 on file systems that do not count them. */
  readonly free_inodes: number;
  readonly total_inodes: number;
}

export interface StoreFacts {
  readonly path: string;
  readonly version: number;
  readonly bytes: number;
  readonly scan: StoreScan;
  /** Everything was read in this round, not only what is new. */
  readonly full: boolean;
  /** Where readers have been waiting for too long. */
  readonly stuckAt: number | undefined;
  /** The name still leads to the file that was read. */
  readonly hasName: boolean;
  readonly bestChannels: number;
  readonly newestBackup: string | undefined;
}

export interface DiskFacts {
  readonly path: string;
  readonly storeBytes: number;
  readonly disk: DiskFigures;
  readonly secondsUntilFull: number | undefined;
}

type Judgement = readonly [AlertId, AlertContent | undefined];
type IsRaised = (id: AlertId) => boolean;

/** CLN v26.04 and later compact by themselves when four of five records are dead. */
const DEAD_SHARE = { compacting: 0.9, growing: 0.75 } as const;
const DEAD_SHARE_SLACK = 0.05;
const COMPACTS_FROM_VERSION = 16;
/** Below it the dead weight is nobody's problem: CLN itself does not bother either. */
const SMALL_STORE_BYTES = 10_000_000;
export const LARGE_STORE_BYTES = 1_000_000_000;
/** The whole of mainnet fits in 100 MB; a store below it needs room for a rewrite, and the node for its database. */
const CRITICAL_FREE_BYTES = 100 * 1024 * 1024;
const LOW_FREE_BYTES = 1024 * 1024 * 1024;
/** How much more than the limit must be free for an alert to end. */
const FREE_SLACK = 1.2;
const FORECAST_SECONDS = 24 * 3600;
const FORECAST_SLACK_SECONDS = 36 * 3600;
const LOW_INODES = 1000;

const megabytes = (bytes: number): string => `${(bytes / 1_000_000).toFixed(bytes < 10_000_000 ? 1 : 0)} MB`;

const hours = (seconds: number): string =>
  seconds < 5400 ? `${Math.round(seconds / 60)} minutes` : `${Math.round(seconds / 3600)} hours`;

const damageOf = ({ path, scan }: StoreFacts): AlertContent | undefined => {
  const [first] = scan.damage;
  if (first === undefined) return undefined;
  const count = scan.damagedRanges;
  const others = count === 1 ? '' : `, and ${count - 1} more`;
  return {
    severity: 'critical',
    message: `${path} is damaged at byte ${first.offset} (${first.kind}, ${first.length} bytes)${others}.`,
    hint: `gossipd repair ${path} --output ${path}.repaired`,
  };
};

const stuckOf = ({ path, stuckAt }: StoreFacts): AlertContent | undefined =>
  stuckAt === undefined
    ? undefined
    : {
        severity: 'critical',
        message: `${path} ends in a record that stays incomplete at byte ${stuckAt}: readers wait there, and CLN v26.04 and later drop the whole map at the next start.`,
        hint: `Before lightningd starts again: gossipd guard --preen ${path}`,
      };

const endedOf = ({ path, scan, hasName }: StoreFacts): AlertContent | undefined =>
  scan.ended === undefined || !hasName
    ? undefined
    : {
        severity: 'critical',
        message: `${path} holds an end marker at byte ${scan.ended}, though it is in use: processes of CLN crash on it.`,
        hint: `Stop lightningd, then: gossipd guard --preen ${path}`,
      };

const shrunkOf = (facts: StoreFacts): AlertContent | undefined => {
  const { path, scan, bestChannels, newestBackup } = facts;
  if (scan.channels * 2 >= bestChannels) return undefined;
  return {
    severity: 'warning',
    message: `${path} holds ${scan.channels} channels, and ${bestChannels} before: the node has lost its map and fetches it again.`,
    hint:
      newestBackup === undefined
        ? `ls -l ${path}*`
        : `Stop lightningd, then: gossipd restore ${newestBackup} --to ${path}`,
  };
};

const deadWeightOf = (facts: StoreFacts, isRaised: IsRaised): AlertContent | undefined => {
  const { path, bytes, scan, version } = facts;
  const raised = isRaised('dead_weight');
  const compacts = version >= COMPACTS_FROM_VERSION;
  const slack = raised ? DEAD_SHARE_SLACK : 0;
  const limit = (compacts ? DEAD_SHARE.compacting : DEAD_SHARE.growing) - slack;
  const share = bytes === 0 ? 0 : scan.deadBytes / bytes;
  const heavy = bytes >= SMALL_STORE_BYTES && share >= limit;
  const large = bytes >= LARGE_STORE_BYTES * (1 - slack);
  if (!heavy && !large) return undefined;
  return {
    severity: 'warning',
    message: `${path} has ${megabytes(bytes)}, ${Math.round(share * 100)} % of them dead.`,
    hint: compacts
      ? `Stop lightningd, then: gossipd repair ${path} --in-place --apply`
      : 'Restart lightningd: v24.02 to v25.12 write the store anew at each start, and not while they run.',
  };
};

/** In the order in which a person should read them. */
export const judgeContent = (facts: StoreFacts, isRaised: IsRaised): readonly Judgement[] => {
  const judgements: Judgement[] = [
    ['damage', damageOf(facts)],
    ['ended', endedOf(facts)],
    ['stuck_tail', stuckOf(facts)],
    ['shrunk', shrunkOf(facts)],
  ];
  // Records are flagged dead long after they were read: only a full pass can tell.
  if (facts.full || isRaised('dead_weight') || facts.bytes >= LARGE_STORE_BYTES)
    judgements.push(['dead_weight', deadWeightOf(facts, isRaised)]);
  return judgements;
};

const spaceOf = ({ path, storeBytes, disk }: DiskFacts, raised: boolean): AlertContent | undefined => {
  const slack = raised ? FREE_SLACK : 1;
  // A rewrite needs the store's size once more; backup and undo journal of a repair, again.
  const low = Math.max(LOW_FREE_BYTES, 3 * storeBytes) * slack;
  if (disk.free_bytes >= low) return undefined;
  const isCritical = disk.free_bytes < Math.max(CRITICAL_FREE_BYTES, storeBytes);
  return {
    severity: isCritical ? 'critical' : 'warning',
    message: `${megabytes(disk.free_bytes)} are free in ${path}; CLN v25.02 and later end at the first write that fails.`,
    hint: `Free disk space: du -xh --max-depth=2 ${path} | sort -h`,
  };
};

const forecastOf = ({ path, secondsUntilFull }: DiskFacts, raised: boolean): AlertContent | undefined => {
  const limit = raised ? FORECAST_SLACK_SECONDS : FORECAST_SECONDS;
  if (secondsUntilFull === undefined || secondsUntilFull >= limit) return undefined;
  return {
    severity: 'warning',
    message: `At the present rate the disk of ${path} is full in ${hours(secondsUntilFull)}.`,
    hint: `Find what grows: du -xh --max-depth=2 ${path} | sort -h`,
  };
};

const inodesOf = ({ path, disk }: DiskFacts, raised: boolean): AlertContent | undefined =>
  disk.total_inodes === 0 || disk.free_inodes >= LOW_INODES * (raised ? FREE_SLACK : 1)
    ? undefined
    : {
        severity: 'critical',
        message: `Only ${disk.free_inodes} more files can be created in ${path}.`,
        hint: `Find the folder with too many files: du -x --inodes --max-depth=2 ${path} | sort -n`,
      };

export const judgeDisk = (facts: DiskFacts, isRaised: IsRaised): readonly Judgement[] => [
  ['disk_space', spaceOf(facts, isRaised('disk_space'))],
  ['disk_forecast', forecastOf(facts, isRaised('disk_forecast'))],
  ['inodes', inodesOf(facts, isRaised('inodes'))],
];
