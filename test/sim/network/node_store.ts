/**
 * The store of a simulated node: records in an array, offsets as in a file. Shares the bytes of true messages with all other stores.
 *
 * Keeps the rules of the file that matter to its readers: append before delete, an announcement gets the time of its channel's first
 * update, cursors see live records in order. `crash` loses the newest records together with what their appends had flagged, as a
 * file whose last second was not durable does. Every append is shown to the watch, which knows what is true.
 */
import { own, readU16 } from '../../../src/base/bytes.ts';
import { assert } from '../../../src/base/errors.ts';
import type { StorePort } from '../../../src/ingest/ports.ts';
import type { Accepted } from '../../../src/store/accepted.ts';
import type { RecordCursor, RelaySource } from '../../../src/sync/ports.ts';
import {
  encodeChanDying,
  encodeChannelAmount,
  encodeDeleteChan,
} from '../../../src/wire/gossip_store_messages.ts';
import {
  FLAG_COMPLETED,
  FLAG_DELETED,
  FLAG_DYING,
  GOSSIP_STORE_CHANNEL_AMOUNT,
  RECORD_HEADER_BYTES,
  type StoreOffset,
  type StoreRecord,
  storeOffset,
} from '../../../src/wire/store_record.ts';
import type { TrueMessage } from './truth.ts';

interface Held {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly length: number;
  readonly type: number;
  flags: number;
  timestamp: number;
  readonly offset: StoreOffset;
  readonly message: TrueMessage | undefined;
}

/** What the watch is asked for every message that is appended: the true message, or it throws. */
export type Vouch = (accepted: Accepted) => TrueMessage | undefined;

export class NodeStore implements StorePort, RelaySource {
  readonly writable = true;
  readonly #vouch: Vouch;
  #records: Held[] = [];
  readonly #byOffset = new Map<number, number>();
  #end = 1;
  /** Offset of the live record of each true message, by its number. */
  readonly #live = new Map<number, StoreOffset>();
  /** Which flags which append has set: index of the appended record, index of the flagged one, the flag. */
  #flagged: [number, number, number][] = [];

  constructor(vouch: Vouch) {
    this.#vouch = vouch;
  }

  get recordCount(): number {
    return this.#records.length;
  }

  has(message: TrueMessage): boolean {
    return this.#live.has(message.number);
  }

  append(accepted: Accepted, apply: (record: StoreRecord) => void): StoreOffset {
    const message = this.#vouch(accepted);
    switch (accepted.kind) {
      case 'channel_announcement': {
        const offset = this.#push(message?.raw ?? accepted.raw, 0, message, apply);
        this.#push(encodeChannelAmount(accepted.satoshis), 0, undefined, apply);
        return offset;
      }
      case 'channel_update': {
        const announcement = accepted.announcement && this.#recordAt(accepted.announcement);
        if (announcement !== undefined) announcement.timestamp = accepted.timestamp;
        return this.#replace(accepted.raw, message, accepted.timestamp, accepted.replaces, apply);
      }
      case 'node_announcement':
        return this.#replace(accepted.raw, message, accepted.timestamp, accepted.replaces, apply);
      case 'delete_chan': {
        const offset = this.#push(encodeDeleteChan(accepted.scidHi, accepted.scidLo), 0, undefined, apply);
        for (const removed of accepted.remove) this.#flag(offset, removed, FLAG_DELETED);
        return offset;
      }
      case 'chan_dying': {
        const { scidHi, scidLo, deadline, mark } = accepted;
        const offset = this.#push(encodeChanDying(scidHi, scidLo, deadline), 0, undefined, apply);
        for (const marked of mark) this.#flag(offset, marked, FLAG_DYING);
        return offset;
      }
    }
  }

  readonly readMessage = (offset: StoreOffset): Uint8Array | undefined => {
    const record = this.#records[this.#byOffset.get(offset) ?? -1];
    return record === undefined || (record.flags & FLAG_DELETED) !== 0 ? undefined : own(record.bytes);
  };

