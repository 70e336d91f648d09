/**
 * Channels leave: pruned when nobody refreshes them, marked as dying when their output is spent, removed when that is settled. And
 * some come back: when a reorganisation takes the spend away, or when the chain vouches for one that was accepted without it.
 *
 * Records leave through the store as they came in, as `Accepted`: delete_chan with everything to be flagged, in one append. A reader
 * of the file must always find a node_announcement behind an announcement of a channel of that node that still lives
 * (cln-gossip A.5, rule 3); where the departing channels were the only earlier ones, a copy of it is appended first, which
 * replaces the old one, so that a crash in between loses nothing. Coming back is renewal.ts.
 * Every removal has a reason: counted, told in one line for each pass, and for each channel at debug.
 * Bounds: the table of silent channels has one entry for each channel of the graph without any update, at most MAX_CHANNELS;
 * MAX_ABSENT of those whose funding has left the chain.
 */
import { own } from '../base/bytes.ts';
import { scidBlock, scidText } from '../base/short_channel_id.ts';
import { nowSeconds } from '../base/time.ts';
import type { StoreOffset } from '../wire/store_record.ts';
import type { Desk } from './desk.ts';
import { MAX_AGE_SECONDS } from './ports.ts';
import { moveNode, renewChannel } from './renewal.ts';
import { ScidTable } from './scid_table.ts';

/** B7-13, B7-43: blocks from the spend until a channel is forgotten, so that a splice has time to be announced. */
export const DYING_BLOCKS = 72;
/** Two weeks of blocks: by then a channel that never had an update has been silent for as long. */
export const NEVER_UPDATED_BLOCKS = 2016;
/** Two of the seeker's hourly rounds: so long the update of a channel that has just arrived may be on its way. */
export const NEVER_UPDATED_GRACE_SECONDS = 7200;
/** A reorganisation takes the funding of the channels of a few blocks away, at most some 3,000 a block. */
export const MAX_ABSENT = 10_000;

const DIRECTIONS = [0, 1] as const;

/** Why a channel has left; a closed list, label of gossipd_channels_removed_total. */
export type RemovalReason =
  | 'one_side_silent'
  | 'both_sides_silent'
  | 'never_updated'
  | 'output_spent'
  | 'reorganised_away'
  /** The chain does not know the output of a channel that was accepted without asking it. */
  | 'output_not_found'
  | 'blacklisted_node';

export interface DepartureListener {
  /** The channel is at this index of the graph from now on. @param raw its announcement; borrowed */
  readonly arrived: (channel: number, raw: Uint8Array) => void;
  /** The channel that was at this index has left. */
  readonly left: (channel: number) => void;
  /** The channel could not be brought back from what the store has: peers are to be asked for it. */
  readonly wanted: (scidHi: number, scidLo: number) => void;
}

type Doomed = readonly [channel: number, reason: RemovalReason];

export class Departures {
  readonly #desk: Desk;
  readonly #listener: DepartureListener;
  /** When channels without any update arrived, Unix seconds; after a load, when they were first seen silent. */
  #silentSince = new ScidTable<number>();
  /** Dying channels whose funding is not in the best chain. */
  readonly #absent = new ScidTable<true>();

  constructor(desk: Desk, listener: DepartureListener) {
    this.#desk = desk;
    this.#listener = listener;
  }

  /** A channel has come into the graph. @param raw its announcement; borrowed */
  arrived(scidHi: number, scidLo: number, raw: Uint8Array): void {
    const { graph, clock } = this.#desk.ports;
    this.#silentSince.set(scidHi, scidLo, nowSeconds(clock));
    this.#listener.arrived(graph.channelIndex(scidHi, scidLo), raw);
  }

