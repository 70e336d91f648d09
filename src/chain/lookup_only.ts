/** A ChainBackend of a UtxoLookup that stands alone: a table in a file, or nothing. It follows no chain and holds nothing open. */
import type { ChainBackend } from './block_source.ts';
import type { UtxoLookup } from './utxo_lookup.ts';

export const lookupOnly = (lookup: UtxoLookup): ChainBackend => ({
  lookup,
  blocks: undefined,
  status: () => ({ state: 'ok', reason: '', requests: 0, failures: 0 }),
  close: () => Promise.resolve(),
});
