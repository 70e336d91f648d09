import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReplyChannelRange } from '../wire/reply_channel_range.ts';
import { MemoryStore, scidOf } from './memory_store.test.support.ts';
import { MAX_TRIES, WantedPool } from './wanted_pool.ts';

const NOW = 1_700_000_000;
const [ALL, WITHOUT_NODES, UPDATES, NODES] = [31, 7, 6, 24];

const setUp = () => {
  const store = new MemoryStore();
  const pool = new WantedPool({ graph: store.graph, salt: 3 });
  const claim = (holder: number, block: number, { time = 0, withNodes = false } = {}) => {
    const reply: ReplyChannelRange = {
      ...{ chain_hash: new Uint8Array(32), first_blocknum: 0, number_of_blocks: 9, sync_complete: true },
      short_channel_ids: BigUint64Array.of(scidOf(block)),
      timestamps: Uint32Array.of(time, time),
    };
    return pool.claim(holder, reply, { withNodes, nowSeconds: NOW });
  };
  /** What is asked of the holder now: its slots and flags. */
  const pick = (holder: number): [number[], number[]] => {
    const slots = pool.pick(holder, 10);
    return [slots, Array.from(pool.flagsOf(slots))];
  };
  const flags = (holder: number): number[] => pick(holder)[1];
  return { store, pool, claim, pick, flags };
};

test('an update of a known channel is left to a holder that knows flags, and taken from a plain one when there is no other', () => {
  const { store, pool, claim, flags } = setUp();
  store.channel(scidOf(1), NOW - 9);
  const [plain, extended] = [pool.takeHolder(false), pool.takeHolder(true)];
  assert.deepEqual(claim(plain, 1, { time: NOW }), { fits: true, unknown: 0, outdated: 1 });
  claim(extended, 1, { time: NOW });
  assert.deepEqual([flags(plain), flags(extended)], [[], [UPDATES]]);
  store.channel(scidOf(2), NOW - 9);
  claim(plain, 2, { time: NOW });
  assert.deepEqual(flags(plain), [UPDATES]);
});

test('an unknown channel is asked for without its nodes of who knows flags, whole of others', () => {
  const { pool, claim, flags } = setUp();
  const [plain, extended] = [pool.takeHolder(false), pool.takeHolder(true)];
  assert.deepEqual(claim(plain, 1), { fits: true, unknown: 1, outdated: 0 });
  claim(extended, 2);
  assert.deepEqual([flags(plain), flags(extended)], [[ALL], [WITHOUT_NODES]]);
});

test('a channel that another list names while it is being fetched still goes on with its nodes', () => {
  const { store, pool, claim, pick, flags } = setUp();
  const [one, two] = [pool.takeHolder(true), pool.takeHolder(true)];
  claim(one, 1);
  const [slots] = pick(one);
  store.channel(scidOf(1), NOW);
  // It is known by now, and its nodes are not.
  claim(two, 1, { withNodes: true });
  pool.markArriving(slots);
  assert.deepEqual(pool.settle(slots), []);
  assert.deepEqual(flags(one), [NODES]);
  assert.equal(pool.resolved, 1);
});

test('nodes are asked for once, by whichever channel comes first; one that came meanwhile is not', () => {
  const { store, pool, claim, pick, flags } = setUp();
  const holder = pool.takeHolder(true);
  for (const block of [1, 2, 3]) claim(holder, block);
  const [slots] = pick(holder);
  store.channel(scidOf(1), NOW, [1, 2]);
  store.channel(scidOf(2), NOW, [2, 1]);
  store.channel(scidOf(3), NOW, [1, 3]);
  store.node(3, NOW);
  pool.markArriving(slots);
  assert.deepEqual(pool.settle(slots), []);
  assert.deepEqual([flags(holder), pool.open], [[NODES], 1]);
});

test('who goes on with a list has what it named, was asked for nothing, and gets what was given up', () => {
  const { pool, claim, pick } = setUp();
  const holder = pool.takeHolder(false);
  claim(holder, 1);
  const [slots] = pick(holder);
  pool.markArriving(slots);
  assert.equal(pool.notDelivered(slots, holder), 1);
  assert.deepEqual([pool.givenUp, pick(holder)[0]], [1, []]);
  pool.handOver(holder, true);
  assert.deepEqual([pool.givenUp, pick(holder)[1]], [0, [WITHOUT_NODES]]);
  for (let tries = 1; tries < MAX_TRIES; tries++) {
    pool.markArriving(slots);
    pool.notDelivered(slots, holder);
    pool.handOver(holder, true);
    pick(holder);
  }
  assert.equal(pool.givenUp, 1, 'but not without end');
});