  /**
   * B7-42: removes channels with an update of either side older than two weeks, and those that have had none in the two weeks
   * since they arrived or, where the height is known, since they were mined. Dying channels are left to their deadline.
   * Returns how many went.
   */
  prune(): number {
    const { graph, clock } = this.#desk.ports;
    const now = nowSeconds(clock);
    const silent = new ScidTable<number>();
    const doomed: Doomed[] = [];
    graph.forEachChannel((channel) => {
      if (graph.isDying(channel)) return;
      if (graph.hasUpdate(channel, 0) || graph.hasUpdate(channel, 1)) {
        const sides = this.#silentSides(channel, now - MAX_AGE_SECONDS);
        if (sides !== 0) doomed.push([channel, sides === 3 ? 'both_sides_silent' : 'one_side_silent']);
        return;
      }
      const [scidHi, scidLo] = [graph.scidHi(channel), graph.scidLo(channel)];
      const since = this.#silentSince.get(scidHi, scidLo) ?? now;
      silent.set(scidHi, scidLo, since);
      if (this.#isForsaken(scidHi, now - since)) doomed.push([channel, 'never_updated']);
    });
    this.#silentSince = silent;
    return this.#removeAll(doomed);
  }

  /** B7-11: removes these channels at once, whatever their state. Returns how many went. */
  removeNow(channels: readonly number[]): number {
    return this.#removeAll(channels.map((channel) => [channel, 'blacklisted_node']));
  }

  /** The chain does not have what the channel was accepted for without asking it. */
  removeUnfounded(channel: number, isSpent: boolean): number {
    return this.#removeAll([[channel, isSpent ? 'output_spent' : 'output_not_found']]);
  }

  /**
   * B7-13: the funding output is spent. False when there is no such channel, or it is known to be dying.
   *
   * @param isCorrection the height counts even if the channel is dying from another one on: a reorganisation has moved the spend
   */
  channelSpent(scidHi: number, scidLo: number, spentAtHeight: number, isCorrection = false): boolean {
    const desk = this.#desk;
    const { graph } = desk.ports;
    const channel = graph.channelIndex(scidHi, scidLo);
    if (channel < 0) {
      // An announcement of it may be under check, or arrive late.
      desk.refused.remember(scidHi, scidLo);
      return false;
    }
    if (graph.isDying(channel)) {
      if (isCorrection) this.#absent.delete(scidHi, scidLo);
      return isCorrection && this.#setDeadline(channel, spentAtHeight + DYING_BLOCKS);
    }
    this.#moveNodes([channel]);
    const offset = desk.commit({
      ...{ kind: 'chan_dying', scidHi, scidLo },
      deadline: spentAtHeight + DYING_BLOCKS,
      mark: this.#recordsOf(channel),
    });
    if (offset === undefined) return false;
    desk.ports.log.debug('output spent: the channel is dying', {
      ...{ scid: scidText(scidHi, scidLo), height: spentAtHeight, deadline: spentAtHeight + DYING_BLOCKS },
    });
    return true;
  }

  /**
   * B7-13: a reorganisation has taken the block with the funding output away, and the chain has no such output now. Like a spend
   * at this height, but the channel may come back.
   */
  fundingGone(scidHi: number, scidLo: number, height: number): boolean {
    const { graph } = this.#desk.ports;
    if (graph.channelIndex(scidHi, scidLo) < 0) return false;
    if (this.#absent.size < MAX_ABSENT) this.#absent.set(scidHi, scidLo, true);
    return this.channelSpent(scidHi, scidLo, height);
  }

  /** Channels that may come back when another block is connected. The table must not change meanwhile. */
  forEachAbsent(visit: (scidHi: number, scidLo: number) => void): void {
    this.#absent.forEach((_, scidHi, scidLo) => {
      visit(scidHi, scidLo);
    });
  }

