/**
 * Joins questions about outputs into rounds: what is asked in one turn, or while a round is under way, goes into the next one, so
 * that a backend can ask for many things in few requests. One round at a time; each question is answered once.
 *
 * A question whose signal fires is answered `unavailable` at once; the round's own signal fires when nobody waits for it any more.
 */
import {
  type ShortChannelId,
  scidBlock,
  scidHi,
  scidLo,
  scidOutput,
  scidTransaction,
} from '../base/short_channel_id.ts';
import { onAbort } from './abort_fan.ts';
import { ABORTED, type ChainFault, CLOSED, unavailable } from './chain_fault.ts';
import type { UtxoResult } from './utxo_lookup.ts';

/** ingest/ asks at most 64 at once; 256 lets other users ask as many again, and bounds what one round's requests may hold. */
export const MAX_QUESTIONS_PER_ROUND = 256;
/** As many as ingest/ has announcements under check (MAX_PENDING_ANNOUNCEMENTS); some 300 bytes each: 3 MB. */
export const MAX_WAITING_QUESTIONS = 10_000;

const QUEUE_FULL: ChainFault = {
  fault: 'queue_full',
  reason: `${MAX_WAITING_QUESTIONS} questions wait for the chain backend already; it is asked again by itself`,
};

/** One short_channel_id, taken apart. */
export interface Question {
  readonly height: number;
  readonly index: number;
  readonly output: number;
  /** The first answer counts. */
  readonly settle: (result: UtxoResult) => void;
}

/** Must settle every question; what it leaves open, or a rejection, becomes `unavailable`. */
export type AnswerRound = (questions: readonly Question[], signal: AbortSignal) => Promise<void>;

const UNANSWERED: UtxoResult = { found: 'unavailable', why: 'the chain backend gave no answer' };

export class LookupRounds {
  readonly #answerRound: AnswerRound;
  readonly #waiting = new Set<Question>();
  /** Questions of the round under way that are still open. */
  #open = new Set<Question>();
  #round: Promise<void> | undefined;
  #abortRound: (() => void) | undefined;
  #isClosed = false;

  constructor(answerRound: AnswerRound) {
    this.#answerRound = answerRound;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** The method of the UtxoLookup port: never rejects. */
  readonly lookup = (scid: ShortChannelId, signal: AbortSignal): Promise<UtxoResult> => {
    if (this.#isClosed) return Promise.resolve(unavailable(CLOSED));
    if (signal.aborted) return Promise.resolve(unavailable(ABORTED));
    if (this.#waiting.size >= MAX_WAITING_QUESTIONS) return Promise.resolve(unavailable(QUEUE_FULL));
    return new Promise((resolve) => {
      const [hi, lo] = [scidHi(scid), scidLo(scid)];
      const question: Question = {
        height: scidBlock(hi),
        index: scidTransaction(hi, lo),
        output: scidOutput(lo),
        settle: (result) => {
          stayed();
          this.#waiting.delete(question);
          if (this.#open.delete(question) && this.#open.size === 0) this.#abortRound?.();
          resolve(result);
        },
      };
      const stayed = onAbort(signal, () => question.settle(unavailable(ABORTED)));
      this.#waiting.add(question);
      this.#round ??= this.#run();
    });
  };

  /** Answers everything with `unavailable`, and resolves when the round under way has ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const question of [...this.#open, ...this.#waiting]) question.settle(unavailable(CLOSED));
    await this.#round;
  }

  async #run(): Promise<void> {
    // Until the end of this turn more questions may come.
    await Promise.resolve();
    while (this.#waiting.size > 0) {
      const questions = [...this.#waiting].slice(0, MAX_QUESTIONS_PER_ROUND);
      for (const question of questions) this.#waiting.delete(question);
      this.#open = new Set(questions);
      const controller = new AbortController();
      this.#abortRound = (): void => controller.abort();
      try {
        await this.#answerRound(questions, controller.signal);
      } catch {
        // The questions that are still open say it.
      }
      this.#abortRound = undefined;
      for (const question of [...this.#open]) question.settle(UNANSWERED);
    }
    this.#round = undefined;
  }
}
