/** `gossipd status`: what a running daemon says of itself, over its Unix socket. */
import { callRpc } from '../api/json_rpc_socket.ts';
import { printJson, printText } from './output.ts';

/** The part of the daemon's status that the text form shows; all else is in the JSON. */
interface ShownStatus {
  readonly version: string;
  readonly network: string;
  readonly node_id: string;
  readonly listening: readonly string[];
  readonly uptime_seconds: number;
  readonly sync: {
    readonly state: string;
    readonly complete: boolean;
    readonly percent: number;
    readonly totalKnownToPeers: number;
  };
  readonly channels: number;
  readonly half_channels: number;
  readonly nodes: number;
  readonly signatures_checked: number;
  readonly rejected: number;
  readonly chain: { readonly backend: string; readonly verifies: boolean };
  readonly store: {
    readonly path: string;
    readonly bytes: number;
    readonly durable_bytes: number;
    readonly state: string;
    readonly reason: string;
  };
  readonly rss_bytes: number;
  readonly peers: readonly {
    readonly node_id: string;
    readonly address: string;
    readonly direction: string;
    readonly bytes_in: number;
    readonly bytes_out: number;
  }[];
}

const MAX_PEERS_SHOWN = 10;
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

const lines = (status: ShownStatus): string[] => [
  `gossipd ${status.version} on ${status.network}, up ${status.uptime_seconds} s, node ${status.node_id}`,
  `sync      ${status.sync.state.replaceAll('_', ' ')}: ${status.sync.percent.toFixed(1)} % of ${status.sync.totalKnownToPeers} channels that our peers have`,
  `map       ${status.channels} channels, ${status.half_channels} updates, ${status.nodes} nodes`,
  `checked   ${status.signatures_checked} signatures, ${status.rejected} messages refused`,
  `chain     ${status.chain.verifies ? status.chain.backend : 'none: channels are unverified and not relayed unless configured'}`,
  `store     ${status.store.path}: ${megabytes(status.store.bytes)}, ${megabytes(status.store.durable_bytes)} durable, ${status.store.state}` +
    (status.store.reason === '' ? '' : ` (${status.store.reason}; no funds are in this file)`),
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
  else await printText(lines(answer as ShownStatus).join('\n'));
};
