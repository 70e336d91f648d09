/**
 * WantedPool: what the peers' lists say that we lack, shared out in chunks to be asked for (BOLT 7, query_short_channel_ids).
 *
 * The seeker hands it range replies and the peer they came from; it compares them with the graph, remembers what is
 * missing or outdated and who has it, picks chunks, and judges what came of them. It talks to nobody.
 * Bounds: WantedScids' table, and MAX_WANTED_PER_PEER entries that any one peer claims to have, so that one that
 * invents channels cannot take the room of the others.
 */
import type { NetworkGraph } from '../graph/network_graph.ts';
import { QUERY_FLAG } from '../wire/query_short_channel_ids.ts';
import type { ReplyChannelRange } from '../wire/reply_channel_range.ts';
import { QUERY_ALL } from './query_server.ts';
import { HI, halvesOf, LO } from './scid_halves.ts';
import type { ChunkOwner } from './sync_peer.ts';
import { MAX_HOLDERS, MAX_WANTED, WANTED_STATE, WantedScids } from './wanted_scids.ts';

/** Ten times today's network of 50,000 channels; four such peers fill the table. */
export const MAX_WANTED_PER_PEER = 500_000;
/** A channel that this many peers said they have and did not deliver is left alone until the next round. */
export const MAX_TRIES = 3;
/** Above this many entries the figures for people are not exact: counting would take over 10 ms. */
const ROUGH_ENTRIES = 250_000;
/** BOLT 7: an update older than two weeks may be pruned; asking for one is useless. */
const STALE_SECONDS = 1_209_600;
/** Half of it: from then on ours is refreshed even if only its time changed, lest it be pruned. */
const REFRESH_SECONDS = STALE_SECONDS / 2;
/** Updates from further ahead are not believed. */
const FUTURE_SECONDS = 86_400;

export interface WantedPoolOptions {
  readonly graph: NetworkGraph;
  readonly salt: number;
  /** Channels known to be spent, or refused not long ago: not asked for. */
  readonly refused?: (scidHi: number, scidLo: number) => boolean;
  /** The channel is being fetched by another query already: it is not asked for until that is over. */
  readonly isElsewhere?: (scidHi: number, scidLo: number) => boolean;
  /** See MAX_WANTED and MAX_WANTED_PER_PEER; smaller in tests. */
  readonly maxWanted?: number;
  readonly maxWantedPerPeer?: number;
}

export interface ClaimOptions {
  readonly withNodes: boolean;
  readonly nowSeconds: number;
}

export class WantedPool implements ChunkOwner {
  readonly #graph: NetworkGraph;
  readonly #table: WantedScids;
  readonly #refused: (scidHi: number, scidLo: number) => boolean;
  readonly #isElsewhere: (scidHi: number, scidLo: number) => boolean;
  readonly #maxPerPeer: number;
  readonly #maxWanted: number;
  /** Entries that each holder has. */
  readonly #holding = new Uint32Array(MAX_HOLDERS);
  /** Bits of holders in use. */
  #taken = 0;
  #scanFrom = 0;
  #sweepFrom = 0;
  /** By holder: nodes without an announcement for which one of its channels is asked for. */
  readonly #nodesWanted = Array.from({ length: MAX_HOLDERS }, () => new Set<number>());
  /** Entries that were wanted and are there now. */
  resolved = 0;
  /** Of these, those that came by another way before they were asked for: an update, or a node, may not have come along. */
  overtaken = 0;

  constructor(options: WantedPoolOptions) {
    this.#graph = options.graph;
    this.#maxWanted = options.maxWanted ?? MAX_WANTED;
    this.#table = new WantedScids(options.salt, this.#maxWanted);
    this.#refused = options.refused ?? (() => false);
    this.#isElsewhere = options.isElsewhere ?? (() => false);
    this.#maxPerPeer = options.maxWantedPerPeer ?? MAX_WANTED_PER_PEER;
  }

