import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeU16 } from '../base/bytes.ts';
import { NETWORKS } from '../base/chain_hash.ts';
import { isWireFault } from '../wire/fault.ts';
import { encodeGossipTimestampFilter } from '../wire/gossip_timestamp_filter.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { encodePing } from '../wire/ping.ts';
import { decodeWarning, encodeWarning } from '../wire/warning.ts';
import { SETUP_TIMEOUT_MS } from './connection.ts';
import { OUTPUT_PAUSE_BYTES } from './outbox.ts';
import { Rig } from './scripted_peer.test.support.ts';

const message = (type: number, length = 2): Uint8Array => {
  const raw = new Uint8Array(length);
  writeU16(raw, 0, type);
  return raw;
};
const filter = encodeGossipTimestampFilter({
  chain_hash: NETWORKS.regtest.chainHashBytes,
  first_timestamp: 5,
  timestamp_range: 9,
});
const ping = (num_pong_bytes: number, byteslen = 0): Uint8Array => encodePing({ num_pong_bytes, byteslen });
const text = (words: string): Uint8Array => new TextEncoder().encode(words);
const warningsTo = (rig: Rig): string[] =>
  rig.peer.of(MESSAGE_TYPE.warning).map((raw) => {
    const warning = decodeWarning(raw);
    assert.ok(!isWireFault(warning));
    return new TextDecoder().decode(warning.data);
  });
/** A channel_update that is long enough and nothing more. */
const update = message(MESSAGE_TYPE.channel_update, 138);

test('peer_silent: two intervals without a whole message close; any message is a sign of life', () => {
  const rig = Rig.open({ limits: { pingIntervalMs: 1_000 } });
  for (let second = 0; second < 10; second++) {
    rig.pass(1_000);
    rig.peer.send(message(32769));
    rig.run();
  }
  assert.equal(rig.because, undefined);
  rig.pass(4_000, 500);
  assert.equal(rig.because, 'peer_silent');
});

test('peer_silent: bytes that never make a message are no sign of life', () => {
  const rig = Rig.open({ limits: { pingIntervalMs: 1_000 } });
  rig.peer.send(message(32769, 65_535));
  for (let step = 0; step < 100 && rig.because === undefined; step++) {
    rig.peer.socket.deliver(1);
    rig.clock.advance(50);
  }
  assert.equal(rig.because, 'peer_silent');
});

test('setup_timeout: a handshake of one byte at a time is given up', () => {
  const rig = new Rig();
  rig.connection.start();
  rig.peer.begin();
  for (let passed = 0; passed < SETUP_TIMEOUT_MS; passed += 1_000) {
    assert.equal(rig.because, undefined);
    rig.peer.socket.deliver(1);
    rig.clock.advance(1_000);
  }
  assert.equal(rig.because, 'setup_timeout');
  assert.match(rig.closed[0]!.detail, /handshake/);
});

test('setup_timeout: so is an init that does not come', () => {
  const rig = Rig.shaken();
  rig.pass(SETUP_TIMEOUT_MS - 1);
  assert.equal(rig.because, undefined);
  rig.pass(1);
  assert.equal(rig.because, 'setup_timeout');
});

test('output bound: who floods pings and never reads has its reading paused, in the middle of a piece', () => {
  const rig = Rig.open();
  rig.peer.socket.reads = false;
  // One 64 KiB read of 1,600 pings that ask for 105 MB.
  rig.peer.send(...Array.from({ length: 1_600 }, () => ping(65_531)));
  rig.run();
  assert.ok(rig.socket.isPaused);
  assert.ok(rig.socket.mostBuffered > OUTPUT_PAUSE_BYTES, 'the flood did reach the bound');
  assert.ok(rig.socket.mostBuffered <= OUTPUT_PAUSE_BYTES + 65_569, `${rig.socket.mostBuffered} bytes`);
  // Once it reads, every ping is answered after all.
  rig.peer.socket.reads = true;
  rig.run();
  assert.equal(rig.peer.of(MESSAGE_TYPE.pong).length, 1_600);
  assert.equal(rig.socket.isPaused, false);
  assert.ok(rig.socket.mostBuffered <= OUTPUT_PAUSE_BYTES + 65_569);
});

test('peer_not_reading: who takes nothing of what waits for it for two intervals is closed', () => {
  const rig = Rig.open({ limits: { pingIntervalMs: 1_000 } });
  rig.peer.socket.reads = false;
  rig.peer.send(...Array.from({ length: 100 }, () => ping(65_531)));
  rig.run();
  rig.pass(2_000, 500);
  assert.equal(rig.because, undefined);
  rig.pass(2_000, 500);
  assert.equal(rig.because, 'peer_not_reading');
  assert.equal(rig.socket.isDestroyed, false, 'the warning may still leave');
  rig.pass(2_000);
  assert.ok(rig.socket.isDestroyed);
});

test('a slow reader that does take some is not closed', () => {
  const rig = Rig.open({ limits: { pingIntervalMs: 1_000 } });
  rig.peer.send(...Array.from({ length: 5 }, () => ping(65_531)));
  rig.peer.socket.deliver();
  rig.clock.advance(0);
  for (let second = 0; second < 10; second++) {
    rig.socket.deliver(1_000);
    rig.peer.send(message(32769));
    rig.peer.socket.deliver();
    rig.clock.advance(1_000);
  }
  assert.equal(rig.because, undefined);
});

