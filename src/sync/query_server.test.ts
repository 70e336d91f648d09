import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NETWORKS } from '../base/chain_hash.ts';
import { silentLog } from '../base/log.ts';
import { MemoryMeter } from '../base/meter.ts';
import { decodeReplyChannelRange, type ReplyChannelRange } from '../wire/reply_channel_range.ts';
import { decodeReplyShortChannelIdsEnd } from '../wire/reply_short_channel_ids_end.ts';
import { MemoryStore, scidOf } from './memory_store.test.support.ts';
import { QueryServer, type QueryServerOptions } from './query_server.ts';

const network = NETWORKS.regtest;
const chain_hash = network.chainHashBytes;
const foreign = NETWORKS.bitcoin.chainHashBytes;

const setUp = (
  store = new MemoryStore(),
  serveUnverified = false,
  more: Partial<Pick<QueryServerOptions, 'isUpToDate'>> = {},
) => {
  const sent: Uint8Array[] = [];
  const meter = new MemoryMeter();
  const room = { left: Number.POSITIVE_INFINITY };
  const server = new QueryServer({
    graph: store.graph,
    store,
    network,
    send: (raw) => {
      sent.push(raw);
      room.left--;
    },
    canSend: () => room.left > 0,
    log: silentLog,
    meter,
    serveUnverified,
    ...more,
  });
  const types = (): number[] => sent.map((raw) => (raw[0]! << 8) | raw[1]!);
  const ranges = (): ReplyChannelRange[] =>
    sent.map((raw) => {
      assert.ok(raw.length <= 65535);
      const reply = decodeReplyChannelRange(raw);
      assert.ok(!('fault' in reply));
      return reply;
    });
  const ask = (first_blocknum: number, number_of_blocks: number, query_option?: number) =>
    server.onQueryChannelRange({
      chain_hash,
      first_blocknum,
      number_of_blocks,
      ...(query_option === undefined ? {} : { query_option }),
    });
  const askScids = (scids: bigint[], query_flags?: number[]) =>
    server.onQueryShortChannelIds({
      chain_hash,
      short_channel_ids: BigUint64Array.from(scids),
      ...(query_flags === undefined ? {} : { query_flags }),
    });
  return { store, sent, meter, room, server, types, ranges, ask, askScids };
};

/** for replies to a query. */
const checkReplies = (replies: ReplyChannelRange[], first: number, count: number): void => {
  assert.ok(replies[0]!.first_blocknum <= first);
  let covered = first;
  for (const [index, reply] of replies.entries()) {
    const last = index === replies.length - 1;
    assert.deepEqual(reply.chain_hash, chain_hash);
    assert.equal(reply.sync_complete, last);
    // The next block, or once more the block that was split.
    assert.ok(index === 0 || reply.first_blocknum === covered || reply.first_blocknum === covered - 1);
    covered = reply.first_blocknum + reply.number_of_blocks;
    for (const scid of reply.short_channel_ids) {
      const block = Number(scid >> 40n);
      assert.ok(block >= reply.first_blocknum && block < covered);
    }
  }
  assert.equal(covered, first + count);
};

const listed = (replies: ReplyChannelRange[]): bigint[] =>
  replies.flatMap((reply) => Array.from(reply.short_channel_ids));

test('Q-12 Q-13 a range without channels gets one empty complete reply for exactly that range', () => {
  const { ask, ranges } = setUp();
  assert.equal(ask(100, 50), undefined);
  const [reply] = ranges();
  assert.deepEqual(
    [reply!.first_blocknum, reply!.number_of_blocks, reply!.sync_complete, reply!.short_channel_ids.length],
    [100, 50, true, 0],
  );
});

test('Q-12 the whole range up to u32 is answered as asked', () => {
  const { store, ask, ranges } = setUp();
  store.channel(scidOf(500), 1);
  ask(0, 0xffffffff);
  checkReplies(ranges(), 0, 0xffffffff);
  assert.deepEqual(listed(ranges()), [scidOf(500)]);
});

