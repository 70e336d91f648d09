/**
 * load: the writer's pass over its own file at start. Hands every live record that may stand to a visitor, in file order.
 *
 * opening.ts hands in the open file, of any version whose records have the twelve-byte header, and takes back which records
 * are to be flagged, what is damaged, and whether the file has to be written anew. Damage costs the records that it hit:
 * the salvage reader finds the next sound one. Beyond its checks the load holds what readers of the file rely on: one uuid,
 * at the start; no end marker; an announcement directly in front of its amount; one live announcement for each channel.
 * What breaks a rule is not visited and is flagged DELETED, one record at a time. It also finishes what a crash interrupted:
 * flags that a replacement, a removal or a spend was about to set, a batch that was written whole but not completed, a
 * torn header timestamp. Memory: one ChannelTable, a mark for each record to be flagged, MAX_LISTED gaps and losses.
 */
import { compareBytes, own } from '../base/bytes.ts';
import { NODE_ID_BYTES } from '../base/node_id.ts';
import type { Rng } from '../base/rng.ts';
import { type ShortChannelId, scidFromHalves, scidHi, scidLo } from '../base/short_channel_id.ts';
import {
  channelAnnouncementNodeId1At,
  channelAnnouncementNodeId2At,
  channelAnnouncementScidHi,
  channelAnnouncementScidLo,
} from '../wire/channel_announcement.ts';
import {
  CHANNEL_UPDATE_MIN_BYTES,
  channelUpdateDirection,
  channelUpdateScidHi,
  channelUpdateScidLo,
} from '../wire/channel_update.ts';
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
import { LOST_CHANNEL, type LostGossip } from './indexing.ts';
import { isIntactBatch } from './intact_batch.ts';
import { type Gap, SalvageReader } from './salvage_reader.ts';
import { SCAN_BUFFER_BYTES } from './scan.ts';
import type { StoreFile } from './store_file.ts';
import type { StoreFormat } from './versions.ts';
import { emptyRecord, type MutableRecord } from './walker.ts';

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
  | 'removed'
  /** An update whose channel is not announced, in a file that has lost records: it will be fetched again with the channel. */
  | 'update_without_announcement'
  /** Only in files of earlier versions: private channels, and what later versions have no place for. */
  | 'private'
  | 'obsolete';

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
  /** Bytes of the deleted records, headers included. */
  readonly deletedBytes: number;
  /** Undefined when the file does not start with a sound uuid. */
  readonly uuid: Uint8Array | undefined;
  readonly marks: readonly LoadMark[];
  readonly dropped: Readonly<Partial<Record<DropReason, number>>>;
  /** A batch was found whole and has been completed. */
  readonly completedBatch: boolean;
  /** Announcements whose header timestamp was found torn. */
  readonly tornTimestamps: number;
  /** Damaged ranges; the first MAX_LISTED. */
  readonly gaps: readonly Gap[];
  readonly gapCount: number;
  readonly gapBytes: number;
  /** Records whose headers were damaged and could be put right. */
  readonly restored: number;
  /** What is known to be missing; at most MAX_LISTED. */
  readonly lost: readonly LostGossip[];
}

export interface LoadPorts {
  readonly file: StoreFile;
  readonly format: StoreFormat;
  readonly rng: Rng;
  readonly visit: (record: StoreRecord) => void;
  /** Completes the record whose header is at `position`; false if the disk refuses. */
  readonly completeBatch: (position: number) => boolean;
}

/** 65,536 of 100 bytes: a file with more damage than that is fetched again by the ordinary sync. */
export const MAX_LISTED = 65_536;
/** From here on only public messages are stored. */
const OLDEST_PLAIN_VERSION = 14;
/** Of files of version 12 and 13: kept for a channel whose updates had expired. */
const FLAG_ZOMBIE = 0x1000;

export const loadStore = (ports: LoadPorts): Loaded => new Load(ports).run();

class Load {
  readonly #ports: LoadPorts;
  readonly #limit: number;
  #reader: SalvageReader;
  readonly #buffer = new Uint8Array(SCAN_BUFFER_BYTES);
  readonly #channels: ChannelTable;
  readonly #marks: LoadMark[] = [];
  readonly #dropped: Partial<Record<DropReason, number>> = {};
  readonly #gaps: Gap[] = [];
  #gapCount = 0;
  #gapBytes = 0;
  readonly #lost = new Map<ShortChannelId, number>();
  #restored = 0;
  /** A chan_dying in front of another one of its channel; hardly ever any. */
  readonly #olderDying = new Map<ShortChannelId, StoreOffset[]>();
  /** An announcement whose amount must be the next record. */
  readonly #held: MutableRecord = emptyRecord();
  #heldHi = 0;
  #heldLo = 0;
  #holding = false;
  /** The record before was an announcement that was dropped: its amount goes with it. */
  #skipAmount = false;
  #uuid: Uint8Array | undefined;
  #records = 0;
  #deleted = 0;
  #deletedBytes = 0;
  #completedBatch = false;
  #tornTimestamps = 0;

