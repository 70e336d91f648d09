/** What the daemon says of itself: one plain object, for `gossipd status`, the rpc socket and the summary after a sync. */
import type { DaemonStatus } from '../api/daemon_status.ts';
import { RULE_BREAKING_REASONS } from '../ingest/verdict.ts';
import { processStats } from '../observe/process_stats.ts';
import type { DaemonParts } from './daemon.ts';
import { VERSION } from './version.ts';

export const statusOf = (parts: DaemonParts): DaemonStatus => {
  const { graph, store, ingest, seeker, peers, config, clock, meter, utxo } = parts;
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
    chain: { backend: utxo.name, verifies: utxo.verifies },
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
