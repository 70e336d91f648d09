import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRng } from './system_rng.ts';

test('bytes are fresh arrays of the asked length, different each time', () => {
  const rng = systemRng();
  const first = rng.bytes(32);
  const second = rng.bytes(32);
  assert.equal(first.length, 32);
  assert.notDeepEqual(first, second);
  assert.equal(first.constructor, Uint8Array);
  assert.equal(rng.bytes(0).length, 0);
  assert.equal(rng.bytes(100_000).length, 100_000);
});

test('fractions are in [0, 1), spread evenly, and do not repeat when the pool is refilled', () => {
  const rng = systemRng();
  const count = 20_000;
  const seen = new Set<number>();
  const tenths = new Array<number>(10).fill(0);
  for (let index = 0; index < count; index++) {
    const fraction = rng.fraction();
    assert.ok(fraction >= 0 && fraction < 1);
    seen.add(fraction);
    tenths[Math.floor(fraction * 10)]!++;
  }
  assert.equal(seen.size, count);
  // 2,000 expected in each tenth, standard deviation 42: 400 is more than nine of them.
  for (const inTenth of tenths) assert.ok(Math.abs(inTenth - count / 10) < 400, tenths.join(' '));
});
