/**
 * Reads a block header of 80 bytes and judges its proof of work, so that a server cannot make up blocks for the price of a hash.
 *
 * electrum_headers.ts hands in what an Electrum server sent. A header must meet the target of its own nBits, which must lie within
 * the limit of the network. On bitcoin that alone would let anybody mine at difficulty 1; since no channel is older than segwit,
 * headers from its activation on must have at least the work of the easiest period around it (difficulty 860,221,984,436 in August 2017;
 * it has been higher ever since). Retargeting and the chain before a header are not followed.
 */
import type { NetworkName } from '../base/chain_hash.ts';
import { doubleSha256 } from '../crypto/hash.ts';
import { hashToText } from './hash_text.ts';

export const HEADER_BYTES = 80;

export interface BlockHeader {
  /** As people write it. */
  readonly hash: string;
  /** Hash of the block before, as people write it. */
  readonly previous: string;
  /** 32 bytes as hashed; a copy. */
  readonly merkleRoot: Uint8Array;
  /** Seconds since 1970, as its miner says. */
  readonly time: number;
  /** nBits: the target in its compact form. */
  readonly bits: number;
}

/** Which work a header at a height must show: says what is wrong with it, or undefined. */
export type WorkRule = (header: BlockHeader, height: number) => string | undefined;

/** First block with segwit, where the first P2WSH output that is not anyone's can be (BIP 141, mainnet). */
const SEGWIT_HEIGHT = 481_824;
const SEGWIT_BITS = 0x18014735;

const LIMIT_BITS: Readonly<Record<NetworkName, number>> = {
  bitcoin: 0x1d00ffff,
  testnet: 0x1d00ffff,
  testnet4: 0x1d00ffff,
  signet: 0x1e0377ae,
  regtest: 0x207fffff,
};

/** The target of a compact form; undefined when it is negative, zero or above 256 bits. */
export const expandTarget = (bits: number): bigint | undefined => {
  const exponent = bits >>> 24;
  const mantissa = bits & 0x7fffff;
  if ((bits & 0x800000) !== 0 || mantissa === 0 || exponent > 32) return undefined;
  const target =
    exponent <= 3
      ? BigInt(mantissa) >> BigInt(8 * (3 - exponent))
      : BigInt(mantissa) << BigInt(8 * (exponent - 3));
  return target === 0n ? undefined : target;
};

/** Undefined when the bytes are not 80. */
export const readHeader = (raw: Uint8Array): BlockHeader | undefined => {
  if (raw.length !== HEADER_BYTES) return undefined;
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  return {
    hash: hashToText(doubleSha256(raw)),
    previous: hashToText(raw.subarray(4, 36)),
    merkleRoot: raw.slice(36, 68),
    time: view.getUint32(68, true),
    bits: view.getUint32(72, true),
  };
};

/** A chain whose last block is older is not complete: bitcoin never rested that long since 2009. */
const OLD_TIP_SECONDS = 24 * 3600;

/** True if a server with this tip must not say that a block does not exist. Regtest rests as long as it likes. */
export const isOldTip = (tip: BlockHeader, nowMs: number, network: NetworkName): boolean =>
  network !== 'regtest' && tip.time + OLD_TIP_SECONDS < nowMs / 1000;

/** The rule of a network; see the head of this file. */
export const workRuleOf = (network: NetworkName): WorkRule => {
  const limit = expandTarget(LIMIT_BITS[network]) ?? 0n;
  const segwitLimit = network === 'bitcoin' ? (expandTarget(SEGWIT_BITS) ?? 0n) : limit;
  return ({ hash, bits }, height) => {
    const target = expandTarget(bits);
    if (target === undefined) return 'its nBits is no target';
    if (target > (height >= SEGWIT_HEIGHT ? segwitLimit : limit))
      return `its target is too easy for ${network}`;
    return BigInt(`0x${hash}`) <= target ? undefined : 'it does not meet its own target';
  };
};
