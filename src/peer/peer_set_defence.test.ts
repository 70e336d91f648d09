import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_UNREADY_PER_RANGE, mostFromNear, mostFromWide } from './admission.ts';
import { BAN_AT } from './ban_list.ts';
import { SETUP_TIMEOUT_MS } from './connection.ts';
import type { MemorySocket } from './memory_socket.test.support.ts';
import { House, id, listening } from './peer_house.test.support.ts';
import { ROTATION_INTERVAL_MS } from './rotation.ts';
import type { ScriptedPeer } from './scripted_peer.test.support.ts';

const closedAs = (house: House, because: string): number =>
  house.meter.get('gossipd_connections_closed_total', because);
const willing = (host: string): { name: string; isWilling: true } => ({ name: host, isWilling: true });
const garbageFrom = async (house: House, host: string): Promise<void> => {
  const stranger = (await house.comes(host)) as MemorySocket;
  stranger.write(new Uint8Array(50).fill(9));
  await house.run();
};
/** Charges a connected peer until it is banned. */
const spoil = (house: House, name: string): void => {
  const connection = house.peers.ready.find(({ nodeId }) => nodeId === id(name))!;
  for (let each = 0; each < 4; each++) house.peers.charge(connection, 'bad_signature');
};

test('banned: bad signatures close the peer, its node id is closed at its next init, its address is not', async () => {
  const house = await listening();
  await house.comes('203.0.113.1', 'bad');
  spoil(house, 'bad');
  assert.deepEqual(house.closed, ['banned']);
  await house.comes('203.0.113.2', 'bad');
  assert.deepEqual(house.names(), []);
  assert.deepEqual(house.closed, ['banned', 'banned']);
  assert.equal(house.ready, 1, 'the second time nobody above hears of it');
  await house.comes('203.0.113.1', 'good');
  assert.deepEqual(house.names(), [id('good')]);
});

test('banned: handshake garbage again and again bans its address, before a byte is read, and lets go of its connections', async () => {
  const house = await listening();
  await house.comes('203.0.113.1', 'same address');
  let tries = 0;
  while (closedAs(house, 'banned') === 0 && tries < 1_000) {
    await garbageFrom(house, '203.0.113.1');
    tries++;
  }
  assert.equal(tries, BAN_AT.address / 2, 'two points each');
  const refused = (await house.comes('203.0.113.1', 'again')) as ScriptedPeer;
  assert.ok(refused.isClosed);
  assert.equal(refused.handshakeBytes, 0);
  assert.deepEqual(house.names(), []);
  await house.comes('203.0.113.2', 'neighbour');
  assert.deepEqual(house.names(), [id('neighbour')]);
  assert.ok(house.lines.every(({ level }) => level === 'debug'));
});

test('banned: a node that was dialled and banned is not dialled again until its ban is over or lifted', async () => {
  const house = new House({ answers: willing });
  house.knows('a');
  await house.dial();
  spoil(house, 'a');
  assert.equal(house.lines.find(({ message }) => message === 'peer banned')?.level, 'info');
  for (let minute = 0; minute < 50; minute++) {
    house.clock.advance(60_000);
    await house.dial();
  }
  assert.equal(house.dials.length, 1);
  assert.equal(house.peers.bans.unban(id('a')), true);
  await house.dial();
  assert.equal(house.dials.length, 2);
});

test('peers that the operator named are never banned, whatever they do and wherever they live', async () => {
  const house = await listening();
  house.knows('named', true, '203.0.113.1');
  await house.comes('203.0.113.1', 'named');
  spoil(house, 'named');
  for (let each = 0; each < BAN_AT.address / 2; each++) await garbageFrom(house, '203.0.113.1');
  assert.ok(house.peers.bans.isHostBanned('203.0.113.1'));
  assert.deepEqual(house.names(), [id('named')], 'it is still there');
});

test('a wrong key behind an announced address is not held against whoever lives there', async () => {
  const house = new House({ answers: () => ({ name: 'somebody else' }) });
  house.knows('victim of a lie', false, '203.0.113.1');
  for (let minute = 0; minute < 600; minute++) {
    house.clock.advance(60_000);
    await house.dial();
  }
  assert.ok(house.dials.length > 5);
  assert.equal(house.peers.bans.size, 0);
});

test('bound: shares of the inbound places for one /24, one /16, one /48 and one /32', async () => {
  for (const [hostOf, most] of [
    [(index: number) => `203.0.113.${index}`, mostFromNear(100)],
    [(index: number) => `203.0.${index}.1`, mostFromWide(100)],
    [(index: number) => `2001:db8:1:${index.toString(16)}::1`, mostFromNear(100)],
    [(index: number) => `2001:db8:${index.toString(16)}::1`, mostFromWide(100)],
  ] as const) {
    const house = await listening({ inbound: 100 });
    for (let index = 0; index < most + 3; index++) await house.comes(hostOf(index), `peer ${index}`);
    assert.equal(house.peers.ready.length, most);
    assert.equal(house.refused(), 3);
  }
});

