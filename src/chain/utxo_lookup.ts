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
    }
  /** No such block, transaction or output, or it is spent. Final for now. */
  | { readonly found: 'none' }
  /** The backend cannot tell at the moment; ask again later. Never a reason to accept or to forget. */
  | { readonly found: 'unavailable' };

export interface UtxoLookup {
  /** For logs and status: `none`, `table`, `bitcoind`, … */
  readonly name: string;
  /** False for the backend `none`: channels are then accepted on signatures alone and marked unverified. */
  readonly verifies: boolean;
  /** Never rejects; faults of the backend are `unavailable`. */
  readonly lookup: (scid: ShortChannelId, signal: AbortSignal) => Promise<UtxoResult>;
}
