/** What was lost with a damaged part of the store is asked for again, exactly, of whoever is idle. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NETWORKS } from '../base/chain_hash.ts';
import { silentLog } from '../base/log.ts';
import { MemoryMeter } from '../base/meter.ts';
import { seededRng } from '../base/rng.ts';
import { ManualClock } from '../base/time.ts';
import { encodeFeatures } from '../wire/feature_bits.ts';
import { decodeMessage } from '../wire/message.ts';
import { QUERY_FLAG } from '../wire/query_short_channel_ids.ts';
import { MemoryStore, scidOf } from './memory_store.test.support.ts';
import { MAX_REFETCH_TRIES, PLAIN_AFTER_MS, REFETCH_CHUNK_SCIDS, type RefetchOutcome } from './refetch.ts';
import { Seeker } from './seeker.ts';
import type { SeekerLimits } from './seeker_options.ts';

const network = NETWORKS.regtest;
const chain_hash = network.chainHashBytes;
const NOW = 1_700_000_000;
const WHOLE = QUERY_FLAG.channel_announcement | QUERY_FLAG.channel_update_1 | QUERY_FLAG.channel_update_2;
const [UPDATE_1, UPDATE_2] = [QUERY_FLAG.channel_update_1, QUERY_FLAG.channel_update_2];
const NODE_1 = QUERY_FLAG.node_announcement_1;

const missing = (block: number, flags: number = WHOLE) => ({ scidHi: block << 8, scidLo: 1 << 16, flags });

const setUp = (limits: SeekerLimits = {}, refused?: (hi: number) => boolean) => {
  const store = new MemoryStore();
  const clock = new ManualClock(NOW * 1000);
  const meter = new MemoryMeter();
  const backlog = { messages: 0 };
  const outcomes: RefetchOutcome[] = [];
  const seeker = new Seeker(
    {
      ...{ graph: store.graph, network, clock, meter, rng: seededRng(1), log: silentLog },
      backlog: () => backlog.messages,
      onRefetched: (outcome) => outcomes.push(outcome),
      ...(refused === undefined ? {} : { refused }),
    },
    limits,
  );
  /** A peer that knows query_flags unless told; its list is empty and complete, so that it has nothing else to do. */
  const connect = (name: string, bits: number[] = [7, 11], lists = true, outbound = false) => {
    const asked: [number, number | undefined][][] = [];
    const id = seeker.addPeer({
      name,
      outbound,
      features: encodeFeatures(bits),
      send: (raw) => {
        const message = decodeMessage(raw);
        if (!('type' in message) || message.type !== 'query_short_channel_ids') return;
        asked.push(
          Array.from(message.short_channel_ids, (scid, at) => [
            Number(scid >> 40n),
            message.query_flags === undefined ? undefined : Number(message.query_flags[at]),
          ]),
        );
      },
    });
    const list = (ids: bigint[]) =>
      seeker.onReplyChannelRange(id, {
        ...{ chain_hash, first_blocknum: 0, number_of_blocks: 0xffffffff, sync_complete: true },
        short_channel_ids: BigUint64Array.from(ids),
      });
    if (lists) list([]);
    /** What the one query since the last call asks for, as [block, flags]; undefined without one. */
    const query = () => {
      assert.ok(asked.length <= 1, 'Q-02: one open query');
      return asked.shift();
    };
    const end = () => seeker.onReplyShortChannelIdsEnd(id, { chain_hash, full_information: true });
    const state = () => seeker.status().peers.find((peer) => peer.name === name)?.state;
    return { id, query, end, list, state };
  };
  const run = (seconds: number): void => {
    for (let second = 0; second < seconds; second++) {
      clock.advance(1000);
      seeker.tick();
    }
  };
  const left = () => seeker.status().refetchLeft;
  const counts = () =>
    ['recovered', 'given_up', 'full'].map((what) => meter.get(`gossipd_refetch_${what}_total`));
  return { store, seeker, clock, backlog, meter, outcomes, connect, run, left, counts };
};

test('exactly what was lost is asked for by flags, though no list has named it', () => {
  const { store, seeker, connect, run, left, outcomes, counts, meter } = setUp();
  store.channel(scidOf(2), NOW, [1, 2]);
  const peer = connect('a');
  store.node(2, NOW);
  store.announce(scidOf(3), { nodes: [5, 6] });
  store.update(scidOf(3), 1, NOW);
  seeker.refetch([missing(4), missing(3, UPDATE_1), missing(2, NODE_1)]);
  assert.deepEqual(peer.query(), [
    [2, NODE_1],
    [3, UPDATE_1],
    [4, WHOLE],
  ]);
  assert.deepEqual([peer.state(), left(), seeker.status().state], ['ready', 5, 'synced']);
  store.node(1, NOW);
  store.update(scidOf(3), 0, NOW);
  store.channel(scidOf(4), NOW);
  assert.deepEqual(outcomes, []);
  assert.equal(peer.end(), undefined);
  run(1);
  assert.deepEqual([left(), outcomes, counts()], [0, [{ recovered: 5, givenUp: 0 }], [5, 0, 0]]);
  assert.equal(meter.get('gossipd_refetch_wanted'), 0);
  assert.equal(peer.query(), undefined);
});

