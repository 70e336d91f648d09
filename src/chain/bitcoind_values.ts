/**
 * Reads the values in answers of bitcoind (RPC and REST) and of nodes that speak like it. Everything comes as `unknown`; what
 * has another shape than it should is undefined, never an exception.
 *
 * Hashes and txids are lowercase hex as people write them, the reverse of the order in which they are hashed; packed txids are in
 * the order in which they are hashed.
 */
import { toHex } from '../base/bytes.ts';
import type { NetworkName } from '../base/chain_hash.ts';
import { doubleSha256 } from '../crypto/hash.ts';
import { MAX_BLOCK_TXIDS, TXID_BYTES } from './block_txids_cache.ts';
import { MAX_BLOCK_BYTES } from './raw_block.ts';

/** 21 million bitcoin. */
const MAX_SATOSHIS = 2_100_000_000_000_000;
/** Outputs with longer scripts can never be spent, and no node keeps them in its set of unspent outputs. */
const MAX_SCRIPT_BYTES = 10_000;
/** A height has 24 bits in a short_channel_id; nodes count in 31 bits. */
const MAX_HEIGHT = 0x7fff_ffff;

/** A block's header. */
export const HEADER_BYTES = 80;

/** True when the bytes begin with the header that has this hash. What follows the header is for the reader of the block to judge. */
export const isBlockOf = (raw: Uint8Array, hash: string): boolean =>
  raw.length > HEADER_BYTES &&
  raw.length <= MAX_BLOCK_BYTES &&
  toHex(doubleSha256(raw.subarray(0, HEADER_BYTES)).reverse()) === hash;

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const readHash = (value: unknown): string | undefined =>
  typeof value === 'string' && /^[0-9a-fA-F]{64}$/.test(value) ? value.toLowerCase() : undefined;

export const readHeight = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_HEIGHT
    ? value
    : undefined;

/**
 * An amount in bitcoin, a JSON number such as 0.1 or 1e-8, as satoshi. Exact: up to 21 million, neighbouring doubles are at most
 * 2^-28 (3.7e-9) apart, so that the double that JSON.parse makes is less than half a satoshi (5e-9) from what was written, and toFixed
 * rounds the double's exact value. An amount with more than eight decimals is none.
 */
export const readBitcoinAmount = (value: unknown): bigint | undefined => {
  if (typeof value !== 'number' || !(value >= 0) || value > MAX_SATOSHIS / 1e8) return undefined;
  const text = value.toFixed(8);
  return Number(text) === value ? BigInt(text.replace('.', '')) : undefined;
};

/** Value of one hex digit; 255 for anything else. */
const nibble = (code: number): number => {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 0x20;
  return lower >= 97 && lower <= 102 ? lower - 87 : 255;
};

/** Bytes of an even number of hex digits: blocks have millions, so it goes digit by digit without making strings. */
export const readHex = (value: unknown, maxBytes: number): Uint8Array | undefined => {
  if (typeof value !== 'string' || value.length % 2 !== 0 || value.length > maxBytes * 2) return undefined;
  const bytes = new Uint8Array(value.length / 2);
  for (let index = 0; index < bytes.length; index++) {
    const high = nibble(value.charCodeAt(index * 2));
    const low = nibble(value.charCodeAt(index * 2 + 1));
    if (high === 255 || low === 255) return undefined;
    bytes[index] = high * 16 + low;
  }
  return bytes;
};

/** The script in `{ hex }` of a scriptPubKey object. */
export const readScript = (value: unknown): Uint8Array | undefined =>
  isRecord(value) ? readHex(value['hex'], MAX_SCRIPT_BYTES) : undefined;

/** The `tx` list of a block, packed; a fresh array. A block holds at least its coinbase. */
export const packTxids = (value: unknown): Uint8Array | undefined => {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_BLOCK_TXIDS) return undefined;
  const packed = new Uint8Array(value.length * TXID_BYTES);
  for (let index = 0; index < value.length; index++) {
    const text: unknown = value[index];
    if (typeof text !== 'string' || text.length !== TXID_BYTES * 2) return undefined;
    const txid = readHex(text, TXID_BYTES);
    if (txid === undefined) return undefined;
    packed.set(txid.reverse(), index * TXID_BYTES);
  }
  return packed;
};

export interface ChainInfo {
  /** As the service names it: `main`, `test`, `testnet4`, `signet`, `regtest`. */
  readonly chain: string;
  readonly height: number;
  readonly hash: string;
  /** The service says that it does not yet know the whole chain. */
  readonly isCatchingUp: boolean;
}

/** The answer to getblockchaininfo and to /rest/chaininfo.json. */
export const readChainInfo = (value: unknown): ChainInfo | undefined => {
  if (!isRecord(value)) return undefined;
  const chain = value['chain'];
  const height = readHeight(value['blocks']);
  const hash = readHash(value['bestblockhash']);
  if (typeof chain !== 'string' || chain.length > 32 || height === undefined || hash === undefined) {
    return undefined;
  }
  return { chain, height, hash, isCatchingUp: value['initialblockdownload'] === true };
};

/** bitcoind's names, and those of bcoin where they differ. */
export const CHAIN_NAMES: Readonly<Record<NetworkName, readonly string[]>> = {
  bitcoin: ['main'],
  testnet: ['test', 'testnet'],
  testnet4: ['testnet4'],
  signet: ['signet'],
  regtest: ['regtest'],
};
