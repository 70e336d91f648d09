import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { type SpaceSample, SpaceWatch, spaceThresholds } from './free_space.ts';

const MIB = 1024 * 1024;
const MAP = { storeBytes: 40 * MIB, liveBytes: 40 * MIB };
const CARD_BYTES = 32e9;

test('the thresholds on a 32 GB card, a 64 MiB tmpfs and an archive of 4 GB', () => {
  const inMib = (live: number, total?: number) => {
    const { low, critical } = spaceThresholds(live, total);
    return [low / MIB, critical / MIB].map((value) => Math.round(value * 10) / 10);
  };
  assert.deepEqual(inMib(40e6, CARD_BYTES), [256, 20.8]);
  assert.deepEqual(inMib(40e6, 64 * MIB), [6.4, 1]);
  assert.deepEqual(inMib(4e9, 1e12), [7629.4, 492.8]);
  assert.deepEqual(inMib(0), [256, 16]);
});

test('a level is entered at once and left when a quarter more is free', () => {
  const watch = new SpaceWatch();
  const levels = [300, 257, 255, 300, 319, 321, 15, 22, 25, 28, 15, 400].map(
    (free) => watch.observe({ ...MAP, freeBytes: free * MIB, totalBytes: CARD_BYTES }).level,
  );
  assert.deepEqual(
    levels.map((level) => level[0]).join(' '),
    // critical below 21 MiB, left at 26.25; low below 256, left at 320
    'o o l l l o c c c l c o',
  );
});

test('changes are told once, with what must be free to leave the level', () => {
  const watch = new SpaceWatch();
  const first = watch.observe({ ...MAP, freeBytes: 100 * MIB });
  assert.deepEqual(first, { level: 'low', changed: true, advice: 'warn', wantedBytes: 320 * MIB });
  assert.equal(watch.observe({ ...MAP, freeBytes: 100 * MIB }).changed, false);
  const last = watch.observe({ ...MAP, freeBytes: first.wantedBytes });
  assert.deepEqual(last, { level: 'ok', changed: true, advice: 'nothing', wantedBytes: 0 });
  assert.equal(watch.level, 'ok');
});

test('compact when it gains something and there is room for it, else warn or hold', () => {
  const advice = (sample: Partial<SpaceSample>) =>
    new SpaceWatch().observe({ storeBytes: 100 * MIB, liveBytes: 40 * MIB, freeBytes: 0, ...sample }).advice;
  assert.equal(advice({ freeBytes: 500 * MIB }), 'nothing');
  assert.equal(advice({ freeBytes: 100 * MIB }), 'compact');
  assert.equal(advice({ freeBytes: 100 * MIB, storeBytes: 41 * MIB }), 'warn');
  assert.equal(advice({ freeBytes: 10 * MIB }), 'hold');
  assert.equal(advice({ freeBytes: 10 * MIB, reserveBytes: 48 * MIB }), 'compact');
  assert.equal(advice({ freeBytes: 45 * MIB }), 'warn');
});

test('a disk whose size is unknown and one without any room still have an order of levels', () => {
  fc.assert(
    fc.property(fc.nat(), fc.option(fc.nat()), (live, total) => {
      const { low, critical } = spaceThresholds(live * 1000, total === null ? undefined : total * 1000);
      assert.ok(critical <= low && critical >= 0);
    }),
  );
});
