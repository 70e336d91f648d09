import assert from 'node:assert/strict';
import { createECDH } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesEqual, concatBytes, fromHex, toHex } from '../base/bytes.ts';
import { Bug } from '../base/errors.ts';
import { seededRng } from '../base/rng.ts';
import { loadEngine, type SignatureEngine, selfTest } from './engine.ts';
import { openNativeEngine } from './native_engine.ts';
import { nobleEngine } from './noble_engine.ts';

const hex = (text: string): Uint8Array => fromHex(text)!;
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const FIELD = 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2fn;
const scalar = (value: bigint): Uint8Array => hex(value.toString(16).padStart(64, '0'));
const highS = (signature: Uint8Array): Uint8Array =>
  concatBytes(signature.slice(0, 32), scalar(ORDER - BigInt(`0x${toHex(signature, 32)}`)));

// The module has prebuilt binaries for these; elsewhere noble is compared with itself.
const native = openNativeEngine();
const engines: readonly SignatureEngine[] = native === undefined ? [nobleEngine] : [native, nobleEngine];

test('the native engine loads where the package has a build for the machine', () => {
  const built = ['linux-x64', 'darwin-arm64', 'win32-x64'].includes(`${process.platform}-${process.arch}`);
  if (built) assert.equal(native?.name, 'secp256k1');
  assert.equal(loadEngine('fastest').name, native === undefined ? 'noble' : 'secp256k1');
  assert.equal(loadEngine('noble').name, 'noble');
});

test('the self-test names what a broken engine gets wrong', () => {
  for (const engine of engines) assert.equal(selfTest(engine), undefined);
  assert.equal(selfTest({ ...nobleEngine, verify: () => true }), 'signature of another hash');
  assert.equal(selfTest({ ...nobleEngine, verify: () => false }), 'good signature');
  assert.equal(selfTest({ ...nobleEngine, isPoint: () => true }), 'not a point');
  const throws = (): never => {
    throw new Error('no such symbol');
  };
  assert.equal(selfTest({ ...nobleEngine, ecdh: throws }), 'ecdh');
});

for (const engine of engines) {
  test(`${engine.name}: signs by RFC 6979 and verifies its own signatures (B7-02)`, () => {
    const rng = seededRng(1);
    for (let round = 0; round < 8; round++) {
      const [secret, hash] = [rng.bytes(32), rng.bytes(32)];
      const key = engine.publicKey(secret);
      const signature = engine.sign(hash, secret);
      assert.equal(engine.verify(signature, hash, key), true);
      assert.equal(engine.verify(highS(signature), hash, key), false, 'high S');
      assert.equal(engine.verify(signature, rng.bytes(32), key), false);
    }
  });

  test(`${engine.name}: wrong lengths are false, not errors`, () => {
    const secret = new Uint8Array(32).fill(7);
    const hash = new Uint8Array(32).fill(9);
    const [signature, key] = [engine.sign(hash, secret), engine.publicKey(secret)];
    const uncompressed = new Uint8Array(createECDH('secp256k1').generateKeys());
    for (const length of [0, 1, 63, 65])
      assert.equal(engine.verify(new Uint8Array(length), hash, key), false);
    for (const length of [0, 31, 33])
      assert.equal(engine.verify(signature, new Uint8Array(length), key), false);
    for (const length of [0, 32, 34, 65]) {
      assert.equal(engine.verify(signature, hash, new Uint8Array(length)), false);
      assert.equal(engine.isPoint(new Uint8Array(length)), false);
    }
    assert.equal(engine.isPoint(uncompressed), false, 'only the compressed form is a point on the wire');
  });

  test(`${engine.name}: an invalid secret is a Bug`, () => {
    const point = nobleEngine.publicKey(scalar(5n));
    for (const secret of [new Uint8Array(32), scalar(ORDER), new Uint8Array(31), new Uint8Array(0)]) {
      assert.throws(() => engine.publicKey(secret), Bug);
      assert.throws(() => engine.sign(new Uint8Array(32), secret), Bug);
      assert.throws(() => engine.ecdh(point, secret), Bug);
    }
    assert.throws(() => engine.sign(new Uint8Array(31), scalar(1n)), Bug);
  });

  test(`${engine.name}: ecdh is the hash of the compressed point, the same from both sides (B8-06)`, () => {
    const [ours, theirs] = [scalar(1234n), scalar(987654321n)];
    const [one, other] = [
      engine.ecdh(engine.publicKey(theirs), ours),
      engine.ecdh(engine.publicKey(ours), theirs),
    ];
    assert.deepEqual(one, other);
    assert.equal(engine.ecdh(hex(`04${'11'.repeat(32)}`), ours), undefined, 'not a point (B8-12)');
  });
}

