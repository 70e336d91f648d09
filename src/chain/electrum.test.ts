import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, fromHex, own, toHex, writeU32 } from '../base/bytes.ts';
import type { NetworkName } from '../base/chain_hash.ts';
import { type LogLevel, recordingLog } from '../base/log.ts';
import { silentMeter } from '../base/meter.ts';
import { scidFromParts } from '../base/short_channel_id.ts';
import { ManualClock } from '../base/time.ts';
import { doubleSha256, sha256 } from '../crypto/hash.ts';
import type { ChainBackend } from './block_source.ts';
import {
  MAX_ELECTRUM_LOOKUPS,
  MAX_ELECTRUM_LOOKUPS_WAITING,
  MAX_ELECTRUM_OUTPUTS,
  openElectrum,
} from './electrum.ts';
import { hashToText } from './hash_text.ts';
import type { LineDial } from './line_socket.ts';

const hex = (text: string): Uint8Array => fromHex(text) ?? assert.fail('bad hex');
const signal = (): AbortSignal => new AbortController().signal;

const ROOT = '3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a';
const GENESIS: Readonly<Partial<Record<NetworkName, string>>> = {
  regtest: `01000000${'00'.repeat(32)}${ROOT}dae5494dffff7f2002000000`,
  bitcoin: `01000000${'00'.repeat(32)}${ROOT}29ab5f49ffff001d1dac2b7c`,
};

/** One transaction for each number, with an output of 330 satoshi to a script of its own (a push of four bytes). */
const transaction = (index: number): Uint8Array => {
  const parent = new Uint8Array(32);
  writeU32(parent, 0, index + 1);
  const input = concatBytes(parent, hex('00000000'), hex('00ffffffff'));
  return concatBytes(
    hex('0200000001'),
    input,
    hex('01'),
    hex('4a01000000000000'),
    hex('0504'),
    parent.subarray(0, 4),
    hex('00000000'),
  );
};

/** Electrum's key of its output's script: the last 9 bytes but the locktime. */
const scripthashOf = (raw: Uint8Array): string =>
  hashToText(sha256(raw.subarray(raw.length - 9, raw.length - 4)));

/** A block of so many transactions at height 1, in memory. */
class Block {
  readonly raws: readonly Uint8Array[];
  readonly levels: Uint8Array[][];

  constructor(count: number) {
    this.raws = Array.from({ length: count }, (_, index) => transaction(index));
    this.levels = [this.raws.map((raw) => own(doubleSha256(raw)))];
    for (let level = this.levels[0] ?? []; level.length > 1; ) {
      const below = level;
      level = [];
      for (let at = 0; at < below.length; at += 2) {
        const left = below[at] ?? parentless();
        level.push(own(doubleSha256(concatBytes(left, below[at + 1] ?? left))));
      }
      this.levels.push(level);
    }
  }

  proof(index: number): string[] {
    return this.levels.slice(0, -1).map((level, depth) => {
      const at = index >>> depth;
      return hashToText(level[at ^ 1] ?? level[at] ?? parentless());
    });
  }

  /** 80 bytes with this time; `isWorked`: it meets regtest's target, as every second hash does, or it does not. */
  header(time = 0, isWorked = true): string {
    const root = this.levels.at(-1)?.[0] ?? parentless();
    const header = concatBytes(new Uint8Array(36), root, new Uint8Array(12));
    const view = new DataView(header.buffer);
    view.setUint32(68, time, true);
    view.setUint32(72, 0x207fffff, true);
    for (let nonce = 0; ; nonce++) {
      view.setUint32(76, nonce, true);
      if ((doubleSha256(header)[31] ?? 0) < 0x80 === isWorked) return toHex(header);
    }
  }
}

const parentless = (): Uint8Array => assert.fail('no such node');

interface Stage {
  readonly backend: ChainBackend;
  readonly clock: ManualClock;
  readonly asked: string[];
  readonly logged: { level: LogLevel; message: string }[];
}

interface StageOptions {
  readonly tipTime?: number;
  readonly network?: NetworkName;
  /** False: no output is listed as unspent. */
  readonly unspent?: boolean;
  /** False: its headers do not meet their target. */
  readonly isWorked?: boolean;
}

