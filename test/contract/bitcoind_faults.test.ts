/** What bitcoind does in real life beyond the contract: cookies, pruning, first start, other chains, reorganisations while asked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NetworkName } from '../../src/base/chain_hash.ts';
import { type LogLevel, recordingLog } from '../../src/base/log.ts';
import { MemoryMeter } from '../../src/base/meter.ts';
import { type ShortChannelId, scidFromParts } from '../../src/base/short_channel_id.ts';
import { openBitcoindRest } from '../../src/chain/bitcoind_rest.ts';
import { openBitcoindRpc } from '../../src/chain/bitcoind_rpc.ts';
import type { ChainBackend } from '../../src/chain/block_source.ts';
import { fetchHttp } from '../../src/chain/fetch_http.ts';
import type { RpcCredentials } from '../../src/chain/json_rpc_http.ts';
import { systemClock } from '../../src/observe/system_clock.ts';
import { FakeBitcoind } from './fake_bitcoind.ts';
import { FakeChain } from './fake_chain.ts';

const never = new AbortController().signal;

interface House {
  readonly chain: FakeChain;
  readonly node: FakeBitcoind;
  readonly backend: ChainBackend;
  readonly meter: MemoryMeter;
  readonly lines: { level: LogLevel; message: string }[];
  readonly ask: (scid: ShortChannelId) => Promise<string>;
}

interface HouseOptions {
  readonly kind: 'rpc' | 'rest';
  readonly network?: NetworkName;
  readonly credentials?: RpcCredentials;
}

/** Runs with a fake node and a backend over real HTTP; `ask` answers `unspent`, `none`, or why it is unavailable. */
const inHouse = async (options: HouseOptions, run: (house: House) => Promise<void>): Promise<void> => {
  const { kind, network = 'regtest', credentials } = options;
  const chain = new FakeChain(7, 2);
  const node = new FakeBitcoind(chain);
  await node.listen();
  const [meter, lines] = [new MemoryMeter(), []];
  const shared = {
    url: node.url,
    network,
    http: fetchHttp,
    clock: systemClock(),
    log: recordingLog(lines),
    meter,
    patience: { timeoutMs: 20_000, firstRetryMs: 1, tries: 3 },
  };
  const backend = kind === 'rpc' ? openBitcoindRpc({ ...shared, credentials }) : openBitcoindRest(shared);
  const ask = async (scid: ShortChannelId): Promise<string> => {
    const result = await backend.lookup.lookup(scid, never);
    return result.found === 'unavailable' ? (result.why ?? '') : result.found;
  };
  try {
    await run({ chain, node, backend, meter, lines, ask });
  } finally {
    await backend.close();
    await node.close();
  }
};

test('rpc: the cookie is read again when bitcoind has written a new one', async () => {
  let cookie = '__cookie__:first\n';
  let reads = 0;
  const readCookie = async () => {
    reads++;
    return cookie;
  };
  await inHouse({ kind: 'rpc', credentials: { readCookie } }, async ({ chain, node, ask, backend }) => {
    const [channel] = chain.fundAndMine(1000n);
    node.login = '__cookie__:first';
    assert.equal(await ask(channel!.scid), 'unspent');
    assert.equal(await ask(channel!.scid), 'unspent');
    assert.equal(reads, 1);
    [node.login, cookie] = ['__cookie__:second', '__cookie__:second'];
    assert.equal(await ask(channel!.scid), 'unspent');
    assert.equal(reads, 2);
    node.login = '__cookie__:third';
    assert.match(await ask(channel!.scid), /answers 401: check that bitcoind_cookie is the \.cookie file/);
    assert.equal(backend.status().state, 'unavailable');
    cookie = '__cookie__:third';
    assert.equal(await ask(channel!.scid), 'unspent');
  });
});

test('rpc: a cookie that cannot be read, and a wrong password, say what to do and hold no secret', async () => {
  const readCookie = () => Promise.reject(new Error('ENOENT: no such file'));
  await inHouse({ kind: 'rpc', credentials: { readCookie } }, async ({ ask }) => {
    assert.match(await ask(scidFromParts(1, 0, 0)), /no such file\): start it, or check bitcoind_cookie$/);
  });
  const credentials = { user: 'alice', password: 'hunter2' };
  await inHouse({ kind: 'rpc', credentials }, async ({ node, ask, lines, backend }) => {
    node.login = 'alice:other';
    const why = await ask(scidFromParts(1, 0, 0));
    assert.match(why, /answers 401: check user and password in utxo, or set bitcoind_cookie$/);
    assert.equal(`${why}${JSON.stringify(lines)}${backend.status().reason}`.includes('hunter2'), false);
  });
});

