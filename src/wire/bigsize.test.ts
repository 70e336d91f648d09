import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  BIGSIZE_NOT_MINIMAL,
  BIGSIZE_TRUNCATED,
  bigSizeBits,
  bigSizeBytes,
  bigSizeFault,
  bigSizeHi,
  bigSizeLo,
  bigSizeNumber,
  bigSizeWidth,
  decodeBigSize,
  encodeBigSize,
  writeBigSize,
} from './bigsize.ts';
import { isWireFault } from './fault.ts';

const u64 = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  fc.nat(0x10010).map(BigInt),
  fc.constantFrom(0xfcn, 0xfdn, 0xffffn, 0x10000n, 0xffffffffn, 0x100000000n, (1n << 53n) + 1n),
);

test('B1-08 every 64-bit value survives encoding, in the shortest form', () => {
  fc.assert(
    fc.property(u64, (value) => {
      const bytes = encodeBigSize(value);
      assert.deepEqual(decodeBigSize(bytes), { value, width: bytes.length });
      assert.equal(bigSizeBytes(value), bytes.length);
      assert.equal(bigSizeWidth(bytes, 0, bytes.length), bytes.length);
      assert.equal((BigInt(bigSizeHi(bytes, 0)) << 32n) | BigInt(bigSizeLo(bytes, 0)), value);
      assert.equal(bigSizeNumber(bytes, 0), Number(value));
      assert.equal(BigInt(bigSizeBits(bytes, 0)), value & ((1n << 53n) - 1n));
    }),
  );
});

test('B1-09 what decodes is what would be written, at any offset, and nothing else decodes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), fc.nat(3), (bytes, at) => {
      const decoded = decodeBigSize(bytes, at);
      if (isWireFault(decoded)) {
        assert.ok(decoded.fault === 'bigsize_truncated' || decoded.fault === 'bigsize_not_minimal');
        assert.equal(decoded.offset, at);
      } else assert.deepEqual(encodeBigSize(decoded.value), bytes.subarray(at, at + decoded.width));
    }),
  );
});

test('a width that is not positive tells its fault', () => {
  assert.equal(bigSizeFault(bigSizeWidth(Uint8Array.of(0xfe, 0), 0, 2)), 'bigsize_truncated');
  assert.equal(bigSizeFault(bigSizeWidth(Uint8Array.of(0xfd, 0, 1), 0, 3)), 'bigsize_not_minimal');
  assert.ok(BIGSIZE_TRUNCATED <= 0 && BIGSIZE_NOT_MINIMAL <= 0);
});

test('the end given bounds the reading, not the array', () => {
  assert.equal(bigSizeWidth(Uint8Array.of(0xfd, 1, 0), 0, 2), BIGSIZE_TRUNCATED);
});

test('writing continues after what was written', () => {
  const bytes = new Uint8Array(6);
  assert.equal(writeBigSize(bytes, writeBigSize(bytes, 1, 5), 0x1234), 5);
  assert.deepEqual(bytes, Uint8Array.of(0, 5, 0xfd, 0x12, 0x34, 0));
});

test('a value outside 64 bits is our own mistake', () => {
  assert.throws(() => encodeBigSize(-1));
  assert.throws(() => encodeBigSize(1n << 64n));
});
