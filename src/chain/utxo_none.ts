/**
 * The UtxoLookup of a node without a chain backend: it can tell nothing, and says so.
 * daemon/ chooses it by default; ingest/ then accepts channels on their signatures alone, as unverified.
 */
import type { UtxoLookup, UtxoResult } from './utxo_lookup.ts';

const UNAVAILABLE: UtxoResult = { found: 'unavailable' };

/** Answers every question with `unavailable`; `verifies` is false, so that nobody needs to ask. */
export const utxoNone: UtxoLookup = {
  name: 'none',
  verifies: false,
  lookup: () => Promise.resolve(UNAVAILABLE),
};
