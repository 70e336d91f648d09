import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NETWORKS } from '../base/chain_hash.ts';
import { silentLog } from '../base/log.ts';
import { MemoryMeter } from '../base/meter.ts';
import { ManualClock } from '../base/time.ts';
import { MemoryStore, scidOf } from './memory_store.test.support.ts';
import { MAX_KEPT_BACK, RECORDS_PER_TURN, RelayStream } from './relay_stream.ts';

const network = NETWORKS.regtest;
const chain_hash = network.chainHashBytes;
const NOW = 1_700_000_000;

const setUp = ({ relayUnverified = false, staggerMs = 0 } = {}) => {
  const store = new MemoryStore();
  const clock = new ManualClock(NOW * 1000);
  const sent: Uint8Array[] = [];
  const meter = new MemoryMeter();
  const room = { left: Number.POSITIVE_INFINITY };
  const echoes = new Set<number>();
  const stream = new RelayStream({
    graph: store.graph,
    store,
    network,
    send: (raw) => {
      sent.push(raw);
      room.left--;
    },
    canSend: () => room.left > 0,
    clock,
    log: silentLog,
    meter,
    isEcho: (offset) => echoes.has(offset),
    flushIntervalMs: 60_000,
    staggerMs,
    relayUnverified,
  });
  const filter = (first_timestamp: number, timestamp_range = 0xffffffff) =>
    stream.onFilter({ chain_hash, first_timestamp, timestamp_range });
  /** Types sent since the last call. */
  const taken = (): number[] => sent.splice(0).map((raw) => (raw[0]! << 8) | raw[1]!);
  return { store, clock, sent, meter, room, echoes, stream, filter, taken };
};

test('Q-22 nothing is sent before the filter', () => {
  const { store, clock, stream, taken } = setUp();
  store.channel(scidOf(1), NOW);
  stream.pump();
  clock.advance(200_000);
  assert.deepEqual(taken(), []);
  assert.equal(store.opened, 0);
});

test('Q-18 Q-21 filter 0 sends the whole store at once, in file order', () => {
  const { store, filter, taken } = setUp();
  store.channel(scidOf(1), NOW - 9e6);
  store.node(1, NOW - 9e6);
  store.channel(scidOf(2), NOW);
  assert.equal(filter(0), undefined);
  assert.deepEqual(taken(), [256, 258, 258, 257, 256, 258, 258]);
});

test('Q-18 the window takes first <= timestamp < first + range', () => {
  const { store, filter, taken, sent } = setUp();
  for (const [index, timestamp] of [99, 100, 109, 110].entries()) {
    store.announce(scidOf(index + 1), { nodes: [index * 2, index * 2 + 1] });
    store.update(scidOf(index + 1), 0, timestamp);
    store.node(index * 2, timestamp);
  }
  filter(100, 10);
  assert.deepEqual(
    sent.filter((raw) => raw[1] === 2).map((raw) => new DataView(raw.buffer).getUint32(106)),
    [100, 109],
  );
  assert.deepEqual(taken(), [256, 258, 257, 256, 258, 257]);
});

test('Q-19 an announcement counts with the time of any update of its channel', () => {
  const { store, filter, taken } = setUp();
  store.announce(scidOf(1));
  store.update(scidOf(1), 0, 50);
  store.update(scidOf(1), 1, NOW - 10);
  filter(NOW - 600);
  assert.deepEqual(taken(), [256, 258]);
});

test('Q-19 Q-21 an announcement without update waits for the first one, and goes out before it', () => {
  const { store, filter, taken, clock, stream } = setUp();
  store.announce(scidOf(1));
  filter(0);
  assert.deepEqual(taken(), []);
  assert.equal(stream.keptBack, 1);
  store.update(scidOf(1), 0, NOW);
  store.update(scidOf(1), 1, NOW);
  clock.advance(60_000);
  assert.deepEqual(taken(), [256, 258, 258]);
  assert.equal(stream.keptBack, 0);
});

test('Q-19 a first update outside the window does not release the announcement, the next one inside does', () => {
  const { store, filter, taken, clock } = setUp();
  store.announce(scidOf(1));
  filter(NOW - 100);
  store.update(scidOf(1), 0, NOW - 500);
  clock.advance(60_000);
  assert.deepEqual(taken(), []);
  store.update(scidOf(1), 1, NOW);
  clock.advance(60_000);
  assert.deepEqual(taken(), [256, 258]);
});

test('Q-21 a node announcement waits until a channel of the node was announced', () => {
  const { store, filter, taken, clock } = setUp();
  store.announce(scidOf(1), { nodes: [7, 8] });
  store.node(7, NOW);
  filter(0);
  assert.deepEqual(taken(), []);
  store.update(scidOf(1), 0, NOW);
  clock.advance(60_000);
  assert.deepEqual(taken(), [256, 258, 257]);
});

test('Q-21 a node announcement between two of its channels waits for the one that is announced first', () => {
  const { store, filter, taken } = setUp();
  store.announce(scidOf(1), { nodes: [7, 8] });
  store.node(7, NOW);
  store.channel(scidOf(2), NOW, [7, 9]);
  filter(0);
  assert.deepEqual(taken(), [256, 257, 258, 258]);
});

test('Q-18 first 0xFFFFFFFF or range 0 asks for nothing, and ends what was being sent', () => {
  const { store, filter, taken, clock, stream, room } = setUp();
  store.channel(scidOf(1), NOW);
  filter(0xffffffff);
  filter(0, 0);
  clock.advance(120_000);
  assert.deepEqual(taken(), []);
  room.left = 1;
  filter(0);
  assert.deepEqual(taken(), [256]);
  filter(0xffffffff, 0);
  room.left = 9;
  stream.pump();
  clock.advance(120_000);
  assert.deepEqual(taken(), []);
});

