/** A really signed regtest network, small enough to be made at the start of a test: its messages, and its funding outputs. */
import { toHex } from '../../src/base/bytes.ts';
import { NETWORKS } from '../../src/base/chain_hash.ts';
import { nodeIdAt } from '../../src/base/node_id.ts';
import { seededRng } from '../../src/base/rng.ts';
import { scidFromHalves } from '../../src/base/short_channel_id.ts';
import type { UtxoLookup } from '../../src/chain/utxo_lookup.ts';
import { encodeUtxoTable, openUtxoTable } from '../../src/chain/utxo_table.ts';
import { loadEngine } from '../../src/crypto/engine.ts';
import { simnetSecret } from '../../src/simnet/identity.ts';
import { type SignedMap, signChannel, signNode, signUpdate } from '../../src/simnet/sign_map.ts';
import { drawTopology } from '../../src/simnet/topology.ts';
import { makeNode } from '../fixtures/signed_gossip.ts';

export interface SmallMap {
  readonly channels: number;
  /** Two for each channel. */
  readonly updates: number;
  readonly nodes: number;
  /** Channel announcements, each followed by its updates; then node announcements. */
  readonly messages: readonly Uint8Array[];
  /** Sorted hex of `messages`, to compare with what somebody else has. */
  readonly sorted: readonly string[];
  readonly utxo: UtxoLookup;
  /** A channel_update that is newer than that of the map. */
  newerUpdate(channel: number, side: 0 | 1, timestamp: number): Uint8Array;
  /** A node_announcement that is newer than that of the map. */
  newerNode(node: number, timestamp: number): Uint8Array;
}

/** The same topology and keys for the same seed; timestamps end ten minutes ago. */
export const makeSmallMap = (seed: number, channels: number, nodes: number): SmallMap => {
  const engine = loadEngine('fastest');
  const keys = Array.from({ length: nodes }, (_, node) => engine.publicKey(simnetSecret(seed, 'node', node)));
  const map: SignedMap = {
    seed,
    topology: drawTopology(channels, nodes, seededRng(seed)),
    network: NETWORKS.regtest,
    engine,
    newestTimestamp: Math.floor(Date.now() / 1000) - 600,
    nodeKey: (node) => keys[node]!,
  };
  const { scidHi, scidLo, satoshis } = map.topology;
  const outputs: Parameters<typeof encodeUtxoTable>[0][number][] = [];
  const messages: Uint8Array[] = [];
  for (let channel = 0; channel < channels; channel++) {
    const { message, script } = signChannel(map, channel);
    messages.push(message, signUpdate(map, channel, 0), signUpdate(map, channel, 1));
    outputs.push({
      scid: scidFromHalves(scidHi[channel]!, scidLo[channel]!),
      satoshis: BigInt(satoshis[channel]!),
      script,
    });
  }
  for (let node = 0; node < nodes; node++) messages.push(signNode(map, node));
  return {
    channels,
    updates: 2 * channels,
    nodes,
    messages,
    sorted: messages.map((raw) => toHex(raw)).sort(),
    utxo: openUtxoTable(encodeUtxoTable(outputs)),
    newerUpdate: (channel, side, timestamp) => signUpdate(map, channel, side, { timestamp, feePpm: 4321 }),
    newerNode: (node, timestamp) => {
      const key = map.nodeKey(node);
      const identity = { secret: simnetSecret(seed, 'node', node), key, nodeId: nodeIdAt(key) };
      return makeNode(identity, { timestamp, alias: 'newer' });
    },
  };
};
