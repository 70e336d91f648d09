/**
 * WantedPool: what the peers' lists say that we lack, shared out in chunks to be asked for (BOLT 7, query_short_channel_ids).
 *
 * The seeker hands it range replies and the peer they came from; it compares them with the graph, remembers what is
 * missing or outdated and who has it, picks chunks, and judges what came of them. It talks to nobody.
 * Two passes: peers that know query_flags are asked for channels without their nodes, because the two nodes of an unknown channel are
 * not known before it arrives, and each query that asks for them brings the same large nodes again. When a channel is there, its
 * nodes without an announcement are asked for by it, each node once. Others send whole channels, with the repeats.
 * Bounds: WantedScids' table, and MAX_WANTED_PER_PEER entries that any one peer claims to have, so that one that
 * invents channels cannot take the room of the others.
 */
import type { NetworkGraph } from '../graph/network_graph.ts';
import { QUERY_FLAG } from '../wire/query_short_channel_ids.ts';
import type { ReplyChannelRange } from '../wire/reply_channel_range.ts';
import { hasANode, isFresh, namelessFlags, outdatedFlags } from './list_compare.ts';
import { PoolHolders } from './pool_holders.ts';
import { QUERY_ALL } from './query_server.ts';
import { HI, halvesOf, LO } from './scid_halves.ts';
import type { ChunkOwner } from './sync_peer.ts';
import { MAX_WANTED, WANTED_STATE, WantedScids } from './wanted_scids.ts';

/** Ten times today's network of 50,000 channels; four such peers fill the table. */
export const MAX_WANTED_PER_PEER = 500_000;
/** A channel that this many peers said they have and did not deliver is left alone until the next round. */
export const MAX_TRIES = 3;
/** Above this many entries the figures for people are not exact: counting would take over 10 ms. */
const ROUGH_ENTRIES = 250_000;
/** What those who know query_flags are asked for of an unknown channel. */
const CHANNEL_AND_UPDATES =
  QUERY_FLAG.channel_announcement | QUERY_FLAG.channel_update_1 | QUERY_FLAG.channel_update_2;

export interface WantedPoolOptions {
  readonly graph: NetworkGraph;
  readonly salt: number;
  /** Channels known to be spent, or refused not long ago: not asked for. */
  readonly refused?: (scidHi: number, scidLo: number) => boolean;
  /** Channels that were pruned: asked for only when a list shows a fresh update of either side. */
  readonly zombie?: (scidHi: number, scidLo: number) => boolean;
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

/** What a reply has that we lack. */
export interface Claimed {
  /** False when something did not fit: the reply is to be asked for again later. */
  readonly fits: boolean;
  /** Channels that are not in the graph, and are wanted. */
  readonly unknown: number;
  /** Channels with an update newer than ours. */
  readonly outdated: number;
}

export class WantedPool implements ChunkOwner {
  readonly #graph: NetworkGraph;
  readonly #table: WantedScids;
  readonly #refused: (scidHi: number, scidLo: number) => boolean;
  readonly #zombie: (scidHi: number, scidLo: number) => boolean;
  readonly #isElsewhere: (scidHi: number, scidLo: number) => boolean;
  readonly #maxPerPeer: number;
  readonly #maxWanted: number;
  readonly #holders = new PoolHolders();
  #scanFrom = 0;
  #sweepFrom = 0;
  /** Nodes asked for by a channel that arrived without them, whoever was asked; by graph index, so at most the graph's nodes. */
  readonly #nodesAsked = new Set<number>();
  /** Entries that were wanted and are there now. */
  resolved = 0;
  /** Of these, those that came by another way before they were asked for: an update, or a node, may not have come along. */
  overtaken = 0;

  constructor(options: WantedPoolOptions) {
    this.#graph = options.graph;
    this.#maxWanted = options.maxWanted ?? MAX_WANTED;
    this.#table = new WantedScids(options.salt, this.#maxWanted);
    this.#refused = options.refused ?? (() => false);
    this.#zombie = options.zombie ?? (() => false);
    this.#isElsewhere = options.isElsewhere ?? (() => false);
    this.#maxPerPeer = options.maxWantedPerPeer ?? MAX_WANTED_PER_PEER;
  }

  /** A holder number for a peer; -1 when all are in use. @param isExtended it knows query_flags */
  takeHolder(isExtended: boolean): number {
    return this.#holders.take(isExtended);
  }

