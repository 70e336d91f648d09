import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex } from '../base/bytes.ts';
import { hashToText } from './hash_text.ts';
import { type BlockHeader, expandTarget, isOldTip, readHeader, workRuleOf } from './header_proof.ts';

const header = (text: string): BlockHeader =>
  readHeader(fromHex(text) ?? new Uint8Array()) ?? assert.fail('no header');

const MERKLE_ROOT = '3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a';
const FIRST_OF_BITCOIN = header(`01000000${'00'.repeat(32)}${MERKLE_ROOT}29ab5f49ffff001d1dac2b7c`);
const FIRST_OF_REGTEST = header(`01000000${'00'.repeat(32)}${MERKLE_ROOT}dae5494dffff7f2002000000`);

test('a header is read: hash, previous, merkle root, target', () => {
  assert.equal(FIRST_OF_BITCOIN.hash, '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f');
  assert.equal(FIRST_OF_BITCOIN.previous, '00'.repeat(32));
  assert.equal(
    hashToText(FIRST_OF_BITCOIN.merkleRoot),
    '4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b',
  );
  assert.equal(FIRST_OF_BITCOIN.bits, 0x1d00ffff);
  assert.equal(readHeader(new Uint8Array(79)), undefined);
  assert.equal(readHeader(new Uint8Array(81)), undefined);
});

test('the first blocks meet their own targets, regtest included', () => {
  assert.equal(workRuleOf('bitcoin')(FIRST_OF_BITCOIN, 0), undefined);
  assert.equal(workRuleOf('regtest')(FIRST_OF_REGTEST, 0), undefined);
});

test('a header without the work that it claims is refused', () => {
  assert.equal(
    workRuleOf('regtest')({ ...FIRST_OF_REGTEST, hash: `80${'00'.repeat(31)}` }, 1),
    'it does not meet its own target',
  );
  const changed = header(`01000000${'00'.repeat(32)}${MERKLE_ROOT}29ab5f49ffff001d1dac2b7d`);
  assert.equal(workRuleOf('bitcoin')(changed, 0), 'it does not meet its own target');
});

test('a target easier than the network allows is refused', () => {
  assert.match(workRuleOf('bitcoin')(FIRST_OF_REGTEST, 0) ?? '', /too easy for bitcoin/);
  assert.match(
    workRuleOf('signet')({ ...FIRST_OF_BITCOIN, bits: 0x1e0377af }, 0) ?? '',
    /too easy for signet/,
  );
});

test('on bitcoin, from segwit on, a block of difficulty 1 is no block', () => {
  const rule = workRuleOf('bitcoin');
  assert.equal(rule(FIRST_OF_BITCOIN, 481_823), undefined);
  assert.match(rule(FIRST_OF_BITCOIN, 481_824) ?? '', /too easy/);
  const hard = { ...FIRST_OF_BITCOIN, bits: 0x18013ce9, hash: `${'00'.repeat(9)}${'11'.repeat(23)}` };
  assert.equal(rule(hard, 481_824), undefined);
  assert.equal(workRuleOf('testnet')(FIRST_OF_BITCOIN, 2_000_000), undefined);
});

test('a tip of more than a day ago is no complete chain, regtest excepted', () => {
  const { time } = FIRST_OF_BITCOIN;
  assert.equal(time, 1_231_006_505);
  assert.equal(isOldTip(FIRST_OF_BITCOIN, (time + 86_400) * 1000, 'bitcoin'), false);
  assert.equal(isOldTip(FIRST_OF_BITCOIN, (time + 86_401) * 1000, 'bitcoin'), true);
  assert.equal(isOldTip(FIRST_OF_REGTEST, (time + 999_999_999) * 1000, 'regtest'), false);
});

test('targets: zero, negative and above 256 bits are none', () => {
  assert.equal(expandTarget(0x1d00ffff), 0xffffn << 208n);
  assert.equal(expandTarget(0x0300ffff), 0xffffn);
  assert.equal(expandTarget(0x0200ffff), 0xffn);
  for (const bits of [0, 0x1d000000, 0x1d800001, 0x2100ffff, 0x01000001])
    assert.equal(expandTarget(bits), undefined);
});
