/**
 * One peer of the network in a box, a process of its own: a daemon that holds the whole map, listens on loopback, answers
 * and relays, and makes its share of the live updates. Started by simnet.ts with its settings as one JSON argument.
 *
 * Tells its node id and port in one JSON line on standard output. Ends when its standard input ends, so that it never
 * outlives the process that started it, however that one died.
 */
import { copyFileSync, constants as fsConstants, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { NETWORKS } from '../base/chain_hash.ts';
import { lookupOnly } from '../chain/lookup_only.ts';
import { openUtxoTable } from '../chain/utxo_table.ts';
import { loadEngine } from '../crypto/engine.ts';
import { consoleLog } from '../observe/console_log.ts';
import { standardError } from '../observe/line_output.ts';
import { systemClock } from '../observe/system_clock.ts';
import { systemRng } from '../observe/system_rng.ts';
import { simnetSecret } from '../simnet/identity.ts';
import { startLiveTraffic } from '../simnet/live_traffic.ts';
import { simnetTopology, type TopologySource } from '../simnet/topology_source.ts';
import { loadConfig } from './config.ts';
import { Daemon } from './daemon.ts';

export interface SimnetPeerSettings {
  readonly topology: TopologySource;
  readonly mapFolder: string;
  readonly dataDir: string;
  readonly share: number;
  readonly shares: number;
  readonly livePerSecond: number;
  readonly flushIntervalMs: number;
}

export interface SimnetPeerReady {
  readonly node_id: string;
  readonly port: number;
}

const settings = JSON.parse(process.argv[2] ?? '') as SimnetPeerSettings;
mkdirSync(settings.dataDir, { recursive: true });
rmSync(join(settings.dataDir, 'gossip_store'), { force: true });
// A reflink where the file system can, a copy elsewhere.
copyFileSync(
  join(settings.mapFolder, 'gossip_store'),
  join(settings.dataDir, 'gossip_store'),
  fsConstants.COPYFILE_FICLONE,
);

// No environment and no file: what the user configures is meant for the daemon under test, not for its peers.
const config = loadConfig({
  flags: {
    network: 'regtest',
    data_dir: settings.dataDir,
    listen: ['127.0.0.1:0'],
    outbound_peers: '0',
    verify_workers: '0',
    bytes_per_second_in: '0',
    bytes_per_second_out: '0',
    flush_interval_ms: String(settings.flushIntervalMs),
  },
  env: {},
  cores: 1,
  home: settings.dataDir,
  cwd: settings.dataDir,
});
const log = consoleLog({ level: 'unusual', json: false, output: standardError() });
const daemon = await Daemon.start({
  config,
  log: log.part(`peer ${settings.share}`),
  openChain: () => lookupOnly(openUtxoTable(readFileSync(join(settings.mapFolder, 'utxo_table')))),
  rpc: false,
  upkeep: false,
});

const engine = loadEngine('fastest');
const { seed } = settings.topology;
const keys = new Map<number, Uint8Array>();
const nodeKey = (node: number): Uint8Array => {
  const known = keys.get(node) ?? engine.publicKey(simnetSecret(seed, 'node', node));
  keys.set(node, known);
  return known;
};
const stopTraffic =
  settings.livePerSecond <= 0
    ? (): void => {}
    : startLiveTraffic({
        map: {
          seed,
          topology: simnetTopology(settings.topology),
          network: NETWORKS.regtest,
          engine,
          newestTimestamp: 0,
          nodeKey,
        },
        perSecond: settings.livePerSecond / settings.shares,
        share: settings.share,
        shares: settings.shares,
        clock: systemClock(),
        rng: systemRng(),
        offer: (raw) => daemon.parts.ingest.offer(raw, 0),
      });

const end = (): void => {
  stopTraffic();
  void daemon.stop().finally(() => process.exit(0));
};
process.stdin.on('end', end);
process.stdin.on('error', end);
process.stdin.resume();
// Ctrl-C reaches the whole group; the one who started us decides when we end.
process.on('SIGINT', () => {});

const ready: SimnetPeerReady = {
  node_id: daemon.parts.nodeId,
  port: daemon.parts.peers.listening[0]?.port ?? 0,
};
process.stdout.write(`${JSON.stringify(ready)}\n`);
