/** What the seeker knows of one peer, and the times it allows. */
import { hasFeature } from '../wire/feature_bits.ts';
import type { PeerList } from './completeness.ts';
import type { SyncPeerPort } from './ports.ts';
import type { RangeInquiry } from './range_inquiry.ts';

/** Peers whose whole list is asked for at once, and that are kept as sources. lnd's number. */
export const N_SYNC_PEERS = 3;
/** Ids in a query: about 1.7 MB of answer, half a minute at lnd's 51,200 bytes per second for each peer. */
export const CHUNK_SCIDS = 2_000;
/** A peer from which nothing at all comes for so long does not answer. */
export const SILENCE_MS = 15_000;
/** A peer that keeps talking, but brings nothing of what it was asked for in so long, does not answer either. */
export const FRUITLESS_MS = 30_000;
/** After a broken range reply: the rest of that answer is over when nothing more of it came for so long. */
export const DRAIN_MS = 5_000;
/** No list takes longer: 2,000,000 ids at 8 KB/s, with timestamps and checksums, are 100 minutes. */
export const RANGE_LIMIT_MS = 6_000_000;
/** What a query brought counts as not delivered when it is still missing after this, even if ingest is still busy. */
export const SETTLE_MS = 60_000;
/** A new list is asked for, and what was given up is tried again. */
export const ROUND_MS = 3_600_000;
/** Once synced, the lists of further peers are asked for one at a time, this far apart. */
export const FURTHER_PEER_MS = 60_000;
/** A list that broke off is gone on with by another peer, if one comes within so long. */
export const RESUME_WITHIN_MS = 600_000;
/** New queries wait while ingest has more messages than this to check: daemon/ stops reading at about as many. */
export const BACKLOG_LIMIT = 4_096;
/** With more than this to check, ingest may be why nothing is heard or delivered: time limits wait. */
export const BUSY_BACKLOG = 256;
/** Entries looked at in each tick for what came by other ways: about 10 ms. */
export const SWEEP_ENTRIES = 100_000;

export type SyncPeerState =
  /** Does not offer gossip_queries: never queried. */
  | 'not_offering'
  /** Its list was not asked for yet. */
  | 'waiting'
  | 'asking_range'
  /** Its answer broke the rules; the rest of it is let go by before it is asked again. */
  | 'draining'
  /** There is no room for the rest of its list. */
  | 'range_paused'
  /** Its list is known, and a few blocks of it are being asked for again. */
  | 'probing'
  | 'range_failed'
  /** Its list is known and nothing is asked of it. */
  | 'ready'
  | 'fetching'
  | 'silent_on_queries'
  /** Was asked to send everything it has. */
  | 'full_dump'
  /** Has sent everything. */
  | 'dumped';

/** Who wants what a query asks for, and judges what came of it. Entries are the owner's own numbers. */
export interface ChunkOwner {
  scidsOf(chunk: readonly number[]): BigUint64Array;
  /** For peers that know query_flags; undefined asks for everything. */
  flagsOf(chunk: readonly number[]): Uint8Array | undefined;
  /** How many of an open chunk's entries are there by now. */
  delivered(chunk: readonly number[]): number;
  /** The query got no end. @param who the peer by the owner's number; -1 when it has left */
  putBack(chunk: readonly number[], who: number): void;
  /** The query has ended. */
  markArriving(chunk: readonly number[]): void;
  /** Drops what is there by now, and answers with the rest. */
  settle(chunk: readonly number[]): number[];
  /** The rest was not delivered. Answers with how many of it count as missing. */
  notDelivered(chunk: readonly number[], who: number): number;
}

/** An open query_short_channel_ids. */
export interface Chunk {
  readonly owner: ChunkOwner;
  /** The peer by its owner's number. */
  readonly who: number;
  readonly slots: readonly number[];
  /** When the delivery was last looked at, and how many were there then. */
  checkedAtMs: number;
  delivered: number;
}

export interface SyncPeer {
  readonly id: number;
  readonly port: SyncPeerPort;
  /** Understands query_option and query_flags. */
  readonly extended: boolean;
  state: SyncPeerState;
  /** Asked for live gossip. */
  streaming: boolean;
  /** Its number in the WantedPool; -1 without one. */
  holder: number;
  /** Its number in the Refetch; -1 without one. */
  seat: number;
  inquiry: RangeInquiry | undefined;
  /** The list that it is sending, and its last whole one. */
  listing: PeerList | undefined;
  list: PeerList | undefined;
  /** Block from which its list was asked for: what is before it, another peer listed that left before the end. */
  listFrom: number;
  /** When its list was last asked for; -1 before. */
  listAskedMs: number;
  /** When it was last probed, -1 before; and the probes that it has not answered since its last list: it is not probed again. */
  probedMs: number;
  probesFailed: number;
  /** Channels that the list or the probe under way has and we lacked. */
  found: number;
  rangeStartedMs: number;
  rangeHeardMs: number;
  /** The whole list was received at least once. */
  rangeComplete: boolean;
  /** Length of its list, as far as received. */
  has: number;
  /** When gossip or a reply last came. */
  heardMs: number;
  chunk: Chunk | undefined;
  /** An end message is still to come for a query that was given up. */
  owesEnd: boolean;
  /** Has ever sent a gossip message. */
  sentGossip: boolean;
  /** During a full dump: when it was last seen to help, and how much was known then. */
  dumpCheckedMs: number;
  dumpKnown: number;
}

/** Even bits of the features (BOLT 9). */
const GOSSIP_QUERIES = 6;
const GOSSIP_QUERIES_EX = 10;

/** A peer that was just connected; Q-01 decides its state. */
export const newSyncPeer = (id: number, port: SyncPeerPort, now: number): SyncPeer => ({
  id,
  port,
  extended: hasFeature(port.features, GOSSIP_QUERIES_EX),
  state: hasFeature(port.features, GOSSIP_QUERIES) ? 'waiting' : 'not_offering',
  streaming: false,
  holder: -1,
  seat: -1,
  inquiry: undefined,
  listing: undefined,
  list: undefined,
  listFrom: 0,
  listAskedMs: -1,
  probedMs: -1,
  probesFailed: 0,
  found: 0,
  rangeStartedMs: now,
  rangeHeardMs: now,
  rangeComplete: false,
  has: 0,
  heardMs: now,
  chunk: undefined,
  owesEnd: false,
  sentGossip: false,
  dumpCheckedMs: now,
  dumpKnown: 0,
});
