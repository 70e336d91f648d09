/**
 * Feature bits: what a node can do and what it demands (BOLT 9; carried by BOLT 1 init and BOLT 7 announcements).
 *
 * A map is big-endian: bit 0 is the lowest of the last byte. Bits come in pairs; the even one of a pair says that the
 * feature is demanded, the odd one that it is offered, and both together count as demanded (B9-03).
 * peer/ checks what a peer sends with `checkFeatures` and announces GOSSIPD_INIT_FEATURES. Maps have at most 65535 bytes.
 */
import { assert } from '../base/errors.ts';

export interface Feature {
  /** The even bit of the pair. */
  readonly bit: number;
  /** As BOLT 9 calls it. */
  readonly name: string;
  /** Names of the features that must be set with it. */
  readonly dependencies: readonly string[];
  /** So universal that it counts as set even when it is not (B9-04). */
  readonly assumed: boolean;
}

const feature = (bit: number, name: string, ...dependencies: readonly string[]): Feature => ({
  bit,
  name,
  dependencies,
  assumed: false,
});

const assumed = (bit: number, name: string): Feature => ({ bit, name, dependencies: [], assumed: true });

/**
 * The assigned bits, ascending. Most speak of channels and payments, which gossipd has not; a peer that demands one of them
 * can still be gossiped with, so knowing the bit is enough.
 * 2 and 20 have left the table of BOLT 9, but nodes that set them are still about.
 */
export const FEATURES: readonly Feature[] = [
  assumed(0, 'option_data_loss_protect'),
  feature(2, 'initial_routing_sync'),
  feature(4, 'option_upfront_shutdown_script'),
  feature(6, 'gossip_queries'),
  assumed(8, 'var_onion_optin'),
  feature(10, 'gossip_queries_ex'),
  assumed(12, 'option_static_remotekey'),
  assumed(14, 'payment_secret'),
  feature(16, 'basic_mpp', 'payment_secret'),
  feature(18, 'option_support_large_channel'),
  feature(20, 'option_anchor_outputs', 'option_static_remotekey'),
  feature(22, 'option_anchors'),
  feature(24, 'option_route_blinding'),
  feature(26, 'option_shutdown_anysegwit'),
  feature(28, 'option_dual_fund'),
  feature(34, 'option_quiesce'),
  feature(36, 'option_attribution_data'),
  feature(38, 'option_onion_messages'),
  feature(40, 'zero_fee_commitments'),
  feature(42, 'option_provide_storage'),
  assumed(44, 'option_channel_type'),
  feature(46, 'option_scid_alias'),
  feature(48, 'option_payment_metadata'),
  feature(50, 'option_zeroconf', 'option_scid_alias'),
  feature(60, 'option_simple_close', 'option_shutdown_anysegwit'),
  feature(62, 'option_splice'),
  feature(80, 'option_simple_taproot'),
];

const BY_BIT: ReadonlyMap<number, Feature> = new Map(FEATURES.map((entry) => [entry.bit, entry]));
const BY_NAME: ReadonlyMap<string, Feature> = new Map(FEATURES.map((entry) => [entry.name, entry]));

/** The highest bit that a map of 65535 bytes can hold. */
const MAX_BIT = 65535 * 8 - 1;

/** The shortest map with exactly these bits set (B1-15). */
export const encodeFeatures = (bits: readonly number[]): Uint8Array => {
  const highest = Math.max(-1, ...bits);
  const map = new Uint8Array((highest >> 3) + 1);
  for (const bit of bits) {
    assert(Number.isInteger(bit) && bit >= 0 && bit <= MAX_BIT, 'feature bit out of range');
    const index = map.length - 1 - (bit >> 3);
    map[index] = (map[index] ?? 0) | (1 << (bit & 7));
  }
  return map;
};

/** True if this very bit, even or odd, is set. */
export const hasFeatureBit = (features: Uint8Array, bit: number): boolean =>
  (((features[features.length - 1 - (bit >> 3)] ?? 0) >> (bit & 7)) & 1) === 1;

/** True if the peer offers the feature, whether by its even or its odd bit. `evenBit` is the even one. */
export const hasFeature = (features: Uint8Array, evenBit: number): boolean =>
  hasFeatureBit(features, evenBit) || hasFeatureBit(features, evenBit + 1);

/** `mandatory` also when both bits of the pair are set (B9-03). */
export const featureLevel = (features: Uint8Array, evenBit: number): 'absent' | 'optional' | 'mandatory' => {
  if (hasFeatureBit(features, evenBit)) return 'mandatory';
  return hasFeatureBit(features, evenBit + 1) ? 'optional' : 'absent';
};

export interface FeatureProblems {
  /** The lowest even bit that no assigned feature has: the peer demands what nobody here can know (B1-19). */
  readonly unknownEven?: number;
  /** A feature that is set, and one that it depends on and that is not (B1-21). */
  readonly missingDependency?: [string, string];
}

const unknownEvenBit = (features: Uint8Array): number | undefined => {
  for (let index = features.length - 1; index >= 0; index--) {
    const even = (features[index] as number) & 0x55;
    for (let bit = 0; bit < 8 && even >> bit > 0; bit += 2) {
      const number = (features.length - 1 - index) * 8 + bit;
      if (((even >> bit) & 1) === 1 && !BY_BIT.has(number)) return number;
    }
  }
  return undefined;
};

/**
 * True if a channel or node demands what nobody here can know: not to be routed through, and a node not to be dialled; what it
 * announces is kept and relayed all the same (B7-04, B7-18). Takes a decoded announcement, or whatever has its features.
 */
export const hasUnknownEvenFeature = (announcement: { readonly features: Uint8Array }): boolean =>
  unknownEvenBit(announcement.features) !== undefined;

/** Looks at direct dependencies of each set feature; as these are looked at in their turn, that covers transitive ones. */
const missingDependency = (features: Uint8Array): [string, string] | undefined => {
  for (const { bit, name, dependencies } of FEATURES) {
    if (!hasFeature(features, bit)) continue;
    for (const dependency of dependencies) {
      const needed = BY_NAME.get(dependency);
      if (needed !== undefined && !needed.assumed && !hasFeature(features, needed.bit))
        return [name, dependency];
    }
  }
  return undefined;
};

/** What is wrong with a peer's features; an empty object when nothing is. Unknown odd bits are no problem (B1-19). */
export const checkFeatures = (features: Uint8Array): FeatureProblems => {
  const unknownEven = unknownEvenBit(features);
  const missing = missingDependency(features);
  return {
    ...(unknownEven === undefined ? {} : { unknownEven }),
    ...(missing === undefined ? {} : { missingDependency: missing }),
  };
};

/**
 * What gossipd announces in init, all by odd bits: 7 gossip_queries, 11 gossip_queries_ex (query flags and checksums are
 * answered), and 1, 9, 13, 15 and 45, which say nothing about gossip but which one or the other of LND, CLN, LDK and
 * Eclair demands of every peer.
 * None depends on a feature that is not among them. Never written to.
 */
export const GOSSIPD_INIT_FEATURES: Uint8Array = encodeFeatures([1, 7, 9, 11, 13, 15, 45]);
