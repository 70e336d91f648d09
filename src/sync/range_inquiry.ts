/**
 * RangeInquiry: asks one peer which channels it has, and judges its replies (BOLT 7, query_channel_range). Pure.
 *
 * It first asks for all its blocks at once. When the replies break the rules, whatever else they carry is not used, and it asks
 * again by ranges of blocks small enough for one reply each: CLN up to 26.06 sends its list unordered, so that only
 * answers of a single reply are right, and a sync must not fail for that. A peer that goes on breaking the rules fails.
 * A list that is too long for one answer is not a broken one: it goes on in smaller ranges from where the ids ran over.
 * Bounds: MAX_REPLIES_PER_QUERY replies and MAX_SCIDS_PER_ANSWER short_channel_ids to a query, MAX_QUERIES queries in all;
 * it keeps none of the ids, only where it is.
 */
import { scidBlock } from '../base/short_channel_id.ts';
import type { ReplyChannelRange } from '../wire/reply_channel_range.ts';
import { HI, halvesOf } from './scid_halves.ts';

/** A short_channel_id has 24 bits for the block: nothing can be at or above this height. */
export const BLOCKS_END = 0x1000000;
/** One past the last block that a query can ask for, from block 0. */
const ALL_BLOCKS = 0xffffffff;

/** Forty times today's network of 50,000 channels; what one answer lists beyond is asked for again, in ranges. */
export const MAX_SCIDS_PER_ANSWER = 2_000_000;
/** 2,000,000 ids at 2,728 to a reply (with timestamps and checksums) are 734 replies; five times that for short ones. */
export const MAX_REPLIES_PER_QUERY = 4_096;
/** From block 0 to 2^24 in ranges of 8,192 blocks. */
export const MAX_QUERIES = 2_048;
/** Broken answers in a row: the whole chain, then ranges of 32,768, 8,192, 2,048, 512 and 128 blocks. */
export const MAX_FAULTS_IN_A_ROW = 6;

/** Blocks of the first smaller query; about 3,600 channels at today's density of one in nine blocks. */
const FIRST_STEP_BLOCKS = 32_768;
/** Fits a reply with timestamps and checksums (2,728) with room for chance. */
const WANTED_SCIDS_PER_STEP = 1_500;

/** What is wrong with a reply; a closed list, also metric label. */
export type RangeFault =
  | 'range_no_blocks'
  | 'range_outside_query'
  | 'range_decreasing'
  | 'range_gap'
  | 'range_not_covered'
  | 'scid_outside_query'
  | 'timestamps_mismatch'
  | 'too_many_scids'
  | 'too_many_replies';

/** What a reply means: `take` its ids, and whether the query it belongs to is over. */
export type RangeStep =
  | { readonly fault: RangeFault }
  | { readonly fault?: undefined; readonly use: boolean; readonly over: boolean };

export interface InquiryOptions {
  /** The first block to ask for; 0 without. */
  readonly first?: number;
  /** One past the last block; without, everything from `first`. */
  readonly stop?: number;
  /** See MAX_SCIDS_PER_ANSWER; smaller in tests. */
  readonly maxScidsPerAnswer?: number;
}

export class RangeInquiry {
  /** The open query: blocks [first, end). */
  #first: number;
  #end = ALL_BLOCKS;
  /** First block of all. */
  readonly start: number;
  readonly #stop: number;
  readonly #maxScids: number;
  /** Everything below is answered by the open query's replies. */
  #coveredTo = 0;
  #previousFirst = 0;
  #replies = 0;
  #scidsOfQuery = 0;
  /** Blocks to ask for at a time, once the whole chain at once has failed. */
  #step = 0;
  #queries = 0;
  #faultsInARow = 0;
  #scids = 0;
  /** First block of the first reply that there was no room for. */
  #resumeAt: number | undefined;
  /** There was none because the answer is too long, so that a shorter one can be asked for at once. */
  #tooLong = false;
  /** Ids came outside their reply's blocks: the answer is right only as a whole. */
  #unordered = false;

  constructor({
    first = 0,
    stop = BLOCKS_END,
    maxScidsPerAnswer = MAX_SCIDS_PER_ANSWER,
  }: InquiryOptions = {}) {
    this.start = this.#first = first;
    this.#stop = stop;
    this.#maxScids = maxScidsPerAnswer;
  }

  /** Ids taken from replies so far. */
  get scids(): number {
    return this.#scids;
  }

  /** First block of the open query, or of the next one. */
  get first(): number {
    return this.#first;
  }

  /** One past the last block that is asked for; at most 2^24. */
  get stop(): number {
    return this.#stop;
  }

