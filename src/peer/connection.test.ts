import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, readU16, writeU16 } from '../base/bytes.ts';
import { NETWORKS } from '../base/chain_hash.ts';
import { encodeError } from '../wire/error.ts';
import { isWireFault } from '../wire/fault.ts';
import { encodeFeatures } from '../wire/feature_bits.ts';
import { encodeGossipTimestampFilter } from '../wire/gossip_timestamp_filter.ts';
import { decodeInit, type Init } from '../wire/init.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { decodePing, encodePing } from '../wire/ping.ts';
import { decodePong } from '../wire/pong.ts';
import { decodeWarning, encodeWarning } from '../wire/warning.ts';
import { bytesOf, GOOD_INIT, keyOf, nodeIdOf, Rig } from './scripted_peer.test.support.ts';

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
const initOf = (rig: Rig): Init => {
  const init = decodeInit(rig.peer.of(MESSAGE_TYPE.init)[0]!);
  assert.ok(!isWireFault(init));
  return init;
};
/** A channel_update that is long enough and nothing more. */
const update = message(MESSAGE_TYPE.channel_update, 138);

for (const outbound of [true, false]) {
  const side = outbound ? 'initiator' : 'responder';

  test(`handshake as ${side}: the inits are exchanged and messages flow both ways`, () => {
    const rig = Rig.open({ outbound });
    assert.equal(rig.ready, 1);
    assert.equal(rig.connection.phase, 'open');
    assert.equal(rig.connection.outbound, outbound);
    assert.equal(rig.connection.nodeId, nodeIdOf('peer'));
    rig.peer.send(filter, update);
    rig.connection.send(filter);
    rig.run();
    assert.deepEqual(
      rig.messages.map(({ type }) => type),
      ['gossip_timestamp_filter'],
    );
    assert.equal(rig.gossip.length, 1);
    assert.equal(rig.peer.of(MESSAGE_TYPE.gossip_timestamp_filter).length, 1);
  });

  test(`B1-13 as ${side}: our init is the first message, sent without waiting for the peer's`, () => {
    const rig = Rig.shaken({ outbound });
    assert.deepEqual(
      rig.peer.received.map((raw) => readU16(raw, 0)),
      [MESSAGE_TYPE.init],
    );
    assert.deepEqual(initOf(rig).networks, [NETWORKS.regtest.chainHashBytes]);
    assert.equal(rig.ready, 0);
  });
}

test('every split of the stream gives the same messages', () => {
  const rig = Rig.open();
  rig.peer.send(filter, update, filter);
  while (rig.peer.socket.deliver(1) > 0) rig.clock.advance(0);
  assert.equal(rig.messages.length, 2);
  assert.equal(rig.gossip.length, 1);
});

test('what follows the last act in the same piece is read as messages', () => {
  const rig = new Rig();
  rig.connection.start();
  rig.peer.begin();
  // Act one, act two; then act three and the peer's init in one piece.
  rig.peer.socket.deliver();
  rig.socket.deliver();
  rig.peer.sendInit();
  rig.run();
  assert.equal(rig.ready, 1);
});

test('B1-13 message_before_init: anything but init, error or warning first closes', () => {
  for (const [raw, because] of [
    [ping(1), 'message_before_init'],
    [update, 'message_before_init'],
    [message(32769, 40), 'message_before_init'],
    [new Uint8Array(0), 'message_before_init'],
    [encodeWarning({ channel_id: new Uint8Array(32), data: text('busy') }), undefined],
    [encodeError({ channel_id: new Uint8Array(32), data: text('no') }), undefined],
  ] as const) {
    const rig = Rig.shaken();
    rig.peer.send(raw);
    rig.run();
    assert.equal(rig.because, because, `type ${raw.length < 2 ? 'none' : readU16(raw, 0)}`);
    assert.equal(rig.gossip.length, 0);
  }
});

test('a second init changes nothing', () => {
  const rig = Rig.open();
  rig.peer.sendInit({ features: encodeFeatures([200]), networks: [NETWORKS.bitcoin.chainHashBytes] });
  rig.run();
  assert.equal(rig.because, undefined);
  assert.equal(rig.ready, 1);
});

test('B1-03 an unknown odd type is ignored, at any length', () => {
  const rig = Rig.open();
  rig.peer.send(message(65535), message(32769, 65_535), filter);
  rig.run();
  assert.equal(rig.because, undefined);
  assert.equal(rig.messages.length, 1);
});

