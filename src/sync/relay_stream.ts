/**
 * RelayStream: relays stored gossip to one peer as its gossip_timestamp_filter asks (BOLT 7, Rebroadcasting).
 *
 * Reads the store by cursor, in file order, so nothing that was not accepted and stored can be relayed. Nothing is sent
 * before the peer's filter. The first filter starts at once with what is stored; after that, and for later filters,
 * records wait for the peer's next flush. Records that were replaced before a flush are flagged deleted in the
 * file and the cursor passes over them: the latest of each origin wins.
 *
 * An announcement counts with the time of any of its channel's updates. One that has no update yet is kept back,
 * and sent before the first update that is sent; a node announcement waits for a channel of its node.
 * Bounds: one cursor; MAX_KEPT_BACK announcements and as many nodes kept back; RECORDS_PER_TURN records looked at before
 * other work gets its turn; at most one walk from the start of the store for each flush interval.
 */
import { bytesEqual, own } from '../base/bytes.ts';
import type { Network } from '../base/chain_hash.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import { type Clock, nowSeconds } from '../base/time.ts';
import type { NetworkGraph } from '../graph/network_graph.ts';
import {
  channelAnnouncementNodeId1At,
  channelAnnouncementNodeId2At,
  channelAnnouncementScidHi,
  channelAnnouncementScidLo,
} from '../wire/channel_announcement.ts';
import { channelUpdateScidHi, channelUpdateScidLo } from '../wire/channel_update.ts';
import type { GossipTimestampFilter } from '../wire/gossip_timestamp_filter.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { nodeAnnouncementNodeIdAt } from '../wire/node_announcement.ts';
import { FLAG_DELETED, FLAG_DYING, type StoreOffset, type StoreRecord } from '../wire/store_record.ts';
import type { RecordCursor, RelaySource, WarnText } from './ports.ts';

/** first_timestamp that asks for nothing. */
export const FILTER_NOTHING = 0xffffffff;

/**
 * Announcements, and nodes, kept back for each peer: a new channel lacks its update for seconds, and 4,096 is a day of new
 * channels. 2 sets x 4,096 x about 40 bytes = 330 kB at most. When full the oldest is dropped and counted.
 */
export const MAX_KEPT_BACK = 4_096;

/** Looking at a record takes about a microsecond, so a turn is a few milliseconds. */
export const RECORDS_PER_TURN = 2_000;

export interface RelayStreamOptions {
  readonly graph: NetworkGraph;
  readonly store: RelaySource;
  readonly network: Network;
  readonly send: (raw: Uint8Array) => void;
  /** False means back-pressure: stop, and wait for pump(). */
  readonly canSend: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  /** True when the record came from this very peer. */
  readonly isEcho: (offset: StoreOffset) => boolean;
  /** BOLT 7: 60,000. */
  readonly flushIntervalMs: number;
  /** Added to the first interval, so that peers are not all flushed at the same moment. */
  readonly staggerMs: number;
  /** Also relay channels whose amount nobody verified. */
  readonly relayUnverified: boolean;
}

export class RelayStream {
  readonly #options: RelayStreamOptions;
  readonly #graph: NetworkGraph;
  /** Messages with first <= timestamp < end are sent. */
  #first = FILTER_NOTHING;
  #end = 0;
  #cursor: RecordCursor | undefined;
  /** The cursor is to be opened at the start of the store when the next flush comes. */
  #restart = false;
  /** True from a flush until the cursor has nothing more. */
  #reading = false;
  #pumping = false;
  #closed = false;
  #cancelFlush: (() => void) | undefined;
  #cancelTurn: (() => void) | undefined;
  /** Channels whose announcement passed by while they had no update, oldest first; by graph index, which the next announcement with that index overwrites. */
  readonly #keptChannels = new Set<number>();
  /** Nodes whose announcement passed by before that of any of their channels. */
  readonly #keptNodes = new Set<number>();

  constructor(options: RelayStreamOptions) {
    this.#options = options;
    this.#graph = options.graph;
  }

