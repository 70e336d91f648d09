/**
 * How many BOLT 8 frames per second one thread encrypts and decrypts, at the usual sizes of gossip and at the largest; and
 * the same pair of texts per frame by node:crypto alone, the fallback, which the chosen implementation is measured against.
 *
 * Medians of several rounds, taking turns. Run by scripts/bench, or alone: node dist/bench/noise.js
 */
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { writeU16 } from '../src/base/bytes.ts';
import { assert } from '../src/base/errors.ts';
import { seededRng } from '../src/base/rng.ts';
import { FRAME_OVERHEAD_BYTES, Transport } from '../src/noise/framing.ts';
import { nodeOpen, nodeSeal } from '../src/noise/node_aead.ts';

/** channel_update, channel_announcement, and the longest message. */
const SIZES = [140, 430, 65_535] as const;
const ROUNDS = 7;
const ROUND_BYTES = 8_000_000;
const MAX_ROUND_FRAMES = 20_000;
/** Frames per chunk, as a socket hands them out: at most 64 KiB. */
const CHUNK_BYTES = 65_536;

export interface NoiseRow {
  readonly message_bytes: number;
  readonly encrypt_frames_per_second: number;
  readonly decrypt_frames_per_second: number;
  readonly node_crypto_encrypt_frames_per_second: number;
  readonly node_crypto_decrypt_frames_per_second: number;
}

const median = (values: readonly number[]): number =>
  [...values].sort((left, right) => left - right)[values.length >> 1] ?? 0;

const perSecond = (frames: number, work: () => void): number => {
  const from = performance.now();
  work();
  return (frames / (performance.now() - from)) * 1e3;
};

const transports = (): [Transport, Transport] => {
  const rng = seededRng(3);
  const [chainingKey, one, other] = [rng.bytes(32), rng.bytes(32), rng.bytes(32)];
  return [
    new Transport({ chainingKey, sendingKey: one, receivingKey: other }),
    new Transport({ chainingKey, sendingKey: other, receivingKey: one }),
  ];
};

const ofTransport = (message: Uint8Array, frames: number): [number, number] => {
  const [sender, receiver] = transports();
  const stream = new Uint8Array(frames * (message.length + FRAME_OVERHEAD_BYTES));
  let at = 0;
  const encrypted = perSecond(frames, () => {
    for (let frame = 0; frame < frames; frame++) {
      const bytes = sender.encrypt(message);
      stream.set(bytes, at);
      at += bytes.length;
    }
  });
  let received = 0;
  const decrypted = perSecond(frames, () => {
    const take = (): void => {
      received++;
    };
    for (let from = 0; from < stream.length; from += CHUNK_BYTES) {
      assert(receiver.receive(stream.subarray(from, from + CHUNK_BYTES), take), 'every frame is good');
    }
  });
  assert(received === frames, 'every frame arrives');
  return [encrypted, decrypted];
};

/** Two texts per frame and nothing else: no splitting, no rotation. */
const ofNodeCrypto = (message: Uint8Array, frames: number): [number, number] => {
  const key = seededRng(4).bytes(32);
  const length = new Uint8Array(2);
  writeU16(length, 0, message.length);
  const frame = new Uint8Array(message.length + FRAME_OVERHEAD_BYTES);
  const encrypted = perSecond(frames, () => {
    for (let count = 0; count < frames; count++) {
      nodeSeal(key, 0, length, frame, 0);
      nodeSeal(key, 1, message, frame, 18);
    }
  });
  const decrypted = perSecond(frames, () => {
    for (let count = 0; count < frames; count++) {
      assert(nodeOpen(key, 0, frame.subarray(0, 18)) !== undefined, 'the length is good');
      assert(nodeOpen(key, 1, frame.subarray(18)) !== undefined, 'the message is good');
    }
  });
  return [encrypted, decrypted];
};

export const run = (): NoiseRow[] =>
  SIZES.map((size) => {
    const message = seededRng(size).bytes(size);
    const frames = Math.min(MAX_ROUND_FRAMES, Math.ceil(ROUND_BYTES / size));
    const rounds = Array.from({ length: ROUNDS + 2 }, () => [
      ...ofTransport(message, frames),
      ...ofNodeCrypto(message, frames),
    ]);
    // The first two rounds warm up.
    const column = (index: number): number =>
      Math.round(median(rounds.slice(2).map((round) => round[index] ?? 0)));
    return {
      message_bytes: size,
      encrypt_frames_per_second: column(0),
      decrypt_frames_per_second: column(1),
      node_crypto_encrypt_frames_per_second: column(2),
      node_crypto_decrypt_frames_per_second: column(3),
    };
  });

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const rows = run();
  console.table(rows);
  const machine = `${cpus()[0]?.model ?? 'unknown'} x ${cpus().length}`;
  console.log(JSON.stringify({ bench: 'noise', machine, node: process.version, rows }));
}
