import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesFromHexText, hashFromText, hashToText } from './hash_text.ts';

test('hashes are written in reverse, and read back', () => {
  const hash = Uint8Array.from({ length: 32 }, (_, index) => index);
  assert.equal(hashToText(hash).slice(0, 6), '1f1e1d');
  assert.deepEqual(hashFromText(hashToText(hash)), hash);
  assert.deepEqual(hashFromText(hashToText(hash).toUpperCase()), hash);
});

test('what is no hash is undefined', () => {
  for (const value of ['', 'ab', 'g'.repeat(64), 'a'.repeat(66), 7, null, undefined, {}]) {
    assert.equal(hashFromText(value), undefined);
  }
});

test('hex of any length is read, and what is none is undefined', () => {
  assert.deepEqual(bytesFromHexText('00fFa5'), Uint8Array.of(0, 255, 0xa5));
  assert.deepEqual(bytesFromHexText(''), new Uint8Array());
  for (const value of ['a', 'zz', '0 ', 'é0', '0\u0660', '/0', ':0', '@0', 'G0', '`0', 7, null]) {
    assert.equal(bytesFromHexText(value), undefined, String(value));
  }
});
