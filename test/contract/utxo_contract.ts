/**
 * What every chain backend promises to ingest/ and to the block follower, as one suite that each backend runs against a fake of its
 * service. The fake serves a FakeChain over real sockets on loopback and can play faults; the suite never sleeps to wait for time to
 * pass, it passes short time limits.
 *
 * `utxoContract` is for backends that follow a chain, `outputsContract` alone for those that are a fixed picture of one.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { bytesEqual } from '../../src/base/bytes.ts';
import { OperationalError } from '../../src/base/errors.ts';
import { type ShortChannelId, scidFromParts } from '../../src/base/short_channel_id.ts';
import type { ChainBackend } from '../../src/chain/block_source.ts';
import type { UtxoAbsence, UtxoLookup, UtxoResult } from '../../src/chain/utxo_lookup.ts';
import { fromText } from './fake_block.ts';
import { FakeChain, type FakeFunding } from './fake_chain.ts';

export interface ContractService {
  readonly backend: ChainBackend;
  /** Faults that leave no usable answer to anything; `hang` is always among those that the fake can play and is not listed. */
  readonly faults: readonly string[];
  /** Faults that spoil what lookups need, and perhaps nothing else. */
  readonly lookupFaults: readonly string[];
  /** Plays one of the faults, `hang` or `slow` (right answers, each a little late); undefined: healthy again. */
  readonly play: (fault: string | undefined) => Promise<void>;
  /** Requests that the fake has seen. */
  readonly requests: () => number;
  /** Ends the fake; the backend is closed before. */
  readonly close: () => Promise<void>;
}

export interface ContractLimits {
  /** For one request: generous, because the machine may be busy, but short where the suite waits for it. */
  readonly timeoutMs: number;
  /** Pause before a second try: a few milliseconds. */
  readonly firstRetryMs: number;
}

export interface ContractTraits {
  /** At most so many requests for 500 outputs in ten blocks. */
  readonly maxRequestsFor500: number;
  /** The backend hears of a new tip by a push, so that the suite gives it a moment after a reorganisation. */
  readonly isPushed?: boolean;
  /** The backend has onTip, and hears nothing else by it. */
  readonly hasPush?: boolean;
}

export type OpenService = (chain: FakeChain, limits: ContractLimits) => Promise<ContractService>;

const PATIENT: ContractLimits = { timeoutMs: 20_000, firstRetryMs: 2 };
const HASTY: ContractLimits = { timeoutMs: 120, firstRetryMs: 2 };
const PUSHED: ContractTraits = { maxRequestsFor500: 0, isPushed: true };
const never = new AbortController().signal;

const assertUnspent = (result: UtxoResult, { script, satoshis, tx }: FakeFunding): void => {
  assert.equal(result.found, 'unspent', inspect(result));
  if (result.found !== 'unspent') return;
  assert.equal(result.satoshis, satoshis);
  assert.ok(bytesEqual(result.script, script), 'the script is the output’s');
  if (result.txid !== undefined) assert.ok(bytesEqual(result.txid, fromText(tx.txid)));
};

/** The reason is optional, but must not be another one. */
const assertNone = (result: UtxoResult, why: UtxoAbsence): void => {
  assert.equal(result.found, 'none', inspect(result));
  if (result.found === 'none' && result.why !== undefined) assert.equal(result.why, why);
};

const assertUnavailable = (result: UtxoResult, what: string): void => {
  assert.equal(result.found, 'unavailable', `${what}: ${inspect(result)}`);
  if (result.found === 'unavailable') assert.ok((result.why ?? '').length > 0, `${what} has a reason`);
};

const isChainUnavailable = (error: unknown): boolean =>
  error instanceof OperationalError && error.code === 'chain_unavailable' && error.action === 'retry';

const VALUES = [1n, 546n, 100_000n, 10_000_000n, 16_777_215n, 123_456_789n, 2_099_999_999_999_999n];

