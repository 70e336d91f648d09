import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryMeter } from '../base/meter.ts';
import type { NodeId } from '../base/node_id.ts';
import { ManualClock } from '../base/time.ts';
import { BAN_AT, BAN_FIRST_MS, BAN_MAX_MS, BanList, HALF_LIFE_MS, MAX_CHARGED } from './ban_list.ts';
import { MISBEHAVIOUR, pointsFor } from './misbehaviour.ts';

const id = (index: number): NodeId => `02${index.toString(16).padStart(64, '0')}` as NodeId;
const make = () => {
  const clock = new ManualClock();
  const meter = new MemoryMeter();
  return { clock, meter, bans: new BanList({ clock, meter }) };
};
const DAY_MS = 24 * 3_600_000;

test('four bad signatures ban a node id, and only it', () => {
  const { bans } = make();
  const points = pointsFor('bad_signature');
  for (let index = 1; index < BAN_AT.node / points; index++)
    assert.equal(bans.charge(id(1), '203.0.113.1', points, 'bad_signature'), 'ok');
  assert.equal(bans.charge(id(1), '203.0.113.1', points, 'bad_signature'), 'banned');
  assert.ok(bans.isNodeBanned(id(1)) && !bans.isNodeBanned(id(2)) && !bans.isHostBanned('203.0.113.1'));
  assert.deepEqual(
    bans.list().map(({ kind, key, reason, bans: times }) => [kind, key, reason, times]),
    [['node', id(1), 'bad_signature', 1]],
  );
});

test('the seconds between the four do not ask for a fifth', () => {
  const { clock, bans } = make();
  const points = pointsFor('bad_signature');
  for (let index = 1; index < BAN_AT.node / points; index++) {
    assert.equal(bans.charge(id(1), '203.0.113.1', points, 'bad_signature'), 'ok');
    clock.advance(5_000);
  }
  assert.equal(bans.charge(id(1), '203.0.113.1', points, 'bad_signature'), 'banned');
});

test('new node ids do not help: the address is banned at four times the points, its neighbours are not', () => {
  const { bans } = make();
  let ids = 0;
  while (!bans.isHostBanned('203.0.113.1')) bans.charge(id(ids++), '203.0.113.1', BAN_AT.node, 'bad_mac');
  assert.equal(ids, BAN_AT.address / BAN_AT.node);
  assert.equal(bans.isHostBanned('203.0.113.2'), false);
  for (let more = 0; more < 20; more++) bans.charge(id(ids++), '203.0.113.1', BAN_AT.node, 'bad_mac');
  assert.ok(bans.isHostBanned('203.0.113.1') && !bans.isHostBanned('203.0.113.2'));
});

test('one address alone, however bad before its ban, does not take its range with it; several do', () => {
  const { bans } = make();
  const spoil = (host: string): void => {
    for (let ids = 0; !bans.isHostBanned(host); ids++) bans.charge(id(ids), host, BAN_AT.node, 'bad_mac');
  };
  spoil('203.0.113.1');
  spoil('203.0.113.2');
  assert.equal(bans.isHostBanned('203.0.113.3'), false);
  spoil('203.0.113.3');
  assert.equal(bans.isHostBanned('203.0.113.4'), true, 'the /24');
  assert.equal(bans.isHostBanned('203.0.114.1'), false, 'not the /16');
});

test('addresses that strangers share are never banned: loopback, where Tor comes from, and private ones', () => {
  const { bans } = make();
  for (const host of ['127.0.0.1', '::1', '172.17.0.1']) {
    for (let ids = 0; ids < 100; ids++) bans.charge(id(ids), host, BAN_AT.node, 'bad_mac');
    assert.equal(bans.isHostBanned(host), false, host);
  }
  assert.ok(bans.isNodeBanned(id(5)), 'its node id is');
});

test('points halve with time: what happens rarely never adds up', () => {
  const { clock, bans } = make();
  const points = BAN_AT.node * 0.6;
  bans.charge(id(1), '', points, 'x');
  clock.advance(2 * HALF_LIFE_MS);
  assert.equal(bans.charge(id(1), '', points, 'x'), 'ok', '0.15 + 0.6');
  clock.advance(HALF_LIFE_MS / 6);
  assert.equal(bans.charge(id(1), '', points, 'x'), 'banned');
});

