/**
 * The verb `simnet`, a network in a box: makes (or finds) a really signed map, starts peers that serve it over BOLT 8 on
 * loopback as processes of their own, and runs the daemon against them, exactly as it runs against the real network.
 *
 * The daemon's folder starts empty at each run, unless the last run was interrupted before its first sync was complete
 * (then it goes on), or the user named the folder or asked to keep it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DaemonStatus } from '../api/daemon_status.ts';
import { OperationalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { lookupOnly } from '../chain/lookup_only.ts';
import { openUtxoTable } from '../chain/utxo_table.ts';
import type { LineOutput } from '../observe/line_output.ts';
import { ProgressLine } from '../observe/progress_line.ts';
import { systemClock } from '../observe/system_clock.ts';
import { type BuiltMap, buildMap, removeOrphans } from '../simnet/build_map.ts';
import { simnetTopology, type TopologySource } from '../simnet/topology_source.ts';
import { nodeStoreFolder } from '../store/store_file.ts';
import type { Config } from './config.ts';
import { makeDataFolder } from './data_folder.ts';
import { runDaemon } from './run.ts';
import type { SimnetPeerReady, SimnetPeerSettings } from './simnet_peer.ts';

const PEER_START_TIMEOUT_MS = 30_000;
/** Peers flush live updates this often instead of every 60 s, so that something is to be seen. */
const PEER_FLUSH_INTERVAL_MS = 1_000;

export interface SimnetOptions {
  readonly topology: TopologySource;
  readonly peers: number;
  /** Live updates per second, over all peers. */
  readonly livePerSecond: number;
  /** Keep what the last run stored. */
  readonly keep: boolean;
  /** Where maps are cached; default $XDG_CACHE_HOME/gossipd/simnet. */
  readonly cacheDir: string | undefined;
  /** The daemon's folder if the user named it. */
  readonly dataDir: string | undefined;
  readonly signWorkers: number;
}

export interface SimnetPorts {
  readonly log: Log;
  readonly output: LineOutput;
  /** The daemon's configuration, but for the folder and the peers. */
  readonly configure: (settings: { data_dir: string; peers: readonly string[] }) => Config;
}

/** What one run of the network in a box came to. */
export interface SimnetResult {
  readonly channels: number;
  readonly nodes: number;
  readonly updates: number;
  readonly node_announcements: number;
  readonly signatures_checked: number;
  readonly rejected: number;
  /** From the daemon's start to the complete first sync. */
  readonly seconds: number;
  readonly signatures_per_second: number;
  /** Processor time of the daemon from its process's start to its end, the peers apart. */
  readonly cpu_seconds: number;
  readonly bytes_received: number;
  readonly peers: number;
  readonly seed: number;
  /** Channels that were in the store at the start, from an interrupted run. */
  readonly resumed_channels: number;
  readonly complete: boolean;
  /** Path of the store. */
  readonly store: string;
  readonly store_bytes: number;
}

const simnetName = ({ seed, channels, nodes, fromStore }: TopologySource): string => {
  if (fromStore === undefined) return `seed-${seed}-channels-${channels}-nodes-${nodes}`;
  const { size, mtimeMs } = statSync(fromStore);
  const digest = createHash('sha256')
    .update(`${resolve(fromStore)} ${size} ${mtimeMs}`)
    .digest('hex')
    .slice(0, 12);
  return `seed-${seed}-store-${digest}`;
};

export const defaultSimnetDir = (): string =>
  join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'gossipd', 'simnet');

/** Runs until the daemon stops (a signal, or exit_when_synced). Rejects with OperationalError when it cannot start. */
export const runSimnet = async (
  options: SimnetOptions,
  { log, output, configure }: SimnetPorts,
): Promise<SimnetResult> => {
  const base = join(options.cacheDir ?? defaultSimnetDir(), simnetName(options.topology));
  makeDataFolder(base);
  const map = await makeMap(options, join(base, 'map'), log, output);
  const dataDir = options.dataDir ?? join(base, 'node');
  makeDataFolder(dataDir);
  const run = openRun(dataDir, map, options, log);
  const peers: ChildProcess[] = [];
  // Beside the map, of which each peer needs a copy: the daemon's own folder may be on a small disk. Of this process alone:
  // the peers of one that was killed may take a moment longer than its next start.
  const peersFolder = join(base, 'peers', String(process.pid));
  removeOrphans(dirname(peersFolder), '');
  try {
    const addresses = await startPeers(options, map, peersFolder, peers);
    log.info('peers serve the map', { peers: peers.length, channels: map.channels, nodes: map.nodes });
    let seconds = 0;
    const last = await runDaemon({
      config: configure({ data_dir: dataDir, peers: addresses }),
      log,
      output,
      openChain: () => lookupOnly(openUtxoTable(readFileSync(map.utxoPath))),
      onSynced: (_status, took) => {
        seconds = took;
        run.synced();
      },
    });
    return resultOf(last, seconds, options);
  } finally {
    await Promise.all(peers.map(stopPeer));
    rmSync(peersFolder, { recursive: true, force: true, maxRetries: 3 });
    removeIfEmpty(dirname(peersFolder));
  }
};

const removeIfEmpty = (folder: string): void => {
  try {
    rmdirSync(folder);
  } catch {
    // Peers of another simnet of the same map are still there.
  }
};