/** What holds of any UtxoLookup. `open` is called when the chain is complete and does not change any more. */
export const outputsContract = (
  name: string,
  open: (
    chain: FakeChain,
    fundings: readonly FakeFunding[],
  ) => Promise<{ lookup: UtxoLookup; close: () => Promise<void> }>,
): void => {
  test(`${name}: unspent outputs come with their exact script and value, from 1 satoshi to 21 million bitcoin`, async () => {
    const chain = new FakeChain(11);
    const channels = chain.fundAndMine(...VALUES, 2_100_000_000_000_000n);
    chain.filler(3);
    channels.push(...chain.fundAndMine(70_000n));
    const fundings = channels.map(({ funding }) => funding);
    const { lookup, close } = await open(chain, fundings);
    for (const { funding, scid } of channels) assertUnspent(await lookup.lookup(scid, never), funding);
    assert.equal(lookup.verifies, true);
    await close();
  });

  test(`${name}: no_block, no_transaction, no_output and spent are none`, async () => {
    const chain = new FakeChain(12);
    const [channel] = chain.fundAndMine(50_000n);
    const [closed] = chain.fundAndMine(60_000n);
    chain.spend(closed!.funding);
    chain.mine();
    const { height } = chain.transaction(channel!.funding.tx.txid)!;
    const { lookup, close } = await open(chain, [channel!.funding]);
    const ask = (scid: ShortChannelId) => lookup.lookup(scid, never);
    assertNone(await ask(scidFromParts(chain.height + 1, 0, 0)), 'no_block');
    assertNone(await ask(scidFromParts(0xffffff, 0xffffff, 0xffff)), 'no_block');
    assertNone(await ask(scidFromParts(height!, 2, 0)), 'no_transaction');
    assertNone(await ask(scidFromParts(height!, 0xffffff, 0)), 'no_transaction');
    assertNone(await ask(scidFromParts(height!, 1, channel!.funding.tx.outputs.length)), 'no_output');
    assertNone(await ask(scidFromParts(height!, 1, 0xffff)), 'no_output');
    assertNone(await ask(closed!.scid), 'spent');
    await close();
  });

  test(`${name}: a withdrawn question is unavailable`, async () => {
    const chain = new FakeChain(13);
    const [channel] = chain.fundAndMine(50_000n);
    const { lookup, close } = await open(chain, [channel!.funding]);
    assert.equal((await lookup.lookup(channel!.scid, AbortSignal.abort())).found, 'unavailable');
    await close();
  });
};

interface Bench {
  readonly service: ContractService;
  readonly backend: ChainBackend;
  readonly ask: (scid: ShortChannelId, signal?: AbortSignal) => Promise<UtxoResult>;
}

/** Opens, runs, and closes whatever happens. */
const withService = async (
  open: OpenService,
  chain: FakeChain,
  limits: ContractLimits,
  run: (bench: Bench) => Promise<void>,
): Promise<void> => {
  const service = await open(chain, limits);
  const { backend } = service;
  try {
    await run({
      service,
      backend,
      ask: (scid, signal = never) => backend.lookup.lookup(scid, signal),
    });
  } finally {
    await backend.close();
    await service.close();
  }
};

