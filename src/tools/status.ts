/** `gossipd status`: what a running daemon says of itself, over its Unix socket. */
import type { ChainStatus, DaemonStatus } from '../api/daemon_status.ts';
import { callRpc } from '../api/json_rpc_socket.ts';
import type { CompletenessStatus } from '../sync/completeness.ts';
import { printJson, printText } from './output.ts';

const MAX_PEERS_SHOWN = 10;
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

const completenessLine = ({ percent, known, listed, lists, excluded }: CompletenessStatus): string => {
  if (percent === undefined) return 'complete  unknown until a peer has told its whole list';
  const left = Object.entries(excluded).filter(([, count]) => count > 0);
  const without = left.map(([why, count]) => `${count} ${why.replaceAll('_', ' ')}`).join(', ');
  const beside = without === '' ? '' : `; left out: ${without}`;
  return `complete  ${percent} %: ${known} of the ${listed} channels in the lists of ${lists} peers${beside}`;
};

const chainLines = (chain: ChainStatus): string[] => {
  if (!chain.verifies) return ['chain     none: channels are unverified and not relayed unless configured'];
  const at = chain.height === null ? '' : `, block ${chain.height}`;
  const behind = chain.behind > 0 ? `, ${chain.behind} blocks behind` : '';
  const dying =
    chain.dying_channels > 0 ? `, ${chain.dying_channels} spent channels wait for their 72 blocks` : '';
  const left = chain.verifying_left > 0 ? `, ${chain.verifying_left} channels still to be verified` : '';
  return [
    `chain     ${chain.backend}: ${chain.state}${at}${behind}${dying}${left}`,
    ...(chain.reason === '' ? [] : [`          ${chain.reason}`]),
  ];
};

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
  completenessLine(status.sync.completeness),
  ...chainLines(status.chain),
  `store     ${status.store.path}: ${megabytes(status.store.bytes)}, ${megabytes(status.store.durable_bytes)} durable, ${status.store.state}` +
    (status.store.reason === '' ? '' : ` (${status.store.reason}; no funds are in this file)`),
  ...(status.store.damaged_ranges === 0
    ? []
    : [
        `damage    ${status.store.damaged_ranges} ranges found; bytes set aside in ${status.store.quarantine || 'no file'}`,
      ]),
  `memory    ${megabytes(status.rss_bytes)}`,
  `listening ${status.listening.length === 0 ? 'no' : status.listening.join(', ')}`,
  `peers     ${status.peers.length}${status.connections.banned > 0 ? `, ${status.connections.banned} banned` : ''}`,
  ...status.peers
    .slice(0, MAX_PEERS_SHOWN)
    .map(
      (peer) =>
        `  ${peer.node_id.slice(0, 16)}… ${peer.address} ${peer.direction}, ${megabytes(peer.bytes_in)} in, ${megabytes(peer.bytes_out)} out, ${Math.round(peer.useful_ratio * 100)} % useful`,
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
