import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readU64 } from '../base/bytes.ts';
import {
  encodeQueryFlags,
  readEncodedPairs,
  readPairs,
  readQueryFlags,
  readShortIds,
  shortIdsBytes,
  writePairs,
  writeShortIds,
} from './encoded_array.ts';

const ids = fc.bigUint64Array({ maxLength: 20 });

test('Q-03 ids are big-endian on the wire and numbers in the array', () => {
  fc.assert(
    fc.property(ids, (given) => {
      const bytes = new Uint8Array(shortIdsBytes(given.length) + 2);
      assert.equal(writeShortIds(bytes, 2, given), bytes.length);
      for (const [index, id] of given.entries()) assert.equal(readU64(bytes, 3 + index * 8), id);
      assert.deepEqual(readShortIds(bytes, 2, bytes.length), BigUint64Array.from(given));
    }),
  );
});

test('a part of a larger array is written', () => {
  const bytes = new Uint8Array(9);
  writeShortIds(bytes, 0, BigUint64Array.of(1n, 2n, 3n).subarray(1, 2));
  assert.equal(readU64(bytes, 1), 2n);
});

test('Q-03 Q-06 bad_encoding: no encoding byte, or any but 0', () => {
  assert.equal(readShortIds(new Uint8Array(9), 4, 4), 'bad_encoding');
  for (let encoding = 1; encoding < 256; encoding++) {
    const bytes = new Uint8Array(9);
    bytes[0] = encoding;
    assert.equal(readShortIds(bytes, 0, 9), 'bad_encoding');
    assert.equal(readQueryFlags(bytes, 0, 9, 8), 'bad_encoding');
    assert.equal(readEncodedPairs(bytes, 0, 9, 1), 'bad_encoding');
  }
});

test('Q-03 Q-06 bad_array_length: ids or pairs that are not whole', () => {
  for (let length = 1; length < 8; length++) {
    assert.equal(readShortIds(new Uint8Array(9 + length), 0, 9 + length), 'bad_array_length');
    assert.equal(readPairs(new Uint8Array(8 + length), 0, 8 + length, 1), 'bad_array_length');
  }
});

test('Q-05 flags of one byte each are a view of the message', () => {
  const bytes = Uint8Array.of(0, 1, 31, 252);
  const flags = readQueryFlags(bytes, 0, 4, 3);
  assert.ok(flags instanceof Uint8Array);
  assert.equal(flags.buffer, bytes.buffer);
  assert.deepEqual(flags, Uint8Array.of(1, 31, 252));
});

test('Q-05 wider flags come as numbers, all of them in place', () => {
  const bytes = encodeQueryFlags([1, 253, 31, 2 ** 40]);
  assert.deepEqual(readQueryFlags(bytes, 0, bytes.length, 4), [1, 253, 31, 2 ** 40]);
  fc.assert(
    fc.property(fc.array(fc.nat(Number.MAX_SAFE_INTEGER), { maxLength: 20 }), (flags) => {
      const value = encodeQueryFlags(flags);
      const read = readQueryFlags(value, 0, value.length, flags.length);
      assert.ok(typeof read !== 'string');
      assert.deepEqual([...read], flags);
    }),
  );
});

test('Q-05 Q-06 flags_count_mismatch: one too few and one too many', () => {
  const bytes = encodeQueryFlags([1, 2, 3]);
  assert.equal(readQueryFlags(bytes, 0, bytes.length, 2), 'flags_count_mismatch');
  assert.equal(readQueryFlags(bytes, 0, bytes.length, 4), 'flags_count_mismatch');
});

test('Q-05 bigsize_not_minimal, bigsize_truncated: flags are minimal and whole', () => {
  assert.equal(readQueryFlags(Uint8Array.of(0, 0xfd, 0, 1), 0, 4, 1), 'bigsize_not_minimal');
  assert.equal(readQueryFlags(Uint8Array.of(0, 0xfd, 1), 0, 3, 1), 'bigsize_truncated');
});

test('Q-15 pairs survive, and there must be one for each id', () => {
  fc.assert(
    fc.property(fc.uint32Array({ minLength: 2, maxLength: 20 }), (given) => {
      const numbers = given.subarray(0, given.length & ~1);
      const bytes = new Uint8Array(numbers.length * 4 + 1);
      assert.equal(writePairs(bytes, 1, numbers), bytes.length);
      assert.deepEqual(
        readEncodedPairs(bytes, 0, bytes.length, numbers.length / 2),
        Uint32Array.from(numbers),
      );
      assert.equal(readPairs(bytes, 1, bytes.length, numbers.length / 2 + 1), 'flags_count_mismatch');
    }),
  );
});