// Every kind of input that a peer can send, with the ways in which engines are known to differ.
const secrets = fc.uint8Array({ minLength: 32, maxLength: 32 }).filter((s) => {
  const value = BigInt(`0x${toHex(s)}`);
  return value > 0n && value < ORDER;
});
const edges = fc.constantFrom(
  0n,
  1n,
  2n,
  ORDER / 2n,
  ORDER / 2n + 1n,
  ORDER - 1n,
  ORDER,
  ORDER + 1n,
  FIELD,
  2n ** 256n - 1n,
);
const keyXs = fc.constantFrom(0n, 1n, 2n, 3n, 4n, 5n, 6n, FIELD - 1n, FIELD, FIELD + 1n, 2n ** 256n - 1n);
const hashes = fc.uint8Array({ minLength: 32, maxLength: 32 });
type Change = (signature: Uint8Array, hash: Uint8Array, key: Uint8Array) => Uint8Array[];
const changes: fc.Arbitrary<Change> = fc.oneof(
  fc.constant<Change>((s, h, k) => [s, h, k]),
  fc.constant<Change>((s, h, k) => [highS(s), h, k]),
  fc.tuple(fc.nat(128), fc.nat(7)).map(
    ([at, bit]): Change =>
      (s, h, k) => {
        const all = concatBytes(s, h, k);
        all[at] = all[at]! ^ (1 << bit);
        return [all.slice(0, 64), all.slice(64, 96), all.slice(96)];
      },
  ),
  edges.map(
    (r): Change =>
      (s, h, k) => [concatBytes(scalar(r), s.slice(32)), h, k],
  ),
  edges.map(
    (edge): Change =>
      (s, h, k) => [concatBytes(s.slice(0, 32), scalar(edge)), h, k],
  ),
  fc.tuple(edges, edges).map(
    ([r, s]): Change =>
      (_, h, k) => [concatBytes(scalar(r), scalar(s)), h, k],
  ),
  edges.map(
    (edge): Change =>
      (s, _, k) => [s, scalar(edge), k],
  ),
  fc.tuple(fc.nat(255), keyXs).map(
    ([prefix, x]): Change =>
      (s, h) => [s, h, concatBytes(new Uint8Array([prefix]), scalar(x))],
  ),
  fc.nat(255).map(
    (prefix): Change =>
      (s, h, k) => [s, h, concatBytes(new Uint8Array([prefix]), k.slice(1))],
  ),
  fc.uint8Array({ minLength: 129, maxLength: 129 }).map(
    (all): Change =>
      () => [all.slice(0, 64), all.slice(64, 96), all.slice(96)],
  ),
);

test('both engines answer alike to good, bent, out of range and random input', () => {
  const other = native ?? nobleEngine;
  let valid = 0;
  let points = 0;
  fc.assert(
    fc.property(secrets, hashes, changes, (secret, digest, change) => {
      const key = other.publicKey(secret);
      const [signature, hash, publicKey] = change(other.sign(digest, secret), digest, key) as [
        Uint8Array,
        Uint8Array,
        Uint8Array,
      ];
      const expected = nobleEngine.verify(signature, hash, publicKey);
      assert.equal(other.verify(signature, hash, publicKey), expected);
      assert.equal(other.isPoint(publicKey), nobleEngine.isPoint(publicKey));
      if (expected) valid++;
      if (nobleEngine.isPoint(publicKey)) points++;
    }),
    { numRuns: 600, seed: 20260901 },
  );
  assert.ok(valid > 30 && valid < 500, `${valid} of 600 valid`);
  assert.ok(points > 300 && points < 600, `${points} of 600 points`);
});

test('both engines derive and sign alike', () => {
  const other = native ?? nobleEngine;
  fc.assert(
    fc.property(secrets, secrets, hashes, (secret, otherSecret, hash) => {
      assert.deepEqual(toHex(other.publicKey(secret)), toHex(nobleEngine.publicKey(secret)));
      assert.ok(bytesEqual(other.sign(hash, secret), nobleEngine.sign(hash, secret)));
      const theirs = nobleEngine.publicKey(otherSecret);
      assert.ok(bytesEqual(other.ecdh(theirs, secret)!, nobleEngine.ecdh(theirs, secret)!));
    }),
    { numRuns: 40, seed: 7 },
  );
});
