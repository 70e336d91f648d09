/**
 * What a hostile peer can do to a gossip daemon, each as one function over connections of its own, with the counters of the
 * target that must have moved when it is over. hostile_peers.test.ts runs them all at once.
 */
import { randomFillSync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { own, readU16, readU32, writeU16, writeU32 } from '../../src/base/bytes.ts';
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
import { makeChannel, makeIdentity, makeNode, makeUpdate } from '../fixtures/signed_gossip.ts';
import { GOOD_INIT, HostilePeer, type Target } from './hostile_peer.ts';

export interface KnownGossip {
  /** A channel_announcement, channel_update and node_announcement that the target has, or will have. */
  readonly announcement: Uint8Array;
  readonly update: Uint8Array;
  readonly node: Uint8Array;
}

export interface Attack {
  readonly name: string;
  readonly run: (target: Target, known: KnownGossip) => Promise<void>;
  /** Counters of the target, by `name{label}`, and the least that the attack adds to each. */
  readonly expects: Readonly<Record<string, number>>;
}

const chain_hash = NETWORKS.regtest.chainHashBytes;
const closed = (because: string): string => `gossipd_connections_closed_total{${because}}`;
const verdict = (reason: string): string => `gossipd_gossip_verdicts_total{${reason}}`;
const badReply = (reason: string): string => `gossipd_bad_replies_total{${reason}}`;

const message = (type: number, length: number): Uint8Array => {
  const raw = new Uint8Array(length);
  writeU16(raw, 0, type);
  return raw;
};
const nowSeconds = (): number => Math.floor(Date.now() / 1000);
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** At most so many at once: fewer than MAX_UNREADY, so that none is refused for its company. */
const AT_ONCE = 12;
const inGroups = async <T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> => {
  const left = [...items];
  const lane = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(range(AT_ONCE).map(lane));
};

/** Opens, says it, and is closed for it. */
const closesFor = async (target: Target, raw: Uint8Array): Promise<void> => {
  const peer = await HostilePeer.open(target);
  peer.send(raw);
  await peer.closed;
};

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
};

const CHURN = 150;
const churn: Attack = {
  name: 'whole handshakes, dropped at once',
  run: (target) =>
    inGroups(range(CHURN), async () => {
      (await HostilePeer.open(target)).destroy();
    }),
  expects: { [closed('socket_closed')]: CHURN },
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
};

/** Where a query's array says how it is encoded, 1 being zlib: a small message that would unpack to gigabytes. */
const zipped = (raw: Uint8Array, at: number): Uint8Array => {
  const bomb = own(raw);
  bomb[at] = 1;
  return bomb;
};
const ids = (count: number, of: (index: number) => bigint): BigUint64Array =>
  BigUint64Array.from(range(count), of);
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
};

const spoiled: Attack = {
  name: 'unknown even types, and frames with a wrong tag',
  run: async (target) => {
    const badFrame = async (): Promise<void> => {
      const peer = await HostilePeer.open(target);
      const frames = peer.frames(message(32769, 1_000));
      frames[frames.length - 1]! ^= 1;
      peer.write(frames);
      await peer.closed;
    };
    await Promise.all([
      closesFor(target, message(32768, 60_000)),
      closesFor(target, message(270, 2)),
      badFrame(),
    ]);
  },
  expects: { [closed('unknown_even_type')]: 2, [closed('bad_mac')]: 1 },
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
};

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
};

const filters: Attack = {
  name: 'gossip_timestamp_filter, 10,000 times, for everything, for nothing and for another chain',
  run: async (target) => {
    const kinds = [
      { chain_hash, first_timestamp: 0, timestamp_range: 0xffffffff },
      { chain_hash, first_timestamp: 0xffffffff, timestamp_range: 0 },
      { chain_hash: NETWORKS.bitcoin.chainHashBytes, first_timestamp: 0, timestamp_range: 9 },
    ].map(encodeGossipTimestampFilter);
    await deaf(10_000, (index) => kinds[index % 3]!)(target);
  },
  expects: { gossipd_filters_refused_total: 100 },
};

// Replies that nobody asked for, and lies to those who did.

