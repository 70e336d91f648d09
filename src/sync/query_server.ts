/**
 * QueryServer: answers one peer's query_channel_range and query_short_channel_ids (BOLT 7, Query Messages).
 *
 * daemon/ hands it the decoded queries and calls pump() when the connection can take more; it sends reply_channel_range,
 * the stored gossip messages as they were received, and reply_short_channel_ids_end.
 * Left out of every answer: dying channels and, unless told otherwise, channels whose funding output nobody verified.
 * Left out of range replies: channels without any channel_update, as CLN does.
 * Bounds: at most one query of each kind is open. Its state is a position, and for scids the query's own list:
 * at most 8186 x 8 bytes, 8186 flags and a set of at most 2 x 8186 nodes, about 0.8 MB. One message is made at a time and only
 * while canSend() is true, so a peer that does not read costs nothing more; with a QueryBudget a peer that asks without end waits.
 */
import { bytesEqual, own } from '../base/bytes.ts';
import type { Network } from '../base/chain_hash.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import { scidBlock } from '../base/short_channel_id.ts';
import type { NetworkGraph } from '../graph/network_graph.ts';
import { QUERY_OPTION, type QueryChannelRange } from '../wire/query_channel_range.ts';
import { QUERY_FLAG, type QueryShortChannelIds } from '../wire/query_short_channel_ids.ts';
import { encodeReplyChannelRange, shortIdsPerReply } from '../wire/reply_channel_range.ts';
import { encodeReplyShortChannelIdsEnd } from '../wire/reply_short_channel_ids_end.ts';
import type { StoreOffset } from '../wire/store_record.ts';
import type { MessageSource, WarnText } from './ports.ts';
import { LOOKUP_BYTES, type QueryBudget, RANGE_QUERY_BYTES } from './query_budget.ts';
import { compareHalves, HI, halvesOf, LO } from './scid_halves.ts';

/** What a query without flags asks for: all of QUERY_FLAG. */
export const QUERY_ALL = 31;

/** A short_channel_id has 24 bits for the block, so no channel is at or above this height. */
export const BLOCKS_END = 0x1000000;

/** Blocks looked through at once: today's density of one channel in nine blocks makes it about 1,100 channels. */
const BLOCKS_PER_STEP = 10_000;

/** An open query_channel_range. */
interface RangeAnswer {
  readonly chain_hash: Uint8Array;
  /** A chain that is not kept here: one empty reply. */
  readonly foreign: boolean;
  readonly withTimestamps: boolean;
  readonly withChecksums: boolean;
  /** One past the last block asked for; up to 2^33 - 2. */
  readonly end: number;
  /** First block of the next reply. */
  first: number;
  /** The last short_channel_id that was sent; -1 before the first. */
  afterHi: number;
  afterLo: number;
}

/** An open query_short_channel_ids. */
interface ScidAnswer {
  readonly chain_hash: Uint8Array;
  readonly foreign: boolean;
  /** Ascending, each once; in halves. */
  readonly halves: Uint32Array;
  readonly flags: ArrayLike<number> | undefined;
  /** Entry of `halves` that is next, and which of its three messages. */
  at: number;
  part: number;
  /** The same for the pass over the nodes. */
  nodeAt: number;
  nodeSide: number;
  readonly sentNodes: Set<number>;
}

export interface QueryServerOptions {
  readonly graph: NetworkGraph;
  readonly store: MessageSource;
  readonly network: Network;
  readonly send: (raw: Uint8Array) => void;
  /** False means back-pressure: stop, and wait for pump(). */
  readonly canSend: () => boolean;
  readonly log: Log;
  readonly meter: Meter;
  /** Also answer with channels whose amount nobody verified. */
  readonly serveUnverified?: boolean;
  /** What this peer's answers may cost; nothing limits them without. The server closes it. */
  readonly budget?: QueryBudget;
  /**
   * Whether our own map is kept complete: full_information tells the asker whether what we left out is unknown to the network or only to
   * us. It is 0 before our first sync is complete, after a restart too, and 0 where nothing is verified and so nothing of the map is
   * given away: that a daemon without a chain answers a range query with an empty list is then not taken for an empty network. The
   * list itself has to end with sync_complete all the same: the asker would wait for the rest of it. True without.
   */
  readonly isUpToDate?: () => boolean;
}

