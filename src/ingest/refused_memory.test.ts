import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/time.ts';
import { REFUSED_GENERATION_ENTRIES, REFUSED_GENERATION_MS, RefusedMemory } from './refused_memory.ts';

test('a key is remembered for at least one generation and at most two', () => {
  const clock = new ManualClock();
  const memory = new RefusedMemory(clock);
  memory.remember(1, 2, 7);
  assert.equal(memory.find(1, 2), 7);
  assert.equal(memory.find(2, 1), undefined);
  clock.advance(REFUSED_GENERATION_MS);
  assert.equal(memory.find(1, 2), 7, 'it is in the old generation now');
  clock.advance(REFUSED_GENERATION_MS);
  assert.equal(memory.find(1, 2), undefined);
});

test('after two quiet hours nothing is remembered', () => {
  const clock = new ManualClock();
  const memory = new RefusedMemory(clock);
  memory.remember(1, 2);
  clock.advance(2 * REFUSED_GENERATION_MS);
  assert.equal(memory.find(1, 2), undefined);
});

test('a flood turns the generations over; the memory never holds more than two of them', () => {
  const memory = new RefusedMemory(new ManualClock());
  for (let key = 0; key < 5 * REFUSED_GENERATION_ENTRIES; key++) {
    memory.remember(key, 0);
    assert.ok(memory.size <= 2 * REFUSED_GENERATION_ENTRIES);
  }
  const last = 5 * REFUSED_GENERATION_ENTRIES - 1;
  assert.equal(memory.find(last, 0), 0);
  assert.equal(
    memory.find(last - REFUSED_GENERATION_ENTRIES + 1, 0),
    0,
    'a full generation back is still there',
  );
  assert.equal(memory.find(0, 0), undefined);
});

test('the latest mark counts', () => {
  const memory = new RefusedMemory(new ManualClock());
  memory.remember(1, 1, 5);
  memory.remember(1, 1, 0);
  assert.equal(memory.find(1, 1), 0);
});
