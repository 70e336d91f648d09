import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, fromHex, own, toHex } from '../base/bytes.ts';
import { doubleSha256, sha256 } from '../crypto/hash.ts';
import { ElectrumHeaders } from './electrum_headers.ts';
import type { ElectrumChainView, ProvenOutput } from './electrum_output.ts';
import type { ElectrumAnswer } from './electrum_session.ts';
import { MAX_SPENDER_CANDIDATES, spendOf } from './electrum_spend.ts';
import { hashToText } from './hash_text.ts';

const hex = (text: string): Uint8Array => fromHex(text) ?? assert.fail('bad hex');

/** A transaction with one input and one output; `salt` makes it differ. */
const spending = (txid: Uint8Array, vout: number, salt = 0): { raw: Uint8Array; txid: Uint8Array } => {
  const input = concatBytes(txid, Uint8Array.of(vout, 0, 0, 0), hex('00ffffffff'));
  const output = concatBytes(Uint8Array.of(salt, 1, 0, 0, 0, 0, 0, 0), hex('0151'));
  const raw = concatBytes(hex('0200000001'), input, hex('01'), output, hex('00000000'));
  return { raw, txid: own(doubleSha256(raw)) };
};

const OUTPUT: ProvenOutput = {
  txid: new Uint8Array(32).fill(7),
  vout: 3,
  height: 5,
  script: hex(`0020${'ab'.repeat(32)}`),
  satoshis: 1000n,
};
const FUNDING = { tx_hash: hashToText(OUTPUT.txid), height: 5 };

interface Scene {
  readonly unspent?: unknown;
  readonly history?: readonly { tx_hash: string; height: number }[];
  readonly transactions?: readonly { raw: Uint8Array; txid: Uint8Array }[];
  /** The txid that is the merkle root of every block. */
  readonly root?: Uint8Array;
}

const stage = (scene: Scene): { view: ElectrumChainView; asked: string[] } => {
  const asked: string[] = [];
  const headers = new ElectrumHeaders(
    () => undefined,
    () => {},
  );
  const header = toHex(concatBytes(new Uint8Array(36), scene.root ?? new Uint8Array(32), new Uint8Array(12)));
  headers.takeTip({ height: 1000, hex: header });
  const answers: Readonly<Record<string, (first: unknown) => unknown>> = {
    'blockchain.scripthash.listunspent': () => scene.unspent ?? [],
    'blockchain.scripthash.get_history': () => scene.history ?? [FUNDING],
    'blockchain.transaction.get': (text) =>
      toHex(scene.transactions?.find(({ txid }) => hashToText(txid) === text)?.raw ?? new Uint8Array()),
    'blockchain.transaction.get_merkle': () => ({ merkle: [], pos: 0 }),
    'blockchain.block.header': () => header,
  };
  const ask = (method: string, [first]: readonly unknown[]): Promise<ElectrumAnswer> => {
    asked.push(`${method}`);
    if (method.includes('scripthash')) assert.equal(first, hashToText(sha256(OUTPUT.script)));
    return Promise.resolve({ kind: 'result', result: answers[method]?.(first) });
  };
  return { view: { headers, ask }, asked };
};

const entry = ({ txid }: { txid: Uint8Array }, height: number) => ({ tx_hash: hashToText(txid), height });

test('listed with a height: unspent, with one question', async () => {
  const { view, asked } = stage({ unspent: [{ ...FUNDING, tx_pos: 3 }] });
  assert.equal(await spendOf(view, OUTPUT), undefined);
  assert.equal(asked.length, 1);
});

test('spent: the transaction that spends it is found among others and proven', async () => {
  const [other, spender] = [spending(OUTPUT.txid, 2), spending(OUTPUT.txid, 3)];
  const history = [FUNDING, entry(other, 6), entry(spender, 9)];
  const { view } = stage({
    unspent: [{ ...FUNDING, tx_pos: 2 }],
    history,
    transactions: [other, spender],
    root: spender.txid,
  });
  assert.deepEqual((await spendOf(view, OUTPUT))?.result, { found: 'none', why: 'spent', spentAtHeight: 9 });
});

test('false_proof: a spend that no block holds is not believed', async () => {
  const spender = spending(OUTPUT.txid, 3);
  const { view } = stage({ history: [FUNDING, entry(spender, 9)], transactions: [spender] });
  const halt = await spendOf(view, OUTPUT);
  assert.equal(halt?.fault, 'false_proof');
  assert.equal(halt?.result.found, 'unavailable');
});

test('a spend of the mempool does not count', async () => {
  const spender = spending(OUTPUT.txid, 3);
  for (const height of [0, -1]) {
    const { view } = stage({ history: [FUNDING, entry(spender, height)], transactions: [spender] });
    assert.equal(await spendOf(view, OUTPUT), undefined);
  }
});

test('neither listed nor spent, or left out of its own history: unavailable', async () => {
  assert.equal((await spendOf(stage({}).view, OUTPUT))?.result.found, 'unavailable');
  const halt = await spendOf(stage({ history: [] }).view, OUTPUT);
  assert.deepEqual([halt?.fault, halt?.result.found], ['contradiction', 'unavailable']);
});

test('malformed: lists that are none, and transactions that are other bytes', async () => {
  assert.equal((await spendOf(stage({ unspent: { a: 1 } }).view, OUTPUT))?.fault, 'malformed');
  const [spender, other] = [spending(OUTPUT.txid, 3), spending(OUTPUT.txid, 4)];
  const history = [FUNDING, entry(spender, 9)];
  assert.equal((await spendOf(stage({ history }).view, OUTPUT))?.fault, 'malformed');
  const swapped = { raw: other.raw, txid: spender.txid };
  assert.equal(
    (await spendOf(stage({ history, transactions: [swapped] }).view, OUTPUT))?.fault,
    'wrong_transaction',
  );
  const odd = [null, 7, [], { tx_hash: 'x', height: 1 }, { tx_hash: FUNDING.tx_hash, height: 'y' }];
  const { view } = stage({ unspent: odd });
  assert.equal((await spendOf(view, OUTPUT))?.result.found, 'unavailable');
});

test('MAX_SPENDER_CANDIDATES: a longer history is not fetched; the mempool still is', async () => {
  const many = Array.from({ length: MAX_SPENDER_CANDIDATES + 1 }, (_, salt) =>
    spending(OUTPUT.txid, 1, salt),
  );
  const confirmed = [FUNDING, ...many.map((transaction) => entry(transaction, 8))];
  const { view, asked } = stage({ history: confirmed, transactions: many });
  assert.deepEqual((await spendOf(view, OUTPUT))?.result, { found: 'none', why: 'spent' });
  assert.equal(asked.length, 2);
  const spender = spending(OUTPUT.txid, 3);
  const waiting = stage({ history: [...confirmed, entry(spender, 0)], transactions: [...many, spender] });
  assert.equal(await spendOf(waiting.view, OUTPUT), undefined);
  const crowd = stage({
    history: [FUNDING, ...many.map((transaction) => entry(transaction, 0))],
    transactions: many,
  });
  assert.equal((await spendOf(crowd.view, OUTPUT))?.result.found, 'unavailable');
  assert.equal(crowd.asked.length, 2);
});
