/**
 * Random damage to stores of all versions, at every door of a store (see store_loader_runs). What failed once comes first.
 *
 * The seed is fixed; FUZZ_SEED=N takes another one, FUZZ_RUNS=N runs more rounds, FUZZ_ROUND=N one.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shadowed } from '../crash/damage_matrix_cases.ts';
import { corpus, imageOfRound, judgeRound } from './store_loader_runs.ts';

const SEED = Number(process.env['FUZZ_SEED'] ?? 1);
const ROUND = process.env['FUZZ_ROUND'];
const RUNS = ROUND === undefined ? Number(process.env['FUZZ_RUNS'] ?? 200) : 1;

for (const image of corpus()) test(`corpus: ${image.what}`, () => judgeRound(image));

test(`${RUNS} rounds of random damage to stores of all versions (seed ${SEED})`, async (t) => {
  t.diagnostic(`FUZZ_SEED=${SEED}`);
  const first = Number(ROUND ?? 0);
  for (let round = first; round < first + RUNS; round++) await judgeRound(imageOfRound(SEED, round));
  assert.ok(shadowed.records < RUNS, 'few records lie in the shadow of a damaged length');
});
