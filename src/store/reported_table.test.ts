import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../base/rng.ts';
import { KEY_KIND, ReportedTable } from './reported_table.ts';

test('behaves like a map under random sets, removals, marks and shrinking', () => {
  const rng = seededRng(7);
  const draw = (below: number): number => Math.floor(rng.fraction() * below);
  const table = new ReportedTable(rng);
  const model = new Map<string, { value: number; marked: boolean }>();
  for (let step = 0; step < 60_000; step++) {
    const [kind, hi, lo] = [1 + draw(6), draw(20) * 0x0ccccccc, draw(60)];
    const key = `${kind} ${hi} ${lo}`;
    const choice = draw(10_000);
    if (choice < 6_000) {
      table.set(kind, hi, lo, step, step * 3, step * 1e7);
      model.set(key, { value: step, marked: true });
    } else if (choice < 9_000) {
      table.remove(kind, hi, lo);
      model.delete(key);
    } else if (choice < 9_002) {
      table.clearMarks();
      for (const entry of model.values()) entry.marked = false;
    } else if (choice < 9_900) {
      const slot = table.find(kind, hi, lo);
      const entry = model.get(key);
      assert.equal(slot >= 0, entry !== undefined);
      if (slot >= 0) table.markSeen(slot);
      if (entry !== undefined) entry.marked = true;
    } else if (choice === 9_999) {
      table.keepMarked();
      for (const [each, { marked }] of model) if (!marked) model.delete(each);
    }
    const slot = table.find(kind, hi, lo);
    const entry = model.get(key);
    assert.equal(slot < 0 ? undefined : table.timestampAt(slot), entry?.value);
    if (slot >= 0) {
      const value = table.timestampAt(slot);
      assert.deepEqual([table.contentAt(slot), table.positionAt(slot)], [value * 3, value * 1e7]);
    }
  }
  assert.equal(table.size, model.size);
  const channels = [...model.keys()].filter((key) => key.startsWith(`${KEY_KIND.announcement} `));
  assert.equal(table.channels, channels.length);
  table.clear();
  assert.deepEqual([table.size, table.channels, table.find(1, 0, 0)], [0, 0, -1]);
});
