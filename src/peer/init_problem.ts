/**
 * Whether we can talk to a peer that said this init: its features and its chains (BOLT 1, The init Message; BOLT 9; B1-19 to
 * B1-21). Pure; Connection says the warning and closes.
 */
import { bytesEqual } from '../base/bytes.ts';
import type { Network } from '../base/chain_hash.ts';
import { checkFeatures } from '../wire/feature_bits.ts';
import type { Init } from '../wire/init.ts';
import type { ClosedBecause } from './closed_because.ts';

export interface InitProblem {
  readonly because: ClosedBecause;
  readonly detail: string;
  /** For the peer. */
  readonly warning: string;
}

/** Undefined when nothing stands in the way. @param init borrowed */
export const initProblem = (init: Init, network: Network): InitProblem | undefined => {
  const { unknownEven, missingDependency } = checkFeatures(init.features);
  if (unknownEven !== undefined) {
    const warning = `feature bit ${unknownEven} is not known here`;
    return { because: 'unknown_even_feature', detail: String(unknownEven), warning };
  }
  if (missingDependency !== undefined) {
    const [feature, needed] = missingDependency;
    const detail = `${feature} needs ${needed}`;
    return { because: 'missing_feature_dependency', detail, warning: `feature ${detail}` };
  }
  const chain = network.chainHashBytes;
  if (init.networks !== undefined && !init.networks.some((other) => bytesEqual(other, chain)))
    return { because: 'no_common_chain', detail: '', warning: 'no common chain' };
  return undefined;
};
