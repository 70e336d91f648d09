import assert from 'node:assert/strict';
import test from 'node:test';
import { seededRng } from '../base/rng.ts';
import { ANNOUNCEMENT_COLUMN, ChannelTable, DYING_COLUMN, UPDATE_COLUMN } from './channel_table.ts';

test('finds every channel after growing, and none that was not added', () => {
  const rng = seededRng(3);
  const table = new ChannelTable(rng);
  for (let number = 0; number < 20_000; number++) {
    const slot = table.add(number, number * 7);
    table.set(slot, ANNOUNCEMENT_COLUMN, number + 1);
    table.set(slot, DYING_COLUMN, number + 2);
  }
  for (let number = 0; number < 20_000; number++) {
    const slot = table.find(number, number * 7);
    assert.equal(table.get(slot, ANNOUNCEMENT_COLUMN), number + 1);
    assert.equal(table.get(slot, UPDATE_COLUMN), 0);
    assert.equal(table.get(slot, DYING_COLUMN), number + 2);
    assert.equal(table.find(number, number * 7 + 1), -1);
  }
});

test('a cleared channel is known and empty, and adding it again gives the same slot', () => {
  const table = new ChannelTable(seededRng(4));
  const slot = table.add(0xffffffff, 0xfffffffe);
  table.set(slot, ANNOUNCEMENT_COLUMN, 2 ** 40);
  assert.equal(table.get(slot, ANNOUNCEMENT_COLUMN), 2 ** 40);
  table.clear(slot);
  assert.equal(table.get(table.find(0xffffffff, 0xfffffffe), ANNOUNCEMENT_COLUMN), 0);
  assert.equal(table.add(0xffffffff, 0xfffffffe), slot);
});

test('60,000 keys that differ in their upper bits alone are all found', () => {
  const table = new ChannelTable(seededRng(5));
  for (let number = 0; number < 60_000; number++) table.add((number << 8) >>> 0, 0x10000);
  for (let number = 0; number < 60_000; number++) assert.ok(table.find((number << 8) >>> 0, 0x10000) >= 0);
});
