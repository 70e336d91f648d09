/**
 * A store of records in an array with its graph, for the tests and the simulation of sync/. Not part of the package.
 *
 * It keeps the rules of the file that matter here: append before delete, an announcement's header time is that of its
 * channel's first update, cursors see live records in order.
 */

import { assert } from '../base/errors.ts';
import { NetworkGraph } from '../graph/network_graph.ts';
import type { GraphLoss } from '../graph/relocate.ts';
import { SampleStore, type SampleUpdate, sampleNodeId } from '../graph/sample_records.test.support.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import {
  FLAG_DELETED,
  FLAG_DYING,
  GOSSIP_STORE_CHANNEL_AMOUNT,
  RECORD_HEADER_BYTES,
  type StoreOffset,
  type StoreRecord,
  storeOffset,
} from '../wire/store_record.ts';
import type { RecordCursor } from './ports.ts';

type Mutable = { -readonly [Key in keyof StoreRecord]: StoreRecord[Key] };

export const scidOf = (block: number, transaction = 1, output = 0): bigint =>
  (BigInt(block) << 40n) | (BigInt(transaction) << 16n) | BigInt(output);

const hiOf = (scid: bigint): number => Number(scid >> 32n);
const loOf = (scid: bigint): number => Number(scid & 0xffffffffn);

export class MemoryStore {
  readonly graph = new NetworkGraph();
  readonly records: Mutable[] = [];
  readonly #layout = new SampleStore();
  readonly #byOffset = new Map<number, Mutable>();
  opened = 0;

  #append(record: Mutable): Mutable {
    this.records.push(record);
    this.#byOffset.set(record.offset, record);
    this.graph.apply(record);
    return record;
  }

  #recordAt(offset: StoreOffset): Mutable {
    const record = this.#byOffset.get(offset);
    assert(record !== undefined, 'a record is at the offset');
    return record;
  }

  #channel(scid: bigint): number {
    return this.graph.channelIndex(hiOf(scid), loOf(scid));
  }

  /** An announcement and its amount; node numbers name the ends. */
  announce(
    scid: bigint,
    { nodes = [1, 2], satoshis = 1000n }: { nodes?: [number, number]; satoshis?: bigint } = {},
  ): StoreOffset {
    const [announcement, amount] = this.#layout.channel(
      { hi: hiOf(scid), lo: loOf(scid), node1: sampleNodeId(nodes[0]), node2: sampleNodeId(nodes[1]) },
      satoshis,
    );
    this.#append(announcement);
    this.#append(amount);
    return announcement.offset;
  }

  update(scid: bigint, direction: 0 | 1, timestamp: number, more: Partial<SampleUpdate> = {}): StoreOffset {
    const channel = this.#channel(scid);
    const old = this.graph.hasUpdate(channel, direction)
      ? this.graph.updateOffset(channel, direction)
      : undefined;
    const record = this.#append(
      this.#layout.update({ hi: hiOf(scid), lo: loOf(scid), direction, timestamp, ...more }),
    );
    const announcement = this.#recordAt(this.graph.channelOffset(channel));
    if (announcement.timestamp === 0) announcement.timestamp = timestamp;
    if (old !== undefined) this.delete(old);
    return record.offset;
  }

  node(number: number, timestamp: number): StoreOffset {
    return this.#append(this.#layout.node(sampleNodeId(number), timestamp)).offset;
  }

  die(scid: bigint): void {
    const offset = this.graph.channelOffset(this.#channel(scid));
    this.#append(this.#layout.dying(hiOf(scid), loOf(scid), 1000));
    this.#recordAt(offset).flags |= FLAG_DYING;
  }

  delete(offset: StoreOffset): void {
    this.#recordAt(offset).flags |= FLAG_DELETED;
  }

  /** A new file without these records, and without what was deleted; an announcement and its amount share their fate. */
  lose(isLost: (record: StoreRecord) => boolean): GraphLoss {
    const old = this.records.splice(0);
    const moved = new Map<number, StoreOffset>();
    this.#byOffset.clear();
    let end = 1;
    for (const [index, record] of old.entries()) {
      const before = old[index - 1];
      const decides = record.type === GOSSIP_STORE_CHANNEL_AMOUNT && before !== undefined ? before : record;
      if (isLost(decides) || (decides.flags & FLAG_DELETED) !== 0) continue;
      this.records.push(record);
    }
    for (const record of this.records) {
      const offset = storeOffset(end + RECORD_HEADER_BYTES);
      end = offset + record.length;
      moved.set(record.offset, offset);
      record.offset = offset;
      this.#byOffset.set(offset, record);
    }
    const loss = this.graph.relocate((offset) => moved.get(offset) ?? storeOffset(0));
    for (const orphan of loss.orphans) this.delete(orphan);
    return loss;
  }

  /** A channel with an update of each side. */
  channel(scid: bigint, timestamp: number, nodes: [number, number] = [1, 2], satoshis = 1000n): void {
    this.announce(scid, { nodes, satoshis });
    this.update(scid, 0, timestamp);
    this.update(scid, 1, timestamp);
  }

  readonly readMessage = (offset: StoreOffset): Uint8Array | undefined => {
    const record = this.#byOffset.get(offset);
    return record === undefined || (record.flags & FLAG_DELETED) !== 0 ? undefined : record.bytes.slice();
  };

  readonly cursor = (from: 'start' | 'end'): RecordCursor => {
    this.opened++;
    let at = from === 'start' ? 0 : this.records.length;
    return {
      next: () => {
        while (at < this.records.length) {
          const record = this.records[at++];
          if (record !== undefined && (record.flags & FLAG_DELETED) === 0) return record;
        }
        return undefined;
      },
      close: () => {
        at = Number.POSITIVE_INFINITY;
      },
    };
  };

  /** Takes a message of another MemoryStore, as ingest would. True when it was new. */
  accept(raw: Uint8Array): boolean {
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    const scidAt = (at: number): bigint => view.getBigUint64(at);
    switch (view.getUint16(0)) {
      case MESSAGE_TYPE.channel_announcement: {
        const scid = scidAt(292);
        if (this.#channel(scid) !== -1) return false;
        const record = this.#layout.record(raw.slice());
        this.#append(record);
        this.#append(this.#layout.amount(1000n));
        return true;
      }
      case MESSAGE_TYPE.channel_update: {
        const scid = scidAt(98);
        const channel = this.#channel(scid);
        const direction = (view.getUint8(111) & 1) === 0 ? 0 : 1;
        const timestamp = view.getUint32(106);
        if (channel === -1 || this.graph.updateTimestamp(channel, direction) >= timestamp) return false;
        this.update(scid, direction, timestamp, { feeBase: view.getUint32(122) });
        return true;
      }
      default: {
        const node = this.graph.nodeIndex(raw, 72);
        if (node === -1 || this.graph.nodeTimestamp(node) >= view.getUint32(68)) return false;
        this.#append(this.#layout.record(raw.slice(), 0, view.getUint32(68)));
        return true;
      }
    }
  }
}
