/** Who dials whom in a simulated network: pairs of node numbers, the dialler first, none twice, connected. */
import type { Rng } from '../../../src/base/rng.ts';

export type Edge = readonly [dialler: number, dialled: number];

const keyOf = ([one, other]: Edge): string => (one < other ? `${one} ${other}` : `${other} ${one}`);

class EdgeSet {
  readonly edges: Edge[] = [];
  readonly #known = new Set<string>();

  /** False if it was there, or would be a loop. */
  add(edge: Edge): boolean {
    const key = keyOf(edge);
    if (edge[0] === edge[1] || this.#known.has(key)) return false;
    this.#known.add(key);
    this.edges.push(edge);
    return true;
  }
}

const pick = (rng: Rng, from: number, count: number): number => from + Math.floor(rng.fraction() * count);

const addRandom = (set: EdgeSet, rng: Rng, from: number, count: number, outbound: number): void => {
  for (let node = from + 1; node < from + count; node++) set.add([node, pick(rng, from, node - from)]);
  for (let node = from; node < from + count; node++) {
    // Each has one from above, but for the first.
    for (let more = node === from ? 0 : 1, tries = 0; more < outbound && tries < 50; tries++)
      if (set.add([node, pick(rng, from, count)])) more++;
  }
};

/** Every node dials `outbound` others. */
export const randomGraph = (rng: Rng, count: number, outbound: number): Edge[] => {
  const set = new EdgeSet();
  addRandom(set, rng, 0, count, outbound);
  return set.edges;
};

/** A ring of neighbours, and one distant acquaintance for every third. */
export const smallWorld = (rng: Rng, count: number, neighbours: number): Edge[] => {
  const set = new EdgeSet();
  for (let node = 0; node < count; node++) {
    for (let step = 1; step <= neighbours; step++) set.add([node, (node + step) % count]);
    if (node % 3 === 0) set.add([node, pick(rng, 0, count)]);
  }
  return set.edges;
};

export const line = (count: number): Edge[] =>
  Array.from({ length: count - 1 }, (_, node): Edge => [node, node + 1]);

/** Two random graphs, the lower and the upper half of the numbers, joined by `bridges`. */
export const twoHalves = (rng: Rng, count: number, outbound: number, bridges: number): Edge[] => {
  const set = new EdgeSet();
  const half = count >> 1;
  addRandom(set, rng, 0, half, outbound);
  addRandom(set, rng, half, count - half, outbound);
  for (let made = 0, tries = 0; made < bridges && tries < 1000; tries++)
    if (set.add([pick(rng, 0, half), pick(rng, half, count - half)])) made++;
  return set.edges;
};

/** The first `hubs` nodes each dial the next three of them; all others dial `outbound` of the hubs, and nobody dials them. */
export const hubsAndLeaves = (rng: Rng, count: number, hubs: number, outbound: number): Edge[] => {
  const set = new EdgeSet();
  for (let hub = 0; hub < hubs; hub++)
    for (let step = 1; step <= 3; step++) set.add([hub, (hub + step) % hubs]);
  for (let leaf = hubs; leaf < count; leaf++)
    for (let made = 0; made < outbound; ) if (set.add([leaf, pick(rng, 0, hubs)])) made++;
  return set.edges;
};
