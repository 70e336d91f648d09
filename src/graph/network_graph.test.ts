import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channelUpdateChecksum } from '../wire/channel_update.ts';
import { FLAG_DELETED, FLAG_DYING, type StoreRecord, storeOffset } from '../wire/store_record.ts';
import { CHANNEL_COLUMN_BYTES, ChannelColumns, NODE_COLUMN_BYTES, NodeColumns } from './columns.ts';
import { NetworkGraph } from './network_graph.ts';
import {
  announcementBytes,
  nodeAnnouncementBytes,
  SampleStore,
  sampleNodeId,
  updateBytes,
} from './sample_records.test.support.ts';

const A = sampleNodeId(1);
const B = sampleNodeId(2);
const C = sampleNodeId(3);

const fed = (records: readonly StoreRecord[], graph = new NetworkGraph()): NetworkGraph => {
  for (const record of records) graph.apply(record);
  return graph;
};

const anomaliesOf = (graph: NetworkGraph): Record<string, number> =>
  Object.fromEntries(Object.entries(graph.anomalies).filter(([, count]) => count > 0));

test('an announcement and its amount make a channel between two nodes', () => {
  const store = new SampleStore();
  const [announced, amount] = store.channel(
    { hi: 0x83aa1400, lo: 0xfffe0001, node1: A, node2: B },
    1_234_567n,
  );
  const graph = fed([announced, amount]);
  const channel = graph.channelIndex(0x83aa1400, 0xfffe0001);
  assert.equal(channel, 0);
  assert.equal(graph.channelIndex(0x83aa1400, 0xfffe0002), -1);
  assert.deepEqual([graph.scidHi(channel), graph.scidLo(channel)], [0x83aa1400, 0xfffe0001]);
  assert.equal(graph.channelSatoshis(channel), 1_234_567);
  assert.equal(graph.capacitySat, 1_234_567);
  assert.equal(graph.channelOffset(channel), 13);
  assert.deepEqual([graph.channelCount, graph.nodeCount, graph.halfChannelCount], [1, 2, 0]);
  assert.deepEqual(graph.nodeIdBytes(graph.channelNode(channel, 0)), A);
  assert.deepEqual(graph.nodeIdBytes(graph.channelNode(channel, 1)), B);
  assert.equal(graph.nodeIndex(B, 0), graph.channelNode(channel, 1));
  assert.equal(graph.nodeIndex(C, 0), -1);
  assert.equal(graph.nodeId(graph.nodeIndex(A, 0)), Buffer.from(A).toString('hex'));
  assert.deepEqual(anomaliesOf(graph), {});
});

test('node ids are found at any position, and lent as one column', () => {
  const graph = fed(new SampleStore().channel({ hi: 1, lo: 1, node1: A, node2: B }, 1n));
  const shifted = new Uint8Array(40);
  shifted.set(B, 5);
  const node = graph.nodeIndex(shifted, 5);
  assert.equal(node, graph.nodeIndex(B, 0));
  const from = graph.nodeIdPosition(node);
  assert.deepEqual(graph.nodeIdColumn.slice(from, from + 33), B);
});

test('features shift the fields of an announcement', () => {
  const features = Uint8Array.of(1, 2, 3);
  const graph = fed(new SampleStore().channel({ hi: 7, lo: 8, node1: A, node2: B, features }, 5n));
  assert.equal(graph.channelIndex(7, 8), 0);
  assert.notEqual(graph.nodeIndex(A, 0), -1);
  assert.equal(graph.capacitySat, 5);
});

