/**
 * Worker thread of the map builder: makes keys and signed slices on request. Protocol in build_map.ts.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { concatBytes, readU32 } from '../base/bytes.ts';
import { NETWORKS, type NetworkName } from '../base/chain_hash.ts';
import { scidFromHalves } from '../base/short_channel_id.ts';
import { encodeUtxoTable, type UtxoTableEntry } from '../chain/utxo_table.ts';
import { loadEngine } from '../crypto/engine.ts';
import { encodeRecord } from '../store/format.ts';
import { encodeChannelAmount } from '../wire/gossip_store_messages.ts';
import { simnetSecret } from './identity.ts';
import { type SignedMap, signChannel, signNode, signUpdate } from './sign_map.ts';
import type { Topology } from './topology.ts';

export interface SignerData {
  readonly seed: number;
  readonly network: NetworkName;
  readonly newestTimestamp: number;
  readonly topology: Topology;
  /** 33 bytes by node; filled by the `keys` tasks. */
  readonly nodeKeys: SharedArrayBuffer;
}

export interface SignTask {
  readonly kind: 'keys' | 'channels' | 'nodes';
  readonly from: number;
  readonly to: number;
}

export interface SignedSlice {
  /** Store records, ready to be written. */
  readonly records: Uint8Array;
  /** Records of the utxo table without its magic, for `channels`. */
  readonly outputs: Uint8Array;
  readonly signatures: number;
  readonly updates: number;
}

/** Length of the utxo table's magic. */
export const UTXO_MAGIC_BYTES = 4;
/** Index of a channel_update's timestamp. */
const UPDATE_TIMESTAMP_AT = 106;

const signChannels = (map: SignedMap, { from, to }: SignTask): SignedSlice => {
  const records: Uint8Array[] = [];
  const outputs: UtxoTableEntry[] = [];
  let updates = 0;
  for (let channel = from; channel < to; channel++) {
    const { message, script } = signChannel(map, channel);
    const satoshis = BigInt(map.topology.satoshis[channel] as number);
    const sides = ([0, 1] as const).filter((side) => map.topology.hasUpdate[2 * channel + side] === 1);
    const made = sides.map((side) => signUpdate(map, channel, side));
    // The announcement's header carries the time of the channel's first update (0 while there is none).
    const first = made[0] === undefined ? 0 : readU32(made[0], UPDATE_TIMESTAMP_AT);
    records.push(encodeRecord(first, message), encodeRecord(0, encodeChannelAmount(satoshis)));
    for (const update of made) records.push(encodeRecord(readU32(update, UPDATE_TIMESTAMP_AT), update));
    updates += made.length;
    const { scidHi, scidLo } = map.topology;
    outputs.push({
      scid: scidFromHalves(scidHi[channel] as number, scidLo[channel] as number),
      satoshis,
      script,
    });
  }
  return {
    records: concatBytes(...records),
    outputs: encodeUtxoTable(outputs).subarray(UTXO_MAGIC_BYTES),
    signatures: 4 * (to - from) + updates,
    updates,
  };
};

const signNodes = (map: SignedMap, { from, to }: SignTask): SignedSlice => {
  const records: Uint8Array[] = [];
  for (let node = from; node < to; node++) {
    const message = signNode(map, node);
    // timestamp follows the features, whose length stands at byte 66.
    records.push(encodeRecord(readU32(message, 68 + (message[67] as number)), message));
  }
  return { records: concatBytes(...records), outputs: new Uint8Array(0), signatures: to - from, updates: 0 };
};

const makeKeys = (map: SignedMap, { from, to }: SignTask): SignedSlice => {
  for (let node = from; node < to; node++) {
    map.nodeKey(node).set(map.engine.publicKey(simnetSecret(map.seed, 'node', node)));
  }
  return { records: new Uint8Array(0), outputs: new Uint8Array(0), signatures: 0, updates: 0 };
};

const port = parentPort;
if (port !== null) {
  const data = workerData as SignerData;
  const keys = new Uint8Array(data.nodeKeys);
  const map: SignedMap = {
    seed: data.seed,
    topology: data.topology,
    network: NETWORKS[data.network],
    engine: loadEngine('fastest'),
    newestTimestamp: data.newestTimestamp,
    nodeKey: (node) => keys.subarray(node * 33, node * 33 + 33),
  };
  port.on('message', (task: SignTask) => {
    const make = { keys: makeKeys, channels: signChannels, nodes: signNodes }[task.kind];
    port.postMessage(make(map, task));
  });
}
