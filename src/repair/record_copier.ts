/**
 * RecordCopier: carries the records of one store over into a RecordSink as a plan says.
 *
 * write_repaired runs one over the damaged store, and two over a backup. What it guarantees whatever the plan says: an
 * announcement is written only together with its amount, directly in front of it; DELETED records, end markers, uuids and what
 * does not parse are never written; what moves is written directly behind the announcement that it waited for.
 * Memory: two read buffers and one announcement.
 */
import { MAX_SAT } from '../base/amount.ts';
import { SalvageReader, type SalvageStep } from '../store/salvage_reader.ts';
import { upgradeRecord } from '../store/upgrade_record.ts';
import type { WritableVersion } from '../store/versions.ts';
import { emptyRecord, MIN_WALK_BUFFER_BYTES, type MutableRecord } from '../store/walker.ts';
import { encodeChannelAmount } from '../wire/gossip_store_messages.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { OBSOLETE_TYPE, wrappedSatoshis } from '../wire/obsolete_store_messages.ts';
import {
  GOSSIP_STORE_CHANNEL_AMOUNT,
  GOSSIP_STORE_ENDED,
  GOSSIP_STORE_UUID,
  type StoreRecord,
} from '../wire/store_record.ts';
import { openReader, type ReadSource } from './live_records.ts';
import type { Moves } from './plan.ts';
import type { PositionMap, PositionSet } from './positions.ts';
import type { RecordSink } from './record_sink.ts';
import { PIECE_BYTES, type Task } from './task.ts';

/** What becomes of records; each is counted once. */
export interface CopyCounts {
  /** Written; the uuid of the old file counts, though the new file has its own. */
  kept: number;
  /** Amounts that were in no file. */
  amounts_added: number;
  /** Of the kept ones, written in another place. */
  moved: number;
  /** Left out although live: they mean nothing, or readers would stumble over them. */
  dropped: number;
  /** Flagged DELETED. */
  dead: number;
  /** Private channels and their updates, which newer versions do not store. */
  private: number;
  /** What the version of the new file does not have: the uuid, updates without htlc_maximum_msat, expired channels. */
  obsolete: number;
}

export const noCounts = (): CopyCounts => ({
  ...{ kept: 0, amounts_added: 0, moved: 0, dropped: 0, dead: 0, private: 0, obsolete: 0 },
});

export interface CopyJob {
  readonly source: ReadSource;
  readonly drops: PositionSet;
  readonly amounts: PositionMap;
  readonly moves: Moves;
  /** Only the records at these positions, announcements with their amounts. */
  readonly only?: PositionSet;
}

const NOWHERE = -1;

type Outcome = ReturnType<typeof upgradeRecord>;

export class RecordCopier {
  readonly counts = noCounts();
  readonly #job: CopyJob;
  readonly #sink: RecordSink;
  readonly #upgradesTo: WritableVersion | undefined;
  /** An announcement whose amount has not been seen yet; its bytes are a copy. */
  readonly #held: MutableRecord = emptyRecord();
  #heldAt = NOWHERE;
  #heldEnd = NOWHERE;
  #heldBytes = new Uint8Array(1024);
  /** Where the amount of an announcement would stand that was left out, or got another amount. */
  #skippedAmount = NOWHERE;
  #nextMove = 0;
  #singleBuffer: Uint8Array | undefined;

  constructor(job: CopyJob, sink: RecordSink) {
    this.#job = job;
    this.#sink = sink;
    const [from, to] = [job.source.format, sink.format];
    const same = from.version === to.version && from.headerBytes === to.headerBytes;
    // What a backup of another version gives to a file older than 14 is the same in all of them.
    this.#upgradesTo = same ? undefined : ((to.version >= 14 ? to.version : 16) as WritableVersion);
  }

  /** @returns false when the task was cancelled */
  async run(task: Task, label: string): Promise<boolean> {
    const { source } = this.#job;
    const reader = openReader(source);
    let breathed = 0;
    for (let step = reader.next(); step !== 'end'; step = reader.next()) {
      this.#take(step, reader);
      if (reader.end - breathed < PIECE_BYTES) continue;
      task.progress(label, reader.end, source.bytes);
      await task.breathe(2 * (reader.end - breathed));
      breathed = reader.end;
      if (task.cancelled() !== undefined) return false;
    }
    this.#letGo();
    return true;
  }

  #take(step: SalvageStep, reader: SalvageReader): void {
    const { position, end, record } = reader;
    const isAmount = step === 'live' && record.type === GOSSIP_STORE_CHANNEL_AMOUNT;
    if (this.#heldAt !== NOWHERE && !(isAmount && position === this.#heldEnd)) this.#letGo();
    if (step === 'deleted') this.counts.dead++;
    if (step === 'malformed') this.counts.dropped++;
    if (step !== 'live') return;
    if (record.type === MESSAGE_TYPE.channel_announcement) this.#announcement(record, position, end);
    else if (isAmount) this.#amount(record, position);
    else if (record.type === OBSOLETE_TYPE.wrapped_channel_announcement) this.#wrapped(record, position);
    else this.#other(record, position);
  }