test('amount_without_announcement: an amount counts only right behind the announcement that was taken', () => {
  const store = new SampleStore();
  const first = store.record(announcementBytes({ hi: 1, lo: 1, node1: A, node2: B }));
  const between = store.update({ hi: 1, lo: 1, direction: 0, timestamp: 5 });
  const graph = fed([first, between, store.amount(10n)]);
  assert.equal(graph.capacitySat, 0);
  assert.deepEqual(anomaliesOf(graph), { amount_without_announcement: 1 });

  const [second, funded] = store.channel({ hi: 2, lo: 1, node1: A, node2: B }, 20n);
  const [again, wrong] = store.channel({ hi: 2, lo: 1, node1: A, node2: B }, 30n);
  fed([second, funded, store.amount(40n), again, wrong], graph);
  assert.equal(graph.capacitySat, 20);
  assert.deepEqual(anomaliesOf(graph), { amount_without_announcement: 3, duplicate_announcement: 1 });
});

test('an amount does not reach the channel that took over the slot of its own', () => {
  const store = new SampleStore();
  const [gone] = store.channel({ hi: 1, lo: 1, node1: A, node2: B }, 10n);
  const graph = fed([gone, store.removal(1, 1)]);
  const late = store.record(announcementBytes({ hi: 2, lo: 1, node1: A, node2: B }));
  const amount = store.amount(10n);
  graph.apply(late);
  graph.apply({ ...amount, offset: storeOffset(gone.offset + gone.length + 12) });
  assert.equal(graph.channelSatoshis(graph.channelIndex(2, 1)), 0);
  assert.deepEqual(anomaliesOf(graph), { amount_without_announcement: 1 });
});

test('impossible_amount: more than 21 million bitcoin leaves the channel unverified', () => {
  const store = new SampleStore();
  const graph = fed(store.channel({ hi: 1, lo: 1, node1: A, node2: B }, 2_100_000_000_000_001n));
  assert.equal(graph.capacitySat, 0);
  assert.deepEqual(anomaliesOf(graph), { impossible_amount: 1 });
  fed(store.channel({ hi: 2, lo: 1, node1: A, node2: B }, 2_100_000_000_000_000n), graph);
  assert.equal(graph.capacitySat, 2_100_000_000_000_000);
});

test('duplicate_announcement: the first one of a short_channel_id stays', () => {
  const store = new SampleStore();
  const graph = fed([
    ...store.channel({ hi: 1, lo: 1, node1: A, node2: B }, 10n),
    ...store.channel({ hi: 1, lo: 1, node1: A, node2: C }, 20n),
  ]);
  assert.equal(graph.channelOffset(0), 13);
  assert.equal(graph.channelCount, 1);
  assert.equal(graph.nodeIndex(C, 0), -1);
  assert.equal(graph.capacitySat, 10);
});

test('self_channel: a channel of a node with itself is left out', () => {
  const graph = fed(new SampleStore().channel({ hi: 1, lo: 1, node1: A, node2: A }, 10n));
  assert.deepEqual([graph.channelCount, graph.nodeCount], [0, 0]);
  assert.deepEqual(anomaliesOf(graph), { self_channel: 1, amount_without_announcement: 1 });
});

test('an update fills its half channel, with the checksum of Q-16', () => {
  const store = new SampleStore(5 * 2 ** 32);
  const terms = { hi: 1, lo: 1, direction: 1, timestamp: 4_000_000_000, disabled: true } as const;
  const record = store.record(
    updateBytes({
      ...terms,
      messageFlags: 3,
      delay: 65535,
      htlcMinimum: 2n ** 53n,
      feeBase: 4_294_967_295,
      feeProportional: 4_000_000_001,
      htlcMaximum: 2_100_000_000_000_000_000n,
    }),
  );
  const graph = fed([...store.channel({ hi: 1, lo: 1, node1: A, node2: B }, 10n), record]);
  assert.deepEqual([graph.hasUpdate(0, 0), graph.hasUpdate(0, 1)], [false, true]);
  assert.equal(graph.halfChannelCount, 1);
  assert.equal(graph.updateTimestamp(0, 1), 4_000_000_000);
  assert.equal(graph.updateOffset(0, 1), 5 * 2 ** 32 + 12);
  assert.equal(graph.messageFlags(0, 1), 3);
  assert.equal(graph.channelFlags(0, 1), 3);
  assert.equal(graph.cltvExpiryDelta(0, 1), 65535);
  assert.equal(graph.htlcMinimumMsat(0, 1), 2 ** 53);
  assert.equal(graph.htlcMaximumMsat(0, 1), 2_100_000_000_000_000_000);
  assert.equal(graph.feeBaseMsat(0, 1), 4_294_967_295);
  assert.equal(graph.feeProportionalMillionths(0, 1), 4_000_000_001);
  assert.deepEqual([graph.isDisabled(0, 0), graph.isDisabled(0, 1)], [false, true]);
  assert.equal(graph.updateChecksum(0, 1), channelUpdateChecksum(record.bytes, 0, record.length));
  assert.equal(graph.updateChecksum(0, 0), 0);
});

