/**
 * Questions to the UtxoLookup about channels of the graph, for the spend watch: one for each channel at a time, few at once.
 *
 * An answer that came while its channel was asked about once more is thrown away, and asked for again: the chain may have changed
 * in between. A backend that cannot tell (`unavailable`) is left alone for 1, 2, 4, ... 60 seconds; when it could not tell
 * MAX_ASKED_AT_ONCE times in a row it is away, and then one question at a time finds out when it is back. A question that stays
 * without answer while others get theirs is given up after MAX_QUESTION_TRIES: some nodes have thrown old blocks away.
 * Bounds: MAX_QUESTIONS of some 200 bytes with their table slot, 4 MB; when full the newcomer is refused, and counted.
 */
import { scidFromHalves } from '../base/short_channel_id.ts';
import type { Clock } from '../base/time.ts';
import type { UtxoLookup, UtxoResult } from '../chain/utxo_lookup.ts';
import { ScidTable } from './scid_table.ts';

/** Six blocks full of closes, some 3,000 each. */
export const MAX_QUESTIONS = 20_000;
export const MAX_ASKED_AT_ONCE = 16;
export const MAX_QUESTION_TRIES = 12;
const QUESTION_TIMEOUT_MS = 30_000;
const FIRST_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 60_000;

const UNAVAILABLE: UtxoResult = { found: 'unavailable' };

export interface ChainQuestion {
  readonly scidHi: number;
  readonly scidLo: number;
  /** Height of the block that seems to have spent it. */
  spendHeight: number | undefined;
  /**
   * A reorganisation, or a pause, has made doubtful what is known of it, and until the answer nothing is done to the channel: height
   * of the block that went.
   */
  doubtHeight: number | undefined;
}

interface Entry extends ChainQuestion {
  tries: number;
  /** Tries without answer after each of which another question got one. */
  passedOver: number;
  /** Answers given to others when it was last tried. */
  answersBefore: number;
  isAsked: boolean;
  /** Asked about once more while it was with the backend. */
  isStale: boolean;
}

export interface ChainQuestionsOptions {
  readonly utxo: UtxoLookup;
  readonly clock: Clock;
  /** Never `unavailable`. True: the answer is of no use, ask again later. */
  readonly answered: (question: ChainQuestion, result: UtxoResult) => boolean;
}

export class ChainQuestions {
  readonly #options: ChainQuestionsOptions;
  readonly #byScid = new ScidTable<Entry>();
  /** Taken from the front; compacted now and then. */
  #queue: Entry[] = [];
  #front = 0;
  /** Without an answer so far, waiting for the timer. */
  #resting: Entry[] = [];
  readonly #aborts = new Set<AbortController>();
  /** Other than `unavailable`, since the beginning. */
  #answers = 0;
  #failuresInRow = 0;
  #cancelTimer: (() => void) | undefined;
  #isClosed = false;
  refused = 0;

  constructor(options: ChainQuestionsOptions) {
    this.#options = options;
  }

  /** Those that are with the backend included. */
  get size(): number {
    return this.#byScid.size;
  }

  get inFlight(): number {
    return this.#aborts.size;
  }

  get isAway(): boolean {
    return this.#failuresInRow >= MAX_ASKED_AT_ONCE;
  }

  isDoubted(scidHi: number, scidLo: number): boolean {
    return this.#byScid.get(scidHi, scidLo)?.doubtHeight !== undefined;
  }

