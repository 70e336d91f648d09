/**
 * TailLedger: decides whether a record is news to the reader of a tail, and keeps every change so that it can be undone.
 *
 * tail.ts hands it each record in file order; tail_state writes its operations to disk before the events leave the process.
 * Rules: an announcement is news while its channel is not known; an update or chan_dying when its channel is known and
 * the content is not what was told last; a node_announcement likewise without a channel; a tombstone when its channel is
 * known, and it takes everything of the channel with it. While a file is compared with the one before it, only what is newer
 * counts, because records that a compaction brought back are older.
 * Operations are 44 bytes each with old and new value: undone from the end back to an event, they give the table as
 * it was right behind that event.
 */
import { readU32, toHex, writeU32 } from '../base/bytes.ts';
import { NODE_ID_BYTES } from '../base/node_id.ts';
import type { Rng } from '../base/rng.ts';
import { channelAnnouncementScidHi, channelAnnouncementScidLo } from '../wire/channel_announcement.ts';
import {
  channelUpdateDirection,
  channelUpdateScidHi,
  channelUpdateScidLo,
  channelUpdateTimestamp,
} from '../wire/channel_update.ts';
import { crc32c } from '../wire/crc32c.ts';
import {
  chanDyingDeadline,
  chanDyingScidHi,
  chanDyingScidLo,
  deleteChanScidHi,
  deleteChanScidLo,
} from '../wire/gossip_store_messages.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { nodeAnnouncementNodeIdAt, nodeAnnouncementTimestamp } from '../wire/node_announcement.ts';
import { GOSSIP_STORE_CHAN_DYING, GOSSIP_STORE_DELETE_CHAN, type StoreRecord } from '../wire/store_record.ts';
import { KEY_KIND, ReportedTable } from './reported_table.ts';
import { fnv1a, type TailPlace } from './tail_cursor.ts';

export const OPERATION_BYTES = 44;
const TAG = { set: 1, remove: 2, event: 3, place: 4, delivered: 5 } as const;
const TWO_32 = 4294967296;

/** What a record is about. Filled by `readKey`, reused. */
export interface RecordKey {
  /** 0 for a tombstone. */
  kind: number;
  hi: number;
  lo: number;
  /** The message's own; the deadline of chan_dying. */
  timestamp: number;
  content: number;
}

export const emptyKey = (): RecordKey => ({ kind: 0, hi: 0, lo: 0, timestamp: 0, content: 0 });

/** Fills `key`; false for records that say nothing about a channel or node. */
export const readKey = ({ bytes, at, length, type }: StoreRecord, key: RecordKey): boolean => {
  key.timestamp = 0;
  switch (type) {
    case MESSAGE_TYPE.channel_announcement:
      key.kind = KEY_KIND.announcement;
      key.hi = channelAnnouncementScidHi(bytes, at);
      key.lo = channelAnnouncementScidLo(bytes, at);
      break;
    case MESSAGE_TYPE.channel_update:
      key.kind = KEY_KIND.update_0 + channelUpdateDirection(bytes, at);
      key.hi = channelUpdateScidHi(bytes, at);
      key.lo = channelUpdateScidLo(bytes, at);
      key.timestamp = channelUpdateTimestamp(bytes, at);
      break;
    case MESSAGE_TYPE.node_announcement: {
      const id = nodeAnnouncementNodeIdAt(bytes, at);
      key.kind = bytes[id] === 3 ? KEY_KIND.node_03 : KEY_KIND.node_02;
      key.hi = crc32c(0, bytes, id, id + NODE_ID_BYTES);
      key.lo = fnv1a(bytes, id, id + NODE_ID_BYTES);
      key.timestamp = nodeAnnouncementTimestamp(bytes, at);
      break;
    }
    case GOSSIP_STORE_CHAN_DYING:
      key.kind = KEY_KIND.dying;
      key.hi = chanDyingScidHi(bytes, at);
      key.lo = chanDyingScidLo(bytes, at);
      key.timestamp = chanDyingDeadline(bytes, at);
      break;
    case GOSSIP_STORE_DELETE_CHAN:
      key.kind = 0;
      key.hi = deleteChanScidHi(bytes, at);
      key.lo = deleteChanScidLo(bytes, at);
      return true;
    default:
      return false;
  }
  key.content = crc32c(0, bytes, at, at + length);
  return true;
};

const NO_CHANNEL_NEEDED: readonly number[] = [KEY_KIND.announcement, KEY_KIND.node_02, KEY_KIND.node_03];
const KINDS_OF_CHANNEL = [
  KEY_KIND.announcement,
  KEY_KIND.update_0,
  KEY_KIND.update_1,
  KEY_KIND.dying,
] as const;

const writePosition = (bytes: Uint8Array, at: number, value: number): void => {
  writeU32(bytes, at, Math.floor(value / TWO_32));
  writeU32(bytes, at + 4, value % TWO_32);
};
const readPosition = (bytes: Uint8Array, at: number): number =>
  readU32(bytes, at) * TWO_32 + readU32(bytes, at + 4);

