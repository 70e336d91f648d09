/** The sweeps of store_crash.test at length: every byte of every write, and many more seeds. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  crashDuringRepair,
  failingDisk,
  killThenCut,
  readAtEveryInstant,
  reorderWrites,
  stopEverywhere,
  tearEverywhere,
} from './store_crash_sweeps.ts';

test('at length: a stop at every operation, then a power cut with any subset of the unsynced writes', async () => {
  assert.ok((await stopEverywhere(170)) > 50_000);
});

test('at length: the same with compactions among what is done', async () => {
  assert.ok((await stopEverywhere(100, true)) > 50_000);
});

test('at length: a write torn at every byte', () => tearEverywhere(true));

test('at length: surviving writes that reach the disk in another order', () => reorderWrites(2000));

test('at length: a crash while the store repairs itself after a crash', () => crashDuringRepair(200));

test('at length: failing syncs and a full disk confirm nothing that a power cut can take', () =>
  failingDisk(1500));

test('at length: a killed process, another one in its place, then a power cut', () => killThenCut(2000));

test('at length: CLN can read the file at every instant, in the middle of a batch too', () =>
  readAtEveryInstant(10));