  constructor(ports: LoadPorts) {
    this.#ports = ports;
    this.#limit = ports.file.size();
    this.#reader = this.#readFrom(FIRST_RECORD_POSITION);
    this.#channels = new ChannelTable(ports.rng);
  }

  run(): Loaded {
    this.#walk();
    if (this.#holding) this.#loseHeld();
    return {
      end: this.#end(),
      records: this.#records,
      deleted: this.#deleted,
      deletedBytes: this.#deletedBytes,
      uuid: this.#uuid,
      marks: this.#marks,
      dropped: this.#dropped,
      completedBatch: this.#completedBatch,
      tornTimestamps: this.#tornTimestamps,
      gaps: this.#gaps,
      gapCount: this.#gapCount,
      gapBytes: this.#gapBytes,
      restored: this.#restored,
      lost: [...this.#lost].map(([scid, flags]) => ({ scidHi: scidHi(scid), scidLo: scidLo(scid), flags })),
    };
  }

  /** Behind the last record: in front of a gap that ends the file. */
  #end(): number {
    const last = this.#gaps.at(-1);
    return last?.atEnd === true ? last.position : this.#limit;
  }

  #readFrom(position: number): SalvageReader {
    const { file, format } = this.#ports;
    return new SalvageReader(file, { format, from: position, limit: this.#limit, buffer: this.#buffer });
  }

  #walk(): void {
    for (;;) {
      const reader = this.#reader;
      switch (reader.next()) {
        case 'live':
          if (reader.restored !== undefined && this.#isRestoredOtherwise(reader)) continue;
          this.#judge(reader.record);
          continue;
        case 'deleted':
          if (reader.restored !== undefined) this.#restored++;
          this.#noAmountFollows();
          this.#deleted++;
          this.#deletedBytes += reader.end - reader.position;
          continue;
        case 'malformed':
          if (reader.restored !== undefined) this.#restored++;
          this.#noAmountFollows();
          this.#drop(
            reader.record,
            reader.fault === 'unknown_record_type' ? 'unknown_record_type' : 'malformed',
          );
          this.#skipAmount = reader.record.type === MESSAGE_TYPE.channel_announcement;
          continue;
        case 'gap':
          this.#passGap(reader.gap);
          continue;
        case 'end':
          return;
      }
    }
  }

  /** True when reading starts over: a record without COMPLETED was the start of a batch that was written whole. */
  #isRestoredOtherwise(reader: SalvageReader): boolean {
    const { restored, record } = reader;
    if (restored === 'completed' && this.#completeBatch(reader.position)) return true;
    const isOurs = this.#ports.format.hasCompleted && record.type === MESSAGE_TYPE.channel_announcement;
    if (restored === 'timestamp' && isOurs) {
      // Torn while it was being set, or flipped: eight bytes put it right.
      this.#marks.push({ offset: record.offset, flags: 0, timestamp: record.timestamp });
      this.#tornTimestamps++;
    } else this.#restored++;
    return false;
  }

  #passGap(gap: Gap): void {
    if (this.#holding) this.#loseHeld();
    // An amount behind it may be that of an announcement that was in it.
    this.#skipAmount = true;
    this.#gapCount++;
    this.#gapBytes += gap.length;
    if (this.#gaps.length < MAX_LISTED || gap.atEnd) this.#gaps.push({ ...gap });
  }

  /** The announcement's amount is damaged. */
  #loseHeld(): void {
    this.#lose(this.#heldHi, this.#heldLo, LOST_CHANNEL);
    this.#noAmountFollows();
  }

  #lose(hi: number, lo: number, flags: number): void {
    const scid = scidFromHalves(hi, lo);
    if (this.#lost.size < MAX_LISTED) this.#lost.set(scid, (this.#lost.get(scid) ?? 0) | flags);
  }

  #judge(record: StoreRecord): void {
    if (this.#ports.format.version < OLDEST_PLAIN_VERSION && this.#isObsolete(record)) return;
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
        if (!this.#replaceUpdate(record)) return;
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
        if (record.offset === FIRST_RECORD_POSITION + RECORD_HEADER_BYTES)
          this.#uuid = own(bytes.subarray(storeUuidAt(bytes, at), storeUuidAt(bytes, at) + UUID_BYTES));
        break;
    }
    this.#visit(record);
  }

  /** What versions before 14 hold and later ones do not. */
  #isObsolete(record: StoreRecord): boolean {
    const obsolete = (record.flags & FLAG_ZOMBIE) !== 0 && this.#ports.format.version >= 12;
    switch (record.type) {
      case MESSAGE_TYPE.channel_update:
        // Version 10 and earlier: without htlc_maximum_msat.
        if (record.length >= CHANNEL_UPDATE_MIN_BYTES && !obsolete) return false;
        break;
      case MESSAGE_TYPE.channel_announcement:
      case MESSAGE_TYPE.node_announcement:
      case GOSSIP_STORE_CHANNEL_AMOUNT:
      case GOSSIP_STORE_DELETE_CHAN:
      case GOSSIP_STORE_CHAN_DYING:
      case GOSSIP_STORE_ENDED:
        if (!obsolete) return false;
        break;
      default:
        this.#noAmountFollows();
        this.#drop(record, 'private');
        return true;
    }
    this.#noAmountFollows();
    this.#drop(record, 'obsolete');
    this.#skipAmount = record.type === MESSAGE_TYPE.channel_announcement;
    return true;
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
      this.#heldHi = hi;
      this.#heldLo = lo;
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
    const slot = this.#channels.add(this.#heldHi, this.#heldLo);
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

  /** False for one whose channel was lost. */
  #replaceUpdate(record: StoreRecord): boolean {
    const { bytes, at, offset } = record;
    const [hi, lo] = [channelUpdateScidHi(bytes, at), channelUpdateScidLo(bytes, at)];
    // Remembered also without its announcement: a crash may have kept that one's flag, and the removal comes only behind it.
    const slot = this.#channels.add(hi, lo);
    if (this.#gapCount > 0 && this.#channels.get(slot, ANNOUNCEMENT_COLUMN) === 0) {
      this.#lose(hi, lo, LOST_CHANNEL);
      this.#drop(record, 'update_without_announcement');
      return false;
    }
    const column = (UPDATE_COLUMN + channelUpdateDirection(bytes, at)) as Column;
    const older = this.#channels.get(slot, column);
    if (older !== 0) this.#flag(storeOffset(older), 'superseded');
    this.#channels.set(slot, column, offset);
    return true;
  }