  /** A holder number for a peer; -1 when all are in use. */
  takeHolder(): number {
    for (let holder = 0; holder < MAX_HOLDERS; holder++) {
      if ((this.#taken & (1 << holder)) !== 0) continue;
      this.#taken |= 1 << holder;
      this.#holding[holder] = 0;
      return holder;
    }
    return -1;
  }

  /** The peer is gone, or not believed: what only it has is not wanted any more. */
  releaseHolder(holder: number): void {
    this.forgetClaims(holder);
    this.#taken &= ~(1 << holder);
  }

  /** What the peer said it has does not count any more. */
  forgetClaims(holder: number): void {
    const bit = 1 << holder;
    const table = this.#table;
    for (let slot = 0; slot < table.end; slot++) {
      const state = table.state(slot);
      if (state === WANTED_STATE.free) continue;
      table.holders[slot] = (table.holders[slot] as number) & ~bit;
      table.asked[slot] = (table.asked[slot] as number) & ~bit;
      const open = state === WANTED_STATE.asked || state === WANTED_STATE.arriving;
      if (!open && table.holders[slot] === 0) this.#remove(slot);
    }
    this.#holding[holder] = 0;
    this.#nodesWanted[holder]?.clear();
  }

  /** Entries that are to be asked for or are being asked for. */
  get open(): number {
    const table = this.#table;
    return table.count(WANTED_STATE.waiting) + table.count(WANTED_STATE.asked);
  }
  /** Open and arriving entries that are in the graph already: outdated updates, and channels that came meanwhile. */
  get alreadyKnown(): number {
    const table = this.#table;
    // 40 ns an entry. A table this large is no network that exists; its figures may be rough.
    if (table.end > ROUGH_ENTRIES) return 0;
    let known = 0;
    for (let slot = 0; slot < table.end; slot++) {
      const state = table.state(slot);
      if (state === WANTED_STATE.free || state === WANTED_STATE.given_up) continue;
      if (this.#graph.channelIndex(table.hi[slot] as number, table.lo[slot] as number) !== -1) known++;
    }
    return known;
  }
  get waiting(): number {
    return this.#table.count(WANTED_STATE.waiting);
  }
  get arriving(): number {
    return this.#table.count(WANTED_STATE.arriving);
  }
  get givenUp(): number {
    return this.#table.count(WANTED_STATE.given_up);
  }

  /** Entries that this holder says it has, whatever their state. */
  missing(holder: number): number {
    return this.#holding[holder] as number;
  }

  /** Whether there is room again for a holder whose list did not fit. */
  hasRoom(holder: number): boolean {
    return this.#table.size <= this.#maxWanted / 2 && this.missing(holder) <= this.#maxPerPeer / 2;
  }

  /**
   * Compares a reply with the graph. False when something did not fit: the reply is to be asked for again later.
   * Updates that the reply's timestamps show to be newer than ours are wanted too, where it has timestamps.
   * @param withNodes nodes of known channels that have not announced themselves are asked for, each by one channel
   */
  claim(holder: number, reply: ReplyChannelRange, { withNodes, nowSeconds }: ClaimOptions): boolean {
    const halves = halvesOf(reply.short_channel_ids);
    for (let at = 0; at < halves.length; at += 2) {
      const hi = halves[at + HI] as number;
      const lo = halves[at + LO] as number;
      const channel = this.#graph.channelIndex(hi, lo);
      let flags = QUERY_ALL;
      if (channel !== -1) {
        flags = this.#outdated(channel, reply, at, nowSeconds);
        if (withNodes) flags |= this.#unannounced(channel, holder);
        if (flags === 0) continue;
      } else if (this.#refused(hi, lo)) continue;
      if (!this.#claimOne(holder, hi, lo, flags)) return false;
    }
    return true;
  }

  /** Up to `limit` waiting entries that this holder has and was not asked for yet, ascending; they count as asked. */
  pick(holder: number, limit: number): number[] {
    const table = this.#table;
    const bit = 1 << holder;
    const chunk: number[] = [];
    // Starts where the last one ended, so that looking through the table is shared by all chunks.
    for (let looked = 0; looked < table.end && chunk.length < limit; looked++) {
      if (this.#scanFrom >= table.end) this.#scanFrom = 0;
      const slot = this.#scanFrom++;
      if (table.state(slot) !== WANTED_STATE.waiting) continue;
      if (((table.holders[slot] as number) & ~(table.asked[slot] as number) & bit) === 0) continue;
      if (this.#overtook(slot)) this.#remove(slot);
      else if (this.#refused(table.hi[slot] as number, table.lo[slot] as number)) this.#remove(slot);
      else if (!this.#isElsewhere(table.hi[slot] as number, table.lo[slot] as number)) {
        table.setState(slot, WANTED_STATE.asked);
        chunk.push(slot);
      }
    }
    return table.ascending(chunk);
  }

  /** The ids of a chunk, for the query. */
  scidsOf(chunk: readonly number[]): BigUint64Array {
    return this.#table.scidsOf(chunk);
  }

  /** What to ask for each entry of a chunk; undefined when it is everything for all, as without flags. */
  flagsOf(chunk: readonly number[]): Uint8Array | undefined {
    const flags = Uint8Array.from(chunk, (slot) => this.#table.flags[slot] as number);
    return flags.every((flag) => flag === QUERY_ALL) ? undefined : flags;
  }

  /** How many of an asked chunk's channels are there by now. Outdated ones do not count. */
  delivered(chunk: readonly number[]): number {
    let count = 0;
    for (const slot of chunk) if (this.#arrived(slot)) count++;
    return count;
  }

  /** Whether all of this is being fetched, or will be, because a peer listed it. */
  isOpen(scidHi: number, scidLo: number, flags: number): boolean {
    const table = this.#table;
    if (table.size === 0) return false;
    const slot = table.find(scidHi, scidLo);
    if (slot === -1 || table.state(slot) === WANTED_STATE.given_up) return false;
    return (flags & ~(table.flags[slot] as number)) === 0;
  }

  /** Another query has brought all of the channel: nothing of it may be missing because it was not asked for here. */
  cameElsewhere(scidHi: number, scidLo: number): void {
    const table = this.#table;
    if (table.size === 0) return;
    const slot = table.find(scidHi, scidLo);
    if (slot === -1 || table.state(slot) !== WANTED_STATE.waiting || !this.#arrived(slot)) return;
    this.resolved++;
    this.#remove(slot);
  }

  /** The query got no end: its entries wait again, for another peer. What nobody has any more is dropped. */
  putBack(chunk: readonly number[]): void {
    for (const slot of chunk) {
      this.#table.setState(slot, WANTED_STATE.waiting);
      if (this.#table.holders[slot] === 0) this.#remove(slot);
    }
  }

  /** The query ended: what it brought is being checked. */
  markArriving(chunk: readonly number[]): void {
    for (const slot of chunk) this.#table.setState(slot, WANTED_STATE.arriving);
  }

  /** Drops what is there by now, and answers with the rest. */
  settle(chunk: readonly number[]): number[] {
    return chunk.filter((slot) => {
      if (!this.#arrived(slot)) return true;
      this.resolved++;
      this.#remove(slot);
      return false;
    });
  }

  /**
   * The rest of a chunk was not delivered, or was refused: other holders are tried, then it is given up. Answers with the
   * number of channels, leaving out outdated updates, whose arrival is not watched.
   */
  notDelivered(chunk: readonly number[], holder: number): number {
    const table = this.#table;
    const bit = holder < 0 ? 0 : 1 << holder;
    let missing = 0;
    for (const slot of chunk) {
      // An outdated update: the peer sent what it had.
      if (table.flags[slot] !== QUERY_ALL) {
        this.#remove(slot);
        continue;
      }
      missing++;
      table.tries[slot] = (table.tries[slot] as number) + 1;
      table.asked[slot] = (table.asked[slot] as number) | bit;
      const holders = table.holders[slot] as number;
      if (holders === 0 || this.#refused(table.hi[slot] as number, table.lo[slot] as number))
        this.#remove(slot);
      else if (
        (holders & ~(table.asked[slot] as number)) !== 0 &&
        (table.tries[slot] as number) < MAX_TRIES
      ) {
        table.setState(slot, WANTED_STATE.waiting);
      } else table.setState(slot, WANTED_STATE.given_up);
    }
    return missing;
  }

  /** Removes waiting entries that arrived by another way, looking at no more than `limit`. */
  sweep(limit: number): void {
    const table = this.#table;
    for (let looked = Math.min(limit, table.end); looked > 0; looked--) {
      if (this.#sweepFrom >= table.end) this.#sweepFrom = 0;
      const slot = this.#sweepFrom++;
      if (table.state(slot) === WANTED_STATE.waiting && this.#overtook(slot)) this.#remove(slot);
    }
  }

  /** Nobody is left to ask for what waits: channels are given up, outdated updates dropped. */
  giveUpWaiting(): void {
    const table = this.#table;
    for (let slot = 0; slot < table.end; slot++) {
      if (table.state(slot) !== WANTED_STATE.waiting) continue;
      if (this.#arrived(slot)) this.resolved++;
      if (table.flags[slot] !== QUERY_ALL || this.#arrived(slot)) this.#remove(slot);
      else table.setState(slot, WANTED_STATE.given_up);
    }
  }

  /** A new round: what was given up is forgotten, so that the next list can bring it up again. */
  forgetGivenUp(): void {
    const table = this.#table;
    for (let slot = 0; slot < table.end; slot++) {
      if (table.state(slot) === WANTED_STATE.given_up) this.#remove(slot);
    }
  }

  #claimOne(holder: number, hi: number, lo: number, flags: number): boolean {
    const table = this.#table;
    const bit = 1 << holder;
    let slot = table.find(hi, lo);
    if (slot !== -1 && ((table.holders[slot] as number) & bit) !== 0) {
      table.flags[slot] = (table.flags[slot] as number) | flags;
      return true;
    }
    if (this.missing(holder) >= this.#maxPerPeer) return false;
    if (slot === -1) slot = table.add(hi, lo, flags);
    if (slot === -1) return false;
    table.holders[slot] = (table.holders[slot] as number) | bit;
    table.flags[slot] = (table.flags[slot] as number) | flags;
    this.#holding[holder] = this.missing(holder) + 1;
    if (table.state(slot) === WANTED_STATE.given_up && (table.tries[slot] as number) < MAX_TRIES) {
      table.setState(slot, WANTED_STATE.waiting);
    }
    return true;
  }

  /** Flags of the updates that the peer has newer than we; 0 when none. `at` is also the index of node 1's timestamp. */
  #outdated(channel: number, reply: ReplyChannelRange, at: number, nowSeconds: number): number {
    const graph = this.#graph;
    if (reply.timestamps === undefined) return 0;
    let flags = 0;
    for (const direction of [0, 1] as const) {
      const theirs = reply.timestamps[at + direction] ?? 0;
      const ours = graph.hasUpdate(channel, direction) ? graph.updateTimestamp(channel, direction) : 0;
      if (theirs <= ours) continue;
      if (theirs > nowSeconds + FUTURE_SECONDS || theirs < nowSeconds - STALE_SECONDS) continue;
      const same =
        ours > 0 &&
        reply.checksums !== undefined &&
        reply.checksums[at + direction] === graph.updateChecksum(channel, direction);
      if (same && ours > nowSeconds - REFRESH_SECONDS) continue;
      flags |= QUERY_FLAG.channel_update_1 << direction;
    }
    return flags;
  }

  /** Flags of the channel's nodes that have not announced themselves and are not asked for by another channel yet. */
  #unannounced(channel: number, holder: number): number {
    let flags = 0;
    for (const side of [0, 1] as const) {
      const node = this.#graph.channelNode(channel, side);
      const wanted = this.#nodesWanted[holder];
      if (this.#graph.hasNodeAnnouncement(node) || wanted === undefined || wanted.has(node)) continue;
      wanted.add(node);
      flags |= QUERY_FLAG.node_announcement_1 << side;
    }
    return flags;
  }

  /** Whether nothing of a waiting entry is to be asked for any more; drops the flags of nodes that announced themselves. */
  #overtook(slot: number): boolean {
    const table = this.#table;
    if (this.#arrived(slot)) {
      this.resolved++;
      this.overtaken++;
      return true;
    }
    if (table.flags[slot] === QUERY_ALL) return false;
    const channel = this.#graph.channelIndex(table.hi[slot] as number, table.lo[slot] as number);
    if (channel === -1) return true;
    for (const side of [0, 1] as const) {
      if (!this.#graph.hasNodeAnnouncement(this.#graph.channelNode(channel, side))) continue;
      table.flags[slot] = (table.flags[slot] as number) & ~(QUERY_FLAG.node_announcement_1 << side);
    }
    return table.flags[slot] === 0;
  }

  /** True once the wanted channel is in the graph. */
  #arrived(slot: number): boolean {
    const table = this.#table;
    if (table.flags[slot] !== QUERY_ALL) return false;
    return this.#graph.channelIndex(table.hi[slot] as number, table.lo[slot] as number) !== -1;
  }

  #remove(slot: number): void {
    let holders = this.#table.holders[slot] as number;
    while (holders !== 0) {
      const holder = 31 - Math.clz32(holders);
      this.#holding[holder] = this.missing(holder) - 1;
      holders ^= 1 << holder;
    }
    this.#table.remove(slot);
  }
}
