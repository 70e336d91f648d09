/**
 * Judges channel_update (BOLT 7; requirements B7-29 to B7-38, B7-49): is it newer, is it timely, whose is it, is it signed.
 *
 * For a channel in the graph the key is the graph's. For a pending announcement it is the announcement's: the signature is checked
 * while the announcement is, and the update is kept on the pending entry until that is accepted; that key is worth no more than
 * the announcement, so a signature that does not fit it is nobody's fault yet. For an unknown channel the update waits.
 * Between the check and the commit others may have been faster: the commit decides again from the graph.
 * Bounds: those of desk.ts under check; 20,000 updates and 8 MiB waiting (138 + some 300 bytes of objects each: 9 MB).
 */
import { bytesEqual, compareBytes, own } from '../base/bytes.ts';
import { NODE_ID_BYTES } from '../base/node_id.ts';
import { nowSeconds } from '../base/time.ts';
import type { CheckOutcome } from '../crypto/signature_check.ts';
import { channelAnnouncementNodeId1At } from '../wire/channel_announcement.ts';
import {
  channelUpdateChainHashAt,
  channelUpdateChecksum,
  channelUpdateDirection,
  channelUpdateDontForward,
  channelUpdateIsDisabled,
  channelUpdateScidHi,
  channelUpdateScidLo,
  channelUpdateTimestamp,
  checkChannelUpdate,
} from '../wire/channel_update.ts';
import type { StoreOffset } from '../wire/store_record.ts';
import type { Desk } from './desk.ts';
import { LINT_DONT_FORWARD, lintChannelUpdate } from './lint.ts';
import { OriginGate, UPDATE_PACE } from './origin_budget.ts';
import type { AttachedMessage, PendingChannel, PendingChannels } from './pending_channels.ts';
import { type Done, MAX_AGE_SECONDS, MAX_AHEAD_SECONDS } from './ports.ts';
import type { Resurrection } from './resurrection.ts';
import { ScidTable } from './scid_table.ts';
import { ACCEPT, CLOSE, HOLD, IGNORE, type Verdict, WARN } from './verdict.ts';
import { type Departure, WaitingRoom } from './waiting_room.ts';

export const MAX_HELD_UPDATES = 20_000;
export const MAX_HELD_UPDATE_BYTES = 8 * 1024 * 1024;

/** An update whose signature is being checked. */
class UpdateUnderCheck {
  /** Owned. */
  readonly raw: Uint8Array;
  readonly origin: number;
  readonly done: Done | undefined;
  readonly scidHi: number;
  readonly scidLo: number;
  readonly direction: 0 | 1;
  /** The announcement whose key is used; undefined when it is the graph's. */
  readonly against: PendingChannel | undefined;
  /** `Desk.removals` when the check began. */
  readonly removals: number;

  constructor(
    raw: Uint8Array,
    origin: number,
    done: Done | undefined,
    against: PendingChannel | undefined,
    removals: number,
  ) {
    this.raw = raw;
    this.origin = origin;
    this.done = done;
    this.scidHi = channelUpdateScidHi(raw, 0);
    this.scidLo = channelUpdateScidLo(raw, 0);
    this.direction = channelUpdateDirection(raw, 0);
    this.against = against;
    this.removals = removals;
  }
}

const roomKey = (scidHi: number, scidLo: number, direction: 0 | 1): string =>
  `${scidHi.toString(36)}.${scidLo.toString(36)}.${direction}`;

const DEPARTURE_VERDICTS: Readonly<Record<Departure, Verdict>> = {
  expired: IGNORE.unknown_channel,
  evicted: IGNORE.room_full,
  superseded: IGNORE.stale_timestamp,
};

export interface UpdateJudgeOptions {
  readonly desk: Desk;
  readonly pending: PendingChannels;
  /** Takes updates of channels that were pruned for silence; false for all others. */
  readonly meetZombie: Resurrection['meet'];
}

export class UpdateJudge {
  readonly #desk: Desk;
  readonly #pending: PendingChannels;
  readonly #meetZombie: Resurrection['meet'];
  readonly #room: WaitingRoom;
  /** The latest comer under check of each channel, by direction. */
  readonly #underCheck = [new ScidTable<UpdateUnderCheck>(), new ScidTable<UpdateUnderCheck>()] as const;
  /** Budget and repeats, by direction. */
  readonly gates: readonly [OriginGate, OriginGate];