test('rpc and rest: a node on another chain is not believed, and named', async () => {
  for (const kind of ['rpc', 'rest'] as const) {
    await inHouse({ kind, network: 'bitcoin' }, async ({ chain, ask, backend }) => {
      const [channel] = chain.fundAndMine(1000n);
      assert.match(await ask(channel!.scid), /is on the chain "regtest" and gossipd on bitcoin: set network/);
      await assert.rejects(backend.blocks!.tip(never), /is on the chain "regtest"/);
      await assert.rejects(backend.blocks!.hashAt(0, never), /is on the chain "regtest"/);
      assert.equal(backend.status().state, 'unavailable');
    });
  }
});

test('rpc and rest: a node that still catches up does not say that a block does not exist', async () => {
  for (const kind of ['rpc', 'rest'] as const) {
    await inHouse({ kind }, async ({ chain, node, ask }) => {
      node.isInitialBlockDownload = true;
      assert.equal(await ask(scidFromParts(chain.height + 1, 0, 0)), 'none', 'regtest is always complete');
    });
    await inHouse({ kind, network: 'signet' }, async ({ chain, node, ask, backend, lines }) => {
      node.chainName = 'signet';
      node.isInitialBlockDownload = true;
      const [channel] = chain.fundAndMine(1000n);
      assert.equal(await ask(channel!.scid), 'unspent');
      assert.match(await ask(scidFromParts(chain.height + 1, 0, 0)), /still catches up with the chain: wait/);
      await assert.rejects(backend.blocks!.hashAt(chain.height + 1, never), /still catches up/);
      assert.equal(backend.status().state, 'connecting');
      assert.match(backend.status().reason, /is at block \d+ and still catches up/);
      assert.deepEqual(lines, [], 'peers that ask about such blocks write no line');
      node.isInitialBlockDownload = false;
      assert.equal(await ask(scidFromParts(chain.height + 1, 0, 0)), 'none');
      assert.equal(await backend.blocks!.hashAt(chain.height + 1, never), undefined);
      assert.equal(backend.status().state, 'ok');
    });
  }
});

test('rpc and rest: pruned blocks cost their own questions only, and say so', async () => {
  for (const kind of ['rpc', 'rest'] as const) {
    await inHouse({ kind }, async ({ chain, node, ask, backend, meter }) => {
      const [old] = chain.fundAndMine(1000n);
      const [recent] = chain.fundAndMine(2000n);
      node.prunedBelow = chain.height;
      const answers = await Promise.all([ask(old!.scid), ask(recent!.scid)]);
      assert.match(answers[0]!, /is pruned and no longer has the block of this channel: use a node/);
      assert.equal(answers[1], 'unspent');
      assert.equal(backend.status().state, 'ok');
      assert.equal(meter.get('gossipd_chain_failures_total', 'pruned'), 1);
    });
  }
});

test('rpc and rest: a block that is reorganised away between two requests is unavailable, and right the next time', async () => {
  const steps = { rpc: ['getblock', 'gettxout'], rest: ['notxdetails', 'getutxos'] };
  for (const kind of ['rpc', 'rest'] as const) {
    for (const step of steps[kind]) {
      await inHouse({ kind }, async ({ chain, node, ask }) => {
        const [channel] = chain.fundAndMine(1000n);
        node.before = (what) => {
          if (!(what === step || what.includes(`/${step}/`))) return;
          node.before = undefined;
          chain.reorganise(1, { transactions: 'drop' });
        };
        assert.match(
          await ask(channel!.scid),
          /the best chain changed during the question/,
          `${kind} ${step}`,
        );
        assert.equal(await ask(channel!.scid), 'none');
      });
    }
  }
});

test('rest: a tip that only grew meanwhile spoils no answer', async () => {
  await inHouse({ kind: 'rest' }, async ({ chain, node, ask }) => {
    const [channel] = chain.fundAndMine(1000n);
    node.before = (what) => {
      if (!what.includes('getutxos')) return;
      node.before = undefined;
      chain.mine();
    };
    assert.equal(await ask(channel!.scid), 'unspent');
  });
});

