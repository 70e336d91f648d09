/**
 * Where a channel's or a node's newest message waits for a token of its origin budget, so that an origin that says too much
 * is heard more slowly and never with something old (see origin_budget.ts).
 *
 * One message for each 64-bit key; whoever puts a newer one in has taken the older one out. Every message in here has a good
 * signature. Nobody is evicted: all leave by themselves when their token is there, after one interval at most.
 * Bounds: 2,048 messages and 2 MiB of them in each of three rooms (both directions of updates, and nodes). A day of the
 * public network has some 170 channels and 150 nodes that talk too much; objects take some 200 bytes each: 2.5 MB a room.
 * When full a newcomer is not kept; the next one of its key, or the hourly comparison with peers, brings the state.
 */
import type { Clock } from '../base/time.ts';
import { ScidTable } from './scid_table.ts';

export const MAX_OVER_BUDGET_MESSAGES = 2048;
export const MAX_OVER_BUDGET_BYTES = 2 * 1024 * 1024;

export interface OverBudget {
  /** Owned. */
  readonly raw: Uint8Array;
  readonly origin: number;
  /** The message's own, Unix seconds. */
  readonly timestamp: number;
  /** Monotonic time of its token. */
  readonly dueMs: number;
}

export class OverBudgetRoom {
  readonly #clock: Clock;
  readonly #due: (message: OverBudget, hi: number, lo: number) => void;
  readonly #byKey = new ScidTable<OverBudget>();
  #bytes = 0;
  #armedMs = Number.POSITIVE_INFINITY;
  #cancelTimer: (() => void) | undefined;

  /** @param due gets each message when its token is there; it is no longer in the room then */
  constructor(clock: Clock, due: (message: OverBudget, hi: number, lo: number) => void) {
    this.#clock = clock;
    this.#due = due;
  }

  get size(): number {
    return this.#byKey.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(hi: number, lo: number): OverBudget | undefined {
    return this.#byKey.size === 0 ? undefined : this.#byKey.get(hi, lo);
  }

  take(hi: number, lo: number): OverBudget | undefined {
    const message = this.get(hi, lo);
    if (message === undefined) return undefined;
    this.#byKey.delete(hi, lo);
    this.#bytes -= message.raw.length;
    return message;
  }

  /** False when there is no room. The key must be free. */
  put(hi: number, lo: number, message: OverBudget): boolean {
    if (this.#byKey.size >= MAX_OVER_BUDGET_MESSAGES) return false;
    if (this.#bytes + message.raw.length > MAX_OVER_BUDGET_BYTES) return false;
    this.#byKey.set(hi, lo, message);
    this.#bytes += message.raw.length;
    this.#arm(message.dueMs);
    return true;
  }

  close(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  /** One timer, for the message that is due first. */
  #arm(dueMs: number): void {
    if (dueMs >= this.#armedMs) return;
    this.#cancelTimer?.();
    this.#armedMs = dueMs;
    this.#cancelTimer = this.#clock.after(Math.max(0, dueMs - this.#clock.monotonicMs()), () => this.#rang());
  }

  #rang(): void {
    this.#cancelTimer = undefined;
    this.#armedMs = Number.POSITIVE_INFINITY;
    const now = this.#clock.monotonicMs();
    const ready: [number, number][] = [];
    let next = Number.POSITIVE_INFINITY;
    this.#byKey.forEach((message, hi, lo) => {
      if (message.dueMs <= now) ready.push([hi, lo]);
      else next = Math.min(next, message.dueMs);
    });
    if (next !== Number.POSITIVE_INFINITY) this.#arm(next);
    for (const [hi, lo] of ready) {
      const message = this.take(hi, lo);
      if (message !== undefined) this.#due(message, hi, lo);
    }
  }
}
