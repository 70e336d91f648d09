/**
 * Turns a Topology into signed gossip messages, in slices, so that workers can share the work and memory stays bounded.
 * Every key is a real one and every signature is over the message it is in (BOLT 7).
 */
import { compareBytes, concatBytes, writeU16, writeU32, writeU64 } from '../base/bytes.ts';
import type { Network } from '../base/chain_hash.ts';
import type { SignatureEngine } from '../crypto/engine.ts';
import { fundingScriptPubkey } from '../crypto/funding_script.ts';
import { doubleSha256 } from '../crypto/hash.ts';
import { encodeAddress } from '../wire/address_descriptor.ts';
import { CHANNEL_FLAG_DISABLE, MESSAGE_FLAG_MUST_BE_ONE } from '../wire/channel_update.ts';
import { encodeFeatures } from '../wire/feature_bits.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { simnetSecret } from './identity.ts';
import type { Topology } from './topology.ts';

export interface SignedMap {
  readonly seed: number;
  readonly topology: Topology;
  readonly network: Network;
  readonly engine: SignatureEngine;
  /** Newest timestamp; updates spread over TIMESTAMP_SPREAD_SECONDS before it. */
  readonly newestTimestamp: number;
  /** Public key of a node, 33 bytes; borrowed. */
  readonly nodeKey: (node: number) => Uint8Array;
}

/** Three days: recent enough that nothing of the map is pruned (14 days) for more than a week after it is made. */
export const TIMESTAMP_SPREAD_SECONDS = 3 * 86_400;

const NODE_FEATURES = encodeFeatures([1, 7, 9, 13, 15, 45]);

/** A number in [0, 1) that depends on its arguments only, so that any slice can be made alone. */
const spread = (seed: number, index: number): number => {
  let mixed = (Math.imul(index + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b)) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
  mixed = Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39);
  return ((mixed ^ (mixed >>> 15)) >>> 0) / 4294967296;
};

const timestampOf = (map: SignedMap, index: number): number =>
  map.newestTimestamp - Math.floor(spread(map.seed, index) * TIMESTAMP_SPREAD_SECONDS);

const signInto = (
  map: SignedMap,
  message: Uint8Array,
  signedFrom: number,
  secrets: readonly Uint8Array[],
): void => {
  const hash = doubleSha256(message.subarray(signedFrom));
  secrets.forEach((secret, index) => {
    message.set(map.engine.sign(hash, secret), 2 + 64 * index);
  });
};

/** Which topology side (0 = a, 1 = b) is node_id_1, the lesser key (B7-03). */
const lesserSide = (map: SignedMap, channel: number): 0 | 1 => {
  const a = map.nodeKey(map.topology.nodeA[channel] as number);
  const b = map.nodeKey(map.topology.nodeB[channel] as number);
  return compareBytes(a, 0, b, 0, 33) < 0 ? 0 : 1;
};

const nodeOfSide = (map: SignedMap, channel: number, side: 0 | 1): number =>
  (side === 0 ? map.topology.nodeA : map.topology.nodeB)[channel] as number;

/** channel_announcement of one channel, and the scriptPubKey of its funding output. */
export const signChannel = (map: SignedMap, channel: number): { message: Uint8Array; script: Uint8Array } => {
  const { topology, network, engine, seed } = map;
  const lesser = lesserSide(map, channel);
  const first = nodeOfSide(map, channel, lesser);
  const second = nodeOfSide(map, channel, lesser === 0 ? 1 : 0);
  const fundingSecrets = [
    simnetSecret(seed, 'funding_a', channel),
    simnetSecret(seed, 'funding_b', channel),
  ] as const;
  const message = new Uint8Array(432);
  writeU16(message, 0, MESSAGE_TYPE.channel_announcement);
  message.set(network.chainHashBytes, 260);
  writeU32(message, 292, topology.scidHi[channel] as number);
  writeU32(message, 296, topology.scidLo[channel] as number);
  message.set(map.nodeKey(first), 300);
  message.set(map.nodeKey(second), 333);
  message.set(engine.publicKey(fundingSecrets[0]), 366);
  message.set(engine.publicKey(fundingSecrets[1]), 399);
  signInto(map, message, 258, [
    simnetSecret(seed, 'node', first),
    simnetSecret(seed, 'node', second),
    ...fundingSecrets,
  ]);
  return { message, script: fundingScriptPubkey(message, 366, 399) };
};

export interface UpdateChange {
  readonly timestamp: number;
  readonly feePpm: number;
}

/** channel_update by the node on one side; `change` makes a newer one. */
export const signUpdate = (
  map: SignedMap,
  channel: number,
  side: 0 | 1,
  change?: UpdateChange,
): Uint8Array => {
  const { topology, network, seed } = map;
  const half = 2 * channel + side;
  const direction = lesserSide(map, channel) === side ? 0 : 1;
  const message = new Uint8Array(138);
  writeU16(message, 0, MESSAGE_TYPE.channel_update);
  message.set(network.chainHashBytes, 66);
  writeU32(message, 98, topology.scidHi[channel] as number);
  writeU32(message, 102, topology.scidLo[channel] as number);
  writeU32(message, 106, change?.timestamp ?? timestampOf(map, half));
  message[110] = MESSAGE_FLAG_MUST_BE_ONE;
  message[111] = direction | (topology.disabled[half] === 1 ? CHANNEL_FLAG_DISABLE : 0);
  writeU16(message, 112, topology.cltvExpiryDelta[half] as number);
  writeU64(message, 114, BigInt(topology.htlcMinimumMsat[half] as number));
  writeU32(message, 122, topology.feeBaseMsat[half] as number);
  writeU32(message, 126, change?.feePpm ?? (topology.feePpm[half] as number));
  writeU64(message, 130, BigInt(topology.htlcMaximumMsat[half] as number));
  signInto(map, message, 66, [simnetSecret(seed, 'node', nodeOfSide(map, channel, side))]);
  return message;
};

/** node_announcement with an address out of the range kept for documentation (RFC 5737). */
export const signNode = (map: SignedMap, node: number): Uint8Array => {
  const address = encodeAddress({
    kind: 'ipv4',
    host: `198.51.100.${1 + (node % 254)}`,
    port: 9735,
  });
  const alias = new Uint8Array(32);
  alias.set(new TextEncoder().encode(`simnet-${node}`));
  const afterFeatures = 68 + NODE_FEATURES.length;
  const head = new Uint8Array(afterFeatures + 4 + 33 + 3 + 32 + 2);
  writeU16(head, 0, MESSAGE_TYPE.node_announcement);
  writeU16(head, 66, NODE_FEATURES.length);
  head.set(NODE_FEATURES, 68);
  writeU32(head, afterFeatures, timestampOf(map, 2 * map.topology.channels + node));
  head.set(map.nodeKey(node), afterFeatures + 4);
  head.set([Math.floor(spread(1, node) * 256), Math.floor(spread(2, node) * 256), 0x80], afterFeatures + 37);
  head.set(alias, afterFeatures + 40);
  writeU16(head, afterFeatures + 72, address.length);
  const message = concatBytes(head, address);
  signInto(map, message, 66, [simnetSecret(map.seed, 'node', node)]);
  return message;
};
