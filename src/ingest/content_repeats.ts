/**
 * Messages that say again what is stored: the same content, a later timestamp and another signature. More than half of all
 * node_announcements and about half of all channel_updates are such repeats.
 *
 * A repeat is a sign of life, and is needed: without one a channel is pruned after two weeks (B7-42). So it is accepted, stored
 * and relayed like any news once the stored message is a day old, and left out before that, as LND leaves out keep-alives
 * younger than 24 hours. CLN refreshes after 13 days and LND daily, so whoever follows BOLT 7, which wants no redundant updates
 * (B7-40), is relayed at once (B7-12, B7-36, R-01); pruning sees timestamps that are at most a day behind, of fourteen.
 *
 * What is left out still counts in time: a node that says A, then B, then A again means A, though B may come last. The
 * timestamp of the latest left-out repeat is kept, and what is older is stale. Only a checked signature sets it, so nobody else
 * can silence a channel; and it goes when the channel is announced anew, perhaps by others.
 * Bound: a StampTable of 65,536 keys, 24 bytes each; stamps older than a day are over. When it is full all is forgotten.
 */
import { compareBytes } from '../base/bytes.ts';
import { type Clock, nowSeconds } from '../base/time.ts';
import { NODE_ANNOUNCEMENT_SIGNED_FROM, nodeAnnouncementFeatureBytes } from '../wire/node_announcement.ts';
import { StampTable } from './stamp_table.ts';

/** A stored message must be as old as this before one with the same content replaces it. */
export const REPEAT_SECONDS = 86_400;
/** The public network has 100,000 half channels (two tables) and 17,000 nodes, and a day's repeats are of fewer. */
export const MAX_REPEAT_KEYS = 65_536;

export class ContentRepeats {
  readonly #clock: Clock;
  readonly #isOver = (stamp: number): boolean => stamp + REPEAT_SECONDS < nowSeconds(this.#clock);
  readonly #latest = new StampTable(MAX_REPEAT_KEYS, this.#isOver);
  /** Left out, and accepted because the stored one was a day old. */
  ignored = 0;
  refreshed = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get turnovers(): number {
    return this.#latest.turnovers;
  }

  /** @param storedAt timestamp of the stored message, Unix seconds */
  isTooEarly(storedAt: number): boolean {
    return nowSeconds(this.#clock) - storedAt < REPEAT_SECONDS;
  }

  /** Timestamp of the latest repeat that was left out; 0 when there was none in the last day. */
  latest(hi: number, lo: number): number {
    const stamp = this.#latest.get(hi, lo);
    return stamp === 0 || this.#isOver(stamp) ? 0 : stamp;
  }

  /** A well signed repeat is left out. */
  leftOut(hi: number, lo: number, timestamp: number): void {
    this.ignored++;
    if (timestamp > this.#latest.get(hi, lo)) this.#latest.set(hi, lo, timestamp);
  }

  forget(hi: number, lo: number): void {
    if (this.#latest.get(hi, lo) !== 0) this.#latest.set(hi, lo, 1);
  }
}

/** Bytes from the start of the signed part to the timestamp: the two of the feature length, then the features. */
const timestampAt = (raw: Uint8Array): number =>
  NODE_ANNOUNCEMENT_SIGNED_FROM + 2 + nodeAnnouncementFeatureBytes(raw, 0);

/** Whether two node_announcements, both structurally sound, differ in signature and timestamp at most. */
export const saysTheSame = (one: Uint8Array, other: Uint8Array): boolean => {
  if (one.length !== other.length) return false;
  const from = NODE_ANNOUNCEMENT_SIGNED_FROM;
  const until = timestampAt(one);
  if (until !== timestampAt(other) || compareBytes(one, from, other, from, until - from) !== 0) return false;
  return compareBytes(one, until + 4, other, until + 4, one.length - until - 4) === 0;
};
