import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLineTarget } from './line_socket.ts';

test('addresses: TCP, TLS, a fingerprint, an authority, IPv6', () => {
  const sha256 = 'ab'.repeat(32);
  assert.deepEqual(parseLineTarget('tcp://127.0.0.1:50001'), {
    host: '127.0.0.1',
    port: 50001,
    tls: undefined,
  });
  assert.deepEqual(parseLineTarget('tls://electrum.example:50002'), {
    host: 'electrum.example',
    port: 50002,
    tls: { kind: 'any' },
  });
  assert.deepEqual(parseLineTarget(`tls://[::1]:50002?fingerprint=${sha256.toUpperCase()}`), {
    host: '::1',
    port: 50002,
    tls: { kind: 'fingerprint', sha256 },
  });
  const colons = sha256.match(/../g)?.join(':');
  assert.deepEqual(parseLineTarget(`tls://h:1?fingerprint=${colons}`)?.tls, { kind: 'fingerprint', sha256 });
  assert.deepEqual(parseLineTarget('tls://h:1?verify=authority')?.tls, { kind: 'authority' });
});

test('what is no address is undefined', () => {
  for (const text of [
    ...[
      '',
      'h:1',
      'tcp://h',
      'tcp://h:0',
      'tcp://h:65536',
      'tcp://:1',
      'http://h:1',
      'tcp://h:1?verify=authority',
    ],
    ...['tls://h:1?fingerprint=abcd', 'tls://h:1?verify=maybe', 'tls://u@h:1', 'tls://h:1/path'],
  ]) {
    assert.equal(parseLineTarget(text), undefined, text);
  }
});
