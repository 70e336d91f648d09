import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chainChoiceShown, parseChainChoice } from './chain_choice.ts';

test('every backend can be named', () => {
  assert.deepEqual(parseChainChoice('none'), { kind: 'none' });
  assert.deepEqual(parseChainChoice('table:/a b'), { kind: 'table', path: '/a b' });
  assert.deepEqual(parseChainChoice('bitcoind:http://alice:p%40ss@127.0.0.1:8332/'), {
    kind: 'bitcoind',
    url: 'http://127.0.0.1:8332',
    user: 'alice',
    password: 'p@ss',
  });
  assert.deepEqual(parseChainChoice('bitcoind:http://[::1]:18443'), {
    kind: 'bitcoind',
    url: 'http://[::1]:18443',
    user: undefined,
    password: undefined,
  });
  assert.deepEqual(parseChainChoice('bitcoind-rest:http://localhost:8332'), {
    kind: 'bitcoind-rest',
    url: 'http://localhost:8332',
  });
  assert.deepEqual(parseChainChoice('electrum:tls://electrum.example:50002'), {
    kind: 'electrum',
    target: { host: 'electrum.example', port: 50_002, tls: { kind: 'any' } },
  });
  assert.deepEqual(parseChainChoice('electrum:tcp://[::1]:1234'), {
    kind: 'electrum',
    target: { host: '::1', port: 1234, tls: undefined },
  });
  assert.deepEqual(parseChainChoice('esplora:https://blockstream.info/api/'), {
    kind: 'esplora',
    url: 'https://blockstream.info/api',
  });
});

test('what names no backend is refused', () => {
  const bad = [
    ...['', 'bitcoind', 'bitcoind:', 'bitcoind:127.0.0.1:8332', 'bitcoind:ftp://a', 'table:', 'nothing'],
    ...[
      'electrum:https://a',
      'electrum:tls://',
      'electrum:tls://host',
      'electrum:tls://a/path',
      'esplora:https://user@a',
      'bitcoind:http://%zz@a',
    ],
  ];
  for (const text of bad) assert.equal(parseChainChoice(text), undefined, text);
});

test('a password is not shown', () => {
  assert.equal(chainChoiceShown('bitcoind:http://alice:secret@host:1/'), 'bitcoind:http://alice:•••@host:1/');
  assert.equal(chainChoiceShown('electrum:tls://host'), 'electrum:tls://host');
});
