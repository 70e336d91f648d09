/**
 * Judges node_announcement (BOLT 7; requirements B7-16 to B7-26, B7-49): newer than what we have, of a node with a channel, signed.
 *
 * The key is in the message, so a good signature stays good whatever becomes of the node's channels. A node that only a pending
 * announcement names is checked at once and kept as verified until its channel is in; a node that nobody has named waits unchecked.
 * Bounds: those of desk.ts under check; 5,000 announcements and 4 MiB waiting (some 300 bytes and 300 of objects each: 3 MB).
 */
import { bytesEqual, own, readU32, toHex } from '../base/bytes.ts';
import { NODE_ID_BYTES } from '../base/node_id.ts';
import { nowSeconds } from '../base/time.ts';
import type { CheckOutcome } from '../crypto/signature_check.ts';
import {
  checkNodeAnnouncement,
  nodeAnnouncementAddresses,
  nodeAnnouncementNodeIdAt,
  nodeAnnouncementTimestamp,
} from '../wire/node_announcement.ts';
import type { StoreOffset } from '../wire/store_record.ts';
import { saysTheSame } from './content_repeats.ts';
import type { Desk } from './desk.ts';
import { lintNodeAnnouncement } from './lint.ts';
import { NodeTable } from './node_table.ts';
import { NODE_PACE, OriginGate } from './origin_budget.ts';
import type { PendingChannels } from './pending_channels.ts';
import { type Done, MAX_AHEAD_SECONDS } from './ports.ts';
import { ACCEPT, CLOSE, HOLD, IGNORE, type Verdict, WARN } from './verdict.ts';
import { type Departure, WaitingRoom } from './waiting_room.ts';

export const MAX_HELD_NODES = 5000;
export const MAX_HELD_NODE_BYTES = 4 * 1024 * 1024;

const DEPARTURE_VERDICTS: Readonly<Record<Departure, Verdict>> = {
  expired: IGNORE.unknown_node,
  evicted: IGNORE.room_full,
  superseded: IGNORE.stale_timestamp,
};

/** Bytes 1 to 8 of the node_id: the top of the point's x. */
const keyOf = (raw: Uint8Array): [number, number] => {
  const at = nodeAnnouncementNodeIdAt(raw, 0) + 1;
  return [readU32(raw, at), readU32(raw, at + 4)];
};

export interface NodeJudgeOptions {
  readonly desk: Desk;
  readonly pending: PendingChannels;
}

export class NodeJudge {
  readonly #desk: Desk;
  readonly #pending: PendingChannels;
  readonly #room: WaitingRoom;
  /** The bytes of the latest comer under check of each node. */
  readonly #underCheck = new NodeTable<Uint8Array>();
  /** Budget and repeats, by eight bytes of the node_id: a key with eight given ones takes 2^64 tries to find. */
  readonly gate: OriginGate;