const readPlace = (bytes: Uint8Array, at: number): TailPlace => ({
  head: bytes[at + 2] === 1 ? toHex(bytes, at + 12, at + 20) : '',
  position: readPosition(bytes, at + 36),
  anchor: {
    position: readPosition(bytes, at + 20),
    length: readU32(bytes, at + 28),
    content: readU32(bytes, at + 32),
  },
  comparing: bytes[at + 1] === 1,
});

export class TailLedger {
  readonly table: ReportedTable;
  /** Of the last event. */
  sequence = 0;
  /** Of the last event that is known to have left the process. */
  delivered = 0;
  /** What follows from the operations applied so far. */
  place: TailPlace | undefined;

  readonly #keeps: boolean;
  #operations = new Uint8Array(64 * OPERATION_BYTES);
  #used = 0;

  /** @param keeps false when nobody will take the operations */
  constructor(rng: Rng, keeps: boolean) {
    this.table = new ReportedTable(rng);
    this.#keeps = keeps;
  }

  /**
   * Whether the record is news; the table then has it. Not for tombstones.
   *
   * @param isIntact what is compared has no damage: a channel that was not met in it so far is not there
   */
  meet(key: RecordKey, position: number, comparing: boolean, isIntact: boolean): boolean {
    const { kind, hi, lo, timestamp, content } = key;
    const { table } = this;
    if (!NO_CHANNEL_NEEDED.includes(kind)) {
      const channel = table.find(KEY_KIND.announcement, hi, lo);
      if (channel < 0 || (comparing && isIntact && !table.isMet(channel))) return false;
    }
    const slot = table.find(kind, hi, lo);
    if (slot >= 0) {
      const isKnown =
        kind === KEY_KIND.announcement ||
        (comparing ? timestamp <= table.timestampAt(slot) : content === table.contentAt(slot));
      if (isKnown) {
        if (comparing) table.markMet(slot, position);
        else if (kind === KEY_KIND.announcement)
          this.#set(kind, hi, lo, table.timestampAt(slot), table.contentAt(slot), position);
        return false;
      }
    }
    this.#set(kind, hi, lo, timestamp, content, position);
    return true;
  }

  /** Takes everything of the channel out; false if it is not known. */
  forget(hi: number, lo: number): boolean {
    if (this.table.find(KEY_KIND.announcement, hi, lo) < 0) return false;
    for (const kind of KINDS_OF_CHANNEL) {
      const slot = this.table.find(kind, hi, lo);
      if (slot < 0) continue;
      this.#record(TAG.remove, kind, hi, lo, slot, 0, 0, 0);
      this.table.remove(kind, hi, lo);
    }
    return true;
  }

  /** Enters a record without telling it. */
  enter(key: RecordKey, position: number): void {
    const { kind, hi, lo, timestamp, content } = key;
    if (kind === 0) {
      for (const each of KINDS_OF_CHANNEL) this.table.remove(each, hi, lo);
    } else if (NO_CHANNEL_NEEDED.includes(kind) || this.table.find(KEY_KIND.announcement, hi, lo) >= 0) {
      this.table.set(kind, hi, lo, timestamp, content, position);
    }
  }

  /** An event was made of the changes since the last one; reading goes on at `place`. Returns its sequence number. */
  tell(place: TailPlace): number {
    this.sequence++;
    this.#recordPlace(TAG.event, place);
    return this.sequence;
  }

  /** The start of a stream, to which it can be rolled back. */
  begin(place: TailPlace): void {
    this.#recordPlace(TAG.event, place);
  }

  /** Reading went on without an event. */
  pass(place: TailPlace): void {
    this.#recordPlace(TAG.place, place);
  }

