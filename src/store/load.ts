/**
 * load: the writer's pass over its own file at start. Hands every live record that may stand to a visitor, in file order.
 *
 * opening.ts hands in the open file and takes back where the good part ends and which records are to be flagged. Beyond
 * the walker's checks it holds what readers of the file rely on: one uuid, at the start; no end marker; an announcement
 * directly in front of its amount; one live announcement for each channel. What breaks a rule is not visited and is
 * flagged DELETED, one record at a time. It also finishes what a crash interrupted: flags that a replacement, a removal or a
 * spend was about to set, a batch that was written whole but not completed, a torn header timestamp.
 * Memory: one ChannelTable, and a mark for each record to be flagged.
 */
import { compareBytes, own } from '../base/bytes.ts';
import { NODE_ID_BYTES } from '../base/node_id.ts';
import type { Rng } from '../base/rng.ts';
import {
  channelAnnouncementNodeId1At,
  channelAnnouncementNodeId2At,
  channelAnnouncementScidHi,
  channelAnnouncementScidLo,
} from '../wire/channel_announcement.ts';
import { channelUpdateDirection, channelUpdateScidHi, channelUpdateScidLo } from '../wire/channel_update.ts';
import {
  chanDyingScidHi,
  chanDyingScidLo,
  deleteChanScidHi,
  deleteChanScidLo,
  storeUuidAt,
} from '../wire/gossip_store_messages.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import {
  FLAG_DELETED,
  FLAG_DYING,
  GOSSIP_STORE_CHAN_DYING,
  GOSSIP_STORE_CHANNEL_AMOUNT,
  GOSSIP_STORE_DELETE_CHAN,
  GOSSIP_STORE_ENDED,
  GOSSIP_STORE_UUID,
  RECORD_HEADER_BYTES,
  type StoreOffset,
  type StoreRecord,
  storeOffset,
} from '../wire/store_record.ts';
import {
  ANNOUNCEMENT_COLUMN,
  ChannelTable,
  type Column,
  DYING_COLUMN,
  UPDATE_COLUMN,
} from './channel_table.ts';
import { FIRST_RECORD_POSITION, UUID_BYTES } from './format.ts';
import { isIntactBatch } from './intact_batch.ts';
import { SCAN_BUFFER_BYTES } from './scan.ts';
import type { StoreFile } from './store_file.ts';
import { tornTimestamp } from './torn_timestamp.ts';
import { emptyRecord, type MutableRecord, RecordWalker, type WalkEnd } from './walker.ts';

/** Why a record is flagged at load. The last two finish what a crash interrupted; those records were visited. */
export type DropReason =
  | 'malformed'
  | 'unknown_record_type'
  | 'ended'
  | 'duplicate_uuid'
  | 'node_ids_not_ordered'
  | 'duplicate_announcement'
  | 'announcement_without_amount'
  | 'amount_without_announcement'
  | 'superseded'
  | 'removed';

/** What to change in the file: flags, or (flags 0) the header timestamp of an announcement. */
export interface LoadMark {
  readonly offset: StoreOffset;
  readonly flags: number;
  readonly timestamp: number;
}

export interface Loaded {
  /** Header position behind the last record that stays. */
  readonly end: number;
  /** Live records visited. */
  readonly records: number;
  readonly deleted: number;
  readonly reason: WalkEnd;
  readonly uuid: Uint8Array;
  readonly marks: readonly LoadMark[];
  readonly dropped: Readonly<Partial<Record<DropReason, number>>>;
  /** A batch was found whole and has been completed. */
  readonly completedBatch: boolean;
  /** Announcements whose header timestamp was found torn. */
  readonly tornTimestamps: number;
}

export interface LoadPorts {
  readonly file: StoreFile;
  readonly rng: Rng;
  readonly visit: (record: StoreRecord) => void;
  /** Completes the record whose header is at `position`; false if the disk refuses. */
  readonly completeBatch: (position: number) => boolean;
}

export const loadStore = (ports: LoadPorts): Loaded => new Load(ports).run();

