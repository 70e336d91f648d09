/**
 * Whom to ask for what was lost with a damaged part of the store: peers that have nothing else to do, those first whom we chose and who
 * know query_flags. The seeker calls it after every event; a peer's state does not change for such a query.
 */
import type { AbleSeats, Refetch } from './refetch.ts';
import type { ScidQueries } from './scid_queries.ts';
import type { SyncPeer } from './sync_peer.ts';

const isIdle = (peer: SyncPeer, queries: ScidQueries): boolean => {
  switch (peer.state) {
    case 'waiting':
    case 'ready':
    case 'range_paused':
    case 'range_failed':
    case 'probing':
    case 'dumped':
      return queries.isFree(peer);
    case 'not_offering':
    case 'asking_range':
    case 'draining':
    case 'fetching':
    case 'silent_on_queries':
    case 'full_dump':
      return false;
  }
};

/** Whom it makes sense to wait for. */
export const ableSeats = (peers: Iterable<SyncPeer>, queries: ScidQueries): AbleSeats => {
  let all = 0;
  let extended = 0;
  for (const peer of peers) {
    if (peer.seat === -1 || peer.owesEnd) continue;
    all |= 1 << peer.seat;
    const isNear = peer.chunk !== undefined || isIdle(peer, queries);
    if (peer.extended && isNear) extended |= 1 << peer.seat;
  }
  return { all, extended };
};

/** Sends a chunk to each idle peer, as far as there is something that it was not asked for. */
export const askForLost = (
  peers: readonly SyncPeer[],
  refetch: Refetch,
  queries: ScidQueries,
  nowMs: number,
): void => {
  const idle = peers.filter((peer) => peer.seat !== -1 && isIdle(peer, queries));
  const rank = ({ extended, port }: SyncPeer): number =>
    (extended ? 0 : 2) + (port.outbound === true ? 0 : 1);
  idle.sort((left, right) => rank(left) - rank(right));
  const share = refetch.shareOf(idle.filter(({ extended }) => extended).length || idle.length);
  const able = ableSeats(peers, queries);
  for (const peer of idle) {
    const slots = refetch.pick(peer.seat, peer.extended, share, able, nowMs);
    if (slots.length > 0) queries.ask(peer, refetch, peer.seat, slots);
  }
};
