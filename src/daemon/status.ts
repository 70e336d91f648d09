/** What the daemon says of itself: one plain object, for `gossipd status`, the rpc socket and the summary after a sync. */
import type { Verdict } from '../ingest/verdict.ts';
import type { DaemonParts } from './daemon.ts';
import { VERSION } from './version.ts';

export interface PeerStatus {
  readonly node_id: string;
  readonly address: string;
  readonly direction: 'in' | 'out';
  readonly connected_seconds: number;
  readonly bytes_in: number;
  readonly bytes_out: number;
  readonly messages_in: number;
  readonly messages_out: number;
}

export interface DaemonStatus {
  readonly version: string;
  readonly network: string;
  readonly node_id: string;
  readonly listening: readonly string[];
  readonly uptime_seconds: number;
  readonly sync: ReturnType<DaemonParts['seeker']['status']>;
  readonly channels: number;
  readonly half_channels: number;
  /** Channels that the store held at the start. */
  readonly loaded_channels: number;
  readonly nodes: number;
  readonly node_announcements: number;
  readonly capacity_sat: number;
  readonly signatures_checked: number;
  readonly signature_engine: string;
  /** Messages that broke a rule. */
  readonly rejected: number;
  /** Verdicts by reason code, without the zeros. */
  readonly verdicts: Readonly<Record<string, number>>;
  readonly ingest_backlog: number;
  readonly chain: { readonly backend: string; readonly verifies: boolean };
  readonly store: {
    readonly path: string;
    readonly bytes: number;
    readonly durable_bytes: number;
    readonly state: string;
    readonly reason: string;
  };
  readonly received_bytes: number;
  readonly sent_bytes: number;
  readonly rss_bytes: number;
  /** Processor time of the process since its start, all threads. */
  readonly cpu_seconds: number;
  readonly peers: readonly PeerStatus[];
}

/** Reasons that say the sender broke a rule: their action is warn or close. */
const RULE_BREAKING: ReadonlySet<Verdict['reason']> = new Set([
  'malformed',
  'node_ids_not_ordered',
  'zero_timestamp',
  'bad_node_id',
  'bad_bitcoin_key',
  'bad_node_signature_1',
  'bad_node_signature_2',
  'bad_bitcoin_signature_1',
  'bad_bitcoin_signature_2',
  'bad_signature',
  'funding_script_mismatch',
  'same_timestamp_other_content',
]);

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

export const statusOf = (parts: DaemonParts): DaemonStatus => {
  const { graph, store, ingest, seeker, peers, config, clock, meter, utxo } = parts;
  const counts = Object.entries(ingest.counts()).filter(([, count]) => count > 0);
  const now = clock.monotonicMs();
  return {
    version: VERSION,
    network: config.network,
    node_id: parts.nodeId,
    listening: peers.listening.map(({ host, port }) => `${host}:${port}`),
    uptime_seconds: Math.round((now - parts.startedMs) / 100) / 10,
    sync: seeker.status(),
    channels: graph.channelCount,
    half_channels: graph.halfChannelCount,
    loaded_channels: parts.loadedChannels,
    nodes: graph.nodeCount,
    node_announcements: graph.nodeAnnouncementCount,
    capacity_sat: graph.capacitySat,
    signatures_checked: ingest.signaturesChecked,
    signature_engine: parts.checker.engineName,
    rejected: counts.reduce(
      (total, [reason, count]) => total + (RULE_BREAKING.has(reason as Verdict['reason']) ? count : 0),
      0,
    ),
    verdicts: Object.fromEntries(counts),
    ingest_backlog: ingest.backlog,
    chain: { backend: utxo.name, verifies: utxo.verifies },
    store: {
      path: store.path,
      bytes: store.publishedBytes,
      durable_bytes: store.durableBytes,
      state: store.state,
      reason: store.stateReason ?? '',
    },
    received_bytes: meter.get('gossipd_peer_bytes_total', 'in'),
    sent_bytes: meter.get('gossipd_peer_bytes_total', 'out'),
    rss_bytes: process.memoryUsage.rss(),
    cpu_seconds: cpuSeconds(),
    peers: peers.ready.map((connection) => ({
      node_id: connection.nodeId ?? '',
      address: `${connection.host}:${connection.port}`,
      direction: connection.outbound ? 'out' : 'in',
      connected_seconds: Math.round((now - connection.since) / 1000),
      bytes_in: connection.bytesIn,
      bytes_out: connection.bytesOut,
      messages_in: connection.messagesIn,
      messages_out: connection.messagesOut,
    })),
  };
};
