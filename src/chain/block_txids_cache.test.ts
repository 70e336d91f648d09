import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlockTxidsCache, MAX_BLOCK_TXIDS, MAX_CACHED_TXIDS, TXID_BYTES } from './block_txids_cache.ts';

const block = (txids: number): Uint8Array => new Uint8Array(txids * TXID_BYTES);

test('the cache never holds more txids than its maximum, and drops what was used longest ago', () => {
  const cache = new BlockTxidsCache(10, 100);
  cache.put('a', block(4));
  cache.put('b', block(4));
  assert.notEqual(cache.get('a'), undefined);
  cache.put('c', block(4));
  assert.equal(cache.get('b'), undefined, 'a was used since');
  assert.notEqual(cache.get('a'), undefined);
  assert.equal(cache.txids, 8);
  cache.put('d', block(10));
  assert.deepEqual([cache.blocks, cache.txids], [1, 10]);
});

test('the cache never holds more blocks than its maximum', () => {
  const cache = new BlockTxidsCache(1000, 3);
  for (let index = 0; index < 50; index++) cache.put(`block ${index}`, block(1));
  assert.deepEqual([cache.blocks, cache.txids], [3, 3]);
  assert.notEqual(cache.get('block 49'), undefined);
});

test('a block put twice counts once, and one that is more than the whole cache is not kept', () => {
  const cache = new BlockTxidsCache(5, 5);
  cache.put('a', block(3));
  cache.put('a', block(2));
  assert.deepEqual([cache.blocks, cache.txids], [1, 2]);
  cache.put('a', block(6));
  assert.deepEqual([cache.blocks, cache.txids], [0, 0]);
  assert.ok(MAX_BLOCK_TXIDS <= MAX_CACHED_TXIDS, 'every block fits');
});
