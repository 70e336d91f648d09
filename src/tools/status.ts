/** `gossipd status`: what a running daemon says of itself, over its Unix socket. */
import type { DaemonStatus } from '../api/daemon_status.ts';
import { callRpc } from '../api/json_rpc_socket.ts';
import { printJson, printText } from './output.ts';

const MAX_PEERS_SHOWN = 10;
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

const lines = (status: DaemonStatus): string[] => [
  `gossipd ${status.version} on ${status.network}, up ${status.uptime_seconds} s, node ${status.node_id}`,
  `sync      ${status.sync.state.replaceAll('_', ' ')}: ${status.sync.percent.toFixed(1)} % of ${status.sync.totalKnownToPeers} channels that our peers have`,
  ...(status.sync.refetchLeft === 0
    ? []
    : [
        `healing   ${status.sync.refetchLeft} messages that a damaged part of the store held are being fetched again`,
      ]),
  `map       ${status.channels} channels, ${status.half_channels} updates, ${status.nodes} nodes`,
  `checked   ${status.signatures_checked} signatures, ${status.rejected} messages refused`,
  `chain     ${status.chain.verifies ? status.chain.backend : 'none: channels are unverified and not relayed unless configured'}`,
  `store     ${status.store.path}: ${megabytes(status.store.bytes)}, ${megabytes(status.store.durable_bytes)} durable, ${status.store.state}` +
    (status.store.reason === '' ? '' : ` (${status.store.reason}; no funds are in this file)`),
  ...(status.store.damaged_ranges === 0
    ? []
    : [
        `damage    ${status.store.damaged_ranges} ranges found; bytes set aside in ${status.store.quarantine || 'no file'}`,
      ]),
  `memory    ${megabytes(status.rss_bytes)}`,
  `listening ${status.listening.length === 0 ? 'no' : status.listening.join(', ')}`,
  `peers     ${status.peers.length}`,
  ...status.peers
    .slice(0, MAX_PEERS_SHOWN)
    .map(
      (peer) =>
        `  ${peer.node_id.slice(0, 16)}… ${peer.address} ${peer.direction}, ${megabytes(peer.bytes_in)} in, ${megabytes(peer.bytes_out)} out`,
    ),
  ...(status.peers.length > MAX_PEERS_SHOWN
    ? [`  and ${status.peers.length - MAX_PEERS_SHOWN} more; see --json`]
    : []),
];

/** Throws OperationalError `daemon_not_running` when nobody answers at the socket. */
export const status = async (socket: string, json: boolean): Promise<void> => {
  const answer = await callRpc(socket, 'status');
  if (json) await printJson(answer);
  else await printText(lines(answer as DaemonStatus).join('\n'));
};
