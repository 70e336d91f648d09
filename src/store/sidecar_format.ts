/**
 * Layout of NAME.index, the sidecar of a gossip_store: what the store's own format leaves unprotected, kept a second time.
 *
 * sidecar_writer writes it, sidecar_reader reads it, both through the numbers here. A header of 64 bytes, then blocks, each
 * appended by one write and never changed. A block has entries (one for each record of the store, in file order, without
 * holes) and changes (flags and timestamps of entries of earlier blocks), as columns, so that loading is copying.
 * Every block has a checksum of its own, that of the block before it, and its number: a lost, repeated or moved block is
 * noticed. Integers are in the machine's own byte order: a sidecar that comes from another kind of machine has the wrong
 * magic, and is made anew like any other that does not fit.
 */
import { crc32c } from '../wire/crc32c.ts';
import { RECORD_HEADER_BYTES } from '../wire/store_record.ts';

/** The sidecar of the store file `name`. */
export const sidecarName = (name: string): string => `${name}.index`;
/** A sidecar that is being written anew. */
export const sidecarDraftName = (name: string): string => `${name}.index.tmp`;

export const SIDECAR_HEADER_BYTES = 64;
const SIDECAR_MAGIC = 0x58534755;
const SIDECAR_FORMAT = 1;
const SIDECAR_UUID_BYTES = 32;

/** 48 bytes: twelve words of 32 bits, of which the last four are two doubles. */
export const BLOCK_HEADER_BYTES = 48;
export const BLOCK_MAGIC = 0x4b4c4255;
/** Most entries, and most changes, of one block. A full one has 160 KiB. */
export const BLOCK_ENTRIES = 4096;
export const BLOCK_CHANGES = 4096;

/** Indexes of the words of a block's header. The crc covers everything behind it. A seal notes how much of the store is dead. */
export const WORD = {
  magic: 0,
  crc: 1,
  previous: 2,
  sequence: 3,
  entries: 4,
  changes: 5,
  kind: 6,
  note: 7,
} as const;
/** Indexes of its doubles: header positions where the first entry starts and where the last one ends. */
export const START_DOUBLE = 4;
export const END_DOUBLE = 5;

export const BLOCK_KIND = { data: 0, sealed: 1, opened: 2 } as const;

/** crc, timestamp, key (two halves), length, type, flags. */
export const ENTRY_BYTES = 4 * 4 + 3 * 2;
/** position, crc, timestamp, flags. */
export const CHANGE_BYTES = 8 + 2 * 4 + 2;
export const LARGEST_BLOCK_BYTES =
  BLOCK_HEADER_BYTES + BLOCK_ENTRIES * ENTRY_BYTES + BLOCK_CHANGES * CHANGE_BYTES + 8;

/** Bytes of a block: a multiple of eight, so that columns can be looked at in place. */
export const blockSize = (entries: number, changes: number): number =>
  Math.ceil((BLOCK_HEADER_BYTES + entries * ENTRY_BYTES + changes * CHANGE_BYTES) / 8) * 8;

/** In the flags of an entry: all flags of the store lie in the upper byte; the lower one is free for what follows. */
export const ENTRY_FLAGS = 0xff00;
export const ENTRY_DIRECTION = 0x0001;
/** No record: bytes of the store that the index knows nothing of. Their count is in the key. */
export const ENTRY_GAP = 0x0002;
/** Deleted records in a row. Their bytes, headers included, are in the key, their number in the crc. */
export const ENTRY_RUN = 0x0004;
export const ENTRY_NO_RECORD = ENTRY_GAP | ENTRY_RUN;

/** 2^32: positions are kept as a low half and a list of the entries at which the high half grows. */
export const HIGH_HALF = 4_294_967_296;

/** Bytes of the store that an entry stands for. */
export const entrySpan = (flags: number, length: number, keyHi: number, keyLo: number): number =>
  (flags & ENTRY_NO_RECORD) === 0 ? RECORD_HEADER_BYTES + length : keyHi * HIGH_HALF + keyLo;

/** The 64 bytes in front of the blocks. @param uuid 32 bytes that tell this store from others */
export const encodeSidecarHeader = (uuid: Uint8Array, storeVersion: number): Uint8Array => {
  const bytes = new Uint8Array(SIDECAR_HEADER_BYTES);
  const words = new Uint32Array(bytes.buffer);
  words[0] = SIDECAR_MAGIC;
  words[2] = SIDECAR_FORMAT;
  words[3] = storeVersion;
  bytes.set(uuid.subarray(0, SIDECAR_UUID_BYTES), 16);
  words[1] = sidecarHeaderCrc(bytes);
  return bytes;
};

/** Of the 64 bytes; the first block continues the chain from it. */
export const sidecarHeaderCrc = (header: Uint8Array): number => crc32c(0, header, 8, SIDECAR_HEADER_BYTES);

/** What a header says about the file behind it. @param header its 64 bytes, in an array of their own */
export const judgeSidecarHeader = (
  header: Uint8Array,
  uuid: Uint8Array,
  storeVersion: number,
): 'ours' | 'other_file' | 'damaged' => {
  const words = new Uint32Array(header.buffer, header.byteOffset, 4);
  if (words[0] !== SIDECAR_MAGIC || words[1] !== sidecarHeaderCrc(header)) return 'damaged';
  const wanted = encodeSidecarHeader(uuid, storeVersion);
  return header.every((byte, index) => byte === wanted[index]) ? 'ours' : 'other_file';
};
