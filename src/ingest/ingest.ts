/**
 * Ingest: the only door into the store.
 *
 * peer/ (and the api, for our own) offers gossip messages as received; each gets a verdict with a reason. What is accepted is in the
 * store and in the graph when its verdict is given. The three judges do the work; this file dispatches and joins them.
 * BOLT 7, channel_announcement, node_announcement and channel_update; requirements B7-02 to B7-49.
 *
 * Invariants: nothing unverified is stored; nothing a peer sends throws; every collection is bounded (see the files of the
 * judges), and when the store takes nothing, everything else goes on.
 */
import { readU16 } from '../base/bytes.ts';
import type { ChainPoint, FollowedBlock } from '../chain/block_follower.ts';
import { channelAnnouncementNodeId1At, channelAnnouncementNodeId2At } from '../wire/channel_announcement.ts';
import { MAX_MESSAGE_BYTES, MESSAGE_TYPE } from '../wire/message_types.ts';
import { ChannelJudge } from './channel_judge.ts';
import type { ClosedMemory } from './closed_memory.ts';
import type { Contribution } from './contributions.ts';
import { Departures } from './departures.ts';
import { Desk } from './desk.ts';
import type { LintCode } from './lint.ts';
import { NodeConflicts } from './node_conflicts.ts';
import { NodeJudge } from './node_judge.ts';
import { type PendingChannel, PendingChannels } from './pending_channels.ts';
import type { Done, IngestPorts, VerdictListener } from './ports.ts';
import { Resurrection } from './resurrection.ts';
import { type BeginOptions, SpendWatch, type SpendWatchStatus } from './spend_watch.ts';
import { UpdateJudge } from './update_judge.ts';
import { type ReasonCode, WARN } from './verdict.ts';

export { BACKLOG_PAUSE, BACKLOG_RESUME } from './desk.ts';
export type { IngestPorts, StorePort } from './ports.ts';

export interface IngestOptions {
  /** Accept channels on signatures alone when the chain backend verifies nothing. Default true. */
  readonly acceptUnverified?: boolean;
  /** Blacklist nodes that claim one funding output under different identities (B7-11). Default true. */
  readonly blacklist?: boolean;
  /** A channel whose announcement we do not have is alive: peers are to be asked for it. */
  readonly wanted?: (scidHi: number, scidLo: number) => void;
  /** How long a round over the map takes with a chain backend without blocks; see ROUND_MS. */
  readonly roundMs?: number;
}

/** How much those are held back that say too much, or too often the same. */
export interface MannersStatus {
  /** Messages beyond their channel's or node's budget that wait for a token. */
  readonly over_budget_waiting: number;
  /** Channel directions and nodes that have used tokens not long ago. */
  readonly budget_keys: number;
  /** Times that a full table of budgets or repeats was forgotten. */
  readonly tables_forgotten: number;
  /** Repeats of what was stored, left out. */
  readonly repeats_ignored: number;
  /** Repeats that were accepted because the stored message was a day old. */
  readonly repeats_refreshed: number;
  readonly blacklisted_nodes: number;
}

/** What is where inside, for status and metrics. */
export interface IngestOccupancy {
  readonly backlog: number;
  readonly pending_announcements: number;
  readonly pending_bytes: number;
  readonly early_announcements: number;
  readonly lookups_in_flight: number;
  readonly held_updates: number;
  readonly held_nodes: number;
  readonly refused_scids: number;
}

export class Ingest {
  readonly #desk: Desk;
  readonly #pending = new PendingChannels();
  readonly #departures: Departures;
  readonly #watch: SpendWatch;
  readonly #channels: ChannelJudge;
  readonly #updates: UpdateJudge;
  readonly #nodes: NodeJudge;

