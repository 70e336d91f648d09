import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '../base/bytes.ts';
import { seededRng } from '../base/rng.ts';
import {
  packTxids,
  readBitcoinAmount,
  readChainInfo,
  readHash,
  readHeight,
  readHex,
  readScript,
} from './bitcoind_values.ts';
import { MAX_BLOCK_TXIDS } from './block_txids_cache.ts';

const parsed = (json: string): bigint | undefined => readBitcoinAmount(JSON.parse(json));

test('amounts become satoshi exactly, however the number is written', () => {
  assert.equal(parsed('0.1'), 10_000_000n);
  assert.equal(parsed('1e-8'), 1n);
  assert.equal(parsed('1E-08'), 1n);
  assert.equal(parsed('0.00000001'), 1n);
  assert.equal(parsed('0'), 0n);
  assert.equal(parsed('0.29'), 29_000_000n);
  assert.equal(parsed('21000000'), 2_100_000_000_000_000n);
  assert.equal(parsed('21000000.00000000'), 2_100_000_000_000_000n);
  assert.equal(parsed('20999999.99999999'), 2_099_999_999_999_999n);
  assert.equal(parsed('2.1e7'), 2_100_000_000_000_000n);
});

test('20,000 amounts over the whole range survive the way through JSON', () => {
  const rng = seededRng(8);
  for (let round = 0; round < 20_000; round++) {
    const size = 10 ** (rng.fraction() * 15.33);
    const satoshis = BigInt(Math.min(Math.floor(size), 2_100_000_000_000_000));
    const text = `${satoshis / 100_000_000n}.${String(satoshis % 100_000_000n).padStart(8, '0')}`;
    assert.equal(parsed(text), satoshis, text);
  }
});

test('what is no amount is undefined: text, negative, too much, more than eight decimals', () => {
  for (const json of [
    '"1.0"',
    '-1',
    '-0.00000001',
    '21000000.00000001',
    '1e300',
    'null',
    '{}',
    '[1]',
    'true',
  ]) {
    assert.equal(parsed(json), undefined, json);
  }
  assert.equal(parsed('0.123456789'), undefined);
  assert.equal(parsed('1e-9'), undefined);
  assert.equal(readBitcoinAmount(Number.NaN), undefined);
  assert.equal(readBitcoinAmount(Number.POSITIVE_INFINITY), undefined);
});

test('hex is read in both cases, and only whole bytes within the bound', () => {
  assert.deepEqual(readHex('00fFa9', 3), Uint8Array.of(0, 0xff, 0xa9));
  for (const value of ['0', '0g', '00fFa9', 'é0', ' 0', 12, null, undefined]) {
    assert.equal(readHex(value, 2), undefined);
  }
  assert.deepEqual(readScript({ hex: '6a' }), Uint8Array.of(0x6a));
  assert.equal(readScript({ hex: '00'.repeat(10_001) }), undefined);
  assert.equal(readScript('6a'), undefined);
});

test('txids are packed in hashing order, and a list that no block can have is none', () => {
  const txid = 'ab'.repeat(31).concat('01');
  const packed = packTxids([txid, '00'.repeat(32)]);
  assert.equal(toHex(packed!), `01${'ab'.repeat(31)}${'00'.repeat(32)}`);
  const tooMany = new Array(MAX_BLOCK_TXIDS + 1).fill(txid);
  for (const list of [[], [txid, 1], [txid.slice(2)], [`${txid}00`], ['g'.repeat(64)], {}, null, tooMany]) {
    assert.equal(packTxids(list), undefined);
  }
});

test('hashes, heights and chain information of another shape are none', () => {
  assert.equal(readHash('A'.repeat(64)), 'a'.repeat(64));
  assert.equal(readHash('a'.repeat(63)), undefined);
  for (const height of [-1, 1.5, 2 ** 31, '1', null]) assert.equal(readHeight(height), undefined);
  const info = { chain: 'main', blocks: 5, bestblockhash: 'b'.repeat(64) };
  assert.deepEqual(readChainInfo(info), {
    chain: 'main',
    height: 5,
    hash: 'b'.repeat(64),
    isCatchingUp: false,
  });
  for (const wrong of [{ chain: 1 }, { chain: 'x'.repeat(33) }, { blocks: '5' }, { bestblockhash: 'b' }]) {
    assert.equal(readChainInfo({ ...info, ...wrong }), undefined);
  }
});
