/** A file written anew without what was damaged: the graph that follows it is the graph that reads the new file. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readU32 } from '../base/bytes.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { QUERY_FLAG } from '../wire/query_short_channel_ids.ts';
import {
  FLAG_DELETED,
  FLAG_DYING,
  GOSSIP_STORE_CHAN_DYING,
  GOSSIP_STORE_CHANNEL_AMOUNT,
  GOSSIP_STORE_DELETE_CHAN,
  RECORD_HEADER_BYTES,
  type StoreRecord,
  storeOffset,
} from '../wire/store_record.ts';
import {
  checkCounts,
  Model,
  type Picture,
  pictureOf,
  recordsOf,
  type Step,
  step,
  WritingStore,
} from './graph_model.test.support.ts';
import { NetworkGraph } from './network_graph.ts';
import type { GraphLoss } from './relocate.ts';
import { SampleStore, sampleNodeId } from './sample_records.test.support.ts';

const EMPTY_BYTES = 47;

/** As the writer's own load sees them: a second chan_dying replaces the first, a removal takes it along. */
const flagOldDeadlines = (records: WritingStore['records']): void => {
  const dying = new Map<string, WritingStore['records'][number]>();
  for (const record of records) {
    if (record.type !== GOSSIP_STORE_CHAN_DYING && record.type !== GOSSIP_STORE_DELETE_CHAN) continue;
    const scid = `${readU32(record.bytes, 2)}/${readU32(record.bytes, 6)}`;
    const older = dying.get(scid);
    if (older !== undefined) older.flags |= FLAG_DELETED;
    dying.delete(scid);
    if (record.type === GOSSIP_STORE_CHAN_DYING) dying.set(scid, record);
  }
};

/** What survives, with its new offsets, and where each record went. An announcement and its amount share their fate. */
const rewrite = (records: readonly StoreRecord[], isLost: (index: number) => boolean) => {
  const moved = new Map<number, number>();
  const survivors: StoreRecord[] = [];
  let end = EMPTY_BYTES;
  for (const [index, record] of records.entries()) {
    const first = record.type === GOSSIP_STORE_CHANNEL_AMOUNT ? index - 1 : index;
    const isPair = record.type === MESSAGE_TYPE.channel_announcement || first !== index;
    const lost = isLost(first) || (isPair && isLost(first + 1));
    if (lost || (record.flags & FLAG_DELETED) !== 0) continue;
    const offset = storeOffset(end + RECORD_HEADER_BYTES);
    end = offset + record.length;
    moved.set(record.offset, offset);
    survivors.push({ ...record, offset });
  }
  return { survivors, end, translate: (offset: number) => storeOffset(moved.get(offset) ?? 0) };
};

const bitsOf = (channel: Picture['channels'][number]): number =>
  (channel.halves[0] === null ? 0 : QUERY_FLAG.channel_update_1) |
  (channel.halves[1] === null ? 0 : QUERY_FLAG.channel_update_2);