  /**
   * All that the peer has below this block has been listed and taken. The last block of a reply may be split between two, so it is not
   * counted before the next reply starts behind it.
   */
  get reached(): number {
    const open = this.#unordered || this.#replies === 0 ? this.#first : this.#coveredTo - 1;
    return Math.min(this.#stop, this.#resumeAt ?? Math.max(this.#first, open));
  }

  /** The next query to send, or why there is none. */
  next(): { readonly first: number; readonly count: number } | 'complete' | 'failed' {
    if (this.#first >= this.#stop) return 'complete';
    if (this.#faultsInARow >= MAX_FAULTS_IN_A_ROW || this.#queries >= MAX_QUERIES) return 'failed';
    const whole = this.#stop === BLOCKS_END ? ALL_BLOCKS : this.#stop;
    this.#end = this.#step === 0 ? whole : Math.min(this.#first + this.#step, this.#stop);
    this.#queries++;
    this.#coveredTo = this.#first;
    this.#previousFirst = 0;
    this.#replies = 0;
    this.#scidsOfQuery = 0;
    this.#resumeAt = undefined;
    this.#tooLong = this.#unordered = false;
    return { first: this.#first, count: this.#end - this.#first };
  }

  /** Judges a reply to the open query. Blocks a reply covers beyond the query are fine. */
  judge(reply: ReplyChannelRange): RangeStep {
    const fault = this.#faultOf(reply);
    if (fault !== undefined) return { fault };
    const end = reply.first_blocknum + reply.number_of_blocks;
    this.#previousFirst = reply.first_blocknum;
    this.#coveredTo = Math.max(this.#coveredTo, end);
    const count = reply.short_channel_ids.length;
    this.#scids += count;
    this.#scidsOfQuery += count;
    if (this.#scidsOfQuery > this.#maxScids && this.#resumeAt === undefined) {
      if (this.#end - this.#first === 1) return { fault: 'too_many_scids' };
      this.postpone(reply);
      this.#tooLong = true;
    }
    const covered = this.#coveredTo >= Math.min(this.#end, BLOCKS_END);
    // the last reply covers the end of the query and says so; saying so too early is a lie.
    if (reply.sync_complete && !covered) return { fault: 'range_not_covered' };
    return { use: this.#resumeAt === undefined, over: reply.sync_complete };
  }

  /** Every block asked for is covered, though the peer has not said that it is done. */
  get covered(): boolean {
    return this.#replies > 0 && this.#coveredTo >= Math.min(this.#end, BLOCKS_END);
  }

  /** There is no room for what this reply lists: it will be asked for again, in smaller ranges. */
  postpone(reply: ReplyChannelRange): void {
    const from = this.#unordered ? this.#first : reply.first_blocknum;
    this.#resumeAt = Math.max(this.#first, Math.min(from, BLOCKS_END));
  }

  /** The open query was answered. True when room must be waited for before the next one. */
  finishQuery(): boolean {
    this.#faultsInARow = 0;
    this.#replies = 0;
    if (this.#resumeAt !== undefined) {
      const isStuck = this.#tooLong && this.#resumeAt <= this.#first && this.#step !== 0;
      this.#step = isStuck ? Math.max(1, this.#step >>> 2) : FIRST_STEP_BLOCKS;
      this.#first = this.#resumeAt;
      this.#resumeAt = undefined;
      return !this.#tooLong;
    }
    this.#first = this.#step === 0 ? this.#stop : this.#end;
    // Empty stretches are crossed fast; otherwise by density, at most twice as far as before.
    const fitting = Math.floor((this.#step * WANTED_SCIDS_PER_STEP) / Math.max(1, this.#scidsOfQuery));
    const most = this.#scidsOfQuery === 0 ? this.#step * 4 : this.#step * 2;
    this.#step = Math.max(1, Math.min(fitting, most, BLOCKS_END));
    return false;
  }

  /** The open query's answer was broken: its blocks will be asked for again, in smaller ranges. */
  failQuery(): void {
    this.#faultsInARow++;
    this.#replies = 0;
    this.#resumeAt = undefined;
    this.#step = this.#step === 0 ? FIRST_STEP_BLOCKS : Math.max(1, this.#step >>> 2);
  }

  #faultOf(reply: ReplyChannelRange): RangeFault | undefined {
    const { first_blocknum, number_of_blocks, short_channel_ids } = reply;
    const end = first_blocknum + number_of_blocks;
    if (++this.#replies > MAX_REPLIES_PER_QUERY) return 'too_many_replies';
    if (number_of_blocks === 0) return 'range_no_blocks';
    if (end <= this.#first || first_blocknum >= this.#end) return 'range_outside_query';
    if (first_blocknum < this.#previousFirst) return 'range_decreasing';
    if (first_blocknum > this.#coveredTo) return 'range_gap';
    const pairs = short_channel_ids.length * 2;
    if (reply.timestamps !== undefined && reply.timestamps.length !== pairs) return 'timestamps_mismatch';
    if (reply.checksums !== undefined && reply.checksums.length !== pairs) return 'timestamps_mismatch';
    const halves = halvesOf(short_channel_ids);
    for (let at = 0; at < halves.length; at += 2) {
      const block = scidBlock(halves[at + HI] as number);
      // CLN 26.06 lists in the order of its map: what is not in the reply's range may still be in the query's.
      const inReply = block >= first_blocknum && block < end;
      if (inReply) continue;
      if (block < this.#first || block >= this.#end) return 'scid_outside_query';
      this.#unordered = true;
    }
    return undefined;
  }
}
