/**
 * The SignatureEngine port: ECDSA over secp256k1 (verify, sign), public keys, and the ECDH of BOLT 8; and the choice between
 * its two implementations.
 *
 * `secp256k1` is libsecp256k1 as a prebuilt native module, `noble` is pure TypeScript and always there (see
 * docs/decisions/signature_engine.md). Both give the same answer to every input; a property test holds them to it.
 * Hands on to signature_check (gossip, BOLT 7) and to noise/ (handshakes, BOLT 8).
 * Invariant: no engine leaves this file before it has answered a set of known inputs correctly.
 */
import { bytesEqual, fromHex } from '../base/bytes.ts';
import { Bug } from '../base/errors.ts';
import { openNativeEngine } from './native_engine.ts';
import { nobleEngine } from './noble_engine.ts';
import { SIGNATURE_BYTES } from './sizes.ts';

/** Arguments are borrowed for the call; results are fresh arrays. Synchronous and without state between calls. */
export interface SignatureEngine {
  readonly name: 'secp256k1' | 'noble';
  /**
   * True only for a low-S signature by that key over that hash. Never throws: wrong lengths, r or s of zero or not below
   * the group order, high S, and keys that are no curve point are all false.
   * @param signature 64 bytes, r then s, big-endian @param hash 32 bytes @param publicKey 33 bytes, SEC 1 compressed
   */
  verify(signature: Uint8Array, hash: Uint8Array, publicKey: Uint8Array): boolean;
  /** True for the 33-byte compressed form of a curve point (BOLT 1, point). Never throws. */
  isPoint(publicKey: Uint8Array): boolean;
  /** The 33-byte public key. Throws Bug unless the secret is 32 bytes in [1, group order). */
  publicKey(secret: Uint8Array): Uint8Array;
  /** 64 bytes, low S, nonce by RFC 6979. Throws Bug on an invalid secret or a hash that is not 32 bytes. */
  sign(hash: Uint8Array, secret: Uint8Array): Uint8Array;
  /** SHA-256 of the compressed shared point (BOLT 8, ECDH; B8-06). Undefined if the key is no point; throws Bug on an invalid secret. */
  ecdh(publicKey: Uint8Array, secret: Uint8Array): Uint8Array | undefined;
}

const bytes = (hex: string): Uint8Array => fromHex(hex) ?? new Uint8Array(0);

// Secret 1 signing SHA-256("Satoshi Nakamoto") by RFC 6979: the vector that secp256k1 libraries share.
const ONE = bytes(`${'00'.repeat(31)}01`);
const GENERATOR = bytes('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798');
const HASH = bytes('a0dc65ffca799873cbea0ac274015b9526505daaaed385155425f7337704883e');
const R = '934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8';
const LOW_S = '2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5';
// The group order minus LOW_S: as valid mathematically, but not as Bitcoin and Lightning want it.
const HIGH_S = 'dbbd3162d46e9f9bef7feb87c16dc13b4f6568a87f4e83f728e2443ba586675c';
// The first ECDH of BOLT 8's test vectors.
const RESPONDER_KEY = bytes('028d7500dd4c12685d1f568b4c2b5048e8534b873319f3a8daa612b469132ec7f7');
const EPHEMERAL_SECRET = bytes('12'.repeat(32));
const SHARED_SECRET = bytes('1e2fb3c8fe8fb9f262f649f64d26ecf0f2c0a805a767cf02dc2d77a6ef1fdcc3');
// x = 5 is the smallest coordinate that no point of the curve has.
const NOT_A_POINT = bytes(`02${'00'.repeat(31)}05`);

/** The first known input that the engine gets wrong (a thrown error counts as wrong), or undefined. */
export const selfTest = (engine: SignatureEngine): string | undefined => {
  const good = bytes(R + LOW_S);
  const otherHash = HASH.slice();
  otherHash[31] = (otherHash[31] as number) ^ 1;
  const same = (actual: Uint8Array | undefined, expected: Uint8Array): boolean =>
    actual !== undefined && bytesEqual(actual, expected);
  const questions: readonly (readonly [string, () => boolean])[] = [
    ['good signature', () => engine.verify(good, HASH, GENERATOR)],
    ['signature of another hash', () => !engine.verify(good, otherHash, GENERATOR)],
    ['high S', () => !engine.verify(bytes(R + HIGH_S), HASH, GENERATOR)],
    ['zero signature', () => !engine.verify(new Uint8Array(SIGNATURE_BYTES), HASH, GENERATOR)],
    ['key off the curve', () => !engine.verify(good, HASH, NOT_A_POINT)],
    ['point', () => engine.isPoint(GENERATOR)],
    ['not a point', () => !engine.isPoint(NOT_A_POINT)],
    ['public key', () => same(engine.publicKey(ONE), GENERATOR)],
    ['signing', () => same(engine.sign(HASH, ONE), good)],
    ['ecdh', () => same(engine.ecdh(RESPONDER_KEY, EPHEMERAL_SECRET), SHARED_SECRET)],
    ['ecdh with no point', () => engine.ecdh(NOT_A_POINT, EPHEMERAL_SECRET) === undefined],
  ];
  for (const [question, ask] of questions) {
    try {
      if (!ask()) return question;
    } catch {
      return question;
    }
  }
  return undefined;
};

/**
 * `fastest` is the native engine where it loads and passes its self-test, else noble; compare `name` to see which it became.
 * Takes about a millisecond (noble: tens of milliseconds the first time). Throws Bug if even noble answers wrongly.
 */
export const loadEngine = (choice: 'fastest' | 'noble'): SignatureEngine => {
  if (choice === 'fastest') {
    const native = openNativeEngine();
    if (native !== undefined && selfTest(native) === undefined) return native;
  }
  const wrong = selfTest(nobleEngine);
  if (wrong !== undefined) throw new Bug(`signature engine noble fails its self-test: ${wrong}`);
  return nobleEngine;
};