export class QueryServer {
  readonly #options: QueryServerOptions;
  readonly #graph: NetworkGraph;
  #range: RangeAnswer | undefined;
  #scids: ScidAnswer | undefined;
  #pumping = false;
  /** The peer has used up its budget. */
  #throttled = false;

  constructor(options: QueryServerOptions) {
    this.#options = options;
    this.#graph = options.graph;
  }

  /** True while an answer is not finished and goes on as fast as there is room: live gossip waits for it, but not for a budget. */
  get busy(): boolean {
    return !this.#throttled && (this.#range !== undefined || this.#scids !== undefined);
  }

  /** BOLT 7, query_channel_range. Answers as far as there is room; pump() does the rest. */
  onQueryChannelRange(query: QueryChannelRange): WarnText | undefined {
    if (this.#range !== undefined)
      return this.#refuse('query_channel_range before the previous one was answered');
    if (query.number_of_blocks < 1) return this.#refuse('query_channel_range for no blocks');
    // Bits are tested in the lower 32, where both are.
    const option = query.query_option ?? 0;
    this.#range = {
      chain_hash: own(query.chain_hash),
      foreign: !bytesEqual(query.chain_hash, this.#options.network.chainHashBytes),
      withTimestamps: (option & QUERY_OPTION.timestamps) !== 0,
      withChecksums: (option & QUERY_OPTION.checksums) !== 0,
      end: query.first_blocknum + query.number_of_blocks,
      first: query.first_blocknum,
      afterHi: -1,
      afterLo: -1,
    };
    this.#options.budget?.spend(RANGE_QUERY_BYTES);
    this.#options.meter.count('gossipd_queries_served_total', 'query_channel_range');
    this.pump();
    return undefined;
  }

  /** BOLT 7, query_short_channel_ids. Answers as far as there is room; pump() does the rest. */
  onQueryShortChannelIds(query: QueryShortChannelIds): WarnText | undefined {
    if (this.#scids !== undefined)
      return this.#refuse('query_short_channel_ids before the previous one was answered');
    const { halves, flags } = eachOnce(query.short_channel_ids, query.query_flags);
    this.#options.budget?.spend((halves.length / 2) * LOOKUP_BYTES);
    this.#scids = {
      chain_hash: own(query.chain_hash),
      foreign: !bytesEqual(query.chain_hash, this.#options.network.chainHashBytes),
      halves,
      flags,
      at: 0,
      part: 0,
      nodeAt: 0,
      nodeSide: 0,
      sentNodes: new Set(),
    };
    this.#options.meter.count('gossipd_queries_served_total', 'query_short_channel_ids');
    this.pump();
    return undefined;
  }

  /** Goes on with open answers until they are done or canSend() says stop. */
  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#range !== undefined && this.#maySend()) this.#answerRange(this.#range);
    while (this.#scids !== undefined && this.#maySend()) this.#answerScids(this.#scids);
    this.#pumping = false;
  }

  /** Forgets what was asked. */
  close(): void {
    this.#range = undefined;
    this.#scids = undefined;
    this.#options.budget?.close();
  }

  #maySend(): boolean {
    const { canSend, budget } = this.#options;
    this.#throttled = budget !== undefined && !budget.isOpen(this.#onBudget);
    return !this.#throttled && canSend();
  }

  readonly #onBudget = (): void => {
    this.#throttled = false;
    this.pump();
  };

