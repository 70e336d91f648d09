/** What the seeker says of itself: plain data for people, the rpc socket and progress lines. */
import type { UnixSeconds } from '../base/time.ts';
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
}

export interface SeekerFacts {
  readonly state: SeekerState;
  readonly syncedOnce: boolean;
  readonly peers: Iterable<SyncPeer>;
  readonly pool: WantedPool;
  readonly knownChannels: number;
  readonly startedAt: UnixSeconds;
  readonly queriesSent: number;
  readonly refetchLeft: number;
  /** Channels that arrived since the fetch began, and how long ago that was. */
  readonly fetchedInFetch: number;
  readonly fetchMs: number;
}

const percentOf = (part: number, whole: number): number =>
  whole === 0 ? 0 : Math.floor((1000 * part) / whole) / 10;

export const seekerStatus = (facts: SeekerFacts): SeekerStatus => {
  const { pool, state, knownChannels } = facts;
  const missing = pool.open + pool.arriving;
  // Before any list has come nobody knows what there is to know.
  const peers = [...facts.peers];
  const listed = facts.syncedOnce || peers.some((peer) => peer.has > 0);
  const total = listed ? knownChannels + missing - pool.alreadyKnown : 0;
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
  };
};
