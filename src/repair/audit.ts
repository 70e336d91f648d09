/**
 * audit: everything that can be found wrong with a gossip_store, in one pass over the file (two from the level `signature` on).
 *
 * check, repair and guard hand in the open file and take back figures; findings are handed on as they are made, each with
 * what repair does about it. Reads only. Levels build on each other: `crc` framing, checksums and COMPLETED; `structure` each record
 * and its neighbour; `order` the whole file; `signature` 4+1+1 signatures; `chain` the funding outputs.
 * Never throws but what the disk throws; whatever the bytes are, they become findings. Memory: one buffer, and the tables
 * of audit_tables, which grow with channels and nodes, not with records or findings.
 */
import { assert } from '../base/errors.ts';
import type { Rng } from '../base/rng.ts';
import type { UtxoLookup } from '../chain/utxo_lookup.ts';
import type { SignatureChecker } from '../crypto/inline_checker.ts';
import type { Finding, FindingId, Severity } from '../store/finding.ts';
import { SalvageReader } from '../store/salvage_reader.ts';
import type { StoreFile } from '../store/store_file.ts';
import { detectFormat, FLAG_ZOMBIE, NEWEST_KNOWN_VERSION, type StoreFormat } from '../store/versions.ts';
import type { MessageFault } from '../store/walker.ts';
import { CHANNEL_UPDATE_MIN_BYTES } from '../wire/channel_update.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { OBSOLETE_TYPE } from '../wire/obsolete_store_messages.ts';
import type { StoreRecord } from '../wire/store_record.ts';
import { DamageRules } from './audit_damage.ts';
import { AuditLedger } from './audit_ledger.ts';
import { OrderRules, type RecordPlace } from './audit_order.ts';
import { checkProofs, type ProofResult, type Subset } from './audit_proofs.ts';
import { StructureRules } from './audit_structure.ts';
import { PRIVATE_TYPES, recordTypeName } from './record_content.ts';
import { PIECE_BYTES, type Task } from './task.ts';

export const LEVELS = ['crc', 'structure', 'order', 'signature', 'chain'] as const;
export type Level = (typeof LEVELS)[number];

/** CLN before v24.08.2 loses its place behind this. */
const FOUR_GIB = 4 * 1024 ** 3;
/** A smaller file need not be made smaller. */
const MIN_DEAD_WEIGHT_BYTES = 1_000_000;

export interface AuditOptions {
  readonly file: StoreFile;
  readonly level: Level;
  readonly task: Task;
  /** Seeds the tables. */
  readonly rng: Rng;
  /** Also gives back records in which one flipped bit explains the checksum. */
  readonly restoreBits: boolean;
  /** The chain that all messages should be of; otherwise that of the majority. */
  readonly chainHash?: Uint8Array;
  /** From the level `signature` on. Left open. */
  readonly verify?: SignatureChecker;
  /** At the level `chain`. */
  readonly utxo?: UtxoLookup;
  /** Only this part of the signatures and outputs. */
  readonly subset?: Subset;
  readonly onFinding: (finding: Finding) => void;
  /** Whether what is incomplete at the very end is a writer at work; asked at most once, and only if there is such a thing. */
  readonly live: boolean | (() => Promise<boolean>);
}

export interface RecordFigures {
  readonly live: number;
  readonly deleted: number;
  readonly malformed: number;
  /** Live ones, by name. */
  readonly by_type: Readonly<Record<string, number>>;
}

export interface AuditResult {
  /** Undefined for what is no gossip_store, an empty file included. */
  readonly format: StoreFormat | undefined;
  /** Undefined for an empty file. */
  readonly version_byte: number | undefined;
  /** By the records, whatever the byte says. */
  readonly version: number | undefined;
  readonly bytes: number;
  readonly level: Level;
  readonly records: RecordFigures;
  readonly channels: number;
  readonly half_channels: number;
  readonly nodes: number;
  /** Live records whose bytes are as they were written. */
  readonly records_sound: number;
  readonly records_kept: number;
  readonly records_lost: number;
  readonly bytes_lost: number;
  readonly dead_bytes: number;
  readonly private_records: number;
  readonly signatures_checked: number;
  readonly outputs_checked: number;
  readonly outputs_unknown: number;
  /** Records that the order rules could not judge: more channels or nodes than the tables take. */
  readonly records_unjudged: number;
  readonly cancelled?: 'interrupted' | 'max_duration';
  readonly counts: Partial<Record<FindingId, number>>;
  readonly severities: Readonly<Record<Severity, number>>;
}

