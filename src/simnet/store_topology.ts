/** The topology of an existing gossip_store: its channels, capacities and policies, to be signed again with keys of our own. */
import { nodeIdAt } from '../base/node_id.ts';
import { NetworkGraph } from '../graph/network_graph.ts';
import { scanStore } from '../store/scan.ts';
import type { StoreFile } from '../store/store_file.ts';
import { emptyTopology, type Topology } from './topology.ts';

/** Reads the whole file; an unknown capacity becomes one millionth of a bitcoin more than the largest HTLC offered. */
export const topologyOfStore = (file: StoreFile): Topology => {
  const graph = new NetworkGraph();
  scanStore(file, (record) => graph.apply(record));
  const channels: number[] = [];
  graph.channelsInBlocks(0, 0xffffff, (channel) => channels.push(channel));
  const nodeNumber = new Map<string, number>();
  const numberOf = (channel: number, side: 0 | 1): number => {
    const key = nodeIdAt(graph.nodeIdBytes(graph.channelNode(channel, side)));
    const known = nodeNumber.get(key) ?? nodeNumber.size;
    nodeNumber.set(key, known);
    return known;
  };
  const nodeA = Uint32Array.from(channels, (channel) => numberOf(channel, 0));
  const nodeB = Uint32Array.from(channels, (channel) => numberOf(channel, 1));
  const topology = emptyTopology(channels.length, nodeNumber.size, { nodeA, nodeB });
  channels.forEach((channel, index) => {
    topology.scidHi[index] = graph.scidHi(channel);
    topology.scidLo[index] = graph.scidLo(channel);
    let largest = 0;
    for (const side of [0, 1] as const) {
      const half = 2 * index + side;
      if (!graph.hasUpdate(channel, side)) continue;
      topology.hasUpdate[half] = 1;
      topology.feeBaseMsat[half] = graph.feeBaseMsat(channel, side);
      topology.feePpm[half] = graph.feeProportionalMillionths(channel, side);
      topology.cltvExpiryDelta[half] = graph.cltvExpiryDelta(channel, side);
      topology.htlcMinimumMsat[half] = graph.htlcMinimumMsat(channel, side);
      topology.htlcMaximumMsat[half] = graph.htlcMaximumMsat(channel, side);
      topology.disabled[half] = graph.isDisabled(channel, side) ? 1 : 0;
      largest = Math.max(largest, graph.htlcMaximumMsat(channel, side));
    }
    topology.satoshis[index] = graph.channelSatoshis(channel) || Math.ceil(largest / 1000) + 100;
  });
  return topology;
};
