/**
 * The overall state of the sync, as it follows from the states of the peers and from what is still wanted, and whom to ask when nothing
 * else helps. Pure; the seeker calls it after every event.
 */
import type { SeekerState } from './seeker_status.ts';
import type { SyncPeer } from './sync_peer.ts';

export interface SyncFacts {
  /** Entries to be asked for, or being asked for. */
  readonly open: number;
  /** Entries whose query has ended and whose messages are being checked. */
  readonly arriving: number;
  /** Messages without a verdict. */
  readonly backlog: number;
  /** The state so far is `synced`. */
  readonly wasSynced: boolean;
  /** It has been before. */
  readonly syncedOnce: boolean;
  /** The peer's list is complete, and something of it is known. */
  readonly isUseful: (peer: SyncPeer) => boolean;
}

/** The state, and why, for the log. */
export const derivedState = (
  peers: Iterable<SyncPeer>,
  facts: SyncFacts,
): { readonly state: SeekerState; readonly why: string } => {
  let offering = false;
  let known = false;
  let listed = false;
  let busy = false;
  let dumping = false;
  let fetching = false;
  for (const peer of peers) {
    const { state, rangeComplete } = peer;
    offering ||= state !== 'not_offering';
    dumping ||= state === 'full_dump';
    fetching ||= state === 'fetching' || state === 'range_paused';
    busy ||= state === 'waiting' || state === 'asking_range' || state === 'draining';
    listed ||= rangeComplete || (state === 'dumped' && peer.sentGossip);
    // A list of which nothing is known is empty or invented: others that are still coming are waited for.
    known ||= facts.isUseful(peer);
  }
  known ||= listed && !busy;
  if (!offering) return { state: 'waiting_for_peers', why: 'nobody offers gossip_queries' };
  if (dumping) return { state: 'fetching', why: 'full dump' };
  if (!known && !fetching && (busy || !facts.syncedOnce)) {
    return { state: 'asking_ranges', why: 'no list is complete' };
  }
  if (facts.open > 0) return { state: 'fetching', why: 'channels are missing' };
  if (facts.arriving > 0 || (!facts.wasSynced && facts.backlog > 0)) {
    return { state: 'settling', why: 'messages are being checked' };
  }
  return { state: 'synced', why: 'every listed channel is known, or given up' };
};

/**
 * Who could be asked to send everything when queries lead nowhere, and whether anybody has answered a query. `busy`: somebody is still
 * being asked.
 */
export const dumpCandidate = (
  peers: Iterable<SyncPeer>,
  isUseful: (peer: SyncPeer) => boolean,
): 'busy' | { readonly known: boolean; readonly candidate: SyncPeer | undefined } => {
  let known = false;
  let candidate: SyncPeer | undefined;
  for (const peer of peers) {
    switch (peer.state) {
      case 'asking_range':
      case 'draining':
      case 'fetching':
      case 'full_dump':
        return 'busy';
      case 'silent_on_queries':
        // LDK 0.1 answers no scid query, but sends everything at the first filter: that may have been all of its list.
        known ||= isUseful(peer);
        candidate ??= peer;
        break;
      case 'range_failed':
        candidate ??= peer;
        break;
      case 'ready':
      case 'range_paused':
      case 'probing':
      case 'dumped':
        known = true;
        break;
      case 'waiting':
      case 'not_offering':
        break;
    }
  }
  return { known, candidate };
};

/** Peers whose lists are being asked for, or are worth something: empty and invented ones leave the place to the next peer. */
export const sourceCount = (
  peers: Iterable<SyncPeer>,
  isFetching: boolean,
  isUseful: (peer: SyncPeer) => boolean,
): number => {
  let sources = 0;
  for (const peer of peers) {
    const { state } = peer;
    const busy = state === 'asking_range' || state === 'draining' || state === 'range_paused';
    const usable = state === 'ready' || state === 'probing' || state === 'fetching';
    if (busy || (usable && (isUseful(peer) || (isFetching && peer.has > 0)))) sources++;
  }
  return sources;
};