/** Throws OperationalError of the disk, nothing else. */
export const audit = (options: AuditOptions): Promise<AuditResult> => new Audit(options).run();

class Audit {
  readonly #options: AuditOptions;
  readonly #bytes: number;
  readonly #ledger: AuditLedger;
  #live = 0;
  #deleted = 0;
  #malformed = 0;
  #restored = 0;
  /** Live records that no writable version can hold. */
  #notCarried = 0;
  #deadBytes = 0;
  readonly #byType = new Map<number, number>();
  /** Set when the work was stopped before its end. */
  #cancelled: AuditResult['cancelled'] | undefined;

  constructor(options: AuditOptions) {
    this.#options = options;
    this.#bytes = options.file.size();
    this.#ledger = new AuditLedger(options.onFinding);
  }

  async run(): Promise<AuditResult> {
    const { file } = this.#options;
    const ledger = this.#ledger;
    const detected = detectFormat(file);
    const { format, versionByte } = detected;
    if (format === undefined) {
      if (this.#bytes === 0) {
        ledger.report('GS-VERSION', 0, 0, {
          reason: 'the file is empty: not even its version byte is there',
        });
      }
      return this.#result({ format, versionByte });
    }
    this.#judgeVersion(format, versionByte);
    if (this.#bytes > FOUR_GIB) ledger.report('GS-OVER-4G', FOUR_GIB, 0);
    return this.#walk(format, versionByte);
  }

  async #walk(format: StoreFormat, versionByte: number): Promise<AuditResult> {
    const { file, level, task, rng, restoreBits, chainHash } = this.#options;
    const ledger = this.#ledger;
    const rank = LEVELS.indexOf(level);
    const order =
      rank >= LEVELS.indexOf('order') ? new OrderRules(format, ledger, rng, chainHash) : undefined;
    const structure =
      rank >= LEVELS.indexOf('structure') ? new StructureRules({ file, format, ledger, order }) : undefined;
    const damage = new DamageRules({ ledger, limit: this.#bytes, live: this.#options.live });
    const reader = new SalvageReader(file, { format, limit: this.#bytes, restoreBits });
    let breathed = 0;
    for (;;) {
      const step = reader.next();
      if (step === 'end') break;
      const place = {
        position: reader.position,
        size: reader.end - reader.position,
        recordNumber: reader.recordNumber,
      };
      if (step === 'gap') {
        await damage.gap(reader.gap, reader.recordNumber);
        structure?.gap(place.position);
      } else {
        if (reader.restored !== undefined) {
          this.#restored++;
          await damage.restored(reader.record, reader.restored, place, step === 'deleted');
        }
        this.#count(step, reader.record, reader.fault, place, format, structure);
      }
      if (reader.end - breathed >= PIECE_BYTES) {
        task.progress('checking', reader.end, this.#bytes);
        await task.breathe(reader.end - breathed);
        breathed = reader.end;
        this.#cancelled = task.cancelled();
        if (this.#cancelled !== undefined) break;
      }
    }
    let proofs: ProofResult | undefined;
    if (this.#cancelled === undefined) {
      structure?.end(reader.position);
      order?.settleChannels();
      if (order !== undefined) proofs = await this.#prove(format, order, rank);
    }
    // What is said about the whole file is only said when all of it has been seen.
    if (this.#cancelled === undefined) {
      order?.settleRest();
      this.#weigh();
    }
    return this.#result({ format, versionByte, order, structure, damage, proofs });
  }

  /** Called for every record. */
  #count(
    step: 'live' | 'deleted' | 'malformed',
    record: StoreRecord,
    fault: MessageFault | undefined,
    place: RecordPlace,
    format: StoreFormat,
    structure: StructureRules | undefined,
  ): void {
    if (step === 'deleted') {
      this.#deleted++;
      this.#deadBytes += place.size;
      structure?.deleted(place);
      return;
    }
    if (step === 'malformed') {
      this.#malformed++;
      structure?.malformed(record, fault, place);
      return;
    }
    this.#live++;
    this.#byType.set(record.type, (this.#byType.get(record.type) ?? 0) + 1);
    if (format.version <= 13 && !isCarriedOver(record, format)) this.#notCarried++;
    structure?.live(record, place);
  }

  #judgeVersion(format: StoreFormat, versionByte: number): void {
    if (versionByte === format.version) {
      if (versionByte <= NEWEST_KNOWN_VERSION) return;
      this.#ledger.report('GS-VERSION', 0, 1, {
        severity: 'warn',
        reason: `version ${versionByte} is newer than ${NEWEST_KNOWN_VERSION}, and CLN up to v26.06 refuses it; it is read as ${NEWEST_KNOWN_VERSION}`,
      });
      return;
    }
    this.#ledger.report('GS-VERSION', 0, 1, {
      reason: `the version byte is ${versionByte}, the records are those of version ${format.version}`,
    });
  }

