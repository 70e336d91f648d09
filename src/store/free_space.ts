/**
 * SpaceWatch: how much room the store's file system has left, and what to do about it.
 *
 * gossip_store hands in what it has just measured and does what the answer says. Pure: no clock, no disk. A level is entered at
 * once and left only when a quarter more than its threshold is free, so that a disk at the edge does not flap.
 *
 * Examples, for a live map of 40 MB. A 32 GB card of a Raspberry Pi: low below 256 MiB, critical below 21 MiB. A tmpfs of
 * 64 MiB: low below 6.4 MiB, critical below 1 MiB. An archive of 4 GB live on a disk of 1 TB: low below 8 GB, critical below
 * 493 MiB.
 */

const MIB = 1024 * 1024;

/** Live gossip of mainnet adds some 20 MB a day: 256 MiB are two weeks in which to look at the disk. */
const LOW_BYTES = 256 * MIB;
/** A compaction writes the live bytes a second time, and the process and its neighbours need room meanwhile. */
const LOW_PER_LIVE = 2;
/** On a small file system, a warning that is always on says nothing: no more than a tenth of it is demanded. */
const LOW_SHARE = 10;
/** 16 batches of 1 MiB: what is in flight between two looks, and the last hours of gossip before writing stops. */
const CRITICAL_BYTES = 16 * MIB;
/** The sidecar has 28 bytes for a record of 190 on average, about an eighth, and is written anew beside the old one. */
const CRITICAL_PER_LIVE = 1 / 8;
/** 1 MiB of a tmpfs of 64 MiB: one batch still fits. */
const CRITICAL_SHARE = 64;
/** Levels stay apart where live bytes are large and the total is unknown. */
const CRITICAL_OF_LOW = 1 / 4;
/** 25 % more than the threshold must be free to leave a level. */
const HYSTERESIS = 1.25;
/** A compaction that gives back less than this is not worth its writes to a flash card. */
const MIN_GAIN_BYTES = MIB;
const MIN_GAIN_SHARE = 10;

export type SpaceLevel = 'ok' | 'low' | 'critical';

/**
 * `warn`: tell the operator. `compact`: rewrite the store, for which the reserve is to be given back first; there is room for
 * it, and dead bytes to gain. `hold`: write nothing more; the map goes on from memory.
 */
export type SpaceAdvice = 'nothing' | 'warn' | 'compact' | 'hold';

export interface SpaceSample {
  /** What an unprivileged process can still write. */
  readonly freeBytes: number;
  /** Length of the store file. */
  readonly storeBytes: number;
  /** What a rewrite of it would write. */
  readonly liveBytes: number;
  /** Size of the file system, where it is known. */
  readonly totalBytes?: number;
  /** What giving back the reserve would free. */
  readonly reserveBytes?: number;
}

export interface SpaceOutcome {
  readonly level: SpaceLevel;
  /** The level was another one before. */
  readonly changed: boolean;
  readonly advice: SpaceAdvice;
  /** The level is left when so many bytes are free; 0 for `ok`. For messages to people. */
  readonly wantedBytes: number;
}

/** Bytes below which the levels `low` and `critical` begin. */
export const spaceThresholds = (
  liveBytes: number,
  totalBytes: number = Number.POSITIVE_INFINITY,
): { readonly low: number; readonly critical: number } => {
  const low = Math.min(Math.max(LOW_BYTES, LOW_PER_LIVE * liveBytes), totalBytes / LOW_SHARE);
  const critical = Math.min(
    CRITICAL_BYTES + CRITICAL_PER_LIVE * liveBytes,
    totalBytes / CRITICAL_SHARE,
    CRITICAL_OF_LOW * low,
  );
  return { low, critical };
};

const LEVELS: readonly SpaceLevel[] = ['ok', 'low', 'critical'];

export class SpaceWatch {
  #level: SpaceLevel = 'ok';

  get level(): SpaceLevel {
    return this.#level;
  }

  observe(sample: SpaceSample): SpaceOutcome {
    const { freeBytes } = sample;
    const { low, critical } = spaceThresholds(sample.liveBytes, sample.totalBytes);
    const before = LEVELS.indexOf(this.#level);
    const leaving = (threshold: number, rank: number): number =>
      before >= rank ? threshold * HYSTERESIS : threshold;
    if (freeBytes < leaving(critical, 2)) this.#level = 'critical';
    else this.#level = freeBytes < leaving(low, 1) ? 'low' : 'ok';
    const wantedBytes = { ok: 0, low: low * HYSTERESIS, critical: critical * HYSTERESIS }[this.#level];
    return {
      level: this.#level,
      changed: LEVELS[before] !== this.#level,
      advice: this.#advice(sample, critical),
      wantedBytes: Math.ceil(wantedBytes),
    };
  }

  #advice(sample: SpaceSample, critical: number): SpaceAdvice {
    if (this.#level === 'ok') return 'nothing';
    if (isWorthCompacting(sample, critical)) return 'compact';
    return this.#level === 'low' ? 'warn' : 'hold';
  }
}

/** There is something to gain, and room for the second copy with what is appended meanwhile. */
const isWorthCompacting = (sample: SpaceSample, critical: number): boolean => {
  const { freeBytes, storeBytes, liveBytes } = sample;
  const gain = storeBytes - liveBytes;
  if (gain < Math.max(MIN_GAIN_BYTES, storeBytes / MIN_GAIN_SHARE)) return false;
  const room = freeBytes + (sample.reserveBytes ?? 0);
  return room >= liveBytes + critical / 2;
};