  #send(raw: Uint8Array): void {
    this.#options.budget?.spend(raw.length);
    this.#options.send(raw);
  }

  #refuse(text: WarnText): WarnText {
    this.#options.meter.count('gossipd_queries_refused_total');
    this.#options.log.debug('query refused', { why: text });
    return text;
  }

  #serves(channel: number): boolean {
    if (this.#graph.isDying(channel)) return false;
    return this.#options.serveUnverified === true || this.#graph.channelSatoshis(channel) > 0;
  }

  /** Sends one reply_channel_range. */
  #answerRange(answer: RangeAnswer): void {
    const graph = this.#graph;
    const limit = shortIdsPerReply(answer.withTimestamps, answer.withChecksums);
    const channels: number[] = [];
    // The first channel that does not fit any more.
    let next = -1;
    const take = (channel: number): void => {
      if (next !== -1 || !this.#serves(channel)) return;
      if (!graph.hasUpdate(channel, 0) && !graph.hasUpdate(channel, 1)) return;
      const order = compareHalves(
        graph.scidHi(channel),
        graph.scidLo(channel),
        answer.afterHi,
        answer.afterLo,
      );
      if (order <= 0) return;
      if (channels.length === limit) next = channel;
      else channels.push(channel);
    };
    const end = answer.foreign ? 0 : Math.min(answer.end, BLOCKS_END);
    for (let block = answer.first; block < end && next === -1; block += BLOCKS_PER_STEP) {
      graph.channelsInBlocks(block, Math.min(BLOCKS_PER_STEP, end - block), take);
    }
    const last = channels[channels.length - 1];
    if (next === -1 || last === undefined) {
      this.#range = undefined;
      // for a chain that is not kept, one empty reply that does not claim to be complete.
      this.#sendRangeReply(answer, channels, answer.end - answer.first, !answer.foreign);
      return;
    }
    const nextBlock = scidBlock(graph.scidHi(next));
    // a block that is split belongs to this reply and to the next one, which therefore starts with it again.
    const split = scidBlock(graph.scidHi(last)) === nextBlock;
    this.#sendRangeReply(answer, channels, nextBlock - answer.first + (split ? 1 : 0), false);
    answer.first = nextBlock;
    answer.afterHi = graph.scidHi(last);
    answer.afterLo = graph.scidLo(last);
  }

  #sendRangeReply(
    answer: RangeAnswer,
    channels: readonly number[],
    blocks: number,
    sync_complete: boolean,
  ): void {
    const graph = this.#graph;
    const scids = new BigUint64Array(channels.length);
    const halves = halvesOf(scids);
    const timestamps = answer.withTimestamps ? new Uint32Array(channels.length * 2) : undefined;
    const checksums = answer.withChecksums ? new Uint32Array(channels.length * 2) : undefined;
    for (const [index, channel] of channels.entries()) {
      halves[index * 2 + HI] = graph.scidHi(channel);
      halves[index * 2 + LO] = graph.scidLo(channel);
      for (const direction of [0, 1] as const) {
        if (!graph.hasUpdate(channel, direction)) continue;
        if (timestamps !== undefined)
          timestamps[index * 2 + direction] = graph.updateTimestamp(channel, direction);
        if (checksums !== undefined)
          checksums[index * 2 + direction] = graph.updateChecksum(channel, direction);
      }
    }
    this.#send(
      encodeReplyChannelRange({
        chain_hash: answer.chain_hash,
        first_blocknum: answer.first,
        number_of_blocks: blocks,
        sync_complete,
        short_channel_ids: scids,
        ...(timestamps === undefined ? {} : { timestamps }),
        ...(checksums === undefined ? {} : { checksums }),
      }),
    );
  }

  /** Sends one message of the answer, the end message included. */
  #answerScids(answer: ScidAnswer): void {
    if (!answer.foreign && (this.#sendNextOfChannel(answer) || this.#sendNextNode(answer))) return;
    this.#scids = undefined;
    // Q-09; Q-10: no other chain is kept.
    const full_information = !answer.foreign && (this.#options.isUpToDate?.() ?? true);
    this.#send(encodeReplyShortChannelIdsEnd({ chain_hash: answer.chain_hash, full_information }));
  }

  /** announcement, then the latest update of each side, channel by channel. True when one message was sent. */
  #sendNextOfChannel(answer: ScidAnswer): boolean {
    const graph = this.#graph;
    const count = answer.halves.length / 2;
    for (; answer.at < count; answer.at++, answer.part = 0) {
      const channel = this.#servedAt(answer, answer.at);
      if (channel === -1) continue;
      const flags = flagsAt(answer, answer.at);
      while (answer.part < 3) {
        const part = answer.part++;
        if ((flags & (QUERY_FLAG.channel_announcement << part)) === 0) continue;
        if (part === 0) {
          if (this.#sendStored(graph.channelOffset(channel))) return true;
          continue;
        }
        const direction = part === 1 ? 0 : 1;
        if (!graph.hasUpdate(channel, direction)) continue;
        if (this.#sendStored(graph.updateOffset(channel, direction))) return true;
      }
    }
    return false;
  }

  /** node announcements after all channels, each once. True when one message was sent. */
  #sendNextNode(answer: ScidAnswer): boolean {
    const graph = this.#graph;
    const count = answer.halves.length / 2;
    for (; answer.nodeAt < count; answer.nodeAt++, answer.nodeSide = 0) {
      const channel = this.#servedAt(answer, answer.nodeAt);
      if (channel === -1) continue;
      const flags = flagsAt(answer, answer.nodeAt);
      while (answer.nodeSide < 2) {
        const side = answer.nodeSide++ === 0 ? 0 : 1;
        if ((flags & (QUERY_FLAG.node_announcement_1 << side)) === 0) continue;
        const node = graph.channelNode(channel, side);
        if (graph.nodeTimestamp(node) === 0 || answer.sentNodes.has(node)) continue;
        answer.sentNodes.add(node);
        if (this.#sendStored(graph.nodeOffset(node))) return true;
      }
    }
    return false;
  }

  #servedAt(answer: ScidAnswer, index: number): number {
    const channel = this.#graph.channelIndex(
      answer.halves[index * 2 + HI] as number,
      answer.halves[index * 2 + LO] as number,
    );
    return channel === -1 || !this.#serves(channel) ? -1 : channel;
  }

  #sendStored(offset: StoreOffset): boolean {
    const raw = this.#options.store.readMessage(offset);
    if (raw === undefined) {
      this.#options.meter.count('gossipd_query_missing_records_total');
      return false;
    }
    this.#send(raw);
    return true;
  }
}