  constructor(ports: IngestPorts, options: IngestOptions = {}) {
    const desk = new Desk(ports);
    const pending = this.#pending;
    this.#desk = desk;
    this.#departures = new Departures(desk, {
      arrived: (channel, raw) => this.#watch.arrived(channel, raw),
      left: (channel) => this.#watch.left(channel),
      wanted: (scidHi, scidLo) => options.wanted?.(scidHi, scidLo),
    });
    this.#watch = new SpendWatch({
      ...{ desk, departures: this.#departures },
      ...(options.roundMs === undefined ? {} : { roundMs: options.roundMs }),
    });
    const resurrection = new Resurrection({
      desk,
      revived: (scidHi, scidLo, parked) => {
        if (parked === undefined) options.wanted?.(scidHi, scidLo);
        else this.#channels.judge(parked.raw, parked.origin, undefined, true);
      },
      judge: (raw, origin, done) => this.#updates.judge(raw, origin, done, true),
    });
    this.#updates = new UpdateJudge({
      ...{ desk, pending },
      meetZombie: (raw, origin, done, isOwned) => resurrection.meet(raw, origin, done, isOwned),
    });
    this.#nodes = new NodeJudge({ desk, pending });
    this.#channels = new ChannelJudge({
      desk,
      pending,
      acceptUnverified: options.acceptUnverified ?? true,
      conflicts: options.blacklist === false ? undefined : this.#makeConflicts(desk),
      accepted: (entry) => this.#channelAccepted(entry),
    });
  }

  /**
   * Judges one gossip message.
   *
   * @param raw the whole message with its type; borrowed
   * @param origin names the peer connection, and is not used again for another one; 0 is ourselves, who have no budget
   * @param done called once, at once or later, with the verdict; with `hold` the final one goes to `onVerdict` only
   */
  offer(raw: Uint8Array, origin: number, done?: Done): void {
    const desk = this.#desk;
    if (desk.isClosed) return;
    desk.contributions.offered(origin, raw.length);
    if (raw.length < 2 || raw.length > MAX_MESSAGE_BYTES) {
      desk.settle(WARN.malformed, raw, origin, done);
      return;
    }
    switch (readU16(raw, 0)) {
      case MESSAGE_TYPE.channel_update:
        this.#updates.judge(raw, origin, done, false);
        return;
      case MESSAGE_TYPE.node_announcement:
        this.#nodes.judge(raw, origin, done, false);
        return;
      case MESSAGE_TYPE.channel_announcement:
        this.#channels.judge(raw, origin, done, false);
        return;
      default:
        desk.settle(WARN.malformed, raw, origin, done);
        return;
    }
  }

  /** Offers without a verdict. Peers pause reading above BACKLOG_PAUSE and go on below BACKLOG_RESUME. */
  get backlog(): number {
    return this.#desk.backlog;
  }

  /** Sees every verdict, also the final ones on messages that were held. */
  get onVerdict(): VerdictListener | undefined {
    return this.#desk.onVerdict;
  }

  set onVerdict(listener: VerdictListener | undefined) {
    this.#desk.onVerdict = listener;
  }

  /** The connection is gone: its budget and its contribution are forgotten. What it sent is still judged. */
  forgetOrigin(origin: number): void {
    this.#desk.budget.forget(origin);
    this.#desk.contributions.forget(origin);
  }

  /** What the origin's gossip was good for so far; zeros for one that has offered nothing. A copy. */
  contributionOf(origin: number): Contribution {
    return this.#desk.contributions.of(origin);
  }

  /** Rules for whoever writes a message that accepted messages broke, by code; verdicts do not depend on them. */
  lintCounts(): Readonly<Record<LintCode, number>> {
    return this.#desk.lint.counts;
  }

  manners(): MannersStatus {
    const gates = [...this.#updates.gates, this.#nodes.gate];
    const sum = (of: (gate: (typeof gates)[number]) => number): number =>
      gates.reduce((total, gate) => total + of(gate), 0);
    return {
      over_budget_waiting: sum((gate) => gate.waiting),
      budget_keys: sum((gate) => gate.budget.keys),
      tables_forgotten: sum((gate) => gate.budget.turnovers + gate.repeats.turnovers),
      repeats_ignored: sum((gate) => gate.repeats.ignored),
      repeats_refreshed: sum((gate) => gate.repeats.refreshed),
      blacklisted_nodes: this.#desk.blacklist.size,
    };
  }

  /** B7-42; see `Departures.prune`. Returns how many channels went. */
  prune(): number {
    if (this.#desk.isClosed) return 0;
    // Again, in case the store took nothing when they were listed.
    return this.#forgetBlacklisted() + this.#departures.prune();
  }

  /** B7-13: the chain says that a funding output is spent. True if a channel is dying from now on. */
  channelSpent(scidHi: number, scidLo: number, spentAtHeight: number): boolean {
    return !this.#desk.isClosed && this.#departures.channelSpent(scidHi, scidLo, spentAtHeight);
  }

  /** B7-13: a reorganisation has taken the spend away. True if a dying channel lives again. */
  channelUnspent(scidHi: number, scidLo: number): boolean {
    return !this.#desk.isClosed && this.#departures.channelUnspent(scidHi, scidLo);
  }

  /** B7-43: removes what has been dead for long enough at this height. Returns how many channels went. */
  removeDying(height: number): number {
    return this.#desk.isClosed ? 0 : this.#departures.removeDying(height);
  }

  /**
   * Channels have left the graph without a delete_chan, with a damaged part of the store: what is under check against their keys is
   * judged anew. They may come back like any other channel.
   */
  channelsLost(): void {
    this.#desk.removals++;
  }

  /** the channel was refused, spent or removed not long ago; asking peers for it is useless. */
  isRefused(scidHi: number, scidLo: number): boolean {
    return this.#desk.isRefused(scidHi, scidLo);
  }

  /** Pruned for silence: asking peers for it is useless, unless they show a fresh update of it. */
  isZombie(scidHi: number, scidLo: number): boolean {
    return this.#desk.zombies.find(scidHi, scidLo) !== undefined;
  }

  /** Channels whose outputs are known to be spent; daemon/ keeps it over a restart. */
  get closed(): ClosedMemory {
    return this.#desk.closed;
  }

  /** Begins to follow the chain: daemon/ hands in its blocks once this has resolved. Only with a backend that verifies. */
  watchChain(options: BeginOptions): Promise<void> {
    return this.#watch.begin(options);
  }

  /** The next block of the best chain. */
  blockConnected(block: FollowedBlock): void {
    this.#watch.connected(block);
  }

  /** The last block so far has gone. */
  blockDisconnected(point: ChainPoint): void {
    this.#watch.disconnected(point);
  }

  /** All blocks up to the tip were handed in: what waited for one is looked at again (B7-07, B7-13). */
  chainSettled(tip: ChainPoint): void {
    if (this.#desk.isClosed) return;
    this.#channels.recheckEarly();
    this.#watch.settled(tip);
  }

  /** Blocks were mined that nobody will hand in. */
  blocksMissed(): void {
    this.#watch.missed();
  }

  /** What to keep of the follower's points over a stop. */
  settledPoints(points: readonly ChainPoint[]): ChainPoint[] {
    return this.#watch.settledPoints(points);
  }

  chainStatus(): SpendWatchStatus {
    return this.#watch.status();
  }

  /** Verdicts given, by reason; a message that was held counts again with its final one. */
  counts(): Readonly<Record<ReasonCode, number>> {
    return this.#desk.counts;
  }

  get signaturesChecked(): number {
    return this.#desk.signaturesChecked;
  }

  occupancy(): IngestOccupancy {
    return {
      backlog: this.#desk.backlog,
      pending_announcements: this.#pending.size,
      pending_bytes: this.#pending.bytes,
      early_announcements: this.#channels.early,
      lookups_in_flight: this.#channels.lookupsInFlight,
      held_updates: this.#updates.held,
      held_nodes: this.#nodes.held,
      refused_scids: this.#desk.refused.size,
    };
  }

  /** Ends timers and lookups. Offers are not answered from here on, and what was pending never is. */
  close(): void {
    this.#desk.isClosed = true;
    this.#watch.close();
    this.#channels.close();
    this.#updates.close();
    this.#nodes.close();
  }

  #makeConflicts(desk: Desk): NodeConflicts {
    return new NodeConflicts({
      desk,
      judge: (raw, origin, done) => this.#channels.judge(raw, origin, done, true),
      blacklisted: () => this.#forgetBlacklisted(),
    });
  }

  /** B7-11: the channels of blacklisted nodes go. Returns how many. */
  #forgetBlacklisted(): number {
    const { graph } = this.#desk.ports;
    const doomed = new Set<number>();
    this.#desk.blacklist.forEach((nodeId) => {
      const node = graph.nodeIndex(nodeId, 0);
      if (node >= 0) graph.forEachChannelOfNode(node, (channel) => doomed.add(channel));
    });
    return this.#departures.removeNow([...doomed]);
  }

  #channelAccepted(entry: PendingChannel): void {
    this.#desk.zombies.forget(entry.scidHi, entry.scidLo);
    this.#departures.arrived(entry.scidHi, entry.scidLo, entry.raw);
    this.#updates.channelAccepted(entry);
    this.#nodes.nodeAccepted(entry.raw, channelAnnouncementNodeId1At(entry.raw, 0));
    this.#nodes.nodeAccepted(entry.raw, channelAnnouncementNodeId2At(entry.raw, 0));
  }
}
