/** A seeker over a store in memory, with peers that a test plays by hand. Not part of the package. */
import assert from 'node:assert/strict';
import { NETWORKS } from '../base/chain_hash.ts';
import { type LogFields, type LogLevel, recordingLog } from '../base/log.ts';
import { MemoryMeter } from '../base/meter.ts';
import { seededRng } from '../base/rng.ts';
import { ManualClock } from '../base/time.ts';
import { encodeFeatures } from '../wire/feature_bits.ts';
import { decodeMessage } from '../wire/message.ts';
import type { QueryChannelRange } from '../wire/query_channel_range.ts';
import type { QueryShortChannelIds } from '../wire/query_short_channel_ids.ts';
import type { ReplyChannelRange } from '../wire/reply_channel_range.ts';
import { MemoryStore, scidOf } from './memory_store.test.support.ts';
import type { SyncPeerPort } from './ports.ts';
import { Seeker } from './seeker.ts';
import type { SeekerLimits, SeekerOptions } from './seeker_options.ts';

const network = NETWORKS.regtest;
const { chainHashBytes: chain_hash } = network;
export const NOW = 1_700_000_000;
export const PLAIN = [7];
export const EXTENDED = [7, 11];

/** Channels of blocks from..from + count - 1. */
export const blocks = (count: number, from = 1): bigint[] =>
  Array.from({ length: count }, (_, index) => scidOf(from + index));

type Sent = ReturnType<typeof decodeMessage>;

export const seekerHouse = (more: Partial<SeekerOptions> = {}, limits: SeekerLimits = {}, seed = 1) => {
  const store = new MemoryStore();
  const clock = new ManualClock(NOW * 1000);
  const meter = new MemoryMeter();
  const lines: { level: LogLevel; message: string; fields?: LogFields }[] = [];
  const seeker = new Seeker(
    {
      ...{ graph: store.graph, network, clock, meter, rng: seededRng(seed), log: recordingLog(lines) },
      ...more,
    },
    limits,
  );
  const knows = (scid: bigint): boolean =>
    store.graph.channelIndex(Number(scid >> 32n), Number(scid & 0xffffffffn)) !== -1;
  const connect = (name: string, bits: readonly number[] = PLAIN, outbound = false) => {
    const sent: Sent[] = [];
    const features = encodeFeatures(bits);
    const port: SyncPeerPort = { name, outbound, features, send: (raw) => sent.push(decodeMessage(raw)) };
    const id = seeker.addPeer(port);
    const next = (type: string): Sent | undefined => {
      const at = sent.findIndex((message) => 'type' in message && message.type === type);
      return at === -1 ? undefined : sent.splice(at, 1)[0];
    };
    /** The next query for blocks, as [first, count]; undefined without one. Others stay. */
    const range = (): [number, number] | undefined => {
      const query = next('query_channel_range') as QueryChannelRange | undefined;
      return query && [query.first_blocknum, query.number_of_blocks];
    };
    /** The next query for channels, as [block, flags]. */
    const query = (): [number, number | undefined][] | undefined => {
      const message = next('query_short_channel_ids') as QueryShortChannelIds | undefined;
      if (message === undefined) return undefined;
      const { short_channel_ids, query_flags } = message;
      return Array.from(short_channel_ids, (scid, at) => [Number(scid >> 40n), query_flags?.[at]]);
    };
    /** first_timestamp of the filters since the last call. */
    const filters = (): number[] => {
      const found: number[] = [];
      for (let message = next('gossip_timestamp_filter'); message !== undefined; ) {
        assert.ok('type' in message && message.type === 'gossip_timestamp_filter');
        found.push(message.first_timestamp);
        message = next('gossip_timestamp_filter');
      }
      return found;
    };
    /** A reply for all blocks, the last one, unless told otherwise. */
    const list = (ids: readonly bigint[], part: Partial<ReplyChannelRange> = {}) =>
      seeker.onReplyChannelRange(id, {
        ...{ chain_hash, first_blocknum: 0, number_of_blocks: 0xffffffff, sync_complete: true },
        short_channel_ids: BigUint64Array.from(ids),
        ...part,
      });
    const end = () => seeker.onReplyShortChannelIdsEnd(id, { chain_hash, full_information: true });
    /** Channels with both updates and both nodes. */
    const deliver = (ids: Iterable<bigint>): void => {
      for (const scid of ids) {
        seeker.onGossip(id);
        if (!knows(scid)) store.channel(scid, NOW);
      }
      for (const node of [1, 2]) store.node(node, NOW);
    };
    const status = () => seeker.status().peers.find((peer) => peer.name === name);
    const leave = (): void => seeker.removePeer(id);
    return { id, port, sent, range, query, filters, list, end, deliver, status, leave };
  };
  /** Ticks once a second. */
  const run = (seconds: number): void => {
    for (let second = 0; second < seconds; second++) {
      clock.advance(1000);
      seeker.tick();
    }
  };
  const infos = (): string[] => lines.filter(({ level }) => level === 'info').map(({ message }) => message);
  const completeness = () => seeker.status().completeness;
  return { store, clock, meter, lines, seeker, connect, run, infos, completeness };
};

/** A reply with the same timestamp for both sides of each channel. */
export const withTimes = (ids: readonly bigint[], times: readonly number[]): Partial<ReplyChannelRange> => ({
  short_channel_ids: BigUint64Array.from(ids),
  timestamps: Uint32Array.from(times.flatMap((time) => [time, time])),
});
