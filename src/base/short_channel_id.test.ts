import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  parseScid,
  scidBlock,
  scidFromHalves,
  scidFromParts,
  scidHi,
  scidLo,
  scidOutput,
  scidText,
  scidToText,
  scidTransaction,
} from './short_channel_id.ts';

test('B7-41: the three spellings name the same channel', () => {
  const scid = scidFromParts(539268, 845, 1);
  assert.equal(scidToText(scid), '539268x845x1');
  for (const text of ['539268x845x1', '539268:845:1', String(scid), ' 539268x845x1 '])
    assert.equal(parseScid(text), scid, text);
});

test('the halves hold block, transaction and output up to their limits', () => {
  for (const [block, transaction, output] of [
    [0, 0, 0],
    [1, 2, 3],
    [0xffffff, 0xffffff, 0xffff],
    [800_000, 0x10000, 7],
  ] as const) {
    const scid = scidFromParts(block, transaction, output);
    const [hi, lo] = [scidHi(scid), scidLo(scid)];
    assert.deepEqual([scidBlock(hi), scidTransaction(hi, lo), scidOutput(lo)], [block, transaction, output]);
    assert.equal(scidFromHalves(hi, lo), scid);
    assert.equal(parseScid(scidText(hi, lo)), scid);
  }
});

test('text that is no short_channel_id is refused', () => {
  const bad = [
    '',
    'x',
    '1x2',
    '1x2x3x4',
    '16777216x0x0',
    '0x16777216x0',
    '0x0x65536',
    '-1x2x3',
    '18446744073709551616',
    '1.5',
    '0x10',
  ];
  for (const text of bad) assert.equal(parseScid(text), undefined, text);
});