/** Tries again for a moment when the backend hears of changes only by a push. */
const settled = async (traits: ContractTraits, check: () => Promise<void>): Promise<void> => {
  for (let left = traits.isPushed === true ? 200 : 0; ; left--) {
    try {
      return await check();
    } catch (error) {
      if (left <= 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
};

export const utxoContract = (name: string, open: OpenService, traits: ContractTraits): void => {
  outputsContract(name, async (chain) => {
    const { backend, close } = await open(chain, PATIENT);
    return {
      lookup: backend.lookup,
      close: async () => {
        await backend.close();
        await close();
      },
    };
  });
  mempoolContract(name, open);
  reorganisationContract(name, open, traits);
  crowdContract(name, open, traits);
  faultContract(name, open);
  endContract(name, open);
  blocksContract(name, open, traits);
};

const mempoolContract = (name: string, open: OpenService): void => {
  test(`${name}: spends and outputs of the mempool do not count`, async () => {
    const chain = new FakeChain(21);
    const [channel] = chain.fundAndMine(80_000n);
    chain.spend(channel!.funding);
    chain.fundChannel(new Uint8Array(33).fill(2), new Uint8Array(33).fill(3), 9000n, { vout: 0 });
    await withService(open, chain, PATIENT, async ({ ask }) => {
      assertUnspent(await ask(channel!.scid), channel!.funding);
      assertNone(await ask(scidFromParts(chain.height + 1, 2, 0)), 'no_block');
    });
  });
};

const reorganisationContract = (name: string, open: OpenService, traits: ContractTraits): void => {
  test(`${name}: an output that a reorganisation moves is found at its new place only`, async () => {
    const chain = new FakeChain(31, 3);
    const [first, second] = chain.fundAndMine(1000n, 2000n);
    await withService(open, chain, PATIENT, async ({ ask }) => {
      assertUnspent(await ask(first!.scid), first!.funding);
      assertUnspent(await ask(second!.scid), second!.funding);
      chain.reorganise(1, { transactions: 'hold', blocks: 0 });
      chain.mine([second!.funding.tx, first!.funding.tx]);
      chain.mine();
      await settled(traits, async () => {
        assertUnspent(await ask(chain.scidOf(first!.funding)!), first!.funding);
        assertUnspent(await ask(chain.scidOf(second!.funding)!), second!.funding);
      });
      const old = await ask(first!.scid);
      if (old.found === 'unspent') assert.notEqual(old.satoshis, 1000n, 'another output stands there now');
      else assert.equal(old.found, 'none');
    });
  });

  test(`${name}: an output that a reorganisation drops is none, and a spend that it drops is undone`, async () => {
    const chain = new FakeChain(32, 3);
    const [kept] = chain.fundAndMine(3000n);
    const [dropped] = chain.fundAndMine(4000n);
    chain.spend(kept!.funding);
    chain.mine();
    await withService(open, chain, PATIENT, async ({ ask }) => {
      assertUnspent(await ask(dropped!.scid), dropped!.funding);
      assertNone(await ask(kept!.scid), 'spent');
      chain.reorganise(2, { transactions: 'drop' });
      await settled(traits, async () => {
        assertNone(await ask(dropped!.scid), 'no_transaction');
        assertUnspent(await ask(kept!.scid), kept!.funding);
      });
      chain.spend(kept!.funding);
      chain.mine();
      await settled(traits, async () => assertNone(await ask(kept!.scid), 'spent'));
    });
  });
};

const crowdContract = (name: string, open: OpenService, traits: ContractTraits): void => {
  test(`${name}: 500 questions at once are answered right, with few requests`, async () => {
    const chain = new FakeChain(41);
    const values = Array.from({ length: 50 }, (_, index) => BigInt(20_000 + index));
    const channels = Array.from({ length: 10 }, () => chain.fundAndMine(...values)).flat();
    const closed = channels.filter((_, index) => index % 7 === 0);
    for (const { funding } of closed) chain.spend(funding);
    chain.mine();
    await withService(open, chain, PATIENT, async ({ ask, service }) => {
      const before = service.requests();
      const results = await Promise.all(channels.map(({ scid }) => ask(scid)));
      for (const [index, { funding }] of channels.entries()) {
        const result = results[index]!;
        if (index % 7 === 0) assertNone(result, 'spent');
        else assertUnspent(result, funding);
      }
      const requests = service.requests() - before;
      assert.ok(requests <= traits.maxRequestsFor500, `${requests} requests`);
    });
  });

  test(`${name}: the same output asked for many times at once is answered each time`, async () => {
    const chain = new FakeChain(42);
    const [channel] = chain.fundAndMine(7000n);
    await withService(open, chain, PATIENT, async ({ ask }) => {
      const results = await Promise.all(Array.from({ length: 20 }, () => ask(channel!.scid)));
      for (const result of results) assertUnspent(result, channel!.funding);
    });
  });
};

const faultContract = (name: string, open: OpenService): void => {
  test(`${name}: whatever the service does wrong is unavailable with a reason, and over when it is right again`, async () => {
    const chain = new FakeChain(51);
    await withService(open, chain, PATIENT, async ({ service, backend, ask }) => {
      for (const fault of [...service.faults, ...service.lookupFaults]) {
        // In a block of its own, of which nothing is remembered.
        const [channel] = chain.fundAndMine(7000n);
        await service.play(fault);
        assertUnavailable(await ask(channel!.scid), fault);
        const { state, reason } = backend.status();
        assert.notEqual(state, 'ok', fault);
        assert.ok(reason.length > 0, fault);
        if (backend.blocks !== undefined && service.faults.includes(fault)) {
          await assert.rejects(backend.blocks.tip(never), isChainUnavailable, fault);
          await assert.rejects(backend.blocks.hashAt(1, never), isChainUnavailable, fault);
          await assert.rejects(
            async () => backend.blocks!.rawBlock?.(chain.tip.hash, never) ?? backend.blocks!.tip(never),
            isChainUnavailable,
            fault,
          );
        }
        await service.play(undefined);
        await settled(PUSHED, async () => assertUnspent(await ask(channel!.scid), channel!.funding));
        assert.deepEqual([backend.status().state, backend.status().reason], ['ok', ''], fault);
      }
      const { failures, requests } = backend.status();
      assert.ok(failures >= service.faults.length && requests > 0);
    });
  });

  test(`${name}: a service that hangs is unavailable when the time is up`, async () => {
    const chain = new FakeChain(52);
    const [channel] = chain.fundAndMine(7000n);
    await withService(open, chain, HASTY, async ({ service, ask, backend }) => {
      await service.play('hang');
      assertUnavailable(await ask(channel!.scid), 'hang');
      if (backend.blocks !== undefined) await assert.rejects(backend.blocks.tip(never), isChainUnavailable);
    });
  });

  test(`${name}: a slow service is waited for`, async () => {
    const chain = new FakeChain(53);
    const [channel] = chain.fundAndMine(7000n);
    await withService(open, chain, PATIENT, async ({ service, ask }) => {
      await service.play('slow');
      assertUnspent(await ask(channel!.scid), channel!.funding);
    });
  });
};

const endContract = (name: string, open: OpenService): void => {
  test(`${name}: a question withdrawn while the service hangs ends at once, and others go on`, async () => {
    const chain = new FakeChain(61);
    const [first, second] = chain.fundAndMine(7000n, 8000n);
    await withService(open, chain, PATIENT, async ({ service, ask, backend }) => {
      await service.play('hang');
      const withdrawn = new AbortController();
      const question = ask(first!.scid, withdrawn.signal);
      const tip = backend.blocks?.tip(withdrawn.signal);
      setImmediate(() => withdrawn.abort());
      assertUnavailable(await question, 'withdrawn');
      if (tip !== undefined) await assert.rejects(tip, isChainUnavailable);
      await service.play(undefined);
      await settled(PUSHED, async () => assertUnspent(await ask(second!.scid), second!.funding));
    });
  });

  test(`${name}: close() answers what is open, and everything after it, as unavailable`, async () => {
    const chain = new FakeChain(62);
    const [channel] = chain.fundAndMine(7000n);
    await withService(open, chain, PATIENT, async ({ service, ask, backend }) => {
      await service.play('hang');
      const open = [ask(channel!.scid), ask(scidFromParts(1, 0, 0))];
      const tip =
        backend.blocks === undefined
          ? undefined
          : assert.rejects(backend.blocks.tip(never), isChainUnavailable);
      await new Promise((resolve) => setImmediate(resolve));
      await backend.close();
      for (const question of open) assertUnavailable(await question, 'open at close');
      await tip;
      assertUnavailable(await ask(channel!.scid), 'after close');
      if (backend.blocks !== undefined) await assert.rejects(backend.blocks.tip(never), isChainUnavailable);
    });
  });
};

/** The BlockSource part alone, for a backend that differs from another one only in its push. */
export const blocksContract = (name: string, open: OpenService, traits: ContractTraits): void => {
  test(`${name}: tip, hashAt and rawBlock follow the best chain over a reorganisation`, async () => {
    const chain = new FakeChain(71, 4);
    chain.fundAndMine(7000n);
    await withService(open, chain, PATIENT, async ({ backend }) => {
      const { blocks } = backend;
      assert.ok(blocks !== undefined);
      const check = async (): Promise<void> => {
        assert.deepEqual(await blocks.tip(never), chain.tip);
        for (let height = 0; height <= chain.height; height++) {
          assert.equal(await blocks.hashAt(height, never), chain.hashAt(height));
        }
        assert.equal(await blocks.hashAt(chain.height + 1, never), undefined);
        if (blocks.rawBlock === undefined) return;
        const raw = await blocks.rawBlock(chain.tip.hash, never);
        assert.ok(bytesEqual(raw, chain.rawBlock(chain.tip.hash)!));
      };
      await check();
      chain.reorganise(3);
      await settled(traits, check);
      chain.reorganise(1, { blocks: 1 });
      await settled(traits, check);
    });
  });

  if (traits.isPushed !== true && traits.hasPush !== true) return;
  test(`${name}: a new tip is pushed`, async () => {
    const chain = new FakeChain(72, 2);
    await withService(open, chain, PATIENT, async ({ backend }) => {
      const { blocks } = backend;
      assert.ok(blocks?.onTip !== undefined);
      assert.deepEqual(await blocks.tip(never), chain.tip);
      let pushes = 0;
      const stop = blocks.onTip(() => pushes++);
      chain.mine();
      await settled(PUSHED, async () => assert.ok(pushes > 0));
      stop();
      assert.deepEqual(await blocks.tip(never), chain.tip);
    });
  });
};
