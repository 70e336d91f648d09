import assert from 'node:assert/strict';
import { test } from 'node:test';
import { killRuns } from './kill9_runs.ts';

test('killed twenty times in the middle of a sync it starts at once, keeps what was durable, and ends complete', async (t) => {
  // Another seed at each run; the failing one is told.
  const seed = Math.floor(Math.random() * 0x100000000);
  t.diagnostic(`seed ${seed}`);
  const report = await killRuns(20, seed);
  t.diagnostic(JSON.stringify(report));
  assert.equal(report.kills.length, 20);
});
