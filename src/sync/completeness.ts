/**
 * Completeness: of all channels that our peers have, how many do we? Exact: the union of the complete lists of every connected peer, and of
 * those that left within the last hour, compared with the graph.
 *
 * channel_lists.ts begins a list for each that a peer sends, adds its replies, and says when it is whole; until then it counts for nothing.
 * A peer's earlier list counts until its next one is whole. The figure is unknown while no whole list names a channel, and 100 only
 * when no listed channel is missing, given-up ones included. Listed channels that we do not want are not missing; each has a reason.
 * Bounds: MAX_LISTS lists as the bits of a column of MAX_LISTED channels. The table is WantedScids' own: 43 bytes for each entry and its index,
 * 2.8 MB for today's 50,808 channels, and 2^20 x 43 = 45 MB when it is full. Then the list with the most channels that nobody else lists,
 * which is what an inventor's looks like, does not count any more, and the figure stays below 100 for an hour.
 */
import type { Meter } from '../base/meter.ts';
import type { NetworkGraph } from '../graph/network_graph.ts';
import type { ReplyChannelRange } from '../wire/reply_channel_range.ts';
import { isFresh } from './list_compare.ts';
import { HI, halvesOf, LO } from './scid_halves.ts';
import { MAX_HOLDERS, WANTED_STATE, WantedScids } from './wanted_scids.ts';

/** Lists kept at a time: as many as the pool has holders. When all are in use that of the peer that left first is dropped, then the oldest. */
export const MAX_LISTS = MAX_HOLDERS;
/** Twenty times today's network. */
export const MAX_LISTED = 1_048_576;
/** The list of a peer that has left counts for so long; lists are compared once an hour. */
export const LEFT_LIST_MS = 3_600_000;
/** With more listed channels the figure is counted in steps of so many a second, about 10 ms, and is as old as that takes. */
const COUNTED_AT_ONCE = 131_072;
/** The gauges are counted again so often. */
const RECOUNT_MS = 10_000;

/** A list showed an update of either side that is not stale. In the column for flags. */
const FRESH = 1;

/** Why a listed channel that is not in the graph is not missing; a closed list, also metric label. */
export type ExclusionReason = 'closed' | 'refused' | 'zombie' | 'not_verified';
export const EXCLUSION_REASONS: readonly ExclusionReason[] = ['closed', 'refused', 'zombie', 'not_verified'];

type ScidTest = (scidHi: number, scidLo: number) => boolean;

export interface CompletenessOptions {
  readonly graph: NetworkGraph;
  readonly meter: Meter;
  /** 32 random bits. */
  readonly salt: number;
  readonly nowMs: () => number;
  readonly tests: Readonly<Partial<Record<ExclusionReason, ScidTest>>>;
  /** See MAX_LISTED; smaller in tests. */
  readonly maxListed?: number;
}

/** A peer's list, for as long as it counts. */
export interface PeerList {
  /** Its bit; -1 when it does not count any more. */
  bit: number;
  /** The whole of it is known. */
  isWhole: boolean;
  /** When it became whole, and when its peer left; monotonic. */
  wholeMs: number;
  leftMs: number | undefined;
}

export interface ListFigures {
  /** Channels listed, without the excluded ones, and those of them that are in the graph. */
  readonly listed: number;
  readonly known: number;
}

/** Plain data, as the status answers it. */
export interface CompletenessStatus {
  /** 0 to 100, rounded down to a tenth: known of known and missing. Undefined: no whole list names a channel, so nobody knows. */
  readonly percent: number | undefined;
  /** Listed channels that are in the graph. */
  readonly known: number;
  /** Channels in the union of the lists: known, missing and excluded. */
  readonly listed: number;
  /** Listed, not in the graph, and not excluded; also what was asked for in vain. */
  readonly missing: number;
  /** Listed channels that are not in the graph for a reason. */
  readonly excluded: Readonly<Record<ExclusionReason, number>>;
  /** Whole lists that count. */
  readonly lists: number;
  /** Undefined without a whole list. */
  readonly newest_list_age_seconds: number | undefined;
}

/** The figures at one moment. */
export interface CompletenessSnapshot {
  readonly status: CompletenessStatus;
  /** Of one list; undefined when it is not whole. */
  readonly of: (list: PeerList | undefined) => ListFigures | undefined;
}

interface Count {
  known: number;
  missing: number;
  readonly excluded: Record<ExclusionReason, number>;
  readonly byBit: { listed: Uint32Array; known: Uint32Array };
}

const newCount = (): Count => ({
  known: 0,
  missing: 0,
  excluded: { closed: 0, refused: 0, zombie: 0, not_verified: 0 },
  byBit: { listed: new Uint32Array(MAX_LISTS), known: new Uint32Array(MAX_LISTS) },
});