const emptyReply = (first_blocknum: number, number_of_blocks: number, sync_complete: boolean): Uint8Array =>
  encodeReplyChannelRange({
    chain_hash,
    first_blocknum,
    number_of_blocks,
    sync_complete,
    short_channel_ids: new BigUint64Array(0),
  });
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
};

const LISTED = 20_000;
/**
 * Answers whatever the target asks: first with ranges that go backwards, then with ranges that end too early, then with a list
 * of channels that do not exist, none of which it delivers. Stays until it is told to go. @returns how to tell it
 */
export const startLiar = async (target: Target): Promise<() => void> => {
  let lies = 0;
  const onMessage = (peer: HostilePeer, raw: Uint8Array): void => {
    const type = readU16(raw, 0);
    if (type === MESSAGE_TYPE.ping) peer.send(encodePong({ byteslen: readU16(raw, 2) }));
    if (type === MESSAGE_TYPE.query_short_channel_ids) {
      peer.send(encodeReplyShortChannelIdsEnd({ chain_hash, full_information: true }));
    }
    if (type !== MESSAGE_TYPE.query_channel_range) return;
    const first = readU32(raw, 34);
    lies++;
    if (lies === 1) peer.send(emptyReply(500, 0x7fffffff, false), emptyReply(0, 400, true));
    else if (lies === 2) peer.send(emptyReply(0, 100, true));
    else if (first === 0) peer.send(...inventedLists());
    else peer.send(emptyReply(first, 0xffffffff - first, true));
  };
  const peer = await HostilePeer.open(target, { onMessage });
  return () => peer.destroy();
};
/** What the liar's lies are noticed by. */
export const LIES: Attack['expects'] = {
  [badReply('range_gap')]: 1,
  [badReply('range_not_covered')]: 1,
  gossipd_not_delivered_total: LISTED,
};
const inventedLists = (): Uint8Array[] =>
  range(LISTED / 4_000).map((part) =>
    encodeReplyChannelRange({
      chain_hash,
      first_blocknum: part === 0 ? 0 : part * 1_000,
      number_of_blocks: part === LISTED / 4_000 - 1 ? 0xffffffff - part * 1_000 : 1_000,
      sync_complete: part === LISTED / 4_000 - 1,
      short_channel_ids: ids(4_000, (index) => scidFromParts(part * 1_000 + (index >> 2), 9, index & 3)),
    }),
  );

// Gossip that is worth nothing.

const UNKNOWN_UPDATES = 100_000;
/** So many from one connection: more than it may waste, so that it is closed. */
const UPDATES_PER_PEER = 12_500;
const garbageUpdate = (number: number): Uint8Array => {
  const raw = message(MESSAGE_TYPE.channel_update, 138);
  raw.fill(0x55, 2, 66);
  raw.set(chain_hash, 66);
  writeU32(raw, 98, 0x0a000000 + number);
  writeU32(raw, 106, nowSeconds() - 60);
  raw[110] = 1;
  raw[111] = number & 1;
  return raw;
};
const unknownUpdates: Attack = {
  name: '100,000 channel_updates of channels that do not exist',
  run: (target) =>
    inGroups(range(UNKNOWN_UPDATES / UPDATES_PER_PEER), async (part) => {
      const peer = await HostilePeer.open(target);
      await peer.flood(UPDATES_PER_PEER, (index) => garbageUpdate(part * UPDATES_PER_PEER + index));
      await peer.closed;
    }),
  expects: {
    [verdict('held_for_channel')]: 20_000,
    [verdict('budget_exceeded')]: 8,
    [closed('broke_gossip_rules')]: 8,
  },
};

const ORPHANS = 12_500;
const orphanNodes: Attack = {
  name: 'node_announcements of nodes that do not exist, two connections',
  run: (target) =>
    inGroups([1, 2], async (part) => {
      const sample = makeNode(makeIdentity('orphan'), { timestamp: nowSeconds() - 60 });
      const peer = await HostilePeer.open(target);
      await peer.flood(ORPHANS, (index) => {
        const raw = own(sample);
        // Within the node id, behind the byte that says which half of the curve.
        writeU32(raw, 80, part * ORPHANS + index);
        return raw;
      });
      await peer.closed;
    }),
  expects: { [verdict('held_for_announcement')]: 2_000, [verdict('budget_exceeded')]: 2 },
};

