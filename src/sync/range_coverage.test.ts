import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAX_RANGES, RangeCoverage } from './range_coverage.ts';

const shown = (coverage: RangeCoverage) =>
  coverage.ranges.map(({ first, end, peer, atMs }) => [first, end, peer, atMs]);

test('the newest word on a block counts, and neighbours of one peer and time are one', () => {
  const coverage = new RangeCoverage();
  coverage.note(0, 500, 'a', 1);
  coverage.note(500, 1_000, 'a', 2);
  assert.deepEqual(shown(coverage), [[0, 1_000, 'a', 1]]);
  coverage.note(200, 300, 'b', 3);
  assert.deepEqual(shown(coverage), [
    [0, 200, 'a', 1],
    [200, 300, 'b', 3],
    [300, 1_000, 'a', 1],
  ]);
  coverage.note(0, 1_000, 'a', 4_000_000);
  assert.deepEqual(shown(coverage), [[0, 1_000, 'a', 4_000_000]]);
  coverage.note(900, 900, 'c', 5);
  assert.equal(coverage.uncovered(1_500), 500);
  coverage.forget('a');
  assert.deepEqual(shown(coverage), []);
});

test('property: bounded, ascending, without overlaps, and never more than was told', () => {
  const step = fc.record({
    first: fc.integer({ min: 0, max: 900 }),
    length: fc.integer({ min: 1, max: 40 }),
    peer: fc.constantFrom('a', 'b', 'c'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const coverage = new RangeCoverage();
      const told = new Uint8Array(1_000);
      for (const [at, { first, length, peer }] of steps.entries()) {
        coverage.note(first, first + length, peer, at * 1_000_000);
        told.fill(1, first, first + length);
      }
      assert.ok(coverage.ranges.length <= MAX_RANGES);
      let before = 0;
      for (const { first, end } of coverage.ranges) {
        assert.ok(first >= before && end > first);
        for (let block = first; block < end; block++) assert.equal(told[block], 1);
        before = end;
      }
    }),
    { numRuns: 100 },
  );
});

test('when full, neighbours are joined with the older time; islands are forgotten rather than joined', () => {
  const coverage = new RangeCoverage();
  for (let at = 0; at <= MAX_RANGES; at++) coverage.note(at * 10, at * 10 + 10, `peer ${at}`, at);
  assert.equal(coverage.ranges.length, MAX_RANGES);
  assert.equal(coverage.uncovered((MAX_RANGES + 1) * 10), 0);
  const several = coverage.ranges.find(({ peer }) => peer === 'several');
  assert.deepEqual([several?.first, several?.end, several?.atMs], [0, 20, 0]);
  const islands = new RangeCoverage();
  for (let at = 0; at <= MAX_RANGES; at++) islands.note(at * 10, at * 10 + (at === 3 ? 1 : 5), 'a', at);
  assert.equal(islands.ranges.length, MAX_RANGES);
  assert.ok(islands.ranges.every(({ first }) => first !== 30));
});
