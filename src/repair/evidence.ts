/**
 * Evidence: what may be shown to others of a damaged store, as one plain object for one JSON file.
 *
 * `check --redact` hands in the file, the figures and the findings that it lists. Of each finding it takes the bytes in
 * which it lies, at most EVIDENCE_BYTES. What a store knows of private channels stays out: no finding about them
 * is named, no byte of their records is copied; and in versions that can hold such records, nothing is copied but whole public
 * records, because a damaged range may be a private one. Memory: EVIDENCE_BYTES for each finding listed.
 */
import { readU16, toHex } from '../base/bytes.ts';
import type { Finding } from '../store/finding.ts';
import type { StoreFile } from '../store/store_file.ts';
import type { StoreFormat } from '../store/versions.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { GOSSIP_STORE_CHANNEL_AMOUNT } from '../wire/store_record.ts';
import type { AuditResult } from './audit.ts';
import { PRIVATE_TYPE_NAMES, PRIVATE_TYPES, recordTypeName } from './record_content.ts';

export const EVIDENCE_BYTES = 256;
/** In front of a finding, where versions without private records allow it. */
const BEFORE_BYTES = 64;

/** About the machine; tools/ fills it. */
export type Environment = Readonly<Record<string, string | number>>;

export interface EvidenceOptions {
  readonly file: StoreFile;
  readonly result: AuditResult;
  /** By offset. */
  readonly findings: readonly Finding[];
  readonly privateRanges: PrivateRanges;
  readonly environment: Environment;
}

const PUBLIC_NAMES: readonly string[] = [
  MESSAGE_TYPE.channel_announcement,
  MESSAGE_TYPE.node_announcement,
  MESSAGE_TYPE.channel_update,
  GOSSIP_STORE_CHANNEL_AMOUNT,
].map(recordTypeName);

/** The bytes belong to no record that could be read. */
const isUnread = ({ fix, id, length }: Finding): boolean =>
  fix === 'quarantine' || id === 'GS-IN-FLIGHT' || length === 0;

const isPrivate = (finding: Finding): boolean =>
  finding.id === 'GS-PRIVATE' || (finding.type !== undefined && PRIVATE_TYPE_NAMES.includes(finding.type));

/** Private channels are a node's own: a store with more than so many records of them is not shown at all. */
const MAX_PRIVATE_RANGES = 65_536;

/** Where records of private channels lie. `check` hands in every finding, listed or not. */
export class PrivateRanges {
  readonly #ranges: (readonly [start: number, end: number])[] = [];
  #overflowed = false;

  add(finding: Finding): void {
    if (!isPrivate(finding)) return;
    if (this.#ranges.length >= MAX_PRIVATE_RANGES) this.#overflowed = true;
    else this.#ranges.push([finding.offset, finding.offset + finding.length]);
  }

  get count(): number {
    return this.#ranges.length;
  }

  touches(start: number, end: number): boolean {
    return this.#overflowed || this.#ranges.some(([from, to]) => from < end && to > start);
  }
}

/** Cuts the bytes where a record of a private channel might begin. */
const cutAtPrivate = (bytes: Uint8Array, headerBytes: number): Uint8Array => {
  for (let at = 0; at + 2 <= bytes.length; at++) {
    if (PRIVATE_TYPES.includes(readU16(bytes, at))) return bytes.subarray(0, Math.max(0, at - headerBytes));
  }
  return bytes;
};

const bytesOf = (
  file: StoreFile,
  format: StoreFormat,
  finding: Finding,
  privateRanges: PrivateRanges,
): { readonly bytes_at: number; readonly bytes: string } | undefined => {
  const mayHoldPrivate = PRIVATE_TYPES.some((type) => format.types.has(type));
  const isWholeRecord =
    finding.type !== undefined && PUBLIC_NAMES.includes(finding.type) && !isUnread(finding);
  if (mayHoldPrivate && !isWholeRecord) return undefined;
  const before = mayHoldPrivate ? 0 : Math.min(BEFORE_BYTES, finding.offset);
  const start = finding.offset - before;
  const isBounded = mayHoldPrivate || isUnread(finding);
  const wanted = isBounded ? Math.min(EVIDENCE_BYTES, before + finding.length) : EVIDENCE_BYTES;
  if (privateRanges.touches(start, start + wanted)) return undefined;
  const buffer = new Uint8Array(wanted);
  const read = buffer.subarray(0, file.read(buffer, 0, wanted, start));
  // A whole public record may hold any two bytes; elsewhere they may be the type of a private one.
  const shown = mayHoldPrivate ? read : cutAtPrivate(read, format.headerBytes);
  return shown.length === 0 ? undefined : { bytes_at: start, bytes: toHex(shown) };
};

/** Throws what reading the file throws. Short_channel_ids and node ids of private channels are left out. */
export const buildEvidence = (options: EvidenceOptions): unknown => {
  const { file, result, findings, privateRanges, environment } = options;
  const { format, cancelled, ...figures } = result;
  return {
    what: 'gossipd evidence: findings about a gossip_store, and bytes around them; no funds, keys or private channels are in it',
    ...environment,
    store: {
      ...figures,
      partial: cancelled ?? false,
      header_bytes: format?.headerBytes ?? null,
      checksum: format?.checksum ?? null,
    },
    private_records_left_out: privateRanges.count,
    findings: findings
      .filter((finding) => !isPrivate(finding))
      .map((finding, index, shown) => {
        // What follows a gap directly may be the rest of a record whose type lies in that gap.
        const before = shown[index - 1];
        const isRest =
          before !== undefined && isUnread(before) && before.offset + before.length === finding.offset;
        const bytes =
          format === undefined || (isRest && isUnread(finding))
            ? undefined
            : bytesOf(file, format, finding, privateRanges);
        return { ...finding, ...bytes };
      }),
  };
};
