import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HastyClock } from './backup_bench.test.support.ts';
import { paced } from './pace.ts';
import { quietTask, type Task } from './task.ts';

test('work is held to its bytes per second, each piece of work by itself', async () => {
  const clock = new HastyClock();
  clock.manual.advance(3_600_000);
  for (let pass = 0; pass < 2; pass++) {
    const start = clock.monotonicMs();
    const task = paced(quietTask, clock, 1000);
    for (let piece = 0; piece < 10; piece++) await task.breathe(500);
    assert.equal(clock.monotonicMs() - start, 5000);
  }
  const start = clock.monotonicMs();
  await paced(quietTask, clock, 0).breathe(1e9);
  assert.equal(clock.monotonicMs(), start, '0: as fast as it goes');
});

test('a request to stop ends the wait within a nap', async () => {
  const clock = new HastyClock();
  let naps = 0;
  const task: Task = { ...quietTask, cancelled: () => (naps >= 3 ? 'interrupted' : undefined) };
  clock.onWait = () => {
    naps++;
  };
  await paced(task, clock, 1).breathe(1000);
  assert.equal(naps, 3);
});
