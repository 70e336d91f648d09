import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mock, test } from 'node:test';
import { MAX_TIMER_MS, systemClock } from './system_clock.ts';

test('time is that of the system, and monotonic time does not go back', () => {
  const clock = systemClock();
  const before = Date.now();
  const now = clock.nowMs();
  assert.ok(now >= before && now <= Date.now());
  const first = clock.monotonicMs();
  assert.ok(clock.monotonicMs() >= first);
});

test('a timer fires once, a cancelled one never, and cancelling after firing is harmless', async () => {
  const clock = systemClock();
  const fired: string[] = [];
  const cancel = clock.after(1, () => fired.push('cancelled'));
  cancel();
  await new Promise<void>((resolve) => {
    const done = clock.after(5, () => {
      fired.push('kept');
      resolve();
      done();
    });
  });
  assert.deepEqual(fired, ['kept']);
});

test('a delay longer than a timer can hold is waited for in steps', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    let fired = 0;
    systemClock().after(MAX_TIMER_MS + 1000, () => fired++);
    const cancel = systemClock().after(MAX_TIMER_MS + 1000, () => fired++);
    mock.timers.tick(MAX_TIMER_MS);
    assert.equal(fired, 0);
    cancel();
    mock.timers.tick(999);
    assert.equal(fired, 0);
    mock.timers.tick(1);
    assert.equal(fired, 1);
  } finally {
    mock.timers.reset();
  }
});

test('timers without a hold let the process end', () => {
  const script = `import { systemClock } from ${JSON.stringify(new URL('./system_clock.js', import.meta.url).href)};
    systemClock({ unrefTimers: true }).after(600_000, () => {});`;
  const { status, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    timeout: 60_000,
  });
  assert.deepEqual({ status, signal }, { status: 0, signal: null });
});
