/**
 * What the guard remembers between two rounds besides the file: which alerts are raised, and how fast things grow.
 *
 * Pure: guard.ts hands in times and figures. An alert is raised once and resolved once; while it stays raised its text follows
 * the facts without a further event. Bounds: one alert per id of a closed list; MAX_SAMPLES samples of growth.
 */

export const ALERT_IDS = [
  /** Nothing has the store's name. */
  'missing',
  /** The disk refuses to give the file's content. */
  'unreadable',
  'not_a_store',
  /** Records that cannot be read, or that crash readers. */
  'damage',
  /** The last record stays incomplete: readers wait there. */
  'stuck_tail',
  /** An end marker in the file that has the name. */
  'ended',
  /** The file in use has become shorter. */
  'truncated',
  /** The store lost more than half of its channels. */
  'shrunk',
  'dead_weight',
  'disk_space',
  'disk_forecast',
  'inodes',
  /** CLN has thrown a store away. */
  'corrupt_file',
  'backup_failed',
  'backup_suspect',
] as const;
export type AlertId = (typeof ALERT_IDS)[number];
export type AlertSeverity = 'warning' | 'critical';

export interface AlertContent {
  readonly severity: AlertSeverity;
  /** One sentence. */
  readonly message: string;
  /** One next command or step. */
  readonly hint: string;
}

export interface Alert extends AlertContent {
  readonly id: AlertId;
  /** ISO 8601, UTC. */
  readonly since: string;
}

export interface AlertEvent extends Alert {
  readonly event: 'alert';
  readonly state: 'raised' | 'resolved';
  readonly time: string;
}

const timeText = (ms: number): string => new Date(ms).toISOString();

export class AlertBoard {
  readonly #raised = new Map<AlertId, Alert>();

  isRaised(id: AlertId): boolean {
    return this.#raised.has(id);
  }

  /** In the order of being raised. */
  list(): readonly Alert[] {
    return [...this.#raised.values()];
  }

  /** The event that this makes: the first time that there is content, and the first time that there is none. */
  set(id: AlertId, content: AlertContent | undefined, nowMs: number): AlertEvent | undefined {
    const before = this.#raised.get(id);
    const time = timeText(nowMs);
    if (content === undefined) {
      if (before === undefined) return undefined;
      this.#raised.delete(id);
      return { event: 'alert', state: 'resolved', time, ...before };
    }
    const alert: Alert = { id, since: before?.since ?? time, ...content };
    this.#raised.set(id, alert);
    return before === undefined ? { event: 'alert', state: 'raised', time, ...alert } : undefined;
  }

  get worst(): 'ok' | AlertSeverity {
    const alerts = this.list();
    if (alerts.some(({ severity }) => severity === 'critical')) return 'critical';
    return alerts.length > 0 ? 'warning' : 'ok';
  }
}

/** A day at the default interval. */
export const MAX_SAMPLES = 1440;
/** A rate from less than ten minutes says more about bursts than about growth. */
export const MIN_WINDOW_MS = 10 * 60 * 1000;

interface Sample {
  readonly ms: number;
  readonly bytes: number;
}

/** Bytes over time, and the rate over the last MAX_SAMPLES samples. */
export class GrowthWindow {
  #samples: Sample[] = [];

  /** @param ms monotonic */
  add(ms: number, bytes: number): void {
    this.#samples.push({ ms, bytes });
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
  }

  /** The file is another one now. */
  reset(): void {
    this.#samples = [];
  }

  get windowMs(): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    return first === undefined || last === undefined ? 0 : last.ms - first.ms;
  }

  /** Bytes per second, negative when shrinking; undefined before MIN_WINDOW_MS. */
  get rate(): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.ms - first.ms < MIN_WINDOW_MS) return undefined;
    return ((last.bytes - first.bytes) * 1000) / (last.ms - first.ms);
  }
}

/**
 * Seconds until the disk is full: free bytes over the greater of the store's growth and the rate at which the free space
 * shrinks by itself. Undefined when neither is known or positive.
 *
 * @param storeRate bytes per second @param freeRate bytes per second, negative while the disk fills
 */
export const secondsUntilFull = (
  freeBytes: number,
  storeRate: number | undefined,
  freeRate: number | undefined,
): number | undefined => {
  const rate = Math.max(storeRate ?? 0, -(freeRate ?? 0));
  return rate > 0 ? Math.floor(freeBytes / rate) : undefined;
};
