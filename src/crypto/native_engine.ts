/**
 * The SignatureEngine `secp256k1`: libsecp256k1 through the optional dependency of the same name, about 25 times as fast as
 * noble. Loaded by engine.ts, which tests it before anyone uses it.
 *
 * `secp256k1/bindings.js` is asked for by name, because the package's main entry falls back silently to a slow
 * JavaScript curve where the prebuilt module is missing (linux-arm64 among them); here missing means missing.
 * The module throws on malformed signatures and keys; every such throw ends here as an answer.
 */
import { createRequire } from 'node:module';
import { Bug } from '../base/errors.ts';
import type { SignatureEngine } from './engine.ts';
import { HASH_BYTES, PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from './sizes.ts';

/** What is used of the module; it ships no types. All but the two predicates throw on input they cannot read. */
interface NativeModule {
  publicKeyVerify(publicKey: Uint8Array): boolean;
  publicKeyCreate(secret: Uint8Array): Uint8Array;
  ecdsaVerify(signature: Uint8Array, hash: Uint8Array, publicKey: Uint8Array): boolean;
  ecdsaSign(hash: Uint8Array, secret: Uint8Array): { readonly signature: Uint8Array };
  ecdh(publicKey: Uint8Array, secret: Uint8Array): Uint8Array;
}

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const engineOver = (native: NativeModule): SignatureEngine => {
  // The length is checked first: the module would also take 65-byte keys.
  const isPoint = (publicKey: Uint8Array): boolean =>
    publicKey.length === PUBLIC_KEY_BYTES && native.publicKeyVerify(publicKey);

  return {
    name: 'secp256k1',
    isPoint,
    verify: (signature, hash, publicKey) => {
      if (signature.length !== SIGNATURE_BYTES || hash.length !== HASH_BYTES) return false;
      if (publicKey.length !== PUBLIC_KEY_BYTES) return false;
      try {
        // libsecp256k1 itself refuses high S.
        return native.ecdsaVerify(signature, hash, publicKey);
      } catch {
        return false;
      }
    },
    publicKey: (secret) => {
      try {
        return native.publicKeyCreate(secret);
      } catch (error) {
        throw new Bug(`cannot derive a public key: ${reason(error)}`);
      }
    },
    sign: (hash, secret) => {
      try {
        return native.ecdsaSign(hash, secret).signature;
      } catch (error) {
        throw new Bug(`cannot sign: ${reason(error)}`);
      }
    },
    ecdh: (publicKey, secret) => {
      if (!isPoint(publicKey)) return undefined;
      try {
        return native.ecdh(publicKey, secret);
      } catch (error) {
        throw new Bug(`cannot derive a shared secret: ${reason(error)}`);
      }
    },
  };
};

/** Undefined where the module is not installed or has no build for this machine. */
export const openNativeEngine = (): SignatureEngine | undefined => {
  try {
    return engineOver(createRequire(import.meta.url)('secp256k1/bindings.js') as NativeModule);
  } catch {
    return undefined;
  }
};
