/**
 * Why a chain backend gave no usable answer, as a value: a closed code for counters and one sentence for the operator that names
 * the next step. Backends turn everything that a service can do wrong into one of these; nothing of it is ever thrown.
 *
 * At the ports it becomes `unavailable` (UtxoLookup) or OperationalError `chain_unavailable` (BlockSource).
 */
import { OperationalError } from '../base/errors.ts';
import type { UtxoResult } from './utxo_lookup.ts';

export type ChainFaultCode =
  /** Nobody listens, or the name is not known. */
  | 'refused'
  /** The connection ended before the answer was complete. */
  | 'broken'
  | 'timeout'
  /** Longer than any right answer can be. */
  | 'too_long'
  | 'unauthorised'
  | 'forbidden'
  /** The service is there and does not know what we ask, e.g. REST is switched off. */
  | 'not_offered'
  /** 429, 503: too much at once. */
  | 'overloaded'
  | 'warming_up'
  | 'catching_up'
  /** Not JSON, or an HTTP status that means nothing here. */
  | 'garbage'
  /** JSON, but not the answer to what was asked. */
  | 'wrong_shape'
  | 'wrong_chain'
  /** An error for one thing that was asked. */
  | 'refused_call'
  /** The service has thrown this block away. */
  | 'pruned'
  /** The best chain changed while we asked. */
  | 'reorganised'
  /** More questions wait than we keep. */
  | 'queue_full'
  | 'aborted'
  | 'closed';

export interface ChainFault {
  readonly fault: ChainFaultCode;
  /** One sentence; names the service and the next step. Holds no password. */
  readonly reason: string;
  /** When the service says so: milliseconds until it is worth asking again. */
  readonly retryAfterMs?: number;
}

/** Faults that go away by themselves within moments: worth another try inside one question. */
const PASSING: ReadonlySet<ChainFaultCode> = new Set([
  'refused',
  'broken',
  'overloaded',
  'warming_up',
  'garbage',
]);

/** Faults that say something about one question or about us, and nothing about how the service is. */
const OF_THE_QUESTION: ReadonlySet<ChainFaultCode> = new Set([
  // What peers make us ask must not be able to write to the log.
  'refused_call',
  'catching_up',
  'pruned',
  'reorganised',
  'queue_full',
  'aborted',
  'closed',
]);

export const isPassing = (code: ChainFaultCode): boolean => PASSING.has(code);
export const isOfTheQuestion = (code: ChainFaultCode): boolean => OF_THE_QUESTION.has(code);

export const isFault = (answer: unknown): answer is ChainFault =>
  typeof answer === 'object' && answer !== null && 'fault' in answer;

export const ABORTED: ChainFault = { fault: 'aborted', reason: 'the question was withdrawn' };
export const CLOSED: ChainFault = { fault: 'closed', reason: 'the chain backend is closed' };
export const REORGANISED: ChainFault = {
  fault: 'reorganised',
  reason: 'the best chain changed during the question; it is asked again by itself',
};

/**
 * Answers to several things asked at once, each perhaps a fault. When all of them are and blame the service, that is one fault of the
 * whole; otherwise one strange answer costs only its own question.
 */
export const faultOfAll = (answers: readonly unknown[]): ChainFault | undefined => {
  const [first] = answers;
  const isBad = answers.every((answer) => isFault(answer) && !isOfTheQuestion(answer.fault));
  return isBad && isFault(first) ? first : undefined;
};

export const prunedAway = (service: string): ChainFault => ({
  fault: 'pruned',
  reason: `${service} is pruned and no longer has the block of this channel: use a node that keeps all blocks`,
});

export const unavailable = (fault: ChainFault): UtxoResult => ({ found: 'unavailable', why: fault.reason });

/** For BlockSource methods, which reject. */
export const chainUnavailable = (fault: ChainFault): OperationalError =>
  new OperationalError(
    'chain_unavailable',
    'retry',
    fault.reason,
    'It is asked again by itself.',
    fault.fault,
  );
