import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { seededRng } from '../base/rng.ts';
import { KeyTable } from './key_table.ts';
import { NumberList, PositionMap, PositionSet } from './positions.ts';

const position = fc.integer({ min: 0, max: 400 }).map((value) => value * 4_294_967_296 + value);

test('a set of positions holds what was added, in any order of adding and asking', () => {
  fc.assert(
    fc.property(fc.array(position, { maxLength: 600 }), fc.array(position), (added, asked) => {
      const set = new PositionSet();
      const model = new Set(added);
      for (const value of added) set.add(value);
      set.seal();
      assert.equal(set.size, model.size);
      for (const value of [...asked, ...added]) assert.equal(set.has(value), model.has(value));
      const listed: number[] = [];
      set.each((value) => listed.push(value));
      assert.deepEqual(
        listed,
        [...model].sort((left, right) => left - right),
      );
    }),
  );
});

test('a map of positions gives back the last value that was set', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(position, fc.nat()), { maxLength: 600 }),
      fc.array(position),
      (set, asked) => {
        const map = new PositionMap();
        for (const [key, value] of set) map.set(key, value);
        map.seal();
        const model = new Map(set);
        assert.equal(map.size, model.size);
        for (const key of [...asked, ...model.keys()]) assert.equal(map.get(key), model.get(key));
        const listed: [number, number][] = [];
        map.each((key, value) => listed.push([key, value]));
        assert.deepEqual(
          listed,
          [...model].sort(([left], [right]) => left - right),
        );
      },
    ),
  );
});

test('a list keeps the order of adding', () => {
  const list = new NumberList();
  for (let index = 0; index < 1000; index++) list.push(index * 7);
  assert.deepEqual([list.size, list.at(0), list.at(999)], [1000, 0, 6993]);
});

test('a key table numbers keys in the order of adding, and keeps its numbers when it grows', () => {
  for (const keyBytes of [8, 33]) {
    const table = new KeyTable(keyBytes, 2, seededRng(keyBytes));
    const rng = seededRng(1);
    const keys = rng.bytes(keyBytes * 3000);
    for (let index = 0; index < 3000; index++) {
      assert.equal(table.find(keys, index * keyBytes), -1);
      assert.equal(table.add(keys, index * keyBytes), index);
      table.set(index, 1, index * 3);
    }
    for (let index = 0; index < 3000; index++) {
      assert.equal(table.find(keys, index * keyBytes), index);
      assert.equal(table.add(keys, index * keyBytes), index);
      assert.deepEqual([table.get(index, 0), table.get(index, 1)], [0, index * 3]);
    }
    assert.equal(table.size, 3000);
  }
});
