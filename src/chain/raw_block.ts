/**
 * Reads a raw block (the bytes that bitcoin nodes send each other) as far as gossip needs it: is it the block that was asked for,
 * and which of its inputs spend something that looks like a channel's funding output?
 *
 * block_follower.ts hands in the bytes that a backend gave and passes on what was found. Such an input shows, as the last item of
 * its witness, the 71 bytes of a two-of-two script over the channel's bitcoin keys (BOLT 3, Funding Transaction Output); so the
 * keys of a closed channel can be read off the chain without knowing its transaction (B7-43).
 *
 * Pure, and every byte is looked at once: 4 MB in some 30 ms, of which most is hashing the transactions for the merkle root. A backend
 * that gives other transactions than the header says is caught; witnesses are not under that root, and whoever acts on a
 * spend confirms it with the UtxoLookup. What is wrong with the bytes is a value, never an exception.
 * Bounds: MAX_BLOCK_BYTES; one entry for each matching input, at most 4,000,000 / 114 = 35,087 (36 bytes of outpoint, 1 of script
 * length, 4 of sequence, 1 of item count, 1 of item length and the 71 bytes).
 */
import { compareBytes } from '../base/bytes.ts';
import { doubleSha256 } from '../crypto/hash.ts';
import { hashToText } from './hash_text.ts';

/** The weight limit of 4,000,000 units; a byte weighs at least one. */
export const MAX_BLOCK_BYTES = 4_000_000;
export const BLOCK_HEADER_BYTES = 80;

const HASH_BYTES = 32;
const OUTPOINT_BYTES = 36;
const FUNDING_SCRIPT_BYTES = 71;
const OP_2 = 0x52;
const OP_CHECKMULTISIG = 0xae;
const KEY_PUSH = 33;
/** An input without script: outpoint, length, sequence. */
const LEAST_INPUT_BYTES = 41;
/** An output without script: value, length. */
const LEAST_OUTPUT_BYTES = 9;
/** A transaction with one input and one output. */
const LEAST_TRANSACTION_BYTES = 10 + LEAST_INPUT_BYTES + LEAST_OUTPUT_BYTES;

/** An input that spends a two-of-two of compressed keys. Positions are in the bytes of the block. */
export interface FundingSpend {
  /** Where the first key's 33 bytes begin. */
  readonly key1At: number;
  readonly key2At: number;
  /** Where the spent transaction's id begins: 32 bytes in the order in which they are hashed. */
  readonly txidAt: number;
  /** Index of the spent output. */
  readonly vout: number;
}

export interface RawBlock {
  /** 64 hex digits as people write them; likewise `previous`. */
  readonly hash: string;
  readonly previous: string;
  readonly transactions: number;
  readonly spends: readonly FundingSpend[];
}

export type BlockFault = 'too_large' | 'malformed' | 'other_block' | 'merkle_root_mismatch';

/** Walks over the bytes. Once something does not fit, `failed` stays true and every further answer is 0. */
class BlockReader {
  readonly bytes: Uint8Array;
  at: number;
  failed = false;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  skip(length: number): void {
    if (length > this.bytes.length - this.at) this.failed = true;
    else this.at += length;
  }

  u32(): number {
    const at = this.at;
    this.skip(4);
    return this.failed ? 0 : this.#little(at, 4);
  }

  /** A compact size in its shortest form. What would not fit the bytes fails, so that the answer is a safe number. */
  size(): number {
    const head = this.bytes[this.at];
    if (head === undefined) {
      this.failed = true;
      return 0;
    }
    if (head < 0xfd) {
      this.at++;
      return head;
    }
    const width = head === 0xfd ? 2 : 4;
    const from = this.at + 1;
    // Eight bytes stand for four gigabytes and more.
    if (head === 0xff) this.failed = true;
    else this.skip(1 + width);
    if (this.failed) return 0;
    const value = this.#little(from, width);
    if (value < (width === 2 ? 0xfd : 0x10000)) this.failed = true;
    return this.failed ? 0 : value;
  }

  /** How many things follow, each of at least so many bytes. */
  count(leastBytes: number): number {
    const count = this.size();
    if (count * leastBytes > this.bytes.length - this.at) this.failed = true;
    return this.failed ? 0 : count;
  }

  #little(at: number, width: number): number {
    let value = 0;
    for (let index = width - 1; index >= 0; index--) value = value * 256 + (this.bytes[at + index] as number);
    return value;
  }
}

const isFundingScript = (bytes: Uint8Array, at: number): boolean =>
  bytes[at] === OP_2 &&
  bytes[at + 1] === KEY_PUSH &&
  bytes[at + 35] === KEY_PUSH &&
  bytes[at + 69] === OP_2 &&
  bytes[at + 70] === OP_CHECKMULTISIG;

