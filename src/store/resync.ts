/**
 * The searches behind damage: where the next record begins, and how long a record is whose length is damaged.
 *
 * The salvage reader asks them when a record's own length leads nowhere. Searching forward looks at every byte position for
 * a record that verifies; it stops in front of long runs of zeros, which are passed without looking for records in them.
 * Searching for a length compares the running checksum with the header's after every byte. It reads up to 65,535 bytes for
 * a header of a few, so it has a budget: 4 bytes for each byte of the file that has been passed, and 4 MiB at the
 * start; a damaged record for which nothing is left of it is not restored. All else is linear in the file's size.
 */
import { readU16 } from '../base/bytes.ts';
import { RunningRegister } from './prefix_checksums.ts';
import type { RawHeader, RecordProbe } from './record_probe.ts';
import { differingBits } from './restore_record.ts';
import { checkMessageFor } from './versions.ts';

/** A run of zeros of this length is a hole: no sound message is known to hold one. A quarter of it is common. */
export const MIN_HOLE_BYTES = 512;
/** Length is at least 2, so that one of the first four bytes of a header is not zero. */
const ZERO_HEADER_BYTES = 3;
const BUDGET_AT_START_BYTES = 4 * 1024 * 1024;
const BUDGET_PER_BYTE = 4;

export interface Found {
  readonly position: number;
  /** A record is there; otherwise the limit, or a hole of zeros begins. */
  readonly isRecord: boolean;
}

export class Resync {
  readonly #probe: RecordProbe;
  readonly #from: number;
  #spent = 0;
  readonly #isWellFormed: (at: number, length: number) => boolean;

  /** @param from where reading began */
  constructor(probe: RecordProbe, from: number) {
    this.#probe = probe;
    this.#from = from;
    const { format, window } = probe;
    this.#isWellFormed = (at, length) => checkMessageFor(format, window.bytes, at, length) === undefined;
  }

  /** Whether a whole record stands at the position. */
  isRecord(position: number): boolean {
    return this.#probe.isRecord(position, this.#isWellFormed);
  }

  /** The first record at or behind `start`; or where the first hole, or the limit, comes before it. */
  next(start: number): Found {
    const { window, format } = this.#probe;
    const header = format.headerBytes;
    let position = start;
    let zeros = 0;
    for (;;) {
      window.anchor = position;
      const at = window.have(position, header + 2);
      if (at < 0) break;
      const last = window.available(position) - header - 2;
      const { bytes } = window;
      let offset = 0;
      for (; offset <= last; offset++) {
        zeros = bytes[at + offset] === 0 ? zeros + 1 : 0;
        if (zeros >= MIN_HOLE_BYTES) return { position: position + offset + 1 - zeros, isRecord: false };
        const typeHigh = bytes[at + offset + header] as number;
        // 0x01 gossip, 0x10 the store's own, 0x0d local_add_channel.
        if (typeHigh !== 0x01 && typeHigh !== 0x10 && typeHigh !== 0x0d) continue;
        if (!this.#probe.hasType(readU16(bytes, at + offset + header))) continue;
        if (!this.#looksLikeHeader(at + offset)) continue;
        const candidate = position + offset;
        window.anchor = candidate;
        if (this.isRecord(candidate)) return { position: candidate, isRecord: true };
        if (window.have(candidate, header + 2) !== at + offset) break;
      }
      position += Math.min(offset + 1, last + 1);
    }
    return { position: window.limit, isRecord: false };
  }

  /** The first byte behind `position` that is not zero; or the limit. */
  endOfZeros(position: number): number {
    const { window } = this.#probe;
    let end = position;
    for (;;) {
      window.anchor = end;
      const available = window.available(end);
      if (available === 0) return end;
      const at = window.have(end, 1);
      const { bytes } = window;
      let offset = 0;
      while (offset < available && bytes[at + offset] === 0) offset++;
      end += offset;
      if (offset < available) return end;
    }
  }

  /** Where the record begins that ends a run of zeros at `end`: its own header may begin with zeros. */
  recordBehindZeros(start: number, end: number): number | undefined {
    for (let position = Math.max(start + 1, end - ZERO_HEADER_BYTES); position <= end; position++) {
      this.#probe.window.anchor = position;
      if (this.isRecord(position)) return position;
    }
    return undefined;
  }

  /**
   * The length with which the checksum in the header is right. Of several the one behind which reading can go on, then the one
   * that differs in the fewest bits from what the header says: a message may be made so that other lengths fit too.
   *
   * @param longerThan shorter ones are not looked at
   */
  lengthOf(position: number, header: RawHeader, longerThan = 1): number | undefined {
    const { window, format } = this.#probe;
    const message = position + format.headerBytes;
    const most = Math.min(0xffff, window.limit - message);
    if (!this.#probe.hasType(header.type) || !this.#spend(most, position)) return undefined;
    const inverted = format.checksum === 'crc32c';
    const wanted = inverted ? ~header.crc : header.crc | 0;
    const register = new RunningRegister(inverted ? ~header.timestamp : header.timestamp | 0);
    const matches: number[] = [];
    for (let length = 0; length < most; ) {
      const at = window.have(message + length, 1);
      if (at < 0) break;
      const end = at + Math.min(most - length, window.available(message + length));
      length += register.run(window.bytes, at, end, wanted) - at;
      if (register.value === wanted && length > longerThan) matches.push(length);
    }
    return this.#bestLength(position, header, matches);
  }

  #bestLength(position: number, header: RawHeader, matches: readonly number[]): number | undefined {
    const { window, format } = this.#probe;
    let best: number | undefined;
    let bestRank = Number.POSITIVE_INFINITY;
    // The checksums of a message of zeros repeat: more matches than this are no evidence of anything.
    for (const length of matches.slice(0, 64)) {
      const leads = this.#probe.leads(position + format.headerBytes + length);
      const bits = differingBits(length, header.length);
      if (!leads) {
        // One of 65,535 lengths fits by chance once in 2^16 times, one of the 16 that differ in a bit once in 2^28.
        const at = bits === 1 ? window.have(position + format.headerBytes, length) : -1;
        if (at < 0 || !this.#isWellFormed(at, length)) continue;
      }
      const rank = (leads ? 0 : 32) + bits;
      if (rank > bestRank) continue;
      best = length;
      bestRank = rank;
    }
    return best;
  }

  /** Takes from the budget; false when nothing is left of it. @param position how far the file has been passed */
  #spend(bytes: number, position: number): boolean {
    if (this.#spent > BUDGET_AT_START_BYTES + BUDGET_PER_BYTE * (position - this.#from)) return false;
    this.#spent += bytes;
    return true;
  }

  #looksLikeHeader(at: number): boolean {
    const { bytes } = this.#probe.window;
    return readU16(bytes, at + 2) >= 2 && (readU16(bytes, at) & ~this.#probe.format.flags) === 0;
  }
}
