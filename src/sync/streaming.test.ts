import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SyncPeerPort } from './ports.ts';
import { NOW, PLAIN, seekerHouse } from './seeker_house.test.support.ts';
import {
  FAR_SECONDS,
  GUEST_PLACES,
  LIST_MS,
  LIVE_SECONDS,
  MAX_STREAMING_PEERS,
  ROTATE_MS,
} from './streaming.ts';

const NOTHING = 0xffffffff;

const ROOM = MAX_STREAMING_PEERS;
type House = ReturnType<typeof seekerHouse>;

const connectAll = (house: House, count: number, kind: string, outbound = false) =>
  Array.from({ length: count }, (_, index) => house.connect(`${kind} ${index}`, PLAIN, outbound));

const streamingNames = ({ seeker }: House): string[] =>
  seeker
    .status()
    .peers.filter(({ streaming }) => streaming)
    .map(({ name }) => name);

test('(Q-17) the least useful streaming peer makes room for another every twenty minutes, with a small overlap', () => {
  const gains = new Map<string, number>();
  const house = seekerHouse({ contribution: ({ name }: SyncPeerPort) => gains.get(name) ?? 0 });
  const peers = connectAll(house, ROOM + 1, 'guest');
  for (const peer of peers) peer.list([]);
  assert.deepEqual(
    peers.map((peer) => peer.filters()),
    [...Array<number[]>(ROOM).fill([NOW - LIVE_SECONDS]), [NOTHING]],
  );
  house.run(1);
  assert.deepEqual(peers[0]!.filters(), [NOW + 1 - FAR_SECONDS]);
  for (const { port } of peers) if (port !== peers[2]!.port) gains.set(port.name, 10);
  house.run(ROTATE_MS / 1000 - 1);
  const now = NOW + ROTATE_MS / 1000;
  assert.deepEqual(
    peers.map((peer) => peer.filters()),
    [[], [], [NOTHING], ...Array<number[]>(ROOM - 3).fill([]), [now - LIVE_SECONDS]],
  );
  assert.equal(streamingNames(house).length, ROOM);
  // What counts is the last term, not what was brought before it.
  for (const { port } of peers.slice(1)) gains.set(port.name, (gains.get(port.name) ?? 0) + 5);
  house.run(ROTATE_MS / 1000);
  assert.deepEqual(peers[0]!.filters(), [NOTHING]);
  assert.equal(peers[2]!.filters().length, 1);
  assert.equal(house.meter.get('gossipd_streaming_rotations_total'), 2);
});

test('before the first sync is complete, and without anybody else, nobody is rotated', () => {
  const early = seekerHouse();
  for (const peer of connectAll(early, ROOM + 1, 'early')) peer.filters();
  early.run(ROTATE_MS / 1000 + 1);
  // All are deaf: they are asked for a dump one after the other, and told to stop, but nobody else begins to stream.
  assert.equal(early.meter.get('gossipd_streaming_rotations_total'), 0);
  assert.equal(streamingNames(early).length, ROOM);
  const few = seekerHouse();
  const alone = few.connect('alone');
  alone.list([]);
  few.run(1);
  alone.filters();
  few.run(ROTATE_MS / 1000 + 1);
  assert.deepEqual(alone.filters(), []);
});

test('a peer that we chose takes the place of one that came by itself, but for three', () => {
  const house = seekerHouse();
  const guests = connectAll(house, ROOM, 'guest');
  for (const guest of guests) guest.filters();
  const chosen = connectAll(house, ROOM, 'chosen', true);
  assert.deepEqual([chosen[0]!.filters(), guests[0]!.filters()], [[NOW - LIVE_SECONDS], [NOTHING]]);
  const names = (kind: string) => streamingNames(house).filter((name) => name.startsWith(kind));
  assert.deepEqual([names('guest').length, names('chosen').length], [GUEST_PLACES, ROOM - GUEST_PLACES]);
  // Whoever leaves is replaced by one of the same kind.
  guests.at(-1)!.leave();
  chosen[0]!.leave();
  assert.deepEqual([names('guest').length, names('chosen').length], [GUEST_PLACES, ROOM - GUEST_PLACES]);
});

test('guests that come when all places are taken by peers that we chose get three of them', () => {
  const house = seekerHouse();
  connectAll(house, ROOM, 'chosen', true);
  const guests = connectAll(house, GUEST_PLACES + 1, 'guest');
  assert.deepEqual(
    guests.map((guest) => guest.filters()),
    [...Array<number[]>(GUEST_PLACES).fill([NOW - LIVE_SECONDS]), [NOTHING]],
  );
  assert.equal(streamingNames(house).length, ROOM);
  // Without guests, their places are for those whom we chose.
  for (const guest of guests) guest.leave();
  assert.deepEqual(streamingNames(house).length, ROOM);
});

test('a peer that answers no query and has never sent anything makes room as soon as there is somebody else', () => {
  const house = seekerHouse();
  const mute = house.connect('mute', PLAIN, true);
  house.run(120);
  assert.equal(mute.status()?.streaming, true);
  const others = connectAll(house, ROOM, 'other', true);
  for (const other of others) other.list([]);
  house.run(1);
  assert.equal(mute.status()?.streaming, false);
  assert.deepEqual(streamingNames(house).length, ROOM);
  assert.equal(house.meter.get('gossipd_streaming_mute_total'), 1);
});

test('a peer that answers no query but has sent gossip keeps its place', () => {
  const house = seekerHouse();
  const silent = house.connect('silent', PLAIN, true);
  house.seeker.onGossip(silent.id);
  house.run(120);
  for (const other of connectAll(house, ROOM, 'other', true)) other.list([]);
  house.run(1);
  assert.equal(silent.status()?.streaming, true);
});

test('once synced one peer is asked for two hours, for the sake of clocks that are wrong, and once only', () => {
  const house = seekerHouse();
  const peers = connectAll(house, 3, 'chosen', true);
  for (const peer of peers) peer.filters();
  house.run(1);
  assert.deepEqual(
    peers.flatMap((peer) => peer.filters()),
    [],
  );
  for (const peer of peers) peer.list([]);
  house.run(100);
  assert.deepEqual(
    peers.map((peer) => peer.filters()),
    [[NOW + 2 - FAR_SECONDS], [], []],
  );
});

test('those who do not stream are asked for their lists in turn, each at most once an hour', () => {
  const house = seekerHouse();
  const peers = connectAll(house, ROOM + 3, 'chosen', true);
  const askedAt = new Map<string, number>();
  const turns: number[] = [];
  for (let at = 0; at < 7_500; at++) {
    const quiet = new Set(peers.filter((peer) => peer.status()?.streaming === false));
    house.run(1);
    for (const peer of peers) {
      if (peer.range() === undefined) continue;
      const before = askedAt.get(peer.port.name);
      assert.ok(before === undefined || at - before >= 3_590, `${peer.port.name}: ${before}, ${at}`);
      if (at > 3_600 && quiet.has(peer)) turns.push(at);
      askedAt.set(peer.port.name, at);
      peer.list([]);
    }
  }
  assert.ok(turns.length >= 2, `${turns}`);
  for (const [index, at] of turns.slice(1).entries()) assert.ok(at - turns[index]! >= LIST_MS / 1000);
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