class Load {
  readonly #ports: LoadPorts;
  readonly #limit: number;
  readonly #walker: RecordWalker;
  readonly #channels: ChannelTable;
  readonly #marks: LoadMark[] = [];
  readonly #dropped: Partial<Record<DropReason, number>> = {};
  /** An announcement whose amount must be the next record. */
  readonly #held: MutableRecord = emptyRecord();
  #holding = false;
  /** The amount of an announcement that was just dropped goes with it. */
  #skipAmount = false;
  #records = 0;
  #deleted = 0;
  #uuid: Uint8Array | undefined;
  #completedBatch = false;
  #tornTimestamps = 0;

  constructor(ports: LoadPorts) {
    this.#ports = ports;
    this.#limit = ports.file.size();
    this.#walker = new RecordWalker(ports.file, FIRST_RECORD_POSITION, new Uint8Array(SCAN_BUFFER_BYTES));
    this.#channels = new ChannelTable(ports.rng);
  }

  run(): Loaded {
    const reason = this.#walk();
    let end = this.#walker.position;
    if (this.#holding) {
      // In a file that is rewritten anyway the lone announcement goes with the tail.
      if (reason === 'end_of_file') this.#drop(this.#held, 'announcement_without_amount');
      else end = this.#held.offset - RECORD_HEADER_BYTES;
    }
    return {
      end,
      records: this.#records,
      deleted: this.#deleted,
      reason,
      uuid: this.#uuid ?? new Uint8Array(UUID_BYTES),
      marks: this.#marks.filter((mark) => mark.offset < end),
      dropped: this.#dropped,
      completedBatch: this.#completedBatch,
      tornTimestamps: this.#tornTimestamps,
    };
  }

  #walk(): WalkEnd {
    const walker = this.#walker;
    for (;;) {
      const step = walker.step(this.#limit);
      if (step === 'live') {
        this.#judge(walker.record);
        continue;
      }
      if (step === 'deleted') {
        this.#noAmountFollows();
        this.#deleted++;
        continue;
      }
      if (step === 'malformed') {
        this.#noAmountFollows();
        this.#drop(
          walker.record,
          walker.fault === 'unknown_record_type' ? 'unknown_record_type' : 'malformed',
        );
        this.#skipAmount = walker.record.type === MESSAGE_TYPE.channel_announcement;
        continue;
      }
      if (step === 'bad_checksum' && this.#completeTimestamp()) continue;
      if (step === 'incomplete_record' && this.#completeBatch()) continue;
      return step;
    }
  }

  #judge(record: StoreRecord): void {
    if (record.type === GOSSIP_STORE_CHANNEL_AMOUNT) {
      this.#judgeAmount(record);
      return;
    }
    this.#noAmountFollows();
    const { bytes, at } = record;
    switch (record.type) {
      case MESSAGE_TYPE.channel_announcement:
        this.#judgeAnnouncement(record);
        return;
      case MESSAGE_TYPE.channel_update:
        this.#replaceUpdate(record);
        break;
      case GOSSIP_STORE_DELETE_CHAN:
        this.#removeChannel(deleteChanScidHi(bytes, at), deleteChanScidLo(bytes, at));
        break;
      case GOSSIP_STORE_CHAN_DYING:
        this.#markDying(record);
        break;
      case GOSSIP_STORE_ENDED:
        this.#drop(record, 'ended');
        return;
      case GOSSIP_STORE_UUID:
        if (this.#uuid !== undefined) {
          this.#drop(record, 'duplicate_uuid');
          return;
        }
        this.#uuid = own(bytes.subarray(storeUuidAt(bytes, at), storeUuidAt(bytes, at) + UUID_BYTES));
        break;
    }
    this.#visit(record);
  }

  #judgeAnnouncement(record: StoreRecord): void {
    const { bytes, at } = record;
    const hi = channelAnnouncementScidHi(bytes, at);
    const lo = channelAnnouncementScidLo(bytes, at);
    const first = channelAnnouncementNodeId1At(bytes, at);
    const second = channelAnnouncementNodeId2At(bytes, at);
    const known = this.#channels.find(hi, lo);
    if (compareBytes(bytes, first, bytes, second, NODE_ID_BYTES) >= 0) {
      // B7-03: directions of such a channel would mean the opposite; CLN stored them until v26.04.
      this.#drop(record, 'node_ids_not_ordered');
      this.#skipAmount = true;
    } else if (known >= 0 && this.#channels.get(known, ANNOUNCEMENT_COLUMN) !== 0) {
      this.#drop(record, 'duplicate_announcement');
      this.#skipAmount = true;
    } else {
      Object.assign(this.#held, record);
      this.#holding = true;
    }
  }

