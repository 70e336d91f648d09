import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WANTED_STATE, WantedScids } from './wanted_scids.ts';

test('property: the table finds what a map finds, through growth and removal', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 100 })), {
        maxLength: 4000,
        size: 'max',
      }),
      fc.integer(),
      (steps, salt) => {
        const table = new WantedScids(salt);
        const model = new Map<string, number>();
        for (const [adds, hi, lo] of steps) {
          const key = `${hi}/${lo}`;
          const slot = table.find(hi, lo);
          assert.equal(slot, model.get(key) ?? -1);
          if (adds && slot === -1) model.set(key, table.add(hi, lo, 31));
          else if (!adds && slot !== -1) {
            table.remove(slot);
            model.delete(key);
          }
          assert.equal(table.size, model.size);
          assert.equal(table.count(WANTED_STATE.waiting), model.size);
        }
        for (const [key, slot] of model) assert.equal(`${table.hi[slot]}/${table.lo[slot]}`, key);
      },
    ),
    { numRuns: 30 },
  );
});

test('slots stay while the table grows, and a full table says so', () => {
  const table = new WantedScids(7, 5000);
  const slots = Array.from({ length: 5000 }, (_, index) => table.add(0xffffff00, index, index % 32));
  assert.equal(table.add(1, 1, 31), -1);
  for (const [index, slot] of slots.entries()) {
    assert.equal(table.find(0xffffff00, index), slot);
    assert.equal(table.flags[slot], index % 32);
  }
  for (const slot of slots) table.remove(slot);
  assert.deepEqual([table.size, table.end], [0, 0]);
  assert.ok(table.add(1, 1, 31) >= 0);
});
