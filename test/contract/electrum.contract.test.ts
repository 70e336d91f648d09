/**
 * The Electrum backend over loopback sockets: against the contract of chain backends where the suite has it, and what is Electrum's own: proofs,
 * liars, dialects, TLS, reconnecting.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { silentLog } from '../../src/base/log.ts';
import { MemoryMeter } from '../../src/base/meter.ts';
import { type ShortChannelId, scidFromParts } from '../../src/base/short_channel_id.ts';
import type { ChainBackend } from '../../src/chain/block_source.ts';
import { openElectrum } from '../../src/chain/electrum.ts';
import { ELECTRUM_PATIENCE, type ElectrumPatience } from '../../src/chain/electrum_session.ts';
import { hashFromText } from '../../src/chain/hash_text.ts';
import type { TlsTrust } from '../../src/chain/line_socket.ts';
import { dialLines } from '../../src/chain/tcp_lines.ts';
import type { UtxoResult } from '../../src/chain/utxo_lookup.ts';
import { systemClock } from '../../src/observe/system_clock.ts';
import { TEST_CERTIFICATE, TEST_FINGERPRINT, TEST_KEY } from '../fixtures/self_signed.ts';
import { FakeChain } from './fake_chain.ts';
import {
  ELECTRUM_FAULTS,
  ELECTRUM_LOOKUP_FAULTS,
  FakeElectrum,
  type FakeElectrumOptions,
} from './fake_electrum.ts';
import { utxoContract } from './utxo_contract.ts';

const SIGNAL = new AbortController().signal;

interface House {
  readonly chain: FakeChain;
  readonly server: FakeElectrum;
  readonly backend: ChainBackend;
  readonly meter: MemoryMeter;
  readonly lookup: (scid: ShortChannelId) => Promise<UtxoResult>;
}

const openBackend = (
  server: FakeElectrum,
  tls: TlsTrust | undefined,
  meter = new MemoryMeter(),
  patience: ElectrumPatience = ELECTRUM_PATIENCE,
): ChainBackend =>
  openElectrum({
    host: '127.0.0.1',
    port: server.port,
    tls,
    dial: dialLines,
    clock: systemClock(),
    log: silentLog,
    meter,
    network: 'regtest',
    patience,
    // The fake chain mines without work; header_proof.test.ts has the rules.
    workRule: () => undefined,
  });

utxoContract(
  'electrum',
  async (chain, limits) => {
    const server = new FakeElectrum(chain);
    await server.start();
    return {
      backend: openBackend(server, undefined, undefined, limits),
      faults: ELECTRUM_FAULTS,
      lookupFaults: ELECTRUM_LOOKUP_FAULTS,
      play: (fault) => server.play(fault),
      requests: () => server.asked.length,
      close: () => server.close(),
    };
  },
  // Three for each output, three more for each of 72 spends, and up to 32 lookups that ask for a header before one knows it.
  { maxRequestsFor500: 3 * 500 + 3 * 72 + 11 * 32, isPushed: true },
);

const house = async (t: TestContext, options: FakeElectrumOptions = {}): Promise<House> => {
  const chain = new FakeChain(7, 3);
  const server = new FakeElectrum(chain, options);
  await server.start();
  const meter = new MemoryMeter();
  const backend = openBackend(server, options.tls === undefined ? undefined : { kind: 'any' }, meter);
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

const until = async (isSo: () => boolean): Promise<void> => {
  for (let tries = 0; !isSo(); tries++) {
    assert.ok(tries < 1000, 'it never came true');
    await new Promise((done) => setTimeout(done, 5));
  }
};

const fund = (chain: FakeChain, satoshis = 70_000n) => {
  const [made] = chain.fundAndMine(satoshis);
  assert.ok(made);
  chain.mine();
  return made;
};

/** The client has heard of the chain's tip. */
const follows = async ({ chain, backend }: House): Promise<void> => {
  for (let tries = 0; tries < 1000; tries++) {
    if ((await backend.blocks?.tip(SIGNAL))?.hash === chain.tip.hash) return;
    await new Promise((done) => setTimeout(done, 5));
  }
  assert.fail('the tip never came');
};

for (const dialect of ['electrumx', 'electrs'] as const) {
  test(`an output is unspent, spent, or none, as blocks have it (${dialect}) (B7-13, B7-43)`, async (t) => {
    const h = await house(t, { dialect });
    const { funding, scid } = fund(h.chain);
    await follows(h);
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
    await follows(h);
    assert.deepEqual(await h.lookup(scid), { found: 'none', why: 'spent', spentAtHeight: h.chain.height });
    const [block, index] = [Number(scid >> 40n), Number((scid >> 16n) & 0xffffffn)];
    assert.deepEqual(await h.lookup(scidFromParts(block, 9, 0)), { found: 'none', why: 'no_transaction' });
    assert.deepEqual(await h.lookup(scidFromParts(block, 0xffffff, 0)), {
      found: 'none',
      why: 'no_transaction',
    });
    assert.deepEqual(await h.lookup(scidFromParts(block, index, 99)), { found: 'none', why: 'no_output' });
    assert.deepEqual(await h.lookup(scidFromParts(h.chain.height + 1, 0, 0)), {
      found: 'none',
      why: 'no_block',
    });
    assert.equal(h.backend.status().state, 'ok');
  });
}

