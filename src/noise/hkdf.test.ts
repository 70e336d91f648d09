import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, toHex } from '../base/bytes.ts';
import { hkdf } from './hkdf.ts';

test('HKDF with empty salt and info gives the first 64 bytes that RFC 5869, test case 3, begins with (B8-06)', () => {
  const [first, second] = hkdf(new Uint8Array(0), new Uint8Array(22).fill(0x0b));
  const expected = '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8';
  assert.equal((toHex(first) + toHex(second)).slice(0, expected.length), expected);
  assert.equal(first.length + second.length, 64);
});

test('HKDF of BOLT 8: a key rotation of its message vector (B8-06, B8-17)', () => {
  const [chainingKey, key] = hkdf(
    fromHex('919219dbb2920afa8db80f9a51787a840bcf111ed8d588caf9ab4be716e42b01')!,
    fromHex('969ab31b4d288cedf6218839b27a3e2140827047f2c0f01bf5c04435d43511a9')!,
  );
  assert.equal(toHex(chainingKey), 'cc2c6e467efc8067720c2d09c139d1f77731893aad1defa14f9bf3c48d3f1d31');
  assert.equal(toHex(key), '3fbdc101abd1132ca3a0ae34a669d8d9ba69a587e0bb4ddd59524541cf4813d8');
});
