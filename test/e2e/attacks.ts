/**
 * What a hostile peer can do to a gossip daemon, each as one function over connections of its own, with how these end and the
 * counters of the target that must have moved. hostile_peers.test.ts runs them all at once, bench/hostile.ts again and again.
 */
import { randomFillSync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { own } from '../../src/base/bytes.ts';
import { NETWORKS } from '../../src/base/chain_hash.ts';
import { scidFromParts } from '../../src/base/short_channel_id.ts';
import { encodeFeatures } from '../../src/wire/feature_bits.ts';
import { encodeGossipTimestampFilter } from '../../src/wire/gossip_timestamp_filter.ts';
import { encodeInit, type Init } from '../../src/wire/init.ts';
import { MESSAGE_TYPE } from '../../src/wire/message_types.ts';
import { encodePing } from '../../src/wire/ping.ts';
import { encodePong } from '../../src/wire/pong.ts';
import { encodeQueryChannelRange } from '../../src/wire/query_channel_range.ts';
import { encodeQueryShortChannelIds } from '../../src/wire/query_short_channel_ids.ts';
import { encodeReplyChannelRange } from '../../src/wire/reply_channel_range.ts';
import { encodeReplyShortChannelIdsEnd } from '../../src/wire/reply_short_channel_ids_end.ts';
import {
  type Attack,
  badReply,
  chain_hash,
  closed,
  closesFor,
  ids,
  inGroups,
  type KnownGossip,
  message,
  range,
} from './attack.ts';
import { GOSSIP_ATTACKS } from './gossip_attacks.ts';
import { GOOD_INIT, HostilePeer, type Target } from './hostile_peer.ts';

// Before the handshake is done.

const GARBAGE = 50;
const garbage: Attack = {
  name: 'random bytes in place of a handshake',
  run: (target) =>
    inGroups(range(GARBAGE), async (index) => {
      const peer = await HostilePeer.connect(target);
      peer.write(randomFillSync(new Uint8Array(50 + index * 40)));
      await peer.closed;
    }),
  expects: { [closed('handshake_failed')]: GARBAGE },
  ends: ['handshake_failed'],
};

const badInits: readonly (readonly [string, Init])[] = [
  ['unknown_even_feature', { ...GOOD_INIT, features: encodeFeatures([1, 300]) }],
  ['missing_feature_dependency', { ...GOOD_INIT, features: encodeFeatures([51]) }],
  ['no_common_chain', { ...GOOD_INIT, networks: [NETWORKS.bitcoin.chainHashBytes] }],
];
const inits: Attack = {
  name: 'inits that cannot be accepted, and messages before any',
  run: async (target) => {
    const saysFirst = async (raw: Uint8Array): Promise<void> => {
      const peer = await HostilePeer.shake(target);
      peer.send(raw);
      await peer.closed;
    };
    await inGroups(
      [...badInits.map(([, init]) => encodeInit(init)), message(258, 138), message(32769, 65_535)],
      saysFirst,
    );
  },
  expects: {
    ...Object.fromEntries(badInits.map(([because]) => [closed(because), 1])),
    [closed('message_before_init')]: 2,
  },
  ends: [...badInits.map(([because]) => because), 'message_before_init'],
};

const CHURN = 150;
const churn: Attack = {
  name: 'whole handshakes, dropped at once',
  run: (target) =>
    inGroups(range(CHURN), async () => {
      (await HostilePeer.open(target)).destroy();
    }),
  expects: { [closed('socket_closed')]: CHURN },
  ends: ['socket_closed'],
};

// Messages that break the rules of BOLT 1.

/** How long each message is at least: at every shorter length it is cut off. */
const LEAST: readonly (readonly [number, number])[] = [
  [MESSAGE_TYPE.warning, 36],
  [MESSAGE_TYPE.init, 6],
  [MESSAGE_TYPE.error, 36],
  [MESSAGE_TYPE.ping, 6],
  [MESSAGE_TYPE.pong, 4],
  [MESSAGE_TYPE.query_short_channel_ids, 37],
  [MESSAGE_TYPE.reply_short_channel_ids_end, 35],
  [MESSAGE_TYPE.query_channel_range, 42],
  [MESSAGE_TYPE.reply_channel_range, 46],
  [MESSAGE_TYPE.gossip_timestamp_filter, 42],
];
const CUT_CONTROL = LEAST.flatMap(([type, least]) =>
  range(least - 2).map((index) => message(type, 2 + index)),
);
/** Gossip messages are longer: every eleventh length. */
const cutGossip = ({ announcement, update, node }: KnownGossip): Uint8Array[] =>
  [announcement.subarray(0, 430), update, node].flatMap((raw) =>
    range(Math.floor((raw.length - 2) / 11)).map((index) => raw.subarray(0, 2 + 11 * index)),
  );
const truncated: Attack = {
  name: 'every message cut off at every length',
  run: (target, known) => inGroups([...CUT_CONTROL, ...cutGossip(known)], (raw) => closesFor(target, raw)),
  expects: { [closed('malformed_message')]: CUT_CONTROL.length + 50 },
  ends: ['malformed_message'],
};

/** Where a query's array says how it is encoded, 1 being zlib: a small message that would unpack to gigabytes. */
const zipped = (raw: Uint8Array, at: number): Uint8Array => {
  const bomb = own(raw);
  bomb[at] = 1;
  return bomb;
};
const bombs: Attack = {
  name: 'arrays in the forbidden zlib encoding',
  run: async (target) => {
    const short_channel_ids = ids(8_000, (index) => scidFromParts(index, 1, 0));
    await Promise.all([
      closesFor(target, zipped(encodeQueryShortChannelIds({ chain_hash, short_channel_ids }), 36)),
      closesFor(
        target,
        zipped(
          encodeReplyChannelRange({
            chain_hash,
            first_blocknum: 0,
            number_of_blocks: 9_000,
            sync_complete: true,
            short_channel_ids,
          }),
          45,
        ),
      ),
    ]);
  },
  expects: { [closed('malformed_message')]: 2 },
  ends: ['malformed_message'],
};

const spoiled: Attack = {
  name: 'unknown even types, and frames with a wrong tag',
  run: async (target) => {
    /** @param at index of the flipped byte; of the length's own tag, or of the body's */
    const badFrame = async (at: number): Promise<void> => {
      const peer = await HostilePeer.open(target);
      const frames = peer.frames(message(32769, 1_000));
      frames[at]! ^= 1;
      peer.write(frames);
      await peer.closed;
    };
    await Promise.all([
      closesFor(target, message(32768, 60_000)),
      closesFor(target, message(270, 2)),
      badFrame(5),
      badFrame(1_000),
    ]);
  },
  expects: { [closed('unknown_even_type')]: 2, [closed('bad_mac')]: 2 },
  ends: ['unknown_even_type', 'bad_mac'],
};

// Floods.

const oddFlood: Attack = {
  name: '60,000 unknown odd messages, and 200 of the largest size',
  run: async (target) => {
    const peer = await HostilePeer.open(target);
    const [small, large] = [message(32769, 40), message(65_535, 65_535)];
    await peer.flood(60_000, () => small);
    await peer.flood(200, () => large);
    await peer.leave();
  },
  expects: { 'gossipd_messages_received_total{unknown_odd}': 60_000 },
  ends: ['socket_closed'],
};

/** How those end that read nothing: by what they leave unread, or by the pongs that they owe. */
const UNREAD = ['peer_not_reading', 'peer_silent'];

/** Asks and asks, reads nothing, and stays until the target has had enough of it. */
const deaf =
  (count: number, ask: (index: number) => Uint8Array) =>
  async (target: Target): Promise<void> => {
    const peer = await HostilePeer.open(target);
    peer.stopReading();
    await peer.flood(count, ask);
  };

const pings = deaf(20_000, () => encodePing({ num_pong_bytes: 65_531, byteslen: 0 }));
const pingFlood: Attack = {
  name: '20,000 pings for 1.3 GB of pongs that are never read',
  run: pings,
  expects: { [closed('peer_not_reading')]: 1 },
  ends: ['peer_not_reading'],
};

const smallPings: Attack = {
  name: '20,000 pings that want no pong, then 2,000 that do',
  run: async (target) => {
    const peer = await HostilePeer.open(target);
    const [mute, small] = [65_532, 8].map((num_pong_bytes) => encodePing({ num_pong_bytes, byteslen: 0 }));
    await peer.flood(20_000, () => mute!);
    await peer.flood(2_000, () => small!);
    await peer.leave();
  },
  expects: {
    'gossipd_messages_received_total{ping}': 22_000,
    'gossipd_messages_sent_total{pong}': 2_000,
  },
  ends: ['socket_closed'],
};

const pongs: Attack = {
  name: 'pongs that answer no ping',
  run: (target) => closesFor(target, encodePong({ byteslen: 7 }), 11),
  expects: { gossipd_strange_pongs_total: 10, [closed('unexpected_pong')]: 1 },
  ends: ['unexpected_pong'],
};

const repeatedInits: Attack = {
  name: 'init after init, 5,000 times, with other features and chains than the first',
  run: async (target) => {
    const peer = await HostilePeer.open(target);
    await peer.flood(5_000, (index) => encodeInit(badInits[index % badInits.length]![1]));
    await peer.leave();
  },
  expects: { 'gossipd_messages_received_total{init}': 5_000 },
  ends: ['socket_closed'],
};

const SLOW = 5;
const slowBytes: Attack = {
  name: 'one byte a second, so that no message is ever whole',
  run: (target) =>
    inGroups(range(SLOW), async () => {
      const peer = await HostilePeer.open(target);
      const frame = peer.frames(message(32769, 60_000));
      for (let at = 0; at < frame.length && !peer.isClosed; at++) {
        peer.write(frame.subarray(at, at + 1));
        await Promise.race([sleep(1_000), peer.closed]);
      }
    }),
  expects: { [closed('peer_silent')]: SLOW },
  ends: ['peer_silent'],
};

const rangeQuery = encodeQueryChannelRange({
  chain_hash,
  first_blocknum: 0,
  number_of_blocks: 0xffffffff,
  query_option: 3,
});
const rangeQueries: Attack = {
  name: 'query_channel_range over all blocks, 3,000 times',
  run: async (target) => {
    const peer = await HostilePeer.open(target);
    await peer.flood(3_000, () => rangeQuery);
    await peer.leave();
    // Once more while it reads nothing: there the answers pile up.
    await deaf(2_000, () => rangeQuery)(target);
  },
  expects: { 'gossipd_queries_served_total{query_channel_range}': 1 },
  ends: ['socket_closed', ...UNREAD],
};

/** Unknown, unordered, and each of them twice. */
const scidQuery = encodeQueryShortChannelIds({
  chain_hash,
  short_channel_ids: ids(8_000, (index) => scidFromParts((index * 7_919) % 4_000, 1, 0)),
});
const scidQueries: Attack = {
  name: 'query_short_channel_ids with 8,000 unknown and repeated ids, 1,000 times, the answers unread',
  run: deaf(1_000, () => scidQuery),
  expects: { 'gossipd_queries_served_total{query_short_channel_ids}': 100 },
  ends: UNREAD,
};

const filters: Attack = {
  name: 'gossip_timestamp_filter, 15,000 times, for everything, for nothing and for another chain',
  run: async (target) => {
    const kinds = [
      { chain_hash, first_timestamp: 0, timestamp_range: 0xffffffff },
      { chain_hash, first_timestamp: 0xffffffff, timestamp_range: 0 },
      { chain_hash: NETWORKS.bitcoin.chainHashBytes, first_timestamp: 0, timestamp_range: 9 },
    ].map(encodeGossipTimestampFilter);
    const toggle = async (): Promise<void> => {
      const peer = await HostilePeer.open(target);
      await peer.flood(5_000, (index) => kinds[index % 2]!);
      await peer.leave();
    };
    await Promise.all([deaf(10_000, (index) => kinds[index % 3]!)(target), toggle()]);
  },
  expects: { gossipd_filters_refused_total: 100 },
  ends: ['socket_closed', ...UNREAD],
};

// Replies that nobody asked for.

const UNASKED = 2_000;
const unasked: Attack = {
  name: 'replies to queries that nobody sent',
  run: async (target) => {
    const full = encodeReplyChannelRange({
      chain_hash,
      first_blocknum: 0,
      number_of_blocks: 0xffffffff,
      sync_complete: false,
      short_channel_ids: ids(8_000, (index) => scidFromParts(index, 2, 0)),
    });
    const end = encodeReplyShortChannelIdsEnd({ chain_hash, full_information: true });
    const peer = await HostilePeer.open(target);
    await peer.flood(UNASKED, (index) => (index % 20 === 0 ? full : end));
    await peer.leave();
  },
  expects: { [badReply('end_without_query')]: UNASKED * 0.95, [badReply('range_without_query')]: 50 },
  ends: ['socket_closed'],
};

/** All of them; each may run beside the others. */
export const ATTACKS: readonly Attack[] = [
  garbage,
  inits,
  churn,
  truncated,
  bombs,
  spoiled,
  oddFlood,
  pingFlood,
  smallPings,
  pongs,
  repeatedInits,
  slowBytes,
  rangeQueries,
  scidQueries,
  filters,
  unasked,
  ...GOSSIP_ATTACKS,
];