test('B7-30 unknown_channel: an update, a removal or a mark for no channel of ours changes nothing', () => {
  const store = new SampleStore();
  const graph = fed([
    store.update({ hi: 1, lo: 1, direction: 0, timestamp: 5 }),
    store.removal(1, 1),
    store.dying(1, 1, 100),
  ]);
  assert.deepEqual([graph.channelCount, graph.halfChannelCount, graph.dyingCount], [0, 0, 0]);
  assert.deepEqual(anomaliesOf(graph), { unknown_channel: 3 });
});

test('B7-34 older_update: a lower timestamp loses; of equal ones the later record wins', () => {
  const store = new SampleStore();
  const graph = fed([
    ...store.channel({ hi: 1, lo: 1, node1: A, node2: B }, 10n),
    store.update({ hi: 1, lo: 1, direction: 0, timestamp: 50, feeBase: 1 }),
    store.update({ hi: 1, lo: 1, direction: 0, timestamp: 49, feeBase: 2 }),
  ]);
  assert.equal(graph.feeBaseMsat(0, 0), 1);
  assert.deepEqual(anomaliesOf(graph), { older_update: 1 });
  graph.apply(store.update({ hi: 1, lo: 1, direction: 0, timestamp: 50, feeBase: 3 }));
  assert.equal(graph.feeBaseMsat(0, 0), 3);
  graph.apply(store.update({ hi: 1, lo: 1, direction: 1, timestamp: 7, feeBase: 4 }));
  assert.deepEqual([graph.feeBaseMsat(0, 0), graph.feeBaseMsat(0, 1)], [3, 4]);
  assert.equal(graph.halfChannelCount, 2);
});

test("a channel's timestamp is its first update's, whether the header says so or the update comes later", () => {
  const store = new SampleStore();
  const graph = fed([
    ...store.channel({ hi: 1, lo: 1, node1: A, node2: B }, 10n),
    store.update({ hi: 1, lo: 1, direction: 1, timestamp: 50 }),
    store.update({ hi: 1, lo: 1, direction: 0, timestamp: 40 }),
    store.update({ hi: 1, lo: 1, direction: 1, timestamp: 60 }),
  ]);
  assert.equal(graph.channelTimestamp(0), 50);
  const stamped = store.record(announcementBytes({ hi: 2, lo: 1, node1: A, node2: B }), 0, 45);
  fed([stamped, store.amount(1n), store.update({ hi: 2, lo: 1, direction: 0, timestamp: 70 })], graph);
  assert.equal(graph.channelTimestamp(graph.channelIndex(2, 1)), 45);
});

