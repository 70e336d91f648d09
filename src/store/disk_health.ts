/**
 * DiskHealth: whether the disk takes what the store writes, told once for each change, and when to try again.
 *
 * gossip_store reports each failure and each recovery. A failure is never thrown on: the operator reads one line when it
 * starts and one when it ends, meters count the attempts, and the next attempt comes after 1 s, then 2 s, up to every 60 s.
 */
import { OperationalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import type { Clock } from '../base/time.ts';

const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 60_000;

export class DiskHealth {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #meter: Meter;
  readonly #retry: () => void;
  #reason: string | undefined;
  #retryMs = FIRST_RETRY_MS;
  #cancelRetry: (() => void) | undefined;

  /** @param retry called from a timer, as long as failures are reported */
  constructor(clock: Clock, log: Log, meter: Meter, retry: () => void) {
    this.#clock = clock;
    this.#log = log;
    this.#meter = meter;
    this.#retry = retry;
  }

  /** Why the disk is not well, for people; undefined while it is. */
  get reason(): string | undefined {
    return this.#reason;
  }

  failed(error: unknown): void {
    const operational = error instanceof OperationalError ? error : undefined;
    const reason = error instanceof Error ? error.message : String(error);
    if (operational === undefined) this.#log.broken('unexpected failure in the store', { reason });
    if (this.#reason === undefined) {
      this.#log.unusual(
        'the store cannot write: the map goes on from memory, and writing is tried again. No funds are in this file',
        { reason, hint: operational?.hint },
      );
    }
    this.#reason = reason;
    this.#meter.count('gossipd_store_failures_total', operational?.code ?? 'bug');
    this.#meter.gauge('gossipd_store_degraded', 1);
    if (this.#cancelRetry !== undefined) return;
    this.#cancelRetry = this.#clock.after(this.#retryMs, () => {
      this.#cancelRetry = undefined;
      this.#retry();
    });
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
  }

  recovered(): void {
    if (this.#reason === undefined) return;
    this.#log.unusual('the store can write again; nothing was lost', { was: this.#reason });
    this.#reason = undefined;
    this.#retryMs = FIRST_RETRY_MS;
    this.#meter.gauge('gossipd_store_degraded', 0);
    this.stop();
  }

  /** No further attempt. */
  stop(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
  }
}