  /**
   * B7-13: the spend is not in the best chain any more, or the funding output is there again. The channel lives, with all that was
   * known of it. False when it is not dying, or the store takes nothing now.
   */
  channelUnspent(scidHi: number, scidLo: number): boolean {
    const { graph, log, meter } = this.#desk.ports;
    const channel = graph.channelIndex(scidHi, scidLo);
    if (channel < 0 || !graph.isDying(channel)) return false;
    if (!this.#renew(channel, BigInt(graph.channelSatoshis(channel)))) return false;
    this.#absent.delete(scidHi, scidLo);
    meter.count('gossipd_channels_revived_total');
    log.debug('output unspent after a reorganisation: the channel lives', {
      scid: scidText(scidHi, scidLo),
    });
    return true;
  }

  /** The chain vouches for a channel that was accepted without asking it: its amount is known from now on. */
  verified(channel: number, satoshis: bigint): boolean {
    return this.#renew(channel, satoshis);
  }

  /**
   * B7-43: removes the dying channels whose deadline the height has reached, and not a block before. Returns how many went.
   *
   * @param isSpared channels about which the chain is being asked
   */
  removeDying(height: number, isSpared: (scidHi: number, scidLo: number) => boolean = () => false): number {
    const { graph } = this.#desk.ports;
    if (graph.dyingCount === 0) return 0;
    const doomed: Doomed[] = [];
    const undated: number[] = [];
    graph.forEachChannel((channel) => {
      if (!graph.isDying(channel) || graph.dyingDeadline(channel) > height) return;
      const [scidHi, scidLo] = [graph.scidHi(channel), graph.scidLo(channel)];
      if (isSpared(scidHi, scidLo)) return;
      // Its chan_dying was lost with a damaged part of the store; the other records still say so.
      if (graph.dyingDeadline(channel) === 0) undated.push(channel);
      else doomed.push([channel, this.#dyingReason(scidHi, scidLo)]);
    });
    for (const channel of undated) this.#setDeadline(channel, height + DYING_BLOCKS);
    return this.#removeAll(doomed);
  }

  /** The same for one channel, without looking at all the others. */
  removeIfDue(scidHi: number, scidLo: number, height: number): void {
    const { graph } = this.#desk.ports;
    const channel = graph.channelIndex(scidHi, scidLo);
    if (channel < 0 || !graph.isDying(channel)) return;
    const deadline = graph.dyingDeadline(channel);
    if (deadline !== 0 && deadline <= height) this.#removeAll([[channel, this.#dyingReason(scidHi, scidLo)]]);
  }

  #dyingReason(scidHi: number, scidLo: number): RemovalReason {
    return this.#absent.has(scidHi, scidLo) ? 'reorganised_away' : 'output_spent';
  }

  #setDeadline(channel: number, deadline: number): boolean {
    const desk = this.#desk;
    const { graph } = desk.ports;
    if (graph.dyingDeadline(channel) === deadline) return false;
    const before = graph.dyingOffset(channel);
    const offset = desk.commit({
      ...{ kind: 'chan_dying', scidHi: graph.scidHi(channel), scidLo: graph.scidLo(channel), deadline },
      replaces: before === 0 ? undefined : before,
      mark: [],
    });
    return offset !== undefined;
  }

  /** Bit 0 for node 1, bit 1 for node 2. Of a channel with an update; a side without one counts as the other does. */
  #silentSides(channel: number, oldest: number): number {
    const { graph } = this.#desk.ports;
    let [silent, heard] = [0, 0];
    for (const side of DIRECTIONS) {
      if (!graph.hasUpdate(channel, side)) continue;
      heard |= 1 << side;
      if (graph.updateTimestamp(channel, side) < oldest) silent |= 1 << side;
    }
    return silent === heard && silent !== 0 ? 3 : silent;
  }

