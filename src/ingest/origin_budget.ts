/**
 * How often one channel direction, or one node, may change its mind, whichever peers bring its messages.
 *
 * A few talk for all: a third of a percent of the channels make 18 % of the public network's messages, and 144 nodes of 5,700
 * make 45 % of the node_announcements. A budget for each peer does not help, since every honest peer brings what all say.
 * So each key has a token bucket (as LND's ten in a burst for each channel direction, then one a minute):
 *   channel_update      10 at once, then one in 5 minutes: CLN sends no two within 5 minutes, and LND waits 19 or 20 minutes
 *                       before it enables or disables, so fee changes and a flapping link never get here by honest means
 *   node_announcement   10 at once, then one in 30 minutes: addresses change a few times a day, and no route depends on them
 *
 * Nothing is lost: the newest message beyond the budget waits (over_budget_room.ts) and goes in with the next token, so the map
 * comes to the latest state, 5 or 30 minutes late at most, and what was in between is never stored or relayed.
 * Tokens are spent for accepted replacements only: behind the signature check, so that forgers cannot spend a channel's tokens
 * (their work is charged to their connection, useless_budget.ts), and not for the first message of a key, so that a first sync
 * costs none. Origin 0, ourselves, has no budget.
 * Bound: a StampTable of 65,536 keys, 24 bytes each, in each of three gates: 4.7 MB. Only keys of the last 50 minutes (nodes: 5
 * hours) are in it, some 15,000; when it is full all buckets start afresh.
 */
import type { Clock } from '../base/time.ts';
import { ContentRepeats } from './content_repeats.ts';
import type { Desk } from './desk.ts';
import { LINT_REDUNDANT } from './lint.ts';
import { OverBudgetRoom } from './over_budget_room.ts';
import type { Done } from './ports.ts';
import { StampTable } from './stamp_table.ts';
import { HOLD, IGNORE, type Verdict } from './verdict.ts';

export interface Pace {
  /** Messages at once. */
  readonly burst: number;
  /** Time for one more. */
  readonly intervalSeconds: number;
}

export const UPDATE_PACE: Pace = { burst: 10, intervalSeconds: 300 };
export const NODE_PACE: Pace = { burst: 10, intervalSeconds: 1800 };
export const MAX_ORIGIN_KEYS = 65_536;
/** While the store takes nothing, those whose token is there wait on. */
const STORE_RETRY_MS = 60_000;

/** Buckets by key; the stamp is the monotonic second at which the bucket is full again. */
export class OriginBudget {
  readonly #clock: Clock;
  readonly #pace: Pace;
  readonly #fullAt: StampTable;

  constructor(clock: Clock, pace: Pace) {
    this.#clock = clock;
    this.#pace = pace;
    this.#fullAt = new StampTable(MAX_ORIGIN_KEYS, (stamp) => stamp * 1000 <= clock.monotonicMs());
  }

  get keys(): number {
    return this.#fullAt.size;
  }

  get turnovers(): number {
    return this.#fullAt.turnovers;
  }

  /** Milliseconds until the key has a token; 0 when it has one. */
  waitMs(hi: number, lo: number): number {
    const stamp = this.#fullAt.get(hi, lo);
    const { burst, intervalSeconds } = this.#pace;
    return Math.max(0, (stamp - (burst - 1) * intervalSeconds) * 1000 - this.#clock.monotonicMs());
  }

  spend(hi: number, lo: number): void {
    const now = Math.ceil(this.#clock.monotonicMs() / 1000);
    this.#fullAt.set(hi, lo, Math.max(now, this.#fullAt.get(hi, lo)) + this.#pace.intervalSeconds);
  }
}

export interface OriginGateOptions {
  readonly desk: Desk;
  readonly pace: Pace;
  /** Commits a message that waited; its token is there. */
  readonly commit: (raw: Uint8Array, origin: number) => void;
}

/** A message that is well signed and newer than the stored one of its key. */
export interface Newcomer {
  /** The key. */
  readonly hi: number;
  readonly lo: number;
  /** Owned. */
  readonly raw: Uint8Array;
  readonly origin: number;
  readonly done: Done | undefined;
  /** Its own, and that of the stored one, Unix seconds. */
  readonly timestamp: number;
  readonly storedAt: number;
  /** Its content is that of the stored one. */
  readonly isSame: boolean;
}

/** Budget, waiting room and repeats of one kind of message: updates of one direction, or node_announcements. */
export class OriginGate {
  readonly repeats: ContentRepeats;
  readonly budget: OriginBudget;
  readonly #desk: Desk;
  readonly #room: OverBudgetRoom;

  constructor({ desk, pace, commit }: OriginGateOptions) {
    const { clock } = desk.ports;
    this.#desk = desk;
    this.repeats = new ContentRepeats(clock);
    this.budget = new OriginBudget(clock, pace);
    this.#room = new OverBudgetRoom(clock, (message, hi, lo) => {
      if (desk.canStore) commit(message.raw, message.origin);
      // It has waited for its turn, and may be the last word of its channel for long.
      else this.#room.put(hi, lo, { ...message, dueMs: clock.monotonicMs() + STORE_RETRY_MS });
    });
  }