const BAD_SIGNATURES = 20;
const badSignatures: Attack = {
  name: 'announcements and updates with bad signatures, of channels and nodes that are known',
  run: async (target, known) => {
    const spoil = (raw: Uint8Array, at: number, salt: number): Uint8Array => {
      const bad = own(raw);
      bad[at] = (bad[at] as number) ^ (1 + salt);
      return bad;
    };
    // Newer than the map, and each another one.
    const since = nowSeconds() - 500;
    const newer = (raw: Uint8Array, at: number, salt: number): Uint8Array => {
      const bad = own(raw);
      writeU32(bad, at, since + salt);
      return bad;
    };
    // The features' length stands in front of the timestamp of a node_announcement.
    const nodeTimestampAt = 68 + readU16(known.node, 66);
    await inGroups(range(BAD_SIGNATURES), async (salt) => {
      const fresh = makeChannel({ seed: `forged ${salt}`, scid: scidFromParts(77, salt, 0) });
      await closesFor(target, spoil(fresh.raw, 40, salt));
      await closesFor(target, newer(known.update, 106, salt));
      await closesFor(target, newer(known.node, nodeTimestampAt, salt));
    });
  },
  expects: {
    [verdict('bad_node_signature_1')]: BAD_SIGNATURES,
    [verdict('bad_signature')]: 2 * BAD_SIGNATURES,
    [closed('broke_gossip_rules')]: 3 * BAD_SIGNATURES,
  },
};

const INVENTED = 1_500;
const inventedChannels: Attack = {
  name: 'really signed announcements of channels without a funding output, with their updates',
  run: async (target) => {
    const peer = await HostilePeer.open(target);
    for (const part of range(INVENTED / 100)) {
      const channels = range(100).map((index) =>
        makeChannel({ seed: `invented ${part} ${index}`, scid: scidFromParts(88, part, index) }),
      );
      peer.send(
        ...channels.flatMap((channel) => [channel.raw, makeUpdate(channel, { timestamp: nowSeconds() - 9 })]),
      );
      // Signing is work: the others get their turn.
      await sleep(0);
    }
    await peer.leave();
  },
  expects: { [verdict('output_not_found')]: INVENTED },
};

const SLOW = 5;
const slowBytes: Attack = {
  name: 'one byte each 50 ms, so that no message is ever whole',
  run: (target) =>
    inGroups(range(SLOW), async () => {
      const peer = await HostilePeer.open(target);
      const frame = peer.frames(message(32769, 60_000));
      for (let at = 0; at < frame.length && !peer.isClosed; at++) {
        peer.write(frame.subarray(at, at + 1));
        await Promise.race([sleep(50), peer.closed]);
      }
    }),
  expects: { [closed('peer_silent')]: SLOW },
};

const backwards: Attack = {
  name: 'gossip of another chain, with no time, and with ids in the wrong order',
  run: async (target, known) => {
    const foreign = own(known.announcement);
    foreign[260] = (foreign[260] as number) ^ 1;
    const timeless = own(known.update);
    writeU32(timeless, 106, 0);
    const misordered = makeChannel({
      seed: 'misordered',
      scid: scidFromParts(99, 1, 0),
      isMisordered: true,
    }).raw;
    const peer = await HostilePeer.open(target);
    // Each is warned about or let pass, up to the budget.
    await peer.flood(11_000, (index) => [misordered, timeless, foreign][index % 3]!);
    await peer.leave();
  },
  expects: {
    [verdict('node_ids_not_ordered')]: 1_000,
    [verdict('zero_timestamp')]: 1_000,
    [verdict('unknown_chain')]: 1_000,
  },
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
  rangeQueries,
  scidQueries,
  filters,
  unasked,
  unknownUpdates,
  orphanNodes,
  badSignatures,
  inventedChannels,
  slowBytes,
  backwards,
];

/** The handshakes that `count` others begin and never go on with; they stay until they are told to go. */
export const halfHandshakes = async (target: Target, count: number): Promise<() => void> => {
  const peers = await Promise.all(range(count).map(() => HostilePeer.connect(target)));
  for (const peer of peers) peer.write(new Uint8Array(49));
  return () => {
    for (const peer of peers) peer.destroy();
  };
};
