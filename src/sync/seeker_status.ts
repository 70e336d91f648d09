/** What the seeker says of itself: plain data for people, the rpc socket and progress lines. */
import type { UnixSeconds } from '../base/time.ts';
import {
  type Completeness,
  type CompletenessStatus,
  type ListFigures,
  percentOf as shareOf,
} from './completeness.ts';
import type { RangeCoverage } from './range_coverage.ts';
import { BLOCKS_END } from './range_inquiry.ts';
import type { SyncPeer, SyncPeerState } from './sync_peer.ts';
import type { WantedPool } from './wanted_pool.ts';

export type SeekerState =
  | 'waiting_for_peers'
  /** No peer's list of channels is complete yet. */
  | 'asking_ranges'
  | 'fetching'
  /** Everything was asked for; what came is still being checked. */
  | 'settling'
  /** Every channel of at least one complete list is known, or was given up or refused. */
  | 'synced';

export interface SeekerPeerStatus {
  readonly name: string;
  readonly state: SyncPeerState;
  /** Channels in its list, as far as received. */
  readonly has: number;
  /** Those of them that we know, up to date. */
  readonly known: number;
  /** 0 to 100; 0 while its list is empty. */
  readonly percent: number;
  /** Sends live gossip. */
  readonly streaming: boolean;
  /** How far its whole list is known to us, 0 to 100, without what we do not want; undefined until it has sent one. */
  readonly completeness: number | undefined;
  /** While it sends its list, or some blocks of it. */
  readonly listing: SeekerListing | undefined;
}

/** Where a list is that is being sent. */
export interface SeekerListing {
  /** Its list was asked for from this block on. */
  readonly first: number;
  /** Everything below this block is there. */
  readonly reached: number;
  /** One past the last block that is asked for, or the tip where that is known. */
  readonly stop: number;
  /** Of blocks, 0 to 100. */
  readonly percent: number;
  /** By blocks; undefined at the beginning, and where no tip is known. */
  readonly etaSeconds: number | undefined;
}

/** Blocks of which a peer has told all its channels. */
export interface SeekerRange {
  /** Blocks [first, end); an end of 2^24 is everything to come. */
  readonly first: number;
  readonly end: number;
  /** `several` where there were too many to keep apart. */
  readonly peer: string;
  readonly ageSeconds: number;
}

export interface SeekerStatus {
  readonly state: SeekerState;
  /** Has been synced, and nothing is missing now. */
  readonly complete: boolean;
  readonly peers: readonly SeekerPeerStatus[];
  /** Channels to be asked for. */
  readonly wanted: number;
  /** Channels in open queries, and those whose messages are being checked. */
  readonly outstanding: number;
  /** Channels that peers listed and nobody delivered; tried again every hour. */
  readonly givenUp: number;
  /** Messages lost with a damaged part of the store that are not back yet. */
  readonly refetchLeft: number;
  /** Channels in the graph. */
  readonly known: number;
  /** The same and those that are missing. */
  readonly totalKnownToPeers: number;
  /** 0 to 100, rounded down to a tenth: 100 only when nothing is missing. */
  readonly percent: number;
  readonly startedAt: UnixSeconds;
  /** Undefined while there is nothing to estimate from. */
  readonly etaSeconds: number | undefined;
  /** Queries of both kinds. */
  readonly queriesSent: number;
  /** Of all channels that our peers have, how many we have. */
  readonly completeness: CompletenessStatus;
  /** What peers have told, by blocks, the newest word of each; ascending. */
  readonly ranges: readonly SeekerRange[];
}

export interface SeekerFacts {
  readonly state: SeekerState;
  readonly syncedOnce: boolean;
  readonly peers: Iterable<SyncPeer>;
  readonly pool: WantedPool;
  readonly completeness: Completeness;
  readonly coverage: RangeCoverage;
  readonly blockHeight: number | undefined;
  /** Monotonic. */
  readonly nowMs: number;
  readonly knownChannels: number;
  readonly startedAt: UnixSeconds;
  readonly queriesSent: number;
  readonly refetchLeft: number;
  /** Channels that arrived since the fetch began, and how long ago that was. */
  readonly fetchedInFetch: number;
  readonly fetchMs: number;
}

const percentOf = (part: number, whole: number): number => shareOf(part, whole) ?? 0;

const completenessOf = (figures: ListFigures | undefined): number | undefined =>
  figures && shareOf(figures.known, figures.listed);

const listingOf = (
  { inquiry, rangeStartedMs }: SyncPeer,
  { blockHeight, nowMs }: SeekerFacts,
): SeekerListing | undefined => {
  if (inquiry === undefined) return undefined;
  const { reached, start: first } = inquiry;
  // Nobody lists what is above the tip: a whole list is done there.
  const tip = inquiry.stop === BLOCKS_END && blockHeight !== undefined ? blockHeight + 1 : inquiry.stop;
  const stop = Math.max(tip, reached);
  const perMs = (reached - first) / Math.max(1, nowMs - rangeStartedMs);
  const isEstimated = perMs > 0 && stop < BLOCKS_END;
  const percent = percentOf(reached - first, stop - first);
  const etaSeconds = isEstimated ? Math.ceil((stop - reached) / perMs / 1000) : undefined;
  return { first, reached, stop, percent, etaSeconds };
};

export const seekerStatus = (facts: SeekerFacts): SeekerStatus => {
  const { pool, state, knownChannels } = facts;
  const missing = pool.open + pool.arriving;
  // Before any list has come nobody knows what there is to know.
  const peers = [...facts.peers];
  const listed = facts.syncedOnce || peers.some((peer) => peer.has > 0);
  const total = listed ? knownChannels + missing - pool.alreadyKnown : 0;
  const completeness = facts.completeness.snapshot();
  const perMs = facts.fetchMs > 0 ? facts.fetchedInFetch / facts.fetchMs : 0;
  return {
    state,
    complete: facts.syncedOnce && missing === 0,
    peers: peers.map((peer) => {
      const known = peer.holder === -1 ? 0 : Math.max(0, peer.has - pool.missing(peer.holder));
      return {
        name: peer.port.name,
        state: peer.state,
        has: peer.has,
        known,
        percent: percentOf(known, peer.has),
        streaming: peer.streaming,
        completeness: completenessOf(completeness.of(peer.list)),
        listing: listingOf(peer, facts),
      };
    }),
    wanted: pool.waiting,
    outstanding: missing - pool.waiting,
    givenUp: pool.givenUp,
    refetchLeft: facts.refetchLeft,
    known: knownChannels,
    totalKnownToPeers: total,
    percent: total === 0 && state === 'synced' ? 100 : percentOf(knownChannels, total),
    startedAt: facts.startedAt,
    etaSeconds: state === 'fetching' && perMs > 0 ? Math.ceil(missing / perMs / 1000) : undefined,
    queriesSent: facts.queriesSent,
    completeness: completeness.status,
    ranges: facts.coverage.ranges.map(({ first, end, peer, atMs }) => {
      return { first, end, peer, ageSeconds: Math.floor((facts.nowMs - atMs) / 1000) };
    }),
  };
};