test('R-02 live records wait for the flush of every 60 s, staggered by peer', () => {
  const { store, filter, taken, clock } = setUp({ staggerMs: 20_000 });
  filter(0);
  store.channel(scidOf(1), NOW);
  clock.advance(79_999);
  assert.deepEqual(taken(), []);
  clock.advance(1);
  assert.deepEqual(taken(), [256, 258, 258]);
  store.update(scidOf(1), 0, NOW + 1);
  clock.advance(59_999);
  assert.deepEqual(taken(), []);
  clock.advance(1);
  assert.deepEqual(taken(), [258]);
});

test('R-02 of updates that follow each other before a flush only the latest is sent', () => {
  const { store, filter, sent, clock } = setUp();
  filter(0);
  store.announce(scidOf(1));
  for (let step = 1; step <= 5; step++) store.update(scidOf(1), 0, NOW + step);
  clock.advance(60_000);
  assert.equal(sent.length, 2);
  assert.equal(new DataView(sent[1]!.buffer).getUint32(106), NOW + 5);
});

test('a later filter into the past starts at the next flush, so that filters do not buy walks through the store', () => {
  const { store, filter, taken, clock } = setUp();
  store.channel(scidOf(1), NOW);
  filter(NOW - 600);
  assert.deepEqual(taken(), [256, 258, 258]);
  for (let index = 0; index < 50; index++) filter(0);
  assert.deepEqual(taken(), []);
  assert.equal(store.opened, 1);
  clock.advance(60_000);
  assert.deepEqual(taken(), [256, 258, 258]);
  assert.equal(store.opened, 2);
});

test('Q-18 a window that starts in the future follows the end of the store', () => {
  const { store, filter, taken, clock } = setUp();
  store.channel(scidOf(1), NOW);
  filter(NOW + 30);
  store.channel(scidOf(2), NOW + 40);
  clock.advance(60_000);
  assert.deepEqual(taken(), [256, 258, 258]);
});

test('R-03 a filter for another chain is refused with a warning and asks for nothing', () => {
  const { store, stream, taken, meter } = setUp();
  store.channel(scidOf(1), NOW);
  const text = stream.onFilter({
    chain_hash: NETWORKS.bitcoin.chainHashBytes,
    first_timestamp: 0,
    timestamp_range: 0xffffffff,
  });
  assert.match(text!, /chain/);
  assert.deepEqual(taken(), []);
  assert.equal(meter.get('gossipd_filters_refused_total'), 1);
});

test('Q-20 dying channels are not relayed, nor unverified ones unless told so', () => {
  for (const relayUnverified of [false, true]) {
    const { store, filter, taken } = setUp({ relayUnverified });
    store.channel(scidOf(1), NOW, [1, 2], 0n);
    store.node(1, NOW);
    store.channel(scidOf(2), NOW, [3, 4]);
    store.die(scidOf(2));
    store.node(3, NOW);
    filter(0);
    assert.deepEqual(taken(), relayUnverified ? [256, 258, 258, 257] : []);
  }
});

test('what the peer itself sent is not echoed', () => {
  const { store, filter, taken, echoes, clock } = setUp();
  echoes.add(store.announce(scidOf(1)));
  echoes.add(store.update(scidOf(1), 0, NOW));
  store.update(scidOf(1), 1, NOW);
  filter(0);
  assert.deepEqual(taken(), [258]);
  echoes.add(store.announce(scidOf(2)));
  clock.advance(60_000);
  store.update(scidOf(2), 0, NOW);
  clock.advance(60_000);
  assert.deepEqual(taken(), [258]);
});

test('back-pressure: one message for each permission, none lost, none twice', () => {
  const { store, filter, room, sent, stream, taken, clock } = setUp();
  for (let block = 1; block <= 10; block++) store.channel(scidOf(block), NOW);
  room.left = 0;
  filter(0);
  for (let step = 1; step <= 30; step++) {
    room.left = 1;
    stream.pump();
    assert.equal(sent.length, step);
  }
  room.left = 1;
  stream.pump();
  clock.advance(300_000);
  assert.equal(taken().length, 30);
});

test('a long walk gives other work its turn', () => {
  const { store, filter, sent, clock } = setUp();
  // One announcement, its amount and two updates make four records.
  const channels = Math.ceil((RECORDS_PER_TURN * 1.5) / 4);
  for (let block = 1; block <= channels; block++) store.channel(scidOf(block), NOW);
  filter(0);
  assert.equal(sent.length, (RECORDS_PER_TURN * 3) / 4);
  clock.advance(0);
  assert.equal(sent.length, channels * 3);
});

test('kept back announcements are bounded: the oldest is dropped and counted', () => {
  const { store, filter, meter, stream, taken, clock } = setUp();
  for (let block = 0; block <= MAX_KEPT_BACK; block++) store.announce(scidOf(block));
  filter(0);
  clock.advance(0);
  clock.advance(0);
  clock.advance(0);
  clock.advance(0);
  assert.equal(stream.keptBack, MAX_KEPT_BACK);
  assert.equal(meter.get('gossipd_relay_kept_back_dropped_total', 'channel_announcement'), 1);
  store.update(scidOf(0), 0, NOW);
  store.update(scidOf(1), 0, NOW);
  clock.advance(60_000);
  assert.deepEqual(taken(), [258, 256, 258]);
});

test('close ends timers and answers no more filters', () => {
  const { store, filter, stream, clock, taken } = setUp();
  filter(0);
  stream.close();
  store.channel(scidOf(1), NOW);
  assert.equal(clock.pending, 0);
  filter(0);
  clock.advance(120_000);
  assert.deepEqual(taken(), []);
});
