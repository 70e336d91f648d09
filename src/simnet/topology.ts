/**
 * The shape of a simulated network: who has channels with whom, capacities, policies. Pure and reproducible from a seed.
 *
 * Distributions are quantile tables measured on the mainnet map of 2026-02-03 (50,808 channels, 17,324 nodes): more than half
 * of the nodes have one channel, the largest has about 2,000; a third of the directions are disabled.
 */
import type { Rng } from '../base/rng.ts';

export interface Topology {
  readonly nodes: number;
  readonly channels: number;
  /** Node indices by channel, side a and b; a is never b. Each node has at least one channel. */
  readonly nodeA: Uint32Array;
  readonly nodeB: Uint32Array;
  /** Halves of each channel's short_channel_id, ascending, unique. */
  readonly scidHi: Uint32Array;
  readonly scidLo: Uint32Array;
  readonly satoshis: Float64Array;
  /** Policies by half channel: index 2 x channel + side of the node that sets it (a = 0, b = 1). 0 in hasUpdate: none was made. */
  readonly hasUpdate: Uint8Array;
  readonly feeBaseMsat: Uint32Array;
  readonly feePpm: Uint32Array;
  readonly cltvExpiryDelta: Uint16Array;
  readonly htlcMinimumMsat: Float64Array;
  readonly htlcMaximumMsat: Float64Array;
  readonly disabled: Uint8Array;
}

export const MAINNET_CHANNELS = 50_808;
export const MAINNET_NODES = 17_324;

/** [cumulative share, value] points; values between points are interpolated geometrically. */
type Quantiles = readonly (readonly [number, number])[];

const DEGREES: Quantiles = [
  [0.54, 1],
  [0.715, 2],
  [0.785, 3],
  [0.84, 4],
  [0.865, 5],
  [0.885, 6],
  [0.91, 8],
  [0.935, 11],
  [0.955, 17],
  [0.975, 38],
  [0.985, 56],
  [0.99, 74],
  [0.995, 131],
  [0.998, 228],
  [0.999, 451],
  [0.9995, 653],
  [1, 1989],
];
const CAPACITIES: Quantiles = [
  [0.05, 20_000],
  [0.15, 50_000],
  [0.2, 100_000],
  [0.25, 200_000],
  [0.35, 500_000],
  [0.45, 1_000_000],
  [0.55, 2_000_000],
  [0.65, 3_157_960],
  [0.75, 5_000_000],
  [0.85, 10_000_000],
  [0.9, 15_665_544],
  [0.95, 40_000_000],
  [1, 1_000_000_000],
];
const FEE_PPM: Quantiles = [
  [0.4, 0],
  [0.52, 1],
  [0.55, 5],
  [0.6, 21],
  [0.65, 97],
  [0.7, 155],
  [0.75, 300],
  [0.8, 500],
  [0.85, 700],
  [0.9, 1034],
  [0.95, 2469],
  [1, 10_000],
];
const FEE_BASE: Quantiles = [
  [0.645, 0],
  [0.667, 1],
  [0.68, 100],
  [0.69, 500],
  [0.96, 1000],
  [0.98, 2000],
  [1, 10_000],
];
const CLTV: Quantiles = [
  [0.16, 34],
  [0.33, 40],
  [0.71, 80],
  [0.82, 100],
  [1, 144],
];
const HTLC_MINIMUM: Quantiles = [
  [0.36, 0],
  [0.43, 1],
  [0.95, 1000],
  [0.97, 10_000],
  [1, 1_000_000],
];
/** Share of the capacity offered as htlc_maximum_msat. */
const HTLC_MAXIMUM_SHARE: Quantiles = [
  [0.1, 0.1],
  [0.3, 0.45],
  [0.6, 0.9],
  [1, 0.99],
];
/** 35,806 of 101,616 directions. */
const DISABLED_SHARE = 0.3524;
/** Blocks over which funding transactions spread; high enough that block heights look like mainnet's. */
const FIRST_BLOCK = 520_000;
const BLOCK_SPAN = 380_000;

const sample = (table: Quantiles, at: number): number => {
  let [fromShare, fromValue] = [0, table[0]?.[1] ?? 0];
  for (const [share, value] of table) {
    if (at <= share) {
      // Small whole values and equal neighbours are steps, the rest is a geometric slope.
      if (fromValue < 20 || value === fromValue) return value;
      return fromValue * (value / fromValue) ** ((at - fromShare) / (share - fromShare));
    }
    [fromShare, fromValue] = [share, value];
  }
  return fromValue;
};

/** Degrees that follow the table, at least 1 each, with the sum forced to 2 x channels. */
const drawDegrees = (nodes: number, channels: number, rng: Rng): Uint32Array => {
  const degrees = new Uint32Array(nodes);
  let total = 0;
  for (let node = 0; node < nodes; node++) {
    // Stratified draws give the same shape at every seed, and the biggest hubs exactly once.
    const degree = Math.round(sample(DEGREES, (node + rng.fraction()) / nodes));
    degrees[node] = Math.max(1, Math.min(degree, Math.max(1, Math.floor(channels / 4))));
    total += degrees[node] as number;
  }
  while (total !== 2 * channels) {
    const node = Math.floor(rng.fraction() * nodes);
    // Nodes with many channels take up the difference, so that the many small ones stay as they are.
    const degree = degrees[node] as number;
    const step = Math.max(1, Math.round(degree * 0.02));
    if (total > 2 * channels) {
      const cut = Math.min(step, degree - 1, total - 2 * channels);
      degrees[node] = degree - cut;
      total -= cut;
    } else if (degree > 2 || rng.fraction() < 0.05) {
      // No node may hold more than half of all ends, or it would need a channel with itself.
      const add = Math.min(step, channels - degree, 2 * channels - total);
      degrees[node] = degree + add;
      total += add;
    }
  }
  return degrees;
};

