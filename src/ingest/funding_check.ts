/**
 * Asks the UtxoLookup about funding outputs for the channel judge, and keeps the asking bounded.
 *
 * At most 64 questions are with the backend at once, each for at most 30 seconds; the rest queue in order of arrival. An answer
 * `unavailable` (or none in time) is asked again after 1, 2, 4, ... 60 seconds, for ten minutes; then the question is given up.
 * Whoever has to wait like this is told at once, so that it can be held instead of blocking its peer.
 * Bounds: everything here is a pending announcement, of which there are at most MAX_PENDING_ANNOUNCEMENTS.
 */
import { scidFromHalves } from '../base/short_channel_id.ts';
import type { Clock } from '../base/time.ts';
import type { UtxoLookup, UtxoResult } from '../chain/utxo_lookup.ts';
import type { PendingChannel } from './pending_channels.ts';

export const MAX_LOOKUPS_IN_FLIGHT = 64;
export const LOOKUP_TIMEOUT_MS = 30_000;
export const MAX_LOOKUP_WAIT_MS = 600_000;
const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 60_000;

const UNAVAILABLE: UtxoResult = { found: 'unavailable' };

export interface FundingCheckOptions {
  readonly utxo: UtxoLookup;
  readonly clock: Clock;
  /** The backend said `unspent` or `none`, or it was given up as `unavailable`. */
  readonly answered: (entry: PendingChannel, result: UtxoResult) => void;
  /** The backend cannot tell yet; called for each try. */
  readonly delayed: (entry: PendingChannel) => void;
}

interface Question {
  readonly entry: PendingChannel;
  tries: number;
  /** Monotonic time of the first `unavailable`. */
  delayedSinceMs: number | undefined;
  /** Ends what the question is doing now: being with the backend, or waiting to be asked again. */
  stop: (() => void) | undefined;
}

export class FundingCheck {
  readonly #options: FundingCheckOptions;
  readonly #questions = new Set<Question>();
  /** Taken from the front; compacted now and then. */
  #queue: Question[] = [];
  #front = 0;
  #inFlight = 0;
  #isClosed = false;

  constructor(options: FundingCheckOptions) {
    this.#options = options;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  ask(entry: PendingChannel): void {
    const question: Question = { entry, tries: 0, delayedSinceMs: undefined, stop: undefined };
    this.#questions.add(question);
    this.#enqueue(question);
  }

  close(): void {
    this.#isClosed = true;
    for (const question of this.#questions) question.stop?.();
    this.#questions.clear();
    this.#queue = [];
    this.#front = 0;
  }

  #enqueue(question: Question): void {
    this.#queue.push(question);
    this.#pump();
  }

  #pump(): void {
    while (this.#inFlight < MAX_LOOKUPS_IN_FLIGHT) {
      const question = this.#queue[this.#front];
      if (question === undefined) break;
      this.#front++;
      this.#ask(question);
    }
    if (this.#front === this.#queue.length || this.#front > 1024) {
      this.#queue = this.#queue.slice(this.#front);
      this.#front = 0;
    }
  }

  #ask(question: Question): void {
    const { utxo, clock } = this.#options;
    const controller = new AbortController();
    let isOver = false;
    const finish = (result: UtxoResult): void => {
      if (isOver) return;
      isOver = true;
      cancelTimeout();
      question.stop = undefined;
      this.#inFlight--;
      if (this.#isClosed) return;
      this.#finished(question, result);
      this.#pump();
    };
    const cancelTimeout = clock.after(LOOKUP_TIMEOUT_MS, () => {
      controller.abort();
      finish(UNAVAILABLE);
    });
    question.tries++;
    question.stop = (): void => {
      controller.abort();
      finish(UNAVAILABLE);
    };
    this.#inFlight++;
    const { scidHi, scidLo } = question.entry;
    utxo.lookup(scidFromHalves(scidHi, scidLo), controller.signal).then(finish, () => finish(UNAVAILABLE));
  }

  #finished(question: Question, result: UtxoResult): void {
    const { clock, answered, delayed } = this.#options;
    if (result.found !== 'unavailable') {
      this.#questions.delete(question);
      answered(question.entry, result);
      return;
    }
    const now = clock.monotonicMs();
    question.delayedSinceMs ??= now;
    if (now - question.delayedSinceMs >= MAX_LOOKUP_WAIT_MS) {
      this.#questions.delete(question);
      answered(question.entry, UNAVAILABLE);
      return;
    }
    const waitMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(question.tries - 1, 16));
    question.stop = clock.after(waitMs, () => {
      question.stop = undefined;
      this.#enqueue(question);
    });
    delayed(question.entry);
  }
}