  constructor({ desk, pending, meetZombie }: UpdateJudgeOptions) {
    this.#meetZombie = meetZombie;
    this.#desk = desk;
    this.#pending = pending;
    this.#room = new WaitingRoom({
      clock: desk.ports.clock,
      maxEntries: MAX_HELD_UPDATES,
      maxBytes: MAX_HELD_UPDATE_BYTES,
      left: (held, why) => desk.settle(DEPARTURE_VERDICTS[why], held.raw, held.origin, undefined),
    });
    const gate = (): OriginGate =>
      new OriginGate({
        desk,
        pace: UPDATE_PACE,
        commit: (raw, origin) => this.#commit({ raw, origin }, undefined),
      });
    this.gates = [gate(), gate()];
  }

  /** Updates that wait for their channel. */
  get held(): number {
    return this.#room.size;
  }

  close(): void {
    this.#room.close();
    for (const gate of this.gates) gate.close();
  }

  /** @param isOwned the bytes are ours to keep; else they are borrowed */
  judge(raw: Uint8Array, origin: number, done: Done | undefined, isOwned: boolean): void {
    const desk = this.#desk;
    const { graph, network } = desk.ports;
    // B7-01, B7-49: all fields are there; what follows them is kept.
    if (checkChannelUpdate(raw, 0, raw.length) !== undefined) {
      desk.settle(WARN.malformed, raw, origin, done);
      return;
    }
    // B7-32
    if (compareBytes(raw, channelUpdateChainHashAt(raw, 0), network.chainHashBytes, 0, 32) !== 0) {
      desk.settle(IGNORE.unknown_chain, raw, origin, done);
      return;
    }
    const scidHi = channelUpdateScidHi(raw, 0);
    const scidLo = channelUpdateScidLo(raw, 0);
    const channel = graph.channelIndex(scidHi, scidLo);
    const refusal = this.#cheapRefusal(raw, channel, scidHi, scidLo, origin);
    if (refusal !== undefined) {
      desk.settle(refusal, raw, origin, done, this.#storedAt(refusal, raw, channel));
      return;
    }
    if (channel >= 0) {
      const node = graph.channelNode(channel, channelUpdateDirection(raw, 0));
      this.#check(raw, origin, done, isOwned, graph.nodeIdColumn, graph.nodeIdPosition(node), undefined);
      return;
    }
    const entry = this.#pending.find(scidHi, scidLo);
    if (entry !== undefined) this.#judgeForPending(entry, raw, origin, done, isOwned);
    else if (!this.#meetZombie(raw, origin, done, isOwned)) this.#hold(raw, origin, done, isOwned);
  }

  /** The channel is in the graph now: its own updates go in, and those that waited without a check are judged. */
  channelAccepted(entry: PendingChannel): void {
    // The channel may have been here before, with other owners.
    for (const gate of this.gates) gate.forget(entry.scidHi, entry.scidLo);
    for (const update of entry.updates) {
      if (update !== undefined) this.#commit(update, undefined);
    }
    if (this.#room.size === 0) return;
    for (const direction of [0, 1] as const) {
      for (const held of this.#room.take(roomKey(entry.scidHi, entry.scidLo, direction))) {
        this.judge(held.raw, held.origin, undefined, true);
      }
    }
  }

  /** @param channel index in the graph, or -1 */
  #cheapRefusal(
    raw: Uint8Array,
    channel: number,
    scidHi: number,
    scidLo: number,
    origin: number,
  ): Verdict | undefined {
    const desk = this.#desk;
    // B7-30: the channel's announcement was refused for good, or it has left.
    if (channel < 0 && desk.isRefused(scidHi, scidLo)) return IGNORE.recently_refused;
    // B7-38: meant for its receiver alone, so it has no place in a store that is relayed from.
    if (channelUpdateDontForward(raw, 0)) {
      if (channel >= 0) desk.lint.note(LINT_DONT_FORWARD);
      return IGNORE.dont_forward;
    }
    const timestamp = channelUpdateTimestamp(raw, 0);
    // B7-39: a timestamp is greater than 0.
    if (timestamp === 0) return WARN.zero_timestamp;
    // B7-33, B7-34
    const verdict = channel < 0 ? undefined : this.#compareWithGraph(raw, channel);
    if (verdict !== undefined) return verdict;
    const now = nowSeconds(desk.ports.clock);
    // B7-42: it would be pruned at once.
    if (timestamp < now - MAX_AGE_SECONDS) return IGNORE.too_old;
    // B7-35
    if (timestamp > now + MAX_AHEAD_SECONDS) return IGNORE.too_far_in_future;
    const direction = channelUpdateDirection(raw, 0);
    const { graph } = desk.ports;
    if (origin === 0 || channel < 0 || !graph.hasUpdate(channel, direction)) return undefined;
    const storedAt = graph.updateTimestamp(channel, direction);
    return this.gates[direction].refusal(scidHi, scidLo, timestamp, storedAt);
  }

  /** Why the graph has no use for the update; undefined when it is newer. */
  #compareWithGraph(raw: Uint8Array, channel: number): Verdict | undefined {
    const { graph } = this.#desk.ports;
    const direction = channelUpdateDirection(raw, 0);
    if (graph.hasUpdate(channel, direction)) {
      const timestamp = channelUpdateTimestamp(raw, 0);
      const stored = graph.updateTimestamp(channel, direction);
      if (timestamp < stored) return IGNORE.stale_timestamp;
      if (timestamp === stored) {
        const isSame = channelUpdateChecksum(raw, 0, raw.length) === graph.updateChecksum(channel, direction);
        return isSame ? IGNORE.known : IGNORE.same_timestamp_other_content;
      }
    }
    // B7-31
    return graph.isDying(channel) && !channelUpdateIsDisabled(raw, 0) ? IGNORE.channel_dying : undefined;
  }

  /** Where the update is that is known already: its sender has what is there. */
  #storedAt(refusal: Verdict, raw: Uint8Array, channel: number): StoreOffset | undefined {
    if (refusal !== IGNORE.known) return undefined;
    return this.#desk.ports.graph.updateOffset(channel, channelUpdateDirection(raw, 0));
  }

  #judgeForPending(
    entry: PendingChannel,
    raw: Uint8Array,
    origin: number,
    done: Done | undefined,
    isOwned: boolean,
  ): void {
    const direction = channelUpdateDirection(raw, 0);
    const attached = entry.updates[direction];
    // Whether it is newer than the attached one matters only if the same key has signed both.
    if (attached !== undefined && bytesEqual(attached.raw, raw)) {
      this.#desk.settle(IGNORE.already_pending, raw, origin, done);
      return;
    }
    const keyAt = channelAnnouncementNodeId1At(entry.raw, 0) + direction * NODE_ID_BYTES;
    this.#check(raw, origin, done, isOwned, entry.raw, keyAt, entry);
  }

  /** B7-29: the signature must be that of the node on the update's side. */
  #check(
    raw: Uint8Array,
    origin: number,
    done: Done | undefined,
    isOwned: boolean,
    keys: Uint8Array,
    keyAt: number,
    against: PendingChannel | undefined,
  ): void {
    const desk = this.#desk;
    const table = this.#underCheck[channelUpdateDirection(raw, 0)];
    const other = table.get(channelUpdateScidHi(raw, 0), channelUpdateScidLo(raw, 0));
    if (other !== undefined && bytesEqual(other.raw, raw)) {
      desk.settle(IGNORE.already_pending, raw, origin, done);
      return;
    }
    if (desk.budget.isSpent(origin)) {
      desk.settle(IGNORE.budget_exceeded, raw, origin, done);
      return;
    }
    if (!desk.canStore || !desk.hasRoom(raw.length)) {
      desk.settle(IGNORE.overloaded, raw, origin, done);
      return;
    }
    if (desk.wasBad(raw)) {
      desk.settle(WARN.recently_refused, raw, origin, done);
      return;
    }
    const item = new UpdateUnderCheck(isOwned ? raw : own(raw), origin, done, against, desk.removals);
    table.set(item.scidHi, item.scidLo, item);
    desk.begin(item.raw.length);
    desk.ports.checker.check(item.raw, 1, keys, keyAt, (outcome) => this.#checked(item, outcome));
  }

  #checked(item: UpdateUnderCheck, outcome: CheckOutcome): void {
    const desk = this.#desk;
    if (desk.isClosed) return;
    const { raw, origin, done, against } = item;
    desk.end(raw.length);
    desk.signaturesChecked++;
    const table = this.#underCheck[item.direction];
    if (table.get(item.scidHi, item.scidLo) === item) table.delete(item.scidHi, item.scidLo);

    if (against?.isPending === true) {
      if (outcome === 'valid') {
        this.#attach(against, item);
        return;
      }
      // The key may be a forger's: the update waits for the verdict on the announcement, but costs its origin something.
      this.#hold(raw, origin, done, true);
      return;
    }
    const isStillTheKey =
      against === undefined
        ? desk.removals === item.removals
        : against.state === 'accepted' && desk.removals === against.removalsAtAccept;
    if (!isStillTheKey) {
      this.judge(raw, origin, done, true);
      return;
    }
    if (outcome === 'valid') {
      this.#commit(item, done);
      return;
    }
    desk.rememberBad(raw);
    desk.settle('bad_key' in outcome ? CLOSE.bad_node_id : CLOSE.bad_signature, raw, origin, done);
  }

  /** Keeps the update with its pending announcement: the latest of each direction. */
  #attach(entry: PendingChannel, item: UpdateUnderCheck): void {
    const desk = this.#desk;
    const { raw, origin, done, direction } = item;
    const older = entry.updates[direction];
    const refusal = compareWithAttached(older, raw);
    if (refusal !== undefined) {
      desk.settle(refusal, raw, origin, done);
      return;
    }
    if (!this.#pending.canAttach(raw.length)) {
      desk.settle(IGNORE.room_full, raw, origin, done);
      return;
    }
    this.#pending.attachUpdate(entry, direction, { raw, origin });
    if (older !== undefined) desk.settle(IGNORE.stale_timestamp, older.raw, older.origin, undefined);
    desk.settle(HOLD.held_for_channel, raw, origin, done);
  }

  /** B7-30: no announcement is known; it may be on its way. */
  #hold(raw: Uint8Array, origin: number, done: Done | undefined, isOwned: boolean): void {
    const desk = this.#desk;
    if (!desk.budget.charge(origin)) {
      desk.settle(CLOSE.budget_exceeded, raw, origin, done);
      return;
    }
    const key = roomKey(
      channelUpdateScidHi(raw, 0),
      channelUpdateScidLo(raw, 0),
      channelUpdateDirection(raw, 0),
    );
    const kept = isOwned ? raw : own(raw);
    desk.settle(admissionVerdict(this.#room, key, kept, origin), kept, origin, done);
  }

  /** Decides again and stores. The signature is good and by the node that the graph names. */
  #commit({ raw, origin }: AttachedMessage, done: Done | undefined): void {
    const desk = this.#desk;
    const { graph } = desk.ports;
    const [hi, lo] = [channelUpdateScidHi(raw, 0), channelUpdateScidLo(raw, 0)];
    const channel = graph.channelIndex(hi, lo);
    if (channel < 0) {
      desk.settle(IGNORE.unknown_channel, raw, origin, done);
      return;
    }
    const refusal = this.#compareWithGraph(raw, channel);
    if (refusal !== undefined) {
      desk.settle(refusal, raw, origin, done, this.#storedAt(refusal, raw, channel));
      return;
    }
    const direction = channelUpdateDirection(raw, 0);
    const gate = this.gates[direction];
    const isReplacing = graph.hasUpdate(channel, direction);
    const isPaced = isReplacing && origin !== 0;
    const isSame =
      isPaced && channelUpdateChecksum(raw, 0, raw.length) === graph.updateChecksum(channel, direction);
    const timestamp = channelUpdateTimestamp(raw, 0);
    const storedAt = graph.updateTimestamp(channel, direction);
    if (isPaced && gate.stops({ hi, lo, raw, origin, done, timestamp, storedAt, isSame })) return;
    const offset = desk.commit({
      kind: 'channel_update',
      raw,
      timestamp,
      replaces: isReplacing ? graph.updateOffset(channel, direction) : undefined,
      announcement: graph.channelTimestamp(channel) === 0 ? graph.channelOffset(channel) : undefined,
      isDying: graph.isDying(channel),
    });
    if (offset === undefined) {
      desk.settle(IGNORE.overloaded, raw, origin, done);
      return;
    }
    if (isPaced) gate.replaced(hi, lo, isSame);
    desk.lint.note(lintChannelUpdate(raw, graph.channelSatoshis(channel)));
    desk.settle(ACCEPT, raw, origin, done, offset);
  }
}

const compareWithAttached = (attached: AttachedMessage | undefined, raw: Uint8Array): Verdict | undefined => {
  if (attached === undefined) return undefined;
  if (bytesEqual(attached.raw, raw)) return IGNORE.already_pending;
  const isNewer = channelUpdateTimestamp(raw, 0) > channelUpdateTimestamp(attached.raw, 0);
  return isNewer ? undefined : IGNORE.stale_timestamp;
};

const admissionVerdict = (room: WaitingRoom, key: string, raw: Uint8Array, origin: number): Verdict => {
  switch (room.put(key, raw, origin, channelUpdateTimestamp(raw, 0), false)) {
    case 'held':
      return HOLD.held_for_channel;
    case 'duplicate':
      return IGNORE.already_pending;
    case 'older':
      return IGNORE.stale_timestamp;
    case 'full':
      return IGNORE.room_full;
  }
};
