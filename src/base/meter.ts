/**
 * The Meter port: counters and gauges by name and at most one label. Parts count through it; observe/ exports them.
 * Names follow Prometheus: `gossipd_<noun>_<unit>[_total]`.
 */

export interface Meter {
  /** Adds to a counter; the label value comes from a closed list (a reason code, a message type). */
  readonly count: (name: string, label?: string, by?: number) => void;
  /** Sets a gauge. */
  readonly gauge: (name: string, value: number, label?: string) => void;
}

export const silentMeter: Meter = { count: () => {}, gauge: () => {} };

/** Keeps values in a map keyed `name` or `name{label}`; for status answers and tests. */
export class MemoryMeter implements Meter {
  readonly values = new Map<string, number>();

  readonly count = (name: string, label?: string, by = 1): void => {
    const key = label === undefined ? name : `${name}{${label}}`;
    this.values.set(key, (this.values.get(key) ?? 0) + by);
  };

  readonly gauge = (name: string, value: number, label?: string): void => {
    this.values.set(label === undefined ? name : `${name}{${label}}`, value);
  };

  /** Zero when never touched. */
  get(name: string, label?: string): number {
    return this.values.get(label === undefined ? name : `${name}{${label}}`) ?? 0;
  }
}
