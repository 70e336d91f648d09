/**
 * Asks the UtxoLookup about funding outputs for the channel judge, and keeps the asking bounded.
 *
 * At most 64 questions are with the backend at once, each for at most 30 seconds; the rest queue in order of arrival. An answer
 * `unavailable` (or none in time) is asked again after 1, 2, 4, ... 60 seconds. Whoever has to wait like this is told at once, so
 * that it can be held instead of blocking its peer.
 * A backend that could not tell 64 times in a row is away: then one question at a time finds out when it is back, and nobody is given
 * up, for hours or days. A question that alone stays without answer, because a node has thrown its old blocks away, is given up
 * after MAX_LOOKUP_TRIES: it must not take the room of others for ever.
 * Bounds: everything here is a pending announcement, of which there are at most MAX_PENDING_ANNOUNCEMENTS; the room being full, newcomers
 * are refused, and the seeker brings them later.
 */
import { scidFromHalves } from '../base/short_channel_id.ts';
import type { Clock } from '../base/time.ts';
import type { UtxoLookup, UtxoResult } from '../chain/utxo_lookup.ts';
import type { PendingChannel } from './pending_channels.ts';

export const MAX_LOOKUPS_IN_FLIGHT = 64;
export const LOOKUP_TIMEOUT_MS = 30_000;
/** In between which others got answers: 1 + 2 + 4 + ... + 32 and seven times 60 seconds, eight minutes. */
export const MAX_LOOKUP_TRIES = 13;
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
  /** Tries without answer after each of which another question got one. */
  passedOver: number;
  /** Answers given to others when it was last tried. */
  answersBefore: number;
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
  /** Other than `unavailable`, since the beginning. */
  #answers = 0;
  /** Answers `unavailable` since the last that was another. */
  #failuresInRow = 0;
  /** While the backend is away: when the next question is asked. */
  #cancelProbe: (() => void) | undefined;
  #isClosed = false;

  constructor(options: FundingCheckOptions) {
    this.#options = options;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  ask(entry: PendingChannel): void {
    const question: Question = { entry, tries: 0, passedOver: 0, answersBefore: 0, stop: undefined };
    this.#questions.add(question);
    this.#enqueue(question);
    // Nobody asks for it while the backend is away, and its peer is not to wait for that.
    if (this.isAway) this.#options.delayed(entry);
  }

  /** The backend cannot tell anything at the moment. */
  get isAway(): boolean {
    return this.#failuresInRow >= MAX_LOOKUPS_IN_FLIGHT;
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelProbe?.();
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
    if (this.isAway) {
      this.#probeLater();
      return;
    }
    while (this.#inFlight < MAX_LOOKUPS_IN_FLIGHT && this.#askNext()) {}
  }

  #askNext(): boolean {
    const question = this.#queue[this.#front];
    if (question === undefined) return false;
    this.#front++;
    if (this.#front === this.#queue.length || this.#front > 1024) {
      this.#queue = this.#queue.slice(this.#front);
      this.#front = 0;
    }
    this.#ask(question);
    return true;
  }

  #probeLater(): void {
    if (this.#cancelProbe !== undefined || this.#inFlight > 0 || this.#questions.size === 0) return;
    const doublings = Math.min(16, this.#failuresInRow - MAX_LOOKUPS_IN_FLIGHT);
    const waitMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** doublings);
    this.#cancelProbe = this.#options.clock.after(waitMs, () => {
      this.#cancelProbe = undefined;
      if (this.isAway) this.#askNext();
      else this.#pump();
    });
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
      this.#failuresInRow = 0;
      this.#answers++;
      this.#questions.delete(question);
      answered(question.entry, result);
      return;
    }
    this.#failuresInRow++;
    if (this.isAway) {
      this.#queue.push(question);
      delayed(question.entry);
      return;
    }
    if (question.answersBefore < this.#answers) question.passedOver++;
    question.answersBefore = this.#answers;
    if (question.passedOver >= MAX_LOOKUP_TRIES) {
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
