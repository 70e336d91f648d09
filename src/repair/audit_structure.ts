/**
 * The rules about each record and its direct neighbour: it parses, its type belongs to the version, an amount lies directly
 * behind its announcement, the uuid comes first and once, no end marker, no half of a pair deleted.
 *
 * audit hands in every step of the salvage reader from the level `structure` on; what passes here goes on to audit_order.
 * State: the announcement whose amount must come next, and what the last step was. Messages that may make readers of CLN
 * abort are cln-gossip D-1 to D-19.
 */
import { compareBytes, readU16, readU32, toHex } from '../base/bytes.ts';
import { NODE_ID_BYTES } from '../base/node_id.ts';
import { scidText } from '../base/short_channel_id.ts';
import type { FindingId } from '../store/finding.ts';
import { FIRST_RECORD_POSITION } from '../store/format.ts';
import type { StoreFile } from '../store/store_file.ts';
import type { StoreFormat } from '../store/versions.ts';
import type { MessageFault } from '../store/walker.ts';
import {
  channelAnnouncementNodeId1At,
  channelAnnouncementNodeId2At,
  channelAnnouncementScidHi,
  channelAnnouncementScidLo,
} from '../wire/channel_announcement.ts';
import { CHANNEL_AMOUNT_BYTES } from '../wire/gossip_store_messages.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { GOSSIP_STORE_CHANNEL_AMOUNT, type StoreRecord } from '../wire/store_record.ts';
import type { AuditLedger } from './audit_ledger.ts';
import { DUPLICATE, type OrderRules, type RecordPlace, UNJUDGED } from './audit_order.ts';
import { emptyContent, type RecordContent, readContent, recordTypeName } from './record_content.ts';

/** For people, after "the message". */
const FAULTS: Readonly<Partial<Record<MessageFault, string>>> = {
  too_short: 'is too short for its fields',
  bad_array_length: 'is longer than its type allows',
  addresses_too_short: 'ends inside its addresses',
  bad_encoding: 'holds something else than its type says',
};

interface Held extends RecordPlace {
  /** Number in the channel table, or UNJUDGED. */
  readonly channel: number;
  readonly scid: string;
}

export interface StructureOptions {
  readonly file: StoreFile;
  readonly format: StoreFormat;
  readonly ledger: AuditLedger;
  /** From the level `order` on. */
  readonly order: OrderRules | undefined;
}

export class StructureRules {
  /** Private records seen. */
  privateRecords = 0;
  readonly #file: StoreFile;
  readonly #format: StoreFormat;
  readonly #ledger: AuditLedger;
  readonly #order: OrderRules | undefined;
  readonly #content: RecordContent = emptyContent();
  readonly #twoBytes = new Uint8Array(2);
  #held: Held | undefined;
  /** An announcement was just refused: its amount goes with it, under the same id. */
  #refused: FindingId | undefined;
  /** The step before was a deleted record, with its message at this position. */
  #deletedMessageAt: number | undefined;
  #uuidSeen = false;

  constructor({ file, format, ledger, order }: StructureOptions) {
    this.#file = file;
    this.#format = format;
    this.#ledger = ledger;
    this.#order = order;
  }

