/**
 * Layout of a version-16 gossip_store: the version byte, record headers, and the sizes that follow from them.
 *
 * Used by everything in store/. A file is one version byte, then records without gaps. A header (big-endian) is u16 flags,
 * u16 length, u32 crc, u32 timestamp; the message follows. The crc is CRC-32C of the message, continued from the header's
 * timestamp; flags and length are guarded by nothing. The first record is the file's uuid.
 * Positions: a "header position" counts to the first header byte, a StoreOffset to the message (12 more), as CLN counts.
 */
import { readU16, writeU16, writeU32 } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import { crc32c } from '../wire/crc32c.ts';
import { CHANNEL_AMOUNT_BYTES, encodeUuid, STORE_UUID_BYTES } from '../wire/gossip_store_messages.ts';
import { FLAG_COMPLETED, RECORD_HEADER_BYTES } from '../wire/store_record.ts';

/** The version byte: major 0 in the three upper bits, minor 16. */
export const STORE_VERSION = 16;
export const STORE_NAME = 'gossip_store';
/** Header position of the first record. */
export const FIRST_RECORD_POSITION = 1;
export const UUID_BYTES = 32;
/** 46: the uuid record with its header. */
export const UUID_RECORD_BYTES = RECORD_HEADER_BYTES + STORE_UUID_BYTES;
/** 47: a store without gossip. CLN's readers refuse a successor file that is shorter. */
export const EMPTY_STORE_BYTES = FIRST_RECORD_POSITION + UUID_RECORD_BYTES;
/** 22: an amount record with its header. */
export const AMOUNT_RECORD_BYTES = RECORD_HEADER_BYTES + CHANNEL_AMOUNT_BYTES;
/** 65,547: what a 16-bit length allows. */
export const MAX_RECORD_BYTES = RECORD_HEADER_BYTES + 0xffff;

/** All flags in use live in the header's first byte; the byte is what a flag change writes. */
export const flagByte = (flags: number): number => flags >>> 8;

export const headerFlags = (bytes: Uint8Array, at: number): number => readU16(bytes, at);
/** Message length. */
export const headerLength = (bytes: Uint8Array, at: number): number => readU16(bytes, at + 2);

/** Writes the 12 header bytes at `at` for the message that is already in place behind them. */
export const writeHeader = (
  bytes: Uint8Array,
  at: number,
  flags: number,
  length: number,
  timestamp: number,
): void => {
  const message = at + RECORD_HEADER_BYTES;
  writeU16(bytes, at, flags);
  writeU16(bytes, at + 2, length);
  writeU32(bytes, at + 4, crc32c(timestamp, bytes, message, message + length));
  writeU32(bytes, at + 8, timestamp);
};

/** Puts a whole record at `at`; returns the index behind it. */
export const writeRecord = (
  bytes: Uint8Array,
  at: number,
  flags: number,
  timestamp: number,
  message: Uint8Array,
): number => {
  bytes.set(message, at + RECORD_HEADER_BYTES);
  writeHeader(bytes, at, flags, message.length, timestamp);
  return at + RECORD_HEADER_BYTES + message.length;
};

/** A record on its own, COMPLETED. */
export const encodeRecord = (timestamp: number, message: Uint8Array, flags = FLAG_COMPLETED): Uint8Array => {
  const bytes = new Uint8Array(RECORD_HEADER_BYTES + message.length);
  writeRecord(bytes, 0, flags, timestamp, message);
  return bytes;
};

/** The 47 bytes of a store without gossip. @param uuid 32 bytes */
export const encodeEmptyStore = (uuid: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(EMPTY_STORE_BYTES);
  bytes[0] = STORE_VERSION;
  bytes.set(encodeRecord(0, encodeUuid(uuid)), FIRST_RECORD_POSITION);
  return bytes;
};

/** Throws OperationalError `store_version_unsupported` for any version byte but 16. */
export const requireVersion = (version: number, path: string): void => {
  if (version === STORE_VERSION) return;
  throw new OperationalError(
    'store_version_unsupported',
    'stop',
    `${path} has version ${version}; this program reads version ${STORE_VERSION}. The file was left as it is.`,
    `Move ${path} aside and start again: it holds no funds, and the map is fetched again from peers.`,
  );
};
