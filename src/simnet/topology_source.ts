/** Which topology a simulated network has: drawn from a seed, or that of an existing store. The same source, the same result. */
import { basename, dirname } from 'node:path';
import { seededRng } from '../base/rng.ts';
import { nodeStoreFolder } from '../store/store_file.ts';
import { topologyOfStore } from './store_topology.ts';
import { drawTopology, type Topology } from './topology.ts';

export interface TopologySource {
  readonly seed: number;
  readonly channels: number;
  readonly nodes: number;
  /** Path of a gossip_store whose topology is taken instead. */
  readonly fromStore?: string;
}

/** Throws a RangeError for sizes that cannot be, OperationalError for a store that cannot be read. */
export const simnetTopology = ({ seed, channels, nodes, fromStore }: TopologySource): Topology => {
  if (fromStore === undefined) return drawTopology(channels, nodes, seededRng(seed));
  const file = nodeStoreFolder(dirname(fromStore)).open(basename(fromStore), 'read');
  try {
    return topologyOfStore(file);
  } finally {
    file.close();
  }
};
