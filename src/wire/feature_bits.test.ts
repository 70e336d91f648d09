import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  checkFeatures,
  encodeFeatures,
  FEATURES,
  featureLevel,
  GOSSIPD_INIT_FEATURES,
  hasFeature,
  hasFeatureBit,
  hasUnknownEvenFeature,
} from './feature_bits.ts';

const ASSIGNED = new Set(FEATURES.map(({ bit }) => bit));

test('B1-15 a map is as short as its highest bit allows, and has those bits alone', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(300), { maxLength: 20 }), (bits) => {
      const map = encodeFeatures(bits);
      assert.notEqual(map[0], 0);
      for (let bit = 0; bit < 320; bit++) assert.equal(hasFeatureBit(map, bit), bits.includes(bit));
    }),
  );
  assert.deepEqual(encodeFeatures([]), new Uint8Array(0));
  assert.deepEqual(encodeFeatures([0, 8]), Uint8Array.of(1, 1));
});

test('the table has each even bit and each name once, and dependencies are names of the table', () => {
  assert.equal(ASSIGNED.size, FEATURES.length);
  const names = new Set(FEATURES.map(({ name }) => name));
  assert.equal(names.size, FEATURES.length);
  for (const { bit, dependencies } of FEATURES) {
    assert.equal(bit % 2, 0);
    for (const dependency of dependencies) assert.ok(names.has(dependency));
  }
});

test('B9-03 both bits of a pair count as mandatory', () => {
  assert.equal(featureLevel(encodeFeatures([6, 7]), 6), 'mandatory');
  assert.equal(featureLevel(encodeFeatures([6]), 6), 'mandatory');
  assert.equal(featureLevel(encodeFeatures([7]), 6), 'optional');
  assert.equal(featureLevel(encodeFeatures([5, 8]), 6), 'absent');
  assert.ok(hasFeature(encodeFeatures([6]), 6) && hasFeature(encodeFeatures([7]), 6));
});

test('B1-19 the lowest unknown even bit is reported, unknown odd bits are not', () => {
  assert.deepEqual(checkFeatures(encodeFeatures([101, 65535])), {});
  assert.deepEqual(checkFeatures(encodeFeatures([6, 100, 200])), { unknownEven: 100 });
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(2000), { maxLength: 8 }), (bits) => {
      const unknown = bits.filter((bit) => bit % 2 === 0 && !ASSIGNED.has(bit)).sort((a, b) => a - b);
      assert.equal(checkFeatures(encodeFeatures(bits)).unknownEven, unknown[0]);
    }),
  );
});

test('B1-19 B9-03 an unknown even bit is reported also beside its odd one', () => {
  assert.deepEqual(checkFeatures(encodeFeatures([100, 101])), { unknownEven: 100 });
});

test('B1-21 a missing dependency is reported by name', () => {
  assert.deepEqual(checkFeatures(encodeFeatures([51])), {
    missingDependency: ['option_zeroconf', 'option_scid_alias'],
  });
  assert.deepEqual(checkFeatures(encodeFeatures([60])), {
    missingDependency: ['option_simple_close', 'option_shutdown_anysegwit'],
  });
  assert.deepEqual(checkFeatures(encodeFeatures([50, 47, 61, 26])), {});
});

test('B9-04 assumed features need not be set for what depends on them', () => {
  assert.deepEqual(checkFeatures(encodeFeatures([17, 21])), {});
});

test('B1-14 B9-01 B9-02 what gossipd announces is optional, known, and complete in dependencies', () => {
  assert.deepEqual(checkFeatures(GOSSIPD_INIT_FEATURES), {});
  for (const bit of [1, 7, 9, 11, 13, 15, 45]) assert.ok(hasFeatureBit(GOSSIPD_INIT_FEATURES, bit));
  const set: number[] = [];
  for (let bit = 0; bit < GOSSIPD_INIT_FEATURES.length * 8; bit++) {
    if (hasFeatureBit(GOSSIPD_INIT_FEATURES, bit)) set.push(bit);
  }
  assert.deepEqual(set, [1, 7, 9, 11, 13, 15, 45]);
});

test('the longest map of a message is checked, and a bit beyond any map is absent', () => {
  assert.equal(checkFeatures(new Uint8Array(65535).fill(0xaa)).unknownEven, undefined);
  assert.equal(hasFeatureBit(Uint8Array.of(0xff), 4_000_000), false);
});

test('a negative or absurd bit is our own mistake', () => {
  assert.throws(() => encodeFeatures([-1]));
  assert.throws(() => encodeFeatures([65535 * 8]));
});

test('B7-04 B7-18 an announcement demands the unknown only by an even bit that nobody has assigned', () => {
  assert.equal(hasUnknownEvenFeature({ features: encodeFeatures([]) }), false);
  assert.equal(hasUnknownEvenFeature({ features: encodeFeatures([0, 6, 9, 62, 4001]) }), false);
  assert.equal(hasUnknownEvenFeature({ features: encodeFeatures([0, 4000]) }), true);
  assert.equal(hasUnknownEvenFeature({ features: encodeFeatures([30]) }), true);
});
