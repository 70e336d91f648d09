import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LogFields, type LogLevel, recordingLog } from '../base/log.ts';
import { ManualClock } from '../base/time.ts';
import type { LostRecords } from '../graph/relocate.ts';
import { MemoryStore, scidOf } from '../sync/memory_store.test.support.ts';
import { storeOffset } from '../wire/store_record.ts';
import { Healing, lossText } from './heal.ts';
import { RecentOffsets } from './recent_offsets.ts';

const NOW = 1_700_000_000;

const setUp = () => {
  const store = new MemoryStore();
  store.channel(scidOf(1), NOW, [1, 2]);
  store.node(1, NOW);
  store.channel(scidOf(2), NOW, [2, 3]);
  const lines: { level: LogLevel; message: string; fields?: LogFields }[] = [];
  const clock = new ManualClock();
  const healing = new Healing({ graph: store.graph, clock, log: recordingLog(lines) });
  const asked: LostRecords[] = [];
  let told = 0;
  const start = (): void =>
    healing.start({ refetch: (lost) => asked.push(...lost) }, () => {
      told++;
    });
  /** All records move 1000 up, but for those of channel 1's announcement. */
  const lostAt = store.graph.channelOffset(store.graph.channelIndex(1 << 8, 1 << 16));
  const relocate = () => healing.relocated((offset) => storeOffset(offset === lostAt ? 0 : offset + 1000));
  return { store, lines, clock, healing, asked, start, relocate, told: () => told };
};

test('a loss reaches the seeker in a turn of its own, and the operator in one line', () => {
  const { healing, start, relocate, asked, clock, lines, told } = setUp();
  start();
  const orphans = relocate();
  assert.equal(orphans.length, 3, 'two updates and a node_announcement mean nothing any more');
  assert.deepEqual([asked.length, told()], [0, 1]);
  clock.advance(0);
  assert.deepEqual(asked, [{ scidHi: 1 << 8, scidLo: 1 << 16, flags: 15 }]);
  assert.deepEqual(
    lines.map(({ level, message }) => [level, message]),
    [
      [
        'unusual',
        '1 channel, 2 updates, 1 node were lost with the damaged part of the store; fetching them again from peers. No funds are in this file',
      ],
    ],
  );
  healing.refetched({ recovered: 4, givenUp: 0 });
  assert.match(lines[1]!.message, /is back$/);
  healing.refetched({ recovered: 1, givenUp: 0 });
  assert.equal(lines.length, 2, 'single channels that others had fetched are no news');
  healing.lost({ channels: [{ scidHi: 9, scidLo: 9, flags: 7 }], nodes: [] });
  clock.advance(0);
  healing.refetched({ recovered: 3, givenUp: 1 });
  assert.deepEqual([lines[3]!.fields?.['back'], lines[3]!.fields?.['missing']], [3, 1]);
});

test('a new file without a loss, as after a compaction, moves offsets and says nothing', () => {
  const { healing, start, store, asked, clock, lines, told } = setUp();
  start();
  const before = store.graph.channelOffset(0);
  assert.deepEqual(
    healing.relocated((offset) => storeOffset(offset + 5)),
    [],
  );
  clock.advance(10);
  assert.equal(store.graph.channelOffset(0), before + 5);
  assert.deepEqual([asked, lines, told(), clock.pending], [[], [], 0, 0]);
});

test('losses of the load and of the time before there is a seeker are kept for it', () => {
  const { healing, start, relocate, asked, clock } = setUp();
  relocate();
  healing.lost({ channels: [{ scidHi: 9, scidLo: 9, flags: 7 }], nodes: [] });
  healing.lost({ channels: [], nodes: [] });
  clock.advance(1000);
  start();
  assert.deepEqual(asked, []);
  clock.advance(0);
  assert.deepEqual(
    asked.map(({ flags }) => flags),
    [15, 7],
  );
});

test('who keeps offsets is told; an echo is still known as one in the new file', () => {
  const { healing, relocate, store } = setUp();
  const has = new RecentOffsets();
  const [lost, kept] = [store.graph.channelOffset(0), store.graph.channelOffset(1)];
  for (const offset of [lost, kept]) has.add(offset);
  healing.follow(has);
  relocate();
  assert.deepEqual([has.has(storeOffset(kept + 1000)), has.has(kept), has.size], [true, false, 1]);
});

test('after the stop nothing is handed over', () => {
  const { healing, start, relocate, asked, clock } = setUp();
  start();
  relocate();
  healing.stop();
  clock.advance(1000);
  assert.deepEqual([asked, clock.pending], [[], 0]);
});

test('a loss for people: singular, plural, thousands', () => {
  const lost = Array.from({ length: 1_200 }, (_, index) => ({ scidHi: index, scidLo: 0, flags: 1 | 2 | 4 }));
  assert.equal(lossText(lost), '1,200 channels, 2,400 updates, 0 nodes');
  assert.equal(lossText([{ scidHi: 1, scidLo: 1, flags: 16 | 4 }]), '0 channels, 1 update, 1 node');
});
