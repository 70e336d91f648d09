/**
 * Power cuts: the store is driven over a simulated disk, stopped at every operation and inside every write, and found again
 * with any subset of what was not synced. Whatever is found must open, show no half record, keep everything that a sync had
 * confirmed, and read without complaint by the rules of CLN's own reader.
 *
 * The story behind it: CLN v24.02 to v24.11 lost whole maps, and with them the node, after one torn amount record; CLN
 * v26.04 and later throws the whole file away for one byte missing at the end.
 */
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

test('a stop at every operation, then a power cut with any subset of the unsynced writes', async () => {
  assert.ok((await stopEverywhere(4)) > 700);
});

test('the same with compactions among what is done', async () => {
  assert.ok((await stopEverywhere(2, true)) > 500);
});

test('a write torn at every byte', () => tearEverywhere(false));

test('surviving writes that reach the disk in another order', () => reorderWrites(80));

test('a crash while the store repairs itself after a crash', () => crashDuringRepair(25));

test('failing syncs and a full disk confirm nothing that a power cut can take', () => failingDisk(60));

test('a killed process, another one in its place, then a power cut', () => killThenCut(60));

test('CLN can read the file at every instant, in the middle of a batch too', () => readAtEveryInstant(1));
