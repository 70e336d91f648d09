/**
 * The SignatureEngine `noble`: @noble/curves, pure JavaScript, audited, on every machine that runs Node.
 *
 * What engine.ts falls back to, what tests compare the native engine with, and what judges a batch that ended two
 * workers. About 1.4 ms per verification.
 */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { Bug } from '../base/errors.ts';
import type { SignatureEngine } from './engine.ts';
import { sha256 } from './hash.ts';
import { HASH_BYTES, PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from './sizes.ts';

// The hash comes ready made (gossip's is a double SHA-256), and high S is refused as libsecp256k1 does.
const OPTIONS = { prehash: false, lowS: true } as const;

const requireSecret = (secret: Uint8Array): void => {
  if (!secp256k1.utils.isValidSecretKey(secret)) throw new Bug('not a valid secret key');
};

export const nobleEngine: SignatureEngine = {
  name: 'noble',
  isPoint: (publicKey) => secp256k1.utils.isValidPublicKey(publicKey, true),
  verify: (signature, hash, publicKey) => {
    if (signature.length !== SIGNATURE_BYTES || hash.length !== HASH_BYTES) return false;
    if (publicKey.length !== PUBLIC_KEY_BYTES) return false;
    try {
      return secp256k1.verify(signature, hash, publicKey, OPTIONS);
    } catch {
      return false;
    }
  },
  publicKey: (secret) => {
    requireSecret(secret);
    return secp256k1.getPublicKey(secret, true);
  },
  sign: (hash, secret) => {
    requireSecret(secret);
    if (hash.length !== HASH_BYTES) throw new Bug('cannot sign: the hash is not 32 bytes');
    return secp256k1.sign(hash, secret, OPTIONS);
  },
  ecdh: (publicKey, secret) => {
    requireSecret(secret);
    if (!secp256k1.utils.isValidPublicKey(publicKey, true)) return undefined;
    return sha256(secp256k1.getSharedSecret(secret, publicKey, true));
  },
};
