import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scidFromParts } from '../base/short_channel_id.ts';
import {
  LookupRounds,
  MAX_QUESTIONS_PER_ROUND,
  MAX_WAITING_QUESTIONS,
  type Question,
} from './lookup_rounds.ts';

const signal = new AbortController().signal;
const settleAll = (questions: readonly Question[]): void => {
  for (const { settle } of questions) settle({ found: 'none' });
};

test('questions of one turn share a round, those asked meanwhile the next', async () => {
  const rounds: number[] = [];
  const lookups = new LookupRounds(async (questions) => {
    rounds.push(questions.length);
    if (rounds.length === 1) void lookups.lookup(scidFromParts(9, 9, 9), signal);
    await Promise.resolve();
    settleAll(questions);
  });
  const asked = [1, 2, 3].map((block) => lookups.lookup(scidFromParts(block, 1, 2), signal));
  for (const result of await Promise.all(asked)) assert.equal(result.found, 'none');
  await lookups.close();
  assert.deepEqual(rounds, [3, 1]);
});

test('a round is bounded, and a full queue answers queue_full as unavailable', async () => {
  const rounds: number[] = [];
  const lookups = new LookupRounds((questions) => {
    rounds.push(questions.length);
    settleAll(questions);
    return Promise.resolve();
  });
  const asked = Array.from({ length: MAX_WAITING_QUESTIONS + 1 }, (_, block) =>
    lookups.lookup(scidFromParts(block, 0, 0), signal),
  );
  assert.equal(lookups.waiting, MAX_WAITING_QUESTIONS);
  const results = await Promise.all(asked);
  assert.deepEqual(
    results.map(({ found }) => found).filter((found) => found === 'unavailable'),
    ['unavailable'],
  );
  assert.equal(results.at(-1)!.found, 'unavailable');
  assert.equal(Math.max(...rounds), MAX_QUESTIONS_PER_ROUND);
  assert.equal(lookups.waiting, 0);
});

test('a round that rejects, or leaves a question open, is unavailable', async () => {
  const lookups = new LookupRounds(([question]) =>
    question?.height === 1 ? Promise.reject(new Error('never happens')) : Promise.resolve(),
  );
  assert.equal((await lookups.lookup(scidFromParts(1, 0, 0), signal)).found, 'unavailable');
  assert.equal((await lookups.lookup(scidFromParts(2, 0, 0), signal)).found, 'unavailable');
});

test('the round is withdrawn only when nobody waits for it any more', async () => {
  let roundSignal: AbortSignal | undefined;
  const lookups = new LookupRounds((_, given) => {
    roundSignal = given;
    return new Promise((resolve) => given.addEventListener('abort', () => resolve()));
  });
  const [first, second] = [new AbortController(), new AbortController()];
  const asked = [first, second].map((each) => lookups.lookup(scidFromParts(1, 0, 0), each.signal));
  await new Promise((resolve) => setImmediate(resolve));
  first.abort();
  assert.equal((await asked[0]!).found, 'unavailable');
  assert.equal(roundSignal!.aborted, false);
  second.abort();
  assert.equal((await asked[1]!).found, 'unavailable');
  assert.equal(roundSignal!.aborted, true);
  await lookups.close();
});
