/**
 * channel_announcements between the first cheap checks and their verdict: signatures under check, too young, or waiting for
 * the chain. Keyed by scid, so that one announcement of a channel is worked on at a time; the updates and the nodes that
 * depend on it find it here.
 *
 * Bounds: 10,000 entries, as CLN, and 32 MiB of message bytes with everything attached (typical: 432 bytes, two updates of 138,
 * and some 400 bytes of objects, together 11 MB). When full a new announcement is refused as `room_full`; nobody is evicted,
 * because everyone inside has cost more than the newcomer.
 */
import {
  channelAnnouncementNodeId1At,
  channelAnnouncementNodeId2At,
  channelAnnouncementScidHi,
  channelAnnouncementScidLo,
} from '../wire/channel_announcement.ts';
import { NodeTable } from './node_table.ts';
import type { Done } from './ports.ts';
import { ScidTable } from './scid_table.ts';

export const MAX_PENDING_ANNOUNCEMENTS = 10_000;
export const MAX_PENDING_BYTES = 32 * 1024 * 1024;

/** A message that waits on a pending announcement; its own verdict so far was `hold`. */
export interface AttachedMessage {
  /** Owned. */
  readonly raw: Uint8Array;
  readonly origin: number;
}

/** `signatures` and `funding` are work in progress, `early` waits for depth; the last two are ends. */
export type PendingState = 'signatures' | 'early' | 'funding' | 'accepted' | 'refused';

export class PendingChannel {
  /** Owned. */
  readonly raw: Uint8Array;
  readonly origin: number;
  readonly scidHi: number;
  readonly scidLo: number;
  state: PendingState = 'signatures';
  /** Undefined once called. */
  done: Done | undefined;
  /** Its offer has no verdict yet. */
  isInBacklog = true;
  /** `Desk.removals` when it was accepted. */
  removalsAtAccept = 0;
  /** Monotonic time at which waiting for depth ends. */
  earlyUntilMs = 0;
  /** The latest update of each direction whose signature fits this announcement's key. */
  readonly updates: [AttachedMessage | undefined, AttachedMessage | undefined] = [undefined, undefined];
  /** Another announcement of the same scid, to be judged if this one is refused: a forgery must not keep the real one out. */
  rival: AttachedMessage | undefined;

  constructor(raw: Uint8Array, origin: number, done: Done | undefined) {
    this.raw = raw;
    this.origin = origin;
    this.done = done;
    this.scidHi = channelAnnouncementScidHi(raw, 0);
    this.scidLo = channelAnnouncementScidLo(raw, 0);
  }

  get isPending(): boolean {
    return this.state !== 'accepted' && this.state !== 'refused';
  }
}

export class PendingChannels {
  readonly #byScid = new ScidTable<PendingChannel>();
  /** How many pending announcements name the node. */
  readonly #nodes = new NodeTable<number>();
  #bytes = 0;

  get size(): number {
    return this.#byScid.size;
  }

  /** Of announcements and of everything attached to them. */
  get bytes(): number {
    return this.#bytes;
  }

  find(scidHi: number, scidLo: number): PendingChannel | undefined {
    return this.#byScid.get(scidHi, scidLo);
  }

  /** True if a pending announcement names the node. */
  hasNode(bytes: Uint8Array, at: number): boolean {
    return this.#nodes.get(bytes, at) !== undefined;
  }

  canAdd(bytes: number): boolean {
    return this.#byScid.size < MAX_PENDING_ANNOUNCEMENTS && this.canAttach(bytes);
  }

  canAttach(bytes: number): boolean {
    return this.#bytes + bytes <= MAX_PENDING_BYTES;
  }

  add(entry: PendingChannel): void {
    this.#byScid.set(entry.scidHi, entry.scidLo, entry);
    this.#bytes += entry.raw.length;
    this.#countNode(entry.raw, channelAnnouncementNodeId1At(entry.raw, 0), 1);
    this.#countNode(entry.raw, channelAnnouncementNodeId2At(entry.raw, 0), 1);
  }

  attachUpdate(entry: PendingChannel, direction: 0 | 1, update: AttachedMessage): void {
    this.#bytes += update.raw.length - (entry.updates[direction]?.raw.length ?? 0);
    entry.updates[direction] = update;
  }

  attachRival(entry: PendingChannel, rival: AttachedMessage): void {
    this.#bytes += rival.raw.length - (entry.rival?.raw.length ?? 0);
    entry.rival = rival;
  }

  remove(entry: PendingChannel): void {
    this.#byScid.delete(entry.scidHi, entry.scidLo);
    this.#bytes -= entry.raw.length + (entry.rival?.raw.length ?? 0);
    for (const update of entry.updates) this.#bytes -= update?.raw.length ?? 0;
    this.#countNode(entry.raw, channelAnnouncementNodeId1At(entry.raw, 0), -1);
    this.#countNode(entry.raw, channelAnnouncementNodeId2At(entry.raw, 0), -1);
  }

  #countNode(raw: Uint8Array, at: number, by: 1 | -1): void {
    const count = (this.#nodes.get(raw, at) ?? 0) + by;
    if (count === 0) this.#nodes.delete(raw, at);
    else this.#nodes.set(raw, at, count);
  }
}