  /** The lowest block that an open question came from; Infinity when there is none. Linear. */
  lowestHeight(): number {
    let lowest = Number.POSITIVE_INFINITY;
    this.#byScid.forEach(({ spendHeight, doubtHeight }) => {
      for (const height of [spendHeight, doubtHeight]) if (height) lowest = Math.min(lowest, height);
    });
    return lowest;
  }

  /** False when there is no room. */
  ask(
    scidHi: number,
    scidLo: number,
    { spendHeight, doubtHeight }: { readonly spendHeight?: number; readonly doubtHeight?: number } = {},
  ): boolean {
    if (this.#isClosed) return true;
    const known = this.#byScid.get(scidHi, scidLo);
    if (known !== undefined) {
      known.spendHeight = spendHeight ?? known.spendHeight;
      known.doubtHeight = doubtHeight ?? known.doubtHeight;
      known.isStale ||= known.isAsked;
      return true;
    }
    if (this.#byScid.size >= MAX_QUESTIONS) {
      this.refused++;
      return false;
    }
    const entry: Entry = {
      ...{ scidHi, scidLo, spendHeight, doubtHeight },
      ...{ tries: 0, passedOver: 0, answersBefore: this.#answers, isAsked: false, isStale: false },
    };
    this.#byScid.set(scidHi, scidLo, entry);
    this.#queue.push(entry);
    this.#pump();
    return true;
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelTimer?.();
    for (const controller of this.#aborts) controller.abort();
    this.#queue = [];
    this.#resting = [];
    this.#front = 0;
  }

  #pump(): void {
    // While the backend is away only the timer asks.
    if (this.isAway) return;
    while (this.#aborts.size < MAX_ASKED_AT_ONCE && this.#next()) {}
  }

  #next(): boolean {
    const entry = this.#queue[this.#front];
    if (entry === undefined) return false;
    this.#front++;
    if (this.#front === this.#queue.length || this.#front > 1024) {
      this.#queue = this.#queue.slice(this.#front);
      this.#front = 0;
    }
    this.#ask(entry);
    return true;
  }

  #ask(entry: Entry): void {
    const { utxo, clock } = this.#options;
    const controller = new AbortController();
    let isOver = false;
    const finish = (result: UtxoResult): void => {
      if (isOver) return;
      isOver = true;
      cancel();
      this.#aborts.delete(controller);
      if (!this.#isClosed) this.#finished(entry, result);
    };
    const cancel = clock.after(QUESTION_TIMEOUT_MS, () => {
      controller.abort();
      finish(UNAVAILABLE);
    });
    entry.isAsked = true;
    entry.isStale = false;
    entry.tries++;
    this.#aborts.add(controller);
    utxo
      .lookup(scidFromHalves(entry.scidHi, entry.scidLo), controller.signal)
      .then(finish, () => finish(UNAVAILABLE));
  }

  #finished(entry: Entry, result: UtxoResult): void {
    entry.isAsked = false;
    if (result.found === 'unavailable') {
      this.#failuresInRow++;
      this.#rest(entry);
      this.#pump();
      return;
    }
    this.#failuresInRow = 0;
    this.#answers++;
    if (entry.isStale) this.#queue.push(entry);
    else {
      // Out before the answer is acted on: what follows from it may ask again.
      this.#byScid.delete(entry.scidHi, entry.scidLo);
      if (this.#options.answered(entry, result)) {
        this.#byScid.set(entry.scidHi, entry.scidLo, entry);
        this.#rest(entry);
      }
    }
    this.#pump();
  }

  #rest(entry: Entry): void {
    if (entry.answersBefore < this.#answers) entry.passedOver++;
    entry.answersBefore = this.#answers;
    if (entry.passedOver >= MAX_QUESTION_TRIES) {
      this.#byScid.delete(entry.scidHi, entry.scidLo);
      return;
    }
    this.#resting.push(entry);
    if (this.#cancelTimer !== undefined) return;
    const doublings = this.isAway ? this.#failuresInRow - MAX_ASKED_AT_ONCE : entry.tries - 1;
    const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(16, Math.max(0, doublings)));
    this.#cancelTimer = this.#options.clock.after(pauseMs, () => {
      this.#cancelTimer = undefined;
      // One by one: a million arguments are too many for a call.
      for (const rested of this.#resting.splice(0)) this.#queue.push(rested);
      if (this.isAway && this.#aborts.size === 0) this.#next();
      this.#pump();
    });
  }
}
