/**
 * Peers that stay beside the attacks of attacks.ts until they are told to go: those that lie, that never end an answer, that ask
 * without end; and honest ones, that say what is new and hear it.
 */
import { readU16, readU32 } from '../../src/base/bytes.ts';
import { scidFromParts } from '../../src/base/short_channel_id.ts';
import { signUpdate } from '../../src/simnet/sign_map.ts';
import { channelUpdateTimestamp } from '../../src/wire/channel_update.ts';
import { isWireFault } from '../../src/wire/fault.ts';
import { encodeGossipTimestampFilter } from '../../src/wire/gossip_timestamp_filter.ts';
import { MESSAGE_TYPE } from '../../src/wire/message_types.ts';
import { encodePong } from '../../src/wire/pong.ts';
import { encodeQueryChannelRange } from '../../src/wire/query_channel_range.ts';
import { encodeQueryShortChannelIds } from '../../src/wire/query_short_channel_ids.ts';
import { decodeReplyChannelRange, encodeReplyChannelRange } from '../../src/wire/reply_channel_range.ts';
import { encodeReplyShortChannelIdsEnd } from '../../src/wire/reply_short_channel_ids_end.ts';
import { type Attack, badReply, chain_hash, ids, type KnownGossip, nowSeconds, range } from './attack.ts';
import { HostilePeer, type Target } from './hostile_peer.ts';

const emptyReply = (first_blocknum: number, number_of_blocks: number, sync_complete: boolean): Uint8Array =>
  encodeReplyChannelRange({
    chain_hash,
    first_blocknum,
    number_of_blocks,
    sync_complete,
    short_channel_ids: new BigUint64Array(0),
  });

const LISTED = 20_000;
/**
 * Answers whatever the target asks: first with ranges that go backwards, then with ranges that end too early, then with a list
 * of channels that do not exist, none of which it delivers. Stays until it is told to go. @returns how to tell it
 */
export const startLiar = async (target: Target): Promise<() => void> => {
  let lies = 0;
  const onMessage = (peer: HostilePeer, raw: Uint8Array): void => {
    const type = readU16(raw, 0);
    answerPing(peer, raw);
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

const answerPing = (peer: HostilePeer, raw: Uint8Array): void => {
  if (readU16(raw, 0) === MESSAGE_TYPE.ping) peer.send(encodePong({ byteslen: readU16(raw, 2) }));
};

/** Lists channels that do not exist, and never ends its answer to the question for them. @returns how to tell it to go */
export const startSilent = async (target: Target): Promise<() => void> => {
  const onMessage = (peer: HostilePeer, raw: Uint8Array): void => {
    answerPing(peer, raw);
    if (readU16(raw, 0) !== MESSAGE_TYPE.query_channel_range) return;
    const first_blocknum = readU32(raw, 34);
    const number_of_blocks = readU32(raw, 38);
    const short_channel_ids = ids(1_000, (index) =>
      scidFromParts(Math.max(first_blocknum, 300_000), 1 + index, 0),
    );
    peer.send(
      encodeReplyChannelRange({
        chain_hash,
        first_blocknum,
        number_of_blocks,
        sync_complete: true,
        short_channel_ids,
      }),
    );
  };
  const peer = await HostilePeer.open(target, { onMessage });
  return () => peer.destroy();
};

export interface Asker {
  readonly peer: HostilePeer;
  /** Answered questions, and updates that were heard live. */
  readonly answers: number;
  readonly live: number;
}

/** Wants everything that is new from now on. */
const liveFilter = (): Uint8Array =>
  encodeGossipTimestampFilter({
    chain_hash,
    first_timestamp: nowSeconds() - 60,
    timestamp_range: 0xffffffff,
  });

/** Asks the same thing again after each answer, reads all of it, and follows live gossip beside. */
const startAsker = async (
  target: Target,
  question: Uint8Array,
  ends: (raw: Uint8Array) => boolean,
): Promise<Asker> => {
  let [answers, live] = [0, 0];
  const since = nowSeconds() - 60;
  const onMessage = (peer: HostilePeer, raw: Uint8Array): void => {
    answerPing(peer, raw);
    if (readU16(raw, 0) === MESSAGE_TYPE.channel_update && channelUpdateTimestamp(raw, 0) >= since) live++;
    if (!ends(raw)) return;
    answers++;
    peer.send(question);
  };
  const peer = await HostilePeer.open(target, { onMessage });
  peer.send(liveFilter(), question);
  return {
    peer,
    get answers() {
      return answers;
    },
    get live() {
      return live;
    },
  };
};

/** query_channel_range over all blocks, for ever. */
export const startRangeAsker = (target: Target): Promise<Asker> =>
  startAsker(
    target,
    encodeQueryChannelRange({ chain_hash, first_blocknum: 0, number_of_blocks: 0xffffffff, query_option: 3 }),
    (raw) => {
      const reply =
        readU16(raw, 0) === MESSAGE_TYPE.reply_channel_range ? decodeReplyChannelRange(raw) : undefined;
      return reply !== undefined && !isWireFault(reply) && reply.sync_complete;
    },
  );

/** The same 8,000 unknown short_channel_ids, for ever. */
export const startScidAsker = (target: Target): Promise<Asker> =>
  startAsker(
    target,
    encodeQueryShortChannelIds({
      chain_hash,
      short_channel_ids: ids(8_000, (index) => scidFromParts(400_000 + index, 1, 0)),
    }),
    (raw) => readU16(raw, 0) === MESSAGE_TYPE.reply_short_channel_ids_end,
  );

/** An honest peer that has news of another channel every so often. */
export const startPublisher = async (
  target: Target,
  { map, channels }: KnownGossip,
  everyMs: number,
): Promise<{ peer: HostilePeer; sent: () => number; stop: () => void }> => {
  const peer = await HostilePeer.open(target, { onMessage: answerPing });
  // Those with low numbers are left to the attacks.
  const halves = range(2 * channels)
    .slice(200)
    .filter((half) => map.topology.hasUpdate[half] === 1);
  let sent = 0;
  const timer = setInterval(() => {
    const half = halves[sent];
    if (half === undefined || peer.isClosed) return clearInterval(timer);
    sent++;
    peer.send(signUpdate(map, half >> 1, half % 2 === 0 ? 0 : 1, { timestamp: nowSeconds(), feePpm: 3_000 }));
  }, everyMs);
  return {
    peer,
    sent: () => sent,
    stop: () => clearInterval(timer),
  };
};

/** An honest peer that only listens to what is new. */
export const startSubscriber = async (
  target: Target,
): Promise<{ peer: HostilePeer; heard: () => number }> => {
  const since = nowSeconds() - 60;
  let heard = 0;
  const onMessage = (peer: HostilePeer, raw: Uint8Array): void => {
    answerPing(peer, raw);
    if (readU16(raw, 0) === MESSAGE_TYPE.channel_update && channelUpdateTimestamp(raw, 0) >= since) heard++;
  };
  const peer = await HostilePeer.open(target, { onMessage });
  peer.send(liveFilter());
  return { peer, heard: () => heard };
};

/** The handshakes that `count` others begin and never go on with, each from an address of its own; they stay until they are told to go. */
export const halfHandshakes = async (target: Target, count: number): Promise<() => void> => {
  const from = (index: number): string => `127.0.${index >> 8}.${2 + (index & 127)}`;
  const peers = await Promise.all(
    range(count).map((index) => HostilePeer.connect(target, { from: from(index) })),
  );
  for (const peer of peers) peer.write(new Uint8Array(49));
  return () => {
    for (const peer of peers) peer.destroy();
  };
};
