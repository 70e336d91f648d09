/**
 * QueryBudget: how much of our answers to queries one peer may have, apart from its live gossip.
 *
 * QueryServer spends from it with each message that it sends and each channel that it looks up, and waits when it is overdrawn; live
 * relay goes on meanwhile. Slower, never refused: a peer that asks for the same channels all day costs a trickle and gets its answers.
 * Bounds: one number and one timer for each peer.
 */
import type { Meter } from '../base/meter.ts';
import type { Clock } from '../base/time.ts';

/**
 * A whole first sync at full speed: 50,808 channels at about 842 bytes and 17,324 node announcements at some 500, which
 * arrive two and a half times when asked for without flags, are 43 + 22 MB.
 */
export const MAX_QUERY_BURST_BYTES = 67_108_864;
/** After that; above the 51,200 bytes per second that lnd gives a peer for everything. A whole sync again takes 17 minutes. */
export const QUERY_BYTES_PER_SECOND = 65_536;
/** Looking for a channel that is not there sends nothing, and costs about as much as sending so many bytes. */
export const LOOKUP_BYTES = 16;

/** A range query may have the channels sorted anew before the first reply. */
export const RANGE_QUERY_BYTES = 4_096;

export interface QueryBudgetOptions {
  readonly clock: Clock;
  readonly meter: Meter;
  /** See MAX_QUERY_BURST_BYTES and QUERY_BYTES_PER_SECOND; smaller in tests. */
  readonly burstBytes?: number;
  readonly bytesPerSecond?: number;
}

export class QueryBudget {
  readonly #options: QueryBudgetOptions;
  readonly #burst: number;
  readonly #rate: number;
  #left: number;
  #atMs: number;
  #cancel: (() => void) | undefined;

  constructor(options: QueryBudgetOptions) {
    this.#options = options;
    this.#burst = options.burstBytes ?? MAX_QUERY_BURST_BYTES;
    this.#rate = options.bytesPerSecond ?? QUERY_BYTES_PER_SECOND;
    this.#left = this.#burst;
    this.#atMs = options.clock.monotonicMs();
  }

  /** Bytes that may be spent now; negative when the last message was larger than what was left. */
  get left(): number {
    const now = this.#options.clock.monotonicMs();
    this.#left = Math.min(this.#burst, this.#left + ((now - this.#atMs) * this.#rate) / 1000);
    this.#atMs = now;
    return this.#left;
  }

  spend(bytes: number): void {
    this.#left = this.left - bytes;
  }

  /** False when answers must wait; `then` is called once when they may go on. */
  isOpen(then: () => void): boolean {
    const { left } = this;
    if (left > 0) return true;
    if (this.#cancel !== undefined) return false;
    this.#options.meter.count('gossipd_queries_throttled_total');
    // A second's worth at a time, so that a waiting answer is not a timer for each message.
    const waitMs = Math.ceil(((1 - left) / this.#rate) * 1000) + 1000;
    this.#cancel = this.#options.clock.after(waitMs, () => {
      this.#cancel = undefined;
      then();
    });
    return false;
  }

  /** Ends its timer. */
  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
