import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { seededRng } from '../base/rng.ts';
import { loadEngine, type SignatureEngine } from './engine.ts';
import { type CheckOutcome, checkSignatures, outcomeOf } from './signature_check.ts';
import { type SignedSample, signedSample } from './signed_sample.test.support.ts';

const engine = loadEngine('fastest');
const announcement = (): SignedSample => signedSample(engine, seededRng(11), 4, 172);
const check = (sample: SignedSample, by: SignatureEngine = engine): CheckOutcome => {
  const { raw, signatureCount, keys } = sample;
  return outcomeOf(checkSignatures(by, raw, 2, raw.length, signatureCount, keys, 0));
};
const flip = (bytes: Uint8Array, at: number): void => {
  bytes[at] = bytes[at]! ^ 1;
};

test('valid: four good signatures over the rest of the message (B7-02)', () => {
  assert.equal(check(announcement()), 'valid');
  assert.equal(check(announcement(), loadEngine('noble')), 'valid');
});

test('valid: one good signature, with message and keys in the middle of larger arrays', () => {
  const { raw, keys } = signedSample(engine, seededRng(12), 1, 72);
  const bytes = concatBytes(new Uint8Array(9), raw, new Uint8Array(9));
  const moreKeys = concatBytes(new Uint8Array(3), keys, new Uint8Array(3));
  assert.equal(outcomeOf(checkSignatures(engine, bytes, 11, 9 + raw.length, 1, moreKeys, 3)), 'valid');
});

for (const index of [0, 1, 2, 3]) {
  test(`bad_signature ${index}: the first bad signature in wire order is named (B7-09)`, () => {
    const sample = announcement();
    for (let later = index; later < 4; later++) flip(sample.raw, 2 + later * 64 + 40);
    assert.deepEqual(check(sample), { bad_signature: index });
  });

  test(`bad_key ${index}: a key that is no point is told from a bad signature (B7-17)`, () => {
    const sample = announcement();
    sample.keys[index * 33] = 4;
    assert.deepEqual(check(sample), { bad_key: index });
  });
}

test('a change of any byte after the signatures makes the first signature bad (B7-16, B7-29, B7-49)', () => {
  const { raw, keys } = signedSample(engine, seededRng(13), 1, 40);
  for (let at = 66; at < raw.length; at++) {
    const bent = raw.slice();
    flip(bent, at);
    assert.deepEqual(check({ raw: bent, signatureCount: 1, keys }), { bad_signature: 0 });
  }
});

test('checking stops at the first bad signature', () => {
  let calls = 0;
  const counting: SignatureEngine = {
    ...engine,
    verify: (signature, hash, key) => {
      calls++;
      return engine.verify(signature, hash, key);
    },
  };
  const sample = announcement();
  flip(sample.raw, 2 + 64 + 5);
  assert.deepEqual(check(sample, counting), { bad_signature: 1 });
  assert.equal(calls, 2);
});