/** The loss, said once more from the pictures before and after. */
const checkLoss = (loss: GraphLoss, before: Picture, after: Picture, survivors: readonly StoreRecord[]) => {
  const flagsOf = new Map(
    loss.channels.map(({ scidHi, scidLo, flags }) => [
      ((BigInt(scidHi) << 32n) | BigInt(scidLo)).toString(16).padStart(16, '0'),
      flags,
    ]),
  );
  assert.equal(flagsOf.size, loss.channels.length, 'each channel once');
  const left = new Map(after.channels.map((channel) => [channel.scid, channel]));
  const asked: string[] = [];
  for (const channel of before.channels) {
    const flags = flagsOf.get(channel.scid) ?? 0;
    const now = left.get(channel.scid);
    const missing = now === undefined ? 1 | bitsOf(channel) : bitsOf(channel) & ~bitsOf(now);
    assert.equal(flags & 7, channel.dying ? 0 : missing);
    for (const side of [0, 1] as const)
      if ((flags & (8 << side)) !== 0) asked.push(String(channel.nodes[side]));
  }
  const announced = new Set(after.nodes.filter((node) => node.announced).map(({ id }) => id));
  const forgotten = before.nodes.filter(({ id, announced: was }) => was && !announced.has(id));
  const canBeAsked = forgotten.filter(({ id }) => {
    const stays = after.nodes.some((node) => node.id === id);
    return before.channels.some(
      ({ nodes, dying, scid }) => nodes.includes(id) && !dying && (!stays || left.has(scid)),
    );
  });
  assert.deepEqual(asked.sort(), canBeAsked.map(({ id }) => id).sort());
  const meant = new Set<number>(after.nodes.map(({ offset }) => offset));
  for (const { halves } of after.channels) for (const half of halves) meant.add(half?.offset ?? 0);
  const types: number[] = [MESSAGE_TYPE.channel_update, MESSAGE_TYPE.node_announcement];
  const meaningless = survivors.filter(({ type, offset }) => types.includes(type) && !meant.has(offset));
  const byType = new Map(survivors.map(({ offset, type }) => [offset, type]));
  assert.deepEqual(
    loss.orphans.filter((offset) => types.includes(byType.get(offset)!)).sort(),
    meaningless.map(({ offset }) => offset).sort(),
  );
  for (const offset of loss.orphans) assert.ok(byType.has(offset), 'orphans are records of the new file');
};

test('property: after any loss the graph is a replay of what is left, and the loss says what is missing', () => {
  const pairs = step.filter((one) => one.kind !== 'amount');
  fc.assert(
    fc.property(
      fc.array(pairs, { maxLength: 120, size: 'max' }),
      fc.array(pairs, { maxLength: 20 }),
      fc.array(fc.nat(9), { minLength: 400, maxLength: 400 }),
      fc.nat(9),
      (steps, later, fates, share) => {
        const live = new NetworkGraph({ salt: 1 });
        const store = new WritingStore();
        for (const one of steps) {
          const whole: Step = one.kind === 'channel' ? { ...one, amount: true } : one;
          for (const record of store.write(whole)) live.apply({ ...record });
        }
        flagOldDeadlines(store.records);
        const before = pictureOf(live);
        const isLost = (index: number): boolean => fates[index % fates.length]! < share;
        const { survivors, end, translate } = rewrite(store.records, isLost);
        const loss = live.relocate(translate);
        const replayed = new NetworkGraph({ salt: 2 });
        for (const record of survivors) replayed.apply(record);
        const after = pictureOf(replayed);
        assert.deepEqual(pictureOf(live), after);
        checkCounts(live, after);
        checkLoss(loss, before, after, survivors);
        // Both go on alike.
        const more = new SampleStore(end);
        const ignored = new Model();
        for (const record of later.flatMap((one) => recordsOf(one, more, ignored))) {
          live.apply(record);
          replayed.apply(record);
        }
        assert.deepEqual(pictureOf(live), pictureOf(replayed));
        checkCounts(live, pictureOf(live));
      },
    ),
    { numRuns: 400 },
  );
});

/** Channel 1 of nodes 1 and 2, channel 2 of nodes 2 and 3, an update of each side, and the three nodes. */
const small = () => {
  const store = new SampleStore(EMPTY_BYTES);
  const graph = new NetworkGraph();
  const channel = (lo: number, nodes: readonly [number, number]) =>
    store.channel({ hi: 256, lo, node1: sampleNodeId(nodes[0]), node2: sampleNodeId(nodes[1]) }, 5n);
  const update = (lo: number, direction: 0 | 1) => store.update({ hi: 256, lo, direction, timestamp: 9 });
  const first = channel(1, [1, 2]);
  const nodes12 = [store.node(sampleNodeId(1), 5), store.node(sampleNodeId(2), 5)];
  const second = channel(2, [2, 3]);
  const node3 = store.node(sampleNodeId(3), 5);
  const updates = [update(1, 0), update(1, 1), update(2, 0), update(2, 1)];
  first[0].timestamp = 9;
  second[0].timestamp = 9;
  const records = [...first, ...nodes12, ...second, node3, ...updates];
  for (const record of records) graph.apply(record);
  const lose = (...lost: readonly number[]) => {
    const { survivors, translate } = rewrite(records, (index) => lost.includes(index));
    return { loss: graph.relocate(translate), survivors, translate };
  };
  return { graph, records, lose };
};

