/**
 * The UtxoLookup port: is the output that a short_channel_id names real and unspent, and what is it worth?
 * Backends are one file each; ingest/ asks, daemon/ chooses.
 */
import type { ShortChannelId } from '../base/short_channel_id.ts';

export type UtxoResult =
  | {
      readonly found: 'unspent';
      /** scriptPubKey of the output; borrowed. */
      readonly script: Uint8Array;
      /** Value in satoshi. */
      readonly satoshis: bigint;
      /** The output's transaction: 32 bytes in the order in which they are hashed. Undefined when the backend does not know it. */
      readonly txid?: Uint8Array;
    }
  /** No such block, transaction or output in the best chain, or a block has spent it. Final for the present tip. */
  | {
      readonly found: 'none';
      readonly why?: UtxoAbsence;
      /** With `spent`: height of the block that spent it, where the backend can tell. */
      readonly spentAtHeight?: number;
    }
  /** The backend cannot tell at the moment; ask again later. Never a reason to accept or to forget. */
  | { readonly found: 'unavailable'; readonly why?: string };

export type UtxoAbsence = 'no_block' | 'no_transaction' | 'no_output' | 'spent';

export interface UtxoLookup {
  /** For logs and status: `none`, `table`, `bitcoind`, … */
  readonly name: string;
  /** False for the backend `none`: channels are then accepted on signatures alone and marked unverified. */
  readonly verifies: boolean;
  /** Never rejects; faults of the backend are `unavailable`. Spends that no block has confirmed do not count. */
  readonly lookup: (scid: ShortChannelId, signal: AbortSignal) => Promise<UtxoResult>;
}
