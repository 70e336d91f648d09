/** What the daemon says of itself: one plain object, for `gossipd status`, the rpc socket and the summary after a sync. */
import type { ChainStatus, DaemonStatus, PeerStatus } from '../api/daemon_status.ts';
import { RULE_BREAKING_REASONS } from '../ingest/verdict.ts';
import { processStats } from '../observe/process_stats.ts';
import type { Connection } from '../peer/connection.ts';
import type { Contribution } from '../peer/rotation.ts';
import type { DaemonParts } from './daemon.ts';
import { VERSION } from './version.ts';

const chainStatus = ({ utxo, chain, chainWatch, ingest }: DaemonParts): ChainStatus => {
  const followed = chainWatch.status();
  const watch = ingest.chainStatus();
  const backend = chain.status();
  const trouble = backend.reason === '' ? (followed?.trouble ?? '') : backend.reason;
  return {
    ...backend,
    backend: utxo.name,
    verifies: utxo.verifies,
    reason: trouble,
    height: followed?.height ?? null,
    hash: followed?.hash ?? '',
    behind: followed?.behind ?? 0,
    dying_channels: watch.dying_channels,
    spends_seen: watch.spends_seen,
    verified_channels: watch.verified_channels,
    verifying_left: watch.verifying_total - watch.verifying_done,
    questions_waiting: watch.questions_waiting,
    closed_scids: watch.closed_scids,
    zombies: watch.zombies,
  };
};

const peerStatus = (connection: Connection, contribution: Contribution, now: number): PeerStatus => ({
  node_id: connection.nodeId ?? '',
  address: `${connection.host}:${connection.port}`,
  direction: connection.outbound ? 'out' : 'in',
  connected_seconds: Math.round((now - connection.since) / 1000),
  bytes_in: connection.bytesIn,
  bytes_out: connection.bytesOut,
  messages_in: connection.messagesIn,
  messages_out: connection.messagesOut,
  offered_bytes: contribution.offeredBytes,
  useful_bytes: contribution.usefulBytes,
  useful_ratio:
    contribution.offeredBytes === 0
      ? 0
      : Math.round((1000 * contribution.usefulBytes) / contribution.offeredBytes) / 1000,
  latency_ms: Number.isFinite(connection.latencyMs) ? Math.round(connection.latencyMs) : null,
  memory_bytes: connection.memoryBytes,
});

/** @param contributionOf what a connection has brought so far */
export const statusOf = (
  parts: DaemonParts,
  contributionOf: (connection: Connection) => Contribution,
): DaemonStatus => {
  const { graph, store, ingest, seeker, peers, config, clock, meter } = parts;
  const { rss_bytes, cpu_seconds } = processStats();
  const reasons = ingest.counts();
  const counts = Object.entries(reasons).filter(([, count]) => count > 0);
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
    rejected: RULE_BREAKING_REASONS.reduce((total, reason) => total + reasons[reason], 0),
    verdicts: Object.fromEntries(counts),
    ingest_backlog: ingest.backlog,
    chain: chainStatus(parts),
    connections: peers.status(),
    manners: ingest.manners(),
    lint: Object.fromEntries(Object.entries(ingest.lintCounts()).filter(([, count]) => count > 0)),
    store: {
      path: store.path,
      bytes: store.publishedBytes,
      durable_bytes: store.durableBytes,
      dead_bytes: store.deadBytes,
      version: store.version,
      state: store.state,
      reason: store.stateReason ?? '',
      rewrites: store.generation,
      damaged_ranges: meter.get('gossipd_store_damaged_ranges_total'),
      quarantine: store.quarantined === undefined ? '' : `${config.data_dir}/${store.quarantined}`,
    },
    received_bytes: meter.get('gossipd_peer_bytes_total', 'in'),
    sent_bytes: meter.get('gossipd_peer_bytes_total', 'out'),
    rss_bytes,
    cpu_seconds,
    peers: peers.ready.map((connection) => peerStatus(connection, contributionOf(connection), now)),
  };
};
