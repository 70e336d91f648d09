import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecentMap } from './recent_map.ts';

test('a full map forgets what was used longest ago', () => {
  const map = new RecentMap<string, number>(3);
  for (const [value, key] of ['a', 'b', 'c'].entries()) map.set(key, value);
  assert.equal(map.get('a'), 0);
  map.set('d', 3);
  assert.equal(map.get('b'), undefined);
  assert.deepEqual(
    ['a', 'c', 'd'].map((key) => map.get(key)),
    [0, 2, 3],
  );
  map.set('a', 9);
  assert.equal(map.size, 3);
  assert.equal(map.get('a'), 9);
  map.clear();
  assert.equal(map.size, 0);
});