test('a loss without peers is kept until some come; who waits to be asked for its list is idle enough', () => {
  const { seeker, connect, run, left } = setUp();
  seeker.refetch([missing(1)]);
  run(4000);
  assert.equal(left(), 3);
  const busy = ['a', 'b', 'c'].map((name) => connect(name, [7, 11], false));
  const fourth = connect('d', [7, 11], false);
  assert.deepEqual(fourth.query(), [[1, WHOLE]]);
  for (const peer of busy) assert.deepEqual([peer.state(), peer.query()], ['asking_range', undefined]);
  assert.equal(fourth.state(), 'waiting');
});

test('a peer that does not deliver is followed by another, which is asked for the rest only', () => {
  const { store, seeker, connect, run, left } = setUp();
  const [a, b] = [connect('a'), connect('b')];
  seeker.refetch([missing(1)]);
  const [first, second] = a.query() === undefined ? [b, a] : [a, b];
  store.announce(scidOf(1));
  store.update(scidOf(1), 0, NOW);
  first.end();
  assert.deepEqual(second.query(), [[1, UPDATE_2]]);
  assert.equal(first.query(), undefined);
  store.update(scidOf(1), 1, NOW);
  second.end();
  run(1);
  assert.equal(left(), 0);
});

test('when all were asked the rest is left to the hourly round; somebody new may still have it', () => {
  const { store, seeker, connect, run, left, outcomes, counts } = setUp();
  const peers = [connect('a'), connect('b', [7])];
  store.channel(scidOf(1), NOW);
  seeker.refetch([missing(1), missing(2)]);
  assert.deepEqual(peers[0]!.query(), [[2, WHOLE]]);
  peers[0]!.end();
  run(PLAIN_AFTER_MS / 1000);
  assert.deepEqual(peers[1]!.query(), [[2, undefined]]);
  assert.deepEqual(outcomes, []);
  peers[1]!.end();
  run(1);
  assert.deepEqual([left(), outcomes, counts()], [0, [{ recovered: 3, givenUp: 3 }], [3, 3, 0]]);
  const late = connect('late');
  assert.deepEqual([late.query(), left()], [[[2, WHOLE]], 3]);
  late.end();
  run(2);
  assert.equal(left(), 0);
  run(3600);
  const tooLate = connect('too late');
  assert.equal(tooLate.query(), undefined, 'the hourly round has taken over');
  assert.equal(outcomes.length, 1);
});

test('who knows no flags would send whole channels, and is asked last, and then without flags', () => {
  const { seeker, connect, run, store } = setUp();
  store.announce(scidOf(1));
  const [plain, extended] = [connect('plain', [7]), connect('extended')];
  seeker.refetch([missing(1, UPDATE_1)]);
  assert.deepEqual([plain.query(), extended.query()], [undefined, [[1, UPDATE_1]]]);
  run(1);
  extended.end();
  run(PLAIN_AFTER_MS / 1000 - 2);
  assert.equal(plain.query(), undefined);
  run(1);
  assert.deepEqual([plain.query(), extended.query()], [[[1, undefined]], undefined]);
});

test('Q-01 a peer without gossip_queries is never asked', () => {
  const { seeker, connect, run } = setUp();
  const peer = connect('none', [11], false);
  seeker.refetch([missing(1)]);
  run(100);
  assert.equal(peer.query(), undefined);
});

test('Q-02 a peer that does not answer in time is followed by another; it owes an end', () => {
  const { seeker, connect, run, meter } = setUp();
  const [a, b] = [connect('a', [7, 11], true, true), connect('b')];
  seeker.refetch([missing(1)]);
  assert.deepEqual([a.query(), b.query()], [[[1, WHOLE]], undefined]);
  run(15);
  assert.deepEqual([a.state(), b.query()], ['silent_on_queries', [[1, WHOLE]]]);
  assert.equal(meter.get('gossipd_silent_peers_total'), 1);
  seeker.refetch([missing(2)]);
  assert.equal(a.query(), undefined);
  assert.equal(a.end(), undefined);
  assert.deepEqual([a.state(), a.query()], ['ready', [[2, WHOLE]]]);
});

test('a peer that leaves in the middle gives its part back', () => {
  const { seeker, connect } = setUp();
  const a = connect('a');
  seeker.refetch([missing(1)]);
  assert.equal(a.query()?.length, 1);
  const b = connect('b');
  assert.equal(b.query(), undefined);
  seeker.removePeer(a.id);
  assert.equal(b.query()?.length, 1);
});

