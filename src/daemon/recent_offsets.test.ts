import assert from 'node:assert/strict';
import { test } from 'node:test';
import { storeOffset } from '../wire/store_record.ts';
import { GENERATION_ENTRIES, RecentOffsets } from './recent_offsets.ts';

const filled = (count: number): RecentOffsets => {
  const offsets = new RecentOffsets();
  for (let index = 0; index < count; index++) offsets.add(storeOffset(index));
  return offsets;
};

test('remembers what was added and nothing else', () => {
  const offsets = filled(3);
  assert.ok(offsets.has(storeOffset(0)) && offsets.has(storeOffset(2)));
  assert.equal(offsets.has(storeOffset(3)), false);
  offsets.add(storeOffset(2));
  assert.equal(offsets.size, 3, 'an offset added twice counts once');
});

test('offsets above 2^32 are kept apart', () => {
  const offsets = new RecentOffsets();
  offsets.add(storeOffset(2 ** 40 + 5));
  assert.ok(offsets.has(storeOffset(2 ** 40 + 5)));
  assert.equal(offsets.has(storeOffset(5)), false);
});

test(`bound: the latest ${GENERATION_ENTRIES} are always known, and never more than twice as many`, () => {
  const count = 5 * GENERATION_ENTRIES + 7;
  const offsets = filled(count);
  assert.ok(offsets.size <= 2 * GENERATION_ENTRIES);
  for (let back = 1; back <= GENERATION_ENTRIES; back++) assert.ok(offsets.has(storeOffset(count - back)));
  assert.equal(offsets.has(storeOffset(0)), false);
});