test('rest: switched off is said as what to start', async () => {
  await inHouse({ kind: 'rest' }, async ({ node, ask, backend }) => {
    await node.play('status_404');
    assert.match(await ask(scidFromParts(1, 0, 0)), /answers 404 to \/rest\/: start bitcoind with -rest$/);
    assert.match(backend.status().reason, /start bitcoind with -rest$/);
  });
});

test('rpc: what passes within moments is tried again inside the question', async () => {
  await inHouse({ kind: 'rpc' }, async ({ chain, node, ask, backend }) => {
    const [channel] = chain.fundAndMine(1000n);
    for (const fault of ['status_503', 'warming_up', 'reset', 'half_json']) {
      await node.play(fault);
      const answer = ask(channel!.scid);
      const before = node.requests;
      while (node.requests === before) await new Promise((resolve) => setImmediate(resolve));
      await node.play(undefined);
      assert.equal(await answer, 'unspent', fault);
    }
    assert.deepEqual([backend.status().state, backend.status().failures], ['ok', 0]);
  });
});

test('rpc: txids of a block are asked for once, also over several rounds; a reorganisation asks for the new block', async () => {
  await inHouse({ kind: 'rpc' }, async ({ chain, node, ask }) => {
    const channels = chain.fundAndMine(...Array.from({ length: 40 }, () => 5000n));
    const getblocks = () => node.seen.filter((method) => method === 'getblock').length;
    for (const answer of await Promise.all(channels.map(({ scid }) => ask(scid)))) {
      assert.equal(answer, 'unspent');
    }
    for (const { scid } of channels.slice(0, 5)) assert.equal(await ask(scid), 'unspent');
    assert.equal(getblocks(), 1);
    chain.reorganise(1);
    for (const { scid } of channels.slice(0, 5)) assert.equal(await ask(scid), 'unspent');
    assert.equal(getblocks(), 2);
  });
});

test('rpc: a node that knows no batches is asked one by one from then on', async () => {
  await inHouse({ kind: 'rpc' }, async ({ chain, node, ask }) => {
    node.refusesBatches = true;
    const [channel] = chain.fundAndMine(1000n);
    assert.equal(await ask(channel!.scid), 'unspent');
    const before = node.requests;
    assert.equal(await ask(channel!.scid), 'unspent');
    // getblockchaininfo, getblockhash; gettxout, getblockhash: no batch is tried any more.
    assert.equal(node.requests - before, 4);
  });
});

test('rpc: a service that is away writes one line when it goes and one when it comes back', async () => {
  await inHouse({ kind: 'rpc' }, async ({ chain, node, ask, lines, backend }) => {
    const [channel] = chain.fundAndMine(1000n);
    assert.equal(await ask(channel!.scid), 'unspent');
    await node.play('refuse');
    for (let round = 0; round < 3; round++) {
      assert.match(await ask(channel!.scid), /^nobody answers for bitcoind at 127\.0\.0\.1:\d+ .*: start it/);
    }
    await node.play(undefined);
    assert.equal(await ask(channel!.scid), 'unspent');
    assert.deepEqual(
      lines.map(({ level }) => level),
      ['debug', 'debug'],
    );
    assert.equal(backend.status().failures, 3);
  });
});

test('rpc and rest: bytes that are not the block that was asked for are no answer', async () => {
  for (const kind of ['rpc', 'rest'] as const) {
    await inHouse({ kind }, async ({ chain, node, backend }) => {
      const blocks = backend.blocks!;
      node.wrongRawBlock = chain.rawBlock(chain.hashAt(0)!)!;
      await assert.rejects(
        blocks.rawBlock!(chain.tip.hash, never),
        /answers (getblock|a block) with something else/,
      );
      await assert.rejects(
        blocks.rawBlock!('00'.repeat(32), never),
        /chain_unavailable|the best chain changed/,
      );
      node.wrongRawBlock = undefined;
      assert.equal(
        (await blocks.rawBlock!(chain.tip.hash, never)).length,
        chain.rawBlock(chain.tip.hash)!.length,
      );
    });
  }
});
