import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeU16 } from '../base/bytes.ts';
import { ManualClock } from '../base/time.ts';
import { encodeError } from '../wire/error.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { encodePong } from '../wire/pong.ts';
import { encodeWarning } from '../wire/warning.ts';
import { MAX_CONNECTION_BYTES, RESERVED_BYTES } from './connection_memory.ts';
import { MAX_PINGS_OUT, PONG_BYTES, PONGS_TOLERATED, PongWatch } from './pong_watch.ts';
import { Rig } from './scripted_peer.test.support.ts';

const message = (type: number, length = 2): Uint8Array => {
  const raw = new Uint8Array(length);
  writeU16(raw, 0, type);
  return raw;
};
const pong = (byteslen: number): Uint8Array => encodePong({ byteslen });
const text = (words: string): Uint8Array => new TextEncoder().encode(words);

test('errors and warnings about channels that we do not have are survived, and a line is kept (B1-23)', () => {
  const rig = Rig.open({ outbound: true });
  const channel_id = new Uint8Array(32).fill(7);
  rig.peer.send(
    encodeWarning({ channel_id, data: text('no such channel') }),
    encodeError({ channel_id, data: text('channel closed') }),
  );
  rig.run();
  assert.equal(rig.because, undefined);
  assert.equal(rig.connection.phase, 'open');
  assert.deepEqual(
    rig.lines.map(({ level, message: told, fields }) => [level, told, fields?.['text']]),
    [
      ['info', 'warning from peer', 'no such channel'],
      ['info', 'error from peer', 'channel closed'],
    ],
  );
});

test('unexpected_pong: one of another size, or that nobody asked for, is let pass; many are not (B1-27)', () => {
  const rig = Rig.open({ limits: { pingIntervalMs: 1_000 } });
  for (let each = 1; each < PONGS_TOLERATED; each++) rig.peer.send(pong(each * 100));
  rig.run();
  assert.equal(rig.because, undefined);
  rig.peer.send(pong(5));
  rig.run();
  assert.equal(rig.because, 'unexpected_pong');
  assert.equal(rig.meter.get('gossipd_strange_pongs_total'), PONGS_TOLERATED);
});

test('pongs that answer our pings are never strange, and their time is the latency (B1-27)', () => {
  const rig = Rig.open({ limits: { pingIntervalMs: 1_000 } });
  assert.equal(rig.connection.latencyMs, Number.POSITIVE_INFINITY);
  let answered = 0;
  for (let step = 0; step < 400; step++) {
    rig.clock.advance(100);
    rig.run();
    // Each ping is answered at the next step.
    const asked = rig.peer.of(MESSAGE_TYPE.ping).length;
    rig.clock.advance(40);
    for (; answered < asked; answered++) rig.peer.send(pong(PONG_BYTES));
    rig.run();
  }
  assert.ok(answered > PONGS_TOLERATED);
  assert.equal(rig.because, undefined);
  assert.ok(rig.connection.latencyMs >= 40 && rig.connection.latencyMs <= 140, `${rig.connection.latencyMs}`);
});

test(`bound: ${MAX_PINGS_OUT} pings without an answer are remembered`, () => {
  const clock = new ManualClock();
  const watch = new PongWatch(clock);
  for (let each = 0; each < MAX_PINGS_OUT + 3; each++) watch.sent();
  const outcomes = Array.from({ length: MAX_PINGS_OUT + 1 }, () => watch.received(PONG_BYTES));
  assert.deepEqual(outcomes, [...Array.from({ length: MAX_PINGS_OUT }, () => 'answer'), 'strange']);
});

test('strange pongs are forgiven with time: ten an hour', () => {
  const clock = new ManualClock();
  const watch = new PongWatch(clock);
  for (let each = 0; each < 100; each++) {
    clock.advance(400_000);
    assert.equal(watch.received(7), 'strange');
  }
});

test('peer_silent: a frame whose body drips for more than two ping intervals is closed, whole messages before it or not', () => {
  const rig = Rig.open({ limits: { pingIntervalMs: 1_000 } });
  rig.peer.send(message(32769));
  rig.run();
  // The length is there at once, the body one byte at a time.
  rig.peer.send(message(32769, 60_000));
  rig.peer.socket.deliver(18);
  let drips = 0;
  for (; rig.because === undefined && drips < 1_000; drips++) {
    rig.peer.socket.deliver(1);
    rig.clock.advance(10);
  }
  assert.equal(rig.because, 'peer_silent');
  assert.ok(drips >= 200 && drips <= 410, `${drips}: two intervals, seen at the end of the third`);
});

test('a peer that says nothing but pings is fine', () => {
  const rig = Rig.open({ limits: { pingIntervalMs: 1_000 } });
  for (let second = 0; second < 200; second++) {
    rig.peer.send(Uint8Array.of(0, 18, 0, 1, 0, 0));
    rig.pass(1_000);
  }
  assert.equal(rig.because, undefined);
});

test('the memory of a connection is one number: what is held, what waits, and what other rooms may hold', () => {
  const rig = Rig.open();
  assert.equal(rig.connection.memoryBytes, RESERVED_BYTES);
  rig.connection.pauseReading('backlog');
  rig.peer.socket.write(rig.peer.transport!.encryptMany([message(32769, 10_000)]));
  // What the system hands out although reading is paused.
  rig.socket.isPaused = false;
  rig.peer.socket.deliver();
  assert.equal(rig.connection.memoryBytes, RESERVED_BYTES + 10_034);
  rig.connection.send(message(32769, 1_000));
  assert.equal(rig.connection.memoryBytes, RESERVED_BYTES + 10_034 + 1_034);
  rig.connection.resumeReading('backlog');
  rig.run();
  assert.equal(rig.connection.memoryBytes, RESERVED_BYTES);
});

test('a handshake that is not whole counts as well', () => {
  const rig = new Rig();
  rig.connection.start();
  rig.peer.begin();
  rig.peer.socket.deliver(20);
  assert.equal(rig.connection.memoryBytes, RESERVED_BYTES + 20);
});

test(`over_memory: above ${MAX_CONNECTION_BYTES} bytes the connection is closed at once, and nothing waits any more`, () => {
  const rig = Rig.open();
  rig.peer.socket.reads = false;
  let sent = 0;
  // A caller that does not ask canSend.
  for (; rig.because === undefined && sent < 1_000; sent++) rig.connection.send(message(32769, 60_000));
  assert.equal(rig.because, 'over_memory');
  assert.ok(sent * 60_000 < MAX_CONNECTION_BYTES - RESERVED_BYTES + 120_000, `${sent}`);
  assert.ok(rig.socket.isDestroyed);
});