  markDelivered(): void {
    if (this.delivered === this.sequence) return;
    this.delivered = this.sequence;
    const at = this.#room();
    this.#operations[at] = TAG.delivered;
    writePosition(this.#operations, at + 4, this.delivered);
  }

  /** The operations since the last call, as bytes of their own; undefined when there are none. */
  takeOperations(): Uint8Array | undefined {
    if (this.#used === 0) return undefined;
    const taken = this.#operations.slice(0, this.#used);
    this.#used = 0;
    return taken;
  }

  /** Applies operations of an earlier run, in order. */
  redo(operations: Uint8Array): void {
    for (let at = 0; at + OPERATION_BYTES <= operations.length; at += OPERATION_BYTES) {
      const kind = operations[at + 1] as number;
      const [hi, lo] = [readU32(operations, at + 4), readU32(operations, at + 8)];
      switch (operations[at]) {
        case TAG.set:
          this.#put(operations, at, kind, hi, lo, 28);
          break;
        case TAG.remove:
          this.table.remove(kind, hi, lo);
          break;
        case TAG.event:
          this.sequence = readPosition(operations, at + 4);
          this.place = readPlace(operations, at);
          break;
        case TAG.place:
          this.place = readPlace(operations, at);
          break;
        case TAG.delivered:
          this.delivered = readPosition(operations, at + 4);
          break;
      }
    }
  }

  /**
   * Undoes operations from the end of the last block back to the event with this number, which stays. Gives the operations up
   * to there; undefined, with nothing changed, if it is in none of the blocks.
   */
  undoTo(sequence: number, blocks: readonly Uint8Array[]): readonly Uint8Array[] | undefined {
    if (!blocks.some((block) => findEvent(block, sequence) >= 0)) return undefined;
    for (let index = blocks.length - 1; index >= 0; index--) {
      const block = blocks[index] as Uint8Array;
      for (let at = block.length - OPERATION_BYTES; at >= 0; at -= OPERATION_BYTES) {
        const tag = block[at];
        if (tag === TAG.event && readPosition(block, at + 4) === sequence) {
          this.sequence = sequence;
          this.delivered = sequence;
          this.place = readPlace(block, at);
          return [...blocks.slice(0, index), block.slice(0, at + OPERATION_BYTES)];
        }
        if (tag === TAG.set || tag === TAG.remove) this.#undo(block, at);
      }
    }
    return undefined;
  }

  #undo(block: Uint8Array, at: number): void {
    const kind = block[at + 1] as number;
    const [hi, lo] = [readU32(block, at + 4), readU32(block, at + 8)];
    if (block[at + 2] === 1) this.#put(block, at, kind, hi, lo, 12);
    else this.table.remove(kind, hi, lo);
  }

  #put(block: Uint8Array, at: number, kind: number, hi: number, lo: number, value: number): void {
    const from = at + value;
    this.table.set(
      kind,
      hi,
      lo,
      readU32(block, from),
      readU32(block, from + 4),
      readPosition(block, from + 8),
    );
  }

  #set(kind: number, hi: number, lo: number, timestamp: number, content: number, position: number): void {
    const slot = this.table.find(kind, hi, lo);
    this.#record(TAG.set, kind, hi, lo, slot, timestamp, content, position);
    this.table.set(kind, hi, lo, timestamp, content, position);
  }

  #record(
    tag: number,
    kind: number,
    hi: number,
    lo: number,
    slot: number,
    timestamp: number,
    content: number,
    position: number,
  ): void {
    if (!this.#keeps) return;
    const at = this.#room();
    const bytes = this.#operations;
    bytes[at] = tag;
    bytes[at + 1] = kind;
    writeU32(bytes, at + 4, hi);
    writeU32(bytes, at + 8, lo);
    if (slot >= 0) {
      bytes[at + 2] = 1;
      writeU32(bytes, at + 12, this.table.timestampAt(slot));
      writeU32(bytes, at + 16, this.table.contentAt(slot));
      writePosition(bytes, at + 20, this.table.positionAt(slot));
    }
    writeU32(bytes, at + 28, timestamp);
    writeU32(bytes, at + 32, content);
    writePosition(bytes, at + 36, position);
  }

  #recordPlace(tag: number, place: TailPlace): void {
    this.place = place;
    if (!this.#keeps) return;
    writePlace(this.#operations, this.#room(), tag, this.sequence, place);
  }

  /** Index of a cleared operation at the end. */
  #room(): number {
    const at = this.#used;
    this.#used += OPERATION_BYTES;
    if (this.#used > this.#operations.length) {
      const larger = new Uint8Array(this.#operations.length * 2);
      larger.set(this.#operations);
      this.#operations = larger;
    }
    this.#operations.fill(0, at, this.#used);
    return at;
  }
}

const writePlace = (
  bytes: Uint8Array,
  at: number,
  tag: number,
  sequence: number,
  { head, position, anchor, comparing }: TailPlace,
): void => {
  bytes[at] = tag;
  bytes[at + 1] = comparing ? 1 : 0;
  writePosition(bytes, at + 4, sequence);
  if (head !== '') {
    bytes[at + 2] = 1;
    writeU32(bytes, at + 12, Number.parseInt(head.slice(0, 8), 16));
    writeU32(bytes, at + 16, Number.parseInt(head.slice(8), 16));
  }
  writePosition(bytes, at + 20, anchor.position);
  writeU32(bytes, at + 28, anchor.length);
  writeU32(bytes, at + 32, anchor.content);
  writePosition(bytes, at + 36, position);
};

/** One operation that says where reading is, for the head of a state file. */
export const encodePlace = (sequence: number, place: TailPlace): Uint8Array => {
  const bytes = new Uint8Array(OPERATION_BYTES);
  writePlace(bytes, 0, TAG.place, sequence, place);
  return bytes;
};

/** What encodePlace made at `at`. */
export const decodePlace = readPlace;

const findEvent = (block: Uint8Array, sequence: number): number => {
  for (let at = 0; at + OPERATION_BYTES <= block.length; at += OPERATION_BYTES) {
    if (block[at] === TAG.event && readPosition(block, at + 4) === sequence) return at;
  }
  return -1;
};
