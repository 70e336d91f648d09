import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, fromHex, toHex } from '../base/bytes.ts';
import { ElectrumHeaders, type HeaderResult, MAX_ELECTRUM_HEADERS } from './electrum_headers.ts';
import { hashFromText } from './hash_text.ts';
import { readHeader } from './header_proof.ts';

/** Headers that link, from height 0; `salt` tells chains apart. */
const makeChain = (count: number, salt: number, from: readonly string[] = []): string[] => {
  const chain = [...from];
  while (chain.length < count) {
    const before = readHeader(fromHex(chain.at(-1) ?? '') ?? new Uint8Array());
    const previous = hashFromText(before?.hash) ?? new Uint8Array(32);
    const rest = new Uint8Array(44);
    rest[0] = salt;
    rest[1] = chain.length & 0xff;
    rest[2] = chain.length >>> 8;
    chain.push(toHex(concatBytes(new Uint8Array(4), previous, rest)));
  }
  return chain;
};

const make = (): { headers: ElectrumHeaders; forgotten: () => number } => {
  let forgotten = 0;
  const headers = new ElectrumHeaders(
    () => undefined,
    () => forgotten++,
  );
  return { headers, forgotten: () => forgotten };
};

const at = (headers: ElectrumHeaders, height: number, hex: unknown): Promise<HeaderResult> =>
  headers.at(height, () => Promise.resolve({ kind: 'result', result: hex }));

test('a tip that follows keeps what is known; one that does not opens a new epoch', () => {
  const { headers, forgotten } = make();
  const chain = makeChain(5, 1);
  assert.equal(headers.takeTip({ height: 2, hex: chain[2] }), 'changed');
  const { epoch } = headers;
  assert.equal(headers.takeTip({ height: 3, hex: chain[3] }), 'changed');
  assert.equal(headers.takeTip({ height: 3, hex: chain[3] }), 'same');
  assert.equal(headers.epoch, epoch);
  assert.equal(headers.size, 2);
  const other = makeChain(5, 2, chain.slice(0, 3));
  assert.equal(headers.takeTip({ height: 3, hex: other[3] }), 'changed');
  assert.equal(headers.epoch, epoch + 1);
  assert.equal(headers.size, 1);
  assert.equal(headers.takeTip({ height: 1, hex: chain[1] }), 'changed');
  assert.equal(forgotten(), headers.epoch);
});

test('a tip without height, of other length or without work is a fault, and the old one stays', () => {
  const [first = ''] = makeChain(1, 1);
  const headers = new ElectrumHeaders(
    (_, height) => (height === 9 ? 'no work' : undefined),
    () => {},
  );
  headers.takeTip({ height: 0, hex: first });
  for (const value of [
    null,
    [],
    {},
    { height: 1 },
    { height: -1, hex: first },
    { height: 1.5, hex: first },
  ]) {
    assert.notEqual(typeof headers.takeTip(value), 'string');
  }
  assert.deepEqual(headers.takeTip({ height: 1, hex: 'abcd' }), {
    fault: 'its header 1 is not 80 bytes of hex',
  });
  assert.deepEqual(headers.takeTip({ height: 9, hex: first }), {
    fault: 'its header 9 shows no work: no work',
  });
  assert.equal(headers.tip?.height, 0);
});

test('a header must link to its neighbours where they are known', async () => {
  const { headers } = make();
  const [chain, other] = [makeChain(6, 1), makeChain(6, 2)];
  headers.takeTip({ height: 5, hex: chain[5] });
  assert.equal((await at(headers, 4, chain[4])).kind, 'header');
  assert.equal((await at(headers, 2, chain[2])).kind, 'header');
  const { epoch } = headers;
  const bent = await at(headers, 3, other[3]);
  assert.match(bent.kind === 'fault' ? bent.reason : '', /header 3 does not link/);
  assert.equal(headers.epoch, epoch + 1, 'nobody can tell which of them is wrong: all are forgotten');
  assert.equal((await at(headers, 5, other[5])).kind, 'fault', 'the tip is known by its hash');
});

test('known headers are not asked for again; refusals and silence are unavailable', async () => {
  const { headers } = make();
  const chain = makeChain(3, 1);
  headers.takeTip({ height: 2, hex: chain[2] });
  const never = () => assert.fail('asked');
  assert.equal((await headers.at(2, never)).kind, 'header');
  const refused = await headers.at(1, () => Promise.resolve({ kind: 'refused', code: 1, message: 'gone' }));
  assert.match(
    refused.kind === 'unavailable' ? refused.reason : '',
    /no header for height 1 \(gone\), below its own tip/,
  );
  assert.equal(
    (await headers.at(1, () => Promise.resolve({ kind: 'unavailable', reason: 'x' }))).kind,
    'unavailable',
  );
  const late = await headers.at(1, () => {
    headers.forget();
    return Promise.resolve({ kind: 'result', result: chain[1] });
  });
  assert.equal(late.kind, 'unavailable', 'an answer of an older epoch');
});

test('MAX_ELECTRUM_HEADERS: the header used longest ago is forgotten', async () => {
  const { headers } = make();
  const chain = makeChain(MAX_ELECTRUM_HEADERS + 3, 1);
  headers.takeTip({ height: chain.length - 1, hex: chain.at(-1) });
  for (const [height, hex] of chain.entries()) await at(headers, height, hex);
  assert.equal(headers.size, MAX_ELECTRUM_HEADERS);
  let asked = 0;
  await headers.at(0, () => {
    asked++;
    return Promise.resolve({ kind: 'result', result: chain[0] });
  });
  assert.equal(asked, 1);
});
