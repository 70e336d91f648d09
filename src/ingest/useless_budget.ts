/**
 * Counts, per origin, the messages that cost us work and gave nothing: malformed, badly signed, for unknown channels or nodes,
 * announcements without an output. Good and duplicate gossip is free, so an honest peer's first sync (some 150,000 messages) is
 * never slowed.
 *
 * A token bucket each: 10,000 at once, refilled at 10,000 per minute. A signature check costs about 50 microseconds, so one
 * origin can waste at most half a second of processor time per minute before it is closed.
 * A question to the chain backend costs more, a block read at worst, and an announcement for it is pending meanwhile:
 * - an output that has been there, or that the backend does not know yet, takes 2: 5,000 in a minute. A peer without a backend of
 *   its own keeps channels for two weeks after their close, some 200 a day: 2,800, which is free of consequences;
 * - an output that never was, or that pays to other keys, takes 50: 200 in a minute. Besides a reorganisation, which moves
 *   the channels of a few blocks, only made-up announcements have these.
 * Bound: 4,096 buckets of some 100 bytes; when full the oldest bucket is dropped, which is a fresh start for its origin.
 */
import type { Clock } from '../base/time.ts';

export const USELESS_BURST_MESSAGES = 10_000;
export const USELESS_PER_MINUTE_MESSAGES = 10_000;
export const MAX_BUDGET_ORIGINS = 4096;
export const SPENT_OUTPUT_COST = 2;
export const MADE_UP_OUTPUT_COST = 50;

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

  /**
   * Takes one message, or what it costs, from the origin's budget; false when less was left, and then nothing is. Origin 0,
   * ourselves, has no limit.
   */
  charge(origin: number, cost = 1): boolean {
    if (origin === 0) return true;
    const bucket = this.#refilled(origin) ?? this.#open(origin);
    const suffices = bucket.tokens >= cost;
    if (suffices) bucket.tokens -= cost;
    // What is left is too little now, but a fraction keeps growing.
    else bucket.tokens %= 1;
    return suffices;
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