test('B7-44: a node leaves with its last channel, and its announcement is forgotten', () => {
  const store = new SampleStore();
  const graph = fed([
    ...store.channel({ hi: 1, lo: 1, node1: A, node2: B }, 10n),
    ...store.channel({ hi: 2, lo: 1, node1: B, node2: C }, 20n),
    store.node(A, 5),
    store.node(B, 6),
  ]);
  assert.deepEqual([graph.nodeCount, graph.nodeAnnouncementCount], [3, 2]);
  graph.apply(store.removal(1, 1));
  assert.equal(graph.nodeIndex(A, 0), -1);
  assert.deepEqual([graph.nodeCount, graph.nodeAnnouncementCount, graph.capacitySat], [2, 1, 20]);
  assert.equal(graph.nodeTimestamp(graph.nodeIndex(B, 0)), 6);
  assert.equal(graph.nodeChannelCount(graph.nodeIndex(B, 0)), 1);
  fed(store.channel({ hi: 3, lo: 1, node1: A, node2: C }, 5n), graph);
  const returned = graph.nodeIndex(A, 0);
  assert.equal(graph.hasNodeAnnouncement(returned), false);
  assert.deepEqual([graph.nodeTimestamp(returned), graph.nodeOffset(returned)], [0, 0]);
});

test('unknown_node, older_node_announcement: node_announcements need a channel and a timestamp not older', () => {
  const store = new SampleStore();
  const graph = fed([store.node(A, 9), ...store.channel({ hi: 1, lo: 1, node1: A, node2: B }, 10n)]);
  const node = graph.nodeIndex(A, 0);
  assert.equal(graph.hasNodeAnnouncement(node), false);
  const newer = store.node(A, 8);
  const older = store.node(A, 7);
  const copy = store.node(A, 8);
  fed([newer, older], graph);
  assert.deepEqual([graph.nodeTimestamp(node), graph.nodeOffset(node)], [8, newer.offset]);
  graph.apply(copy);
  assert.equal(graph.nodeOffset(node), copy.offset);
  assert.equal(graph.nodeAnnouncementCount, 1);
  assert.deepEqual(anomaliesOf(graph), { unknown_node: 1, older_node_announcement: 1 });
});

test('a node_announcement with timestamp 0 still counts as one', () => {
  const store = new SampleStore();
  const graph = fed([...store.channel({ hi: 1, lo: 1, node1: A, node2: B }, 1n), store.node(A, 0)]);
  assert.equal(graph.hasNodeAnnouncement(graph.nodeIndex(A, 0)), true);
  assert.equal(graph.nodeAnnouncementCount, 1);
});

test('B7-43: chan_dying and the DYING flag mark a channel; the deadline goes with it', () => {
  const store = new SampleStore();
  const graph = fed([
    ...store.channel({ hi: 1, lo: 1, node1: A, node2: B }, 10n),
    ...store.channel({ hi: 2, lo: 1, node1: A, node2: B }, 10n, FLAG_DYING),
    ...store.channel({ hi: 3, lo: 1, node1: A, node2: B }, 10n),
    store.dying(1, 1, 800_000),
  ]);
  assert.deepEqual([graph.isDying(0), graph.isDying(1), graph.isDying(2)], [true, true, false]);
  assert.deepEqual([graph.dyingDeadline(0), graph.dyingDeadline(1), graph.dyingDeadline(2)], [800_000, 0, 0]);
  graph.apply(store.dying(2, 1, 800_001));
  assert.equal(graph.dyingDeadline(1), 800_001);
  assert.equal(graph.dyingCount, 2);
  graph.apply(store.removal(1, 1));
  fed(store.channel({ hi: 9, lo: 1, node1: A, node2: B }, 10n), graph);
  assert.equal(graph.channelIndex(9, 1), 0);
  assert.deepEqual([graph.isDying(0), graph.dyingDeadline(0), graph.dyingCount], [false, 0, 1]);
});

test('records flagged DELETED and record types without a meaning for the graph are passed over', () => {
  const store = new SampleStore();
  const [announced, amount] = store.channel({ hi: 1, lo: 1, node1: A, node2: B }, 10n);
  announced.flags |= FLAG_DELETED;
  amount.flags |= FLAG_DELETED;
  const uuid = store.record(Uint8Array.of(0x10, 0x0b));
  const unknown = store.record(Uint8Array.of(0x7f, 0xff));
  const graph = fed([announced, amount, uuid, unknown, store.record(new Uint8Array(0))]);
  assert.equal(graph.channelCount, 0);
  assert.deepEqual(anomaliesOf(graph), {});
});

