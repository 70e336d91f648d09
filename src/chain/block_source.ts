/**
 * The BlockSource port: where the tip is, which block stands at a height, and its bytes. And ChainBackend, which joins it with the
 * UtxoLookup of the same service. block_follower.ts makes a gapless sequence of blocks of it; daemon/ chooses the backend.
 */
import type { UtxoLookup } from './utxo_lookup.ts';

export interface ChainTip {
  readonly height: number;
  /** 64 hex digits as people write them: the reverse of the order in which they are hashed. */
  readonly hash: string;
}

/** Every method rejects with OperationalError `chain_unavailable` (action `retry`) when the backend gives no usable answer. */
export interface BlockSource {
  readonly name: string;
  readonly tip: (signal: AbortSignal) => Promise<ChainTip>;
  /** Hash of the block of the best chain at this height; undefined above the tip. */
  readonly hashAt: (height: number, signal: AbortSignal) => Promise<string | undefined>;
  /** The block as it is sent between nodes; the caller owns the bytes. Undefined when the backend serves no blocks. */
  readonly rawBlock: ((hash: string, signal: AbortSignal) => Promise<Uint8Array>) | undefined;
  /** Calls back when the backend says that the tip has changed; answers with how to stop it. Undefined: ask again and again. */
  readonly onTip: ((changed: () => void) => () => void) | undefined;
}

export interface ChainBackendStatus {
  readonly state: 'ok' | 'connecting' | 'unavailable';
  /** Why it is not ok; else empty. */
  readonly reason: string;
  readonly requests: number;
  readonly failures: number;
}

export interface ChainBackend {
  readonly lookup: UtxoLookup;
  /** Undefined when the backend knows outputs but follows no chain (a table). */
  readonly blocks: BlockSource | undefined;
  readonly status: () => ChainBackendStatus;
  /** Ends connections and open questions, which are answered as `unavailable`. */
  readonly close: () => Promise<void>;
}
