/**
 * One funding output, different nodes (B7-11): whoever owns it has signed two announcements that contradict each other.
 *
 * channel_judge hands in announcements of channels that are in the graph (B7-48). Nearly all name the nodes that the graph names,
 * and are done with. One that names others is a proof only if its two funding keys are those of the stored announcement and all its
 * four signatures are good: then the owners of both keys, and all nodes named, have signed. The nodes go to the blacklist and
 * their channels leave. Whoever lacks one of the two funding keys can prove nothing, whatever else he signs.
 * Bounds: those of desk.ts under check. What proves nothing costs its origin one unit of its budget, for the read.
 */
import { compareBytes, own } from '../base/bytes.ts';
import { NODE_ID_BYTES } from '../base/node_id.ts';
import type { CheckOutcome } from '../crypto/signature_check.ts';
import {
  channelAnnouncementBitcoinKey1At,
  channelAnnouncementNodeId1At,
  channelAnnouncementScidHi,
  channelAnnouncementScidLo,
} from '../wire/channel_announcement.ts';
import type { Desk } from './desk.ts';
import type { Done } from './ports.ts';
import { badAnnouncement, IGNORE, type Verdict, WARN } from './verdict.ts';

export interface NodeConflictsOptions {
  readonly desk: Desk;
  /** Judges the announcement again: the channel is no longer what it was. */
  readonly judge: (raw: Uint8Array, origin: number, done: Done | undefined) => void;
  /** Nodes have been blacklisted; their channels are to go. */
  readonly blacklisted: () => void;
}

type Conflict = 'none' | 'other_nodes' | 'proof';

export class NodeConflicts {
  readonly #options: NodeConflictsOptions;

  constructor(options: NodeConflictsOptions) {
    this.#options = options;
  }

  /** False when the announcement says nothing new; else it is or will be settled here. @param raw of a known channel */
  meet(raw: Uint8Array, origin: number, done: Done | undefined, isOwned: boolean): boolean {
    const { desk } = this.#options;
    const conflict = this.#compare(raw);
    if (conflict === 'none') return false;
    if (conflict === 'other_nodes') {
      // One of the two is a forgery, perhaps the one that we have, and the peer need not know which.
      desk.settle(desk.charged(IGNORE.known, origin, 1), raw, origin, done);
      return true;
    }
    const refusal = this.#reasonNotToCheck(raw, origin);
    if (refusal !== undefined) {
      desk.settle(refusal, raw, origin, done);
      return true;
    }
    const kept = isOwned ? raw : own(raw);
    desk.begin(kept.length);
    desk.ports.checker.check(kept, 4, kept, channelAnnouncementNodeId1At(kept, 0), (outcome) =>
      this.#checked(kept, origin, done, outcome),
    );
    return true;
  }

  #compare(raw: Uint8Array): Conflict {
    const { graph, store } = this.#options.desk.ports;
    const channel = graph.channelIndex(channelAnnouncementScidHi(raw, 0), channelAnnouncementScidLo(raw, 0));
    if (channel < 0 || graph.isDying(channel)) return 'none';
    const node1At = channelAnnouncementNodeId1At(raw, 0);
    const ids = graph.nodeIdColumn;
    const stored1At = graph.nodeIdPosition(graph.channelNode(channel, 0));
    const stored2At = graph.nodeIdPosition(graph.channelNode(channel, 1));
    const isSame =
      compareBytes(raw, node1At, ids, stored1At, NODE_ID_BYTES) === 0 &&
      compareBytes(raw, node1At + NODE_ID_BYTES, ids, stored2At, NODE_ID_BYTES) === 0;
    if (isSame) return 'none';
    const stored = store.readMessage(graph.channelOffset(channel));
    return stored !== undefined && haveSameKeys(stored, raw) ? 'proof' : 'other_nodes';
  }

  #reasonNotToCheck(raw: Uint8Array, origin: number): Verdict | undefined {
    const { desk } = this.#options;
    if (desk.budget.isSpent(origin)) return IGNORE.budget_exceeded;
    if (!desk.canStore || !desk.hasRoom(raw.length)) return IGNORE.overloaded;
    return desk.wasBad(raw) ? WARN.recently_refused : undefined;
  }

  #checked(raw: Uint8Array, origin: number, done: Done | undefined, outcome: CheckOutcome): void {
    const { desk, judge, blacklisted } = this.#options;
    if (desk.isClosed) return;
    desk.end(raw.length);
    desk.signaturesChecked += 4;
    if (outcome !== 'valid') {
      desk.rememberBad(raw);
      desk.settle(badAnnouncement(outcome), raw, origin, done);
      return;
    }
    if (this.#compare(raw) !== 'proof') {
      judge(raw, origin, done);
      return;
    }
    const { graph, meter } = desk.ports;
    const channel = graph.channelIndex(channelAnnouncementScidHi(raw, 0), channelAnnouncementScidLo(raw, 0));
    const node1At = channelAnnouncementNodeId1At(raw, 0);
    for (const side of [0, 1] as const) {
      desk.blacklist.add(graph.nodeIdColumn, graph.nodeIdPosition(graph.channelNode(channel, side)));
      desk.blacklist.add(raw, node1At + side * NODE_ID_BYTES);
    }
    meter.count('gossipd_blacklisting_conflicts_total');
    desk.settle(IGNORE.blacklisted_node, raw, origin, done);
    blacklisted();
  }
}

/** Whether both name the same two funding keys, in any order. */
const haveSameKeys = (one: Uint8Array, other: Uint8Array): boolean => {
  const oneAt = channelAnnouncementBitcoinKey1At(one, 0);
  const otherAt = channelAnnouncementBitcoinKey1At(other, 0);
  if (compareBytes(one, oneAt, other, otherAt, 2 * NODE_ID_BYTES) === 0) return true;
  return (
    compareBytes(one, oneAt, other, otherAt + NODE_ID_BYTES, NODE_ID_BYTES) === 0 &&
    compareBytes(one, oneAt + NODE_ID_BYTES, other, otherAt, NODE_ID_BYTES) === 0
  );
};
