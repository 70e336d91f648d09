/**
 * Are all signatures of one gossip message good? The pure core of checking, run by the workers, by the inline checker and
 * by tests (BOLT 7: each signature covers the double SHA-256 of everything after the signatures).
 *
 * Takes bytes and an engine, hands back one byte, so that a worker can leave the answer in shared memory.
 * Signatures are checked in wire order and the first bad one ends the check: a flood of forged four-signature
 * announcements costs one verification each.
 */
import type { SignatureEngine } from './engine.ts';
import { doubleSha256 } from './hash.ts';
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from './sizes.ts';

/** A channel_announcement has four; the other gossip messages have one. */
export const MAX_SIGNATURES = 4;

/** `bad_signature` and `bad_key` are the index, from 0 in wire order, of the first one that fails. */
export type CheckOutcome = 'valid' | { readonly bad_signature: number } | { readonly bad_key: number };

/** An outcome in one byte: 0 is valid, 1 + index a bad signature, 0x80 + index a bad key. */
export type OutcomeCode = number & { readonly __brand: 'OutcomeCode' };

const VALID = 0 as OutcomeCode;
const BAD_SIGNATURE = 1;
const BAD_KEY = 0x80;

const BAD_SIGNATURES = Array.from({ length: MAX_SIGNATURES }, (_, index) => ({ bad_signature: index }));
const BAD_KEYS = Array.from({ length: MAX_SIGNATURES }, (_, index) => ({ bad_key: index }));

/** Returns shared objects; nothing is allocated. */
export const outcomeOf = (code: number): CheckOutcome => {
  if (code === VALID) return 'valid';
  if (code >= BAD_KEY) return BAD_KEYS[code - BAD_KEY] ?? { bad_key: code - BAD_KEY };
  return BAD_SIGNATURES[code - BAD_SIGNATURE] ?? { bad_signature: code - BAD_SIGNATURE };
};

/**
 * Checks `count` signatures that lie one after another at `signaturesAt`, over the bytes from their end to `end`, each with
 * the key of the same index; keys lie one after another at `keysAt`. Borrows both arrays for the call; never throws for
 * any content. The caller vouches that the ranges lie inside the arrays.
 */
export const checkSignatures = (
  engine: SignatureEngine,
  bytes: Uint8Array,
  signaturesAt: number,
  end: number,
  count: number,
  keys: Uint8Array,
  keysAt: number,
): OutcomeCode => {
  const hash = doubleSha256(bytes.subarray(signaturesAt + count * SIGNATURE_BYTES, end));
  for (let index = 0; index < count; index++) {
    const signatureAt = signaturesAt + index * SIGNATURE_BYTES;
    const keyAt = keysAt + index * PUBLIC_KEY_BYTES;
    const key = keys.subarray(keyAt, keyAt + PUBLIC_KEY_BYTES);
    if (engine.verify(bytes.subarray(signatureAt, signatureAt + SIGNATURE_BYTES), hash, key)) continue;
    return ((engine.isPoint(key) ? BAD_SIGNATURE : BAD_KEY) + index) as OutcomeCode;
  }
  return VALID;
};
