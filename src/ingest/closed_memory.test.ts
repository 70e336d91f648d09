import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClosedMemory, MAX_CLOSED_SCIDS } from './closed_memory.ts';

test('what is remembered is there until its block goes (B7-13)', () => {
  const closed = new ClosedMemory();
  assert.equal(closed.has(1, 1), false);
  closed.remember(1, 1, 100);
  closed.remember(2, 2, 105);
  closed.remember(0xffffffff, 0xffffffff, 110);
  closed.forgetFrom(105);
  assert.deepEqual(
    [closed.has(1, 1), closed.has(2, 2), closed.has(0xffffffff, 0xffffffff)],
    [true, false, false],
  );
  closed.forget(1, 1);
  assert.equal(closed.size, 0);
});

test('MAX_CLOSED_SCIDS: the older half is forgotten', () => {
  assert.ok(MAX_CLOSED_SCIDS % 2 === 0);
  const closed = new ClosedMemory(100);
  for (let index = 0; index < 1000; index++) {
    closed.remember(index, 0, 1);
    assert.ok(closed.size <= 100);
  }
  assert.equal(closed.has(999, 0), true);
  assert.equal(closed.has(950, 0), true);
  assert.equal(closed.has(800, 0), false);
  closed.remember(999, 0, 2);
  assert.equal(closed.size, 100, 'once more is not one more');
});

test('a copy by bytes holds the same', () => {
  const closed = new ClosedMemory(100);
  for (let index = 0; index < 80; index++) closed.remember(index, index * 3, index);
  const copy = new ClosedMemory(100);
  copy.load(closed.toBytes());
  assert.equal(copy.size, closed.size);
  for (let index = 0; index < 80; index++) assert.equal(copy.has(index, index * 3), true);
  copy.forgetFrom(40);
  assert.equal(copy.size, 40);
  copy.load(new Uint8Array(11));
  assert.equal(copy.size, 40, 'half an entry is none');
});
