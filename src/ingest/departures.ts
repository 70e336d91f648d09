/**
 * Channels leave: pruned when nobody refreshes them, marked as dying when their output is spent, removed when that is settled.
 *
 * Records leave through the store as they came in, as `Accepted`: delete_chan with everything to be flagged, in one append. A reader
 * of the file must always find a node_announcement behind an announcement of a channel of that node that still lives
 * (cln-gossip A.5, rule 3); where the departing channels were the only earlier ones, a copy of it is appended first, which
 * replaces the old one, so that a crash in between loses nothing.
 * Bounds: the table of silent channels has one entry for each channel of the graph without any update, at most MAX_CHANNELS.
 */
import { nowSeconds } from '../base/time.ts';
import type { StoreOffset } from '../wire/store_record.ts';
import type { Desk } from './desk.ts';
import { MAX_AGE_SECONDS } from './ports.ts';
import { ScidTable } from './scid_table.ts';

/** B7-13, B7-43: blocks from the spend until a channel is forgotten, so that a splice has time to be announced. */
export const DYING_BLOCKS = 72;

const DIRECTIONS = [0, 1] as const;

export class Departures {
  readonly #desk: Desk;
  /** When channels without any update arrived, Unix seconds; after a load, when they were first seen silent. */
  #silentSince = new ScidTable<number>();

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  /** A channel has come into the graph. */
  arrived(scidHi: number, scidLo: number): void {
    this.#silentSince.set(scidHi, scidLo, nowSeconds(this.#desk.ports.clock));
  }

  /**
   * B7-42: removes channels with an update of either side older than two weeks, and those that have had none in the two weeks
   * since they arrived. Dying channels are left to their deadline. Returns how many went.
   */
  prune(): number {
    const { graph, clock } = this.#desk.ports;
    const oldest = nowSeconds(clock) - MAX_AGE_SECONDS;
    const silent = new ScidTable<number>();
    const doomed: number[] = [];
    graph.forEachChannel((channel) => {
      if (graph.isDying(channel)) return;
      if (!graph.hasUpdate(channel, 0) && !graph.hasUpdate(channel, 1)) {
        const [scidHi, scidLo] = [graph.scidHi(channel), graph.scidLo(channel)];
        const since = this.#silentSince.get(scidHi, scidLo) ?? nowSeconds(clock);
        silent.set(scidHi, scidLo, since);
        if (since < oldest) doomed.push(channel);
        return;
      }
      const isStale = DIRECTIONS.some(
        (side) => graph.hasUpdate(channel, side) && graph.updateTimestamp(channel, side) < oldest,
      );
      if (isStale) doomed.push(channel);
    });
    this.#silentSince = silent;
    return this.#removeAll(doomed);
  }

  /** B7-13: the funding output is spent. False when there is no such channel, or it is known to be dying. */
  channelSpent(scidHi: number, scidLo: number, spentAtHeight: number): boolean {
    const desk = this.#desk;
    const { graph } = desk.ports;
    const channel = graph.channelIndex(scidHi, scidLo);
    if (channel < 0) {
      // An announcement of it may be under check, or arrive late.
      desk.refused.remember(scidHi, scidLo);
      return false;
    }
    if (graph.isDying(channel)) return false;
    this.#moveNodes([channel]);
    const offset = desk.commit({
      kind: 'chan_dying',
      scidHi,
      scidLo,
      deadline: spentAtHeight + DYING_BLOCKS,
      mark: this.#recordsOf(channel),
    });
    return offset !== undefined;
  }

  /** B7-43: removes the dying channels whose deadline the height has reached. Returns how many went. */
  removeDying(height: number): number {
    const { graph } = this.#desk.ports;
    const doomed: number[] = [];
    graph.forEachChannel((channel) => {
      if (graph.isDying(channel) && graph.dyingDeadline(channel) <= height) doomed.push(channel);
    });
    return this.#removeAll(doomed);
  }

  #removeAll(doomed: readonly number[]): number {
    if (doomed.length === 0 || !this.#desk.canStore) return 0;
    this.#moveNodes(doomed);
    let gone = 0;
    for (const channel of doomed) {
      // The store may take no more in the middle; the rest goes next time.
      if (!this.#remove(channel)) break;
      gone++;
    }
    return gone;
  }

  #recordsOf(channel: number): StoreOffset[] {
    const { graph } = this.#desk.ports;
    const records = [graph.channelOffset(channel)];
    for (const side of DIRECTIONS) {
      if (graph.hasUpdate(channel, side)) records.push(graph.updateOffset(channel, side));
    }
    return records;
  }

  #remove(channel: number): boolean {
    const desk = this.#desk;
    const { graph } = desk.ports;
    const [scidHi, scidLo] = [graph.scidHi(channel), graph.scidLo(channel)];
    const remove = this.#recordsOf(channel);
    for (const side of DIRECTIONS) {
      const node = graph.channelNode(channel, side);
      // B7-44: its last channel takes the node along.
      if (graph.nodeChannelCount(node) === 1 && graph.hasNodeAnnouncement(node)) {
        remove.push(graph.nodeOffset(node));
      }
    }
    // Before the append: whatever is judged from inside it must see the change.
    desk.removals++;
    if (desk.commit({ kind: 'delete_chan', scidHi, scidLo, remove }) === undefined) return false;
    this.#silentSince.delete(scidHi, scidLo);
    desk.refused.remember(scidHi, scidLo);
    return true;
  }

  /** Appends a copy of each node_announcement that would come before all that remains of its node. */
  #moveNodes(doomed: readonly number[]): void {
    const { graph } = this.#desk.ports;
    const leaving = new Set(doomed);
    const nodes = new Set<number>();
    for (const channel of doomed) {
      for (const side of DIRECTIONS) nodes.add(graph.channelNode(channel, side));
    }
    for (const node of nodes) {
      if (!graph.hasNodeAnnouncement(node)) continue;
      let earliest: number | undefined;
      graph.forEachChannelOfNode(node, (channel) => {
        if (earliest === undefined && !leaving.has(channel) && !graph.isDying(channel)) {
          earliest = graph.channelOffset(channel);
        }
      });
      if (earliest !== undefined && graph.nodeOffset(node) < earliest) this.#moveNode(node);
    }
  }

  #moveNode(node: number): void {
    const desk = this.#desk;
    const { graph, store } = desk.ports;
    const replaces = graph.nodeOffset(node);
    const raw = store.readMessage(replaces);
    // Unreadable: the record stays where it is; its node announces itself again some day.
    if (raw === undefined) return;
    desk.commit({ kind: 'node_announcement', raw, timestamp: graph.nodeTimestamp(node), replaces });
  }
}