  /** Another peer goes on with the list of the one that had this number: it has what that one listed, and was asked for nothing yet. */
  handOver(holder: number, isExtended: boolean): void {
    const table = this.#table;
    const bit = 1 << holder;
    for (let slot = 0; slot < table.end; slot++) {
      if (table.state(slot) === WANTED_STATE.free) continue;
      table.asked[slot] = (table.asked[slot] as number) & ~bit;
      const isTriedAgain =
        table.state(slot) === WANTED_STATE.given_up &&
        ((table.holders[slot] as number) & bit) !== 0 &&
        (table.tries[slot] as number) < MAX_TRIES;
      if (isTriedAgain) table.setState(slot, WANTED_STATE.waiting);
    }
    this.#holders.setExtended(holder, isExtended);
  }

  /** The peer is gone, or not believed: what only it has is not wanted any more. */
  releaseHolder(holder: number): void {
    this.forgetClaims(holder);
    this.#holders.release(holder);
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
    this.#holders.forget(holder);
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
    return this.#holders.entries(holder);
  }

  /** Whether there is room again for a holder whose list did not fit. */
  hasRoom(holder: number): boolean {
    return this.#table.size <= this.#maxWanted / 2 && this.missing(holder) <= this.#maxPerPeer / 2;
  }

  /**
   * Compares a reply with the graph. Updates that the reply's timestamps show to be newer than ours are wanted too, where it has timestamps.
   * A zombie is wanted when at least one side's update is fresh: one side that lives shows that the channel does, and whether both have to
   * is for ingest/ to decide, with the messages in hand. Without timestamps nothing shows that, and it waits for live gossip.
   * @param withNodes nodes of known channels that have not announced themselves are asked for, each by one channel
   */
  claim(holder: number, reply: ReplyChannelRange, { withNodes, nowSeconds }: ClaimOptions): Claimed {
    const halves = halvesOf(reply.short_channel_ids);
    const nodesWanted = this.#holders.nodesOf(holder);
    let unknown = 0;
    let outdated = 0;
    for (let at = 0; at < halves.length; at += 2) {
      const hi = halves[at + HI] as number;
      const lo = halves[at + LO] as number;
      const channel = this.#graph.channelIndex(hi, lo);
      let flags = QUERY_ALL;
      if (channel !== -1) {
        flags = outdatedFlags(this.#graph, channel, reply, at, nowSeconds);
        if (flags !== 0) outdated++;
        if (withNodes) flags |= namelessFlags(this.#graph, channel, nodesWanted);
        if (flags === 0) continue;
      } else {
        if (this.#refused(hi, lo)) continue;
        if (this.#zombie(hi, lo) && !isFresh(reply, at, nowSeconds)) continue;
        unknown++;
      }
      if (!this.#claimOne(holder, hi, lo, flags)) return { fits: false, unknown, outdated };
    }
    return { fits: true, unknown, outdated };
  }

  /** Up to `limit` waiting entries that this holder has and was not asked for yet, ascending; they count as asked. */
  pick(holder: number, limit: number): number[] {
    const table = this.#table;
    const bit = 1 << holder;
    const isExtended = this.#holders.extendedOf(bit) !== 0;
    const chunk: number[] = [];
    // Starts where the last one ended, so that looking through the table is shared by all chunks.
    for (let looked = 0; looked < table.end && chunk.length < limit; looked++) {
      if (this.#scanFrom >= table.end) this.#scanFrom = 0;
      const slot = this.#scanFrom++;
      if (table.state(slot) !== WANTED_STATE.waiting) continue;
      const others = (table.holders[slot] as number) & ~(table.asked[slot] as number);
      if ((others & bit) === 0) continue;
      // Without flags a single update, or a node, costs a whole channel: those who know flags go first.
      const isPart = !this.#isChannel(slot);
      if (isPart && !isExtended && this.#holders.extendedOf(others) !== 0) continue;
      if (this.#overtook(slot)) this.#remove(slot);
      else if (this.#refused(table.hi[slot] as number, table.lo[slot] as number)) this.#remove(slot);
      else if (!this.#isElsewhere(table.hi[slot] as number, table.lo[slot] as number)) {
        table.setState(slot, WANTED_STATE.asked);
        if (!isPart) table.flags[slot] = isExtended ? CHANNEL_AND_UPDATES : QUERY_ALL;
        chunk.push(slot);
      }
    }
    return table.ascending(chunk);
  }

  /** The ids of a chunk, for the query. */
  scidsOf(chunk: readonly number[]): BigUint64Array {
    return this.#table.scidsOf(chunk);
  }

  /** What to ask for each entry of a chunk. */
  flagsOf(chunk: readonly number[]): Uint8Array {
    return Uint8Array.from(chunk, (slot) => this.#table.flags[slot] as number);
  }

  /** How many of an asked chunk's channels and nodes are there by now. Outdated updates do not count. */
  delivered(chunk: readonly number[]): number {
    let count = 0;
    for (const slot of chunk) if (this.#arrived(slot) || this.#hasANode(slot)) count++;
    return count;
  }

  /** Whether all of this is being fetched, or will be, because a peer listed it. */
  isOpen(scidHi: number, scidLo: number, flags: number): boolean {
    const table = this.#table;
    if (table.size === 0) return false;
    const slot = table.find(scidHi, scidLo);
    if (slot === -1 || table.state(slot) === WANTED_STATE.given_up) return false;
    return this.#isChannel(slot) || (flags & ~(table.flags[slot] as number)) === 0;
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
      if (!this.#goesOnWithNodes(slot)) this.#remove(slot);
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
      // An outdated update, or a node: the peer sent what it had.
      if (!this.#isChannel(slot)) {
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
      if (!this.#isChannel(slot) || this.#arrived(slot)) this.#remove(slot);
      else table.setState(slot, WANTED_STATE.given_up);
    }
  }

  /** A new round: what was given up is forgotten, so that the next list can bring it up again. */
  forgetGivenUp(): void {
    this.#nodesAsked.clear();
    const table = this.#table;
    for (let slot = 0; slot < table.end; slot++) {
      if (table.state(slot) === WANTED_STATE.given_up) this.#remove(slot);
    }
  }

  #claimOne(holder: number, hi: number, lo: number, flags: number): boolean {
    const table = this.#table;
    const bit = 1 << holder;
    let slot = table.find(hi, lo);
    // A channel without its nodes is asked for: those follow by themselves.
    if (slot !== -1 && this.#isChannel(slot)) flags = 0;
    if (slot !== -1 && ((table.holders[slot] as number) & bit) !== 0) {
      table.flags[slot] = (table.flags[slot] as number) | flags;
      return true;
    }
    if (this.missing(holder) >= this.#maxPerPeer) return false;
    if (slot === -1) slot = table.add(hi, lo, flags);
    if (slot === -1) return false;
    table.holders[slot] = (table.holders[slot] as number) | bit;
    table.flags[slot] = (table.flags[slot] as number) | flags;
    this.#holders.added(holder);
    if (table.state(slot) === WANTED_STATE.given_up && (table.tries[slot] as number) < MAX_TRIES) {
      table.setState(slot, WANTED_STATE.waiting);
    }
    return true;
  }

  /** A channel that came without its nodes: those that nobody has been asked for are asked for next, by the same entry. */
  #goesOnWithNodes(slot: number): boolean {
    const table = this.#table;
    if (table.flags[slot] !== CHANNEL_AND_UPDATES) return false;
    if (this.#holders.extendedOf(table.holders[slot] as number) === 0) return false;
    const channel = this.#graph.channelIndex(table.hi[slot] as number, table.lo[slot] as number);
    const flags = namelessFlags(this.#graph, channel, this.#nodesAsked);
    if (flags === 0) return false;
    table.flags[slot] = flags;
    table.asked[slot] = 0;
    table.tries[slot] = 0;
    table.setState(slot, WANTED_STATE.waiting);
    return true;
  }

  #hasANode(slot: number): boolean {
    const table = this.#table;
    const [hi, lo] = [table.hi[slot] as number, table.lo[slot] as number];
    return hasANode(this.#graph, hi, lo, table.flags[slot] as number);
  }

  /** Whether nothing of a waiting entry is to be asked for any more; drops the flags of nodes that announced themselves. */
  #overtook(slot: number): boolean {
    const table = this.#table;
    if (this.#arrived(slot)) {
      this.resolved++;
      this.overtaken++;
      return true;
    }
    if (this.#isChannel(slot)) return false;
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
    if (!this.#isChannel(slot)) return false;
    return this.#graph.channelIndex(table.hi[slot] as number, table.lo[slot] as number) !== -1;
  }

  /** A whole channel is wanted, not just an update or a node of a known one. */
  #isChannel(slot: number): boolean {
    return ((this.#table.flags[slot] as number) & QUERY_FLAG.channel_announcement) !== 0;
  }

  #remove(slot: number): void {
    this.#holders.removed(this.#table.holders[slot] as number);
    this.#table.remove(slot);
  }
}
