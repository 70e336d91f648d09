/**
 * Refetch: what was lost with a damaged part of the store, until peers have given it back (BOLT 7, query_short_channel_ids).
 *
 * The seeker hands in what is missing, as QUERY_FLAG bits by short_channel_id, and the peers that may be asked; it takes chunks
 * for idle peers and hands back what became of them. This talks to nobody. Nothing here depends on the peers' lists: any peer
 * may have what was lost, so one after the other is asked, until the graph has it or all have been asked; the hourly
 * comparison of lists finds what is left then. Who knows no query_flags would send whole channels: such peers come last.
 * Bounds: MAX_REFETCH channels of 43 bytes; MAX_HOLDERS peers take part at a time, of whom at most half came by themselves.
 */
import type { Meter } from '../base/meter.ts';
import type { NetworkGraph } from '../graph/network_graph.ts';
import { QUERY_FLAG } from '../wire/query_short_channel_ids.ts';
import { QUERY_ALL } from './query_server.ts';
import type { ChunkOwner } from './sync_peer.ts';
import { MAX_HOLDERS, WANTED_STATE, WantedScids } from './wanted_scids.ts';

/** Twice today's network, 131,072 x 43 bytes = 5.6 MB. More is left to the comparison of lists. */
export const MAX_REFETCH = 131_072;
/** Peers that leave and come back are asked again: an entry that was asked for so often is left to the hourly round. */
export const MAX_REFETCH_TRIES = 64;
/** A query is small, so that a first sync on the same connection hardly notices: at most some 250 kB of answer. */
export const REFETCH_CHUNK_SCIDS = 256;
/** Fewer are not worth a query of their own. */
const SMALLEST_SHARE_SCIDS = 16;
/** So long those who know query_flags have the field to themselves, once anybody can be asked. */
export const PLAIN_AFTER_MS = 30_000;

const BOTH_UPDATES = QUERY_FLAG.channel_update_1 | QUERY_FLAG.channel_update_2;

/** What is missing of one channel and its two nodes: QUERY_FLAG bits. */
export interface Missing {
  readonly scidHi: number;
  readonly scidLo: number;
  readonly flags: number;
}

/** How a refetch went, in messages, since nothing was missing. */
export interface RefetchOutcome {
  readonly recovered: number;
  /** Left to the hourly comparison of lists. */
  readonly givenUp: number;
}

export interface RefetchOptions {
  readonly graph: NetworkGraph;
  /** 32 random bits. */
  readonly salt: number;
  /** Channels known to be spent, or refused not long ago: not asked for. */
  readonly refused: (scidHi: number, scidLo: number) => boolean;
  /** The same is being fetched because a peer listed it. */
  readonly isListed: (scidHi: number, scidLo: number, flags: number) => boolean;
  /** All that was lost of the channel is back. */
  readonly recovered: (scidHi: number, scidLo: number) => void;
  /** See MAX_REFETCH; smaller in tests. */
  readonly maxRefetch?: number;
}

/** The peers that a chunk could be asked of now, as bits of seats. */
export interface AbleSeats {
  /** Everybody who will answer, sooner or later. */
  readonly all: number;
  /** Of these, who knows query_flags and is not busy with a list. */
  readonly extended: number;
}

export class Refetch implements ChunkOwner {
  readonly #options: RefetchOptions;
  readonly #table: WantedScids;
  #taken = 0;
  /** Seats for which there is nothing to pick until something changes. */
  #dry = 0;
  #scanFrom = 0;
  #plainFromMs = 0;
  /** Lost once more while they were asked for: whoever is being asked now was not asked for all of it. */
  readonly #lostAgain = new Set<number>();
  /** Messages, since the beginning; these only grow. What is given up may yet come, and then counts as recovered, too. */
  recovered = 0;
  givenUp = 0;
  /** Messages for which there was no room. */
  refused = 0;
  /** Messages asked for since nothing was missing, and `recovered` at that moment. */
  #added = 0;
  #recoveredBefore = 0;
  #told = { recovered: 0, givenUp: 0, refused: 0 };

