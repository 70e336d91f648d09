/** `gossipd graph info|channel|node`: answers from a gossip_store, without a daemon. */
import { OperationalError } from '../base/errors.ts';
import { parseNodeId } from '../base/node_id.ts';
import { parseScid } from '../base/short_channel_id.ts';
import { unixSeconds } from '../base/time.ts';
import { NetworkGraph } from '../graph/network_graph.ts';
import { graphStatistics } from '../graph/statistics.ts';
import { type ChannelInfo, channelInfo, channelOf, type NodeInfo, nodeInfo, nodeOf } from '../graph/views.ts';
import { headerLength } from '../store/format.ts';
import { type Gap, SalvageReader } from '../store/salvage_reader.ts';
import type { StoreFile } from '../store/store_file.ts';
import { detectFormat, NEWEST_KNOWN_VERSION } from '../store/versions.ts';
import { RECORD_HEADER_BYTES, type StoreOffset } from '../wire/store_record.ts';
import { printJson, printText } from './output.ts';
import type { StoreArgument } from './store_argument.ts';

const OLDEST_GRAPH_VERSION = 14;

const notInMap = (what: string): OperationalError =>
  new OperationalError(
    'not_found',
    'stop',
    `${what} is not in this map`,
    'See what is there with "gossipd graph info".',
  );

interface LoadedGraph {
  readonly graph: NetworkGraph;
  readonly records: number;
  /** Nothing in the file is damaged. */
  readonly complete: boolean;
}

/** Reads versions 14 to 16, which differ in flags only, and goes on behind damage. */
const loadGraph = ({ path, file }: StoreArgument): LoadedGraph => {
  const { format, versionByte } = detectFormat(file);
  if (format === undefined || format.version < OLDEST_GRAPH_VERSION) {
    throw new OperationalError(
      'store_version_unsupported',
      'stop',
      `${path} has version ${versionByte ?? 'none'}; this reads versions ${OLDEST_GRAPH_VERSION} to ${NEWEST_KNOWN_VERSION}`,
      `Write it in a current one with "gossipd convert ${path} --to 16 --output NEW".`,
    );
  }
  const graph = new NetworkGraph();
  const reader = new SalvageReader(file, { format });
  let records = 0;
  let lost: Gap | undefined;
  for (;;) {
    const step = reader.next();
    if (step === 'end') break;
    if (step === 'gap') lost ??= reader.gap;
    if (step !== 'live') continue;
    records++;
    graph.apply(reader.record);
  }
  if (lost !== undefined) {
    process.stderr.write(
      `gossipd: ${path}: damaged at byte ${lost.position} of ${file.size()} (${lost.kind}). No funds are in this file. ` +
        `Next: gossipd check ${path}\n`,
    );
  }
  return { graph, records, complete: lost === undefined };
};

const readMessageFrom =
  (file: StoreFile) =>
  (offset: StoreOffset): Uint8Array | undefined => {
    const header = new Uint8Array(RECORD_HEADER_BYTES);
    if (file.read(header, 0, RECORD_HEADER_BYTES, offset - RECORD_HEADER_BYTES) < RECORD_HEADER_BYTES)
      return undefined;
    const message = new Uint8Array(headerLength(header, 0));
    return file.read(message, 0, message.length, offset) === message.length ? message : undefined;
  };

const print = async (value: object, json: boolean, lines: readonly string[]): Promise<void> => {
  if (json) return printJson(value);
  await printText(lines.join('\n'));
};

const bitcoin = (satoshis: number): string => `${(satoshis / 1e8).toFixed(8)} BTC`;
const utc = (seconds: number): string => (seconds === 0 ? 'never' : new Date(seconds * 1000).toISOString());

