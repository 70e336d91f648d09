/**
 * Who may ask a chain server next: bounds the questions in flight and those that wait, in order of arrival.
 *
 * electrum_session.ts and esplora_requests.ts take a turn before each question and give it back after. The owner can hold all turns (while a
 * connection is made), refuse them with a reason (while the server is away), pause them (a server that asks for patience), and end them.
 * Bounds: the two maxima given; when the waiting room is full the question is refused. Everyone who waits leaves after the time
 * given, on abort, or when turns are refused.
 */
import type { Clock } from '../base/time.ts';

export interface TurnBounds {
  readonly clock: Clock;
  readonly maxInFlight: number;
  readonly maxWaiting: number;
  /** Milliseconds that a question waits for its turn. */
  readonly maxWaitMs: number;
}

interface Waiter {
  readonly settle: (refusal: string | undefined) => void;
}

export class Turns {
  readonly #bounds: TurnBounds;
  readonly #waiting = new Set<Waiter>();
  #inFlight = 0;
  #held = false;
  #refusal: string | undefined;
  #ended = false;
  #pausedUntil = 0;
  #cancelWake: () => void = () => {};

  constructor(bounds: TurnBounds) {
    this.#bounds = bounds;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Undefined when the turn came: `done` must follow. Else why it did not. Never rejects. */
  take(signal: AbortSignal): Promise<string | undefined> {
    if (signal.aborted) return Promise.resolve('the question was withdrawn');
    if (this.#refusal !== undefined) return Promise.resolve(this.#refusal);
    if (this.#waiting.size === 0 && this.#isFree()) {
      this.#inFlight++;
      return Promise.resolve(undefined);
    }
    if (this.#waiting.size >= this.#bounds.maxWaiting) {
      return Promise.resolve('too many questions wait for the server; it is asked again by itself');
    }
    return this.#wait(signal);
  }

  #wait(signal: AbortSignal): Promise<string | undefined> {
    return new Promise((resolve) => {
      const withdrawn = (): void => waiter.settle('the question was withdrawn');
      const waiter: Waiter = {
        settle: (refusal) => {
          if (!this.#waiting.delete(waiter)) return;
          cancelTimer();
          signal.removeEventListener('abort', withdrawn);
          resolve(refusal);
        },
      };
      const { clock, maxWaitMs } = this.#bounds;
      const cancelTimer = clock.after(maxWaitMs, () =>
        waiter.settle('the server was too busy to be asked in time; it is asked again by itself'),
      );
      signal.addEventListener('abort', withdrawn, { once: true });
      this.#waiting.add(waiter);
    });
  }

  /** Gives a turn back. */
  done(): void {
    this.#inFlight--;
    this.#pump();
  }

  /** Everyone waits from now on. */
  hold(): void {
    if (this.#ended) return;
    this.#refusal = undefined;
    this.#held = true;
  }

  /** Turns come again. */
  release(): void {
    if (this.#ended) return;
    this.#refusal = undefined;
    this.#held = false;
    this.#pump();
  }

  /** Everyone who waits and everyone who comes hears this, until `hold` or `release`. */
  refuse(reason: string): void {
    if (this.#ended) return;
    this.#refusal = reason;
    for (const waiter of [...this.#waiting]) waiter.settle(reason);
  }

  /** No new turns for this long; a longer pause that is under way stays. */
  pause(ms: number): void {
    const { clock } = this.#bounds;
    const until = clock.monotonicMs() + ms;
    if (this.#ended || until <= this.#pausedUntil) return;
    this.#pausedUntil = until;
    this.#cancelWake();
    this.#cancelWake = clock.after(ms, () => {
      this.#pausedUntil = 0;
      this.#pump();
    });
  }

  /** As `refuse`, for good. */
  end(reason: string): void {
    this.refuse(reason);
    this.#ended = true;
    this.#cancelWake();
  }

  #isFree(): boolean {
    return !this.#held && this.#pausedUntil === 0 && this.#inFlight < this.#bounds.maxInFlight;
  }

  #pump(): void {
    while (this.#refusal === undefined && this.#isFree()) {
      const [next] = this.#waiting;
      if (next === undefined) return;
      this.#inFlight++;
      next.settle(undefined);
    }
  }
}