  /** More dead than alive? */
  #weigh(): void {
    if (this.#bytes < MIN_DEAD_WEIGHT_BYTES || this.#deadBytes * 2 <= this.#bytes) return;
    const percent = Math.floor((this.#deadBytes / this.#bytes) * 100);
    this.#ledger.report('GS-DEAD-WEIGHT', 0, 0, {
      reason: `${percent} % of the file is deleted records`,
    });
  }

  async #prove(format: StoreFormat, order: OrderRules, rank: number): Promise<ProofResult | undefined> {
    const { file, restoreBits, task, verify, utxo, subset } = this.#options;
    if (rank < LEVELS.indexOf('signature')) return undefined;
    assert(verify !== undefined, 'the level signature needs a checker');
    const wantsChain = rank === LEVELS.indexOf('chain');
    assert(!wantsChain || utxo !== undefined, 'the level chain needs a backend');
    const result = await checkProofs({
      file,
      format,
      limit: this.#bytes,
      restoreBits,
      task,
      order,
      verify,
      utxo: wantsChain ? utxo : undefined,
      subset,
    });
    this.#cancelled = result.cancelled;
    return result;
  }

  #result(parts: {
    readonly format: StoreFormat | undefined;
    readonly versionByte: number | undefined;
    readonly order?: OrderRules | undefined;
    readonly structure?: StructureRules | undefined;
    readonly damage?: DamageRules;
    readonly proofs?: ProofResult | undefined;
  }): AuditResult {
    const { format, versionByte, order, structure, damage, proofs } = parts;
    const cancelled = this.#cancelled;
    return {
      format,
      version_byte: versionByte,
      version: format?.version,
      bytes: this.#bytes,
      level: this.#options.level,
      records: {
        live: this.#live,
        deleted: this.#deleted,
        malformed: this.#malformed,
        by_type: Object.fromEntries(
          [...this.#byType]
            .sort(([left], [right]) => left - right)
            .map(([type, count]) => [recordTypeName(type), count]),
        ),
      },
      ...this.#graphFigures(order),
      records_sound: this.#live - this.#restored,
      records_kept: Math.max(0, this.#live - this.#notCarried - this.#ledger.dropped),
      records_lost: damage?.recordsLost ?? 0,
      bytes_lost: damage?.bytesLost ?? 0,
      dead_bytes: this.#deadBytes,
      private_records: structure?.privateRecords ?? 0,
      signatures_checked: proofs?.signatures_checked ?? 0,
      outputs_checked: proofs?.outputs_checked ?? 0,
      outputs_unknown: proofs?.outputs_unknown ?? 0,
      records_unjudged: order?.unjudged ?? 0,
      ...(cancelled === undefined ? {} : { cancelled }),
      counts: this.#ledger.counts,
      severities: this.#ledger.severities,
    };
  }

  /** What readers of a repaired file see. Without the tables of the order level: what the records are called. */
  #graphFigures(order: OrderRules | undefined): { channels: number; half_channels: number; nodes: number } {
    const of = (...types: readonly number[]): number =>
      types.reduce((sum, type) => sum + (this.#byType.get(type) ?? 0), 0);
    if (order !== undefined) return order.figures();
    return { channels: of(256, 4096), half_channels: of(258, 4097), nodes: 0 };
  }
}

/** False for live records of old versions that no version from 14 on can hold. */
const isCarriedOver = (record: StoreRecord, format: StoreFormat): boolean => {
  const { type, length, flags } = record;
  if (PRIVATE_TYPES.includes(type)) return false;
  if ((format.version === 12 || format.version === 13) && (flags & FLAG_ZOMBIE) !== 0) return false;
  if (format.version > 10) return true;
  const wrapping = type === OBSOLETE_TYPE.wrapped_channel_update ? 4 : 0;
  const isUpdate = type === MESSAGE_TYPE.channel_update || wrapping > 0;
  return !isUpdate || length - wrapping >= CHANNEL_UPDATE_MIN_BYTES;
};
