import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeU32 } from '../base/bytes.ts';
import { seededRng } from '../base/rng.ts';
import { PlaceColumn } from './audit_tables.ts';
import { NumberedKeys } from './numbered_keys.ts';

const key = (number: number): Uint8Array => {
  const bytes = new Uint8Array(33);
  bytes[0] = 2 + (number & 1);
  writeU32(bytes, 29, number >>> 1);
  return bytes;
};

test('keys keep the numbers that they were given, however many come', () => {
  const keys = new NumberedKeys(seededRng(1), 33, 1_000_000);
  for (let number = 0; number < 5000; number++) {
    assert.equal(keys.find(key(number), 0), -1);
    assert.equal(keys.add(key(number), 0), number);
  }
  for (let number = 0; number < 5000; number++) {
    assert.equal(keys.find(key(number), 0), number);
    assert.equal(keys.add(key(number), 0), number);
    assert.deepEqual(keys.keys.slice(number * 33, (number + 1) * 33), key(number));
  }
});

test('a full table takes no new key and still knows the others', () => {
  const keys = new NumberedKeys(seededRng(1), 33, 10);
  for (let number = 0; number < 12; number++) keys.add(key(number), 0);
  assert.equal(keys.count, 10);
  assert.equal(keys.find(key(9), 0), 9);
  assert.equal(keys.add(key(10), 0), -1);
});

test('a column knows places beyond its first size, and none where nothing was set', () => {
  const column = new PlaceColumn();
  column.set(70_000, 2 ** 40, 444, 5);
  assert.deepEqual(
    [column.at(70_000), column.length[70_000], column.recordNumber[70_000], column.at(3), column.at(1e7)],
    [2 ** 40, 444, 5, 0, 0],
  );
  column.clear(70_000);
  column.clear(1e7);
  assert.equal(column.at(70_000), 0);
});
