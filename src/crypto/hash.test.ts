import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { toHex } from '../base/bytes.ts';
import { seededRng } from '../base/rng.ts';
import { doubleSha256, sha256 } from './hash.ts';

test('the SHA-256 of nothing and of "abc" are those of FIPS 180', () => {
  assert.equal(
    toHex(sha256(new Uint8Array(0))),
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  );
  assert.equal(
    toHex(sha256(new TextEncoder().encode('abc'))),
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
});

test('the double SHA-256 of a view reads only the view', () => {
  const bytes = seededRng(3).bytes(700);
  const view = bytes.subarray(130, 560);
  const once = createHash('sha256').update(bytes.slice(130, 560)).digest();
  assert.equal(toHex(doubleSha256(view)), createHash('sha256').update(once).digest('hex'));
});