const pairEnds = (
  degrees: Uint32Array,
  channels: number,
  rng: Rng,
): { nodeA: Uint32Array; nodeB: Uint32Array } => {
  const ends = new Uint32Array(2 * channels);
  let at = 0;
  degrees.forEach((degree, node) => {
    ends.fill(node, at, at + degree);
    at += degree;
  });
  for (let index = ends.length - 1; index > 0; index--) {
    const other = Math.floor(rng.fraction() * (index + 1));
    [ends[index], ends[other]] = [ends[other] as number, ends[index] as number];
  }
  // A channel with oneself is none: swap one end with that of a random channel that has neither end here.
  for (let channel = 0; channel < channels; channel++) {
    while (ends[2 * channel] === ends[2 * channel + 1]) {
      const other = Math.floor(rng.fraction() * channels);
      const [a, b] = [ends[2 * other] as number, ends[2 * other + 1] as number];
      const own = ends[2 * channel] as number;
      if (a === own || b === own) continue;
      ends[2 * other] = own;
      ends[2 * channel] = a;
    }
  }
  const nodeA = new Uint32Array(channels);
  const nodeB = new Uint32Array(channels);
  for (let channel = 0; channel < channels; channel++) {
    nodeA[channel] = ends[2 * channel] as number;
    nodeB[channel] = ends[2 * channel + 1] as number;
  }
  return { nodeA, nodeB };
};

/** All columns in place, filled with zeros but for the ends. */
export const emptyTopology = (
  channels: number,
  nodes: number,
  { nodeA, nodeB }: { nodeA: Uint32Array; nodeB: Uint32Array },
): Topology => {
  const halves = 2 * channels;
  return {
    nodes,
    channels,
    nodeA,
    nodeB,
    scidHi: new Uint32Array(channels),
    scidLo: new Uint32Array(channels),
    satoshis: new Float64Array(channels),
    hasUpdate: new Uint8Array(halves),
    feeBaseMsat: new Uint32Array(halves),
    feePpm: new Uint32Array(halves),
    cltvExpiryDelta: new Uint16Array(halves),
    htlcMinimumMsat: new Float64Array(halves),
    htlcMaximumMsat: new Float64Array(halves),
    disabled: new Uint8Array(halves),
  };
};

/** Throws a RangeError on impossible sizes: 2 nodes at least, and enough channel ends for every node. */
export const drawTopology = (channels: number, nodes: number, rng: Rng): Topology => {
  if (channels < 1 || nodes < 2 || nodes > 2 * channels) {
    throw new RangeError(`${channels} channels cannot join ${nodes} nodes: need 2 <= nodes <= 2 x channels`);
  }
  const topology = emptyTopology(channels, nodes, pairEnds(drawDegrees(nodes, channels, rng), channels, rng));
  const { scidHi, scidLo, satoshis } = topology;
  let [lastBlock, transaction] = [0, 0];
  for (let channel = 0; channel < channels; channel++) {
    const block = FIRST_BLOCK + Math.floor((channel / channels) * BLOCK_SPAN);
    // Several channels share a block when there are more of them than blocks; the transaction index tells them apart.
    transaction = (block === lastBlock ? transaction : 0) + 1 + Math.floor(rng.fraction() * 300);
    lastBlock = block;
    scidHi[channel] = ((block << 8) | (transaction >>> 16)) >>> 0;
    scidLo[channel] = (((transaction & 0xffff) << 16) | Math.floor(rng.fraction() * 2)) >>> 0;
    satoshis[channel] = Math.round(sample(CAPACITIES, rng.fraction()));
    for (let half = 2 * channel; half < 2 * channel + 2; half++)
      drawPolicy(topology, half, satoshis[channel] as number, rng);
  }
  return topology;
};

const drawPolicy = (topology: Topology, half: number, satoshis: number, rng: Rng): void => {
  topology.hasUpdate[half] = 1;
  topology.feeBaseMsat[half] = Math.round(sample(FEE_BASE, rng.fraction()));
  topology.feePpm[half] = Math.round(sample(FEE_PPM, rng.fraction()));
  topology.cltvExpiryDelta[half] = Math.round(sample(CLTV, rng.fraction()));
  const most = Math.max(1, Math.floor(satoshis * 1000 * sample(HTLC_MAXIMUM_SHARE, rng.fraction())));
  topology.htlcMaximumMsat[half] = most;
  topology.htlcMinimumMsat[half] = Math.min(most, Math.round(sample(HTLC_MINIMUM, rng.fraction())));
  topology.disabled[half] = rng.fraction() < DISABLED_SHARE ? 1 : 0;
};
