import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '../base/bytes.ts';
import { seededRng } from '../base/rng.ts';
import { NodeTable } from './node_table.ts';
import { ScidTable } from './scid_table.ts';

const SEED = 20260203;

test(`a ScidTable agrees with a Map over 200,000 random steps (seed ${SEED})`, () => {
  const rng = seededRng(SEED);
  const table = new ScidTable<number>();
  const model = new Map<string, number>();
  for (let step = 0; step < 200_000; step++) {
    // Few keys, the extremes among them, so that removals hit and probes collide.
    const hi = rng.fraction() < 0.1 ? 0xffffffff : Math.floor(rng.fraction() * 40);
    const lo = rng.fraction() < 0.1 ? 0 : Math.floor(rng.fraction() * 40);
    const key = `${hi}.${lo}`;
    const choice = rng.fraction();
    if (choice < 0.4) {
      table.set(hi, lo, step);
      model.set(key, step);
    } else if (choice < 0.8) {
      assert.equal(table.delete(hi, lo), model.delete(key));
    } else {
      assert.equal(table.get(hi, lo), model.get(key));
      assert.equal(table.has(hi, lo), model.has(key));
    }
    assert.equal(table.size, model.size);
  }
  const seen = new Map<string, number>();
  table.forEach((value, hi, lo) => {
    seen.set(`${hi}.${lo}`, value);
  });
  assert.deepEqual(new Map([...seen].sort()), new Map([...model].sort()));
});

test(`a NodeTable agrees with a Map over 100,000 random steps (seed ${SEED})`, () => {
  const rng = seededRng(SEED);
  const table = new NodeTable<number>();
  const model = new Map<string, number>();
  // Half of the ids share the bytes that are hashed.
  const ids = Array.from({ length: 400 }, (_, index) => {
    const id = rng.bytes(33);
    if (index % 2 === 0) id.fill(7, 0, 12);
    return id;
  });
  for (let step = 0; step < 100_000; step++) {
    const id = ids[Math.floor(rng.fraction() * ids.length)]!;
    const [bytes, at] = step % 2 === 0 ? [id, 0] : [Uint8Array.from([1, 2, 3, ...id]), 3];
    const choice = rng.fraction();
    if (choice < 0.4) {
      table.set(bytes, at, step);
      model.set(toHex(id), step);
    } else if (choice < 0.8) assert.equal(table.delete(bytes, at), model.delete(toHex(id)));
    else assert.equal(table.get(bytes, at), model.get(toHex(id)));
    assert.equal(table.size, model.size);
  }
});