  constructor(options: RefetchOptions) {
    this.#options = options;
    this.#table = new WantedScids(options.salt, options.maxRefetch ?? MAX_REFETCH);
  }

  /** Messages that are missing and not given up. Linear in the entries. */
  get left(): number {
    const table = this.#table;
    if (table.size === 0) return 0;
    let left = 0;
    for (let slot = 0; slot < table.end; slot++) {
      const state = table.state(slot);
      if (state !== WANTED_STATE.free && state !== WANTED_STATE.given_up) left += this.#messages(slot);
    }
    return left;
  }

  get waiting(): number {
    return this.#table.count(WANTED_STATE.waiting);
  }

  /** Nothing is missing, but for what was given up. */
  get isDone(): boolean {
    return this.#table.size === this.#table.count(WANTED_STATE.given_up);
  }

  /** Whether the channel is in an open query, or its messages are being checked. */
  isUnderWay(scidHi: number, scidLo: number): boolean {
    if (this.#table.size === 0) return false;
    const slot = this.#table.find(scidHi, scidLo);
    if (slot === -1) return false;
    const state = this.#table.state(slot);
    return state === WANTED_STATE.asked || state === WANTED_STATE.arriving;
  }

  add(missing: readonly Missing[], nowMs: number): void {
    const table = this.#table;
    if (this.isDone) {
      this.#plainFromMs = nowMs + PLAIN_AFTER_MS;
      this.#added = 0;
      this.#recoveredBefore = this.recovered;
    }
    for (const { scidHi, scidLo, flags } of missing) {
      let slot = table.find(scidHi, scidLo);
      if (slot === -1) slot = table.add(scidHi, scidLo, 0);
      if (slot === -1) {
        this.refused += bitCount(flags);
        continue;
      }
      const known = table.flags[slot] as number;
      this.#added += bitCount(flags & ~known);
      table.flags[slot] = known | (flags & QUERY_ALL);
      table.asked[slot] = 0;
      table.tries[slot] = 0;
      const state = table.state(slot);
      if (state === WANTED_STATE.given_up) table.setState(slot, WANTED_STATE.waiting);
      if (state === WANTED_STATE.asked || state === WANTED_STATE.arriving) this.#lostAgain.add(slot);
      else if (this.#settled(slot)) this.#remove(slot);
    }
    this.#dry = 0;
  }

  /** Since nothing was missing. */
  outcome(): RefetchOutcome {
    const recovered = this.recovered - this.#recoveredBefore;
    return { recovered, givenUp: Math.max(0, this.#added - recovered) };
  }

  /** A number for a peer that can be asked; -1 when all are taken. Those who came by themselves get one of the first half. */
  takeSeat(isChosen: boolean, nowMs: number): number {
    for (let seat = (isChosen ? MAX_HOLDERS : MAX_HOLDERS / 2) - 1; seat >= 0; seat--) {
      if ((this.#taken & (1 << seat)) !== 0) continue;
      if (this.#taken === 0) this.#plainFromMs = nowMs + PLAIN_AFTER_MS;
      this.#taken |= 1 << seat;
      this.#retryGivenUp();
      return seat;
    }
    return -1;
  }

  /** The peer has left; who takes its seat was not asked for anything. */
  releaseSeat(seat: number): void {
    if (seat === -1) return;
    const table = this.#table;
    const bit = 1 << seat;
    this.#taken &= ~bit;
    this.#dry = 0;
    for (let slot = 0; slot < table.end; slot++) {
      if (table.state(slot) !== WANTED_STATE.free) table.asked[slot] = (table.asked[slot] as number) & ~bit;
    }
  }

  /** Ids for each query, so that so many peers share what waits. */
  shareOf(peers: number): number {
    const share = Math.ceil(this.waiting / Math.max(1, peers));
    return Math.min(REFETCH_CHUNK_SCIDS, Math.max(SMALLEST_SHARE_SCIDS, share));
  }

  /** Up to `limit` entries that this peer was not asked for yet, ascending; they count as asked. */
  pick(seat: number, isExtended: boolean, limit: number, able: AbleSeats, nowMs: number): number[] {
    const table = this.#table;
    const bit = 1 << seat;
    const chunk: number[] = [];
    if ((this.#dry & bit) !== 0 || (!isExtended && nowMs < this.#plainFromMs)) return chunk;
    let looked = 0;
    for (; looked < table.end && chunk.length < limit; looked++) {
      if (this.#scanFrom >= table.end) this.#scanFrom = 0;
      const slot = this.#scanFrom++;
      if (table.state(slot) !== WANTED_STATE.waiting) continue;
      const asked = table.asked[slot] as number;
      if ((asked & bit) !== 0 || (!isExtended && (able.extended & ~asked) !== 0)) continue;
      if (this.#settled(slot)) this.#remove(slot);
      else if (!this.#isListed(slot)) {
        table.setState(slot, WANTED_STATE.asked);
        chunk.push(slot);
      }
    }
    if (chunk.length < limit) this.#dry |= bit;
    return table.ascending(chunk);
  }

  /** The ids of a chunk, for the query. */
  scidsOf(chunk: readonly number[]): BigUint64Array {
    return this.#table.scidsOf(chunk);
  }

  /** A lost channel may have got its second update since: whatever updates there are, are asked for with it. */
  flagsOf(chunk: readonly number[]): Uint8Array {
    return Uint8Array.from(chunk, (slot) => {
      const flags = this.#table.flags[slot] as number;
      return (flags & QUERY_FLAG.channel_announcement) === 0 ? flags : flags | BOTH_UPDATES;
    });
  }

  /** How many entries of an open chunk are back. */
  delivered(chunk: readonly number[]): number {
    let count = 0;
    for (const slot of chunk) if (this.#stillMissing(slot) === 0) count++;
    return count;
  }

  /** The query got no end: somebody else is asked. */
  putBack(chunk: readonly number[], seat: number): void {
    for (const slot of chunk) this.#wait(slot, seat);
  }

  /** The query ended: what it brought is being checked. */
  markArriving(chunk: readonly number[]): void {
    for (const slot of chunk) this.#table.setState(slot, WANTED_STATE.arriving);
  }

  /** Drops what is back by now, and answers with the rest. */
  settle(chunk: readonly number[]): number[] {
    return chunk.filter((slot) => {
      if (!this.#settled(slot)) return true;
      this.#remove(slot);
      return false;
    });
  }

  /** The rest of a chunk did not come from this peer: the next one is asked. Answers with its number of entries. */
  notDelivered(chunk: readonly number[], seat: number): number {
    for (const slot of chunk) this.#wait(slot, seat);
    return chunk.length;
  }

  /** Once a second: drops what came by other ways, and gives up what everybody has been asked for. */
  sweep(able: AbleSeats): void {
    const table = this.#table;
    this.#dry = 0;
    if (table.size === 0) return;
    for (let slot = 0; slot < table.end; slot++) {
      const state = table.state(slot);
      if (state !== WANTED_STATE.waiting && state !== WANTED_STATE.given_up) continue;
      if (this.#settled(slot)) {
        this.#remove(slot);
        continue;
      }
      if (state === WANTED_STATE.given_up) continue;
      const asked = table.asked[slot] as number;
      const isForNobody = able.all !== 0 && (able.all & ~asked) === 0;
      if (!isForNobody && (table.tries[slot] as number) < MAX_REFETCH_TRIES) continue;
      this.givenUp += this.#messages(slot);
      table.setState(slot, WANTED_STATE.given_up);
    }
  }

  measure(meter: Meter): void {
    const { left, recovered, givenUp, refused } = this;
    meter.gauge('gossipd_refetch_wanted', left);
    const told = this.#told;
    if (recovered > told.recovered)
      meter.count('gossipd_refetch_recovered_total', undefined, recovered - told.recovered);
    if (givenUp > told.givenUp)
      meter.count('gossipd_refetch_given_up_total', undefined, givenUp - told.givenUp);
    if (refused > told.refused) meter.count('gossipd_refetch_full_total', undefined, refused - told.refused);
    this.#told = { recovered, givenUp, refused };
  }

  /** The lists are about to be compared: that finds what was given up. */
  forgetGivenUp(): void {
    const table = this.#table;
    for (let slot = 0; slot < table.end; slot++) {
      if (table.state(slot) === WANTED_STATE.given_up) this.#remove(slot);
    }
  }

  /** Somebody new may have what nobody had. */
  #retryGivenUp(): void {
    const table = this.#table;
    this.#dry = 0;
    if (table.count(WANTED_STATE.given_up) === 0) return;
    for (let slot = 0; slot < table.end; slot++) {
      if (table.state(slot) !== WANTED_STATE.given_up) continue;
      if ((table.tries[slot] as number) >= MAX_REFETCH_TRIES) continue;
      table.setState(slot, WANTED_STATE.waiting);
    }
  }

  #wait(slot: number, seat: number): void {
    const table = this.#table;
    if (this.#lostAgain.delete(slot)) seat = -1;
    table.setState(slot, WANTED_STATE.waiting);
    table.tries[slot] = Math.min(255, (table.tries[slot] as number) + 1);
    if (seat !== -1) table.asked[slot] = (table.asked[slot] as number) | (1 << seat);
    this.#dry = 0;
  }

  #messages(slot: number): number {
    return bitCount(this.#table.flags[slot] as number);
  }

  #isListed(slot: number): boolean {
    const table = this.#table;
    return this.#options.isListed(
      table.hi[slot] as number,
      table.lo[slot] as number,
      table.flags[slot] as number,
    );
  }

  /** Which of the entry's messages the graph lacks. */
  #stillMissing(slot: number): number {
    const { graph } = this.#options;
    const table = this.#table;
    const flags = table.flags[slot] as number;
    const channel = graph.channelIndex(table.hi[slot] as number, table.lo[slot] as number);
    if (channel === -1) return flags;
    let missing = flags & ~QUERY_FLAG.channel_announcement;
    for (const side of [0, 1] as const) {
      if (graph.hasUpdate(channel, side)) missing &= ~(QUERY_FLAG.channel_update_1 << side);
      if (graph.hasNodeAnnouncement(graph.channelNode(channel, side))) {
        missing &= ~(QUERY_FLAG.node_announcement_1 << side);
      }
    }
    return missing;
  }

  /** Counts what is back. True when there is nothing more to ask for: all of it is back, or the channel has left. */
  #settled(slot: number): boolean {
    const table = this.#table;
    const [hi, lo] = [table.hi[slot] as number, table.lo[slot] as number];
    const before = table.flags[slot] as number;
    const missing = this.#stillMissing(slot);
    this.recovered += bitCount(before & ~missing);
    table.flags[slot] = missing;
    if (missing === 0) {
      this.#options.recovered(hi, lo);
      return true;
    }
    const hasLeft =
      (missing & QUERY_FLAG.channel_announcement) === 0 && this.#options.graph.channelIndex(hi, lo) === -1;
    if (!hasLeft && !this.#options.refused(hi, lo)) return false;
    if (table.state(slot) !== WANTED_STATE.given_up) this.givenUp += bitCount(missing);
    return true;
  }

  #remove(slot: number): void {
    this.#lostAgain.delete(slot);
    this.#table.remove(slot);
  }
}

const bitCount = (flags: number): number => {
  let count = 0;
  for (let rest = flags & QUERY_ALL; rest !== 0; rest &= rest - 1) count++;
  return count;
};