  live(record: StoreRecord, place: RecordPlace): void {
    const content = this.#content;
    readContent(record, content);
    this.#checkUuid(content, place);
    if (content.kind === 'amount') {
      this.#amount(place);
      return;
    }
    this.#noAmount();
    switch (content.kind) {
      case 'announcement':
        this.#announcement(record, content, place);
        return;
      case 'update':
        this.#order?.update(record, content, place);
        return;
      case 'node':
        this.#order?.node(record, content, place);
        return;
      case 'delete_chan':
        this.#order?.remove(record, content, place);
        return;
      case 'private_channel':
      case 'private_update':
        this.#private(record, content, place);
        return;
      case 'ended':
        this.#ledger.drop('GS-ENDED', place.position, place.size, {
          record_no: place.recordNumber,
          type: 'ended',
        });
        return;
      case 'chan_dying':
      case 'uuid':
      case 'other':
        return;
    }
  }

  malformed(record: StoreRecord, fault: MessageFault | undefined, place: RecordPlace): void {
    if (place.position === FIRST_RECORD_POSITION) this.#noUuid();
    const { position, size } = place;
    const details = {
      record_no: place.recordNumber,
      type: recordTypeName(record.type),
      fix: 'drop',
    } as const;
    if (fault === 'amount_out_of_range' && record.type === GOSSIP_STORE_CHANNEL_AMOUNT) {
      this.#ledger.report('GS-AMOUNT', position, size, {
        ...details,
        short_channel_id: this.#scidOfHeld(),
        reason: 'an amount of more than 21 million bitcoin: it is left out',
      });
      if (this.#held !== undefined) this.#badAmount(this.#held);
      this.#after();
      return;
    }
    this.#noAmount();
    if (record.type === MESSAGE_TYPE.channel_announcement) this.#refused = idOf(fault);
    if (fault === 'same_node_ids') {
      readContent(record, this.#content);
      if (this.#content.scidAt >= 0) this.#order?.refuse(record, this.#content.scidAt);
    }
    this.#ledger.report(idOf(fault), position, size, { ...details, reason: faultReason(record, fault) });
  }

  deleted(place: RecordPlace): void {
    if (place.position === FIRST_RECORD_POSITION) this.#noUuid();
    const messageAt = place.position + this.#format.headerBytes;
    const held = this.#held;
    const isItsAmount =
      held !== undefined &&
      place.size === this.#format.headerBytes + CHANNEL_AMOUNT_BYTES &&
      this.#typeAt(messageAt) === GOSSIP_STORE_CHANNEL_AMOUNT;
    if (isItsAmount) {
      const reason = 'the amount of this channel_announcement is deleted, the announcement is not';
      if (this.#order === undefined || held.channel === UNJUDGED) {
        this.#ledger.drop('GS-FLAGS', held.position, held.size, { ...announcementDetails(held), reason });
      } else this.#order.dropChannel(held.channel, 'GS-FLAGS', reason);
      this.#held = undefined;
    }
    this.#noAmount();
    this.#deletedMessageAt = messageAt;
  }

  gap(position: number): void {
    if (position === FIRST_RECORD_POSITION) this.#noUuid();
    this.#noAmount();
  }

  end(position: number): void {
    if (position === FIRST_RECORD_POSITION) this.#noUuid();
    this.#noAmount();
  }

  #checkUuid(content: RecordContent, { position, size, recordNumber }: RecordPlace): void {
    if (!this.#format.hasUuid) return;
    const isFirst = position === FIRST_RECORD_POSITION;
    if (content.kind !== 'uuid') {
      if (isFirst) this.#noUuid();
      return;
    }
    if (!isFirst) {
      this.#ledger.drop('GS-DUP-UUID', position, size, {
        record_no: recordNumber,
        type: 'uuid',
        reason: this.#uuidSeen ? undefined : 'a uuid that is not the first record',
      });
    }
    this.#uuidSeen = true;
  }

  #noUuid(): void {
    if (this.#format.hasUuid) this.#ledger.report('GS-NO-UUID', FIRST_RECORD_POSITION, 0);
  }

  #announcement(record: StoreRecord, content: RecordContent, place: RecordPlace): void {
    const { bytes } = record;
    const first = channelAnnouncementNodeId1At(bytes, content.at);
    const second = channelAnnouncementNodeId2At(bytes, content.at);
    const scid = (): string =>
      scidText(channelAnnouncementScidHi(bytes, content.at), channelAnnouncementScidLo(bytes, content.at));
    const details = { record_no: place.recordNumber, type: 'channel_announcement' };
    if (compareBytes(bytes, first, bytes, second, NODE_ID_BYTES) >= 0) {
      this.#ledger.drop('GS-NODE-IDS', place.position, place.size, { ...details, short_channel_id: scid() });
      this.#order?.refuse(record, content.scidAt);
      this.#refused = 'GS-NODE-IDS';
      return;
    }
    const channel = this.#order?.announce(record, content, place) ?? UNJUDGED;
    if (channel === DUPLICATE) {
      this.#ledger.drop('GS-DUP-ANN', place.position, place.size, { ...details, short_channel_id: scid() });
      this.#refused = 'GS-DUP-ANN';
      return;
    }
    if (content.hasAmount) return;
    this.#held = { ...place, channel, scid: channel === UNJUDGED ? scid() : '' };
  }

  #amount({ position, size, recordNumber }: RecordPlace): void {
    const held = this.#held;
    const refused = this.#refused;
    const deletedMessageAt = this.#deletedMessageAt;
    this.#after();
    if (held !== undefined) {
      this.#order?.amountSeen(held.channel, true);
      return;
    }
    const details = { record_no: recordNumber, type: 'channel_amount' };
    if (refused !== undefined) {
      const reason = 'the amount of a channel_announcement that is left out';
      this.#ledger.drop(refused, position, size, { ...details, reason, severity: 'info' });
    } else if (
      deletedMessageAt !== undefined &&
      this.#typeAt(deletedMessageAt) === MESSAGE_TYPE.channel_announcement
    ) {
      const reason = 'the channel_announcement in front of this amount is deleted, the amount is not';
      this.#ledger.drop('GS-FLAGS', position, size, { ...details, reason });
    } else this.#ledger.drop('GS-ORPHAN-AMOUNT', position, size, details);
  }

  #private(record: StoreRecord, content: RecordContent, { position, size, recordNumber }: RecordPlace): void {
    this.privateRecords++;
    const { bytes } = record;
    const at = content.scidAt;
    this.#ledger.report('GS-PRIVATE', position, size, {
      record_no: recordNumber,
      type: recordTypeName(record.type),
      short_channel_id: at < 0 ? undefined : scidText(readU32(bytes, at), readU32(bytes, at + 4)),
    });
    if (content.kind === 'private_channel') this.#order?.privateChannel(record, content);
  }

  /** Something else than an amount comes behind the announcement. */
  #noAmount(): void {
    const held = this.#held;
    this.#after();
    if (held === undefined || (this.#order !== undefined && held.channel !== UNJUDGED)) return;
    this.#ledger.report('GS-NO-AMOUNT', held.position, held.size, announcementDetails(held));
  }

  #badAmount(held: Held): void {
    if (this.#order !== undefined && held.channel !== UNJUDGED) {
      this.#order.amountSeen(held.channel, false);
      return;
    }
    this.#ledger.report('GS-AMOUNT', held.position, held.size, {
      ...announcementDetails(held),
      reason: 'the amount of this channel_announcement cannot be true',
      fix: 'add_amount',
    });
  }

  #scidOfHeld(): string | undefined {
    const held = this.#held;
    if (held === undefined) return undefined;
    return held.channel === UNJUDGED ? held.scid : this.#order?.scidOf(held.channel);
  }

  #after(): void {
    this.#held = undefined;
    this.#refused = undefined;
    this.#deletedMessageAt = undefined;
  }

  /** Reads two bytes: only where a pair has come apart. */
  #typeAt(position: number): number {
    return this.#file.read(this.#twoBytes, 0, 2, position) === 2 ? readU16(this.#twoBytes, 0) : 0;
  }
}

const announcementDetails = ({ recordNumber, scid }: Held) => ({
  record_no: recordNumber,
  type: 'channel_announcement',
  ...(scid === '' ? {} : { short_channel_id: scid }),
});

const idOf = (fault: MessageFault | undefined): FindingId => {
  if (fault === 'unknown_record_type') return 'GS-UNKNOWN-TYPE';
  return fault === 'same_node_ids' ? 'GS-NODE-IDS' : 'GS-MALFORMED';
};

/** Undefined where the id's own words say it. */
const faultReason = (record: StoreRecord, fault: MessageFault | undefined): string | undefined => {
  const name = recordTypeName(record.type);
  if (fault === undefined || fault === 'same_node_ids') return undefined;
  if (fault === 'unknown_record_type') {
    const start = toHex(record.bytes, record.at, record.at + Math.min(record.length, 8));
    return `a record of ${name}, which this version does not have (message ${start}…)`;
  }
  return `a ${name} that ${FAULTS[fault] ?? `does not parse (${fault})`}`;
};