test('B1-04 unknown_even_type: closes, after a warning that names it', () => {
  const rig = Rig.open();
  rig.peer.send(message(32768), filter);
  rig.run();
  assert.equal(rig.because, 'unknown_even_type');
  assert.match(warningsTo(rig)[0]!, /message type 32768/);
  assert.deepEqual(rig.messages, [], 'nothing after it is looked at');
});

test('B1-05 malformed_message: a known message that is too short closes, at every length', () => {
  const least = new Map<number, number>([
    [MESSAGE_TYPE.ping, 6],
    [MESSAGE_TYPE.pong, 4],
    [MESSAGE_TYPE.warning, 36],
    [MESSAGE_TYPE.error, 36],
    [MESSAGE_TYPE.channel_update, 138],
    [MESSAGE_TYPE.gossip_timestamp_filter, 42],
    [MESSAGE_TYPE.query_channel_range, 42],
    [MESSAGE_TYPE.reply_short_channel_ids_end, 35],
  ]);
  for (const [type, bytes] of least) {
    for (let length = 2; length < bytes; length++) {
      const rig = Rig.open();
      rig.peer.send(message(type, length));
      rig.run();
      assert.equal(rig.because, 'malformed_message', `type ${type}, ${length} bytes`);
    }
  }
});

test('malformed_message: a frame without a whole type closes', () => {
  for (const raw of [new Uint8Array(0), new Uint8Array(1)]) {
    const rig = Rig.open();
    rig.peer.send(raw);
    rig.run();
    assert.equal(rig.because, 'malformed_message');
  }
});

test('B1-06 malformed_message: a bad extension closes', () => {
  const rig = Rig.open();
  // TLV type 1 says 5 bytes and has none.
  rig.peer.send(concatBytes(filter, Uint8Array.of(1, 5)));
  rig.run();
  assert.equal(rig.because, 'malformed_message');
});

test('B1-19 unknown_even_feature: closes; an unknown odd one does not', () => {
  const even = Rig.shaken();
  even.peer.sendInit({ ...GOOD_INIT, features: encodeFeatures([1, 200]) });
  even.run();
  assert.equal(even.because, 'unknown_even_feature');
  assert.equal(even.closed[0]?.detail, '200');
  const odd = Rig.shaken();
  odd.peer.sendInit({ ...GOOD_INIT, features: encodeFeatures([1, 201]) });
  odd.run();
  assert.equal(odd.ready, 1);
});

test('B1-21 missing_feature_dependency: closes', () => {
  const rig = Rig.shaken();
  rig.peer.sendInit({ ...GOOD_INIT, features: encodeFeatures([51]) });
  rig.run();
  assert.equal(rig.because, 'missing_feature_dependency');
  assert.match(rig.closed[0]!.detail, /option_zeroconf needs option_scid_alias/);
});

test('B1-20 no_common_chain: a list without our chain closes, no list at all does not', () => {
  for (const networks of [[], [NETWORKS.bitcoin.chainHashBytes]]) {
    const rig = Rig.shaken();
    rig.peer.sendInit({ ...GOOD_INIT, networks });
    rig.run();
    assert.equal(rig.because, 'no_common_chain');
  }
  const silent = Rig.shaken();
  silent.peer.sendInit({ features: GOOD_INIT.features });
  silent.run();
  assert.equal(silent.ready, 1);
});

test('B1-26 a ping gets exactly num_pong_bytes below 65532, and nothing from there on', () => {
  for (const [asked, answered] of [
    [0, 0],
    [1, 1],
    [65_531, 65_531],
    [65_532, undefined],
    [65_535, undefined],
  ] as const) {
    const rig = Rig.open();
    rig.peer.send(ping(asked));
    rig.run();
    const pongs = rig.peer.of(MESSAGE_TYPE.pong);
    const pong = pongs[0] === undefined ? undefined : decodePong(pongs[0]);
    assert.deepEqual(pong, answered === undefined ? undefined : { byteslen: answered });
    if (pongs[0] !== undefined) assert.ok(pongs[0].subarray(4).every((byte) => byte === 0));
    assert.equal(rig.because, undefined);
  }
});

test('B1-25 our pings are padded with zeros', () => {
  const rig = Rig.open({ limits: { pingIntervalMs: 1_000 } });
  rig.pass(1_000);
  const [raw] = rig.peer.of(MESSAGE_TYPE.ping);
  assert.ok(raw !== undefined);
  assert.deepEqual(decodePing(raw), { num_pong_bytes: 1, byteslen: 1 });
  assert.equal(raw.at(-1), 0);
});