test('tips are pushed, hashes come from headers, and there are no raw blocks', async (t) => {
  const h = await house(t);
  await follows(h);
  let pushes = 0;
  const stop = h.backend.blocks?.onTip?.(() => pushes++);
  h.chain.mine();
  await until(() => pushes === 1);
  stop?.();
  h.chain.mine();
  await follows(h);
  assert.equal(pushes, 1);
  for (const height of [0, 1, 3, h.chain.height]) {
    assert.equal(await h.backend.blocks?.hashAt(height, SIGNAL), h.chain.hashAt(height));
  }
  assert.equal(await h.backend.blocks?.hashAt(h.chain.height + 1, SIGNAL), undefined);
  assert.equal(h.backend.blocks?.rawBlock, undefined);
});

test('a reorganisation is followed: what was proven before is asked for anew', async (t) => {
  const h = await house(t);
  const { scid } = fund(h.chain);
  await follows(h);
  assert.equal((await h.lookup(scid)).found, 'unspent');
  h.chain.reorganise(2, { transactions: 'drop' });
  await follows(h);
  assert.deepEqual(await h.lookup(scid), { found: 'none', why: 'no_transaction' });
  assert.equal(h.backend.status().failures, 0);
});

test('a reorganisation that the server did not push convicts nobody', async (t) => {
  const h = await house(t);
  const { funding, scid } = fund(h.chain);
  await follows(h);
  assert.equal((await h.lookup(scid)).found, 'unspent');
  h.server.faults.silentTips = true;
  h.chain.reorganise(2);
  // Of the block whose header is known, but no output that is.
  const other = scidFromParts(h.chain.height - 2, 1, funding.vout + 1);
  assert.equal((await h.lookup(other)).found, 'unavailable');
  assert.notEqual((await h.lookup(other)).found, 'unavailable');
  assert.equal(h.backend.status().state, 'ok');
});

const LIES = [
  { fault: 'falseProof', label: 'false_proof' },
  { fault: 'wrongTransaction', label: 'wrong_transaction' },
  { fault: 'strangeHeaders', label: 'bad_header' },
] as const;

for (const { fault, label } of LIES) {
  test(`${label}: a server that lies gets no answer believed, and is named`, async (t) => {
    const h = await house(t);
    const { scid } = fund(h.chain);
    await follows(h);
    // A new connection, which has no headers yet.
    h.server.faults[fault] = true;
    const result = await h.lookup(scid);
    assert.equal(result.found, 'unavailable');
    assert.match(result.found === 'unavailable' ? (result.why ?? '') : '', /choose another server$/);
    assert.equal(h.meter.get('gossipd_electrum_failures_total', label), 1);
    assert.equal(h.backend.status().state, 'unavailable');
    h.server.faults[fault] = false;
    assert.equal((await h.lookup(scid)).found, 'unspent');
    assert.equal(h.backend.status().state, 'ok');
  });
}

test('a spend cannot be made up: a server that only claims it is not believed', async (t) => {
  const h = await house(t);
  const { scid } = fund(h.chain);
  await follows(h);
  h.server.faults.claimsSpends = true;
  assert.equal((await h.lookup(scid)).found, 'unavailable');
});

test('a spend can be hidden: no proof exists that an output is unspent', async (t) => {
  const h = await house(t);
  const { funding, scid } = fund(h.chain);
  h.chain.spend(funding);
  h.chain.mine();
  await follows(h);
  h.server.faults.hidesSpends = true;
  assert.equal((await h.lookup(scid)).found, 'unspent');
});

test('a server that forgets a height, or cannot tell a position for a moment, is not taken for absence', async (t) => {
  const h = await house(t);
  const { scid } = fund(h.chain);
  await follows(h);
  h.server.faults.forgets = Number(scid >> 40n);
  assert.equal((await h.lookup(scid)).found, 'unavailable');
  h.server.faults.forgets = undefined;
  h.server.faults.positionErrors = 1;
  assert.equal((await h.lookup(scid)).found, 'unspent');
  h.server.faults.positionErrors = 3;
  assert.equal((await h.lookup(scidFromParts(Number(scid >> 40n), 1, 3))).found, 'unavailable');
});

test('a server that says it is busy is left alone, then asked again', async (t) => {
  const h = await house(t);
  const { scid } = fund(h.chain);
  await follows(h);
  h.server.faults.busy = 1;
  assert.equal((await h.lookup(scid)).found, 'unavailable');
  assert.equal((await h.lookup(scid)).found, 'unspent');
  assert.equal(h.meter.get('gossipd_electrum_failures_total', 'busy'), 1);
});