test('what is lost is spread over the idle peers in small chunks, ascending', () => {
  const { seeker, connect } = setUp();
  const peers = ['a', 'b', 'c'].map((name) => connect(name));
  const lost = Array.from({ length: 90 }, (_, index) => missing(90 - index));
  seeker.refetch(lost);
  const queries = peers.map((peer) => peer.query()!);
  assert.deepEqual(
    queries.map((query) => query.length),
    [30, 30, 30],
  );
  const blocks = queries.flatMap((query) => query.map(([block]) => block));
  assert.equal(new Set(blocks).size, 90);
  for (const query of queries) assert.ok(query.every(([block], at) => at === 0 || query[at - 1]![0] < block));
  const { seeker: other, connect: connectOther } = setUp();
  const one = connectOther('one');
  other.refetch(Array.from({ length: 1000 }, (_, index) => missing(index + 1)));
  assert.equal(one.query()?.length, REFETCH_CHUNK_SCIDS);
});

test('a first sync goes first: busy peers are not asked, and nobody while ingest has much to check', () => {
  const { seeker, connect, run, backlog, store } = setUp();
  const peer = connect('a', [7, 11], false);
  seeker.refetch([missing(50)]);
  assert.deepEqual([peer.state(), peer.query()], ['asking_range', undefined]);
  backlog.messages = 300;
  peer.list([scidOf(1)]);
  assert.deepEqual(peer.query(), [[1, WHOLE]]);
  store.channel(scidOf(1), NOW);
  for (const node of [1, 2]) store.node(node, NOW);
  peer.end();
  run(5);
  assert.equal(peer.query(), undefined);
  backlog.messages = 0;
  run(1);
  assert.deepEqual(peer.query(), [[50, WHOLE]]);
});

test('nothing is fetched twice: what a peer lists meanwhile waits for the refetch, and the other way round', () => {
  const { seeker, connect, run, store, left, outcomes } = setUp();
  const a = connect('a');
  seeker.refetch([missing(1)]);
  assert.deepEqual(a.query(), [[1, WHOLE]]);
  const b = connect('b', [7, 11], false);
  b.list([scidOf(1), scidOf(2)]);
  assert.deepEqual(b.query(), [[2, WHOLE]]);
  seeker.refetch([missing(2)]);
  run(1);
  for (const block of [1, 2]) store.channel(scidOf(block), NOW);
  for (const node of [1, 2]) store.node(node, NOW);
  a.end();
  b.end();
  run(1);
  assert.deepEqual([a.query(), b.query(), left()], [undefined, undefined, 0]);
  assert.deepEqual(outcomes, [{ recovered: 6, givenUp: 0 }]);
  assert.equal(seeker.status().state, 'synced');
});

test('Q-04 what is known to be spent, or has left, is not asked for', () => {
  const { seeker, connect, run, left, counts } = setUp({}, (hi) => hi === 1 << 8);
  const peer = connect('a');
  seeker.refetch([missing(1), missing(2, UPDATE_1 | NODE_1), missing(3)]);
  assert.deepEqual(peer.query(), [[3, WHOLE]]);
  run(1);
  assert.deepEqual([left(), counts()], [3, [0, 5, 0]]);
});

test('lost once more while it is asked for: the same peer is asked again', () => {
  const { seeker, connect, store, run, left } = setUp();
  store.channel(scidOf(1), NOW);
  const index = store.graph.channelIndex(1 << 8, 1 << 16);
  const lost = store.lose((record) => record.offset === store.graph.updateOffset(index, 0));
  const peer = connect('a');
  seeker.refetch(lost.channels);
  assert.deepEqual(peer.query(), [[1, UPDATE_1]]);
  seeker.refetch(store.lose((record) => record.offset === store.graph.updateOffset(index, 1)).channels);
  store.update(scidOf(1), 0, NOW);
  peer.end();
  assert.deepEqual(peer.query(), [[1, UPDATE_2]]);
  store.update(scidOf(1), 1, NOW);
  peer.end();
  run(1);
  assert.equal(left(), 0);
});

test('bound: MAX_REFETCH channels, the rest is counted and left to the hourly round', () => {
  const { seeker, run, left, counts } = setUp({ maxRefetch: 10 });
  seeker.refetch(Array.from({ length: 12 }, (_, index) => missing(index + 1)));
  run(1);
  assert.deepEqual([left(), counts()], [30, [0, 0, 6]]);
});

test(`bound: peers that come and go are asked ${MAX_REFETCH_TRIES} times at most`, () => {
  const { seeker, connect, run, left } = setUp();
  seeker.refetch([missing(1)]);
  let asked = 0;
  for (let turn = 0; turn < MAX_REFETCH_TRIES + 20; turn++) {
    const peer = connect(`peer ${turn}`);
    if (peer.query() !== undefined) asked++;
    peer.end();
    run(2);
    seeker.removePeer(peer.id);
  }
  assert.deepEqual([asked, left()], [MAX_REFETCH_TRIES, 0]);
});

test('strangers take at most half of the places; those we chose find one', () => {
  const { seeker, connect } = setUp();
  const strangers = Array.from({ length: 40 }, (_, index) => connect(`stranger ${index}`));
  const chosen = connect('chosen', [7, 11], true, true);
  seeker.refetch(Array.from({ length: 2000 }, (_, index) => missing(index + 1)));
  assert.equal(strangers.filter((peer) => peer.query() !== undefined).length, 16);
  assert.ok(chosen.query() !== undefined);
});
