import assert from 'node:assert/strict';
import { test } from 'node:test';
import { House } from '../../test/fixtures/ingest_house.ts';
import { makeChannel } from '../../test/fixtures/signed_gossip.ts';
import { MAX_PER_SECOND, MapRound } from './map_round.ts';

const CHANNELS = 60;

const rounds = async () => {
  const house = new House();
  for (let seed = 1; seed <= CHANNELS; seed++) await house.offer(makeChannel({ seed }).raw);
  const asked: string[] = [];
  let waiting = 0;
  let isFull = false;
  const round = new MapRound({
    graph: house.graph,
    clock: house.clock,
    ask: (hi, lo) => {
      if (!isFull) asked.push(`${hi}.${lo}`);
      return !isFull;
    },
    waiting: () => waiting,
  });
  return {
    ...{ house, asked, round },
    wait: (count: number) => {
      waiting = count;
    },
    fill: (full: boolean) => {
      isFull = full;
    },
  };
};

test('a round asks about each channel once, spread over its time', async () => {
  const { house, asked, round } = await rounds();
  let finished = 0;
  round.begin(
    () => true,
    CHANNELS * 10_000,
    () => finished++,
  );
  house.clock.advance(100_000);
  assert.ok(asked.length >= 9 && asked.length <= 10, 'one in ten seconds');
  house.clock.advance(CHANNELS * 10_000);
  assert.equal(new Set(asked).size, CHANNELS);
  assert.equal(asked.length, CHANNELS);
  assert.equal(finished, 1);
  assert.equal(house.clock.pending, 0);
});

test('MAX_PER_SECOND is the most, and nothing is asked while questions wait or there is no room', async () => {
  const { house, asked, round, wait, fill } = await rounds();
  wait(1000);
  let finished = 0;
  round.begin(
    () => true,
    0,
    () => finished++,
  );
  house.clock.advance(3_600_000);
  assert.equal(asked.length, 0);
  wait(0);
  fill(true);
  house.clock.advance(60_000);
  assert.equal(round.done, 0);
  fill(false);
  house.clock.advance(1000);
  assert.equal(asked.length, MAX_PER_SECOND, 'what was not asked is not made up for');
  wait(1);
  house.clock.advance(2_000);
  assert.equal(asked.length, CHANNELS);
  assert.equal(finished, 0, 'one answer is missing');
  wait(0);
  house.clock.advance(1000);
  assert.equal(finished, 1);
});

test('channels that have left meanwhile are passed over; a stop ends it', async () => {
  const { house, asked, round } = await rounds();
  round.begin(
    (channel) => channel % 2 === 0,
    0,
    () => {},
  );
  assert.equal(round.total, CHANNELS / 2);
  const first = makeChannel({ seed: 1 });
  house.ingest.channelSpent(first.scidHi, first.scidLo, 1);
  house.ingest.removeDying(100);
  house.clock.advance(60_000);
  assert.equal(asked.length, CHANNELS / 2 - 1);
  round.begin(
    () => true,
    0,
    () => {},
  );
  round.stop();
  assert.equal(house.clock.pending, 0);
});
