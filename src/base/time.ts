/**
 * Time as an argument: everything that waits or asks the time gets a Clock, so that tests and the simulator own it.
 */

/** Seconds since 1970-01-01 UTC, as in gossip timestamps (u32 on the wire). */
export type UnixSeconds = number & { readonly __brand: 'UnixSeconds' };

export type BlockHeight = number & { readonly __brand: 'BlockHeight' };

export interface Clock {
  /** Milliseconds since the epoch; may jump when the system clock is set. */
  readonly nowMs: () => number;
  /** Milliseconds from an arbitrary start; never goes back. */
  readonly monotonicMs: () => number;
  /** Calls `fire` once after `delayMs`; returns the cancel function, which may be called at any time. */
  readonly after: (delayMs: number, fire: () => void) => () => void;
}

export const unixSeconds = (value: number): UnixSeconds => value as UnixSeconds;
export const nowSeconds = (clock: Clock): UnixSeconds => unixSeconds(Math.floor(clock.nowMs() / 1000));

/** A clock that moves only when told to. Timers fire in order of their due time during `advance`. */
export class ManualClock implements Clock {
  #now: number;
  #mono = 0;
  #sequence = 0;
  readonly #timers = new Map<number, { due: number; fire: () => void }>();

  constructor(startMs = 1_700_000_000_000) {
    this.#now = startMs;
  }

  readonly nowMs = (): number => this.#now;
  readonly monotonicMs = (): number => this.#mono;
  readonly after = (delayMs: number, fire: () => void): (() => void) => {
    const id = this.#sequence++;
    this.#timers.set(id, { due: this.#mono + Math.max(0, delayMs), fire });
    return () => this.#timers.delete(id);
  };

  /** Moves time forward, firing due timers (also those that timers add) in order. */
  advance(ms: number): void {
    const end = this.#mono + ms;
    for (;;) {
      let next: [number, { due: number; fire: () => void }] | undefined;
      for (const entry of this.#timers) if (next === undefined || entry[1].due < next[1].due) next = entry;
      if (next === undefined || next[1].due > end) break;
      this.#timers.delete(next[0]);
      this.#now += next[1].due - this.#mono;
      this.#mono = next[1].due;
      next[1].fire();
    }
    this.#now += end - this.#mono;
    this.#mono = end;
  }

  /** Timers waiting to fire. */
  get pending(): number {
    return this.#timers.size;
  }
}
