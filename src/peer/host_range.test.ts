import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostRange, isOnion } from './host_range.ts';

test('an IPv4 address is counted by itself, its /24 and its /16, also in its IPv6 form', () => {
  const expected = { address: '203.0.113.9', near: '203.0.113.0/24', wide: '203.0.0.0/16' };
  assert.deepEqual(hostRange('203.0.113.9'), expected);
  assert.deepEqual(hostRange('::ffff:203.0.113.9'), expected);
});

test('an IPv6 address is counted by its /64, its /48 and its /32, however it is written', () => {
  const expected = { address: '2001:db8:1:2::/64', near: '2001:db8:1::/48', wide: '2001:db8::/32' };
  for (const host of ['2001:db8:1:2::9', '2001:0DB8:0001:0002:0:0:0:9', '[2001:db8:1:2:3:4:5:6]'])
    assert.deepEqual(hostRange(host), expected, host);
  assert.deepEqual(hostRange('2001:db8::')?.address, '2001:db8:0:0::/64');
});

test('addresses that strangers share have no range: loopback (Tor comes from there), private, link-local, nonsense', () => {
  for (const host of [
    ...['127.0.0.1', '::1', '::ffff:127.0.0.1', 'localhost', '10.1.2.3', '172.17.0.1', '192.168.1.1'],
    ...['fe80::1%eth0', 'fd00::1', '', '2001:db8::1::2', '2001:db8:1', '2001:zz::1'],
  ])
    assert.equal(hostRange(host), undefined, host);
});

test('onion and DNS names stand for themselves', () => {
  const onion = `${'a'.repeat(56)}.onion`;
  assert.equal(hostRange(onion)?.wide, `name ${onion}`);
  assert.equal(hostRange('Node.Example.org')?.near, 'name node.example.org');
  assert.ok(isOnion(onion) && !isOnion('onion.example.org'));
});
