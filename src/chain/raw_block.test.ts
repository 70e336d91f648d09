import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeChain } from '../../test/fixtures/chain_source.ts';
import { makeIdentity } from '../../test/fixtures/signed_gossip.ts';
import { bytesEqual, own } from '../base/bytes.ts';
import { seededRng } from '../base/rng.ts';
import { hashToText } from './hash_text.ts';
import { MAX_BLOCK_BYTES, type RawBlock, readRawBlock } from './raw_block.ts';

const [alice, bob] = [makeIdentity('alice'), makeIdentity('bob')];

/** A chain whose tip holds the spend of a channel among others, and the channel's funding. */
const spentChain = (fillers = 5) => {
  const chain = new FakeChain(7, 3);
  const funding = chain.fundChannel(alice.key, bob.key, 100_000n, { vout: 2 });
  chain.filler(3);
  chain.mine();
  chain.filler(fillers);
  chain.spend(funding);
  const block = chain.mine();
  return { chain, funding, block };
};

test('a spend of a two-of-two is found with both keys and the outpoint; the header links to the block before (B7-43)', () => {
  const { chain, funding, block } = spentChain();
  const read = readRawBlock(block.raw, block.hash) as RawBlock;
  assert.equal(read.hash, block.hash);
  assert.equal(read.previous, chain.hashAt(block.height - 1));
  assert.equal(read.transactions, block.txids.length);
  assert.equal(read.spends.length, 1);
  const [spend] = read.spends;
  const keyAt = (at: number): Uint8Array => block.raw.subarray(at, at + 33);
  const keys = [keyAt(spend!.key1At), keyAt(spend!.key2At)];
  for (const { key } of [alice, bob]) assert.ok(keys.some((found) => bytesEqual(found, key)));
  assert.equal(hashToText(block.raw.subarray(spend!.txidAt, spend!.txidAt + 32)), funding.tx.txid);
  assert.equal(spend!.vout, 2);
});

test('every block of a chain reads, whatever its number of transactions: the merkle root fits', () => {
  const chain = new FakeChain(3);
  for (let count = 0; count < 10; count++) {
    chain.filler(count);
    const block = chain.mine();
    const read = readRawBlock(block.raw, block.hash) as RawBlock;
    assert.equal(read.transactions, count + 1);
    assert.deepEqual(read.spends, []);
  }
  const genesis = chain.block(chain.hashAt(0)!)!;
  assert.equal((readRawBlock(genesis.raw, genesis.hash) as RawBlock).transactions, 1);
});

test('other_block: the bytes are a block, but not the one that was asked for', () => {
  const { chain, block } = spentChain();
  assert.equal(readRawBlock(block.raw, chain.hashAt(1)!), 'other_block');
});

test('merkle_root_mismatch: a transaction was changed, the header was not', () => {
  const { block } = spentChain();
  const locktime = own(block.raw);
  locktime[block.raw.length - 1] = 1;
  assert.equal(readRawBlock(locktime, block.hash), 'merkle_root_mismatch');
});

test('malformed: cut at any byte, or with bytes behind its end', () => {
  const { block } = spentChain();
  for (let length = 0; length < block.raw.length; length++) {
    const read = readRawBlock(block.raw.subarray(0, length), block.hash);
    assert.equal(read, 'malformed', `cut to ${length}`);
  }
  const longer = new Uint8Array(block.raw.length + 1);
  longer.set(block.raw);
  assert.equal(readRawBlock(longer, block.hash), 'malformed');
});

test('malformed or mismatching bytes are a value, whatever they are', () => {
  const { block } = spentChain(1);
  const rng = seededRng(5);
  for (let round = 0; round < 3000; round++) {
    const spoiled = own(block.raw);
    for (let flips = 0; flips < 3; flips++) {
      const at = 80 + Math.floor(rng.fraction() * (spoiled.length - 80));
      spoiled[at] = Math.floor(rng.fraction() * 256);
    }
    const read = readRawBlock(spoiled, block.hash);
    assert.ok(typeof read === 'object' || read === 'malformed' || read === 'merkle_root_mismatch');
  }
  // A count of four billion transactions, and one in the nine-byte form.
  for (const head of [0xfe, 0xff]) {
    const spoiled = own(block.raw);
    spoiled.fill(head, 80, 89);
    assert.equal(readRawBlock(spoiled, block.hash), 'malformed');
  }
});

test('too_large: MAX_BLOCK_BYTES is the most', () => {
  const { block } = spentChain();
  assert.equal(readRawBlock(new Uint8Array(MAX_BLOCK_BYTES + 1), block.hash), 'too_large');
  assert.equal(readRawBlock(new Uint8Array(MAX_BLOCK_BYTES), block.hash), 'other_block');
});
