/**
 * The watch over a simulated network: sees every message that leaves or arrives and every record that is stored, holds them against
 * what is true, and throws with seed and time at the first thing that must not be. It also counts, and sums everything up in a
 * trace: two runs of one seed have the same.
 *
 * Held at every step: only what its owner has signed is stored, with the chain's amount; timestamps of a side or a node only grow;
 * nothing of a channel that the node knows to be spent is stored or sent; a node sends only what it has stored, and each record
 * on one connection only once for each filter and each query that came over it, so that nothing goes round in circles; one
 * query of each kind is open at a peer that answers; honest nodes never warn each other. Held at every look:
 * collections are below their maxima, and the graph has counted no anomaly.
 */
import { readU16, readU32 } from '../../../src/base/bytes.ts';
import { MAX_EARLY_ANNOUNCEMENTS } from '../../../src/ingest/channel_judge.ts';
import { MAX_BACKLOG_MESSAGES } from '../../../src/ingest/desk.ts';
import { MAX_LOOKUPS_IN_FLIGHT } from '../../../src/ingest/funding_check.ts';
import { MAX_HELD_NODES } from '../../../src/ingest/node_judge.ts';
import { MAX_PENDING_ANNOUNCEMENTS, MAX_PENDING_BYTES } from '../../../src/ingest/pending_channels.ts';
import { MAX_AHEAD_SECONDS } from '../../../src/ingest/ports.ts';
import { MAX_HELD_UPDATES } from '../../../src/ingest/update_judge.ts';
import type { Accepted } from '../../../src/store/accepted.ts';
import { FILTER_NOTHING } from '../../../src/sync/relay_stream.ts';
import { MESSAGE_TYPE } from '../../../src/wire/message_types.ts';
import type { NetworkNode } from './network_node.ts';
import type { Timeline } from './timeline.ts';
import type { TrueMessage, Truth } from './truth.ts';
import type { LineWatch, WireLine } from './wire_line.ts';

/** Index of sync_complete in reply_channel_range: type 2, chain_hash 32, first_blocknum 4, number_of_blocks 4. */
const SYNC_COMPLETE_AT = 42;
/** Index of first_timestamp in gossip_timestamp_filter: type 2, chain_hash 32. */
const FIRST_TIMESTAMP_AT = 34;

/** What must not be, with what is needed to see it again. */
export class Violation extends Error {}

export interface Figures {
  gossipMessages: number;
  gossipBytes: number;
  /** Range and scid queries. */
  queries: number;
  stored: number;
  /** Most that one message was sent on one connection. */
  mostSends: number;
  /** Messages sent over a connection on which they had come more than a second before, without a query for them. */
  echoes: number;
  /** Warnings sent, to whomever. */
  warnings: number;
}

export class Watch implements LineWatch {
  readonly figures: Figures = {
    gossipMessages: 0,
    gossipBytes: 0,
    queries: 0,
    stored: 0,
    mostSends: 0,
    echoes: 0,
    warnings: 0,
  };
  readonly #seed: number;
  readonly #truth: Truth;
  readonly #timeline: Timeline;
  readonly #nodes: ReadonlyMap<number, NetworkNode>;
  #traceA = 0x811c9dc5;
  #traceB = 0x2545f491;

  /** @param nodes the honest ones, by their numbers; grows */
  constructor(seed: number, truth: Truth, timeline: Timeline, nodes: ReadonlyMap<number, NetworkNode>) {
    this.#seed = seed;
    this.#truth = truth;
    this.#timeline = timeline;
    this.#nodes = nodes;
  }

  /** Everything that happened, in one word. */
  get trace(): string {
    return `${(this.#traceA >>> 0).toString(16)}.${(this.#traceB >>> 0).toString(16)}`;
  }

