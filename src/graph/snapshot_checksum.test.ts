import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '../base/bytes.ts';
import { seededRng } from '../base/rng.ts';
import { CHECKSUM_BYTES, SnapshotChecksum } from './snapshot_checksum.ts';

const of = (...pieces: readonly Uint8Array[]): string => {
  const checksum = new SnapshotChecksum();
  for (const piece of pieces) checksum.add(piece);
  const digest = checksum.digest();
  assert.equal(digest.length, CHECKSUM_BYTES);
  return toHex(digest);
};

test('any flipped bit changes it, in whole groups of words and in the rest', () => {
  const bytes = seededRng(1).bytes(16 * 9 + 13);
  const sound = of(bytes);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    assert.notEqual(of(bytes), sound, `bit ${bit}`);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
  }
  assert.equal(of(bytes), sound);
});

test('words that change places, a zeroed stretch and any two flipped bits of a short range change it', () => {
  const bytes = seededRng(2).bytes(64);
  const sound = of(bytes);
  for (let left = 0; left < 512; left++) {
    for (let right = left + 1; right < 512; right++) {
      const copy = bytes.slice();
      copy[left >> 3]! ^= 1 << (left & 7);
      copy[right >> 3]! ^= 1 << (right & 7);
      assert.notEqual(of(copy), sound, `bits ${left} and ${right}`);
    }
  }
  const words = new Uint32Array(bytes.buffer);
  for (let left = 0; left < words.length; left++) {
    for (let right = left + 1; right < words.length; right++) {
      const copy = words.slice();
      [copy[left], copy[right]] = [words[right]!, words[left]!];
      assert.notEqual(of(new Uint8Array(copy.buffer)), sound);
    }
  }
  for (let start = 0; start < 64; start += 16)
    assert.notEqual(of(bytes.slice().fill(0, start, start + 16)), sound);
});

test('pieces count in their order, and long ones as short ones', () => {
  const bytes = seededRng(3).bytes(16 * 6000);
  const [first, second] = [bytes.subarray(0, 16 * 2500), bytes.subarray(16 * 2500)];
  assert.equal(of(first, second), of(bytes));
  assert.notEqual(of(second, first), of(bytes));
});
