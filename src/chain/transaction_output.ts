/**
 * Reads a bitcoin transaction as it is sent: its txid, one of its outputs, and whether it spends a given output.
 *
 * electrum.ts and esplora.ts hand it bytes of servers that nobody vouches for. Nothing is unpacked: a view remembers where inputs
 * and outputs begin, and questions walk the bytes. Every read is checked against the end; an input takes at least 41 bytes and an
 * output 9, so a walk is bounded by the length of the bytes whatever the counts claim. Formats: BIP 144 and before it.
 */
import { bytesEqual, concatBytes, own } from '../base/bytes.ts';
import { doubleSha256 } from '../crypto/hash.ts';

/** A transaction whose bytes are well formed up to the last one. Borrows them. */
export interface TransactionView {
  readonly raw: Uint8Array;
  /** 32 bytes in the order in which they are hashed: over the bytes without the witness. */
  readonly txid: Uint8Array;
  /** Length of what the txid is the hash of. */
  readonly strippedBytes: number;
  readonly inputCount: number;
  readonly inputsAt: number;
  readonly outputCount: number;
  readonly outputsAt: number;
}

export interface TransactionOutput {
  /** scriptPubKey, a copy. */
  readonly script: Uint8Array;
  readonly satoshis: bigint;
}

const OUTPOINT_BYTES = 36;
const U32_BYTES = 4;
const U64_BYTES = 8;

/** What `at` becomes when the bytes end too early or a count is absurd. */
const BROKEN = -1;

const readU32Le = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)) >>>
  0;

/** Bytes that a compact size takes, by its first byte. */
const compactBytes = (first: number): number => {
  if (first < 0xfd) return 1;
  if (first === 0xfd) return 3;
  return first === 0xfe ? 5 : 9;
};

/** A compact size; BROKEN when it does not fit or is above 2^32, which no transaction can hold. */
const readCompact = (raw: Uint8Array, at: number): number => {
  const first = raw[at];
  if (at < 0 || first === undefined) return BROKEN;
  const size = compactBytes(first);
  if (at + size > raw.length) return BROKEN;
  if (size === 1) return first;
  if (size === 3) return (raw[at + 1] as number) | ((raw[at + 2] as number) << 8);
  if (size === 9 && readU32Le(raw, at + 5) !== 0) return BROKEN;
  return readU32Le(raw, at + 1);
};

const afterCompact = (raw: Uint8Array, at: number): number => at + compactBytes(raw[at] as number);

/** Past a compact size and that many bytes. */
const skipBytes = (raw: Uint8Array, at: number): number => {
  const length = readCompact(raw, at);
  if (length === BROKEN) return BROKEN;
  const end = afterCompact(raw, at) + length;
  return end > raw.length ? BROKEN : end;
};

const skipInput = (raw: Uint8Array, at: number): number => {
  const end = skipBytes(raw, at + OUTPOINT_BYTES);
  return end === BROKEN || end + U32_BYTES > raw.length ? BROKEN : end + U32_BYTES;
};

const skipOutput = (raw: Uint8Array, at: number): number => skipBytes(raw, at + U64_BYTES);

const skipMany = (
  raw: Uint8Array,
  from: number,
  count: number,
  skip: (raw: Uint8Array, at: number) => number,
): number => {
  let at = from;
  for (let index = 0; index < count && at !== BROKEN; index++) at = skip(raw, at);
  return at;
};

/** Past one input's witness. */
const skipWitness = (raw: Uint8Array, at: number): number => {
  const items = readCompact(raw, at);
  return items === BROKEN ? BROKEN : skipMany(raw, afterCompact(raw, at), items, skipBytes);
};

/** Undefined when the bytes are no whole transaction, or more than one. Linear in their length. */
export const readTransaction = (raw: Uint8Array): TransactionView | undefined => {
  if (raw.length < U32_BYTES + 2) return undefined;
  const isSegwit = raw[4] === 0x00;
  if (isSegwit && raw[5] !== 0x01) return undefined;
  const bodyAt = isSegwit ? 6 : 4;
  const inputCount = readCompact(raw, bodyAt);
  if (inputCount <= 0) return undefined;
  const inputsAt = afterCompact(raw, bodyAt);
  const outputCountAt = skipMany(raw, inputsAt, inputCount, skipInput);
  const outputCount = readCompact(raw, outputCountAt);
  if (outputCount === BROKEN) return undefined;
  const outputsAt = afterCompact(raw, outputCountAt);
  const bodyEnd = skipMany(raw, outputsAt, outputCount, skipOutput);
  if (bodyEnd === BROKEN) return undefined;
  const locktimeAt = isSegwit ? skipMany(raw, bodyEnd, inputCount, skipWitness) : bodyEnd;
  if (locktimeAt === BROKEN || locktimeAt + U32_BYTES !== raw.length) return undefined;
  const stripped = isSegwit
    ? concatBytes(raw.subarray(0, 4), raw.subarray(bodyAt, bodyEnd), raw.subarray(locktimeAt))
    : raw;
  return {
    raw,
    txid: own(doubleSha256(stripped)),
    strippedBytes: stripped.length,
    inputCount,
    inputsAt,
    outputCount,
    outputsAt,
  };
};

/** Undefined when the transaction has no such output. */
export const transactionOutput = (view: TransactionView, vout: number): TransactionOutput | undefined => {
  const { raw, outputCount, outputsAt } = view;
  if (vout < 0 || vout >= outputCount) return undefined;
  const at = skipMany(raw, outputsAt, vout, skipOutput);
  const satoshis = BigInt(readU32Le(raw, at)) | (BigInt(readU32Le(raw, at + 4)) << 32n);
  const scriptAt = afterCompact(raw, at + U64_BYTES);
  return { satoshis, script: own(raw.subarray(scriptAt, skipOutput(raw, at))) };
};

/** True if an input spends output `vout` of the transaction `txid` (32 bytes as hashed). */
export const spendsOutput = (view: TransactionView, txid: Uint8Array, vout: number): boolean => {
  const { raw, inputCount, inputsAt } = view;
  let at = inputsAt;
  for (let index = 0; index < inputCount; index++) {
    if (readU32Le(raw, at + 32) === vout && bytesEqual(raw.subarray(at, at + 32), txid)) return true;
    at = skipInput(raw, at);
  }
  return false;
};
