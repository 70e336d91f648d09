import assert from 'node:assert/strict';
import { test } from 'node:test';
import { processStats } from './process_stats.ts';

test('memory and processor time of this process are counted', () => {
  const before = processStats();
  const held = new Uint8Array(50_000_000).fill(1);
  const after = processStats();
  assert.ok(after.array_buffer_bytes - before.array_buffer_bytes >= held.length);
  assert.ok(after.rss_bytes > 10_000_000);
  assert.ok(after.cpu_seconds >= before.cpu_seconds && after.cpu_seconds > 0);
  assert.ok(after.uptime_seconds >= before.uptime_seconds);
});