test('a lost update is the flag of its direction, and nothing else is asked for', () => {
  const { graph, lose } = small();
  assert.deepEqual(lose(7, 10).loss, {
    channels: [
      { scidHi: 256, scidLo: 1, flags: QUERY_FLAG.channel_update_1 },
      { scidHi: 256, scidLo: 2, flags: QUERY_FLAG.channel_update_2 },
    ],
    orphans: [],
  });
  assert.deepEqual([graph.channelCount, graph.halfChannelCount], [2, 2]);
  const channel = graph.channelIndex(256, 1);
  assert.deepEqual(
    [graph.hasUpdate(channel, 0), graph.updateTimestamp(channel, 0), graph.hasUpdate(channel, 1)],
    [false, 0, true],
  );
});

test('a lost announcement takes its updates along; a node that stood behind it alone is asked for again', () => {
  const { graph, records, lose } = small();
  const { loss, translate } = lose(0);
  // Node 2 has a channel still, but a replay would meet its announcement before that: asked for by channel 2, as node 1 of it.
  assert.deepEqual(loss.channels, [
    { scidHi: 256, scidLo: 1, flags: 1 | 2 | 4 | QUERY_FLAG.node_announcement_1 },
    { scidHi: 256, scidLo: 2, flags: QUERY_FLAG.node_announcement_1 },
  ]);
  const orphans = [records[7]!, records[8]!, records[2]!, records[3]!].map(({ offset }) => translate(offset));
  assert.deepEqual(loss.orphans, orphans);
  assert.deepEqual([graph.channelCount, graph.nodeCount, graph.nodeAnnouncementCount], [1, 2, 1]);
});

test('half a pair is a lost channel: the amount took its announcement along', () => {
  const { graph, lose } = small();
  assert.equal(lose(5).loss.channels[0]?.flags, 1 | 2 | 4 | QUERY_FLAG.node_announcement_2);
  assert.equal(graph.channelIndex(256, 2), -1);
});

test('a lost node_announcement is asked for by a channel that its node still has', () => {
  const { graph, lose } = small();
  assert.deepEqual(lose(3).loss, {
    channels: [{ scidHi: 256, scidLo: 1, flags: QUERY_FLAG.node_announcement_2 }],
    orphans: [],
  });
  const node = graph.channelNode(graph.channelIndex(256, 1), 1);
  assert.deepEqual([graph.hasNodeAnnouncement(node), graph.nodeTimestamp(node)], [false, 0]);
});

test('Q-20 what is dying is not asked for again', () => {
  const { graph, records, lose } = small();
  graph.apply({ ...new SampleStore(records[10]!.offset + 138).dying(256, 2, 7) });
  records[4]!.flags |= FLAG_DYING;
  assert.deepEqual(lose(4).loss.channels, []);
  assert.deepEqual([graph.channelCount, graph.dyingCount, graph.dyingDeadline(1)], [1, 0, 0]);
});

test('everything lost is an empty graph; nothing lost is the same graph elsewhere', () => {
  const { graph, lose, records } = small();
  const before = pictureOf(graph);
  const { loss } = lose();
  assert.deepEqual(loss, { channels: [], orphans: [] });
  assert.deepEqual(pictureOf(graph), before);
  const all = graph.relocate(() => storeOffset(0));
  assert.equal(
    all.channels.reduce((bits, { flags }) => bits + flags.toString(2).replaceAll('0', '').length, 0),
    9,
  );
  assert.deepEqual(
    [graph.channelCount, graph.nodeCount, graph.halfChannelCount, graph.capacitySat],
    [0, 0, 0, 0],
  );
  for (const record of records) graph.apply(record);
  assert.deepEqual(pictureOf(graph), before);
});