  /** Messages that wait for a token. */
  get waiting(): number {
    return this.#room.size;
  }

  close(): void {
    this.#room.close();
  }

  /**
   * What can be said without a check: it is not newer than what waits, or than the latest repeat. Not for our own.
   *
   * @param storedAt timestamp of the stored message, which is older; there is one
   */
  refusal(hi: number, lo: number, timestamp: number, storedAt: number): Verdict | undefined {
    const waiting = this.#room.get(hi, lo);
    if (waiting !== undefined && timestamp <= waiting.timestamp) {
      return timestamp === waiting.timestamp ? IGNORE.already_pending : IGNORE.stale_timestamp;
    }
    const repeated = this.repeats.latest(hi, lo);
    if (timestamp < repeated) return IGNORE.stale_timestamp;
    return timestamp === repeated && this.repeats.isTooEarly(storedAt) ? IGNORE.content_repeat : undefined;
  }

  /** B7-40: true if the newcomer says nothing new, or is beyond its budget; its offer is settled then. Not for our own. */
  stops(newcomer: Newcomer): boolean {
    const { hi, lo, raw, origin, done } = newcomer;
    const desk = this.#desk;
    // Another one may have been faster while this was checked.
    const refusal = this.refusal(hi, lo, newcomer.timestamp, newcomer.storedAt);
    if (refusal !== undefined) {
      desk.settle(refusal, raw, origin, done);
      return true;
    }
    if (this.#isRepeat(newcomer)) {
      this.repeats.leftOut(hi, lo, newcomer.timestamp);
      desk.ports.meter.count('gossipd_content_repeats_total', 'ignored');
      desk.lint.note(LINT_REDUNDANT);
      desk.settle(IGNORE.content_repeat, raw, origin, done);
      return true;
    }
    const waitMs = this.budget.waitMs(hi, lo);
    if (waitMs === 0) return false;
    this.#keep(newcomer, waitMs);
    return true;
  }

  /** With another message waiting in between it is no repeat, but a return to what was. */
  #isRepeat({ hi, lo, isSame, storedAt }: Newcomer): boolean {
    return isSame && this.#room.get(hi, lo) === undefined && this.repeats.isTooEarly(storedAt);
  }

  #keep({ hi, lo, timestamp, raw, origin, done }: Newcomer, waitMs: number): void {
    const desk = this.#desk;
    const older = this.#room.take(hi, lo);
    const dueMs = desk.ports.clock.monotonicMs() + waitMs;
    const isKept = this.#room.put(hi, lo, { raw, origin, timestamp, dueMs });
    if (older !== undefined) desk.settle(IGNORE.origin_budget, older.raw, older.origin, undefined);
    desk.settle(isKept ? HOLD.origin_budget : IGNORE.origin_budget, raw, origin, done);
  }

  /** A message has replaced the stored one. */
  replaced(hi: number, lo: number, isSame: boolean): void {
    this.budget.spend(hi, lo);
    if (!isSame) return;
    this.repeats.refreshed++;
    this.#desk.ports.meter.count('gossipd_content_repeats_total', 'refreshed');
  }

  /** The key has perhaps another owner now: what the old one said is forgotten. Its budget is not. */
  forget(hi: number, lo: number): void {
    this.repeats.forget(hi, lo);
    const waiting = this.#room.take(hi, lo);
    if (waiting === undefined) return;
    this.#desk.settle(IGNORE.unknown_channel, waiting.raw, waiting.origin, undefined);
  }
}
