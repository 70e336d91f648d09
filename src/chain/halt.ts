/**
 * How the steps of a lookup stop early: a value that carries the answer to give, and what the server did wrong, if it did.
 * The steps (electrum_output.ts, electrum_spend.ts, esplora.ts) hand it up; the backend counts it and answers.
 */
import type { UtxoAbsence, UtxoResult } from './utxo_lookup.ts';

/** What a server's answer can be convicted of; also the label under which it is counted. */
export type ServerFault = 'malformed' | 'bad_header' | 'false_proof' | 'wrong_transaction' | 'contradiction';

export class Halt {
  readonly result: UtxoResult;
  readonly fault: ServerFault | undefined;

  constructor(result: UtxoResult, fault?: ServerFault) {
    this.result = result;
    this.fault = fault;
  }
}

export const haltNone = (why: UtxoAbsence, spentAtHeight?: number): Halt =>
  new Halt(spentAtHeight === undefined ? { found: 'none', why } : { found: 'none', why, spentAtHeight });

export const haltUnavailable = (why: string): Halt => new Halt({ found: 'unavailable', why });

/** `what` completes "the server …". */
export const haltFault = (fault: ServerFault, server: string, what: string): Halt =>
  new Halt({ found: 'unavailable', why: `the ${server} server ${what}; choose another server` }, fault);
