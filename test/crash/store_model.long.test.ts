/** The running store against its model at length, from a seed of the day; MODEL_SEED=N and MODEL_RUNS=N choose. */
import test from 'node:test';
import { runModel } from './store_model_runs.ts';

const SEED = Number(process.env['MODEL_SEED'] ?? Math.floor(Date.now() / 86_400_000));
const RUNS = Number(process.env['MODEL_RUNS'] ?? 2500);

test(`at length: the running store and its model agree, whatever happens (seed ${SEED})`, () =>
  runModel(SEED, RUNS));
