/**
 * ScidQueries: the open query_short_channel_ids of all peers, and those that have ended but whose messages are being checked (BOLT 7).
 *
 * The seeker hands in chunks of two owners, the pool of what peers listed and the refetch of what was lost, and tells when a peer
 * ends a query, falls silent or leaves; the owner of the chunk hears what came of it.
 * Bounds: one open query for each peer; none is sent while MAX_SETTLING have ended and are not settled.
 */
import type { Meter } from '../base/meter.ts';
import { encodeQueryShortChannelIds } from '../wire/query_short_channel_ids.ts';
import { type ChunkOwner, FRUITLESS_MS, SETTLE_MS, SILENCE_MS, type SyncPeer } from './sync_peer.ts';

/** Ended chunks whose channels are still being checked: 32 x 2,000 ids. No new query is sent while there are more. */
const MAX_SETTLING = 32;

interface Settling {
  readonly owner: ChunkOwner;
  /** The peer by the owner's number; -1 when it has left. */
  who: number;
  slots: number[];
  readonly sinceMs: number;
}

export interface ScidQueriesOptions {
  /** 32 bytes. */
  readonly chainHash: Uint8Array;
  readonly meter: Meter;
  readonly nowMs: () => number;
}

export class ScidQueries {
  readonly #options: ScidQueriesOptions;
  #settling: Settling[] = [];
  /** Queries sent so far. */
  sent = 0;

  constructor(options: ScidQueriesOptions) {
    this.#options = options;
  }

  /** Ended queries whose messages are being checked. */
  get settling(): number {
    return this.#settling.length;
  }

  /** Whether the peer may get a query now: it has none open, owes no end, and there is room to settle it. */
  isFree(peer: SyncPeer): boolean {
    return peer.chunk === undefined && !peer.owesEnd && this.#settling.length < MAX_SETTLING;
  }

  ask(peer: SyncPeer, owner: ChunkOwner, who: number, slots: readonly number[]): void {
    const now = this.#options.nowMs();
    peer.chunk = { owner, who, slots, checkedAtMs: now, delivered: 0 };
    peer.heardMs = now;
    this.sent++;
    const flags = peer.extended ? owner.flagsOf(slots) : undefined;
    peer.port.send(
      encodeQueryShortChannelIds({
        chain_hash: this.#options.chainHash,
        short_channel_ids: owner.scidsOf(slots),
        ...(flags === undefined ? {} : { query_flags: flags }),
      }),
    );
  }

  /** The peer's query has ended. False when it had none. */
  ended(peer: SyncPeer): boolean {
    const { chunk } = peer;
    if (chunk === undefined) return false;
    peer.heardMs = this.#options.nowMs();
    peer.chunk = undefined;
    const { owner, who, slots } = chunk;
    owner.markArriving(slots);
    this.#settling.push({ owner, who, slots: [...slots], sinceMs: peer.heardMs });
    return true;
  }

  /** The peer will not end its query: others are asked. */
  abandon(peer: SyncPeer, hasLeft: boolean): void {
    const { chunk } = peer;
    if (chunk === undefined) return;
    peer.chunk = undefined;
    chunk.owner.putBack(chunk.slots, hasLeft ? -1 : chunk.who);
  }

  /** The number does not name a peer any more. */
  forget(owner: ChunkOwner, who: number): void {
    for (const settling of this.#settling) {
      if (settling.owner === owner && settling.who === who) settling.who = -1;
    }
  }

  /** Whether the peer sends nothing, or nothing of what it was asked for. */
  isSilent(peer: SyncPeer, isBusy: boolean): boolean {
    const { chunk } = peer;
    if (chunk === undefined) return false;
    const now = this.#options.nowMs();
    if (now - peer.heardMs >= SILENCE_MS) return true;
    if (now - chunk.checkedAtMs < FRUITLESS_MS) return false;
    const delivered = chunk.owner.delivered(chunk.slots);
    const isFruitless = delivered <= chunk.delivered && !isBusy;
    chunk.delivered = delivered;
    chunk.checkedAtMs = now;
    return isFruitless;
  }

  /** Judges ended queries once ingest has looked at what they brought. @param isIdle ingest has nothing to check */
  settle(isIdle: boolean): void {
    if (this.#settling.length === 0) return;
    const now = this.#options.nowMs();
    this.#settling = this.#settling.filter((settling) => {
      settling.slots = settling.owner.settle(settling.slots);
      if (settling.slots.length === 0) return false;
      if (!isIdle && now - settling.sinceMs < SETTLE_MS) return true;
      const missing = settling.owner.notDelivered(settling.slots, settling.who);
      this.#options.meter.count('gossipd_not_delivered_total', undefined, missing);
      return false;
    });
  }
}
