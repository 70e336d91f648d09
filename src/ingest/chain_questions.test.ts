import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settled } from '../../test/fixtures/ingest_house.ts';
import { scidHi } from '../base/short_channel_id.ts';
import { ManualClock } from '../base/time.ts';
import type { UtxoResult } from '../chain/utxo_lookup.ts';
import { ChainQuestions, MAX_ASKED_AT_ONCE, MAX_QUESTION_TRIES } from './chain_questions.ts';

/** Channel 0 never gets an answer; the others do, unless the backend is away. */
const desk = () => {
  const clock = new ManualClock();
  const state = { isAway: false, asked: 0 };
  const answered: number[] = [];
  const questions = new ChainQuestions({
    clock,
    utxo: {
      name: 'half blind',
      verifies: true,
      lookup: (scid): Promise<UtxoResult> => {
        state.asked++;
        const isBlind = state.isAway || scidHi(scid) === 0;
        return Promise.resolve(isBlind ? { found: 'unavailable' } : { found: 'none', why: 'spent' });
      },
    },
    answered: ({ scidHi: hi }) => {
      answered.push(hi);
      return false;
    },
  });
  const pass = async (minutes: number): Promise<void> => {
    for (let minute = 0; minute < minutes; minute++) {
      clock.advance(60_000);
      await settled();
    }
  };
  return { clock, state, answered, questions, pass };
};

test('MAX_QUESTION_TRIES: what alone stays without answer while others get theirs is given up', async () => {
  const { questions, answered, pass, clock } = desk();
  questions.ask(0, 0, { spendHeight: 700 });
  assert.equal(questions.lowestHeight(), 700);
  for (let other = 1; other <= MAX_QUESTION_TRIES + 2; other++) {
    questions.ask(other, 0);
    await pass(2);
  }
  assert.equal(questions.size, 0);
  assert.equal(questions.lowestHeight(), Number.POSITIVE_INFINITY);
  assert.equal(answered.length, MAX_QUESTION_TRIES + 2);
  assert.equal(clock.pending, 0);
});

test('MAX_ASKED_AT_ONCE failures in a row: the backend is away, one question a minute looks for it, nothing is given up', async () => {
  const { state, questions, answered, pass, clock } = desk();
  state.isAway = true;
  for (let channel = 1; channel <= 500; channel++) questions.ask(channel, 0);
  await settled();
  assert.ok(state.asked >= MAX_ASKED_AT_ONCE && state.asked < 2 * MAX_ASKED_AT_ONCE);
  assert.equal(questions.isAway, true);
  await pass(600);
  assert.ok(state.asked < 2 * MAX_ASKED_AT_ONCE + 620);
  assert.equal(questions.size, 500);
  state.isAway = false;
  await pass(3);
  for (let turn = 0; turn < 50; turn++) await settled();
  assert.equal(answered.length, 500);
  assert.equal(questions.isAway, false);
  await pass(1);
  assert.equal(clock.pending, 0);
});

test('a close ends everything', async () => {
  const { questions, clock, answered } = desk();
  questions.ask(0, 0);
  questions.ask(1, 0);
  questions.close();
  await settled();
  assert.deepEqual(answered, []);
  assert.equal(questions.ask(2, 0), true);
  assert.equal(clock.pending, 0);
});
