/** The running store and a model of it do the same things, and agree (see store_model_runs). MODEL_SEED=N and MODEL_RUNS=N choose. */
import test from 'node:test';
import { runModel } from './store_model_runs.ts';

const SEED = Number(process.env['MODEL_SEED'] ?? 20_261);
const RUNS = Number(process.env['MODEL_RUNS'] ?? 15);

test(`the running store and its model agree, whatever happens (seed ${SEED})`, () => runModel(SEED, RUNS));
