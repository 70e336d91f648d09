/**
 * Everything that is held in memory for one connection, as one number with one maximum. Each part has its own bound where it
 * grows; this is the sum that the operator can multiply by the number of peers, and Connection closes above it.
 */

/**
 * Not seen from here, so reckoned at its bound: 2 x 16,384 store offsets that the peer is known to have, at 40 bytes (1.3 MB,
 * daemon/recent_offsets), 2 x 4,096 messages that the relay keeps back, at 40 bytes (0.33 MB, sync/relay_stream), and 0.1 MB
 * for objects, keys and the socket itself.
 */
export const RESERVED_BYTES = 1_800_000;

/**
 * 1.8 MB reserved, 1 MiB of ciphertext held while reading pauses, 256 KiB of output with one largest answer on top, as much
 * again in the socket's own copy: 3.5 MB. 4 MiB leaves room for a chunk in each direction, and nothing that keeps the
 * other bounds ever gets there. A hundred connections hold 420 MB at the very worst, and 12 MB when nobody is hostile.
 */
export const MAX_CONNECTION_BYTES = 4_194_304;

export interface MemoryParts {
  /** Bytes of a handshake that is not whole yet. */
  readonly handshakeBytes: number;
  /** Ciphertext that was received and not yet delivered. */
  readonly heldBytes: number;
  /** Messages to encrypt, and bytes in the socket. */
  readonly outputBytes: number;
}

/** Bytes, the reserved ones included. */
export const connectionMemory = ({ handshakeBytes, heldBytes, outputBytes }: MemoryParts): number =>
  RESERVED_BYTES + handshakeBytes + heldBytes + outputBytes;