test('handshake_failed: garbage ends the connection without a byte in answer (B8-08)', () => {
  const rig = new Rig();
  rig.connection.start();
  rig.peer.socket.write(new Uint8Array(50).fill(7));
  rig.run();
  assert.equal(rig.because, 'handshake_failed');
  assert.equal(rig.closed[0]!.detail, 'act_bad_version');
  assert.equal(rig.peer.handshakeBytes, 0);
  assert.ok(rig.peer.isClosed);
});

test('handshake_failed: a node id that is no curve point is not even dialled into (B8-12)', () => {
  const rig = new Rig({ outbound: true, remoteKey: bytesOf(`02${'00'.repeat(31)}05`) });
  rig.connection.start();
  assert.deepEqual(rig.closed, [{ because: 'handshake_failed', detail: 'the node id is no key' }]);
});

test('B8-18 bad_mac: one flipped bit closes at once, and nothing behind it is read', () => {
  const rig = Rig.open();
  const frames = rig.peer.transport!.encryptMany([filter, filter]);
  frames[20]! ^= 1;
  rig.peer.socket.write(frames);
  rig.run();
  assert.equal(rig.because, 'bad_mac');
  assert.equal(rig.messages.length, 0);
  assert.ok(rig.socket.isDestroyed);
});

test('B1-24 what an error or a warning says is logged as printable text only', () => {
  const rig = Rig.open({ outbound: true });
  const data = concatBytes(text('bad\u001b[2J news'), Uint8Array.of(0, 10, 13, 127, 200), text('!'));
  rig.peer.send(encodeError({ channel_id: new Uint8Array(32), data }));
  rig.run();
  const line = rig.lines.find(({ message: told }) => told === 'error from peer');
  assert.equal(line?.fields?.['text'], 'bad[2J news!');
  assert.equal(line?.level, 'info');
  assert.equal(rig.because, undefined);
});

test('what those say whom we did not dial is logged at debug', () => {
  const rig = Rig.open();
  rig.peer.send(encodeWarning({ channel_id: new Uint8Array(32), data: text('hello') }));
  rig.run();
  assert.deepEqual(
    rig.lines.map(({ level, message: told }) => [level, told]),
    [['debug', 'warning from peer']],
  );
});

test('B1-17 remote_addr is sent to who dialled us from a public address, and to nobody else', () => {
  const seen = (remoteHost: string, outbound = false): string | undefined => {
    const address = initOf(Rig.shaken({ outbound, end: { remoteHost, remotePort: 1234 } })).remote_addr;
    return address === undefined ? undefined : `${address.kind} ${address.host} ${address.port}`;
  };
  assert.equal(seen('8.8.4.4'), 'ipv4 8.8.4.4 1234');
  assert.equal(seen('::ffff:8.8.4.4'), 'ipv4 8.8.4.4 1234');
  assert.match(seen('2001:4860:4860::8888') ?? '', /^ipv6 2001:4860:4860:.*8888 1234$/);
  for (const host of ['127.0.0.1', '10.1.2.3', '172.16.0.1', '192.168.1.1', '169.254.1.1', '100.64.0.1']) {
    assert.equal(seen(host), undefined, host);
    assert.equal(seen(`::ffff:${host}`), undefined, host);
  }
  for (const host of ['::1', 'fe80::1', 'fd00::1', '::', 'example.org', '']) {
    assert.equal(seen(host), undefined, host);
  }
  assert.equal(seen('8.8.4.4', true), undefined);
});

test('a peer that leaves is noticed', () => {
  const rig = Rig.open();
  rig.peer.socket.destroy();
  rig.run();
  assert.equal(rig.because, 'socket_closed');
});

test('bytes and messages are counted each way', () => {
  const rig = Rig.open();
  rig.peer.send(filter);
  rig.run();
  const { connection, meter } = rig;
  assert.equal(connection.messagesIn, 2);
  assert.equal(meter.get('gossipd_messages_received_total', 'gossip_timestamp_filter'), 1);
  assert.equal(meter.get('gossipd_peer_bytes_total', 'in'), connection.bytesIn);
  assert.equal(meter.get('gossipd_peer_bytes_total', 'out'), connection.bytesOut);
  assert.ok(connection.name.startsWith(Buffer.from(keyOf('peer')).toString('hex').slice(0, 12)));
});
