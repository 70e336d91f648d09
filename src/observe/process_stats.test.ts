import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryMeter } from '../base/meter.ts';
import { ManualClock } from '../base/time.ts';
import { LAG_INTERVAL_MS, LoopLagSampler, meterProcess, processStats } from './process_stats.ts';

test('memory and processor time of this process are counted', () => {
  const before = processStats();
  const held = new Uint8Array(50_000_000).fill(1);
  const after = processStats();
  assert.ok(after.array_buffer_bytes - before.array_buffer_bytes >= held.length);
  assert.ok(after.rss_bytes > 10_000_000);
  assert.ok(after.cpu_seconds >= before.cpu_seconds && after.cpu_seconds > 0);
  assert.ok(after.uptime_seconds >= before.uptime_seconds);
});

test('the gauges carry their units', () => {
  const meter = new MemoryMeter();
  meterProcess(meter, {
    rss_bytes: 1,
    heap_bytes: 2,
    array_buffer_bytes: 3,
    cpu_seconds: 4,
    uptime_seconds: 5,
  });
  assert.deepEqual(
    [...meter.values],
    [
      ['gossipd_process_resident_bytes', 1],
      ['gossipd_process_heap_bytes', 2],
      ['gossipd_process_array_buffer_bytes', 3],
      ['gossipd_process_cpu_seconds', 4],
    ],
  );
});

test('lateness of the loop is measured, taken once, and stops at close', () => {
  const manual = new ManualClock();
  let late = 0;
  const clock = { ...manual, monotonicMs: () => manual.monotonicMs() + late };
  const sampler = new LoopLagSampler(clock);
  manual.advance(LAG_INTERVAL_MS);
  late = 40;
  manual.advance(LAG_INTERVAL_MS);
  assert.deepEqual(sampler.take(), { mean_ms: 20, max_ms: 40, samples: 2 });
  assert.deepEqual(sampler.take(), { mean_ms: 0, max_ms: 0, samples: 0 });
  sampler.close();
  assert.equal(manual.pending, 0);
});
