import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePeerAddress, peerAddressText } from './peer_address.ts';
import { isPublicHost } from './public_host.ts';

const ID = `02${'ab'.repeat(32)}`;

test('addresses of peers read and print in every form', () => {
  assert.deepEqual(parsePeerAddress(`${ID}@10.0.0.1:9000`, 9735), {
    node_id: ID,
    host: '10.0.0.1',
    port: 9000,
  });
  assert.deepEqual(parsePeerAddress(`${ID.toUpperCase()}@node.example`, 9735), {
    node_id: ID,
    host: 'node.example',
    port: 9735,
  });
  const six = parsePeerAddress(`${ID}@[2001:db8::1]:9735`, 1);
  assert.deepEqual(six, { node_id: ID, host: '2001:db8::1', port: 9735 });
  assert.equal(peerAddressText(six!), `${ID}@[2001:db8::1]:9735`);
});

test('what is no address of a peer is refused', () => {
  for (const text of [
    '',
    ID,
    `${ID}@`,
    `04${'ab'.repeat(32)}@h:1`,
    `${ID}@h:0`,
    `${ID}@h:65536`,
    `${ID}@h:1:2`,
    'x@h:1',
  ]) {
    assert.equal(parsePeerAddress(text, 9735), undefined, text);
  }
});

test('B1-17: only addresses of the public internet count as public', () => {
  for (const host of ['8.8.8.8', '172.32.0.1', '::ffff:1.1.1.1', '2606:4700::1111'])
    assert.equal(isPublicHost(host), true, host);
  const not = [
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.1.1',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '::1',
    '::',
    'fe80::1',
    'fd00::1',
    '::ffff:10.0.0.1',
    'node.example',
    'abc.onion',
    '',
  ];
  for (const host of not) assert.equal(isPublicHost(host), false, host);
});
