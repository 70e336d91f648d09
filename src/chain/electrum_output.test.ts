import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, fromHex, own, toHex } from '../base/bytes.ts';
import { doubleSha256 } from '../crypto/hash.ts';
import { ElectrumHeaders } from './electrum_headers.ts';
import { type ElectrumChainView, proveInBlock, provenOutput, provenTransaction } from './electrum_output.ts';
import type { ElectrumAnswer } from './electrum_session.ts';
import { Halt } from './halt.ts';
import { hashToText } from './hash_text.ts';
import { MAX_MERKLE_BRANCH } from './merkle_proof.ts';

const hex = (text: string): Uint8Array => fromHex(text) ?? assert.fail('bad hex');

/** A transaction of 60 bytes and its script. */
const transaction = (script: string): Uint8Array =>
  concatBytes(
    hex(`0200000001${'11'.repeat(32)}0000000000ffffffff01e803000000000000`),
    Uint8Array.of(script.length / 2),
    hex(script),
    hex('00000000'),
  );

const RAW = transaction('0014aabbccdd');
const TXID = own(doubleSha256(RAW));
const TEXT = hashToText(TXID);

/** The only block has height 3 and one transaction. */
const stage = (answers: Readonly<Record<string, ElectrumAnswer | unknown>>): ElectrumChainView => {
  const headers = new ElectrumHeaders(
    () => undefined,
    () => {},
  );
  headers.takeTip({ height: 3, hex: toHex(concatBytes(new Uint8Array(36), TXID, new Uint8Array(12))) });
  return {
    headers,
    ask: (method) => Promise.resolve({ kind: 'result', result: answers[method.split('.').at(-1) ?? ''] }),
  };
};

const faultOf = (value: unknown): string | undefined => (value instanceof Halt ? value.fault : undefined);
const PLACE = { height: 3, position: 0, vout: 0 };

test('a block of one transaction: the branch is empty, in both dialects', async () => {
  for (const place of [{ tx_hash: TEXT }, { tx_id: TEXT }]) {
    const view = stage({ id_from_pos: { ...place, merkle: [] }, get: toHex(RAW) });
    const output = await provenOutput(view, PLACE);
    assert.deepEqual(output, {
      txid: TXID,
      vout: 0,
      height: 3,
      script: hex('0014aabbccdd'),
      satoshis: 1000n,
    });
  }
});

test('malformed: places without a hash or a branch, branches that are none or too long', async () => {
  const branch = Array.from({ length: MAX_MERKLE_BRANCH + 1 }, () => TEXT);
  const places: unknown[] = [
    ...[null, 'x', TEXT, [], {}, { tx_hash: TEXT }, { tx_hash: 7, merkle: [] }],
    ...[
      { tx_hash: TEXT, merkle: {} },
      { tx_hash: TEXT, merkle: ['ab'] },
      { tx_hash: TEXT, merkle: branch },
    ],
  ];
  for (const id_from_pos of places) {
    assert.equal(
      faultOf(await provenOutput(stage({ id_from_pos }), PLACE)),
      'malformed',
      JSON.stringify(id_from_pos),
    );
  }
  for (const get_merkle of [null, { merkle: [] }, { merkle: [], pos: 0.5 }, { merkle: branch, pos: 0 }]) {
    assert.equal(faultOf(await proveInBlock(stage({ get_merkle }), TXID, 3)), 'malformed');
  }
});

test('false_proof: another transaction than the root proves', async () => {
  const other = { tx_hash: '22'.repeat(32), merkle: [] };
  assert.equal(faultOf(await provenOutput(stage({ id_from_pos: other }), PLACE)), 'false_proof');
  assert.equal(
    faultOf(await proveInBlock(stage({ get_merkle: { merkle: [], pos: 1 } }), TXID, 3)),
    'false_proof',
  );
  assert.equal(await proveInBlock(stage({ get_merkle: { merkle: [], pos: 0 } }), TXID, 3), undefined);
});

test('malformed and wrong_transaction: bytes that are no transaction, or another', async () => {
  for (const get of [null, 7, 'xyz', '', toHex(RAW).slice(2), { hex: toHex(RAW) }]) {
    assert.equal(faultOf(await provenTransaction(stage({ get }), TXID)), 'malformed');
  }
  const other = toHex(transaction('0014aabbccde'));
  assert.equal(faultOf(await provenTransaction(stage({ get: other }), TXID)), 'wrong_transaction');
});

test('wrong_transaction: 64 bytes could be an inner node of the merkle tree, so they prove nothing', async () => {
  const raw = transaction('aabbccdd');
  assert.equal(raw.length, 64);
  const halt = await provenTransaction(stage({ get: toHex(raw) }), own(doubleSha256(raw)));
  assert.equal(faultOf(halt), 'wrong_transaction');
});

test('a height above the tip is no longer there when it is asked for', async () => {
  const halt = await proveInBlock(stage({ get_merkle: { merkle: [], pos: 0 } }), TXID, 4);
  assert.ok(halt instanceof Halt);
  assert.equal(halt.result.found, 'unavailable');
});
