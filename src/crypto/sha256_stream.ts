/** SHA-256 of what does not fit into memory: whole stores, piece by piece. */
import { createHash } from 'node:crypto';

export interface Sha256Stream {
  /** Borrows the bytes for the call. */
  readonly update: (bytes: Uint8Array) => void;
  /** Lowercase hex; ends the stream. */
  readonly hex: () => string;
}

export const sha256Stream = (): Sha256Stream => {
  const hash = createHash('sha256');
  return {
    update: (bytes) => {
      hash.update(bytes);
    },
    hex: () => hash.digest('hex'),
  };
};
