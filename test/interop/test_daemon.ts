/** A whole daemon in the test's process, in a folder of its own, and what it holds; both are gone when the test is over. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '../../src/base/bytes.ts';
import type { NetworkName } from '../../src/base/chain_hash.ts';
import { silentLog } from '../../src/base/log.ts';
import { lookupOnly } from '../../src/chain/lookup_only.ts';
import type { UtxoLookup } from '../../src/chain/utxo_lookup.ts';
import { utxoNone } from '../../src/chain/utxo_none.ts';
import { loadConfig } from '../../src/daemon/config.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import { consoleLog } from '../../src/observe/console_log.ts';
import { standardError } from '../../src/observe/line_output.ts';
import type { StoreOffset } from '../../src/wire/store_record.ts';

/** No wait here is shorter than this: it ends a hung test, and says nothing about speed. */
const DEADLINE_MS = 60_000;
const POLL_MS = 50;

/** Waits until it holds. Rejects, with what is found instead, when it does not hold within a minute. */
export const until = async (
  what: string,
  holds: () => boolean | Promise<boolean>,
  found: () => unknown = () => '',
): Promise<void> => {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline)
      throw new Error(`waited in vain: ${what} ${JSON.stringify(await found())}`);
    await sleep(POLL_MS);
  }
};

export interface TestDaemonSettings {
  /** Default regtest. */
  readonly network?: NetworkName;
  /** `NODE_ID@HOST:PORT` of those to dial; none: it only listens. */
  readonly peers?: readonly string[];
  readonly utxo?: UtxoLookup;
}

/** Listens on a free port of 127.0.0.1, relays five times a second, and dials nobody but `peers`. */
export const startDaemon = async (
  t: TestContext,
  { network = 'regtest', peers = [], utxo = utxoNone }: TestDaemonSettings,
): Promise<Daemon> => {
  const folder = mkdtempSync(join(tmpdir(), 'gossipd-interop-'));
  const flags = {
    network,
    data_dir: folder,
    listen: ['127.0.0.1:0'],
    peers,
    outbound_peers: '0',
    dns_seeds: false,
    verify_workers: '0',
    flush_interval_ms: '200',
  };
  const log =
    process.env['INTEROP_LOG'] === undefined
      ? silentLog
      : consoleLog({ level: 'debug', json: false, output: standardError() });
  let daemon: Daemon | undefined;
  t.after(async () => {
    await daemon?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  daemon = await Daemon.start({
    config: loadConfig({ flags, env: {}, cores: 1, home: folder, cwd: folder }),
    log,
    openChain: () => lookupOnly(utxo),
    rpc: false,
  });
  return daemon;
};

export const portOf = (daemon: Daemon): number => daemon.parts.peers.listening[0]!.port;

/** Hands it messages as its own, and waits until all are judged. */
export const fillDaemon = async (daemon: Daemon, messages: readonly Uint8Array[]): Promise<void> => {
  const { ingest } = daemon.parts;
  let judged = 0;
  for (const raw of messages) ingest.offer(raw, 0, () => judged++);
  await until('the map is judged', () => judged === messages.length && ingest.backlog === 0);
};

/** Sorted hex of every message that its graph points to, read from its store. */
export const messagesOf = ({ parts: { graph, store } }: Daemon): string[] => {
  const found: string[] = [];
  const take = (offset: StoreOffset): void => {
    found.push(toHex(store.readMessage(offset) ?? new Uint8Array(0)));
  };
  graph.forEachChannel((channel) => {
    take(graph.channelOffset(channel));
    for (const direction of [0, 1] as const) {
      if (graph.hasUpdate(channel, direction)) take(graph.updateOffset(channel, direction));
    }
  });
  graph.forEachNode((node) => {
    if (graph.nodeTimestamp(node) !== 0) take(graph.nodeOffset(node));
  });
  return found.sort();
};