test('byte budget in: reading pauses when it is spent and goes on when it has filled', () => {
  const rig = Rig.open({ limits: { bytesPerSecondIn: 10_000 } });
  // The burst is one largest message: 65,569 bytes.
  rig.peer.send(message(32769, 65_535), message(32769, 20_000));
  rig.run();
  assert.ok(rig.socket.isPaused);
  assert.equal(rig.connection.messagesIn, 3, 'what was received is handled: it was paid for');
  rig.peer.send(filter);
  rig.run();
  assert.equal(rig.messages.length, 0);
  rig.pass(5_000, 100);
  assert.equal(rig.socket.isPaused, false);
  assert.equal(rig.messages.length, 1);
});

test('byte budget in: a paused peer is not called silent', () => {
  const rig = Rig.open({ limits: { bytesPerSecondIn: 100, pingIntervalMs: 1_000 } });
  rig.peer.send(message(32769, 65_535), message(32769, 3_000));
  rig.run();
  assert.ok(rig.socket.isPaused);
  rig.pass(20_000, 500);
  assert.equal(rig.because, undefined);
});

test('byte budget out: canSend turns false when it is spent, and onWritable follows when it has filled', () => {
  let writable = 0;
  const rig = Rig.open({
    limits: { bytesPerSecondOut: 10_000 },
    onWritable: () => {
      writable++;
    },
  });
  assert.equal(rig.connection.canSend(), true);
  rig.connection.send(message(32769, 65_535));
  rig.connection.send(message(32769, 20_000));
  rig.run();
  assert.equal(rig.connection.canSend(), false);
  assert.equal(writable, 0);
  rig.pass(5_000, 100);
  assert.equal(writable, 1);
  assert.equal(rig.connection.canSend(), true);
});

test('back-pressure: canSend turns false at half of the bound, and onWritable follows when it was read', () => {
  let writable = 0;
  const rig = Rig.open({
    onWritable: () => {
      writable++;
    },
  });
  rig.peer.socket.reads = false;
  let sent = 0;
  while (rig.connection.canSend()) {
    rig.connection.send(message(32769, 10_000));
    sent++;
  }
  rig.run();
  assert.ok(
    sent * 10_000 >= OUTPUT_PAUSE_BYTES / 2 - 10_000 && sent * 10_000 <= OUTPUT_PAUSE_BYTES,
    `${sent}`,
  );
  assert.equal(writable, 0);
  rig.peer.socket.reads = true;
  rig.run();
  assert.equal(writable, 1);
  assert.equal(rig.peer.of(32769).length, sent);
});

test('reading goes on only when every reason to pause is gone', () => {
  const rig = Rig.open();
  rig.connection.pauseReading('backlog');
  rig.connection.pauseReading('output');
  rig.peer.send(filter);
  rig.run();
  rig.connection.resumeReading('output');
  rig.run();
  assert.equal(rig.messages.length, 0);
  rig.connection.resumeReading('backlog');
  rig.run();
  assert.equal(rig.messages.length, 1);
});

test('a handler that pauses stops the very next message, and resuming loses none', () => {
  const rig = Rig.open({ onGossip: (connection) => connection.pauseReading('backlog') });
  rig.peer.send(update, update, update);
  rig.run();
  for (const expected of [1, 2, 3]) {
    assert.equal(rig.gossip.length, expected);
    rig.connection.resumeReading('backlog');
    rig.run();
  }
  assert.equal(rig.gossip.length, 3);
});

test('bound: at most ten warnings go out at once, then ten in a minute', () => {
  const rig = Rig.open();
  for (let index = 0; index < 100; index++) rig.connection.warn(`number ${index}`);
  rig.run();
  assert.equal(warningsTo(rig).length, 10);
  for (let second = 0; second < 600; second++) {
    rig.clock.advance(100);
    rig.connection.warn('again');
    if (second % 50 === 0) rig.peer.send(message(32769));
    rig.run();
  }
  assert.ok(warningsTo(rig).length <= 21, `${warningsTo(rig).length}`);
  assert.ok(warningsTo(rig).length >= 19);
});

test('bound: a flood of errors and warnings does not fill the log', () => {
  const rig = Rig.open();
  for (let index = 0; index < 1_000; index++) {
    rig.peer.send(encodeWarning({ channel_id: new Uint8Array(32), data: text(`line ${index}`) }));
  }
  rig.run();
  assert.equal(rig.lines.filter(({ message: told }) => told === 'warning from peer').length, 10);
});

test('close is once: the handler hears one reason, timers end, nothing is sent or read afterwards', () => {
  const rig = Rig.open();
  rig.connection.close('shutdown');
  rig.connection.close('bad_mac');
  rig.connection.send(filter);
  rig.connection.warn('late');
  rig.peer.send(filter);
  rig.run();
  assert.deepEqual(
    rig.closed.map(({ because }) => because),
    ['shutdown'],
  );
  assert.equal(rig.messages.length, 0);
  assert.equal(rig.peer.of(MESSAGE_TYPE.warning).length, 0);
  assert.ok(rig.peer.isClosed);
  assert.equal(rig.clock.pending, 0, 'no timer outlives the connection');
});

test('closing while the peer does not read gives the descriptor back after a moment', () => {
  const rig = Rig.open();
  rig.peer.socket.reads = false;
  rig.connection.send(message(32769, 1_000));
  rig.connection.close('shutdown');
  rig.run();
  assert.equal(rig.socket.isDestroyed, false);
  rig.pass(200);
  assert.ok(rig.socket.isDestroyed);
  assert.equal(rig.clock.pending, 0);
});