  #leavesOut(position: number): boolean {
    const { drops, only } = this.#job;
    return drops.has(position) || only?.has(position) === false;
  }

  #announcement(record: StoreRecord, position: number, end: number): void {
    if (this.#leavesOut(position)) {
      this.counts.dropped++;
      this.#skippedAmount = end;
      return;
    }
    const satoshis = this.#job.amounts.get(position);
    if (satoshis !== undefined) {
      this.#skippedAmount = end;
      this.#announce(record, position, satoshis);
      return;
    }
    if (this.#heldBytes.length < record.length) this.#heldBytes = new Uint8Array(0x10000);
    this.#heldBytes.set(record.bytes.subarray(record.at, record.at + record.length));
    Object.assign(this.#held, record, { bytes: this.#heldBytes, at: 0 });
    this.#heldAt = position;
    this.#heldEnd = end;
  }

  /** Writes an announcement with an amount from elsewhere. */
  #announce(record: StoreRecord, position: number, satoshis: number): void {
    const written = this.#write(record);
    if (written === 'kept') {
      const amount = encodeChannelAmount(BigInt(satoshis));
      this.#sink.put(amount, 0, amount.length, 0, 0);
      this.counts.amounts_added++;
    }
    this.#writeMoved(position, written === 'kept');
  }

  #amount(record: StoreRecord, position: number): void {
    if (this.#heldAt === NOWHERE) {
      if (position === this.#skippedAmount || this.#leavesOut(position)) this.counts.dropped++;
      else this.#write(record);
      return;
    }
    if (this.#job.drops.has(position)) {
      this.counts.dropped++;
      this.#letGo();
      return;
    }
    const announced = this.#heldAt;
    this.#heldAt = NOWHERE;
    const kept = this.#write(this.#held) === 'kept';
    if (kept) this.#write(record);
    else this.counts.obsolete++;
    this.#writeMoved(announced, kept);
  }

  /** Version 3 has the amount in the announcement's own record. */
  #wrapped(record: StoreRecord, position: number): void {
    const satoshis = this.#job.amounts.get(position);
    const isSound = wrappedSatoshis(record.bytes, record.at) <= MAX_SAT;
    if (this.#leavesOut(position) || (satoshis === undefined && !isSound)) {
      this.counts.dropped++;
      this.#writeMoved(position, false);
      return;
    }
    this.#write(record, satoshis);
    this.#writeMoved(position, true);
  }

  #other(record: StoreRecord, position: number): void {
    if (this.#leavesOut(position) || record.type === GOSSIP_STORE_ENDED) this.counts.dropped++;
    else if (record.type === GOSSIP_STORE_UUID) {
      // The new file has its own.
      if (this.#sink.format.hasUuid) this.counts.kept++;
      else this.counts.obsolete++;
    } else if (!this.#job.moves.moved.has(position)) {
      this.#write(record);
    }
  }

  /** An announcement that no amount follows cannot be written. */
  #letGo(): void {
    if (this.#heldAt === NOWHERE) return;
    this.counts.dropped++;
    this.#writeMoved(this.#heldAt, false);
    this.#heldAt = NOWHERE;
  }

  /** @param satoshis takes the place of an amount inside the record */
  #write(record: StoreRecord, satoshis?: number): Outcome {
    const outcome = this.#carryOver(record, satoshis);
    switch (outcome) {
      case 'kept':
        this.counts.kept++;
        break;
      case 'private':
        this.counts.private++;
        break;
      case 'short_update':
      case 'zombie':
        this.counts.obsolete++;
        break;
      case 'internal':
        this.counts.dropped++;
        break;
    }
    return outcome;
  }

  #carryOver(record: StoreRecord, satoshis: number | undefined): Outcome {
    const { bytes, at, length, timestamp, flags } = record;
    if (this.#upgradesTo === undefined) {
      this.#sink.put(bytes, at, length, timestamp, flags);
      return 'kept';
    }
    let first = true;
    return upgradeRecord(record, this.#job.source.format, this.#upgradesTo, (message, time, newFlags) => {
      const replaced = !first && satoshis !== undefined;
      first = false;
      if (replaced) this.counts.amounts_added++;
      const put = replaced ? encodeChannelAmount(BigInt(satoshis)) : message;
      this.#sink.put(put, 0, put.length, time, newFlags);
    });
  }

  /** @param announced false when the announcement at `position` was not written after all */
  #writeMoved(position: number, announced: boolean): void {
    const { froms, targets } = this.#job.moves;
    while (this.#nextMove < targets.length && (targets[this.#nextMove] as number) <= position) {
      const from = froms[this.#nextMove++] as number;
      if (this.#leavesOut(from)) continue;
      const record = announced ? this.#single(from) : undefined;
      if (record === undefined) this.counts.dropped++;
      else if (this.#write(record) === 'kept') this.counts.moved++;
    }
  }

  #single(position: number): StoreRecord | undefined {
    this.#singleBuffer ??= new Uint8Array(MIN_WALK_BUFFER_BYTES);
    const { file, format, bytes, restoreBits } = this.#job.source;
    const reader = new SalvageReader(file, {
      ...{ format, limit: bytes, restoreBits, from: position },
      buffer: this.#singleBuffer,
    });
    return reader.next() === 'live' ? reader.record : undefined;
  }
}