/** Prints the figures of the whole map. */
export const graphInfo = async (store: StoreArgument, json: boolean): Promise<void> => {
  const { graph, records, complete } = loadGraph(store);
  const figures = graphStatistics(graph, unixSeconds(Math.floor(Date.now() / 1000)));
  const info = {
    store: store.path,
    bytes: store.file.size(),
    records,
    complete,
    ...figures,
  };
  await print(info, json, [
    `store            ${store.path} (${info.bytes} bytes, ${info.records} records)`,
    `channels         ${figures.channels} (${figures.channels_usable_both_ways} usable both ways, ${figures.unverified_channels} unverified, ${figures.dying_channels} dying)`,
    `channel updates  ${figures.half_channels} (${figures.disabled_half_channels} disabled)`,
    `nodes            ${figures.nodes} (${figures.announced_nodes} announced)`,
    `capacity         ${bitcoin(figures.capacity_sat)}`,
    `channels/node    median ${figures.degree_median}, most ${figures.degree_max}`,
    `updates from     ${utc(figures.oldest_update)} to ${utc(figures.newest_update)}`,
  ]);
};

const channelLines = (info: ChannelInfo): string[] => [
  `channel   ${info.short_channel_id}`,
  `nodes     ${info.node_id_1}`,
  `          ${info.node_id_2}`,
  `capacity  ${info.unverified ? 'unverified' : bitcoin(info.capacity_sat)}`,
  ...(info.dying ? [`dying     removed at block ${info.dying_deadline ?? 'unknown'}`] : []),
  ...info.half_channels.map((half, direction) =>
    half === null
      ? `from ${direction + 1}    no channel_update`
      : `from ${direction + 1}    ${half.disabled ? 'disabled' : 'enabled'}${half.not_routable === null || half.disabled ? '' : ` (not routable: ${half.not_routable})`}, ${half.fee_base_msat} msat + ${half.fee_proportional_millionths} ppm, ` +
        `htlc ${half.htlc_minimum_msat}..${half.htlc_maximum_msat} msat, cltv ${half.cltv_expiry_delta} blocks, ${utc(half.timestamp)}`,
  ),
];

/** Prints one channel. Throws OperationalError `bad_argument` or `not_found`. */
export const graphChannel = async (store: StoreArgument, text: string, json: boolean): Promise<void> => {
  const scid = parseScid(text);
  if (scid === undefined) {
    throw new OperationalError(
      'bad_argument',
      'stop',
      `"${text}" is no short_channel_id`,
      'Write it as BLOCKxTXxOUT, e.g. 539268x845x1.',
    );
  }
  const { graph } = loadGraph(store);
  const channel = channelOf(graph, scid);
  if (channel < 0) throw notInMap(`channel ${text}`);
  const info = channelInfo(graph, channel, readMessageFrom(store.file));
  await print(info, json, channelLines(info));
};

const nodeLines = (info: NodeInfo, channels: readonly ChannelInfo[]): string[] => [
  `node      ${info.node_id}`,
  ...(info.announcement === null
    ? ['          has not announced itself']
    : [
        `alias     ${info.announcement.alias} (#${info.announcement.color}; its own claim)`,
        `announced ${utc(info.announcement.timestamp)}`,
        ...info.announcement.addresses.map(
          ({ type, address, port }) => `address   ${address}:${port} (${type})`,
        ),
      ]),
  `channels  ${info.channels}, ${bitcoin(info.capacity_sat)}`,
  ...channels.map(
    (channel) =>
      `  ${channel.short_channel_id}  ${channel.unverified ? 'unverified' : bitcoin(channel.capacity_sat)}  ` +
      `${channel.node_id_1 === info.node_id ? channel.node_id_2 : channel.node_id_1}`,
  ),
];

/** Prints one node and its channels. Throws OperationalError `bad_argument` or `not_found`. */
export const graphNode = async (store: StoreArgument, text: string, json: boolean): Promise<void> => {
  const nodeId = parseNodeId(text);
  if (nodeId === undefined) {
    throw new OperationalError(
      'bad_argument',
      'stop',
      `"${text}" is no node id`,
      'A node id is 66 hex characters that start with 02 or 03.',
    );
  }
  const { graph } = loadGraph(store);
  const node = nodeOf(graph, nodeId);
  if (node < 0) throw notInMap(`node ${text}`);
  const read = readMessageFrom(store.file);
  const info = nodeInfo(graph, node, read);
  const channels: ChannelInfo[] = [];
  graph.forEachChannelOfNode(node, (channel) => channels.push(channelInfo(graph, channel, read)));
  await print({ ...info, channel_list: channels }, json, nodeLines(info, channels));
};
