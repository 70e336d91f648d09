import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_PER_HOST } from './admission.ts';
import { SETUP_TIMEOUT_MS } from './connection.ts';
import type { MemorySocket } from './memory_socket.test.support.ts';
import { House, id, listening } from './peer_house.test.support.ts';
import { MAX_UNREADY } from './peer_set.ts';
import type { ScriptedPeer } from './scripted_peer.test.support.ts';

test('B1-01 one connection per peer: the newer one replaces the older', async () => {
  const house = await listening();
  await house.comes('192.0.2.1', 'a');
  const [older] = house.peers.ready;
  await house.comes('192.0.2.2', 'a');
  assert.deepEqual(house.names(), [id('a')]);
  assert.notEqual(house.peers.ready[0], older);
  assert.equal(older?.phase, 'closed');
  assert.deepEqual(house.closed, ['replaced']);
  await house.comes('192.0.2.3', 'b');
  assert.deepEqual(house.names(), [id('a'), id('b')].sort());
});

test('self_connection: who has our own key is refused, and our own address is never dialled', async () => {
  const house = await listening();
  await house.comes('192.0.2.1', 'us');
  assert.deepEqual(house.closed, ['self_connection']);
  assert.equal(house.ready, 0);
  house.knows('us');
  await house.dial();
  assert.equal(house.dials.length, 0);
});

test(`bound: at most ${MAX_PER_HOST} from one host, those excepted that strangers share`, async () => {
  const house = await listening();
  for (let index = 0; index < MAX_PER_HOST + 3; index++) await house.comes('192.0.2.1', `peer ${index}`);
  assert.equal(house.peers.ready.length, MAX_PER_HOST);
  assert.equal(house.refused(), 3);
  for (const [index, host] of ['127.0.0.1', '::1', '::ffff:172.17.0.1'].entries()) {
    for (let each = 0; each < MAX_PER_HOST + 1; each++) await house.comes(host, `local ${index} ${each}`);
  }
  assert.equal(house.refused(), 3);
  assert.equal(house.peers.ready.length, MAX_PER_HOST + 3 * (MAX_PER_HOST + 1));
});

test(`bound: at most ${MAX_UNREADY} are in handshake or init at once; a timed-out one makes room`, async () => {
  const house = await listening({ inbound: 1_000 });
  for (let index = 0; index < MAX_UNREADY; index++) await house.comes(`198.51.${index}.1`);
  assert.equal(house.refused(), 0);
  const late = (await house.comes('203.0.113.1', 'late')) as ScriptedPeer;
  assert.equal(house.refused(), 1);
  assert.ok(late.isClosed);
  house.clock.advance(SETUP_TIMEOUT_MS);
  await house.run();
  assert.equal(house.meter.get('gossipd_connections_closed_total', 'setup_timeout'), MAX_UNREADY);
  await house.comes('203.0.113.1', 'late');
  assert.deepEqual(house.names(), [id('late')]);
});

test('bound: as many inbound connections as configured', async () => {
  const house = await listening({ inbound: 3 });
  for (let index = 0; index < 5; index++) await house.comes(`198.51.100.${index}`, `peer ${index}`);
  assert.equal(house.peers.ready.length, 3);
  assert.equal(house.refused(), 2);
});

test('what strangers do is not news: who comes and goes unasked is not logged at info', async () => {
  const house = await listening();
  for (let index = 0; index < 20; index++) {
    const stranger = (await house.comes(`198.51.100.${index}`)) as MemorySocket;
    stranger.write(new Uint8Array(50).fill(9));
    await house.run();
  }
  assert.equal(house.meter.get('gossipd_connections_closed_total', 'handshake_failed'), 20);
  await house.comes('198.51.100.99', 'a');
  assert.equal(house.peers.ready.length, 1);
  assert.deepEqual(
    house.lines.filter(({ level }) => level !== 'debug'),
    [],
  );
});

test('dials as many as configured, and pinned peers beyond that', async () => {
  const house = new House({ outbound: 2 });
  for (const name of ['a', 'b', 'c', 'd']) house.knows(name);
  for (const name of ['p', 'q']) house.knows(name, true);
  await house.dial();
  const hosts = house.dials.map(({ host }) => host);
  assert.deepEqual(hosts.slice(0, 2).sort(), ['p', 'q'], 'pinned ones first');
  assert.equal(hosts.length, 4);
});

test('one dial at a time for each node, and none while it is connected', async () => {
  const house = new House({ answers: (host) => ({ name: host }) });
  house.knows('a');
  await house.dial();
  for (let second = 0; second < 10; second++) {
    house.clock.advance(1_000);
    await house.dial();
  }
  assert.equal(house.dials.length, 1, 'in handshake or init');
});

test('back-off: a node that refuses is tried ever more rarely, with jitter', async () => {
  const house = new House();
  house.knows('a');
  for (let second = 0; second < 600; second++) {
    house.clock.advance(1_000);
    await house.dial();
  }
  // Waits of 1, 2, 4 … 512 s, each times a half to one and a half: some nine tries in ten minutes.
  assert.ok(house.dials.length >= 7 && house.dials.length <= 13, `${house.dials.length} dials`);
  assert.equal(house.meter.get('gossipd_dials_failed_total'), house.dials.length);
  const waits = house.dials.slice(1).map(({ atMs }, index) => atMs - house.dials[index]!.atMs);
  assert.ok(waits.at(-1)! > 8 * waits[0]!, `${waits}`);
});

test('back-off: so is one that answers and never gets ready, and another node behind its address', async () => {
  for (const name of ['a', 'impostor']) {
    const house = new House({ answers: () => ({ name }) });
    house.knows('a');
    for (let second = 0; second < 600; second++) {
      house.clock.advance(1_000);
      await house.dial();
    }
    // Nobody sends an init here: each try of a node takes the whole setup time.
    assert.ok(house.dials.length >= 5 && house.dials.length <= 14, `${name}: ${house.dials.length} dials`);
    assert.equal(house.ready, 0);
  }
});

test('a peer that was connected is dialled again soon after it has gone', async () => {
  const peers: ScriptedPeer[] = [];
  const house = await listening();
  house.knows('a');
  peers.push((await house.comes('192.0.2.1', 'a')) as ScriptedPeer);
  await house.dial();
  assert.equal(house.dials.length, 0, 'connected already');
  peers[0]!.socket.destroy();
  await house.run();
  assert.deepEqual(house.closed, ['socket_closed']);
  house.clock.advance(2_000);
  await house.dial();
  assert.equal(house.dials.length, 1);
  const gone = house.lines.find(({ message }) => message === 'peer gone');
  assert.equal(gone?.level, 'debug', 'it had come by itself');
});

test('close ends every connection and the listeners, and nothing is dialled or let in any more', async () => {
  const house = await listening();
  await house.comes('192.0.2.1', 'a');
  await house.comes('192.0.2.2');
  house.knows('b');
  assert.deepEqual(house.peers.listening, [{ host: '0.0.0.0', port: 9_999 }]);
  await house.peers.close();
  assert.deepEqual(house.closed, ['shutdown', 'shutdown']);
  assert.equal(house.isListening, false);
  assert.deepEqual(house.peers.listening, []);
  await house.dial();
  assert.equal(house.dials.length, 0);
  await house.comes('192.0.2.3', 'c');
  assert.equal(house.peers.ready.length, 0);
});
