/**
 * Judges channel_updates of zombies: proof that a channel lives which was pruned for silence (BOLT 7; see zombie_memory.ts).
 *
 * The update judge hands in updates that are newer than two weeks and belong to no channel. One by a side that was silent, signed with the
 * key that the zombie's announcement had, ends the zombie: the parked announcement is judged or, without one, peers are asked for
 * it; the update waits like any other that came before its channel.
 * Bounds: messages under check are counted at the desk; a table of at most MAX_BACKLOG_MESSAGES of them.
 */
import { bytesEqual, own } from '../base/bytes.ts';
import { NODE_ID_BYTES } from '../base/node_id.ts';
import type { CheckOutcome } from '../crypto/signature_check.ts';
import { channelUpdateDirection, channelUpdateScidHi, channelUpdateScidLo } from '../wire/channel_update.ts';
import type { Desk } from './desk.ts';
import type { Done } from './ports.ts';
import { CLOSE, IGNORE, type Verdict, WARN } from './verdict.ts';
import type { ParkedAnnouncement } from './zombie_memory.ts';

export interface ResurrectionOptions {
  readonly desk: Desk;
  /** The channel lives: its announcement is to be judged, or asked for. */
  readonly revived: (scidHi: number, scidLo: number, parked: ParkedAnnouncement | undefined) => void;
  /** Judges the update that proved it, now that its channel is no zombie. @param raw owned */
  readonly judge: (raw: Uint8Array, origin: number, done: Done | undefined) => void;
}

export class Resurrection {
  readonly #options: ResurrectionOptions;
  /** The latest under check, by scid and direction. */
  readonly #underCheck = new Map<string, Uint8Array>();

  constructor(options: ResurrectionOptions) {
    this.#options = options;
  }

  /** False when the update is of no zombie, and nothing was done. @param raw borrowed, unless isOwned */
  meet(raw: Uint8Array, origin: number, done: Done | undefined, isOwned: boolean): boolean {
    const { desk } = this.#options;
    const [scidHi, scidLo] = [channelUpdateScidHi(raw, 0), channelUpdateScidLo(raw, 0)];
    const zombie = desk.zombies.find(scidHi, scidLo);
    if (zombie === undefined) return false;
    const direction = channelUpdateDirection(raw, 0);
    const key = `${scidHi}.${scidLo}.${direction}`;
    const refusal = this.#refusal(raw, origin, (zombie.silent & (1 << direction)) !== 0, key);
    if (refusal !== undefined) {
      desk.settle(refusal, raw, origin, done);
      return true;
    }
    const kept = isOwned ? raw : own(raw);
    this.#underCheck.set(key, kept);
    desk.begin(kept.length);
    desk.ports.checker.check(kept, 1, zombie.keys, direction * NODE_ID_BYTES, (outcome) => {
      if (this.#underCheck.get(key) === kept) this.#underCheck.delete(key);
      if (desk.isClosed) return;
      desk.end(kept.length);
      desk.signaturesChecked++;
      this.#checked(kept, origin, done, outcome);
    });
    return true;
  }

  #refusal(raw: Uint8Array, origin: number, isProof: boolean, key: string): Verdict | undefined {
    const { desk } = this.#options;
    // The other side was never the reason.
    if (!isProof) return IGNORE.zombie_channel;
    const other = this.#underCheck.get(key);
    if (other !== undefined && bytesEqual(other, raw)) return IGNORE.already_pending;
    if (desk.budget.isSpent(origin)) return IGNORE.budget_exceeded;
    if (!desk.canStore || !desk.hasRoom(raw.length)) return IGNORE.overloaded;
    return desk.wasBad(raw) ? WARN.recently_refused : undefined;
  }

  #checked(raw: Uint8Array, origin: number, done: Done | undefined, outcome: CheckOutcome): void {
    const { desk, revived, judge } = this.#options;
    if (outcome !== 'valid') {
      desk.rememberBad(raw);
      desk.settle('bad_key' in outcome ? CLOSE.bad_node_id : CLOSE.bad_signature, raw, origin, done);
      return;
    }
    const [scidHi, scidLo] = [channelUpdateScidHi(raw, 0), channelUpdateScidLo(raw, 0)];
    if (desk.zombies.find(scidHi, scidLo) !== undefined) {
      const parked = desk.zombies.forget(scidHi, scidLo);
      desk.ports.meter.count('gossipd_zombies_revived_total');
      revived(scidHi, scidLo, parked);
    }
    judge(raw, origin, done);
  }
}
