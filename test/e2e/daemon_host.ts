/**
 * A whole daemon in a process of its own, whose inside can be asked about over the channel to its parent: what an operator
 * cannot see, such as how full the waiting rooms are, and the most that each of them ever held. Ends with its parent.
 *
 * Started by hosted_daemon.ts with its settings as one JSON argument.
 */
import { readFileSync } from 'node:fs';
import { type LogLevel, recordingLog } from '../../src/base/log.ts';
import { lookupOnly } from '../../src/chain/lookup_only.ts';
import type { UtxoLookup } from '../../src/chain/utxo_lookup.ts';
import { openUtxoTable } from '../../src/chain/utxo_table.ts';
import { loadConfig } from '../../src/daemon/config.ts';
import { Daemon } from '../../src/daemon/daemon.ts';

export interface HostSettings {
  readonly folder: string;
  readonly utxoPath: string;
  readonly flags: Readonly<Record<string, unknown>>;
}

export interface HostReport {
  readonly node_id: string;
  readonly port: number;
  readonly channels: number;
  readonly half_channels: number;
  readonly complete: boolean;
  readonly store_state: string;
  readonly rss_bytes: number;
  /** Of all its threads. */
  readonly cpu_seconds: number;
  /** Each the most that was seen, looked at every 20 ms. */
  readonly most: Readonly<Record<string, number>>;
  /** Counters and gauges by `name` or `name{label}`. */
  readonly meter: Readonly<Record<string, number>>;
  /** Node ids of those that are connected. */
  readonly peers: readonly string[];
  /** Lines above debug; of `broken` and `unusual` also what they say. */
  readonly loud: Readonly<Partial<Record<LogLevel, number>>>;
  readonly alarms: readonly string[];
  /**
   * Why each connection ended, by the `host:port` of its other end and how often that was used before; with what was held against it where that is part of the
   * reason, as `banned: bad_signature`. Only when asked for.
   */
  readonly endings?: Readonly<Record<string, string>>;
}

export type HostRequest = { readonly ask: 'report' | 'endings' | 'forget_most' | 'stop' };

const LOOK_MS = 20;
const { folder, utxoPath, flags } = JSON.parse(process.argv[2] ?? '') as HostSettings;
const lines: Parameters<typeof recordingLog>[0] = [];
const loud: Partial<Record<LogLevel, number>> = {};
const alarms: string[] = [];
const endings = new Map<string, string>();
const EXPLAINED = ['banned', 'broke_gossip_rules'];
const noteEnding = (peer: string, because: string, detail: string): void => {
  const isExplained = EXPLAINED.includes(because) && detail !== '';
  const end = peer.slice(peer.indexOf('@') + 1);
  let before = 0;
  while (endings.has(`${end}#${before}`)) before++;
  endings.set(`${end}#${before}`, isExplained ? `${because}: ${detail}` : because);
};
/** Counts the lines and keeps none but how connections ended and those that should not be. */
lines.push = ({ level, message, fields }) => {
  if (fields?.['because'] !== undefined && fields['detail'] !== undefined)
    noteEnding(String(fields['peer']), String(fields['because']), String(fields['detail']));
  if (level !== 'debug' && level !== 'trace') loud[level] = (loud[level] ?? 0) + 1;
  if (level === 'unusual' || level === 'broken')
    alarms.push(`${level}: ${message} ${JSON.stringify(fields ?? {})}`);
  return 0;
};

/** As a backend that sees the whole chain: what is not in the table never was. */
const knowsAll = (table: UtxoLookup): UtxoLookup => ({
  ...table,
  lookup: async (scid, signal) => {
    const result = await table.lookup(scid, signal);
    return result.found === 'none' ? { found: 'none', why: 'no_transaction' } : result;
  },
});

const daemon = await Daemon.start({
  config: loadConfig({
    flags: { network: 'regtest', data_dir: folder, ...flags },
    env: {},
    cores: 1,
    home: folder,
    cwd: folder,
  }),
  log: recordingLog(lines),
  openChain: () => lookupOnly(knowsAll(openUtxoTable(readFileSync(utxoPath)))),
  rpc: false,
});
const { ingest, store, graph, peers, seeker, meter, nodeId } = daemon.parts;

let most: Record<string, number> = {};
const see = (name: string, value: number): void => {
  most[name] = Math.max(most[name] ?? 0, value);
};
const look = (): void => {
  for (const [name, value] of Object.entries(ingest.occupancy())) see(name, value);
  see('store_pending_bytes', store.pendingBytes);
  see('wanted', seeker.status().wanted);
  see('peers', peers.ready.length);
  see('rss_bytes', process.memoryUsage.rss());
};
setInterval(look, LOOK_MS);

const report = (): HostReport => {
  look();
  const { user, system } = process.cpuUsage();
  return {
    node_id: nodeId,
    port: peers.listening[0]?.port ?? 0,
    channels: graph.channelCount,
    half_channels: graph.halfChannelCount,
    complete: seeker.status().complete,
    store_state: store.state,
    rss_bytes: process.memoryUsage.rss(),
    cpu_seconds: (user + system) / 1e6,
    most,
    meter: Object.fromEntries(meter.values),
    peers: peers.ready.map((connection) => String(connection.nodeId)),
    loud,
    alarms,
  };
};

process.on('message', (request: HostRequest) => {
  switch (request.ask) {
    case 'report':
      process.send?.(report());
      return;
    case 'endings':
      process.send?.({ ...report(), endings: Object.fromEntries(endings) });
      return;
    case 'forget_most':
      most = {};
      process.send?.(report());
      return;
    case 'stop':
      void daemon.stop().then(() => process.exit(0));
      return;
  }
});
process.once('disconnect', () => process.exit(0));
process.send?.(report());
