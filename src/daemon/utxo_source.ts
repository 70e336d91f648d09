/** Opens the chain backend that the configuration names. */
import { readFileSync } from 'node:fs';
import { OperationalError } from '../base/errors.ts';
import type { UtxoLookup } from '../chain/utxo_lookup.ts';
import { utxoNone } from '../chain/utxo_none.ts';
import { openUtxoTable } from '../chain/utxo_table.ts';
import type { Config } from './config.ts';

/** `none`, or `table:FILE`. Throws OperationalError `bad_config` or `utxo_table_damaged`. */
export const utxoFromConfig = (config: Config): UtxoLookup => {
  if (config.utxo === 'none') return utxoNone;
  const path = config.utxo.startsWith('table:') ? config.utxo.slice('table:'.length) : undefined;
  if (path === undefined) {
    throw new OperationalError(
      'bad_config',
      'stop',
      `utxo: "${config.utxo}" is no chain backend`,
      'Use "none" or "table:FILE".',
    );
  }
  try {
    return openUtxoTable(readFileSync(path));
  } catch (error) {
    if (error instanceof OperationalError) throw error;
    throw new OperationalError(
      'bad_config',
      'stop',
      `utxo: cannot read ${path}`,
      'Check the path after "table:".',
      error,
    );
  }
};
