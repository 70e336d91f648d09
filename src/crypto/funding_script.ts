/**
 * The scriptPubKey that a channel's funding output must have: pay to the witness script hash of two-of-two over the two
 * bitcoin keys, the lesser key first (BOLT 3, Funding Transaction Output).
 *
 * ingest/ compares it with what a chain backend finds at the short_channel_id (BOLT 7, channel_announcement).
 */
import { compareBytes } from '../base/bytes.ts';
import { sha256 } from './hash.ts';

export const FUNDING_SCRIPT_BYTES = 34;

const OP_0 = 0x00;
const OP_2 = 0x52;
const OP_CHECKMULTISIG = 0xae;
const KEY_BYTES = 33;

// OP_2, then per key one length byte and 33 bytes, then OP_2 OP_CHECKMULTISIG: 1 + 2 * 34 + 2 = 71 bytes. Written anew by each call.
const witnessScript = new Uint8Array(71);
witnessScript[0] = OP_2;
witnessScript[1] = KEY_BYTES;
witnessScript[35] = KEY_BYTES;
witnessScript[69] = OP_2;
witnessScript[70] = OP_CHECKMULTISIG;

/**
 * A fresh array of 34 bytes. The keys are the 33 bytes at `key1At` and at `key2At` of `bytes`, in any order; they are not
 * checked to be points.
 */
export const fundingScriptPubkey = (bytes: Uint8Array, key1At: number, key2At: number): Uint8Array => {
  const inOrder = compareBytes(bytes, key1At, bytes, key2At, KEY_BYTES) <= 0;
  const lesserAt = inOrder ? key1At : key2At;
  const greaterAt = inOrder ? key2At : key1At;
  witnessScript.set(bytes.subarray(lesserAt, lesserAt + KEY_BYTES), 2);
  witnessScript.set(bytes.subarray(greaterAt, greaterAt + KEY_BYTES), 36);
  const script = new Uint8Array(FUNDING_SCRIPT_BYTES);
  script[0] = OP_0;
  script[1] = 32;
  script.set(sha256(witnessScript), 2);
  return script;
};