  constructor({ desk, pending }: NodeJudgeOptions) {
    this.#desk = desk;
    this.#pending = pending;
    this.#room = new WaitingRoom({
      clock: desk.ports.clock,
      maxEntries: MAX_HELD_NODES,
      maxBytes: MAX_HELD_NODE_BYTES,
      left: (held, why) => desk.settle(DEPARTURE_VERDICTS[why], held.raw, held.origin, undefined),
    });
    this.gate = new OriginGate({
      desk,
      pace: NODE_PACE,
      commit: (raw, origin) => this.#commit(raw, origin, undefined),
    });
  }

  /** Announcements that wait for a channel of their node. */
  get held(): number {
    return this.#room.size;
  }

  close(): void {
    this.#room.close();
    this.gate.close();
  }

  /** @param isOwned the bytes are ours to keep; else they are borrowed */
  judge(raw: Uint8Array, origin: number, done: Done | undefined, isOwned: boolean): void {
    const desk = this.#desk;
    // B7-01, B7-49: all fields are there; what follows them is kept.
    if (checkNodeAnnouncement(raw, 0, raw.length) !== undefined) {
      desk.settle(WARN.malformed, raw, origin, done);
      return;
    }
    const nodeIdAt = nodeAnnouncementNodeIdAt(raw, 0);
    // B7-10
    if (desk.blacklist.has(raw, nodeIdAt)) {
      desk.settle(IGNORE.blacklisted_node, raw, origin, done);
      return;
    }
    const node = desk.ports.graph.nodeIndex(raw, nodeIdAt);
    const refusal = this.#cheapRefusal(raw, node, origin);
    if (refusal !== undefined) {
      desk.settle(refusal, raw, origin, done, this.#storedAt(refusal, node));
      return;
    }
    if (node >= 0 || this.#pending.hasNode(raw, nodeIdAt)) this.#check(raw, origin, done, isOwned);
    else this.#hold(raw, origin, done, isOwned, false);
  }

  /** The node has a channel now: what waited for that is stored if its signature is known to be good, else judged. */
  nodeAccepted(bytes: Uint8Array, nodeIdAt: number): void {
    if (this.#room.size === 0) return;
    for (const held of this.#room.take(toHex(bytes, nodeIdAt, nodeIdAt + NODE_ID_BYTES))) {
      if (held.isVerified) this.#commit(held.raw, held.origin, undefined);
      else this.judge(held.raw, held.origin, undefined, true);
    }
  }

  /** @param node index in the graph, or -1 */
  #cheapRefusal(raw: Uint8Array, node: number, origin: number): Verdict | undefined {
    const timestamp = nodeAnnouncementTimestamp(raw, 0);
    // B7-27: timestamps increase from above 0.
    if (timestamp === 0) return WARN.zero_timestamp;
    // B7-22
    const verdict = node < 0 ? undefined : this.#compareWithGraph(raw, node);
    if (verdict !== undefined) return verdict;
    // An announcement from the far future could never be replaced by its own node.
    const { clock } = this.#desk.ports;
    if (timestamp > nowSeconds(clock) + MAX_AHEAD_SECONDS) return IGNORE.too_far_in_future;
    const { problem } = nodeAnnouncementAddresses(raw, 0);
    // B7-20
    if (problem === 'addresses_too_short') return WARN.malformed;
    // B7-26: not to be forwarded, and what is stored is forwarded.
    if (problem === 'second_dns') return IGNORE.second_dns;
    const { graph } = this.#desk.ports;
    if (origin === 0 || node < 0 || !graph.hasNodeAnnouncement(node)) return undefined;
    return this.gate.refusal(...keyOf(raw), timestamp, graph.nodeTimestamp(node));
  }

  /** B7-22: undefined when the announcement is newer than the node's last. */
  #compareWithGraph(raw: Uint8Array, node: number): Verdict | undefined {
    const { graph } = this.#desk.ports;
    if (!graph.hasNodeAnnouncement(node)) return undefined;
    const timestamp = nodeAnnouncementTimestamp(raw, 0);
    const stored = graph.nodeTimestamp(node);
    if (timestamp > stored) return undefined;
    return timestamp === stored ? IGNORE.same_timestamp : IGNORE.stale_timestamp;
  }

  /**
   * Where the announcement with the same timestamp is. If its sender has another one, it would refuse ours for the same reason.
   */
  #storedAt(refusal: Verdict, node: number): StoreOffset | undefined {
    return refusal === IGNORE.same_timestamp ? this.#desk.ports.graph.nodeOffset(node) : undefined;
  }

  #check(raw: Uint8Array, origin: number, done: Done | undefined, isOwned: boolean): void {
    const desk = this.#desk;
    const nodeIdAt = nodeAnnouncementNodeIdAt(raw, 0);
    const other = this.#underCheck.get(raw, nodeIdAt);
    if (other !== undefined && bytesEqual(other, raw)) {
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
    const kept = isOwned ? raw : own(raw);
    this.#underCheck.set(kept, nodeIdAt, kept);
    desk.begin(kept.length);
    desk.ports.checker.check(kept, 1, kept, nodeIdAt, (outcome) =>
      this.#checked(kept, origin, done, outcome),
    );
  }

  #checked(raw: Uint8Array, origin: number, done: Done | undefined, outcome: CheckOutcome): void {
    const desk = this.#desk;
    if (desk.isClosed) return;
    desk.end(raw.length);
    desk.signaturesChecked++;
    const nodeIdAt = nodeAnnouncementNodeIdAt(raw, 0);
    if (this.#underCheck.get(raw, nodeIdAt) === raw) this.#underCheck.delete(raw, nodeIdAt);
    if (outcome === 'valid') {
      this.#commit(raw, origin, done);
      return;
    }
    desk.rememberBad(raw);
    // B7-17, then B7-16
    desk.settle('bad_key' in outcome ? CLOSE.bad_node_id : CLOSE.bad_signature, raw, origin, done);
  }

  /** Keeps the announcement until a channel of its node is accepted. */
  #hold(
    raw: Uint8Array,
    origin: number,
    done: Done | undefined,
    isOwned: boolean,
    isVerified: boolean,
  ): void {
    const desk = this.#desk;
    // A good signature is work that was not wasted.
    if (!isVerified && !desk.budget.charge(origin)) {
      desk.settle(CLOSE.budget_exceeded, raw, origin, done);
      return;
    }
    const kept = isOwned ? raw : own(raw);
    const nodeIdAt = nodeAnnouncementNodeIdAt(kept, 0);
    const key = toHex(kept, nodeIdAt, nodeIdAt + NODE_ID_BYTES);
    const timestamp = nodeAnnouncementTimestamp(kept, 0);
    switch (this.#room.put(key, kept, origin, timestamp, isVerified)) {
      case 'held':
        desk.settle(HOLD.held_for_announcement, kept, origin, done);
        return;
      case 'duplicate':
        desk.settle(IGNORE.already_pending, kept, origin, done);
        return;
      case 'older':
        desk.settle(IGNORE.stale_timestamp, kept, origin, done);
        return;
      case 'full':
        desk.settle(IGNORE.room_full, kept, origin, done);
        return;
    }
  }

  /**
   * Reads the stored one: the graph keeps no hash of it (4 bytes for each node, and of no use to anybody else), and a few well
   * signed newer announcements a second cost a few reads of 500 bytes.
   */
  #saysWhatIsStored(raw: Uint8Array, storedAt: StoreOffset): boolean {
    const stored = this.#desk.ports.store.readMessage(storedAt);
    return stored !== undefined && saysTheSame(stored, raw);
  }

  /** Decides again and stores. The signature is good; if the node has no channel (any more) the announcement waits for one. */
  #commit(raw: Uint8Array, origin: number, done: Done | undefined): void {
    const desk = this.#desk;
    const { graph } = desk.ports;
    const node = graph.nodeIndex(raw, nodeAnnouncementNodeIdAt(raw, 0));
    if (node < 0) {
      this.#hold(raw, origin, done, true, true);
      return;
    }
    const refusal = this.#compareWithGraph(raw, node);
    if (refusal !== undefined) {
      desk.settle(refusal, raw, origin, done, this.#storedAt(refusal, node));
      return;
    }
    const replaces = graph.hasNodeAnnouncement(node) ? graph.nodeOffset(node) : undefined;
    const isPaced = replaces !== undefined && origin !== 0;
    const isSame = isPaced && this.#saysWhatIsStored(raw, replaces);
    const timestamp = nodeAnnouncementTimestamp(raw, 0);
    const [hi, lo] = keyOf(raw);
    const storedAt = graph.nodeTimestamp(node);
    if (isPaced && this.gate.stops({ hi, lo, raw, origin, done, timestamp, storedAt, isSame })) return;
    const offset = desk.commit({ kind: 'node_announcement', raw, timestamp, replaces });
    if (offset === undefined) {
      desk.settle(IGNORE.overloaded, raw, origin, done);
      return;
    }
    if (isPaced) this.gate.replaced(hi, lo, isSame);
    desk.lint.note(lintNodeAnnouncement(raw));
    desk.settle(ACCEPT, raw, origin, done, offset);
  }
}