test('malformed: a message cut at any byte is counted and changes nothing', () => {
  const store = new SampleStore();
  const graph = fed([
    ...store.channel({ hi: 1, lo: 1, node1: A, node2: B }, 10n),
    ...store.channel({ hi: 2, lo: 1, node1: A, node2: B }, 10n),
  ]);
  const before = JSON.stringify(graph.statistics());
  const messages = [
    announcementBytes({ hi: 3, lo: 1, node1: A, node2: C, features: new Uint8Array(9) }),
    updateBytes({ hi: 1, lo: 1, direction: 0, timestamp: 1 }),
    nodeAnnouncementBytes(A, 7, 'x', new Uint8Array(7)),
    store.amount(5n).bytes,
    store.removal(1, 1).bytes,
    store.dying(1, 1, 5).bytes,
  ];
  let cuts = 0;
  for (const message of messages) {
    for (let length = 2; length < message.length; length++) {
      graph.apply(store.record(message.slice(0, length)));
      cuts++;
    }
  }
  assert.equal(JSON.stringify(graph.statistics()), before);
  assert.deepEqual(anomaliesOf(graph), { malformed: cuts });
});

test('a reused slot shows nothing of its former channel', () => {
  const store = new SampleStore();
  const graph = fed([
    ...store.channel({ hi: 1, lo: 1, node1: A, node2: B }, 10n),
    store.update({ hi: 1, lo: 1, direction: 0, timestamp: 5, disabled: true }),
    store.update({ hi: 1, lo: 1, direction: 1, timestamp: 6 }),
    store.removal(1, 1),
  ]);
  assert.deepEqual([graph.channelCount, graph.halfChannelCount, graph.nodeCount], [0, 0, 0]);
  graph.apply(store.record(announcementBytes({ hi: 2, lo: 1, node1: B, node2: C })));
  assert.equal(graph.channelIndex(2, 1), 0);
  for (const direction of [0, 1] as const) {
    assert.equal(graph.hasUpdate(0, direction), false);
    assert.equal(graph.isDisabled(0, direction), false);
    assert.equal(graph.updateTimestamp(0, direction), 0);
    assert.equal(graph.updateOffset(0, direction), 0);
    assert.equal(graph.htlcMaximumMsat(0, direction), 0);
    assert.equal(graph.updateChecksum(0, direction), 0);
  }
  assert.deepEqual([graph.channelSatoshis(0), graph.channelTimestamp(0)], [0, 0]);
});

test('slots are reused: coming and going does not take memory', () => {
  const store = new SampleStore();
  const graph = new NetworkGraph({ channelsHint: 64 });
  const empty = graph.memoryBytes();
  for (let round = 0; round < 2000; round++) {
    fed(store.channel({ hi: round, lo: 1, node1: sampleNodeId(round), node2: sampleNodeId(-1) }, 1n), graph);
    if (round >= 20) graph.apply(store.removal(round - 20, 1));
  }
  assert.deepEqual([graph.channelCount, graph.nodeCount], [20, 21]);
  assert.equal(graph.memoryBytes(), empty);
  let highest = 0;
  graph.forEachChannel((channel) => {
    highest = Math.max(highest, channel);
  });
  assert.ok(highest <= 21);
});

test('channels of a node come in file order with its side, through removals in the middle and at the ends', () => {
  const store = new SampleStore();
  const graph = new NetworkGraph();
  for (let number = 0; number < 6; number++) {
    const other = sampleNodeId(10 + number);
    const ends = number % 2 === 0 ? { node1: A, node2: other } : { node1: other, node2: A };
    fed(store.channel({ hi: number, lo: 1, ...ends }, 1n), graph);
  }
  const seen = (): [number, number][] => {
    const found: [number, number][] = [];
    graph.forEachChannelOfNode(graph.nodeIndex(A, 0), (channel, side) => {
      found.push([graph.scidHi(channel), side]);
    });
    return found;
  };
  assert.deepEqual(seen(), [
    [0, 0],
    [1, 1],
    [2, 0],
    [3, 1],
    [4, 0],
    [5, 1],
  ]);
  for (const hi of [0, 3, 5]) graph.apply(store.removal(hi, 1));
  assert.deepEqual(seen(), [
    [1, 1],
    [2, 0],
    [4, 0],
  ]);
  fed(store.channel({ hi: 7, lo: 1, node1: A, node2: B }, 1n), graph);
  assert.deepEqual(seen(), [
    [1, 1],
    [2, 0],
    [4, 0],
    [7, 0],
  ]);
});

