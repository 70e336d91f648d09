import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/time.ts';
import {
  MADE_UP_OUTPUT_COST,
  MAX_BUDGET_ORIGINS,
  USELESS_BURST_MESSAGES,
  UselessBudget,
} from './useless_budget.ts';

test('an origin may waste ten thousand at once, then ten thousand per minute', () => {
  const clock = new ManualClock();
  const budget = new UselessBudget(clock);
  assert.equal(budget.isSpent(1), false);
  for (let count = 0; count < USELESS_BURST_MESSAGES; count++) assert.equal(budget.charge(1), true);
  assert.equal(budget.charge(1), false);
  assert.equal(budget.isSpent(1), true);
  assert.equal(budget.isSpent(2), false, 'others are not affected');
  clock.advance(60);
  assert.equal(budget.charge(1), true, 'ten per sixty milliseconds');
  clock.advance(3_600_000);
  let allowed = 0;
  while (budget.charge(1)) allowed++;
  assert.equal(allowed, USELESS_BURST_MESSAGES, 'no more than the burst can be saved up');
});

test('origin 0, ourselves, has no limit', () => {
  const budget = new UselessBudget(new ManualClock());
  for (let count = 0; count <= USELESS_BURST_MESSAGES; count++) assert.equal(budget.charge(0), true);
  assert.equal(budget.origins, 0);
});

test('the table of origins is bounded; the oldest starts afresh', () => {
  const budget = new UselessBudget(new ManualClock());
  while (budget.charge(1));
  for (let origin = 2; origin <= MAX_BUDGET_ORIGINS + 1; origin++) budget.charge(origin);
  assert.equal(budget.origins, MAX_BUDGET_ORIGINS);
  assert.equal(budget.isSpent(1), false);
  budget.forget(2);
  assert.equal(budget.origins, MAX_BUDGET_ORIGINS - 1);
});

test('a message may cost more than one; what is left over then is of no use either', () => {
  const clock = new ManualClock();
  const budget = new UselessBudget(clock);
  const messages = Math.floor(USELESS_BURST_MESSAGES / MADE_UP_OUTPUT_COST);
  assert.equal(budget.charge(1, 1), true);
  for (let count = 1; count < messages; count++) assert.equal(budget.charge(1, MADE_UP_OUTPUT_COST), true);
  assert.equal(budget.charge(1, MADE_UP_OUTPUT_COST), false, '49 are left');
  assert.equal(budget.isSpent(1), true);
  clock.advance(6);
  assert.equal(budget.charge(1), true, 'one is back after six milliseconds');
});
