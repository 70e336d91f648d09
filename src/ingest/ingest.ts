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
import { channelAnnouncementNodeId1At, channelAnnouncementNodeId2At } from '../wire/channel_announcement.ts';
import { MAX_MESSAGE_BYTES, MESSAGE_TYPE } from '../wire/message_types.ts';
import { ChannelJudge } from './channel_judge.ts';
import { Departures } from './departures.ts';
import { Desk } from './desk.ts';
import { NodeJudge } from './node_judge.ts';
import { type PendingChannel, PendingChannels } from './pending_channels.ts';
import type { Done, IngestPorts, VerdictListener } from './ports.ts';
import { UpdateJudge } from './update_judge.ts';
import { type ReasonCode, WARN } from './verdict.ts';

export { BACKLOG_PAUSE, BACKLOG_RESUME } from './desk.ts';
export type { IngestPorts, StorePort } from './ports.ts';

export interface IngestOptions {
  /** Accept channels on signatures alone when the chain backend verifies nothing. Default true. */
  readonly acceptUnverified?: boolean;
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
  readonly #channels: ChannelJudge;
  readonly #updates: UpdateJudge;
  readonly #nodes: NodeJudge;

  constructor(ports: IngestPorts, options: IngestOptions = {}) {
    const desk = new Desk(ports);
    const pending = this.#pending;
    this.#desk = desk;
    this.#departures = new Departures(desk);
    this.#updates = new UpdateJudge({ desk, pending });
    this.#nodes = new NodeJudge({ desk, pending });
    this.#channels = new ChannelJudge({
      desk,
      pending,
      acceptUnverified: options.acceptUnverified ?? true,
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

  /** The connection is gone: its budget is forgotten. What it sent is still judged. */
  forgetOrigin(origin: number): void {
    this.#desk.budget.forget(origin);
  }

  /** B7-42; see `Departures.prune`. Returns how many channels went. */
  prune(): number {
    return this.#desk.isClosed ? 0 : this.#departures.prune();
  }

  /** B7-13: the chain says that a funding output is spent. True if a channel is dying from now on. */
  channelSpent(scidHi: number, scidLo: number, spentAtHeight: number): boolean {
    return !this.#desk.isClosed && this.#departures.channelSpent(scidHi, scidLo, spentAtHeight);
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
    return this.#desk.refused.find(scidHi, scidLo) === 0;
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
    this.#channels.close();
    this.#updates.close();
    this.#nodes.close();
  }

  #channelAccepted(entry: PendingChannel): void {
    this.#departures.arrived(entry.scidHi, entry.scidLo);
    this.#updates.channelAccepted(entry);
    this.#nodes.nodeAccepted(entry.raw, channelAnnouncementNodeId1At(entry.raw, 0));
    this.#nodes.nodeAccepted(entry.raw, channelAnnouncementNodeId2At(entry.raw, 0));
  }
}