test('the earliest channel that is not dying tells whether a node_announcement may stay where it is', () => {
  const store = new SampleStore();
  const [first, amount1] = store.channel({ hi: 1, lo: 1, node1: A, node2: B }, 1n);
  const [second, amount2] = store.channel({ hi: 2, lo: 1, node1: A, node2: C }, 1n);
  const graph = fed([first, amount1, second, amount2]);
  const node = graph.nodeIndex(A, 0);
  assert.equal(graph.earliestChannelOffset(node), first.offset);
  assert.equal(graph.nodesHaveChannelBefore(node, second.offset), true);
  assert.equal(graph.nodesHaveChannelBefore(node, first.offset), false);
  graph.apply(store.dying(1, 1, 5));
  assert.equal(graph.earliestChannelOffset(node), second.offset);
  assert.equal(graph.nodesHaveChannelBefore(node, second.offset), false);
  graph.apply(store.dying(2, 1, 5));
  assert.equal(graph.earliestChannelOffset(node), undefined);
  assert.equal(graph.nodesHaveChannelBefore(node, storeOffset(2 ** 52)), false);
});

test('walks over all entries skip freed slots, and may remove as they go', () => {
  const store = new SampleStore();
  const graph = new NetworkGraph();
  for (let number = 0; number < 100; number++) {
    fed(store.channel({ hi: number, lo: 1, node1: sampleNodeId(number), node2: A }, 1n), graph);
  }
  graph.forEachChannel((channel) => {
    if (graph.scidHi(channel) % 3 !== 0) graph.apply(store.removal(graph.scidHi(channel), 1));
  });
  const left: number[] = [];
  graph.forEachChannel((channel) => left.push(graph.scidHi(channel)));
  assert.deepEqual(
    left,
    Array.from({ length: 34 }, (_, index) => index * 3),
  );
  let nodes = 0;
  graph.forEachNode(() => nodes++);
  assert.equal(nodes, graph.nodeCount);
});

test('columns take 141 bytes for a channel and 53 for a node', () => {
  assert.equal(new ChannelColumns(1000).memoryBytes(), 1000 * CHANNEL_COLUMN_BYTES);
  assert.equal(new NodeColumns(1000).memoryBytes(), 1000 * NODE_COLUMN_BYTES);
});

test('memory stays under 180 bytes for each channel and 73 for each node at every size', () => {
  const store = new SampleStore();
  const graph = new NetworkGraph();
  const record = store.record(announcementBytes({ hi: 0, lo: 1, node1: A, node2: B }));
  const idle = 8192 * (CHANNEL_COLUMN_BYTES + NODE_COLUMN_BYTES);
  for (let number = 0; number < 60_000; number++) {
    // Each third channel brings a new node, as in the public network.
    const node2 = sampleNodeId(100 + Math.floor(number / 3));
    graph.apply({ ...record, bytes: announcementBytes({ hi: number, lo: 1, node1: A, node2 }) });
    if (number % 97 !== 0) continue;
    graph.channelsInBlocks(0, 1, () => {});
    const bound = 180 * graph.channelCount + 73 * graph.nodeCount + 10_000;
    // Up to here channels or nodes still double.
    const allowed = number < 8192 * 3 ? bound + idle : bound;
    assert.ok(graph.memoryBytes() <= allowed, `${graph.memoryBytes()} bytes for ${number} channels`);
  }
});
