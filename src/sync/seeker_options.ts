/** What the seeker is given by daemon/, and what its parts share. */
import type { Network } from '../base/chain_hash.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import type { Rng } from '../base/rng.ts';
import type { Clock } from '../base/time.ts';
import type { NetworkGraph } from '../graph/network_graph.ts';
import { encodeGossipTimestampFilter } from '../wire/gossip_timestamp_filter.ts';
import type { SyncPeerPort, WarnText } from './ports.ts';
import type { RefetchOutcome } from './refetch.ts';
import type { ScidQueries } from './scid_queries.ts';
import type { SyncPeer, SyncPeerState } from './sync_peer.ts';
import type { WantedPool } from './wanted_pool.ts';

export interface SeekerOptions {
  readonly graph: NetworkGraph;
  readonly network: Network;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly meter: Meter;
  /** Messages handed to ingest/ whose verdict is pending. */
  readonly backlog?: () => number;
  /**
   * Newest update that was stored before this start, in Unix seconds; 0 or nothing for an empty map. Until the first sync is
   * complete, live gossip is asked for from there, because peers without gossip_queries_ex cannot tell what changed since.
   */
  readonly newestStored?: number;
  /** Channels refused not long ago: not asked for. */
  readonly refused?: (scidHi: number, scidLo: number) => boolean;
  /** Channels known to be spent: not asked for. */
  readonly closed?: (scidHi: number, scidLo: number) => boolean;
  /** Channels that were pruned for want of updates: asked for only when a list shows a fresh one. */
  readonly zombie?: (scidHi: number, scidLo: number) => boolean;
  /** Channels whose messages are here and whose funding output is still being looked for: not missing, and not known. */
  readonly notVerified?: (scidHi: number, scidLo: number) => boolean;
  /** Gossip messages that this peer brought first and that were accepted, so far: it decides who keeps sending live gossip. */
  readonly contribution?: (port: SyncPeerPort) => number;
  /** Height of the chain's tip, if known; otherwise that of the newest channel. */
  readonly blockHeight?: () => number | undefined;
  /** What was to be fetched again is back, or everybody has been asked for the rest. */
  readonly onRefetched?: (outcome: RefetchOutcome) => void;
}

/** What tests and small machines make smaller. */
export interface SeekerLimits {
  /** Ids in a query; at most MAX_SHORT_IDS_PER_QUERY. */
  readonly chunkScids?: number;
  /** See MAX_WANTED and MAX_WANTED_PER_PEER. */
  readonly maxWanted?: number;
  readonly maxWantedPerPeer?: number;
  /** See MAX_REFETCH. */
  readonly maxRefetch?: number;
  /** See MAX_SCIDS_PER_ANSWER. */
  readonly maxScidsPerAnswer?: number;
  /** See MAX_LISTED. */
  readonly maxListed?: number;
}

/** What the seeker's parts work with; the seeker owns all of it. */
export interface SyncContext {
  readonly options: SeekerOptions;
  readonly limits: SeekerLimits;
  readonly peers: ReadonlyMap<number, SyncPeer>;
  readonly pool: WantedPool;
  readonly queries: ScidQueries;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Has been in state synced. */
  readonly hasSynced: () => boolean;
  readonly isBusy: () => boolean;
  /** Counts a broken reply, and gives the text for the peer. */
  readonly warn: (reason: string) => WarnText;
  readonly setPeerState: (peer: SyncPeer, next: SyncPeerState, why: string) => void;
  /** Nothing is asked of the peer now, though the rest of its list may be. */
  readonly setIdle: (peer: SyncPeer, why: string) => void;
  /** Something has changed: whatever can be done now is done. */
  readonly advance: () => void;
}

/** Sends a gossip_timestamp_filter (BOLT 7). Times in Unix seconds. */
export const sendFilter = (
  { options }: SyncContext,
  peer: SyncPeer,
  first_timestamp: number,
  timestamp_range: number,
): void => {
  const chain_hash = options.network.chainHashBytes;
  peer.port.send(encodeGossipTimestampFilter({ chain_hash, first_timestamp, timestamp_range }));
};