test('a ban ends; the next one lasts four times as long, up to two days; a quiet week starts over', () => {
  const { clock, bans } = make();
  const ban = (): number => {
    const from = clock.nowMs();
    bans.charge(id(1), '', BAN_AT.node, 'x');
    const length = bans.list()[0]!.until_ms - from;
    clock.advance(length - 1);
    assert.ok(bans.isNodeBanned(id(1)));
    clock.advance(1);
    assert.equal(bans.isNodeBanned(id(1)), false);
    return length;
  };
  assert.deepEqual(
    [ban(), ban(), ban(), ban(), ban()],
    [BAN_FIRST_MS, 4 * BAN_FIRST_MS, 16 * BAN_FIRST_MS, BAN_MAX_MS, BAN_MAX_MS],
  );
  clock.advance(8 * DAY_MS);
  assert.equal(ban(), BAN_FIRST_MS);
});

test('what is charged during a ban does not lengthen it', () => {
  const { clock, bans } = make();
  bans.charge(id(1), '', BAN_AT.node, 'x');
  const [before] = bans.list();
  clock.advance(1_000);
  bans.charge(id(1), '', 10 * BAN_AT.node, 'x');
  assert.deepEqual(bans.list(), [before]);
});

test('unban forgets what was held against it, by the key that the list shows', () => {
  const { bans } = make();
  for (let index = 0; index < 4; index++) bans.charge(id(index), '203.0.113.1', BAN_AT.node, 'x');
  assert.equal(bans.unban('203.0.113.1'), true);
  assert.equal(bans.isHostBanned('203.0.113.1'), false);
  assert.equal(bans.unban('203.0.113.1'), false);
});

test(`bound: ${MAX_CHARGED} of each kind; those that did little make room, bans stay`, () => {
  const { meter, bans } = make();
  bans.charge(id(0), '', BAN_AT.node, 'x');
  for (let index = 1; index <= MAX_CHARGED + 50; index++) bans.charge(id(index), '', 1, 'x');
  assert.equal(bans.size, MAX_CHARGED);
  assert.ok(bans.isNodeBanned(id(0)));
  assert.equal(meter.get('gossipd_bans_forgotten_total'), 51);
  // Node ids cannot push out addresses.
  for (let index = 0; index < 4; index++) bans.charge(id(index), '203.0.113.1', BAN_AT.node, 'x');
  for (let index = 0; index < 2 * MAX_CHARGED; index++) bans.charge(id(index), '', 1, 'x');
  assert.ok(bans.isHostBanned('203.0.113.1'));
});

test('bound: a table full of bans forgets one that ends soonest', () => {
  const { clock, bans } = make();
  for (let index = 0; index < MAX_CHARGED + 5; index++) {
    bans.charge(id(index), '', BAN_AT.node, 'x');
    clock.advance(1);
  }
  assert.equal(bans.size, MAX_CHARGED);
  assert.ok(!bans.isNodeBanned(id(0)) && bans.isNodeBanned(id(MAX_CHARGED + 4)));
});

test('bans outlive a restart, with how often; nonsense in the file is left out', () => {
  const { clock, bans } = make();
  bans.charge(id(1), '', BAN_AT.node, 'bad_mac');
  clock.advance(BAN_FIRST_MS);
  bans.charge(id(1), '', BAN_AT.node, 'bad_mac');
  bans.charge(id(2), '', 50, 'x');
  const saved: unknown[] = JSON.parse(JSON.stringify(bans.snapshot()));
  const again = new BanList({ clock, meter: new MemoryMeter() });
  const good = saved[0] as object;
  again.restore([
    null,
    5,
    {},
    { ...good, kind: 'x' },
    { ...good, key: 'zz' },
    { ...good, bans: 0 },
    ...saved,
  ]);
  assert.deepEqual(again.list(), bans.list());
  assert.equal(again.list()[0]?.bans, 2);
  again.restore([{ ...good, key: id(3), until_ms: Number.MAX_SAFE_INTEGER }]);
  assert.ok(again.list().every(({ until_ms }) => until_ms <= clock.nowMs() + BAN_MAX_MS));
});

test('every charge says why, and none bans alone', () => {
  for (const [reason, { points, why }] of Object.entries(MISBEHAVIOUR)) {
    assert.ok(why.length > 10 && points > 0 && points < BAN_AT.node, reason);
    assert.equal(pointsFor(reason), points);
  }
  assert.equal(pointsFor('known'), 0);
  assert.equal(pointsFor('toString'), 0);
});