  /** Never an update: by its time here, and sooner when its block shows that it is old. */
  #isForsaken(scidHi: number, silentSeconds: number): boolean {
    if (silentSeconds > MAX_AGE_SECONDS) return true;
    const height = this.#desk.ports.blockHeight?.();
    if (height === undefined || silentSeconds < NEVER_UPDATED_GRACE_SECONDS) return false;
    return scidBlock(scidHi) + NEVER_UPDATED_BLOCKS < height;
  }

  #renew(channel: number, satoshis: bigint): boolean {
    const desk = this.#desk;
    if (!desk.canStore) return false;
    const { graph } = desk.ports;
    const [scidHi, scidLo] = [graph.scidHi(channel), graph.scidLo(channel)];
    const outcome = renewChannel(desk, channel, satoshis);
    if (outcome === 'refused') return false;
    this.#listener.left(channel);
    if (outcome === 'lost') {
      this.#listener.wanted(scidHi, scidLo);
      return false;
    }
    this.#listener.arrived(graph.channelIndex(scidHi, scidLo), outcome);
    return true;
  }

  #removeAll(doomed: readonly Doomed[]): number {
    const desk = this.#desk;
    if (doomed.length === 0 || !desk.canStore) return 0;
    this.#moveNodes(doomed.map(([channel]) => channel));
    const counts = new Map<RemovalReason, number>();
    let gone = 0;
    for (const [channel, reason] of doomed) {
      // The store may take no more in the middle; the rest goes next time.
      if (!this.#remove(channel, reason)) break;
      gone++;
      counts.set(reason, (counts.get(reason) ?? 0) + 1);
    }
    for (const [reason, count] of counts) {
      desk.ports.meter.count('gossipd_channels_removed_total', reason, count);
    }
    if (gone > 0) {
      desk.ports.log.info('channels removed', { channels: gone, ...Object.fromEntries(counts) });
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

  #remove(channel: number, reason: RemovalReason): boolean {
    const desk = this.#desk;
    const { graph, log } = desk.ports;
    const [scidHi, scidLo] = [graph.scidHi(channel), graph.scidLo(channel)];
    const remove = this.#recordsOf(channel);
    if (graph.dyingOffset(channel) !== 0) remove.push(graph.dyingOffset(channel));
    for (const side of DIRECTIONS) {
      const node = graph.channelNode(channel, side);
      // B7-44: its last channel takes the node along.
      if (graph.nodeChannelCount(node) === 1 && graph.hasNodeAnnouncement(node)) {
        remove.push(graph.nodeOffset(node));
      }
    }
    const forget = this.#howToRemember(channel, reason);
    // Before the append: whatever is judged from inside it must see the change.
    desk.removals++;
    if (desk.commit({ kind: 'delete_chan', scidHi, scidLo, remove }) === undefined) return false;
    this.#listener.left(channel);
    this.#silentSince.delete(scidHi, scidLo);
    this.#absent.delete(scidHi, scidLo);
    forget();
    log.debug('channel removed', { scid: scidText(scidHi, scidLo), reason });
    return true;
  }

  /** What is read from the graph is read now; the memory is written when the channel has left. */
  #howToRemember(channel: number, reason: RemovalReason): () => void {
    const desk = this.#desk;
    const { graph, clock, blockHeight } = desk.ports;
    const [scidHi, scidLo] = [graph.scidHi(channel), graph.scidLo(channel)];
    switch (reason) {
      case 'one_side_silent':
      case 'both_sides_silent':
      case 'never_updated': {
        const oldest = nowSeconds(clock) - MAX_AGE_SECONDS;
        const silent = reason === 'never_updated' ? 3 : this.#silentSides(channel, oldest);
        const [key1, key2] = DIRECTIONS.map((side) =>
          own(graph.nodeIdBytes(graph.channelNode(channel, side))),
        ) as [Uint8Array, Uint8Array];
        return () => desk.zombies.remember(scidHi, scidLo, key1, key2, silent);
      }
      case 'output_spent': {
        const spentAt = graph.dyingDeadline(channel) - DYING_BLOCKS;
        const height = spentAt > 0 ? spentAt : blockHeight?.();
        return () => {
          if (height === undefined) desk.refused.remember(scidHi, scidLo);
          else desk.closed.remember(scidHi, scidLo, height);
        };
      }
      case 'reorganised_away':
      case 'output_not_found':
      case 'blacklisted_node':
        return () => desk.refused.remember(scidHi, scidLo);
    }
  }

  /** Appends a copy of each node_announcement that would come before all that remains of its node. */
  #moveNodes(doomed: readonly number[]): void {
    const desk = this.#desk;
    const { graph } = desk.ports;
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
      if (earliest !== undefined && graph.nodeOffset(node) < earliest) moveNode(desk, node);
    }
  }
}