const resultOf = (status: DaemonStatus, seconds: number, { topology }: SimnetOptions): SimnetResult => ({
  channels: status.channels,
  nodes: status.nodes,
  updates: status.half_channels,
  node_announcements: status.node_announcements,
  signatures_checked: status.signatures_checked,
  rejected: status.rejected,
  seconds: Math.round(seconds * 1000) / 1000,
  signatures_per_second: seconds > 0 ? Math.round(status.signatures_checked / seconds) : 0,
  cpu_seconds: Math.round(status.cpu_seconds * 1000) / 1000,
  bytes_received: status.received_bytes,
  peers: status.peers.length,
  seed: topology.seed,
  resumed_channels: status.loaded_channels,
  complete: seconds > 0,
  store: status.store.path,
  store_bytes: status.store.bytes,
});

const makeMap = async (
  options: SimnetOptions,
  folder: string,
  log: Log,
  output: LineOutput,
): Promise<BuiltMap> => {
  const progress = new ProgressLine({
    output,
    clock: systemClock(),
    label: 'signing the map',
    unit: 'signatures',
  });
  const startedMs = performance.now();
  let signed = 0;
  try {
    const map = await buildMap({
      seed: options.topology.seed,
      network: 'regtest',
      folder,
      workers: options.signWorkers,
      nowSeconds: Math.floor(Date.now() / 1000),
      drawTopology: () => simnetTopology(options.topology),
      onProgress: (done, total) => {
        signed = done;
        progress.update(done, total);
      },
    });
    progress.end();
    log.info(signed === 0 ? 'map found' : 'map signed', {
      channels: map.channels,
      nodes: map.nodes,
      signatures: map.signatures,
      ms: Math.round(performance.now() - startedMs),
      folder,
    });
    return map;
  } catch (error) {
    progress.end();
    if (!(error instanceof RangeError)) throw error;
    throw new OperationalError(
      'bad_argument',
      'stop',
      error.message,
      'Use fewer --nodes or more --channels.',
      error,
    );
  }
};

interface RunMark {
  readonly state: 'syncing' | 'synced';
  readonly newest_timestamp: number;
}

/** Empties the daemon's folder when this run is to start anew, and marks the run as begun. */
const openRun = (
  dataDir: string,
  map: BuiltMap,
  options: SimnetOptions,
  log: Log,
): { synced: () => void } => {
  const path = join(dataDir, 'simnet.json');
  const mark = (state: RunMark['state']): void => {
    writeFileSync(
      path,
      `${JSON.stringify({ state, newest_timestamp: map.newest_timestamp } satisfies RunMark)}\n`,
    );
  };
  let before: RunMark | undefined;
  if (existsSync(path)) {
    try {
      before = JSON.parse(readFileSync(path, 'utf8')) as RunMark;
    } catch {
      // A mark that was cut off says nothing: the run starts anew.
    }
  }
  const interrupted = before?.state === 'syncing' && before.newest_timestamp === map.newest_timestamp;
  const goesOn = options.keep || options.dataDir !== undefined || interrupted;
  if (goesOn && existsSync(join(dataDir, 'gossip_store'))) {
    log.info(
      interrupted
        ? 'the last run was interrupted; going on with its store'
        : 'going on with the store that is there',
      {
        folder: dataDir,
      },
    );
  }
  if (!goesOn) {
    const folder = nodeStoreFolder(dataDir);
    // Under the writer's lock, so that a daemon that still runs there is never robbed of its file.
    const lock = folder.lock('gossip_store.lock', log);
    folder.remove('gossip_store');
    lock.release();
  }
  mark('syncing');
  return { synced: () => mark('synced') };
};

const startPeers = async (
  options: SimnetOptions,
  map: BuiltMap,
  folder: string,
  peers: ChildProcess[],
): Promise<string[]> => {
  const entry = fileURLToPath(new URL('./simnet_peer.js', import.meta.url));
  const starting = Array.from({ length: options.peers }, (_, share) => {
    const settings: SimnetPeerSettings = {
      topology: options.topology,
      mapFolder: map.folder,
      dataDir: join(folder, String(share)),
      share,
      shares: options.peers,
      livePerSecond: options.livePerSecond,
      flushIntervalMs: PEER_FLUSH_INTERVAL_MS,
    };
    const child = spawn(process.execPath, [entry, JSON.stringify(settings)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    peers.push(child);
    return readReady(child);
  });
  return (await Promise.all(starting)).map(({ node_id, port }) => `${node_id}@127.0.0.1:${port}`);
};

const readReady = (child: ChildProcess): Promise<SimnetPeerReady> =>
  new Promise((resolve, reject) => {
    const fail = (why: string): void =>
      reject(
        new OperationalError(
          'simnet_peer_failed',
          'stop',
          `a peer of the simulated network ${why}`,
          'Its own message stands above.',
        ),
      );
    const timer = setTimeout(() => fail('did not start in time'), PEER_START_TIMEOUT_MS);
    child.once('error', (error) => fail(`could not be started: ${error.message}`));
    child.once('exit', (code) => fail(`ended at its start (exit code ${code})`));
    // A peer that dies later closes this pipe; writing to it must not end us.
    child.stdin?.on('error', () => {});
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
      if (!text.includes('\n')) return;
      clearTimeout(timer);
      resolve(JSON.parse(text) as SimnetPeerReady);
    });
  });

/** Ends a peer by its standard input; kills it if that takes more than two seconds. */
const stopPeer = (child: ChildProcess): Promise<void> =>
  new Promise((done) => {
    if (child.exitCode !== null || child.signalCode !== null) return done();
    const timer = setTimeout(() => child.kill('SIGKILL'), 2_000);
    child.once('exit', () => {
      clearTimeout(timer);
      done();
    });
    child.stdin?.end();
  });
