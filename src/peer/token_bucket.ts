/**
 * A token bucket over a Clock: `ratePerSecond` units flow in, up to `burst`. Used for byte budgets each way.
 */
import type { Clock } from '../base/time.ts';

export class TokenBucket {
  readonly #clock: Clock;
  readonly #rate: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  /** @param ratePerSecond 0 means unlimited. @param burst most that can be saved up. */
  constructor(clock: Clock, ratePerSecond: number, burst: number) {
    this.#clock = clock;
    this.#rate = ratePerSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = clock.monotonicMs();
  }

  #refill(): void {
    const now = this.#clock.monotonicMs();
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) / 1000) * this.#rate);
    this.#at = now;
  }

  /** Spends without asking: the balance may go below zero, by at most one message. */
  spend(units: number): void {
    if (this.#rate === 0) return;
    this.#refill();
    this.#tokens -= units;
  }

  /** True while the balance is positive. */
  get open(): boolean {
    if (this.#rate === 0) return true;
    this.#refill();
    return this.#tokens > 0;
  }

  /** Milliseconds until the balance is positive again; 0 when it is. */
  get waitMs(): number {
    if (this.open) return 0;
    return Math.ceil((-this.#tokens / this.#rate) * 1000) + 1;
  }
}
