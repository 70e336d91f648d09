import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, own } from '../../src/base/bytes.ts';
import { NETWORKS } from '../../src/base/chain_hash.ts';
import { scidToText } from '../../src/base/short_channel_id.ts';
import { fundingScriptPubkey } from '../../src/crypto/funding_script.ts';
import { doubleSha256 } from '../../src/crypto/hash.ts';
import { fromText, merkleRootHash, toText } from './fake_block.ts';
import { FakeChain } from './fake_chain.ts';

const key = (fill: number): Uint8Array => new Uint8Array(33).fill(fill).fill(2, 0, 1);

test('the fake chain stands on the genesis block of regtest', () => {
  const chain = new FakeChain(1, 0);
  const { header, txids, raw } = chain.block(chain.tip.hash)!;
  assert.equal(toText(NETWORKS.regtest.chainHashBytes), chain.hashAt(0));
  assert.deepEqual(header.subarray(36, 68), merkleRootHash(txids.map(fromText)));
  assert.equal(raw.length, 285);
});

test('blocks of the fake chain link by hash, and commit to their transactions', () => {
  const chain = new FakeChain(2, 3);
  chain.filler(5);
  chain.mine();
  for (let height = 1; height <= chain.height; height++) {
    const block = chain.block(chain.hashAt(height)!)!;
    assert.equal(toText(doubleSha256(block.header)), block.hash);
    assert.equal(toText(block.header.subarray(4, 36)), chain.hashAt(height - 1));
    assert.deepEqual(block.header.subarray(36, 68), merkleRootHash(block.txids.map(fromText)));
  }
  assert.equal(chain.block(chain.tip.hash)!.txs.length, 6);
});

test('a funding output of the fake chain is the one that BOLT 3 asks for, and its merkle branch leads to the root', () => {
  const chain = new FakeChain(3);
  chain.filler(4);
  const funding = chain.fundChannel(key(9), key(5), 1234n, { vout: 2 });
  chain.mine();
  assert.equal(scidToText(chain.scidOf(funding)!), `${chain.height}x5x2`);
  const output = chain.output(funding.tx.txid, 2)!;
  assert.deepEqual(output.script, fundingScriptPubkey(concatBytes(key(9), key(5)), 0, 33));
  assert.equal(output.satoshis, 1234n);
  let node = fromText(funding.tx.txid);
  const { merkle, pos } = chain.merkleProof(chain.height, 5)!;
  for (const [depth, other] of merkle.entries()) {
    const pair = (pos >>> depth) & 1 ? [fromText(other), node] : [node, fromText(other)];
    node = own(doubleSha256(concatBytes(...pair)));
  }
  assert.deepEqual(node, chain.header(chain.height)!.subarray(36, 68));
});

test('the fake chain returns, holds or drops transactions in a reorganisation', () => {
  const chain = new FakeChain(4, 2);
  const [channel] = chain.fundAndMine(70_000n);
  const { funding, scid } = channel!;
  chain.spend(funding);
  chain.mine();
  assert.equal(chain.output(funding.tx.txid, funding.vout)!.spentBy!.height, chain.height);
  const oldTip = chain.tip.hash;
  chain.reorganise(1, { transactions: 'hold' });
  assert.equal(chain.isBest(oldTip), false);
  assert.notEqual(chain.rawBlock(oldTip), undefined);
  assert.equal(chain.output(funding.tx.txid, funding.vout)!.spentBy, undefined);
  assert.equal(chain.mempool.length, 1);
  assert.equal(chain.scidOf(funding), scid);
  chain.reorganise(3, { transactions: 'drop' });
  assert.equal(chain.output(funding.tx.txid, funding.vout), undefined);
  assert.equal(chain.mempool.length, 0, 'the spend goes with what it spends');
});
