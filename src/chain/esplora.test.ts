import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, fromHex, own, writeU32 } from '../base/bytes.ts';
import { silentLog } from '../base/log.ts';
import { silentMeter } from '../base/meter.ts';
import { scidFromParts } from '../base/short_channel_id.ts';
import { ManualClock } from '../base/time.ts';
import { doubleSha256 } from '../crypto/hash.ts';
import type { ChainBackend } from './block_source.ts';
import { MAX_ESPLORA_HASHES, MAX_ESPLORA_OUTPUTS, openEsplora } from './esplora.ts';
import { hashToText } from './hash_text.ts';

const hex = (text: string): Uint8Array => fromHex(text) ?? assert.fail('bad hex');
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const signal = (): AbortSignal => new AbortController().signal;
const HASH = 'cd'.repeat(32);

const transaction = (index: number): Uint8Array => {
  const parent = new Uint8Array(32);
  writeU32(parent, 0, index + 1);
  const input = concatBytes(parent, hex('00000000'), hex('00ffffffff'));
  return concatBytes(
    hex('0200000001'),
    input,
    hex('01'),
    hex('4a01000000000000'),
    hex('0151'),
    hex('00000000'),
  );
};

interface Stage {
  readonly backend: ChainBackend;
  readonly clock: ManualClock;
  readonly asked: string[];
}

/** A server in memory: all heights have one block of as many transactions as you like; `answers` come first. */
const stage = (answers: Readonly<Record<string, string>> = {}, network?: 'bitcoin'): Stage => {
  const asked: string[] = [];
  const raws = new Map<string, Uint8Array>();
  const answer = (path: string): Uint8Array | undefined => {
    const known = answers[path];
    if (known !== undefined) return bytes(known);
    const [, kind, key = '', what, which] = path.split('/');
    if (kind === 'blocks') return bytes('100000');
    if (kind === 'block-height') return bytes(HASH);
    if (kind === 'tx') return what === 'raw' ? raws.get(key) : bytes('{"spent":false}');
    const raw = transaction(Number(which));
    const txid = hashToText(own(doubleSha256(raw)));
    raws.set(txid, raw);
    return bytes(txid);
  };
  const clock = new ManualClock();
  const backend = openEsplora({
    url: 'http://memory',
    http: ({ url }) => {
      const path = url.slice('http://memory'.length);
      asked.push(path);
      const body = answer(path);
      return Promise.resolve(
        body === undefined ? { status: 404, body: new Uint8Array() } : { status: 200, body },
      );
    },
    clock,
    log: silentLog,
    meter: silentMeter,
    ...(network === undefined ? {} : { network }),
  });
  return { backend, clock, asked };
};

test('MAX_ESPLORA_OUTPUTS: a buried output is found again with one request, until newer ones have taken its place', async () => {
  const { backend, asked } = stage();
  const ask = async (position: number): Promise<number> => {
    const before = asked.length;
    assert.equal((await backend.lookup.lookup(scidFromParts(5, position, 0), signal())).found, 'unspent');
    return asked.length - before;
  };
  assert.equal(await ask(0), 5);
  for (let position = 1; position < MAX_ESPLORA_OUTPUTS; position++) await ask(position);
  assert.equal(await ask(0), 1);
  await ask(MAX_ESPLORA_OUTPUTS);
  assert.equal(await ask(1), 3);
  await backend.close();
});

test('MAX_ESPLORA_HASHES: hashes of buried blocks are remembered, those near the tip never', async () => {
  const { backend, asked } = stage();
  const ask = async (height: number): Promise<number> => {
    const before = asked.length;
    assert.equal(await backend.blocks?.hashAt(height, signal()), HASH);
    return asked.length - before;
  };
  await ask(0);
  for (let height = 1; height <= MAX_ESPLORA_HASHES; height++) await ask(height);
  assert.deepEqual([await ask(MAX_ESPLORA_HASHES), await ask(0)], [0, 1]);
  assert.deepEqual([await ask(99_901), await ask(99_901)], [1, 1]);
  await backend.close();
});

