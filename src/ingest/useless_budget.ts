/**
 * Counts, per origin, the messages that cost us work and gave nothing: malformed, badly signed, for unknown channels or nodes.
 * Good and duplicate gossip is free, so an honest peer's first sync (some 150,000 messages) is never slowed.
 *
 * A token bucket each: 10,000 at once, refilled at 10,000 per minute. A signature check costs about 50 microseconds, so one
 * origin can waste at most half a second of processor time per minute before it is closed.
 * Bound: 4,096 buckets of some 100 bytes; when full the oldest bucket is dropped, which is a fresh start for its origin.
 */
import type { Clock } from '../base/time.ts';

export const USELESS_BURST_MESSAGES = 10_000;
export const USELESS_PER_MINUTE_MESSAGES = 10_000;
export const MAX_BUDGET_ORIGINS = 4096;

interface Bucket {
  tokens: number;
  atMs: number;
}

export class UselessBudget {
  readonly #clock: Clock;
  readonly #buckets = new Map<number, Bucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get origins(): number {
    return this.#buckets.size;
  }

  /** Takes one message from the origin's budget; false when there was none left. Origin 0, ourselves, has no limit. */
  charge(origin: number): boolean {
    if (origin === 0) return true;
    const bucket = this.#refilled(origin) ?? this.#open(origin);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  /** True while the origin has nothing left. */
  isSpent(origin: number): boolean {
    if (this.#buckets.size === 0) return false;
    const bucket = this.#refilled(origin);
    return bucket !== undefined && bucket.tokens < 1;
  }

  forget(origin: number): void {
    this.#buckets.delete(origin);
  }

  #refilled(origin: number): Bucket | undefined {
    const bucket = this.#buckets.get(origin);
    if (bucket === undefined) return undefined;
    const now = this.#clock.monotonicMs();
    const gained = ((now - bucket.atMs) / 60_000) * USELESS_PER_MINUTE_MESSAGES;
    bucket.tokens = Math.min(USELESS_BURST_MESSAGES, bucket.tokens + gained);
    bucket.atMs = now;
    return bucket;
  }

  #open(origin: number): Bucket {
    if (this.#buckets.size >= MAX_BUDGET_ORIGINS) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest);
        break;
      }
    }
    const bucket = { tokens: USELESS_BURST_MESSAGES, atMs: this.#clock.monotonicMs() };
    this.#buckets.set(origin, bucket);
    return bucket;
  }
}