  #judgeAmount(record: StoreRecord): void {
    if (!this.#holding) {
      if (!this.#skipAmount) this.#drop(record, 'amount_without_announcement');
      this.#skipAmount = false;
      return;
    }
    const held = this.#held;
    const slot = this.#channels.add(
      channelAnnouncementScidHi(held.bytes, held.at),
      channelAnnouncementScidLo(held.bytes, held.at),
    );
    this.#channels.set(slot, ANNOUNCEMENT_COLUMN, held.offset);
    this.#holding = false;
    this.#visit(held);
    this.#visit(record);
  }

  #noAmountFollows(): void {
    if (this.#holding) this.#drop(this.#held, 'announcement_without_amount');
    this.#holding = false;
    this.#skipAmount = false;
  }

  #replaceUpdate({ bytes, at, offset }: StoreRecord): void {
    const slot = this.#channels.find(channelUpdateScidHi(bytes, at), channelUpdateScidLo(bytes, at));
    if (slot < 0) return;
    const column = (UPDATE_COLUMN + channelUpdateDirection(bytes, at)) as Column;
    const older = this.#channels.get(slot, column);
    if (older !== 0) this.#flag(storeOffset(older), 'superseded');
    this.#channels.set(slot, column, offset);
  }

  #removeChannel(hi: number, lo: number): void {
    const slot = this.#channels.find(hi, lo);
    if (slot < 0) return;
    for (let column = 0; column <= DYING_COLUMN; column++) {
      const offset = this.#channels.get(slot, column as Column);
      if (offset !== 0) this.#flag(storeOffset(offset), 'removed');
    }
    this.#channels.clear(slot);
  }

  #markDying({ bytes, at, offset }: StoreRecord): void {
    const slot = this.#channels.find(chanDyingScidHi(bytes, at), chanDyingScidLo(bytes, at));
    if (slot < 0) return;
    for (let column = 0; column < DYING_COLUMN; column++) {
      const marked = this.#channels.get(slot, column as Column);
      if (marked !== 0) this.#marks.push({ offset: storeOffset(marked), flags: FLAG_DYING, timestamp: 0 });
    }
    this.#channels.set(slot, DYING_COLUMN, offset);
  }

  /** True if the record that failed its checksum is an announcement with a torn header timestamp; it then counts as live. */
  #completeTimestamp(): boolean {
    const { record } = this.#walker;
    const timestamp = tornTimestamp(this.#ports.file, record, this.#limit);
    if (timestamp === undefined) return false;
    this.#walker.skipBadRecord();
    record.timestamp = timestamp;
    this.#marks.push({ offset: record.offset, flags: 0, timestamp });
    this.#tornTimestamps++;
    this.#judge(record);
    return true;
  }

  /** True if what follows was written whole and has now been completed: it is then read like any other record. */
  #completeBatch(): boolean {
    const { position } = this.#walker;
    if (this.#completedBatch || !isIntactBatch(this.#ports.file, position, this.#limit, this.#holding))
      return false;
    if (!this.#ports.completeBatch(position)) return false;
    this.#completedBatch = true;
    // A held announcement is read again with its amount: its bytes would not survive the buffer's refill.
    this.#walker.seek(this.#holding ? this.#held.offset - RECORD_HEADER_BYTES : position);
    this.#holding = false;
    return true;
  }

  #visit(record: StoreRecord): void {
    this.#records++;
    this.#ports.visit(record);
  }

  #drop(record: StoreRecord, reason: DropReason): void {
    this.#flag(record.offset, reason);
  }

  #flag(offset: StoreOffset, reason: DropReason): void {
    this.#marks.push({ offset, flags: FLAG_DELETED, timestamp: 0 });
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + 1;
  }
}