test('a young tip is not asked for again, an old one is, and so is any before a block is said not to exist', async () => {
  const { backend, clock, asked } = stage();
  const tips = (): number => asked.filter((path) => path === '/blocks/tip/height').length;
  await backend.blocks?.hashAt(7, signal());
  await backend.blocks?.hashAt(8, signal());
  assert.equal(tips(), 1);
  assert.deepEqual(await backend.lookup.lookup(scidFromParts(100_001, 0, 0), signal()), {
    found: 'none',
    why: 'no_block',
  });
  assert.equal(tips(), 2);
  clock.advance(10_000);
  await backend.blocks?.hashAt(9, signal());
  assert.equal(tips(), 3);
  await backend.close();
});

test('malformed: heights, hashes, transactions and spends that are none', async () => {
  const scid = scidFromParts(5, 0, 0);
  const txid = hashToText(own(doubleSha256(transaction(0))));
  const cases: Readonly<Record<string, string>>[] = [
    { '/blocks/tip/height': '-1' },
    { '/blocks/tip/height': '1e3' },
    { '/block-height/5': 'ab' },
    { [`/block/${HASH}/txid/0`]: '<html>' },
    { [`/tx/${txid}/raw`]: 'x' },
    { [`/tx/${txid}/outspend/0`]: 'null' },
    { [`/tx/${txid}/outspend/0`]: '{"spent":"yes"}' },
    { [`/tx/${txid}/outspend/0`]: '{"spent":true}' },
    { [`/tx/${txid}/outspend/0`]: '{"spent":true,"status":{"confirmed":1}}' },
  ];
  for (const answers of cases) {
    const { backend } = stage(answers);
    const result = await backend.lookup.lookup(scid, signal());
    assert.equal(result.found, 'unavailable', JSON.stringify(answers));
    assert.match(backend.status().reason, /choose another server$/);
    await backend.close();
  }
});

test('a confirmed spend without a height is spent; one of the mempool is none', async () => {
  const txid = hashToText(own(doubleSha256(transaction(0))));
  const spentAs = async (status: string) => {
    const { backend } = stage({ [`/tx/${txid}/outspend/0`]: `{"spent":true,"status":${status}}` });
    const result = await backend.lookup.lookup(scidFromParts(5, 0, 0), signal());
    await backend.close();
    return result;
  };
  assert.deepEqual(await spentAs('{"confirmed":true}'), { found: 'none', why: 'spent' });
  assert.deepEqual(await spentAs('{"confirmed":true,"block_height":9}'), {
    found: 'none',
    why: 'spent',
    spentAtHeight: 9,
  });
  assert.equal((await spentAs('{"confirmed":false}')).found, 'unspent');
});

const FIRST_OF_BITCOIN =
  `01000000${'00'.repeat(32)}3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a` +
  '29ab5f49ffff001d1dac2b7c';
const FIRST_HASH = '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f';

test('a server that is a day behind is not believed when it says that a block does not exist', async () => {
  const { backend } = stage(
    {
      '/blocks/tip/height': '0',
      '/block-height/0': FIRST_HASH,
      [`/block/${FIRST_HASH}/header`]: FIRST_OF_BITCOIN,
    },
    'bitcoin',
  );
  const result = await backend.lookup.lookup(scidFromParts(1, 0, 0), signal());
  assert.match(
    result.found === 'unavailable' ? (result.why ?? '') : '',
    /at block 0, which is more than a day old/,
  );
  await backend.close();
});

test('a server of another network answers nothing', async () => {
  const { backend } = stage({}, 'bitcoin');
  const result = await backend.lookup.lookup(scidFromParts(1, 0, 0), signal());
  assert.match(
    result.found === 'unavailable' ? (result.why ?? '') : '',
    /does not serve the chain of bitcoin/,
  );
  await backend.close();
});