  note(...values: readonly number[]): void {
    for (const value of [this.#timeline.nowMs, ...values]) {
      this.#traceA = Math.imul(this.#traceA ^ value, 0x01000193);
      this.#traceB = Math.imul(this.#traceB + value, 0x85ebca6b) ^ (this.#traceB >>> 15);
    }
  }

  fail(what: string): never {
    throw new Violation(`seed ${this.#seed}, ${(this.#timeline.nowMs / 1000).toFixed(3)} s: ${what}`);
  }

  sent(line: WireLine, raw: Uint8Array): TrueMessage | undefined {
    const { local, remote } = line;
    const type = readU16(raw, 0);
    switch (type) {
      case MESSAGE_TYPE.channel_announcement:
      case MESSAGE_TYPE.channel_update:
      case MESSAGE_TYPE.node_announcement:
        return this.#gossipSent(line, raw, type);
      case MESSAGE_TYPE.query_channel_range:
        this.#querySent(line, 'range');
        break;
      case MESSAGE_TYPE.query_short_channel_ids:
        this.#querySent(line, 'scids');
        break;
    }
    this.note(1, local.number, remote.number, type, raw.length);
    return undefined;
  }

  received(line: WireLine, raw: Uint8Array): void {
    const type = readU16(raw, 0);
    this.note(2, line.local.number, line.remote.number, type);
    if (type <= MESSAGE_TYPE.channel_update && type >= MESSAGE_TYPE.channel_announcement) {
      const message = this.#truth.find(raw);
      if (message !== undefined) line.receivedAtMs.set(message.number, this.#timeline.nowMs);
    }
    if (type === MESSAGE_TYPE.gossip_timestamp_filter || type === MESSAGE_TYPE.query_short_channel_ids)
      line.asked++;
    if (type === MESSAGE_TYPE.gossip_timestamp_filter)
      line.streams = readU32(raw, FIRST_TIMESTAMP_AT) !== FILTER_NOTHING;
    if (type === MESSAGE_TYPE.reply_short_channel_ids_end) line.openQueries.scids--;
    if (type === MESSAGE_TYPE.reply_channel_range && raw[SYNC_COMPLETE_AT] === 1) line.openQueries.range--;
  }

  warned(line: WireLine, text: string): void {
    this.figures.warnings++;
    if (line.local.isHonest && line.remote.isHonest) this.fail(`${line.name} warns an honest node: ${text}`);
  }

  /** Whether `node` may store this; the true message. */
  vouch(node: NetworkNode, accepted: Accepted): TrueMessage | undefined {
    if (accepted.kind === 'delete_chan' || accepted.kind === 'chan_dying') return undefined;
    const message = this.#truth.find(accepted.raw);
    if (message === undefined)
      return this.fail(`n${node.number} stores a ${accepted.kind} that nobody signed`);
    this.figures.stored++;
    this.note(3, node.number, message.number);
    const { graph } = node;
    if (message.kind === 'node') {
      const index = graph.nodeIndex(this.#truth.nodeKey(message.subject), 0);
      // A copy of the stored one may be moved behind in the file.
      const isCopy = index >= 0 && graph.nodeTimestamp(index) === message.timestamp;
      if (index >= 0 && graph.nodeTimestamp(index) > message.timestamp)
        this.fail(`n${node.number}: node n${message.subject} goes back to ${message.timestamp}`);
      if (!isCopy) this.#checkTime(node, message);
      return message;
    }
    const channel = this.#truth.channels[message.subject]!;
    if (node.knowsSpent.has(channel.number))
      this.fail(`n${node.number} stores a ${message.kind} of channel ${channel.number}, which is spent`);
    const index = graph.channelIndex(channel.scidHi, channel.scidLo);
    if (accepted.kind === 'channel_announcement') {
      if (accepted.satoshis !== channel.satoshis) this.fail(`n${node.number} stores a wrong amount`);
      if (index >= 0) this.fail(`n${node.number} stores channel ${channel.number} twice`);
      return message;
    }
    if (index < 0) this.fail(`n${node.number} stores an update before its channel ${channel.number}`);
    const { direction, timestamp } = message;
    if (graph.hasUpdate(index, direction) && graph.updateTimestamp(index, direction) >= timestamp)
      this.fail(`n${node.number}: channel ${channel.number}/${direction} goes back to ${timestamp}`);
    this.#checkTime(node, message);
    return message;
  }

  /** Bounds that hold at any moment. */
  look(node: NetworkNode): void {
    const found = node.ingest.occupancy();
    const bounds: readonly [string, number, number][] = [
      ['backlog', found.backlog, MAX_BACKLOG_MESSAGES],
      ['pending announcements', found.pending_announcements, MAX_PENDING_ANNOUNCEMENTS],
      ['pending bytes', found.pending_bytes, MAX_PENDING_BYTES],
      ['early announcements', found.early_announcements, MAX_EARLY_ANNOUNCEMENTS],
      ['lookups', found.lookups_in_flight, MAX_LOOKUPS_IN_FLIGHT],
      ['held updates', found.held_updates, MAX_HELD_UPDATES],
      ['held nodes', found.held_nodes, MAX_HELD_NODES],
    ];
    for (const [name, count, most] of bounds)
      if (count > most || count < 0) this.fail(`n${node.number}: ${count} ${name}, at most ${most}`);
    for (const [anomaly, count] of Object.entries(node.graph.anomalies))
      if (count > 0) this.fail(`n${node.number}: its graph counts ${count} ${anomaly}`);
  }

  #gossipSent(line: WireLine, raw: Uint8Array, type: number): TrueMessage | undefined {
    const { local, remote } = line;
    const message = this.#truth.find(raw);
    this.note(4, local.number, remote.number, type, message?.number ?? -1);
    if (!local.isHonest) return message;
    this.figures.gossipMessages++;
    this.figures.gossipBytes += raw.length;
    const node = this.#nodes.get(local.number);
    if (message === undefined) return this.fail(`${line.name} sends a ${type} that nobody signed`);
    if (node?.store.has(message) !== true)
      this.fail(`${line.name} sends ${message.kind} ${message.subject}, which it has not stored`);
    if (message.kind !== 'node' && node?.knowsSpent.has(message.subject) === true)
      this.fail(`${line.name} sends ${message.kind} ${message.subject}, which is spent`);
    const times = (line.timesSent.get(message.number) ?? 0) + 1;
    line.timesSent.set(message.number, times);
    if (times > this.figures.mostSends) this.figures.mostSends = times;
    const receivedAtMs = line.receivedAtMs.get(message.number) ?? Number.POSITIVE_INFINITY;
    if (line.otherEnd.openQueries.scids === 0 && this.#timeline.nowMs - receivedAtMs > 1000)
      this.figures.echoes++;
    // A copy that was moved behind in the file is a new record.
    const copies = (node?.timesStored.get(message.number) ?? 1) - 1;
    if (times > line.asked + copies)
      this.fail(
        `${line.name}, asked ${line.asked} times, sends ${message.kind} ${message.subject} ${times} times`,
      );
    return message;
  }

  #querySent(line: WireLine, kind: 'range' | 'scids'): void {
    if (!line.local.isHonest) return;
    this.figures.queries++;
    if (++line.openQueries[kind] > 1 && line.remote.isHonest)
      this.fail(`${line.name} has ${line.openQueries[kind]} ${kind} queries open`);
  }

  #checkTime(node: NetworkNode, message: TrueMessage): void {
    const now = Math.floor(node.clock.nowMs() / 1000);
    // The check of the signature and of the funding output came after that of the time.
    if (message.timestamp > now + MAX_AHEAD_SECONDS)
      this.fail(`n${node.number} stores ${message.kind} ${message.subject} from the far future`);
  }
}
