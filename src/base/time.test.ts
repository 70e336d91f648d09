import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from './rng.ts';
import { ManualClock, nowSeconds } from './time.ts';

test('timers of a manual clock fire in order of their time, also those that timers set', () => {
  const clock = new ManualClock(5_000);
  const fired: string[] = [];
  clock.after(20, () => fired.push(`b@${clock.monotonicMs()}`));
  clock.after(10, () => {
    fired.push(`a@${clock.monotonicMs()}`);
    clock.after(5, () => fired.push(`c@${clock.monotonicMs()}`));
  });
  const cancel = clock.after(12, () => fired.push('never'));
  cancel();
  clock.advance(20);
  assert.deepEqual(fired, ['a@10', 'c@15', 'b@20']);
  assert.equal(clock.nowMs(), 5_020);
  assert.equal(nowSeconds(clock), 5);
  assert.equal(clock.pending, 0);
});

test('a seeded generator repeats itself, and fills [0, 1) evenly', () => {
  const [one, same] = [seededRng(9), seededRng(9)];
  const drawn = Array.from({ length: 4_000 }, () => one.fraction());
  assert.deepEqual(
    drawn,
    Array.from({ length: 4_000 }, () => same.fraction()),
  );
  const buckets = new Array<number>(10).fill(0);
  for (const fraction of drawn) buckets[Math.floor(fraction * 10)]! += 1;
  assert.ok(
    buckets.every((count) => count > 320 && count < 480),
    buckets.join(' '),
  );
  assert.notDeepEqual(seededRng(1).bytes(16), seededRng(2).bytes(16));
});