const total = (excluded: Readonly<Record<ExclusionReason, number>>): number =>
  EXCLUSION_REASONS.reduce((sum, reason) => sum + excluded[reason], 0);

/** Rounded down to a tenth; undefined for a part of nothing. */
export const percentOf = (part: number, whole: number): number | undefined =>
  whole === 0 ? undefined : Math.floor((1000 * part) / whole) / 10;

export class Completeness {
  readonly #options: CompletenessOptions;
  readonly #table: WantedScids;
  readonly #lists: (PeerList | undefined)[] = Array.from({ length: MAX_LISTS });
  /** Monotonic time until which something listed could not be counted. */
  #cutShortUntilMs = 0;
  /** A count under way, and how far it is; and the last whole one of a large table. */
  #counting: Count | undefined;
  #countedTo = 0;
  #counted: Count | undefined;
  #countedMs = Number.NEGATIVE_INFINITY;

  constructor(options: CompletenessOptions) {
    this.#options = options;
    this.#table = new WantedScids(options.salt, options.maxListed ?? MAX_LISTED);
  }

  /** A list that a peer begins to send. */
  begin(): PeerList {
    let bit = this.#lists.indexOf(undefined);
    if (bit === -1) {
      const rank = (list: PeerList | undefined): number =>
        list?.leftMs ?? (list?.isWhole === true ? Number.MAX_SAFE_INTEGER / 2 + list.wholeMs : Infinity);
      bit = this.#lists.reduce((best, list, at) => (rank(list) < rank(this.#lists[best]) ? at : best), 0);
      this.#drop(this.#lists[bit]);
    }
    const list: PeerList = { bit, isWhole: false, wholeMs: 0, leftMs: undefined };
    this.#lists[bit] = list;
    return list;
  }

  /** More of a list, or something new beside it. */
  add(list: PeerList | undefined, reply: ReplyChannelRange, nowSeconds: number): void {
    const halves = halvesOf(reply.short_channel_ids);
    const table = this.#table;
    for (let at = 0; at < halves.length && list !== undefined && list.bit !== -1; at += 2) {
      const [hi, lo] = [halves[at + HI] as number, halves[at + LO] as number];
      let slot = table.find(hi, lo);
      if (slot === -1) slot = table.add(hi, lo, 0);
      if (slot === -1) {
        this.#makeRoom();
        at -= 2;
        continue;
      }
      table.holders[slot] = (table.holders[slot] as number) | (1 << list.bit);
      if (isFresh(reply, at, nowSeconds)) table.flags[slot] = FRESH;
    }
  }

  /** All of the list was added: it counts from now on. */
  complete(list: PeerList): void {
    if (list.bit === -1) return;
    list.isWhole = true;
    list.wholeMs = this.#options.nowMs();
  }

  /** The list does not count any more: a newer one does, or it is not believed. */
  drop(list: PeerList | undefined): void {
    this.#drop(list);
  }

  /** Its peer has left: a whole list counts for another hour. */
  left(list: PeerList | undefined): void {
    if (list?.isWhole === true) list.leftMs = this.#options.nowMs();
    else this.#drop(list);
  }

