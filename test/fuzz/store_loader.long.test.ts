/** The store-loader fuzzer at length, from a seed of the day; FUZZ_SEED=N and FUZZ_RUNS=N choose. */
import { test } from 'node:test';
import { imageOfRound, judgeRound } from './store_loader_runs.ts';

const SEED = Number(process.env['FUZZ_SEED'] ?? Math.floor(Date.now() / 86_400_000));
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 25_000);

test(`at length: ${RUNS} rounds of random damage to stores of all versions (seed ${SEED})`, async (t) => {
  t.diagnostic(`FUZZ_SEED=${SEED}`);
  for (let round = 0; round < RUNS; round++) await judgeRound(imageOfRound(SEED, round));
});
