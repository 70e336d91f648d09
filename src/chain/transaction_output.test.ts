import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, fromHex } from '../base/bytes.ts';
import { seededRng } from '../base/rng.ts';
import { doubleSha256 } from '../crypto/hash.ts';
import { hashToText } from './hash_text.ts';
import { readTransaction, spendsOutput, transactionOutput } from './transaction_output.ts';

const hex = (text: string): Uint8Array => fromHex(text) ?? assert.fail('bad hex');

// The first transaction of all: one input, one output of 50 bitcoin.
const GENESIS = hex(
  `01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000`,
);
const PARENT = hex('ab'.repeat(32));
const SCRIPT = hex(`0020${'cd'.repeat(32)}`);

// Version; two inputs (an outpoint, an empty script, a sequence); two outputs (value, script); locktime.
const BODY = concatBytes(
  hex('02'),
  concatBytes(PARENT, hex('0300000000fdffffff')),
  concatBytes(PARENT, hex('0500000000fdffffff')),
  hex('02'),
  concatBytes(hex('e803000000000000'), hex('0100')),
  concatBytes(hex('ffffffffffff0700'), hex('22'), SCRIPT),
);
const WITNESS = concatBytes(hex('020003aabbcc'), hex('00'));
const LOCKTIME = hex('11000000');
const SEGWIT = concatBytes(hex('02000000'), hex('0001'), BODY, WITNESS, LOCKTIME);
const STRIPPED = concatBytes(hex('02000000'), BODY, LOCKTIME);

test('an old transaction: its txid is the hash of all bytes', () => {
  const view = readTransaction(GENESIS);
  assert.ok(view);
  assert.equal(hashToText(view.txid), '4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b');
  assert.equal(transactionOutput(view, 0)?.satoshis, 5_000_000_000n);
  assert.equal(transactionOutput(view, 0)?.script.length, 67);
});

test('a segwit transaction: the witness is no part of the txid', () => {
  const view = readTransaction(SEGWIT);
  assert.ok(view);
  assert.equal(hashToText(view.txid), hashToText(doubleSha256(STRIPPED)));
  assert.equal(view.strippedBytes, STRIPPED.length);
  assert.deepEqual(transactionOutput(view, 1), { script: SCRIPT, satoshis: 0x7ffffffffffffn });
  assert.deepEqual(transactionOutput(view, 0), { script: Uint8Array.of(0), satoshis: 1000n });
  assert.equal(transactionOutput(view, 2), undefined);
  assert.equal(transactionOutput(view, -1), undefined);
});

test('which outputs a transaction spends', () => {
  const view = readTransaction(SEGWIT);
  assert.ok(view);
  assert.deepEqual(
    [3, 5, 4].map((vout) => spendsOutput(view, PARENT, vout)),
    [true, true, false],
  );
  assert.equal(spendsOutput(view, new Uint8Array(32), 3), false);
});

test('bytes that end at any earlier place, or later, are no transaction', () => {
  for (const whole of [GENESIS, SEGWIT, STRIPPED]) {
    for (let end = 0; end < whole.length; end++) {
      assert.equal(readTransaction(whole.subarray(0, end)), undefined, `${end} of ${whole.length}`);
    }
    assert.equal(readTransaction(concatBytes(whole, hex('00'))), undefined);
  }
});

test('counts and lengths that claim more than there is are no transaction', () => {
  for (const count of ['fdffff', 'feffffffff', 'ffffffffff00000000', 'ffffffffffffffffff']) {
    assert.equal(readTransaction(concatBytes(hex('02000000'), hex(count), STRIPPED.subarray(5))), undefined);
    assert.equal(
      readTransaction(concatBytes(GENESIS.subarray(0, 41), hex(count), GENESIS.subarray(42))),
      undefined,
    );
  }
});

test('random bytes never throw', () => {
  const rng = seededRng(5);
  for (let round = 0; round < 3000; round++) {
    const bytes = Uint8Array.from(round % 2 === 0 ? SEGWIT : GENESIS);
    for (let hit = 0; hit < 3; hit++) {
      bytes[Math.floor(rng.fraction() * bytes.length)] = Math.floor(rng.fraction() * 256);
    }
    const view = readTransaction(bytes);
    if (view === undefined) continue;
    for (let vout = 0; vout < 3; vout++) transactionOutput(view, vout);
    spendsOutput(view, PARENT, 3);
  }
});