  readonly cursor = (from: 'start' | 'end'): RecordCursor => {
    let at = from === 'start' ? 0 : this.#records.length;
    return {
      next: () => {
        while (at < this.#records.length) {
          const record = this.#records[at++];
          if (record !== undefined && (record.flags & FLAG_DELETED) === 0) return record;
        }
        return undefined;
      },
      close: () => {
        at = Number.POSITIVE_INFINITY;
      },
    };
  };

  /** Hands every live record to `apply`, as a start does. */
  load(apply: (record: StoreRecord) => void): void {
    for (const record of this.#records) if ((record.flags & FLAG_DELETED) === 0) apply(record);
  }

  /** Loses the newest records, up to so many, and what came of them. */
  crash(count: number): void {
    let kept = Math.max(0, this.#records.length - count);
    if (this.#records[kept]?.type === GOSSIP_STORE_CHANNEL_AMOUNT) kept--;
    for (const [by, at, flag] of this.#flagged) {
      const record = this.#records[at];
      if (by >= kept && record !== undefined) record.flags &= ~flag;
    }
    this.#flagged = this.#flagged.filter(([by]) => by < kept);
    for (const { offset } of this.#records.splice(kept)) this.#byOffset.delete(offset);
    const last = this.#records.at(-1);
    this.#end = last === undefined ? 1 : last.offset + last.length;
    this.#live.clear();
    for (const { message, flags, offset } of this.#records)
      if (message !== undefined && (flags & FLAG_DELETED) === 0) this.#live.set(message.number, offset);
  }

  #recordAt(offset: StoreOffset): Held {
    const record = this.#records[this.#byOffset.get(offset) ?? -1];
    assert(record !== undefined && (record.flags & FLAG_DELETED) === 0, 'a live record is at the offset');
    return record;
  }

  #replace(
    raw: Uint8Array,
    message: TrueMessage | undefined,
    timestamp: number,
    replaces: StoreOffset | undefined,
    apply: (record: StoreRecord) => void,
  ): StoreOffset {
    const offset = this.#push(message?.raw ?? raw, timestamp, message, apply);
    if (replaces !== undefined) this.#flag(offset, replaces, FLAG_DELETED);
    return offset;
  }

  #push(
    bytes: Uint8Array,
    timestamp: number,
    message: TrueMessage | undefined,
    apply: (record: StoreRecord) => void,
  ): StoreOffset {
    const offset = storeOffset(this.#end + RECORD_HEADER_BYTES);
    this.#end = offset + bytes.length;
    this.#byOffset.set(offset, this.#records.length);
    const type = readU16(bytes, 0);
    const record = {
      bytes,
      at: 0,
      length: bytes.length,
      type,
      flags: FLAG_COMPLETED,
      timestamp,
      offset,
      message,
    };
    this.#records.push(record);
    if (message !== undefined) this.#live.set(message.number, offset);
    apply(record);
    return offset;
  }

  #flag(by: StoreOffset, offset: StoreOffset, flag: number): void {
    const record = this.#recordAt(offset);
    const byAt = this.#byOffset.get(by) ?? 0;
    const at = this.#byOffset.get(offset) ?? 0;
    this.#mark(byAt, at, record, flag);
    const next = this.#records[at + 1];
    if (record.type === 256 && next?.type === GOSSIP_STORE_CHANNEL_AMOUNT)
      this.#mark(byAt, at + 1, next, flag);
  }

  #mark(by: number, at: number, record: Held, flag: number): void {
    record.flags |= flag;
    this.#flagged.push([by, at, flag]);
    const { message } = record;
    if (flag !== FLAG_DELETED || message === undefined) return;
    // A copy of the same message, moved behind in the file, stays.
    if (this.#live.get(message.number) === record.offset) this.#live.delete(message.number);
  }
}