test(`bound: at most ${MAX_UNREADY_PER_RANGE} of one /24 are in handshake at once, so that it does not keep others waiting`, async () => {
  const house = await listening({ inbound: 1_000 });
  for (let index = 0; index < MAX_UNREADY_PER_RANGE + 10; index++) await house.comes(`203.0.113.${index}`);
  assert.equal(house.refused(), 10);
  await house.comes('198.51.100.1', 'other');
  assert.equal(house.peers.ready.length, 1);
  house.clock.advance(SETUP_TIMEOUT_MS);
  await house.run();
  assert.equal(closedAs(house, 'setup_timeout'), MAX_UNREADY_PER_RANGE);
});

test('evicted: in a full house the last of the most crowded network makes room for somebody from elsewhere', async () => {
  const house = await listening({ inbound: 40 });
  // The last of many networks are two that hold as much as they may.
  for (let index = 0; index < 24; index++) {
    house.clock.advance(10);
    await house.comes(`${20 + index}.1.1.1`, `early ${index}`);
  }
  for (let index = 0; index < 16; index++) {
    house.clock.advance(10);
    await house.comes(`203.0.${113 + (index >> 2)}.${index}`, `crowd ${index}`);
  }
  assert.equal(house.peers.ready.length, 40);
  await house.comes('198.51.100.1', 'newcomer');
  assert.deepEqual(house.closed, ['evicted']);
  const names = house.names();
  assert.ok(names.includes(id('newcomer')));
  for (let index = 0; index < 24; index++) assert.ok(names.includes(id(`early ${index}`)), `early ${index}`);
  const late = (await house.comes('203.0.200.1', 'crowd again')) as ScriptedPeer;
  assert.ok(late.isClosed);
});

test('no two outbound peers of one /16 while another network can be tried; a second one is better than none', async () => {
  const house = new House({
    outbound: 3,
    answers: (host) => (host === '198.51.100.1' ? undefined : willing(host)),
  });
  for (const host of ['203.0.113.1', '203.0.114.1', '203.0.115.1']) house.knows(host, false, host);
  house.knows('198.51.100.1', false, '198.51.100.1');
  await house.dial();
  assert.equal(house.peers.ready.length, 1);
  // The only other network does not answer: after some tries a second of the first has to do.
  for (let second = 0; second < 60; second++) {
    house.clock.advance(1_000);
    await house.dial();
    if (house.dials.filter(({ host }) => host === '198.51.100.1').length < 3)
      assert.equal(house.peers.ready.length, 1);
  }
  assert.equal(house.peers.ready.length, 3);
});

test('an onion address without a proxy is passed over and does not count as failed', async () => {
  const onion = `${'a'.repeat(56)}.onion`;
  const house = new House({ canDial: (host) => !host.endsWith('.onion') });
  house.knows('hidden', false, onion);
  house.knows('hidden and named', true, onion);
  for (let second = 0; second < 20; second++) {
    house.clock.advance(1_000);
    await house.dial();
  }
  assert.equal(house.dials.length, 0);
  assert.ok(house.book.due(house.clock.nowMs()).every(({ failures }) => failures === 0));
});

test('rotated: every twenty minutes the least useful that we dialled makes room for another; pinned ones never', async () => {
  const much = { usefulBytes: 900, offeredBytes: 1_000, messagesNew: 5_000 };
  const house = new House({ outbound: 2, answers: willing, contributions: { b: much } });
  house.knows('pinned', true);
  for (const name of ['a', 'b']) house.knows(name);
  await house.dial();
  assert.equal(house.peers.ready.length, 3);
  house.clock.advance(1_000);
  house.knows('c');
  for (let passed = 0; passed < ROTATION_INTERVAL_MS; passed += 20_000) {
    house.clock.advance(20_000);
    await house.run();
    await house.dial();
  }
  assert.deepEqual(house.closed.filter((because) => because === 'rotated').length, 1);
  await house.run();
  await house.dial();
  assert.deepEqual(house.names(), [id('pinned'), id('b'), id('c')].sort());
});

test('rotated: nobody goes while there is nobody to come, or places are free', async () => {
  for (const outbound of [1, 2]) {
    const house = new House({ outbound, answers: willing });
    house.knows('a');
    await house.dial();
    for (let passed = 0; passed < 3 * ROTATION_INTERVAL_MS; passed += 20_000) {
      house.clock.advance(20_000);
      await house.dial();
    }
    assert.equal(house.closed.includes('rotated'), false);
  }
});

test('status: how many of each kind, addresses by source, and the bans in force with their reasons', async () => {
  const house = await listening({ answers: willing });
  house.knows('a');
  await house.dial();
  await house.comes('203.0.113.1', 'bad');
  await house.comes('203.0.113.2');
  spoil(house, 'bad');
  const { bans, ...counts } = house.peers.status();
  assert.deepEqual(counts, {
    ...{ outbound: 1, inbound: 1, unready: 1, dialling: 0, banned: 1 },
    addresses: { config: 0, remembered: 0, dns_seed: 0, built_in: 1, gossip: 0 },
  });
  assert.deepEqual(
    bans.map(({ kind, key, reason }) => [kind, key, reason]),
    [['node', id('bad'), 'bad_signature']],
  );
});
