import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/time.ts';
import { TokenBucket } from './token_bucket.ts';

test('a spent bucket opens again after as long as its rate says', () => {
  const clock = new ManualClock();
  const bucket = new TokenBucket(clock, 1000, 2000);
  assert.equal(bucket.open, true);
  bucket.spend(3000);
  assert.equal(bucket.open, false);
  assert.equal(bucket.waitMs, 1001);
  clock.advance(999);
  assert.equal(bucket.open, false);
  clock.advance(2);
  assert.equal(bucket.open, true);
  assert.equal(bucket.waitMs, 0);
});

test('no more than the burst is saved up', () => {
  const clock = new ManualClock();
  const bucket = new TokenBucket(clock, 1000, 2000);
  clock.advance(3_600_000);
  bucket.spend(2001);
  assert.equal(bucket.open, false);
});

test('rate 0 is unlimited', () => {
  const bucket = new TokenBucket(new ManualClock(), 0, 10);
  bucket.spend(1e12);
  assert.equal(bucket.open, true);
});
