/**
 * Why a connection ended: a closed list, which is metric label, log field and, through misbehaviour.ts, what it costs
 * the peer. Connection, PeerSet and daemon/ give these reasons; only some of them say anything against the other side.
 */

export type ClosedBecause =
  | 'handshake_failed'
  | 'setup_timeout'
  | 'bad_mac'
  | 'message_before_init'
  | 'malformed_message'
  | 'unknown_even_type'
  | 'unknown_even_feature'
  | 'missing_feature_dependency'
  | 'no_common_chain'
  | 'peer_silent'
  | 'peer_not_reading'
  | 'socket_closed'
  | 'broke_gossip_rules'
  | 'replaced'
  | 'self_connection'
  | 'shutdown'
  | 'no_room'
  /** Its node id, address or neighbourhood is on the ban list. */
  | 'banned'
  /** An inbound place was needed for somebody from a less crowded network. */
  | 'evicted'
  /** The least useful of those that we dialled made room for another. */
  | 'rotated'
  /** Pongs that nobody asked for, again and again (B1-27). */
  | 'unexpected_pong'
  /** More is held for it than MAX_CONNECTION_BYTES. */
  | 'over_memory';

/** Those that end without another word: nothing can be said, or saying it would cost what is short. */
export const AT_ONCE: ReadonlySet<ClosedBecause> = new Set([
  'socket_closed',
  'bad_mac',
  'handshake_failed',
  'over_memory',
]);