for (const [option, perReply] of [
  [undefined, 8186],
  [1, 4092],
  [2, 4092],
  [3, 2728],
] as const) {
  test(`Q-14 Q-15 option ${option ?? 0}: ${perReply} channels of one block fit, one more needs a second reply`, () => {
    const store = new MemoryStore();
    for (let index = 0; index < perReply; index++) store.channel(scidOf(700, index), 5);
    const full = setUp(store);
    full.ask(600, 200, option);
    assert.equal(full.sent.length, 1);
    assert.ok(full.sent[0]!.length > 65535 - 24);
    store.channel(scidOf(700, perReply), 5);
    const split = setUp(store);
    split.ask(600, 200, option);
    const replies = split.ranges();
    checkReplies(replies, 600, 200);
    assert.deepEqual(
      replies.map((reply) => [reply.first_blocknum, reply.number_of_blocks, reply.short_channel_ids.length]),
      [
        [600, 101, perReply],
        [700, 100, 1],
      ],
    );
    assert.equal(replies[0]!.timestamps?.length, option === 1 || option === 3 ? perReply * 2 : undefined);
    assert.equal(replies[0]!.checksums?.length, option === 2 || option === 3 ? perReply * 2 : undefined);
  });
}

test('Q-14 a block that is split over three replies is listed once', () => {
  const store = new MemoryStore();
  const scids = Array.from({ length: 2728 * 2 + 5 }, (_, index) => scidOf(9, index));
  for (const scid of scids) store.channel(scid, 5);
  const { ask, ranges } = setUp(store);
  ask(0, 1000, 3);
  checkReplies(ranges(), 0, 1000);
  assert.deepEqual(
    ranges().map((reply) => reply.first_blocknum),
    [0, 9, 9],
  );
  assert.deepEqual(listed(ranges()), scids);
});

test('Q-15 Q-16 timestamps and checksums are those of each side, 0 without an update', () => {
  const { store, ask, ranges } = setUp();
  store.announce(scidOf(5));
  store.update(scidOf(5), 1, 77);
  ask(0, 100, 3);
  const [reply] = ranges();
  assert.deepEqual(Array.from(reply!.timestamps!), [0, 77]);
  const checksum = store.graph.updateChecksum(store.graph.channelIndex(5 << 8, 1 << 16), 1);
  assert.ok(checksum !== 0);
  assert.deepEqual(Array.from(reply!.checksums!), [0, checksum]);
});

test('Q-10 Q-12 a range of a chain that is not kept gets one empty reply that is not complete', () => {
  const { store, server, sent } = setUp();
  store.channel(scidOf(5), 1);
  server.onQueryChannelRange({ chain_hash: foreign, first_blocknum: 3, number_of_blocks: 9 });
  const reply = decodeReplyChannelRange(sent[0]!) as ReplyChannelRange;
  assert.equal(sent.length, 1);
  assert.deepEqual(reply.chain_hash, foreign);
  assert.deepEqual([reply.sync_complete, reply.short_channel_ids.length], [false, 0]);
  assert.deepEqual([reply.first_blocknum, reply.number_of_blocks], [3, 9]);
});

test('Q-20 range replies leave out channels that are dying, unverified, or without any update', () => {
  const build = (): MemoryStore => {
    const store = new MemoryStore();
    store.channel(scidOf(1), 5);
    store.channel(scidOf(2), 5);
    store.die(scidOf(2));
    store.channel(scidOf(3), 5, [1, 2], 0n);
    store.announce(scidOf(4));
    return store;
  };
  const strict = setUp(build());
  strict.ask(0, 100);
  assert.deepEqual(listed(strict.ranges()), [scidOf(1)]);
  const lax = setUp(build(), true);
  lax.ask(0, 100);
  assert.deepEqual(listed(lax.ranges()), [scidOf(1), scidOf(3)]);
});

