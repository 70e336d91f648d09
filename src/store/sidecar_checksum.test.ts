import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeU32 } from '../base/bytes.ts';
import { seededRng } from '../base/rng.ts';
import { crc32c } from '../wire/crc32c.ts';
import { blockChecksum } from './sidecar_checksum.ts';

const expected = (bytes: Uint8Array): number => {
  const middle = bytes.length / 2;
  const both = new Uint8Array(8);
  writeU32(both, 0, crc32c(0, bytes, 0, middle));
  writeU32(both, 4, crc32c(0, bytes, middle, bytes.length));
  return crc32c(0, both, 0, 8);
};

test('the checksum of a block is the CRC-32C of the CRC-32Cs of its halves, at every even number of words', () => {
  const bytes = seededRng(1).bytes(4096);
  for (let size = 0; size <= 400; size += 8) {
    const words = new Int32Array(bytes.buffer, 16, size / 4);
    assert.equal(
      blockChecksum(words, 0, words.length),
      expected(bytes.subarray(16, 16 + size)),
      `${size} bytes`,
    );
  }
  assert.equal(blockChecksum(new Int32Array(bytes.buffer), 2, 1024), expected(bytes.subarray(8)));
});

test('every single flipped bit changes the checksum of a block', () => {
  const bytes = seededRng(2).bytes(160);
  const words = new Int32Array(bytes.buffer);
  const sound = blockChecksum(words, 0, words.length);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    assert.notEqual(blockChecksum(words, 0, words.length), sound);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
  }
});
