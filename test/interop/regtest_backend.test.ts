/**
 * The RPC backend against a Bitcoin node that is not ours (bcoin on regtest): real blocks, real signatures, real
 * reorganisations. What chain/ reads off the chain is held against what the node says it put there.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fromHex, toHex } from '../../src/base/bytes.ts';
import { OperationalError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { silentMeter } from '../../src/base/meter.ts';
import { scidBlock, scidFromParts, scidHi } from '../../src/base/short_channel_id.ts';
import { openBitcoindRpc } from '../../src/chain/bitcoind_rpc.ts';
import type { BlockSource, ChainBackend } from '../../src/chain/block_source.ts';
import { fetchHttp } from '../../src/chain/fetch_http.ts';
import { readRawBlock } from '../../src/chain/raw_block.ts';
import { fundingScriptPubkey } from '../../src/crypto/funding_script.ts';
import { systemClock } from '../../src/observe/system_clock.ts';
import { type Identity, makeIdentity } from '../fixtures/signed_gossip.ts';
import { installBitcoinNode } from './bitcoin/install.ts';
import { BitcoinNode } from './bitcoin/node_process.ts';

const installed = await installBitcoinNode();
const skip = 'reason' in installed ? installed.reason : false;
const node = 'folder' in installed ? await BitcoinNode.start({ after }, installed.folder) : undefined;
const signal = new AbortController().signal;

/** Those that a test wants to have until it ends. */
const opened: ChainBackend[] = [];
after(() => Promise.all(opened.map((backend) => backend.close())));

const open = (password = node!.password): ChainBackend => {
  const backend = openBitcoindRpc({
    url: node!.url,
    credentials: { user: node!.user, password },
    network: 'regtest',
    http: fetchHttp,
    clock: systemClock(),
    log: silentLog,
    meter: silentMeter,
    patience: { timeoutMs: 5_000, firstRetryMs: 10, tries: 2 },
  });
  opened.push(backend);
  return backend;
};

const blocksOf = (backend: ChainBackend): BlockSource => backend.blocks!;
const keysOf = (name: string): readonly [Identity, Identity] => [
  makeIdentity(`${name} funding 1`),
  makeIdentity(`${name} funding 2`),
];
/** As hashed, of a txid as people write it. */
const hashed = (txid: string): string => toHex(fromHex(txid)!.reverse());

/** A result with its bytes as hex; what only some backends tell is left out unless it is there. */
const look = async (backend: ChainBackend, scid: Parameters<ChainBackend['lookup']['lookup']>[0]) => {
  const result = await backend.lookup.lookup(scid, signal);
  if (result.found !== 'unspent') return result;
  return {
    found: result.found,
    script: toHex(result.script),
    satoshis: result.satoshis,
    txid: result.txid === undefined ? undefined : toHex(result.txid),
  };
};

/** The block and the transaction are there, the output is not. */
const isGone = (result: { readonly found: string; readonly why?: string }): boolean =>
  result.found === 'none' && result.why !== 'no_block' && result.why !== 'no_transaction';

test("the tip, the hash at a height and the bytes of a block are the node's own", { skip }, async () => {
  const blocks = blocksOf(open());
  const [mined] = await node!.mine();
  assert.deepEqual(await blocks.tip(signal), { height: mined!.height, hash: mined!.hash });
  assert.equal(await blocks.hashAt(mined!.height, signal), mined!.hash);
  assert.equal(await blocks.hashAt(mined!.height + 1, signal), undefined);
  // The genesis block of regtest.
  const genesis = '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206';
  assert.equal(await blocks.hashAt(0, signal), genesis);

  const raw = await blocks.rawBlock!(mined!.hash, signal);
  assert.equal(toHex(raw), (await node!.block(mined!.height)).raw);
  const block = readRawBlock(raw, mined!.hash);
  assert.ok(typeof block === 'object', String(block));
  assert.equal(block.previous, await blocks.hashAt(mined!.height - 1, signal));
  assert.equal(block.transactions, 1);
});

test('a funding output is found at its scid with its exact value and script, which is ours too (B7-05)', {
  skip,
}, async () => {
  const backend = open();
  const specs = [
    { keys: keysOf('exact 1'), satoshis: 1_234_567 },
    { keys: keysOf('exact 2'), satoshis: 2_000_000_001, output: 1 as const },
    // 0.1 and 0.29 bitcoin are no binary fractions.
    { keys: keysOf('exact 3'), satoshis: 29_000_000 },
  ];
  const fundings = [];
  for (const spec of specs) fundings.push(await node!.fund(spec));
  const scids = await node!.confirm(...fundings);
  for (const [index, funding] of fundings.entries()) {
    const { txid, satoshis, script, keys } = funding;
    const bytes = new Uint8Array([...keys[0].key, ...keys[1].key]);
    assert.deepEqual(fundingScriptPubkey(bytes, 0, 33), script);
    const found = await look(backend, scids[index]!);
    assert.ok(found.found === 'unspent');
    assert.deepEqual([found.script, found.satoshis], [toHex(script), BigInt(satoshis)]);
    assert.ok(found.txid === undefined || found.txid === hashed(txid));
  }
});

