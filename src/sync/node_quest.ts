/**
 * NodeQuest: asks for announcements of nodes that the graph knows only by their channels, a few at a time (BOLT 7, query_flags).
 *
 * probing.ts calls next() now and then, and hands the chunk to a peer that knows query_flags; each node is asked for by one of its
 * channels. Many nodes never announce themselves, so what does not come is not missed, and the quest goes round all nodes.
 * Bound: MAX_NODES_PER_ROUND; one chunk of it is kept.
 */
import type { NetworkGraph } from '../graph/network_graph.ts';
import { QUERY_FLAG } from '../wire/query_short_channel_ids.ts';
import { HI, halvesOf, LO } from './scid_halves.ts';
import type { ChunkOwner } from './sync_peer.ts';

/** CLN's number: 1.2 kB of query, and 60 kB of answer if all of them announce themselves. */
export const MAX_NODES_PER_ROUND = 128;

interface Wanted {
  readonly hi: number;
  readonly lo: number;
  readonly flags: number;
}

export class NodeQuest implements ChunkOwner {
  readonly #graph: NetworkGraph;
  /** Nodes with a smaller index were asked for in this round of all. */
  #from = 0;
  #wanted: Wanted[] = [];

  constructor(graph: NetworkGraph) {
    this.#graph = graph;
  }

  /** The next nodes, as entries for a query; ends empty once all were asked for, and begins again. */
  next(limit = MAX_NODES_PER_ROUND): number[] {
    const graph = this.#graph;
    const byChannel = new Map<number, number>();
    let nodes = 0;
    let reached = Number.POSITIVE_INFINITY;
    graph.forEachNode((node) => {
      if (node < this.#from || nodes >= limit || graph.hasNodeAnnouncement(node)) return;
      let [channel, side]: [number, 0 | 1] = [-1, 0];
      graph.forEachChannelOfNode(node, (one, itsSide) => {
        if (channel === -1 && !graph.isDying(one)) [channel, side] = [one, itsSide];
      });
      if (channel === -1) return;
      byChannel.set(channel, (byChannel.get(channel) ?? 0) | (QUERY_FLAG.node_announcement_1 << side));
      if (++nodes === limit) reached = node + 1;
    });
    this.#from = Number.isFinite(reached) ? reached : 0;
    const wanted = Array.from(byChannel, ([channel, flags]) => {
      return { hi: graph.scidHi(channel), lo: graph.scidLo(channel), flags };
    });
    this.#wanted = wanted.sort((left, right) => left.hi - right.hi || left.lo - right.lo);
    return wanted.map((_, entry) => entry);
  }

  scidsOf(chunk: readonly number[]): BigUint64Array {
    const scids = new BigUint64Array(chunk.length);
    const halves = halvesOf(scids);
    for (const [index, entry] of chunk.entries()) {
      halves[index * 2 + HI] = this.#wanted[entry]?.hi ?? 0;
      halves[index * 2 + LO] = this.#wanted[entry]?.lo ?? 0;
    }
    return scids;
  }

  flagsOf(chunk: readonly number[]): Uint8Array {
    return Uint8Array.from(chunk, (entry) => this.#wanted[entry]?.flags ?? 0);
  }

  /** Nothing is expected: only silence tells that the peer does not answer. */
  delivered(chunk: readonly number[]): number {
    return chunk.length;
  }

  putBack(): void {}
  markArriving(): void {}

  settle(): number[] {
    return [];
  }

  notDelivered(): number {
    return 0;
  }
}
