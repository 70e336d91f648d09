import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  bytesEqual,
  compareBytes,
  concatBytes,
  fromHex,
  own,
  readU16,
  readU32,
  readU64,
  readU64AsNumber,
  toHex,
  writeU16,
  writeU32,
  writeU64,
} from './bytes.ts';

test('integers read back as written, big-endian, at any offset', () => {
  fc.assert(
    fc.property(fc.nat(7), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (at, value) => {
      const bytes = new Uint8Array(16);
      const view = new DataView(bytes.buffer);
      writeU64(bytes, at, value);
      assert.equal(view.getBigUint64(at), value);
      assert.equal(readU64(bytes, at), value);
      assert.equal(readU64AsNumber(bytes, at), Number(value >> 32n) * 2 ** 32 + Number(value & 0xffffffffn));
      writeU32(bytes, at, Number(value & 0xffffffffn));
      assert.equal(readU32(bytes, at), view.getUint32(at));
      writeU16(bytes, at, Number(value & 0xffffn));
      assert.equal(readU16(bytes, at), view.getUint16(at));
    }),
  );
});

test('own() gives bytes that nobody else changes, also of a pooled Buffer', () => {
  const buffer = Buffer.from('abcdef');
  const kept = own(buffer.subarray(1, 3));
  buffer.fill(0);
  assert.deepEqual(kept, Uint8Array.of(98, 99));
  assert.equal(kept.constructor, Uint8Array);
  kept.slice(0, 1).fill(7);
  assert.equal(kept[0], 98);
});

test('hex reads back as written; anything else is refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => assert.deepEqual(fromHex(toHex(bytes)), bytes)),
  );
  assert.equal(toHex(Uint8Array.of(1, 0xab, 3), 1, 2), 'ab');
  for (const text of ['a', 'zz', '0x', ' aa']) assert.equal(fromHex(text), undefined, text);
});

test('bytes compare as unsigned numbers, first difference first', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 5, maxLength: 5 }),
      fc.uint8Array({ minLength: 5, maxLength: 5 }),
      (left, right) => {
        assert.equal(Math.sign(compareBytes(left, 0, right, 0, 5)), Math.sign(Buffer.compare(left, right)));
        assert.equal(bytesEqual(left, right), Buffer.compare(left, right) === 0);
      },
    ),
  );
  assert.equal(bytesEqual(Uint8Array.of(1), Uint8Array.of(1, 2)), false);
  assert.deepEqual(
    concatBytes(Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3)),
    Uint8Array.of(1, 2, 3),
  );
});