const readWitness = (reader: BlockReader, outpointAt: number, spends: FundingSpend[]): void => {
  const items = reader.count(1);
  let lastAt = 0;
  let lastLength = 0;
  for (let item = 0; item < items && !reader.failed; item++) {
    lastLength = reader.size();
    lastAt = reader.at;
    reader.skip(lastLength);
  }
  if (reader.failed || lastLength !== FUNDING_SCRIPT_BYTES || !isFundingScript(reader.bytes, lastAt)) return;
  const vout = new BlockReader(reader.bytes, outpointAt + HASH_BYTES).u32();
  spends.push({ key1At: lastAt + 2, key2At: lastAt + 36, txidAt: outpointAt, vout });
};

/** The bytes that a transaction's id is the hash of: all of it, or for one with witnesses all but these. */
const withoutWitness = (bytes: Uint8Array, from: number, bodyEnd: number, end: number): Uint8Array => {
  const stripped = new Uint8Array(4 + (bodyEnd - from - 6) + 4);
  stripped.set(bytes.subarray(from, from + 4));
  stripped.set(bytes.subarray(from + 6, bodyEnd), 4);
  stripped.set(bytes.subarray(end - 4, end), stripped.length - 4);
  return stripped;
};

/** The transaction's id in internal order; undefined when the reader has failed. */
const readTransaction = (reader: BlockReader, spends: FundingSpend[]): Uint8Array | undefined => {
  const { bytes, at: from } = reader;
  reader.skip(4);
  const isSegwit = bytes[reader.at] === 0 && bytes[reader.at + 1] === 1;
  if (isSegwit) reader.skip(2);
  const inputs = reader.count(LEAST_INPUT_BYTES);
  const outpoints: number[] = [];
  for (let input = 0; input < inputs && !reader.failed; input++) {
    outpoints.push(reader.at);
    reader.skip(OUTPOINT_BYTES);
    reader.skip(reader.size());
    reader.skip(4);
  }
  const outputs = reader.count(LEAST_OUTPUT_BYTES);
  for (let output = 0; output < outputs && !reader.failed; output++) {
    reader.skip(8);
    reader.skip(reader.size());
  }
  const bodyEnd = reader.at;
  if (isSegwit) for (const outpointAt of outpoints) readWitness(reader, outpointAt, spends);
  reader.skip(4);
  if (reader.failed || inputs === 0 || outputs === 0) return undefined;
  const end = reader.at;
  return doubleSha256(isSegwit ? withoutWitness(bytes, from, bodyEnd, end) : bytes.subarray(from, end));
};

/** Of at least one id; the last of an odd row stands for two. Overwrites the array. */
const merkleRoot = (row: Uint8Array[]): Uint8Array => {
  const pair = new Uint8Array(2 * HASH_BYTES);
  for (let length = row.length; length > 1; length = Math.ceil(length / 2)) {
    for (let index = 0; index * 2 < length; index++) {
      const left = row[index * 2] as Uint8Array;
      pair.set(left);
      pair.set(index * 2 + 1 < length ? (row[index * 2 + 1] as Uint8Array) : left, HASH_BYTES);
      row[index] = doubleSha256(pair);
    }
  }
  return row[0] as Uint8Array;
};

/**
 * Reads a whole block. Borrows the bytes; positions in the answer are valid as long as they are.
 *
 * @param expected hash of the block that was asked for, as people write it
 */
export const readRawBlock = (bytes: Uint8Array, expected: string): RawBlock | BlockFault => {
  if (bytes.length > MAX_BLOCK_BYTES) return 'too_large';
  if (bytes.length < BLOCK_HEADER_BYTES) return 'malformed';
  const hash = hashToText(doubleSha256(bytes.subarray(0, BLOCK_HEADER_BYTES)));
  if (hash !== expected) return 'other_block';
  const reader = new BlockReader(bytes, BLOCK_HEADER_BYTES);
  const count = reader.count(LEAST_TRANSACTION_BYTES);
  const spends: FundingSpend[] = [];
  const ids: Uint8Array[] = [];
  for (let index = 0; index < count; index++) {
    const id = readTransaction(reader, spends);
    if (id === undefined) return 'malformed';
    ids.push(id);
  }
  if (reader.failed || count === 0 || reader.at !== bytes.length) return 'malformed';
  const root = merkleRoot(ids);
  const rootAt = 4 + HASH_BYTES;
  if (compareBytes(root, 0, bytes, rootAt, HASH_BYTES) !== 0) return 'merkle_root_mismatch';
  return { hash, previous: hashToText(bytes.subarray(4, 4 + HASH_BYTES)), transactions: count, spends };
};
