import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NETWORKS } from '../base/chain_hash.ts';
import { silentLog } from '../base/log.ts';
import { silentMeter } from '../base/meter.ts';
import { seededRng } from '../base/rng.ts';
import { ManualClock } from '../base/time.ts';
import { encodeFeatures } from '../wire/feature_bits.ts';
import { decodeMessage } from '../wire/message.ts';
import type { QueryShortChannelIds } from '../wire/query_short_channel_ids.ts';
import { QUERY_FLAG } from '../wire/query_short_channel_ids.ts';
import { MemoryStore, scidOf } from './memory_store.test.support.ts';
import { Seeker } from './seeker.ts';

const NOW = 1_700_000_000;
const { chainHashBytes: chain_hash } = NETWORKS.regtest;

const setUp = (features: number[], newest = NOW) => {
  const store = new MemoryStore();
  const clock = new ManualClock(NOW * 1000);
  const seeker = new Seeker({
    graph: store.graph,
    network: NETWORKS.regtest,
    clock,
    rng: seededRng(1),
    log: silentLog,
    meter: silentMeter,
  });
  const sent: ReturnType<typeof decodeMessage>[] = [];
  const connect = (): number =>
    seeker.addPeer({
      name: 'peer',
      features: encodeFeatures(features),
      send: (raw) => sent.push(decodeMessage(raw)),
    });
  const list = (id: number, short_channel_ids: bigint[]): void => {
    const timestamps = Uint32Array.from(short_channel_ids.flatMap(() => [newest, newest]));
    seeker.onReplyChannelRange(id, {
      chain_hash,
      first_blocknum: 0,
      number_of_blocks: 0xffffffff,
      sync_complete: true,
      short_channel_ids: BigUint64Array.from(short_channel_ids),
      timestamps,
    });
  };
  const queries = (): QueryShortChannelIds[] =>
    sent
      .splice(0)
      .filter((message): message is QueryShortChannelIds & { type: 'query_short_channel_ids' } => {
        return 'type' in message && message.type === 'query_short_channel_ids';
      });
  const ranges = (): number =>
    sent.filter((message) => 'type' in message && message.type === 'query_channel_range').length;
  const end = (id: number): void => {
    seeker.onReplyShortChannelIdsEnd(id, { chain_hash, full_information: true });
  };
  const run = (seconds: number): void => {
    for (let second = 0; second < seconds; second++) {
      clock.advance(1000);
      seeker.tick();
    }
  };
  return { store, seeker, connect, list, queries, ranges, end, run };
};

test('nodes of known channels that have not announced themselves are asked for, each by one channel', () => {
  // A sync was cut off after its channels and before its node announcements. The next start knew every channel, asked for
  // nothing, said "synced", and 162 of 682 nodes had no name until somebody happened to announce them again.
  const { store, seeker, connect, list, queries, end, run } = setUp([7, 11]);
  store.channel(scidOf(1), NOW, [1, 2]);
  store.channel(scidOf(2), NOW, [1, 3]);
  store.channel(scidOf(3), NOW, [2, 3]);
  store.channel(scidOf(4), NOW, [3, 4]);
  store.node(4, NOW);
  const peer = connect();
  list(
    peer,
    [1, 2, 3, 4].map((block) => scidOf(block)),
  );
  const [query, ...more] = queries();
  assert.equal(more.length, 0);
  assert.deepEqual(Array.from(query!.short_channel_ids), [scidOf(1), scidOf(2)]);
  const asked = Array.from(query!.query_flags!, Number);
  const both = QUERY_FLAG.node_announcement_1 | QUERY_FLAG.node_announcement_2;
  assert.deepEqual(
    asked.map((flags) => flags & ~both),
    [0, 0],
  );
  // Three nodes in all: two by the first channel, one by the second.
  assert.equal(
    asked.reduce((count, flags) => count + (flags & 8 ? 1 : 0) + (flags & 16 ? 1 : 0), 0),
    3,
  );
  for (const node of [1, 2]) store.node(node, NOW);
  end(peer);
  run(2);
  // Node 3 never announced itself: that does not keep the sync from being complete.
  assert.deepEqual([seeker.status().state, seeker.status().complete], ['synced', true]);
});

test('a plain peer is asked for whole channels of nameless nodes in the first sync, and not again', () => {
  const { store, connect, list, queries, end, run, seeker } = setUp([7]);
  store.channel(scidOf(1), NOW, [1, 2]);
  const first = connect();
  list(first, [scidOf(1)]);
  const [query] = queries();
  assert.deepEqual([Array.from(query!.short_channel_ids), query!.query_flags], [[scidOf(1)], undefined]);
  end(first);
  run(2);
  assert.equal(seeker.status().state, 'synced');
  const second = connect();
  run(70);
  list(second, [scidOf(1)]);
  assert.deepEqual(queries(), []);
});

test('a node that announces itself before its channel is asked for is not asked for', () => {
  const { store, connect, list, queries, end, run } = setUp([7, 11]);
  store.channel(scidOf(1), NOW, [1, 2]);
  const peer = connect();
  // The unknown channel makes a first query; the node's entry waits behind it only if the chunk is full, so the pool is asked
  // at once: what came meanwhile is left out of the query.
  for (const node of [1, 2]) store.node(node, NOW);
  list(peer, [scidOf(1), scidOf(2)]);
  const [query] = queries();
  assert.deepEqual(Array.from(query!.short_channel_ids), [scidOf(2)]);
  store.channel(scidOf(2), NOW, [1, 2]);
  end(peer);
  run(2);
  assert.deepEqual(queries(), []);
});

test('a channel that live gossip brings before it is asked for is compared once more before the sync counts as complete', () => {
  // Its announcement and one update came live, its entry was dropped, and the other update and a node stayed unknown.
  const { store, seeker, connect, list, queries, ranges, end, run } = setUp([7, 11]);
  const peer = connect();
  const many = Array.from({ length: 2_500 }, (_, index) => scidOf(index + 1));
  list(peer, many);
  const [first] = queries();
  assert.equal(first!.short_channel_ids.length, 2_000);
  store.announce(scidOf(2_400), { nodes: [1, 2] });
  store.update(scidOf(2_400), 0, NOW);
  for (const scid of many) if (scid !== scidOf(2_400)) store.channel(scid, NOW, [1, 2]);
  for (const node of [1, 2]) store.node(node, NOW);
  end(peer);
  run(1);
  assert.equal(ranges(), 1, 'the list is asked for again');
  assert.equal(seeker.status().complete, false);
  list(peer, many);
  const [rest] = queries();
  assert.deepEqual(Array.from(rest!.short_channel_ids), [scidOf(2_400)]);
  store.update(scidOf(2_400), 1, NOW);
  end(peer);
  run(2);
  assert.deepEqual([seeker.status().state, seeker.status().complete], ['synced', true]);
  assert.equal(ranges(), 0, 'and not a third time');
});

test('a peer without gossip_queries_ex that gives timestamps all the same shows what is outdated', () => {
  // lnd 0.21 offers no gossip_queries_ex and answers query_option. 404 of 4,000 policies that changed during an absence of a
  // quarter of an hour stayed old, and a restart did not help, because the newest update stored was newer than the gap.
  const { store, connect, list, queries } = setUp([7], NOW + 500);
  store.channel(scidOf(1), NOW, [1, 2]);
  for (const node of [1, 2]) store.node(node, NOW);
  list(connect(), [scidOf(1)]);
  const [query] = queries();
  assert.deepEqual([Array.from(query!.short_channel_ids), query!.query_flags], [[scidOf(1)], undefined]);
});
