import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SyncPeerPort } from './ports.ts';
import { NOW, PLAIN, seekerHouse } from './seeker_house.test.support.ts';
import { LIVE_SECONDS, MAX_STREAMING_PEERS, ROTATE_MS } from './streaming.ts';

const NOTHING = 0xffffffff;

test('(Q-17) the least useful streaming peer makes room for another every twenty minutes, with a small overlap', () => {
  const gains = new Map<string, number>();
  const house = seekerHouse({ contribution: ({ name }: SyncPeerPort) => gains.get(name) ?? 0 });
  const peers = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => house.connect(name));
  peers[0]!.list([]);
  assert.deepEqual(
    peers.map((peer) => peer.filters()),
    [...Array<number[]>(MAX_STREAMING_PEERS).fill([NOW - LIVE_SECONDS]), [NOTHING]],
  );
  for (const name of ['a', 'b', 'd', 'e']) gains.set(name, 10);
  house.run(ROTATE_MS / 1000);
  const now = NOW + ROTATE_MS / 1000;
  assert.deepEqual(
    peers.map((peer) => peer.filters()),
    [[], [], [NOTHING], [], [], [now - LIVE_SECONDS]],
  );
  assert.equal(house.seeker.status().peers.filter(({ streaming }) => streaming).length, MAX_STREAMING_PEERS);
  // What counts is the last term, not what was brought before it.
  for (const name of ['b', 'd', 'e', 'f']) gains.set(name, (gains.get(name) ?? 0) + 5);
  house.run(ROTATE_MS / 1000);
  assert.deepEqual(peers[0]!.filters(), [NOTHING]);
  assert.equal(peers[2]!.filters().length, 1);
  assert.equal(house.meter.get('gossipd_streaming_rotations_total'), 2);
});

test('before the first sync is complete, and without anybody else, nobody is rotated', () => {
  const early = seekerHouse();
  const six = Array.from({ length: 6 }, (_, index) => early.connect(`${index}`));
  for (const peer of six) peer.filters();
  early.run(ROTATE_MS / 1000 + 1);
  // All are deaf: they are asked for a dump one after the other, and told to stop, but nobody begins to stream.
  assert.deepEqual(
    early.seeker.status().peers.map(({ streaming }) => streaming),
    [true, true, true, true, true, false],
  );
  const few = seekerHouse();
  const alone = few.connect('alone');
  alone.list([]);
  alone.filters();
  few.run(ROTATE_MS / 1000 + 1);
  assert.deepEqual(alone.filters(), []);
});

test('a peer that we chose takes the place of one that came by itself', () => {
  const house = seekerHouse();
  const guests = Array.from({ length: MAX_STREAMING_PEERS }, (_, index) => house.connect(`guest ${index}`));
  for (const guest of guests) guest.filters();
  const chosen = house.connect('chosen', PLAIN, true);
  assert.deepEqual([chosen.filters(), guests[0]!.filters()], [[NOW - LIVE_SECONDS], [NOTHING]]);
  // And it is not given up for a guest.
  const other = house.connect('other');
  assert.deepEqual(other.filters(), [NOTHING]);
  chosen.list([]);
  house.run(ROTATE_MS / 1000);
  assert.deepEqual(chosen.filters(), []);
});

test('while nobody streams nothing is lost: the next peer is asked for all of that time', () => {
  const house = seekerHouse();
  const first = house.connect('first');
  first.list([]);
  house.run(100);
  first.leave();
  house.run(5_000);
  const next = house.connect('next');
  assert.deepEqual(next.filters(), [NOW + 100 - LIVE_SECONDS]);
  house.run(10);
  const third = house.connect('third');
  assert.deepEqual(third.filters(), [NOW + 5_110 - LIVE_SECONDS]);
});
