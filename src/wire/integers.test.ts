import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeSigned, encodeTruncated, readSigned, readTruncated, signedWidth } from './integers.ts';

test('B1-11 every 64-bit value survives truncation, without leading zeros', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), fc.nat(64), (wide, shift) => {
      const value = wide >> BigInt(shift);
      const bytes = encodeTruncated(value);
      assert.notEqual(bytes[0], 0);
      assert.equal(readTruncated(bytes, 0, bytes.length, 8), value);
    }),
  );
});

test('B1-11 truncated_integer_not_minimal: a leading zero, even alone', () => {
  assert.equal(readTruncated(Uint8Array.of(0), 0, 1, 8), 'truncated_integer_not_minimal');
  assert.equal(readTruncated(Uint8Array.of(9, 0, 1), 1, 3, 2), 'truncated_integer_not_minimal');
});

test('B1-10 tlv_bad_length: more bytes than the integer can have', () => {
  for (const width of [2, 4, 8] as const) {
    const bytes = new Uint8Array(width + 1).fill(1);
    assert.equal(readTruncated(bytes, 0, width + 1, width), 'tlv_bad_length');
    assert.equal(typeof readTruncated(bytes, 0, width, width), 'bigint');
  }
});

test('B1-28 every signed value survives in each width that holds it', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), fc.nat(63), (wide, shift) => {
      const value = wide >> BigInt(shift);
      for (const width of [1, 2, 4, 8] as const) {
        if (width >= signedWidth(value)) {
          assert.equal(readSigned(encodeSigned(value, width), 0, width), value);
        } else assert.throws(() => encodeSigned(value, width));
      }
    }),
  );
});

test('a value outside the range is our own mistake', () => {
  assert.throws(() => encodeTruncated(-1n));
  assert.throws(() => encodeTruncated(1n << 64n));
  assert.throws(() => encodeSigned(1n << 63n));
});
