/**
 * Healing: what the store lost with a damaged part of its file is fetched again from peers.
 *
 * When the store gives its file a successor, all offsets change in that turn: the graph follows first, then the sessions, which
 * remember offsets too. What the graph says is missing, and what the load found missing, goes to the seeker in a turn
 * of its own, because the store is in the middle of its switch. The operator reads one line about a loss and one when it is made good.
 * Invariants: nothing here waits or throws; losses before the seeker is there are kept, at most one entry for each channel
 * that was in the map.
 */

import { readU32 } from '../base/bytes.ts';
import type { Log } from '../base/log.ts';
import type { Clock } from '../base/time.ts';
import type { NetworkGraph } from '../graph/network_graph.ts';
import type { LostRecords, Translate } from '../graph/relocate.ts';
import type { Losses, LostNode } from '../store/indexing.ts';
import type { RefetchOutcome } from '../sync/refetch.ts';
import { QUERY_FLAG } from '../wire/query_short_channel_ids.ts';
import type { StoreOffset } from '../wire/store_record.ts';

/** Who fetches again what was lost: the seeker. */
export interface Refetcher {
  refetch(lost: readonly LostRecords[]): void;
}

/** Who keeps offsets from one turn to the next. */
export interface OffsetHolder {
  relocate(translate: Translate): void;
}

export interface HealingOptions {
  readonly graph: NetworkGraph;
  readonly clock: Clock;
  readonly log: Log;
}

const UPDATE_FLAGS = [QUERY_FLAG.channel_update_1, QUERY_FLAG.channel_update_2] as const;
const NODE_FLAGS = [QUERY_FLAG.node_announcement_1, QUERY_FLAG.node_announcement_2] as const;

const counted = (flags: readonly number[], lost: readonly LostRecords[]): number =>
  lost.reduce((total, entry) => total + flags.filter((flag) => (entry.flags & flag) !== 0).length, 0);

/** What was lost, for people: `3 channels, 1 update, 0 nodes`. */
export const lossText = (lost: readonly LostRecords[]): string => {
  const parts: readonly (readonly [string, readonly number[]])[] = [
    ['channel', [QUERY_FLAG.channel_announcement]],
    ['update', UPDATE_FLAGS],
    ['node', NODE_FLAGS],
  ];
  return parts
    .map(([name, flags]) => {
      const count = counted(flags, lost);
      return `${count.toLocaleString('en-US')} ${name}${count === 1 ? '' : 's'}`;
    })
    .join(', ');
};

export class Healing {
  readonly #graph: NetworkGraph;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #holders: OffsetHolder[] = [];
  #lost: LostRecords[] = [];
  #refetcher: Refetcher | undefined;
  #channelsLost: () => void = () => {};
  #cancel: (() => void) | undefined;
  /** Losses were handed over, and how that went has not been told. */
  #isHealing = false;

  constructor({ graph, clock, log }: HealingOptions) {
    this.#graph = graph;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * The store's onRelocate. Returns the new offsets of records that mean nothing any more.
   *
   * @param translate 0 for a record that was lost
   */
  relocated(translate: Translate): readonly StoreOffset[] {
    const { channels, orphans } = this.#graph.relocate(translate);
    for (const holder of this.#holders) holder.relocate(translate);
    this.#lostAlso(channels);
    return orphans;
  }

  /** What the load could not read, or the store found missing since, as far as it is known what it was. */
  lost({ channels, nodes }: Losses): void {
    this.#lostAlso([...channels, ...this.#nodesAsChannels(nodes)]);
  }

  /** A node_announcement is asked for by a channel of the node; one that is not in the map is not missed. */
  #nodesAsChannels(nodes: readonly LostNode[]): LostRecords[] {
    if (nodes.length === 0) return [];
    const graph = this.#graph;
    const wanted = new Set(nodes.map(({ keyHi, keyLo }) => keyHi * 0x100000000 + keyLo));
    const found: LostRecords[] = [];
    graph.forEachNode((node) => {
      const id = graph.nodeIdBytes(node);
      // Half of the key's 64 bits at least survive as a number: a node too many costs one message.
      if (graph.hasNodeAnnouncement(node) || !wanted.has(readU32(id, 1) * 0x100000000 + readU32(id, 5)))
        return;
      let entry: LostRecords | undefined;
      graph.forEachChannelOfNode(node, (channel, side) => {
        entry ??= {
          scidHi: graph.scidHi(channel),
          scidLo: graph.scidLo(channel),
          flags: NODE_FLAGS[side],
        };
      });
      if (entry !== undefined) found.push(entry);
    });
    return found;
  }

  /**
   * From here on losses are fetched again.
   *
   * @param channelsLost told at once, with the graph as it then is, when channels may have left it
   */
  start(refetcher: Refetcher, channelsLost: () => void): void {
    this.#refetcher = refetcher;
    this.#channelsLost = channelsLost;
    this.#soon();
  }

  /** The holder is told of every new file from here on. */
  follow(holder: OffsetHolder): void {
    this.#holders.push(holder);
  }

  /** The seeker's onRefetched. */
  refetched({ recovered, givenUp }: RefetchOutcome): void {
    // Others have single channels fetched too, and need no line about it.
    if (!this.#isHealing) return;
    this.#isHealing = false;
    if (givenUp === 0) {
      this.#log.info('all that was lost with the damaged part of the store is back', { messages: recovered });
      return;
    }
    this.#log.info('no peer has the rest of what was lost with the damaged part of the store', {
      back: recovered,
      missing: givenUp,
      next: 'lists of channels are compared with peers every hour',
    });
  }

  /** Nothing is handed over from here on. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#refetcher = undefined;
  }

  #lostAlso(lost: readonly LostRecords[]): void {
    if (lost.length === 0) return;
    for (const entry of lost) this.#lost.push(entry);
    this.#channelsLost();
    this.#log.unusual(
      `${lossText(lost)} were lost with the damaged part of the store; fetching them again from peers. No funds are in this file`,
    );
    this.#soon();
  }

  #soon(): void {
    if (this.#refetcher === undefined || this.#lost.length === 0) return;
    this.#cancel ??= this.#clock.after(0, () => {
      this.#cancel = undefined;
      const lost = this.#lost;
      this.#lost = [];
      this.#isHealing = true;
      this.#refetcher?.refetch(lost);
    });
  }
}
