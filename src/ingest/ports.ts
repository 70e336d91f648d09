/**
 * What ingest/ needs from the rest of the house, handed in by daemon/ (or a test), and the limits of one message's age.
 * BOLT 7: prune after two weeks; CLN's window for updates is fourteen days back and one day ahead.
 */
import type { Network } from '../base/chain_hash.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import type { Clock } from '../base/time.ts';
import type { UtxoLookup } from '../chain/utxo_lookup.ts';
import type { SignatureChecker } from '../crypto/inline_checker.ts';
import type { NetworkGraph } from '../graph/network_graph.ts';
import type { Accepted } from '../store/accepted.ts';
import type { StoreOffset, StoreRecord } from '../wire/store_record.ts';
import type { Verdict } from './verdict.ts';

/** The writing side of the store, and the one read that moving a node_announcement needs. */
export interface StorePort {
  /** Calls `apply` with each new record before it returns; offset 0 says that it took nothing. */
  append(accepted: Accepted, apply: (record: StoreRecord) => void): StoreOffset;
  readMessage(offset: StoreOffset): Uint8Array | undefined;
  /** False while the store takes nothing (no space, broken disk); offers are then `overloaded`. */
  readonly writable?: boolean;
}

export interface IngestPorts {
  readonly graph: NetworkGraph;
  readonly store: StorePort;
  readonly checker: SignatureChecker;
  readonly utxo: UtxoLookup;
  readonly network: Network;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  /** Height of the chain's tip; undefined, or no function at all, when nobody knows. */
  readonly blockHeight?: () => number | undefined;
}

/** Called with an offer's verdict. */
export type Done = (verdict: Verdict) => void;

/**
 * Sees every verdict, those on held messages included.
 *
 * @param raw borrowed
 * @param offset where the message is in the store, if it was accepted or is known already
 */
export type VerdictListener = (
  verdict: Verdict,
  raw: Uint8Array,
  origin: number,
  offset: StoreOffset | undefined,
) => void;

/** B7-42: two weeks. An older update is refused, and a channel with one is pruned. */
export const MAX_AGE_SECONDS = 1_209_600;
/** B7-35: one day, as CLN. */
export const MAX_AHEAD_SECONDS = 86_400;
