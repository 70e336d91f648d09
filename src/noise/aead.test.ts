import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesEqual, toHex } from '../base/bytes.ts';
import { seededRng } from '../base/rng.ts';
import { type Aead, loadAead, selfTest } from './aead.ts';
import { nodeAead, nodeOpen, nodeSeal, TAG_BYTES } from './node_aead.ts';
import { openSodium } from './sodium_aead.ts';

const PADDING = 5;

/** Both where both exist; on a machine without a prebuilt libsodium the fallback is all there is. */
const implementations: readonly Aead[] = [nodeAead, openSodium()].filter((each) => each !== undefined);

test('associated data is part of what the tag covers', () => {
  const key = Uint8Array.from({ length: 32 }, (_, index) => 0x80 + index);
  const associated = Uint8Array.of(0x50, 0x51, 0x52);
  const text = new TextEncoder().encode('act one carries nothing but its tag');
  const sealed = new Uint8Array(text.length + TAG_BYTES);
  nodeSeal(key, 7, text, sealed, 0, associated);
  assert.ok(bytesEqual(nodeOpen(key, 7, sealed, associated)!, text));
  assert.equal(nodeOpen(key, 7, sealed), undefined);
});

for (const aead of implementations) {
  test(`${aead.name}: passes the self-test, and gives node:crypto's bytes at every length to 600 and at the longest (B8-07)`, () => {
    assert.equal(selfTest(aead), undefined);
    const rng = seededRng(7);
    for (const length of [...Array(601).keys(), 1_000, 65_535]) {
      const [key, text, nonce] = [rng.bytes(32), rng.bytes(length), length % 1000];
      const ours = new Uint8Array(PADDING + length + TAG_BYTES + PADDING);
      const theirs = ours.slice();
      aead.seal(key, nonce, text, ours, PADDING);
      nodeSeal(key, nonce, text, theirs, PADDING);
      assert.ok(bytesEqual(ours, theirs), `length ${length}, and nothing written around it`);
      const opened = aead.open(key, nonce, theirs, PADDING, theirs.length - PADDING, new Uint8Array(65_535));
      assert.ok(bytesEqual(opened!, text));
    }
  });

  test(`${aead.name}: the same bytes for any key, nonce and text`, () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.nat(0xffffffff),
        fc.uint8Array({ maxLength: 900 }),
        (key, nonce, text) => {
          const [ours, theirs] = [
            new Uint8Array(text.length + TAG_BYTES),
            new Uint8Array(text.length + TAG_BYTES),
          ];
          aead.seal(key, nonce, text, ours, 0);
          nodeSeal(key, nonce, text, theirs, 0);
          assert.equal(toHex(ours), toHex(theirs));
        },
      ),
      { numRuns: 500, seed: 1905 },
    );
  });

  for (const length of [0, 2, 139, 430]) {
    test(`${aead.name}: ${length} bytes do not open with any byte changed, cut short, or with another nonce (B8-18)`, () => {
      const [key, text] = [seededRng(length).bytes(32), seededRng(length + 1).bytes(length)];
      const sealed = new Uint8Array(length + TAG_BYTES);
      const open = (bytes: Uint8Array, nonce = 3): Uint8Array | undefined =>
        aead.open(key, nonce, bytes, 0, bytes.length, new Uint8Array(1_000));
      aead.seal(key, 3, text, sealed, 0);
      assert.equal(open(sealed, 4), undefined);
      for (let end = 0; end < sealed.length; end++)
        assert.equal(open(sealed.subarray(0, end)), undefined, `${end} bytes`);
      for (let at = 0; at < sealed.length; at++) {
        const changed = sealed.slice();
        changed[at] = changed[at]! ^ (1 << (at % 8));
        assert.equal(open(changed), undefined, `byte ${at}`);
      }
      assert.ok(bytesEqual(open(sealed)!, text));
    });
  }
}

test('an implementation that differs from node:crypto fails the self-test', () => {
  const wrongTag: Aead = {
    ...nodeAead,
    open: (_key, _nonce, bytes, from, to) => bytes.subarray(from, to - TAG_BYTES),
  };
  const wrongText: Aead = {
    ...nodeAead,
    seal: (key, nonce, text, out, at) => nodeSeal(key, nonce + 1, text, out, at),
  };
  const deaf: Aead = { ...nodeAead, open: () => undefined };
  for (const broken of [wrongTag, wrongText, deaf]) assert.notEqual(selfTest(broken), undefined);
  assert.ok(implementations.some(({ name }) => name === loadAead().name));
});
