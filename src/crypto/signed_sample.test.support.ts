/**
 * Signed messages of gossip's shape for this folder's tests and for bench/verify: an arbitrary body after one to four good
 * signatures, with the keys they belong to. Made from a seed, so that a failing case can be made again.
 *
 * They are no valid gossip: the body is random bytes. Nothing in the daemon uses this.
 */
import { concatBytes, writeU16 } from '../base/bytes.ts';
import { type Rng, seededRng } from '../base/rng.ts';
import type { SignatureEngine } from './engine.ts';
import { doubleSha256 } from './hash.ts';
import { SECRET_KEY_BYTES } from './sizes.ts';

export interface SignedSample {
  /** Two type bytes, the signatures, the signed body. */
  readonly raw: Uint8Array;
  readonly signatureCount: number;
  /** One 33-byte key per signature. */
  readonly keys: Uint8Array;
}

/** Signs `bodyBytes` random bytes with `signatureCount` random keys. */
export const signedSample = (
  engine: SignatureEngine,
  rng: Rng,
  signatureCount: number,
  bodyBytes: number,
): SignedSample => {
  const body = rng.bytes(bodyBytes);
  const hash = doubleSha256(body);
  const secrets = Array.from({ length: signatureCount }, () => rng.bytes(SECRET_KEY_BYTES));
  const type = new Uint8Array(2);
  writeU16(type, 0, signatureCount === 4 ? 256 : 258);
  return {
    raw: concatBytes(type, ...secrets.map((secret) => engine.sign(hash, secret)), body),
    signatureCount,
    keys: concatBytes(...secrets.map((secret) => engine.publicKey(secret))),
  };
};

/** Announcements with four signatures over 172 bytes (430 in all) and updates with one over 72 (138), in turns. */
export const signedSamples = (engine: SignatureEngine, seed: number, count: number): SignedSample[] => {
  const rng = seededRng(seed);
  return Array.from({ length: count }, (_, index) =>
    index % 2 === 0 ? signedSample(engine, rng, 4, 172) : signedSample(engine, rng, 1, 72),
  );
};
