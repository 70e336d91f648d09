import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { fromHex } from '../base/bytes.ts';
import { crc32c } from './crc32c.ts';

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const whole = (seed: number, bytes: Uint8Array): number => crc32c(seed, bytes, 0, bytes.length);

/** The definition, one bit at a time. */
const bitwise = (seed: number, bytes: Uint8Array): number => {
  let remainder = ~seed;
  for (const byte of bytes) {
    remainder ^= byte;
    for (let bit = 0; bit < 8; bit++) {
      remainder = (remainder & 1) === 1 ? (remainder >>> 1) ^ 0x82f63b78 : remainder >>> 1;
    }
  }
  return ~remainder >>> 0;
};

test('check value of nine digits, unseeded and seeded with a timestamp', () => {
  assert.equal(whole(0, ascii('123456789')), 0xe3069283);
  assert.equal(whole(1_700_000_000, ascii('123456789')), 0x85914753);
});

test('the examples of RFC 3720 appendix B.4, in byte order', () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, index) => index);
  assert.equal(whole(0, new Uint8Array(32)), 0x8a9136aa);
  assert.equal(whole(0, new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(whole(0, ascending), 0x46dd794e);
  assert.equal(whole(0, ascending.toReversed()), 0x113fdb5c);
});

test('an empty range gives back the seed', () => {
  for (const seed of [0, 1, 0x7fffffff, 0x80000000, 0xffffffff]) {
    assert.equal(crc32c(seed, new Uint8Array(4), 2, 2), seed);
  }
});

test('a range in the middle counts alone, at every alignment and length up to three steps', () => {
  const bytes = Uint8Array.from({ length: 64 }, (_, index) => (index * 37 + 11) & 0xff);
  for (let start = 0; start < 9; start++) {
    for (let length = 0; length <= 25; length++) {
      const range = bytes.slice(start, start + length);
      assert.equal(crc32c(7, bytes, start, start + length), bitwise(7, range), `${start}+${length}`);
    }
  }
});

test('equals the bitwise definition and can be continued at any split', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.uint8Array({ maxLength: 600 }),
      fc.nat(),
      (seed, bytes, cut) => {
        const split = bytes.length === 0 ? 0 : cut % (bytes.length + 1);
        const expected = bitwise(seed, bytes);
        assert.equal(whole(seed, bytes), expected);
        assert.equal(crc32c(crc32c(seed, bytes, 0, split), bytes, split, bytes.length), expected);
      },
    ),
  );
});

test('a Buffer gives the same as a plain array', () => {
  const bytes = fromHex('10050000000001000000');
  assert.ok(bytes);
  assert.equal(whole(0, Buffer.from(bytes)), 0x99dc98b4);
  assert.equal(whole(0, bytes), 0x99dc98b4);
});