const stage = (block: Block, options: StageOptions = {}): Stage => {
  const { tipTime = 0, network = 'regtest', isWorked = true } = options;
  const asked: string[] = [];
  const txidOf = new Map(block.raws.map((raw, index) => [scripthashOf(raw), block.levels[0]?.[index]]));
  const indexOf = new Map(block.levels[0]?.map((txid, index) => [hashToText(txid), index]));
  const answers: Readonly<Record<string, (params: unknown[]) => unknown>> = {
    'server.version': () => ['memory', '1.4'],
    'blockchain.headers.subscribe': () => ({ height: 1, hex: block.header(tipTime, isWorked) }),
    'blockchain.block.header': ([height]) =>
      height === 0 ? GENESIS[network] : block.header(tipTime, isWorked),
    'blockchain.transaction.id_from_pos': ([, position]) => ({
      tx_hash: hashToText(block.levels[0]?.[Number(position)] ?? parentless()),
      merkle: block.proof(Number(position)),
    }),
    'blockchain.transaction.get': ([text]) =>
      toHex(block.raws[indexOf.get(String(text)) ?? 0] ?? parentless()),
    'blockchain.scripthash.listunspent': ([scripthash]) =>
      options.unspent === false
        ? []
        : [{ tx_hash: hashToText(txidOf.get(String(scripthash)) ?? parentless()), tx_pos: 0, height: 1 }],
    'blockchain.scripthash.get_history': () => [],
  };
  const dial: LineDial = (_target, _options, events) =>
    Promise.resolve({
      writeLine: (line) => {
        const { id, method, params } = JSON.parse(line);
        asked.push(method);
        events.onLine(JSON.stringify({ id, result: answers[method]?.(params) }));
      },
      destroy: () => {},
    });
  const clock = new ManualClock();
  const logged: Stage['logged'] = [];
  const backend = openElectrum({
    host: 'memory',
    port: 1,
    tls: undefined,
    dial,
    clock,
    log: recordingLog(logged),
    meter: silentMeter,
    network,
    // No test has the work that bitcoin asks for.
    ...(network === 'bitcoin' ? { workRule: () => undefined } : {}),
  });
  return { backend, clock, asked, logged };
};

test('MAX_ELECTRUM_LOOKUPS and MAX_ELECTRUM_LOOKUPS_WAITING: the next lookup is refused, all others are answered', async () => {
  const clock = new ManualClock();
  const backend = openElectrum({
    host: 'never',
    port: 1,
    tls: { kind: 'any' },
    dial: (_target, _options, _events, ending) =>
      new Promise((_, reject) => ending.addEventListener('abort', () => reject(new Error('ended')))),
    clock,
    log: recordingLog([]),
    meter: silentMeter,
    network: 'regtest',
  });
  const scid = scidFromParts(1, 0, 0);
  const all = MAX_ELECTRUM_LOOKUPS + MAX_ELECTRUM_LOOKUPS_WAITING;
  const asked = Array.from({ length: all }, () => backend.lookup.lookup(scid, signal()));
  const refused = await backend.lookup.lookup(scid, signal());
  assert.match(refused.found === 'unavailable' ? (refused.why ?? '') : '', /too many questions/);
  assert.equal(backend.status().state, 'connecting');
  await backend.close();
  for (const result of await Promise.all(asked)) assert.equal(result.found, 'unavailable');
  assert.equal(clock.pending, 0);
});

test('MAX_ELECTRUM_OUTPUTS: what was proven is not proven again, until newer outputs have taken its place', async () => {
  const { backend, asked } = stage(new Block(MAX_ELECTRUM_OUTPUTS + 1));
  const ask = async (position: number): Promise<string[]> => {
    const before = asked.length;
    assert.equal((await backend.lookup.lookup(scidFromParts(1, position, 0), signal())).found, 'unspent');
    return asked.slice(before);
  };
  await ask(0);
  for (let position = 1; position < MAX_ELECTRUM_OUTPUTS; position++) await ask(position);
  assert.deepEqual(await ask(0), ['blockchain.scripthash.listunspent']);
  await ask(MAX_ELECTRUM_OUTPUTS);
  assert.equal((await ask(0)).length, 1, 'used lately');
  assert.equal((await ask(1)).length, 3, 'forgotten');
  await backend.close();
});

test('a server that is a day behind is not believed when it says that a block does not exist', async () => {
  const nowSeconds = new ManualClock().nowMs() / 1000;
  const above = scidFromParts(2, 0, 0);
  const old = stage(new Block(1), { tipTime: nowSeconds - 90_000, network: 'bitcoin' });
  const behind = await old.backend.lookup.lookup(above, signal());
  assert.match(
    behind.found === 'unavailable' ? (behind.why ?? '') : '',
    /at block 1, which is more than a day old/,
  );
  assert.equal(old.backend.status().state, 'unavailable');
  const young = stage(new Block(1), { tipTime: nowSeconds - 3600, network: 'bitcoin' });
  assert.deepEqual(await young.backend.lookup.lookup(above, signal()), { found: 'none', why: 'no_block' });
  await Promise.all([old.backend.close(), young.backend.close()]);
});

test('a server whose blocks show no work is no server', async () => {
  const { backend } = stage(new Block(1), { isWorked: false });
  const result = await backend.lookup.lookup(scidFromParts(1, 0, 0), signal());
  assert.match(
    result.found === 'unavailable' ? (result.why ?? '') : '',
    /its header 1 shows no work: it does not meet its own target/,
  );
  await backend.close();
});

test('nothing that a server does logs above info', async () => {
  const { backend, logged } = stage(new Block(2), { unspent: false });
  assert.equal((await backend.lookup.lookup(scidFromParts(1, 1, 0), signal())).found, 'unavailable');
  assert.match(
    backend.status().reason,
    /leaves .* out of the history of its own script; choose another server/,
  );
  assert.ok(logged.length > 0 && logged.every(({ level }) => level === 'info'));
  await backend.close();
});
