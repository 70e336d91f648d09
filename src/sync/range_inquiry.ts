/**
 * RangeInquiry: asks one peer which channels it has, and judges its replies (BOLT 7, query_channel_range). Pure.
 *
 * It first asks for all blocks at once. When the replies break the rules, whatever else they carry is not used, and it asks
 * again by ranges of blocks small enough for one reply each: CLN up to 26.06 sends its list unordered, so that only
 * answers of a single reply are right, and a sync must not fail for that. A peer that goes on breaking the rules fails.
 * Bounds: MAX_REPLIES_PER_QUERY replies to a query, MAX_SCIDS_PER_PEER short_channel_ids and MAX_QUERIES queries in all;
 * it keeps none of the ids, only where it is.
 */
import { scidBlock } from '../base/short_channel_id.ts';
import type { ReplyChannelRange } from '../wire/reply_channel_range.ts';
import { HI, halvesOf } from './scid_halves.ts';

/** A short_channel_id has 24 bits for the block: nothing can be at or above this height. */
const BLOCKS_END = 0x1000000;
/** The whole chain, in one query. */
const ALL_BLOCKS = 0xffffffff;

/** Forty times today's network of 50,000 channels; ids beyond are not looked at. */
export const MAX_SCIDS_PER_PEER = 2_000_000;
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

export class RangeInquiry {
  /** The open query: blocks [first, end). */
  #first = 0;
  #end = ALL_BLOCKS;
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

  /** Ids taken from replies so far. */
  get scids(): number {
    return this.#scids;
  }

  /** The next query to send, or why there is none. */
  next(): { readonly first: number; readonly count: number } | 'complete' | 'failed' {
    if (this.#first >= BLOCKS_END) return 'complete';
    if (this.#faultsInARow >= MAX_FAULTS_IN_A_ROW || this.#queries >= MAX_QUERIES) return 'failed';
    this.#end = this.#step === 0 ? ALL_BLOCKS : Math.min(this.#first + this.#step, BLOCKS_END);
    this.#queries++;
    this.#coveredTo = this.#first;
    this.#previousFirst = 0;
    this.#replies = 0;
    this.#scidsOfQuery = 0;
    this.#resumeAt = undefined;
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
    this.#resumeAt = Math.max(this.#first, Math.min(reply.first_blocknum, BLOCKS_END));
  }

  /** The open query was answered. True when room must be waited for before the next one. */
  finishQuery(): boolean {
    this.#faultsInARow = 0;
    if (this.#resumeAt !== undefined) {
      this.#first = this.#resumeAt;
      this.#step = FIRST_STEP_BLOCKS;
      return true;
    }
    this.#first = this.#step === 0 ? BLOCKS_END : this.#end;
    // Empty stretches are crossed fast; otherwise by density, at most twice as far as before.
    const fitting = Math.floor((this.#step * WANTED_SCIDS_PER_STEP) / Math.max(1, this.#scidsOfQuery));
    const most = this.#scidsOfQuery === 0 ? this.#step * 4 : this.#step * 2;
    this.#step = Math.max(1, Math.min(fitting, most, BLOCKS_END));
    return false;
  }

  /** The open query's answer was broken: its blocks will be asked for again, in smaller ranges. */
  failQuery(): void {
    this.#faultsInARow++;
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
    if (this.#scids + short_channel_ids.length > MAX_SCIDS_PER_PEER) return 'too_many_scids';
    const pairs = short_channel_ids.length * 2;
    if (reply.timestamps !== undefined && reply.timestamps.length !== pairs) return 'timestamps_mismatch';
    if (reply.checksums !== undefined && reply.checksums.length !== pairs) return 'timestamps_mismatch';
    const halves = halvesOf(short_channel_ids);
    for (let at = 0; at < halves.length; at += 2) {
      const block = scidBlock(halves[at + HI] as number);
      // CLN 26.06 lists in the order of its map: what is not in the reply's range may still be in the query's.
      const inReply = block >= first_blocknum && block < end;
      if (!inReply && (block < this.#first || block >= this.#end)) return 'scid_outside_query';
    }
    return undefined;
  }
}
