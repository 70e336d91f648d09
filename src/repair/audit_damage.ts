/**
 * From what the salvage reader met to findings: gaps in which no record can be read, and records whose header it put right.
 *
 * audit hands in both as they come. At the end of a file that is being written, what is incomplete is the writer at work
 * (GS-IN-FLIGHT); whether it is, is asked once, and only when there is something to ask about.
 */
import type { FindingId } from '../store/finding.ts';
import { GAP_FINDINGS, type Gap, type Restored } from '../store/salvage_reader.ts';
import type { StoreRecord } from '../wire/store_record.ts';
import type { AuditLedger } from './audit_ledger.ts';
import type { RecordPlace } from './audit_order.ts';
import { recordTypeName } from './record_content.ts';

/** A writer's batch is 1 MiB and a record at most. */
const IN_FLIGHT_BYTES = 2 * 1024 * 1024;

export interface DamageOptions {
  readonly ledger: AuditLedger;
  /** Size of the file. */
  readonly limit: number;
  readonly live: boolean | (() => Promise<boolean>);
}

const RESTORED_IDS: Readonly<Record<Restored, FindingId>> = {
  length: 'GS-LEN',
  timestamp: 'GS-HEADER',
  flags: 'GS-HEADER',
  checksum: 'GS-HEADER',
  completed: 'GS-INCOMPLETE',
  bit: 'GS-CRC',
};

const counted = (bytes: number): string => bytes.toLocaleString('en-US');

export class DamageRules {
  recordsLost = 0;
  bytesLost = 0;
  readonly #options: DamageOptions;
  #isLive: boolean | undefined;

  constructor(options: DamageOptions) {
    this.#options = options;
  }

  async gap(gap: Gap, recordNumber: number): Promise<void> {
    const { ledger } = this.#options;
    const type = gap.type === undefined ? undefined : recordTypeName(gap.type);
    if (gap.atEnd && (await this.#isBeingWritten(gap.position))) {
      ledger.report('GS-IN-FLIGHT', gap.position, gap.length, { type });
      return;
    }
    this.recordsLost += gap.records;
    if (gap.kind !== 'zero_bytes') this.bytesLost += gap.length;
    ledger.report(GAP_FINDINGS[gap.kind], gap.position, gap.length, {
      type,
      record_no: gap.records > 0 ? recordNumber : undefined,
      reason: gapReason(gap, type),
    });
  }

  /** @param record with its header put right */
  async restored(
    record: StoreRecord,
    restored: Restored,
    place: RecordPlace,
    isDeleted: boolean,
  ): Promise<void> {
    const { ledger } = this.#options;
    const type = isDeleted && record.type === 0 ? undefined : recordTypeName(record.type);
    const details = { record_no: place.recordNumber, type };
    if (restored === 'completed' && (await this.#isBeingWritten(place.position))) {
      ledger.report('GS-IN-FLIGHT', place.position, place.size, details);
      return;
    }
    ledger.report(RESTORED_IDS[restored], place.position, place.size, {
      ...details,
      reason: restoredReason(restored, type ?? 'deleted record'),
      fix: 'restore',
    });
  }

  async #isBeingWritten(position: number): Promise<boolean> {
    const { limit, live } = this.#options;
    if (limit - position > IN_FLIGHT_BYTES) return false;
    this.#isLive ??= typeof live === 'boolean' ? live : await live();
    return this.#isLive;
  }
}

const gapReason = (gap: Gap, type: string | undefined): string | undefined => {
  const length = counted(gap.length);
  switch (gap.kind) {
    case 'torn_tail':
      return `the last record${type === undefined ? '' : `, a ${type},`} was not written whole: ${length} bytes of it are there`;
    case 'zero_bytes':
      return `${length} zero bytes where records should be`;
    case 'bad_checksum':
      return `the checksum of a ${type ?? 'record'} is wrong`;
    case 'garbage':
      return `${length} bytes in which no record can be recognised`;
    case 'empty_record':
    case 'second_store':
    case 'overwritten':
      return undefined;
  }
};

const restoredReason = (restored: Restored, type: string): string => {
  switch (restored) {
    case 'length':
      return `the length of a ${type} is wrong; its checksum proves the right one`;
    case 'timestamp':
      return `the timestamp in the header of a ${type} is wrong; its message has the right one`;
    case 'flags':
      return `the header of a ${type} has flags that mean nothing there`;
    case 'checksum':
      return `the stored checksum of a ${type} is wrong by one bit; the message is whole`;
    case 'completed':
      return `a ${type} is not marked as completely written, although it is whole`;
    case 'bit':
      return `one bit of a ${type} is flipped; its checksum shows which one`;
  }
};