  /** Once a second: drops old lists, and keeps the gauges up to date. */
  tick(): void {
    const now = this.#options.nowMs();
    for (const list of this.#lists) {
      if (list?.leftMs !== undefined && now - list.leftMs >= LEFT_LIST_MS) this.#drop(list);
    }
    if (this.#counting === undefined && now - this.#countedMs < RECOUNT_MS) return;
    this.#counting ??= newCount();
    this.#countedTo = this.#count(this.#counting, this.#countedTo, COUNTED_AT_ONCE);
    if (this.#countedTo < this.#table.end) return;
    this.#counted = this.#counting;
    this.#counting = undefined;
    this.#countedTo = 0;
    this.#countedMs = now;
    this.#measure();
  }

  /** Exact up to 131,072 listed channels; above, at most some ten seconds old. One count for all of it, about 5 ms today. */
  snapshot(): CompletenessSnapshot {
    const count = this.#figures();
    const { listed, known } = count.byBit;
    const of = (list: PeerList | undefined): ListFigures | undefined =>
      list?.isWhole === true
        ? { listed: listed[list.bit] as number, known: known[list.bit] as number }
        : undefined;
    return { status: this.#statusOf(count), of };
  }

  status(): CompletenessStatus {
    return this.#statusOf(this.#figures());
  }

  #statusOf({ known, missing, excluded }: Count): CompletenessStatus {
    let newest: number | undefined;
    let lists = 0;
    for (const list of this.#lists) {
      if (list?.isWhole !== true) continue;
      lists++;
      newest = Math.max(newest ?? 0, list.wholeMs);
    }
    const now = this.#options.nowMs();
    const percent = percentOf(known, known + missing);
    const isCutShort = now < this.#cutShortUntilMs;
    return {
      percent: percent !== undefined && isCutShort ? Math.min(percent, 99.9) : percent,
      known,
      listed: known + missing + total(excluded),
      missing,
      excluded: { ...excluded },
      lists,
      newest_list_age_seconds: newest === undefined ? undefined : Math.floor((now - newest) / 1000),
    };
  }

  #figures(): Count {
    if (this.#table.end > COUNTED_AT_ONCE) return this.#counted ?? newCount();
    const count = newCount();
    this.#count(count, 0, COUNTED_AT_ONCE);
    return count;
  }

  #count(count: Count, from: number, limit: number): number {
    const table = this.#table;
    const end = Math.min(table.end, from + limit);
    let whole = 0;
    for (const list of this.#lists) if (list?.isWhole === true) whole |= 1 << list.bit;
    for (let slot = from; slot < end; slot++) {
      if (table.state(slot) === WANTED_STATE.free) continue;
      let bits = (table.holders[slot] as number) & whole;
      if (bits === 0) continue;
      const isKnown = this.#judge(slot, count);
      if (isKnown === undefined) continue;
      for (; bits !== 0; bits &= bits - 1) {
        const bit = 31 - Math.clz32(bits & -bits);
        count.byBit.listed[bit] = (count.byBit.listed[bit] as number) + 1;
        if (isKnown) count.byBit.known[bit] = (count.byBit.known[bit] as number) + 1;
      }
    }
    return end;
  }

  /** Undefined when the channel is excluded. */
  #judge(slot: number, count: Count): boolean | undefined {
    const table = this.#table;
    const [hi, lo] = [table.hi[slot] as number, table.lo[slot] as number];
    if (this.#options.graph.channelIndex(hi, lo) !== -1) {
      count.known++;
      return true;
    }
    for (const reason of EXCLUSION_REASONS) {
      // What a list shows to be alive is asked for, though it is a zombie to us.
      if (reason === 'zombie' && (table.flags[slot] as number) === FRESH) continue;
      if (this.#options.tests[reason]?.(hi, lo) !== true) continue;
      count.excluded[reason]++;
      return undefined;
    }
    count.missing++;
    return false;
  }

  #measure(): void {
    const { meter } = this.#options;
    const { percent, known, listed, missing, excluded, lists, newest_list_age_seconds } = this.#statusOf(
      this.#counted ?? newCount(),
    );
    // Without an answer there is no ratio: -1, as no share of anything is.
    meter.gauge('gossipd_completeness_ratio', percent === undefined ? -1 : Math.round(percent * 10) / 1000);
    meter.gauge('gossipd_completeness_known_channels', known);
    meter.gauge('gossipd_completeness_listed_channels', listed);
    meter.gauge('gossipd_completeness_missing_channels', missing);
    for (const reason of EXCLUSION_REASONS) {
      meter.gauge('gossipd_completeness_excluded_channels', excluded[reason], reason);
    }
    meter.gauge('gossipd_completeness_lists', lists);
    meter.gauge('gossipd_completeness_newest_list_age_seconds', newest_list_age_seconds ?? -1);
  }

  #drop(list: PeerList | undefined): void {
    if (list === undefined || list.bit === -1) return;
    const { bit } = list;
    const table = this.#table;
    for (let slot = 0; slot < table.end; slot++) {
      if (table.state(slot) === WANTED_STATE.free) continue;
      const before = table.holders[slot] as number;
      const holders = before & ~(1 << bit);
      table.holders[slot] = holders;
      if (holders === 0) table.remove(slot);
    }
    this.#lists[bit] = undefined;
    list.bit = -1;
    list.isWhole = false;
  }

  /** The table is full: the list with the most channels of its own goes. */
  #makeRoom(): void {
    const table = this.#table;
    const own = new Uint32Array(MAX_LISTS);
    for (let slot = 0; slot < table.end; slot++) {
      const holders = table.state(slot) === WANTED_STATE.free ? 0 : (table.holders[slot] as number);
      if (holders === 0 || (holders & (holders - 1)) !== 0) continue;
      const bit = 31 - Math.clz32(holders);
      own[bit] = (own[bit] as number) + 1;
    }
    const most = own.reduce((best, count, bit) => (count > (own[best] as number) ? bit : best), 0);
    // When all share everything, any will do: the longest lists are all the same.
    this.#drop(this.#lists[most] ?? this.#lists.find((list) => list !== undefined));
    this.#cutShortUntilMs = this.#options.nowMs() + LEFT_LIST_MS;
    this.#options.meter.count('gossipd_completeness_full_total');
  }
}