test('no_block, no_transaction and no_output are told apart', { skip }, async () => {
  const backend = open();
  const [scid] = await node!.confirm(await node!.fund({ keys: keysOf('absent'), satoshis: 500_000 }));
  const height = scidBlock(scidHi(scid!));
  const none = (why: string) => ({ found: 'none', why });
  assert.deepEqual(await look(backend, scidFromParts(height + 1, 1, 0)), none('no_block'));
  assert.deepEqual(await look(backend, scidFromParts(0xffffff, 1, 0)), none('no_block'));
  assert.deepEqual(await look(backend, scidFromParts(height, 2, 0)), none('no_transaction'));
  // The transaction has two outputs. gettxout says the same of a third and of one that was spent.
  const beyond = await look(backend, scidFromParts(height, 1, 2));
  assert.ok(isGone(beyond), JSON.stringify(beyond));
});

test('an output is spent when a block spends it, not when the mempool does, and the block shows whose it was', {
  skip,
}, async () => {
  const backend = open();
  const [other, funding] = [
    await node!.fund({ keys: keysOf('other'), satoshis: 600_000 }),
    await node!.fund({ keys: keysOf('spent'), satoshis: 700_000, output: 1 }),
  ];
  const [otherScid, scid] = await node!.confirm(other, funding);
  const spending = await node!.spend(funding);
  assert.deepEqual(await node!.mempool(), [spending]);
  await node!.mineEmpty();
  assert.equal((await look(backend, scid!)).found, 'unspent');

  const [block] = await node!.mine();
  assert.deepEqual(await node!.mempool(), []);
  const gone = await look(backend, scid!);
  assert.ok(isGone(gone), JSON.stringify(gone));
  assert.equal((await look(backend, otherScid!)).found, 'unspent');

  const raw = await blocksOf(backend).rawBlock!(block!.hash, signal);
  const read = readRawBlock(raw, block!.hash);
  assert.ok(typeof read === 'object', String(read));
  assert.equal(read.spends.length, 1);
  const { key1At, key2At, txidAt, vout } = read.spends[0]!;
  const shown = [key1At, key2At].map((at) => toHex(raw.subarray(at, at + 33)));
  assert.deepEqual(shown.sort(), funding.keys.map(({ key }) => toHex(key)).sort());
  assert.equal(toHex(raw.subarray(txidAt, txidAt + 32)), hashed(funding.txid));
  assert.equal(vout, 1);
});

test('a reorganisation takes a spend back, and then the output itself, which may come again elsewhere', {
  skip,
}, async () => {
  const backend = open();
  const funding = await node!.fund({ keys: keysOf('reorganised'), satoshis: 800_000 });
  const [scid] = await node!.confirm(funding);
  const before = await look(backend, scid!);
  assert.equal(before.found, 'unspent');
  await node!.spend(funding);
  const [spent] = await node!.mine();
  assert.deepEqual(await blocksOf(backend).hashAt(spent!.height, signal), spent!.hash);
  assert.equal((await look(backend, scid!)).found, 'none');

  const [instead] = await node!.reorganise(1);
  assert.equal(await blocksOf(backend).hashAt(spent!.height, signal), instead!.hash);
  assert.deepEqual(await look(backend, scid!), before);

  // Now the block that funded it goes too, and both transactions come again in one block.
  await node!.reorganise(node!.height - scidBlock(scidHi(scid!)) + 1);
  assert.deepEqual(await look(backend, scid!), { found: 'none', why: 'no_transaction' });
  const [again] = await node!.mine();
  const elsewhere = scidFromParts(again!.height, again!.txids.indexOf(funding.txid), 0);
  const spentAtOnce = await look(backend, elsewhere);
  assert.ok(isGone(spentAtOnce), JSON.stringify(spentAtOnce));
  await node!.forget(1);
  assert.equal((await look(backend, elsewhere)).found, 'none');
  assert.deepEqual(await node!.mempool(), []);
});

test('a node that goes away and a wrong password make answers unavailable, never none; back again it answers', {
  skip,
}, async () => {
  const backend = open();
  const [scid] = await node!.confirm(await node!.fund({ keys: keysOf('away'), satoshis: 900_000 }));
  assert.equal((await look(backend, scid!)).found, 'unspent');
  const isUnavailable = (error: unknown): boolean =>
    error instanceof OperationalError && error.code === 'chain_unavailable' && error.action === 'retry';

  await node!.hide();
  const [away] = await Promise.all([
    look(backend, scid!),
    assert.rejects(blocksOf(backend).tip(signal), isUnavailable),
  ]);
  assert.equal(away.found, 'unavailable');
  assert.equal(backend.status().state, 'unavailable');
  await node!.show();
  assert.equal((await look(backend, scid!)).found, 'unspent');
  assert.equal(backend.status().state, 'ok');

  const stranger = open('wrong');
  assert.equal((await look(stranger, scid!)).found, 'unavailable');
  await assert.rejects(blocksOf(stranger).tip(signal), isUnavailable);
});