test('Q-11 a second range query while one is open, and one for no blocks, are refused with a warning', () => {
  const { ask, room, meter, sent } = setUp();
  assert.match(ask(0, 0)!, /no blocks/);
  room.left = 0;
  assert.equal(ask(0, 10), undefined);
  assert.match(ask(0, 10)!, /before the previous/);
  assert.equal(meter.get('gossipd_queries_refused_total'), 2);
  assert.equal(sent.length, 0);
});

test('Q-12 Q-13 Q-14 property: replies to any range list exactly its channels, ascending, and cover it', () => {
  const stores = [3, 20_000].map((blocks) => {
    const store = new MemoryStore();
    // Small blocks make splits inside a block, spread ones between blocks.
    const random = (limit: number, seed: number): number => Math.imul(seed, 2654435761) % limit;
    const scids = new Set<bigint>();
    for (let index = 1; index <= 6000; index++) {
      scids.add(scidOf(100 + Math.abs(random(blocks, index)), index % 5000, index % 3));
    }
    for (const scid of scids) store.channel(scid, 9);
    return { store, scids: [...scids].sort((left, right) => (left < right ? -1 : 1)) };
  });
  fc.assert(
    fc.property(
      fc.constantFrom(...stores),
      fc.oneof(fc.integer({ min: 0, max: 30_000 }), fc.constantFrom(0, 0xffffffff, 0x1000000)),
      fc.oneof(fc.integer({ min: 1, max: 40_000 }), fc.constantFrom(1, 0xffffffff)),
      fc.integer({ min: 0, max: 3 }),
      ({ store, scids }, first, count, option) => {
        const { ask, ranges } = setUp(store);
        assert.equal(ask(first, count, option), undefined);
        checkReplies(ranges(), first, count);
        const expected = scids.filter((scid) => scid >> 40n >= first && scid >> 40n < first + count);
        assert.deepEqual(listed(ranges()), expected);
      },
    ),
    { numRuns: 40 },
  );
});

test('Q-07 Q-08 Q-09 a scid query gets announcement and updates by channel, then each node once, then the end', () => {
  const { store, askScids, types, sent, server } = setUp();
  store.channel(scidOf(1), 5, [1, 2]);
  store.channel(scidOf(2), 5, [1, 3]);
  for (const node of [1, 2, 3]) store.node(node, 10);
  assert.equal(askScids([scidOf(1), scidOf(2), scidOf(9)]), undefined);
  assert.deepEqual(types(), [256, 258, 258, 256, 258, 258, 257, 257, 257, 262]);
  const end = decodeReplyShortChannelIdsEnd(sent[9]!);
  assert.ok(!('fault' in end) && end.full_information);
  assert.equal(server.busy, false);
});

test('Q-07 query_flags ask for single messages by bit', () => {
  const store = new MemoryStore();
  store.channel(scidOf(1), 5, [1, 2]);
  store.node(1, 10);
  store.node(2, 10);
  const expected = [
    [1, 256],
    [2, 258],
    [4, 258],
    [8, 257],
    [16, 257],
  ] as const;
  for (const [flag, type] of expected) {
    const { askScids, types, sent } = setUp(store);
    askScids([scidOf(1)], [flag]);
    assert.deepEqual(types(), [type, 262]);
    if (type === 258) assert.equal(sent[0]![111]! & 1, flag === 2 ? 0 : 1);
    if (type === 257) assert.equal(sent[0]![76], flag === 8 ? 1 : 2);
  }
  const none = setUp(store);
  none.askScids([scidOf(1)], [0]);
  assert.deepEqual(none.types(), [262]);
});

test('Q-08 scids that are repeated or out of order are answered once, with their flags joined', () => {
  const { store, askScids, types } = setUp();
  store.channel(scidOf(1), 5);
  store.channel(scidOf(2), 5);
  askScids([scidOf(2), scidOf(1), scidOf(2), scidOf(2)], [1, 1, 1, 2]);
  assert.deepEqual(types(), [256, 256, 258, 262]);
});

