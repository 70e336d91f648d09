/**
 * What a clean stop says at the end of NAME.index: the store was complete and durable up to here, and looked like this.
 *
 * opening asks for it before it loads the file: whoever kept something that was made from the store (the daemon's snapshot of the
 * map) knows by the token whether it is of just this file. Only header and last block of the index are read. The token is made of
 * the file's uuid, its length, and the checksum of that block, which is chained through all blocks before it, and so covers
 * length, flags and checksum of every record. Below version 16 files have no uuid, and there is no token.
 *
 * A token never outlives what it names, whatever the crash. The store changes in two ways only: records are appended, and the
 * length differs; or the file gets a successor, and the uuid differs. Flags and header timestamps of older records are written
 * only after an append that justifies them is durable with the file's new length; appends are never taken back, as a torn end is
 * left behind in a successor. The marks of a load are no exception: a stop is sealed only when none is left to be set. An index
 * that is gone on with gets a block at its end at once, and its seal is no longer the last block; as long as that
 * block is not durable, length and uuid decide. What changes the file outside of this (a bad disk, another program) is not seen
 * here, as no length shows it: the running store compares the whole file with the index, and scrubs it.
 */
import { bytesEqual, own, toHex } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import { EMPTY_STORE_BYTES, encodeEmptyStore, STORE_VERSION, UUID_BYTES } from './format.ts';
import { blockChecksum } from './sidecar_checksum.ts';
import {
  BLOCK_HEADER_BYTES,
  BLOCK_KIND,
  BLOCK_MAGIC,
  END_DOUBLE,
  judgeSidecarHeader,
  SIDECAR_HEADER_BYTES,
  START_DOUBLE,
  sidecarName,
  WORD,
} from './sidecar_format.ts';
import type { StoreFile, StoreFolder } from './store_file.ts';

export interface StoreSeal {
  readonly token: string;
  /** 32 bytes. */
  readonly uuid: Uint8Array;
  /** Length of the store. */
  readonly size: number;
  /** Of deleted records; 4 GiB - 1 stands for all that is more. */
  readonly deadBytes: number;
}

/** 86 hex digits. @param checksum of the sealing block */
export const sealToken = (uuid: Uint8Array, size: number, checksum: number): string =>
  toHex(uuid) + size.toString(16).padStart(14, '0') + checksum.toString(16).padStart(8, '0');

/**
 * The seal, if there is one and it is of just this file, of version 16. Never throws for what is in the files, or for what the
 * disk refuses.
 */
export const readSeal = (folder: StoreFolder, name: string, file: StoreFile): StoreSeal | undefined => {
  let index: StoreFile | undefined;
  try {
    const start = new Uint8Array(EMPTY_STORE_BYTES);
    if (file.read(start, 0, start.length, 0) < start.length) return undefined;
    const uuid = own(start.subarray(EMPTY_STORE_BYTES - UUID_BYTES));
    if (!bytesEqual(start, encodeEmptyStore(uuid)) || !folder.exists(sidecarName(name))) return undefined;
    index = folder.open(sidecarName(name), 'read');
    return sealAtEnd(index, uuid, file.size());
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
    return undefined;
  } finally {
    index?.close();
  }
};

const sealAtEnd = (index: StoreFile, uuid: Uint8Array, size: number): StoreSeal | undefined => {
  const header = new Uint8Array(SIDECAR_HEADER_BYTES);
  if (index.read(header, 0, header.length, 0) < header.length) return undefined;
  if (judgeSidecarHeader(header, uuid, STORE_VERSION) !== 'ours') return undefined;
  const block = new Uint8Array(BLOCK_HEADER_BYTES);
  const at = index.size() - block.length;
  // Every block, and the header, has a multiple of eight bytes.
  if (at < SIDECAR_HEADER_BYTES || at % 8 !== 0) return undefined;
  if (index.read(block, 0, block.length, at) < block.length) return undefined;
  const words = new Uint32Array(block.buffer);
  const doubles = new Float64Array(block.buffer);
  const checksum = words[WORD.crc] as number;
  const isSeal =
    words[WORD.magic] === BLOCK_MAGIC &&
    words[WORD.kind] === BLOCK_KIND.sealed &&
    words[WORD.entries] === 0 &&
    words[WORD.changes] === 0 &&
    doubles[START_DOUBLE] === size &&
    doubles[END_DOUBLE] === size &&
    blockChecksum(new Int32Array(block.buffer), 2, block.length / 4) === checksum;
  if (!isSeal) return undefined;
  return { token: sealToken(uuid, size, checksum), uuid, size, deadBytes: words[WORD.note] as number };
};
