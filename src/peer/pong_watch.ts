/**
 * Remembers the pings that one connection has sent: which pong answers one (its time is the latency), and which pong
 * nobody asked for or has another size than was asked (BOLT 1, The ping and pong Messages; B1-27).
 *
 * A strange pong may end the connection, and does when they repeat: one may be a late answer or a keep-alive of some
 * implementation, more than PONGS_TOLERATED an hour are traffic under the guise of answers.
 * Bound: MAX_PINGS_OUT pings are remembered; the oldest is forgotten.
 */
import type { Clock } from '../base/time.ts';
import { TokenBucket } from './token_bucket.ts';

/** Pings without an answer: one goes out in each interval, and two intervals of silence close. */
export const MAX_PINGS_OUT = 4;
/** At once, and in an hour. */
export const PONGS_TOLERATED = 10;
/** What our pings ask for. */
export const PONG_BYTES = 1;

export class PongWatch {
  readonly #clock: Clock;
  readonly #strange: TokenBucket;
  /** When each was sent, the oldest first. */
  #out: number[] = [];
  #best = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#strange = new TokenBucket(clock, PONGS_TOLERATED / 3_600, PONGS_TOLERATED);
  }

  /** Shortest time from a ping to its pong, in milliseconds; infinite before the first. */
  get latencyMs(): number {
    return this.#best;
  }

  /** No ping has been answered and none is under way. */
  get knowsNothing(): boolean {
    return this.#out.length === 0 && this.#best === Number.POSITIVE_INFINITY;
  }

  sent(): void {
    if (this.#out.length >= MAX_PINGS_OUT) this.#out.shift();
    this.#out.push(this.#clock.monotonicMs());
  }

  /** @returns `too_many` when this is a strange pong too many */
  received(byteslen: number): 'answer' | 'strange' | 'too_many' {
    const sentAt = this.#out[0];
    if (sentAt !== undefined && byteslen === PONG_BYTES) {
      this.#out.shift();
      this.#best = Math.min(this.#best, this.#clock.monotonicMs() - sentAt);
      return 'answer';
    }
    if (!this.#strange.open) return 'too_many';
    this.#strange.spend(1);
    return this.#strange.open ? 'strange' : 'too_many';
  }
}
