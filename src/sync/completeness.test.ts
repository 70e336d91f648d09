import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MemoryMeter } from '../base/meter.ts';
import type { ReplyChannelRange } from '../wire/reply_channel_range.ts';
import {
  Completeness,
  type CompletenessOptions,
  LEFT_LIST_MS,
  MAX_LISTS,
  percentOf,
} from './completeness.ts';
import { MemoryStore, scidOf } from './memory_store.test.support.ts';

const reply = (scids: readonly bigint[]): ReplyChannelRange => ({
  ...{ chain_hash: new Uint8Array(32), first_blocknum: 0, number_of_blocks: 1, sync_complete: true },
  short_channel_ids: BigUint64Array.from(scids),
});

const range = (from: number, count: number): bigint[] =>
  Array.from({ length: count }, (_, index) => scidOf(from + index));

const setUp = (more: Partial<CompletenessOptions> = {}) => {
  const store = new MemoryStore();
  const meter = new MemoryMeter();
  const time = { ms: 0 };
  const completeness = new Completeness({
    ...{ graph: store.graph, meter, salt: 7, nowMs: () => time.ms, tests: {} },
    ...more,
  });
  const list = (scids: readonly bigint[]) => {
    const begun = completeness.begin();
    completeness.add(begun, reply(scids), 0);
    completeness.complete(begun);
    return begun;
  };
  return { store, meter, time, completeness, list };
};

test('property: the union of whole lists is counted exactly, whatever begins, ends and is dropped in between', () => {
  const step = fc.record({
    peer: fc.integer({ min: 0, max: 5 }),
    what: fc.constantFrom('list', 'half', 'drop', 'leave'),
    from: fc.integer({ min: 1, max: 60 }),
    count: fc.integer({ min: 0, max: 40 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { store, completeness, list } = setUp();
      for (let block = 1; block <= 100; block += 3) store.announce(scidOf(block));
      const lists = new Map<number, { handle: ReturnType<typeof list>; ids: bigint[] }>();
      const left: bigint[][] = [];
      for (const { peer, what, from, count } of steps) {
        const before = lists.get(peer);
        const ids = range(from, count);
        if (what === 'list') {
          const handle = list(ids);
          completeness.drop(before?.handle);
          lists.set(peer, { handle, ids });
        } else if (what === 'half') {
          const half = completeness.begin();
          completeness.add(half, reply(ids), 0);
          completeness.left(half);
        } else if (before !== undefined) {
          if (what === 'drop') completeness.drop(before.handle);
          else if (left.length < 20) {
            completeness.left(before.handle);
            left.push(before.ids);
          } else continue;
          lists.delete(peer);
        }
      }
      const union = new Set([...lists.values()].flatMap(({ ids }) => ids).concat(left.flat()));
      const known = [...union].filter((scid) => (Number(scid >> 40n) - 1) % 3 === 0).length;
      const status = completeness.status();
      assert.deepEqual(
        [status.listed, status.known, status.missing],
        [union.size, known, union.size - known],
      );
      assert.equal(status.lists, lists.size + left.length);
      const { of } = completeness.snapshot();
      for (const { handle, ids } of lists.values()) assert.equal(of(handle)?.listed, ids.length);
    }),
    { numRuns: 60 },
  );
});

test('100 only when nothing is missing: the share is rounded down', () => {
  assert.deepEqual(
    [percentOf(999_999, 1_000_000), percentOf(5, 5), percentOf(0, 3), percentOf(0, 0)],
    [99.9, 100, 0, undefined],
  );
});

test('when the table is full the list with the most channels of its own goes, and the figure stays below 100 for an hour', () => {
  const { store, completeness, list, meter, time } = setUp({ maxListed: 200 });
  for (const scid of range(1, 60)) store.announce(scid);
  const [first, second] = [list(range(1, 60)), list(range(1, 50))];
  const inventor = list(range(5_000, 140));
  assert.equal(completeness.status().percent, 30);
  const third = list(range(1, 55));
  assert.equal(completeness.status().listed, 200);
  const honest = list(range(1, 59));
  store.announce(scidOf(61));
  const more = list(range(1, 61));
  assert.deepEqual([inventor.bit, meter.get('gossipd_completeness_full_total')], [-1, 1]);
  for (const one of [first, second, third, honest, more]) assert.ok(one.bit >= 0);
  assert.deepEqual([completeness.status().missing, completeness.status().percent], [0, 99.9]);
  time.ms += LEFT_LIST_MS;
  assert.equal(completeness.status().percent, 100);
});

test('a list larger than the table does not end in a loop, and does not count', () => {
  const { completeness, list, meter } = setUp({ maxListed: 100 });
  const huge = list(range(1, 500));
  assert.deepEqual(
    [huge.bit, completeness.status().lists, completeness.status().percent],
    [-1, 0, undefined],
  );
  assert.equal(meter.get('gossipd_completeness_full_total'), 1);
});

test('with more lists than there are bits, that of the first leaver goes, then the oldest', () => {
  const { completeness, list, time } = setUp();
  const lists = Array.from({ length: MAX_LISTS }, (_, index) => {
    time.ms += 1_000;
    return list([scidOf(index + 1)]);
  });
  completeness.left(lists[9]);
  time.ms += 1_000;
  completeness.left(lists[4]);
  for (const gone of [9, 4, 0]) {
    list([scidOf(500 + gone)]);
    assert.equal(lists[gone]!.bit, -1, `${gone}`);
    assert.equal(completeness.status().lists, MAX_LISTS);
  }
});

test('a large union is counted in steps, and the figure is that of the last whole count', () => {
  const { completeness, list, time, meter } = setUp();
  const ids = Array.from({ length: 140_000 }, (_, index) => scidOf(1 + Math.floor(index / 100), index % 100));
  list(ids);
  assert.equal(completeness.status().percent, undefined, 'nothing is said before it is counted');
  completeness.tick();
  assert.equal(completeness.status().percent, undefined);
  completeness.tick();
  assert.deepEqual([completeness.status().percent, completeness.status().missing], [0, 140_000]);
  assert.equal(meter.get('gossipd_completeness_missing_channels'), 140_000);
  time.ms += 5_000;
  completeness.tick();
  assert.equal(completeness.status().missing, 140_000);
});