test('Q-20 scid queries are not answered with dying or unverified channels', () => {
  const { store, askScids, types } = setUp();
  store.channel(scidOf(1), 5);
  store.die(scidOf(1));
  store.channel(scidOf(2), 5, [1, 2], 0n);
  askScids([scidOf(1), scidOf(2)]);
  assert.deepEqual(types(), [262]);
});

test('Q-10 a scid query for another chain gets only an end without full_information', () => {
  const { store, server, sent } = setUp();
  store.channel(scidOf(1), 5);
  server.onQueryShortChannelIds({ chain_hash: foreign, short_channel_ids: BigUint64Array.of(scidOf(1)) });
  assert.equal(sent.length, 1);
  const end = decodeReplyShortChannelIdsEnd(sent[0]!);
  assert.ok(!('fault' in end) && !end.full_information);
  assert.ok(!('fault' in end) && Buffer.from(end.chain_hash).equals(foreign));
});

test('Q-02 a second scid query while one is open is refused with a warning; both kinds may be open together', () => {
  const { askScids, ask, room, server, types } = setUp();
  room.left = 0;
  assert.equal(askScids([scidOf(1)]), undefined);
  assert.match(askScids([scidOf(1)])!, /before the previous/);
  assert.equal(ask(0, 1), undefined);
  room.left = 10;
  server.pump();
  assert.deepEqual(types(), [264, 262]);
  assert.equal(askScids([scidOf(1)]), undefined);
});

test('Q-09 under back-pressure one message goes out for each permission, and none is lost', () => {
  const { store, askScids, ask, room, server, types, sent } = setUp();
  for (let block = 1; block <= 20; block++) store.channel(scidOf(block), 5, [block, block + 1]);
  for (let node = 1; node <= 21; node++) store.node(node, 10);
  room.left = 0;
  ask(0, 100);
  askScids(Array.from({ length: 20 }, (_, index) => scidOf(index + 1)));
  for (let step = 1; server.busy; step++) {
    room.left = 1;
    server.pump();
    assert.equal(sent.length, step);
  }
  assert.equal(sent.length, 1 + 20 * 3 + 21 + 1);
  assert.equal(types().at(-1), 262);
});

test('a channel that leaves while its answer waits is left out, and close forgets the query', () => {
  const { store, askScids, room, server, types } = setUp();
  store.channel(scidOf(1), 5);
  store.channel(scidOf(2), 5);
  room.left = 1;
  askScids([scidOf(1), scidOf(2)]);
  store.die(scidOf(1));
  room.left = 2;
  server.pump();
  assert.deepEqual(types(), [256, 256, 258]);
  server.close();
  room.left = 9;
  server.pump();
  assert.equal(types().length, 3);
  assert.equal(server.busy, false);
});

test('a record that cannot be read is left out and counted', () => {
  const { store, askScids, types, meter } = setUp();
  store.channel(scidOf(1), 5);
  store.delete(store.graph.channelOffset(store.graph.channelIndex(1 << 8, 1 << 16)));
  askScids([scidOf(1)]);
  assert.deepEqual(types(), [258, 258, 262]);
  assert.equal(meter.get('gossipd_query_missing_records_total'), 1);
});

test('Q-10 full_information is 0 until our own map is complete, and the answer is the same', () => {
  const store = new MemoryStore();
  store.channel(scidOf(1), 5);
  const state = { isUpToDate: false };
  const { askScids, sent } = setUp(store, false, { isUpToDate: () => state.isUpToDate });
  const full = (): boolean[] =>
    sent.flatMap((raw) => {
      const end = decodeReplyShortChannelIdsEnd(raw);
      return 'fault' in end ? [] : [end.full_information];
    });
  askScids([scidOf(1)]);
  assert.equal(sent.length, 4);
  state.isUpToDate = true;
  askScids([scidOf(1)]);
  assert.deepEqual(full(), [false, true]);
});