  #removeChannel(hi: number, lo: number): void {
    const slot = this.#channels.find(hi, lo);
    if (slot < 0) return;
    for (let column = 0; column <= DYING_COLUMN; column++) {
      const offset = this.#channels.get(slot, column as Column);
      if (offset !== 0) this.#flag(storeOffset(offset), 'removed');
    }
    this.#channels.clear(slot);
    if (this.#olderDying.size === 0) return;
    const scid = scidFromHalves(hi, lo);
    for (const offset of this.#olderDying.get(scid) ?? []) this.#flag(offset, 'removed');
    this.#olderDying.delete(scid);
  }

  #markDying({ bytes, at, offset }: StoreRecord): void {
    const [hi, lo] = [chanDyingScidHi(bytes, at), chanDyingScidLo(bytes, at)];
    const slot = this.#channels.add(hi, lo);
    for (let column = 0; column < DYING_COLUMN; column++) {
      const marked = this.#channels.get(slot, column as Column);
      if (marked !== 0) this.#marks.push({ offset: storeOffset(marked), flags: FLAG_DYING, timestamp: 0 });
    }
    const older = this.#channels.get(slot, DYING_COLUMN);
    if (older !== 0) {
      const scid = scidFromHalves(hi, lo);
      const all = this.#olderDying.get(scid);
      if (all === undefined) this.#olderDying.set(scid, [storeOffset(older)]);
      else all.push(storeOffset(older));
    }
    this.#channels.set(slot, DYING_COLUMN, offset);
  }

  /** True if what follows was written whole and has now been completed: it is then read like any other record. */
  #completeBatch(position: number): boolean {
    // A file that is written anew is not touched.
    if (this.#completedBatch || this.#restored > 0 || this.#gapCount > 0) return false;
    if (!isIntactBatch(this.#ports.file, position, this.#limit, this.#holding)) return false;
    if (!this.#ports.completeBatch(position)) return false;
    this.#completedBatch = true;
    // A held announcement is read again with its amount: its bytes would not survive the buffer's refill.
    this.#reader = this.#readFrom(this.#holding ? this.#held.offset - RECORD_HEADER_BYTES : position);
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
