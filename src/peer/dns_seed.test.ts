import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseNodeId } from '../base/node_id.ts';
import { addressesFromSrv, MAX_SEED_ANSWERS, nodeIdFromBech32 } from './dns_seed.ts';
import { KNOWN_NODES } from './known_nodes.ts';
import { parsePeerAddress } from './peer_address.ts';

// A label out of BOLT 10's examples.
const LABEL = 'ln1qwktpe6jxltmpphyl578eax6fcjc2m807qalr76a5gfmx7k9qqfjwy4mctz';

test('B10-08: the label of a virtual host is the bech32 form of the node id', () => {
  const id = nodeIdFromBech32(LABEL);
  assert.equal(id, '03acb0e75237d7b086e4fd3c7cf4da4e25856ceff03bf1fb5da213b37ac5001327');
  assert.equal(nodeIdFromBech32(LABEL.toUpperCase()), id);
});

test('a damaged label is no node id', () => {
  assert.equal(nodeIdFromBech32(LABEL.replace('qwk', 'qwp')), undefined);
  for (const label of ['', 'ln1', 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4', 'ln1bbbbbbb', `${LABEL}q`]) {
    assert.equal(nodeIdFromBech32(label), undefined, label);
  }
});

test('B10-07: answers that name no node are left out, and no more than the bound is taken', () => {
  const good = { name: `${LABEL}.nodes.example`, port: 9736 };
  assert.deepEqual(addressesFromSrv([{ name: 'a.example', port: 9735 }, good]), [
    { node_id: nodeIdFromBech32(LABEL), host: good.name, port: 9736 },
  ]);
  assert.equal(addressesFromSrv(new Array(500).fill(good)).length, MAX_SEED_ANSWERS);
});

test('the built-in nodes are well-formed', () => {
  for (const text of KNOWN_NODES.bitcoin) {
    const address = parsePeerAddress(text, 9735);
    assert.ok(address !== undefined && parseNodeId(address.node_id) !== undefined, text);
  }
});
