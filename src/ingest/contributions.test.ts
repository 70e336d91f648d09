import assert from 'node:assert/strict';
import { test } from 'node:test';
import { House } from '../../test/fixtures/ingest_house.ts';
import { flipBit, makeChannel, makeUpdate } from '../../test/fixtures/signed_gossip.ts';
import { Contributions, MAX_CONTRIBUTING_ORIGINS } from './contributions.ts';
import { ACCEPT } from './verdict.ts';

const channel = makeChannel({ seed: 1 });

test('bytes offered and bytes that were useful are counted for each origin, also when the verdict comes later', async () => {
  const house = new House();
  const update = makeUpdate(channel);
  assert.equal(await house.offer(update, 5), 'hold held_for_channel');
  assert.deepEqual(house.ingest.contributionOf(5), {
    offered_bytes: 138,
    useful_bytes: 0,
    accepted: 0,
    duplicates: 0,
    broken: 0,
  });
  await house.offer(channel.raw, 6);
  await house.offer(channel.raw, 5);
  await house.offer(flipBit(makeUpdate(channel, { direction: 1 }), 125), 5);
  assert.deepEqual(house.ingest.contributionOf(5), {
    offered_bytes: 138 + 432 + 138,
    useful_bytes: 138,
    accepted: 1,
    duplicates: 1,
    broken: 1,
  });
  assert.equal(house.ingest.contributionOf(6).useful_bytes, 432);
  house.ingest.forgetOrigin(5);
  assert.equal(house.ingest.contributionOf(5).offered_bytes, 0);
});

test('a verdict after its origin has left opens no new account', () => {
  const contributions = new Contributions();
  contributions.offered(1, 10);
  contributions.forget(1);
  contributions.settled(ACCEPT, 1, 10);
  assert.equal(contributions.origins, 0);
});

test('the table of contributions is bounded; the oldest starts from zero', () => {
  const contributions = new Contributions();
  for (let origin = 1; origin <= MAX_CONTRIBUTING_ORIGINS + 1; origin++) contributions.offered(origin, 7);
  assert.equal(contributions.origins, MAX_CONTRIBUTING_ORIGINS);
  assert.equal(contributions.of(1).offered_bytes, 0);
  assert.equal(contributions.of(2).offered_bytes, 7);
});