  /** Announcements of channels and nodes that wait for an update or a channel. */
  get keptBack(): number {
    return this.#keptChannels.size + this.#keptNodes.size;
  }

  /** BOLT 7, gossip_timestamp_filter: replaces the previous one. */
  onFilter(filter: GossipTimestampFilter): WarnText | undefined {
    if (this.#closed) return undefined;
    const { network, clock, meter, log } = this.#options;
    if (!bytesEqual(filter.chain_hash, network.chainHashBytes)) {
      // only this chain's gossip is here.
      meter.count('gossipd_filters_refused_total');
      return 'gossip_timestamp_filter for a chain that is not kept here';
    }
    this.#first = filter.first_timestamp;
    this.#end = filter.first_timestamp + filter.timestamp_range;
    this.#stopReading();
    log.debug('gossip filter', { first: this.#first, range: filter.timestamp_range });
    if (this.#first === FILTER_NOTHING || filter.timestamp_range === 0) return undefined;
    if (this.#first > nowSeconds(clock)) {
      this.#cursor = this.#options.store.cursor('end');
    } else if (this.#cancelFlush === undefined) {
      this.#cursor = this.#options.store.cursor('start');
      this.#reading = true;
    } else {
      this.#restart = true;
    }
    if (this.#cancelFlush === undefined) {
      this.#armFlush(this.#options.flushIntervalMs + this.#options.staggerMs);
    }
    this.pump();
    return undefined;
  }

  /** Goes on with what is being sent; called when the connection can take more. */
  pump(): void {
    if (this.#pumping || this.#closed) return;
    this.#pumping = true;
    let left = RECORDS_PER_TURN;
    while (this.#reading && this.#cursor !== undefined && this.#options.canSend()) {
      if (left-- === 0) {
        this.#nextTurn();
        break;
      }
      const record = this.#cursor.next();
      if (record === undefined) this.#reading = false;
      else this.#consider(record);
    }
    this.#pumping = false;
  }

  /** Ends the stream and its timers. */
  close(): void {
    this.#closed = true;
    this.#stopReading();
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
  }

  #stopReading(): void {
    this.#cursor?.close();
    this.#cursor = undefined;
    this.#reading = false;
    this.#restart = false;
    this.#cancelTurn?.();
    this.#cancelTurn = undefined;
    this.#keptChannels.clear();
    this.#keptNodes.clear();
  }

  #armFlush(delayMs: number): void {
    this.#cancelFlush = this.#options.clock.after(delayMs, () => {
      this.#armFlush(this.#options.flushIntervalMs);
      if (this.#restart) {
        this.#restart = false;
        this.#cursor = this.#options.store.cursor('start');
      }
      this.#reading = this.#cursor !== undefined;
      this.pump();
    });
  }

  #nextTurn(): void {
    this.#cancelTurn ??= this.#options.clock.after(0, () => {
      this.#cancelTurn = undefined;
      this.pump();
    });
  }

  #consider(record: StoreRecord): void {
    // Q-20 for all three: what speaks of a spent channel only is not worth relaying.
    if ((record.flags & (FLAG_DELETED | FLAG_DYING)) !== 0) return;
    switch (record.type) {
      case MESSAGE_TYPE.channel_announcement:
        this.#considerAnnouncement(record);
        return;
      case MESSAGE_TYPE.channel_update:
        this.#considerUpdate(record);
        return;
      case MESSAGE_TYPE.node_announcement:
        this.#considerNode(record);
        return;
    }
  }

  #considerAnnouncement(record: StoreRecord): void {
    const { bytes, at } = record;
    const channel = this.#graph.channelIndex(
      channelAnnouncementScidHi(bytes, at),
      channelAnnouncementScidLo(bytes, at),
    );
    if (channel === -1) return;
    this.#keptChannels.delete(channel);
    if (!this.#relays(channel)) return;
    if (!this.#hasAnyUpdate(channel)) {
      // decided when the first update is there.
      this.#keepBack(this.#keptChannels, channel, 'channel_announcement');
      return;
    }
    if (this.#wantsChannel(channel, record.timestamp)) this.#sendRecord(record);
    if (this.#keptNodes.size > 0) {
      this.#releaseNode(this.#graph.nodeIndex(bytes, channelAnnouncementNodeId1At(bytes, at)));
      this.#releaseNode(this.#graph.nodeIndex(bytes, channelAnnouncementNodeId2At(bytes, at)));
    }
  }

  #considerUpdate(record: StoreRecord): void {
    const channel = this.#graph.channelIndex(
      channelUpdateScidHi(record.bytes, record.at),
      channelUpdateScidLo(record.bytes, record.at),
    );
    if (channel === -1 || !this.#relays(channel)) return;
    if (!this.#inWindow(record.timestamp)) return;
    if (this.#keptChannels.delete(channel)) this.#sendStored(this.#graph.channelOffset(channel));
    this.#sendRecord(record);
    if (this.#keptNodes.size > 0) {
      this.#releaseNode(this.#graph.channelNode(channel, 0));
      this.#releaseNode(this.#graph.channelNode(channel, 1));
    }
  }

  #considerNode(record: StoreRecord): void {
    const node = this.#graph.nodeIndex(record.bytes, nodeAnnouncementNodeIdAt(record.bytes, record.at));
    if (node === -1) return;
    this.#keptNodes.delete(node);
    if (!this.#inWindow(record.timestamp)) return;
    if (this.#hasChannelBefore(node, record.offset)) this.#sendRecord(record);
    // until a channel of this node has been announced to the peer.
    else this.#keepBack(this.#keptNodes, node, 'node_announcement');
  }

  #relays(channel: number): boolean {
    if (this.#graph.isDying(channel)) return false;
    return this.#options.relayUnverified || this.#graph.channelSatoshis(channel) > 0;
  }

  #hasAnyUpdate(channel: number): boolean {
    return this.#graph.hasUpdate(channel, 0) || this.#graph.hasUpdate(channel, 1);
  }

  #inWindow(timestamp: number): boolean {
    return timestamp >= this.#first && timestamp < this.#end;
  }

  /** the time of an announcement is that of a corresponding update; the first one's is in the record's header. */
  #wantsChannel(channel: number, headerTimestamp: number): boolean {
    const graph = this.#graph;
    return (
      (headerTimestamp !== 0 && this.#inWindow(headerTimestamp)) ||
      (graph.hasUpdate(channel, 0) && this.#inWindow(graph.updateTimestamp(channel, 0))) ||
      (graph.hasUpdate(channel, 1) && this.#inWindow(graph.updateTimestamp(channel, 1)))
    );
  }

  /** Whether a channel of this node that may be relayed and is not kept back comes before `offset` in the file. */
  #hasChannelBefore(node: number, offset: StoreOffset): boolean {
    let found = false;
    this.#graph.forEachChannelOfNode(node, (channel) => {
      found ||=
        this.#graph.channelOffset(channel) < offset &&
        this.#hasAnyUpdate(channel) &&
        !this.#keptChannels.has(channel) &&
        this.#relays(channel);
    });
    return found;
  }

  #releaseNode(node: number): void {
    if (!this.#keptNodes.delete(node)) return;
    if (this.#graph.nodeTimestamp(node) === 0 || !this.#inWindow(this.#graph.nodeTimestamp(node))) return;
    this.#sendStored(this.#graph.nodeOffset(node));
  }

  #keepBack(kept: Set<number>, index: number, what: 'channel_announcement' | 'node_announcement'): void {
    if (kept.size >= MAX_KEPT_BACK) {
      for (const oldest of kept) {
        kept.delete(oldest);
        break;
      }
      this.#options.meter.count('gossipd_relay_kept_back_dropped_total', what);
    }
    kept.add(index);
  }

  #sendRecord(record: StoreRecord): void {
    if (this.#options.isEcho(record.offset)) return;
    this.#options.send(own(record.bytes.subarray(record.at, record.at + record.length)));
  }

  #sendStored(offset: StoreOffset): void {
    if (this.#options.isEcho(offset)) return;
    const raw = this.#options.store.readMessage(offset);
    if (raw !== undefined) this.#options.send(raw);
  }
}
