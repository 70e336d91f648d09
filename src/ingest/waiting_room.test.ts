import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/time.ts';
import { HELD_EXPIRY_MS, WaitingRoom } from './waiting_room.ts';

const open = (maxEntries = 100, maxBytes = 10_000) => {
  const clock = new ManualClock();
  const left: string[] = [];
  const room = new WaitingRoom({
    clock,
    maxEntries,
    maxBytes,
    left: (held, why) => left.push(`${held.key} ${why}`),
  });
  return { clock, left, room };
};

const message = (content: number, bytes = 10): Uint8Array => new Uint8Array(bytes).fill(content);

test('takes out what waits under a key, newest first, and nothing else', () => {
  const { room, left } = open();
  assert.equal(room.put('a', message(1), 1, 10, false), 'held');
  assert.equal(room.put('a', message(2), 2, 20, false), 'held');
  assert.equal(room.put('b', message(3), 1, 10, false), 'held');
  assert.deepEqual(
    room.take('a').map((held) => held.timestamp),
    [20, 10],
  );
  assert.deepEqual(room.take('a'), []);
  assert.equal(room.size, 1);
  assert.equal(room.bytes, 10);
  assert.deepEqual(left, []);
});

test('one message per key and origin: the newer one stays', () => {
  const { room, left } = open();
  room.put('a', message(1), 1, 10, false);
  assert.equal(room.put('a', message(1), 2, 10, false), 'duplicate');
  assert.equal(room.put('a', message(2), 1, 9, false), 'older');
  assert.equal(room.put('a', message(3), 1, 11, false), 'held');
  assert.deepEqual(left, ['a superseded']);
  assert.equal(room.size, 1);
});

test('another origin cannot displace, and the fourth finds no place under a key', () => {
  const { room } = open();
  for (const origin of [1, 2, 3]) assert.equal(room.put('a', message(origin), origin, origin, false), 'held');
  assert.equal(room.put('a', message(4), 4, 1000, false), 'full');
  assert.equal(room.size, 3);
});

test('a verified message displaces older ones of its key and is not displaced', () => {
  const { room, left } = open();
  room.put('a', message(1), 1, 10, false);
  room.put('a', message(2), 2, 30, false);
  assert.equal(room.put('a', message(3), 3, 20, true), 'held');
  assert.deepEqual(left, ['a superseded']);
  assert.equal(room.put('a', message(4), 4, 15, false), 'older');
  assert.equal(
    room.put('a', message(5), 3, 40, false),
    'held',
    'not by an unverified one of the same origin either',
  );
  assert.deepEqual(
    room.take('a').map((held) => [held.timestamp, held.isVerified]),
    [
      [40, false],
      [30, false],
      [20, true],
    ],
  );
});

test('a copy whose signature is known makes the one inside verified', () => {
  const { room } = open();
  room.put('a', message(1), 1, 10, false);
  assert.equal(room.put('a', message(1), 2, 10, true), 'duplicate');
  assert.equal(room.take('a')[0]?.isVerified, true);
});

test('the oldest leaves when the room is full of messages, or of bytes', () => {
  const { room, left } = open(4, 1000);
  for (const origin of [1, 2, 3, 4, 5]) room.put(`k${origin}`, message(origin), origin, 1, false);
  assert.deepEqual(left, ['k1 evicted']);
  assert.equal(room.size, 4);
  for (const origin of [11, 12, 13, 14]) room.put(`k${origin}`, message(origin, 250), origin, 1, false);
  assert.equal(room.bytes, 1000);
  assert.deepEqual(left.slice(1), ['k2 evicted', 'k3 evicted', 'k4 evicted', 'k5 evicted']);
});

test('an origin has a quarter of the messages and a quarter of the bytes; ourselves have all', () => {
  const { room } = open(8, 1000);
  assert.equal(room.put('a', message(1), 1, 1, false), 'held');
  assert.equal(room.put('b', message(1), 1, 1, false), 'held');
  assert.equal(room.put('c', message(1), 1, 1, false), 'full');
  assert.equal(room.put('d', message(1, 150), 2, 1, false), 'held');
  assert.equal(room.put('e', message(1, 150), 2, 1, false), 'full');
  for (const key of ['f', 'g', 'h', 'i']) assert.equal(room.put(key, message(1), 0, 1, false), 'held');
  room.take('a');
  assert.equal(room.put('c', message(1), 1, 1, false), 'held', 'a place given back can be used again');
});

test('everybody leaves after ten minutes, each in their own time', () => {
  const { room, left, clock } = open();
  room.put('a', message(1), 1, 1, false);
  clock.advance(1000);
  room.put('b', message(1), 1, 1, false);
  clock.advance(HELD_EXPIRY_MS - 1000);
  assert.deepEqual(left, ['a expired']);
  clock.advance(1000);
  assert.deepEqual(left, ['a expired', 'b expired']);
  assert.equal(clock.pending, 0);
  room.put('c', message(1), 1, 1, false);
  room.close();
  assert.equal(clock.pending, 0);
});
