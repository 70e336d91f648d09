import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseNodeId } from '../base/node_id.ts';
import { parseScid } from '../base/short_channel_id.ts';
import type { StoreOffset } from '../wire/store_record.ts';
import { NetworkGraph } from './network_graph.ts';
import { nodeAnnouncementBytes, SampleStore, sampleNodeId } from './sample_records.test.support.ts';
import { channelInfo, channelOf, halfChannel, nodeInfo, nodeOf } from './views.ts';

const A = sampleNodeId(1);
const B = sampleNodeId(2);
const A_HEX = Buffer.from(A).toString('hex');
const B_HEX = Buffer.from(B).toString('hex');
const unread = (): undefined => undefined;
const SCID = { hi: 539_268 * 256, lo: (845 << 16) | 1 };

test('B7-41: a channel is shown with its short_channel_id as text, both nodes and both half channels', () => {
  const store = new SampleStore();
  const graph = new NetworkGraph();
  const [announced, amount] = store.channel({ ...SCID, node1: A, node2: B }, 16_777_215n);
  const update = store.update({
    ...SCID,
    direction: 1,
    timestamp: 1_700_000_000,
    disabled: true,
    delay: 40,
    htlcMinimum: 1000n,
    htlcMaximum: 990_000_000n,
    feeBase: 1,
    feeProportional: 250,
  });
  for (const record of [announced, amount, update]) graph.apply(record);
  const channel = channelOf(graph, parseScid('539268x845x1')!);
  const info = channelInfo(graph, channel, unread);
  assert.deepEqual(info, {
    short_channel_id: '539268x845x1',
    node_id_1: A_HEX,
    node_id_2: B_HEX,
    capacity_sat: 16_777_215,
    unverified: false,
    dying: false,
    dying_deadline: null,
    timestamp: 1_700_000_000,
    store_offset: announced.offset,
    half_channels: [
      null,
      {
        direction: 1,
        source: B_HEX,
        destination: A_HEX,
        timestamp: 1_700_000_000,
        message_flags: 1,
        channel_flags: 3,
        disabled: true,
        not_routable: 'disabled',
        cltv_expiry_delta: 40,
        htlc_minimum_msat: 1000,
        htlc_maximum_msat: 990_000_000,
        fee_base_msat: 1,
        fee_proportional_millionths: 250,
        checksum: graph.updateChecksum(channel, 1),
        store_offset: update.offset,
      },
    ],
  });
  assert.deepEqual(JSON.parse(JSON.stringify(info)), info);
  assert.equal(halfChannel(graph, channel, 0, unread), null);
});

test('amount 0 is shown as unverified, a dying channel with its deadline', () => {
  const store = new SampleStore();
  const graph = new NetworkGraph();
  for (const record of store.channel({ hi: 1, lo: 1, node1: A, node2: B }, 0n)) graph.apply(record);
  graph.apply(store.dying(1, 1, 800_072));
  const { capacity_sat, unverified, dying, dying_deadline } = channelInfo(graph, 0, unread);
  assert.deepEqual([capacity_sat, unverified, dying, dying_deadline], [0, true, true, 800_072]);
});

test('channels and nodes that are not there are -1', () => {
  const graph = new NetworkGraph();
  assert.equal(channelOf(graph, parseScid('1x1x1')!), -1);
  assert.equal(nodeOf(graph, parseNodeId(A_HEX)!), -1);
});

test('B7-24: a node is shown with what it claims, safe to print, read when asked for', () => {
  const store = new SampleStore();
  const graph = new NetworkGraph();
  for (const record of store.channel({ hi: 1, lo: 1, node1: A, node2: B }, 5n)) graph.apply(record);
  for (const record of store.channel({ hi: 2, lo: 1, node1: A, node2: B }, 7n)) graph.apply(record);
  const ipv4 = Uint8Array.of(1, 192, 0, 2, 7, 0x26, 0x07);
  const raw = nodeAnnouncementBytes(A, 1_700_000_000, 'a\u0007b', ipv4);
  const record = store.record(raw);
  graph.apply(record);
  const asked: number[] = [];
  const read = (offset: StoreOffset): Uint8Array | undefined => {
    asked.push(offset);
    return raw;
  };
  assert.deepEqual(nodeInfo(graph, nodeOf(graph, parseNodeId(A_HEX)!), read), {
    node_id: A_HEX,
    channels: 2,
    capacity_sat: 12,
    announcement: {
      timestamp: 1_700_000_000,
      alias: 'a\ufffdb',
      color: '12abff',
      features: '',
      addresses: [{ type: 'ipv4', address: '192.0.2.7', port: 9735 }],
      store_offset: record.offset,
    },
  });
  assert.deepEqual(asked, [record.offset]);
  assert.equal(nodeInfo(graph, graph.nodeIndex(B, 0), read).announcement, null);
  assert.deepEqual(asked, [record.offset]);
});

test('a node_announcement that is gone or unreadable leaves the node without claims', () => {
  const store = new SampleStore();
  const graph = new NetworkGraph();
  for (const record of store.channel({ hi: 1, lo: 1, node1: A, node2: B }, 5n)) graph.apply(record);
  graph.apply(store.node(A, 5));
  const node = graph.nodeIndex(A, 0);
  assert.equal(nodeInfo(graph, node, () => undefined).announcement, null);
  assert.equal(nodeInfo(graph, node, () => Uint8Array.of(1, 1, 0)).announcement, null);
});
