/**
 * The Esplora backend over loopback HTTP: against the contract of chain backends where the suite has it, and what is Esplora's own: patience,
 * few requests at once, answers that do not hold.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { silentLog } from '../../src/base/log.ts';
import { MemoryMeter } from '../../src/base/meter.ts';
import { type ShortChannelId, scidFromParts } from '../../src/base/short_channel_id.ts';
import type { ChainBackend } from '../../src/chain/block_source.ts';
import { openEsplora } from '../../src/chain/esplora.ts';
import { type EsploraPatience, MAX_ESPLORA_IN_FLIGHT } from '../../src/chain/esplora_requests.ts';
import { fetchHttp } from '../../src/chain/fetch_http.ts';
import { hashFromText } from '../../src/chain/hash_text.ts';
import type { UtxoResult } from '../../src/chain/utxo_lookup.ts';
import { systemClock } from '../../src/observe/system_clock.ts';
import { FakeChain } from './fake_chain.ts';
import { ESPLORA_FAULTS, ESPLORA_LOOKUP_FAULTS, FakeEsplora } from './fake_esplora.ts';
import { utxoContract } from './utxo_contract.ts';

const SIGNAL = new AbortController().signal;

interface House {
  readonly chain: FakeChain;
  readonly server: FakeEsplora;
  readonly backend: ChainBackend;
  readonly meter: MemoryMeter;
  readonly lookup: (scid: ShortChannelId) => Promise<UtxoResult>;
}

const openBackend = (url: string, meter = new MemoryMeter(), patience?: EsploraPatience): ChainBackend =>
  openEsplora({
    url,
    http: fetchHttp,
    clock: systemClock(),
    log: silentLog,
    meter,
    network: 'regtest',
    ...(patience === undefined ? {} : { patience }),
  });

utxoContract(
  'esplora',
  async (chain, limits) => {
    const server = new FakeEsplora(chain);
    await server.start();
    return {
      backend: openBackend(server.url, undefined, limits),
      faults: ESPLORA_FAULTS,
      lookupFaults: ESPLORA_LOOKUP_FAULTS,
      play: (fault) => server.play(fault),
      requests: () => server.asked.length,
      close: () => server.close(),
    };
  },
  // Three for each output: txid, bytes, spender; its block before and after is shared by those who ask at one time.
  { maxRequestsFor500: 4 * 500, hasPush: false },
);

const house = async (t: TestContext): Promise<House> => {
  const chain = new FakeChain(9, 3);
  const server = new FakeEsplora(chain);
  await server.start();
  const meter = new MemoryMeter();
  const backend = openBackend(server.url, meter);
  t.after(async () => {
    await backend.close();
    await server.close();
  });
  return {
    chain,
    server,
    backend,
    meter,
    lookup: (scid) => backend.lookup.lookup(scid, new AbortController().signal),
  };
};

const fund = (chain: FakeChain, satoshis = 70_000n) => {
  const [made] = chain.fundAndMine(satoshis);
  assert.ok(made);
  return made;
};

const why = (result: UtxoResult): string =>
  result.found === 'unavailable' ? (result.why ?? '') : result.found;

test('an output is unspent, spent, or none, as blocks have it (B7-13, B7-43)', async (t) => {
  const h = await house(t);
  const { funding, scid } = fund(h.chain);
  const unspent = {
    found: 'unspent',
    script: funding.script,
    satoshis: 70_000n,
    txid: hashFromText(funding.tx.txid),
  };
  assert.deepEqual(await h.lookup(scid), unspent);
  h.chain.spend(funding);
  assert.deepEqual(await h.lookup(scid), unspent, 'the mempool does not count');
  h.chain.mine();
  assert.deepEqual(await h.lookup(scid), { found: 'none', why: 'spent', spentAtHeight: h.chain.height });
  const block = Number(scid >> 40n);
  assert.deepEqual(await h.lookup(scidFromParts(block, 9, 0)), { found: 'none', why: 'no_transaction' });
  assert.deepEqual(await h.lookup(scidFromParts(block, 1, 99)), { found: 'none', why: 'no_output' });
  assert.deepEqual(await h.lookup(scidFromParts(h.chain.height + 1, 0, 0)), {
    found: 'none',
    why: 'no_block',
  });
  assert.equal(h.backend.status().state, 'ok');
});

test('blocks: tip, hashes and raw blocks; another block than the one asked for is refused', async (t) => {
  const { chain, server, backend } = await house(t);
  fund(chain);
  const { blocks } = backend;
  assert.ok(blocks?.rawBlock);
  assert.deepEqual(await blocks.tip(SIGNAL), chain.tip);
  assert.equal(await blocks.hashAt(2, SIGNAL), chain.hashAt(2));
  assert.equal(await blocks.hashAt(chain.height + 1, SIGNAL), undefined);
  assert.deepEqual(
    new Uint8Array(await blocks.rawBlock(chain.tip.hash, SIGNAL)),
    chain.rawBlock(chain.tip.hash),
  );
  server.faults.wrongBlock = true;
  await assert.rejects(blocks.rawBlock(chain.tip.hash, SIGNAL), {
    code: 'chain_unavailable',
    action: 'retry',
  });
  assert.equal(blocks.onTip, undefined);
});

test('a reorganisation is followed', async (t) => {
  const { chain, lookup } = await house(t);
  const { scid } = fund(chain);
  assert.equal((await lookup(scid)).found, 'unspent');
  chain.reorganise(1, { transactions: 'drop' });
  assert.deepEqual(await lookup(scid), { found: 'none', why: 'no_transaction' });
});

test('wrong_transaction: bytes with another txid are not believed', async (t) => {
  const h = await house(t);
  const { scid } = fund(h.chain);
  h.server.faults.wrongTransaction = true;
  assert.match(why(await h.lookup(scid)), /sent another transaction/);
  assert.equal(h.meter.get('gossipd_esplora_failures_total', 'wrong_transaction'), 1);
  h.server.faults.wrongTransaction = false;
  assert.equal((await h.lookup(scid)).found, 'unspent');
});

test('malformed, truncated and refused answers, a forgotten height and another network are unavailable', async (t) => {
  const h = await house(t);
  const { scid } = fund(h.chain);
  const { faults } = h.server;
  for (const fault of ['garbage', 'truncated', 'refuse', 'otherNetwork'] as const) {
    faults[fault] = true;
    assert.equal((await h.lookup(scid)).found, 'unavailable', fault);
    faults[fault] = false;
  }
  faults.forgets = Number(scid >> 40n);
  assert.match(why(await h.lookup(scid)), /below its own tip/);
  faults.forgets = undefined;
  assert.equal((await h.lookup(scid)).found, 'unspent');
  assert.equal(h.backend.status().state, 'ok');
});

test('429: the question is unavailable, and the next one waits and is answered', async (t) => {
  const h = await house(t);
  const { scid } = fund(h.chain);
  h.server.faults.status = { code: 429, times: 1, retryAfterSeconds: 1 };
  assert.match(why(await h.lookup(scid)), /status 429; it is asked again by itself in 1 s/);
  assert.equal((await h.lookup(scid)).found, 'unspent');
  assert.equal(h.meter.get('gossipd_esplora_failures_total', 'busy'), 1);
});

test('few requests are under way at once, and all lookups come back', async (t) => {
  const h = await house(t);
  const made = h.chain.fundAndMine(...Array.from({ length: 30 }, (_, index) => BigInt(20_000 + index)));
  const results = await Promise.all(made.map(({ scid }) => h.lookup(scid)));
  for (const [index, result] of results.entries()) {
    assert.equal(result.found === 'unspent' ? result.satoshis : undefined, BigInt(20_000 + index));
  }
  assert.ok(h.server.mostOpen <= MAX_ESPLORA_IN_FLIGHT, `${h.server.mostOpen} at once`);
});

test('an aborted question is unavailable, and close answers what is open', async (t) => {
  const h = await house(t);
  const { scid } = fund(h.chain);
  h.server.faults.hang = true;
  const controller = new AbortController();
  const aborted = h.backend.lookup.lookup(scid, controller.signal);
  controller.abort();
  assert.equal((await aborted).found, 'unavailable');
  const open = h.lookup(scid);
  await h.backend.close();
  assert.equal((await open).found, 'unavailable');
  assert.equal((await h.lookup(scid)).found, 'unavailable');
  assert.equal(h.backend.status().state, 'unavailable');
});

test('a server that is away: blocks reject with chain_unavailable, lookups say why', async (t) => {
  const { chain, server } = await house(t);
  const { scid } = fund(chain);
  const { url } = server;
  await server.close();
  const backend = openBackend(url);
  t.after(() => backend.close());
  assert.match(why(await backend.lookup.lookup(scid, SIGNAL)), /did not answer \/block-height\/0/);
  await assert.rejects(async () => backend.blocks?.tip(SIGNAL), {
    code: 'chain_unavailable',
    action: 'retry',
  });
});