const flagsAt = (answer: ScidAnswer, index: number): number =>
  answer.flags === undefined ? QUERY_ALL : (answer.flags[index] ?? 0);

/** The query's list strictly ascending; flags of repeated entries are joined. The usual query is so already. */
const eachOnce = (
  scids: BigUint64Array,
  flags: ArrayLike<number> | undefined,
): { halves: Uint32Array; flags: ArrayLike<number> | undefined } => {
  const halves = halvesOf(scids);
  let ascending = true;
  for (let at = 2; at < halves.length && ascending; at += 2) {
    const [hi, lo] = [halves[at + HI] as number, halves[at + LO] as number];
    ascending = compareHalves(hi, lo, halves[at - 2 + HI] as number, halves[at - 2 + LO] as number) > 0;
  }
  // The flags may be a view of the message.
  if (ascending) return { halves, flags: flags === undefined ? undefined : Array.from(flags) };
  const joined = new Map<bigint, number>();
  for (const [index, scid] of scids.entries()) {
    joined.set(scid, (joined.get(scid) ?? 0) | (flags === undefined ? QUERY_ALL : (flags[index] ?? 0)));
  }
  const unique = BigUint64Array.from(joined.keys()).sort();
  return {
    halves: halvesOf(unique),
    flags: flags === undefined ? undefined : Array.from(unique, (scid) => joined.get(scid) ?? 0),
  };
};
