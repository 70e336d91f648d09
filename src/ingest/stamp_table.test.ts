import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../base/rng.ts';
import { StampTable } from './stamp_table.ts';

test('a StampTable agrees with a Map over 100,000 random steps, but for what is over (seed 20260203)', () => {
  const rng = seededRng(20_260_203);
  let now = 0;
  const table = new StampTable(1 << 16, (stamp) => stamp <= now);
  const model = new Map<number, number>();
  for (let step = 0; step < 100_000; step++) {
    now = Math.floor(step / 100);
    const key = Math.floor(rng.fraction() * 3000);
    const [hi, lo] = [key % 7, key * 0x10001];
    if (rng.fraction() < 0.5) {
      const stamp = now + 1 + Math.floor(rng.fraction() * 60);
      table.set(hi, lo, stamp);
      model.set(key, stamp);
    }
    const expected = model.get(key) ?? 0;
    const found = table.get(hi, lo);
    if (expected > now) assert.equal(found, expected);
    else assert.ok(found === expected || found === 0, 'what is over may be gone');
  }
  assert.equal(table.turnovers, 0);
  assert.ok(
    table.bytes <= 16_384 * 12,
    'what is over makes room: some 1,900 of 3,000 keys are alive at once',
  );
});

test('a full StampTable forgets all, counts it, and never grows beyond its maximum', () => {
  const table = new StampTable(64, () => false);
  for (let key = 1; key <= 1000; key++) {
    table.set(key, key, key);
    assert.equal(table.get(key, key), key);
    assert.ok(table.size <= 64);
    assert.ok(table.bytes <= 128 * 12);
  }
  assert.ok(table.turnovers >= 1000 / 64 - 1);
});

test('a StampTable of one entry can be overwritten and has no other keys', () => {
  const table = new StampTable(64, () => false);
  assert.equal(table.get(0, 0), 0);
  table.set(0, 0, 5);
  table.set(0, 0, 4_294_967_295);
  assert.equal(table.get(0, 0), 4_294_967_295);
  assert.equal(table.get(0, 1), 0);
  assert.equal(table.size, 1);
});
