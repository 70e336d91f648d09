import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { storeOffset } from '../wire/store_record.ts';
import { OffsetMap } from './offset_map.ts';

const FOUR_GIB = 4 * 1024 * 1024 * 1024;

/** By offsets as the graph has them: 12 more than header positions. */
const at = (position: number) => storeOffset(position + 12);

test('records that stay side by side are one run', () => {
  const map = new OffsetMap();
  map.keep(47, 47, 100);
  map.keep(147, 147, 22);
  map.keep(200, 169, 50);
  map.keep(250, 219, 10);
  assert.equal(map.runs, 2);
  assert.equal(map.translate(at(147)), at(147));
  assert.equal(map.translate(at(200)), at(169));
  assert.equal(map.translate(at(250)), at(219));
});

test('a record that was not kept is nowhere, and a reader that waits for it goes on at the next one', () => {
  const map = new OffsetMap();
  map.keep(100, 47, 50);
  map.keep(200, 97, 50);
  map.setTail(300, 147);
  for (const gone of [47, 150, 199, 250, 299]) assert.equal(map.translate(at(gone)), 0);
  const positions = [1, 99, 100, 150, 199, 200, 250, 299, 300, 301];
  assert.deepEqual(
    positions.map((position) => map.translatePosition(position)),
    [47, 47, 47, 97, 97, 97, 147, 147, 147, 148],
  );
});

test('what is behind the end of the old file moves with the end, beyond 4 GiB too', () => {
  const map = new OffsetMap();
  map.keep(FOUR_GIB + 100, 47, 400);
  map.keep(FOUR_GIB * 3, FOUR_GIB * 2, 400);
  map.setTail(FOUR_GIB * 3 + 400, FOUR_GIB * 2 + 400);
  assert.equal(map.translate(at(FOUR_GIB * 3)), at(FOUR_GIB * 2));
  assert.equal(map.translate(at(FOUR_GIB * 3 + 1000)), at(FOUR_GIB * 2 + 1000));
  assert.equal(map.translatePosition(FOUR_GIB), 47);
});

test('offsets of a file with 8-byte headers lead to offsets behind 12-byte headers', () => {
  const map = new OffsetMap(8);
  map.keep(1, 47, 440);
  map.keep(441, 491, 18);
  assert.equal(map.runs, 2);
  assert.equal(map.translate(storeOffset(1 + 8)), 47 + 12);
  assert.equal(map.translate(storeOffset(441 + 8)), 491 + 12);
});

test('without a kept record everything leads to the new end', () => {
  const map = new OffsetMap();
  assert.equal(map.translate(at(50)), 0);
  map.setTail(500, 47);
  assert.equal(map.translate(at(50)), 0);
  assert.deepEqual([map.translatePosition(1), map.translatePosition(500)], [47, 47]);
});

test('keeping records in descending order is our own fault', () => {
  const map = new OffsetMap();
  map.keep(100, 1, 50);
  assert.throws(() => map.keep(120, 51, 10), { name: 'Bug' });
});

test('any queries in any order: the same as a plain table', () => {
  const record = fc.record({
    bytes: fc.integer({ min: 1, max: 40 }),
    kept: fc.boolean(),
    grows: fc.integer({ min: -1, max: 1 }),
  });
  const queries = fc.array(fc.nat({ max: 2000 }), { maxLength: 60 });
  fc.assert(
    fc.property(fc.array(record, { maxLength: 150 }), queries, (records, asked) => {
      const map = new OffsetMap();
      const table = new Map<number, number>();
      let [position, written] = [1, 47];
      for (const { bytes, kept, grows } of records) {
        if (kept) {
          table.set(position, written);
          map.keep(position, written, bytes);
          written += Math.max(1, bytes + grows);
        }
        position += bytes;
      }
      map.setTail(position, written);
      const starts = [...table.keys()];
      for (const query of [...asked, ...asked.sort((one, other) => one - other)]) {
        const start = starts[query % Math.max(1, starts.length)];
        if (start !== undefined) {
          assert.equal(map.translate(at(start)), at(table.get(start)!));
          assert.equal(map.translatePosition(start), table.get(start));
        }
        const behind = starts.find((candidate) => candidate >= query);
        const previous = map.translatePosition(query);
        assert.ok(previous <= map.translatePosition(query + 1));
        if (query >= position) assert.equal(previous, written + query - position);
        else if (behind === undefined) assert.ok(previous <= written);
        else assert.ok(previous <= table.get(behind)!);
      }
      let at47 = 0;
      for (let query = 0; query <= position; query++) {
        const next = map.translatePosition(query);
        assert.ok(next >= at47, 'a later place never leads to an earlier one');
        at47 = next;
      }
    }),
    { numRuns: 300 },
  );
});