test('answers to nobody are dropped', async (t) => {
  const h = await house(t);
  const { scid } = fund(h.chain);
  h.server.faults.wrongId = true;
  assert.equal((await h.lookup(scid)).found, 'unspent');
  assert.ok(h.meter.get('gossipd_electrum_failures_total', 'unasked') > 0);
  assert.equal(h.backend.status().failures, 0);
});

for (const fault of ['garbage', 'truncated'] as const) {
  test(`a connection with ${fault} is ended, answered for, and made again`, async (t) => {
    const h = await house(t);
    const { scid } = fund(h.chain);
    await follows(h);
    h.server.faults[fault] = true;
    assert.equal((await h.lookup(scid)).found, 'unavailable');
    assert.equal(h.backend.status().state, 'unavailable');
    assert.match(h.backend.status().reason, /tried again by itself\.$/);
    h.server.faults[fault] = false;
    await until(() => h.backend.status().state === 'ok');
    assert.equal((await h.lookup(scid)).found, 'unspent');
    assert.equal(h.server.connections, 2);
  });
}

test('a connection that ends in the middle is made again; open questions are answered as unavailable', async (t) => {
  const h = await house(t);
  const { scid } = fund(h.chain);
  await follows(h);
  await h.server.play('hang');
  const asked = h.lookup(scid);
  await until(() => h.server.asked.at(-1) === 'blockchain.transaction.id_from_pos');
  h.server.dropConnections();
  assert.equal((await asked).found, 'unavailable');
  await h.server.play(undefined);
  h.chain.mine();
  await until(() => h.backend.status().state === 'ok');
  await follows(h);
  assert.equal((await h.lookup(scid)).found, 'unspent');
});

test('a server that refuses, is away, or serves another chain is unavailable with the reason', async (t) => {
  const h = await house(t);
  await follows(h);
  h.server.faults.otherNetwork = true;
  h.server.dropConnections();
  await until(() => h.backend.status().reason.includes('does not serve the chain of regtest'));
  h.server.faults.refuse = true;
  await until(() => h.backend.status().reason.includes('the connection ended'));
  await h.server.close();
  await until(() => h.backend.status().reason.includes('ECONNREFUSED'));
  assert.equal((await h.lookup(scidFromParts(1, 0, 0))).found, 'unavailable');
  const { tip } = h.backend.blocks ?? {};
  await assert.rejects(async () => tip?.(SIGNAL), { code: 'chain_unavailable', action: 'retry' });
});

test('an aborted question is unavailable, and close answers what is open', async (t) => {
  const h = await house(t);
  const { scid } = fund(h.chain);
  await follows(h);
  await h.server.play('hang');
  const controller = new AbortController();
  const aborted = h.backend.lookup.lookup(scid, controller.signal);
  await until(() => h.server.asked.includes('blockchain.transaction.id_from_pos'));
  controller.abort();
  assert.equal((await aborted).found, 'unavailable');
  assert.equal((await h.backend.lookup.lookup(scid, controller.signal)).found, 'unavailable');
  const open = h.lookup(scid);
  await h.backend.close();
  assert.equal((await open).found, 'unavailable');
  assert.equal((await h.lookup(scid)).found, 'unavailable');
});

test('TLS: any certificate, the right fingerprint, a wrong one, and an authority that never signed', async (t) => {
  const tls = { key: TEST_KEY, cert: TEST_CERTIFICATE };
  const h = await house(t, { tls });
  const { scid } = fund(h.chain);
  assert.equal((await h.lookup(scid)).found, 'unspent');
  const right = openBackend(h.server, { kind: 'fingerprint', sha256: TEST_FINGERPRINT });
  const wrong = openBackend(h.server, { kind: 'fingerprint', sha256: 'ab'.repeat(32) });
  const authority = openBackend(h.server, { kind: 'authority' });
  t.after(() => Promise.all([right.close(), wrong.close(), authority.close()]));
  assert.equal((await right.lookup.lookup(scid, SIGNAL)).found, 'unspent');
  const refused = await wrong.lookup.lookup(scid, SIGNAL);
  assert.match(refused.found === 'unavailable' ? (refused.why ?? '') : '', new RegExp(TEST_FINGERPRINT));
  assert.equal((await authority.lookup.lookup(scid, SIGNAL)).found, 'unavailable');
});

test('many lookups at once share one connection and all come back', async (t) => {
  const h = await house(t);
  const made = h.chain.fundAndMine(...Array.from({ length: 60 }, (_, index) => BigInt(20_000 + index)));
  await follows(h);
  const results = await Promise.all(made.map(({ scid }) => h.lookup(scid)));
  for (const [index, result] of results.entries()) {
    assert.equal(result.found === 'unspent' ? result.satoshis : undefined, BigInt(20_000 + index));
  }
  assert.equal(h.server.connections, 1);
  const before = h.server.asked.length;
  await h.lookup(made[0]!.scid);
  assert.equal(h.server.asked.length, before + 1, 'what was proven is asked only for spends');
});
