import assert from 'node:assert/strict';
import { test } from 'node:test';
import { legacyCrc32c } from './crc32c_legacy.ts';

const DIGITS = new TextEncoder().encode('123456789');

test('the wrong checksum of nine digits', () => {
  assert.equal(legacyCrc32c(0, DIGITS, 0, 9), 0x58e3fa20);
});

test('can be continued at any split, and of an empty range it is the seed', () => {
  for (let split = 0; split <= 9; split++) {
    const first = legacyCrc32c(0, DIGITS, 0, split);
    assert.equal(legacyCrc32c(first, DIGITS, split, 9), 0x58e3fa20);
    assert.equal(legacyCrc32c(1_700_000_000, DIGITS, split, split), 1_700_000_000);
  }
});

test('from seed 0, zeros in front do not change it: the weakness that made CLN correct it', () => {
  const padded = new Uint8Array(20);
  padded.set(DIGITS, 11);
  assert.equal(legacyCrc32c(0, padded, 0, 20), 0x58e3fa20);
});
