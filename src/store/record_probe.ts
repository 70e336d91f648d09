/**
 * RecordProbe: is there a record at this position? The questions that the salvage reader and its searches ask of a file.
 *
 * Three degrees: a header `frames` when flags, type and length are possible for the version (by chance one position in
 * 2^24 or fewer); a record `verifies` when its checksum is right as well; a position `leads` on when it is the limit or one of the
 * two holds there. Long checksums are taken from PrefixChecksums, so that each question costs at most some
 * hundred nanoseconds, besides one pass over the bytes.
 */
import { readU16, readU32 } from '../base/bytes.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { OBSOLETE_TYPE, SHORT_CHANNEL_UPDATE_BYTES } from '../wire/obsolete_store_messages.ts';
import {
  GOSSIP_STORE_CHAN_DYING,
  GOSSIP_STORE_CHANNEL_AMOUNT,
  GOSSIP_STORE_DELETE_CHAN,
  GOSSIP_STORE_ENDED,
  GOSSIP_STORE_UUID,
} from '../wire/store_record.ts';
import type { FileWindow } from './file_window.ts';
import { PrefixChecksums } from './prefix_checksums.ts';
import { recordChecksum, type StoreFormat } from './versions.ts';

const MAX_LENGTH = 0xffff;

/** Lengths that a well formed message can have: [type, least, most]. */
const LENGTHS: readonly (readonly [number, number, number])[] = [
  [MESSAGE_TYPE.channel_announcement, 432, MAX_LENGTH],
  [MESSAGE_TYPE.node_announcement, 142, MAX_LENGTH],
  [MESSAGE_TYPE.channel_update, SHORT_CHANNEL_UPDATE_BYTES, MAX_LENGTH],
  [GOSSIP_STORE_CHANNEL_AMOUNT, 10, 10],
  [GOSSIP_STORE_DELETE_CHAN, 10, MAX_LENGTH],
  [GOSSIP_STORE_ENDED, 10, 42],
  [GOSSIP_STORE_CHAN_DYING, 14, 14],
  [GOSSIP_STORE_UUID, 34, 34],
  [OBSOLETE_TYPE.local_add_channel, 51, MAX_LENGTH],
  [OBSOLETE_TYPE.wrapped_channel_announcement, 444, MAX_LENGTH],
  [OBSOLETE_TYPE.wrapped_channel_update, 134, MAX_LENGTH],
  [OBSOLETE_TYPE.wrapped_node_announcement, 146, MAX_LENGTH],
  [OBSOLETE_TYPE.wrapped_channel_delete, 10, 10],
  [OBSOLETE_TYPE.wrapped_local_add_channel, 4, MAX_LENGTH],
  [OBSOLETE_TYPE.private_update, 134, MAX_LENGTH],
  [OBSOLETE_TYPE.private_channel, 444, MAX_LENGTH],
];

/** No type lies above; 4 KiB of table. */
const TYPES = 4108;

/** Up to this length a checksum is computed over its own range: it costs no more than looking it up. */
const SHORT_BYTES = 160;

/** The fields of a header, wherever they lead. */
export interface RawHeader {
  readonly flags: number;
  readonly length: number;
  readonly crc: number;
  /** 0 where headers have none. */
  readonly timestamp: number;
  /** 0 in front of the limit. */
  readonly type: number;
}

export class RecordProbe {
  readonly window: FileWindow;
  readonly format: StoreFormat;
  readonly #headerBytes: number;
  readonly #badFlags: number;
  readonly #prefixes: PrefixChecksums;
  /** Of each type: the least length, 0 for a type that this version does not have; and the greatest. */
  readonly #least = new Uint16Array(TYPES);
  readonly #most = new Uint16Array(TYPES);

  constructor(window: FileWindow, format: StoreFormat) {
    this.window = window;
    this.format = format;
    this.#headerBytes = format.headerBytes;
    this.#badFlags = 0xffff & ~format.flags;
    this.#prefixes = new PrefixChecksums(window);
    for (const [type, least, most] of LENGTHS) {
      if (!format.types.has(type)) continue;
      this.#least[type] = least;
      this.#most[type] = most;
    }
  }

  /** Whether this version has records of the type. */
  hasType(type: number): boolean {
    return type < TYPES && this.#least[type] !== 0;
  }

  /** Whether the type can have a message of this length. */
  fitsType(type: number, length: number): boolean {
    return (
      this.hasType(type) && length >= (this.#least[type] as number) && length <= (this.#most[type] as number)
    );
  }

  /** Undefined when the header, without the type behind it, reaches beyond the limit. */
  header(position: number): RawHeader | undefined {
    const { window } = this;
    const header = this.#headerBytes;
    const at = window.have(position, header);
    if (at < 0) return undefined;
    const { bytes } = window;
    const flags = readU16(bytes, at);
    const length = readU16(bytes, at + 2);
    const crc = readU32(bytes, at + 4);
    const timestamp = header === 12 ? readU32(bytes, at + 8) : 0;
    const typeAt = window.have(position + header, 2);
    return { flags, length, crc, timestamp, type: typeAt < 0 ? 0 : readU16(bytes, typeAt) };
  }

  /** Flags, type and length are possible for the version; whether the record ends in front of the limit is not asked. */
  frames(position: number): boolean {
    const at = this.window.have(position, this.#headerBytes + 2);
    return at >= 0 && this.framesAt(at);
  }

  /** Likewise for a header, and the type behind it, that lie in the window's bytes. */
  framesAt(at: number): boolean {
    const { bytes } = this.window;
    if ((readU16(bytes, at) & this.#badFlags) !== 0) return false;
    const type = readU16(bytes, at + this.#headerBytes);
    return type < TYPES && this.fitsType(type, readU16(bytes, at + 2));
  }

  /** The checksum that a header with this timestamp should hold; undefined when the message reaches beyond the limit. */
  checksum(position: number, length: number, timestamp: number): number | undefined {
    const { window, format } = this;
    const message = position + this.#headerBytes;
    if (length <= SHORT_BYTES) {
      const at = window.have(message, length);
      return at < 0 ? undefined : recordChecksum(format, timestamp, window.bytes, at, at + length);
    }
    if (format.checksum === 'crc32c') {
      const register = this.#prefixes.over(~timestamp, message, length);
      return register === undefined ? undefined : ~register >>> 0;
    }
    const register = this.#prefixes.over(this.#headerBytes === 12 ? timestamp : 0, message, length);
    return register === undefined ? undefined : register >>> 0;
  }

  /** The record lies in front of the limit, its type is known and its checksum right. Flags do not matter. */
  verifies(position: number): boolean {
    const header = this.header(position);
    return (
      header !== undefined &&
      header.length >= 2 &&
      this.hasType(header.type) &&
      this.checksum(position, header.length, header.timestamp) === header.crc
    );
  }

  /** Reading can go on here: it is the limit, or a record that verifies, or a header that frames. */
  leads(position: number): boolean {
    return position === this.window.limit || this.frames(position) || this.verifies(position);
  }

  /** Finds a whole record for certain: its flags are possible, and its message is well formed or more follows. */
  isRecord(position: number, isWellFormed: (at: number, length: number) => boolean): boolean {
    const at = this.window.have(position, this.#headerBytes + 2);
    if (at < 0 || (readU16(this.window.bytes, at) & this.#badFlags) !== 0 || !this.verifies(position))
      return false;
    const header = this.header(position);
    if (header === undefined) return false;
    const message = this.window.have(position + this.#headerBytes, header.length);
    if (message < 0) return false;
    return isWellFormed(message, header.length) || this.leads(position + this.#headerBytes + header.length);
  }
}
