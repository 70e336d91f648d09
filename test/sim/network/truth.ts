/**
 * What is true in a simulated network: who the nodes are, which channels the chain has, and every message that its rightful owner has
 * signed. The nodes under test know none of it; the watch holds them against it.
 *
 * Signatures are checked with a keyed sum in place of secp256k1, so that hundreds of nodes are quick: key number N signs with
 * a word that only this table has, and a message with one changed bit, or signed with another key, is refused as a bad signature
 * would be. Messages are kept once and shared by all stores.
 */
import { bytesEqual, compareBytes, readU32, writeU32 } from '../../../src/base/bytes.ts';
import { NETWORKS } from '../../../src/base/chain_hash.ts';
import { nodeIdAt } from '../../../src/base/node_id.ts';
import { type Rng, seededRng } from '../../../src/base/rng.ts';
import { type ShortChannelId, scidBlock, scidFromParts } from '../../../src/base/short_channel_id.ts';
import type { Clock } from '../../../src/base/time.ts';
import { fundingScriptPubkey } from '../../../src/crypto/funding_script.ts';
import { requireCheckable, type SignatureChecker } from '../../../src/crypto/inline_checker.ts';
import { type CheckOutcome, outcomeOf } from '../../../src/crypto/signature_check.ts';
import {
  CHANNEL_ANNOUNCEMENT_SIGNED_FROM,
  channelAnnouncementBitcoinKey1At,
  channelAnnouncementBitcoinKey2At,
  channelAnnouncementScidHi,
  encodeChannelAnnouncement,
} from '../../../src/wire/channel_announcement.ts';
import {
  CHANNEL_UPDATE_SIGNED_FROM,
  channelUpdateDirection,
  channelUpdateScidHi,
  channelUpdateTimestamp,
  encodeChannelUpdate,
} from '../../../src/wire/channel_update.ts';
import { MESSAGE_TYPE } from '../../../src/wire/message_types.ts';
import {
  encodeNodeAnnouncement,
  NODE_ANNOUNCEMENT_SIGNED_FROM,
  nodeAnnouncementNodeIdAt,
  nodeAnnouncementTimestamp,
} from '../../../src/wire/node_announcement.ts';

export const network = NETWORKS.regtest;
const KEY_BYTES = 33;
const EMPTY = new Uint8Array(0);
const NO_SIGNATURE = new Uint8Array(64);
/** Channel number N is funded in this block plus N. */
export const FIRST_BLOCK = 200;

/** A message that its owner has signed. */
export interface TrueMessage {
  /** Counts from 0. */
  readonly number: number;
  readonly raw: Uint8Array;
  readonly kind: 'channel' | 'update' | 'node';
  /** The channel's number, or for a node_announcement the node's. */
  readonly subject: number;
  /** 0 but for updates. */
  readonly direction: 0 | 1;
  /** Unix seconds by its owner's clock; 0 for a channel_announcement. */
  readonly timestamp: number;
}

export interface TrueChannel {
  readonly number: number;
  readonly scid: ShortChannelId;
  readonly scidHi: number;
  readonly scidLo: number;
  /** The lesser first, as in the announcement. */
  readonly nodes: readonly [number, number];
  readonly satoshis: bigint;
  readonly script: Uint8Array;
  readonly announcement: TrueMessage;
  /** Height of the block that spent it. */
  spentAt: number | undefined;
  /** All updates of each side, oldest first. */
  readonly updates: readonly [TrueMessage[], TrueMessage[]];
}

/** Two words of a sum over bytes that depends on the key's word and on the place of each byte. */
const keyedSum = (word: number, bytes: Uint8Array, from: number): [number, number] => {
  let first = word ^ 0x811c9dc5;
  let second = Math.imul(word, 0x9e3779b1) ^ bytes.length;
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    first = Math.imul(first ^ byte, 0x01000193);
    second = Math.imul(second + byte, 0x85ebca6b) ^ (second >>> 13);
  }
  return [first >>> 0, second >>> 0];
};

export class Truth {
  readonly channels: TrueChannel[] = [];
  readonly messages: TrueMessage[] = [];
  /** All announcements of each node, oldest first. */
  readonly nodes: TrueMessage[][] = [];
  /** The chain's height; each channel opens in a block of its own, and is six blocks deep when it is announced. */
  height = FIRST_BLOCK;
  readonly #keys: Uint8Array[] = [];
  readonly #words: number[] = [];
  readonly #rng: Rng;

  /** @param nodeCount nodes have the keys 0 to nodeCount - 1 */
  constructor(seed: number, nodeCount: number) {
    this.#rng = seededRng(seed ^ 0x5eed);
    for (let node = 0; node < nodeCount; node++) {
      this.#newKey();
      this.nodes.push([]);
    }
  }

  nodeKey(node: number): Uint8Array {
    return this.#keys[node]!;
  }

  /** A channel that the chain has from now on. */
  openChannel(one: number, other: number): TrueChannel {
    const nodes = [Math.min(one, other), Math.max(one, other)] as const;
    const number = this.channels.length;
    const scid = scidFromParts(FIRST_BLOCK + number, 1, 0);
    this.height = Math.max(this.height, FIRST_BLOCK + number + network.announcementDepth - 1);
    const funding = [this.#newKey(), this.#newKey()] as const;
    const raw = encodeChannelAnnouncement({
      node_signature_1: NO_SIGNATURE,
      node_signature_2: NO_SIGNATURE,
      bitcoin_signature_1: NO_SIGNATURE,
      bitcoin_signature_2: NO_SIGNATURE,
      features: EMPTY,
      chain_hash: network.chain_hash,
      short_channel_id: scid,
      node_id_1: nodeIdAt(this.nodeKey(nodes[0])),
      node_id_2: nodeIdAt(this.nodeKey(nodes[1])),
      bitcoin_key_1: nodeIdAt(this.#keys[funding[0]]!),
      bitcoin_key_2: nodeIdAt(this.#keys[funding[1]]!),
      tail: EMPTY,
    });
    for (const [index, key] of [...nodes, ...funding].entries())
      this.#sign(raw, CHANNEL_ANNOUNCEMENT_SIGNED_FROM, 2 + 64 * index, key);
    const channel: TrueChannel = {
      number,
      scid,
      scidHi: Number(scid >> 32n),
      scidLo: Number(scid & 0xffffffffn),
      nodes,
      satoshis: 1_000_000n + BigInt(number),
      script: fundingScriptPubkey(
        raw,
        channelAnnouncementBitcoinKey1At(raw, 0),
        channelAnnouncementBitcoinKey2At(raw, 0),
      ),
      announcement: this.#keep(raw, 'channel', number, 0, 0),
      spentAt: undefined,
      updates: [[], []],
    };
    this.channels.push(channel);
    return channel;
  }

  /** The bytes of an update; signed by `signer`, who should be the node of that side. */
  makeUpdate(
    channel: TrueChannel,
    direction: 0 | 1,
    timestamp: number,
    fee: number,
    signer: number,
  ): Uint8Array {
    const raw = encodeChannelUpdate({
      signature: NO_SIGNATURE,
      chain_hash: network.chain_hash,
      short_channel_id: channel.scid,
      timestamp,
      message_flags: 1,
      channel_flags: direction,
      cltv_expiry_delta: 40,
      htlc_minimum_msat: 1000n,
      fee_base_msat: fee,
      fee_proportional_millionths: 10,
      htlc_maximum_msat: channel.satoshis * 1000n,
      tail: EMPTY,
    });
    this.#sign(raw, CHANNEL_UPDATE_SIGNED_FROM, 2, signer);
    return raw;
  }

  /** The next update of a side: other fees, and a later time than the one before. */
  update(channel: TrueChannel, direction: 0 | 1, now: number): TrueMessage {
    const before = channel.updates[direction];
    const timestamp = Math.max(now, (before.at(-1)?.timestamp ?? 0) + 1);
    const fee = 1000 + before.length * 2 + direction;
    const raw = this.makeUpdate(channel, direction, timestamp, fee, channel.nodes[direction]);
    const message = this.#keep(raw, 'update', channel.number, direction, timestamp);
    before.push(message);
    return message;
  }

  announceNode(node: number, now: number): TrueMessage {
    const before = this.nodes[node]!;
    const timestamp = Math.max(now, (before.at(-1)?.timestamp ?? 0) + 1);
    const raw = encodeNodeAnnouncement({
      signature: NO_SIGNATURE,
      features: EMPTY,
      timestamp,
      node_id: nodeIdAt(this.nodeKey(node)),
      rgb_color: Uint8Array.of(node & 0xff, 2, before.length & 0xff),
      alias: new Uint8Array(32).fill(97 + (before.length % 26)),
      addressBytes: EMPTY,
      tail: EMPTY,
    });
    this.#sign(raw, NODE_ANNOUNCEMENT_SIGNED_FROM, 2, node);
    const message = this.#keep(raw, 'node', node, 0, timestamp);
    before.push(message);
    return message;
  }

  /** The true message with exactly these bytes; undefined when nobody signed it. */
  find(raw: Uint8Array): TrueMessage | undefined {
    const found = this.#candidate(raw);
    return found !== undefined && bytesEqual(found.raw, raw) ? found : undefined;
  }

  channelAt(scid: ShortChannelId): TrueChannel | undefined {
    const channel = this.channels[scidBlock(Number(scid >> 32n)) - FIRST_BLOCK];
    return channel?.scid === scid ? channel : undefined;
  }

  /** A checker that knows the table. Answers some milliseconds later, not always in order. */
  checker(clock: Clock, rng: Rng): SignatureChecker {
    let backlog = 0;
    let isClosed = false;
    return {
      check: (raw, count, keys, keysAt, done) => {
        requireCheckable(raw, count, keys, keysAt);
        if (isClosed) return;
        const outcome = this.#judge(raw, count, keys, keysAt);
        backlog += count;
        clock.after(1 + Math.floor(rng.fraction() * 4), () => {
          backlog -= count;
          if (!isClosed) done(outcome);
        });
      },
      get backlog() {
        return backlog;
      },
      flush: () => {},
      close: () => {
        isClosed = true;
        return Promise.resolve();
      },
    };
  }

  #judge(raw: Uint8Array, count: number, keys: Uint8Array, keysAt: number): CheckOutcome {
    const signedFrom = 2 + 64 * count;
    for (let index = 0; index < count; index++) {
      const keyAt = keysAt + index * KEY_BYTES;
      const number = readU32(keys, keyAt + 1);
      const key = this.#keys[number];
      if (key === undefined || compareBytes(keys, keyAt, key, 0, KEY_BYTES) !== 0)
        return outcomeOf(0x80 + index);
      const [first, second] = keyedSum(this.#words[number]!, raw, signedFrom);
      const at = 2 + 64 * index;
      if (readU32(raw, at) !== first || readU32(raw, at + 4) !== second) return outcomeOf(1 + index);
    }
    return 'valid';
  }

  #candidate(raw: Uint8Array): TrueMessage | undefined {
    switch ((raw[0] as number) * 256 + (raw[1] as number)) {
      case MESSAGE_TYPE.channel_announcement:
        return this.channels[scidBlock(channelAnnouncementScidHi(raw, 0)) - FIRST_BLOCK]?.announcement;
      case MESSAGE_TYPE.channel_update:
        return newestWith(
          this.channels[scidBlock(channelUpdateScidHi(raw, 0)) - FIRST_BLOCK]?.updates[
            channelUpdateDirection(raw, 0)
          ],
          channelUpdateTimestamp(raw, 0),
        );
      case MESSAGE_TYPE.node_announcement:
        return newestWith(
          this.nodes[readU32(raw, nodeAnnouncementNodeIdAt(raw, 0) + 1)],
          nodeAnnouncementTimestamp(raw, 0),
        );
      default:
        return undefined;
    }
  }

  #newKey(): number {
    const number = this.#keys.length;
    const key = this.#rng.bytes(KEY_BYTES);
    key[0] = 2;
    // The number comes first, so that keys are in the order of their numbers.
    writeU32(key, 1, number);
    this.#keys.push(key);
    this.#words.push(Math.floor(this.#rng.fraction() * 0x100000000));
    return number;
  }

  #sign(raw: Uint8Array, signedFrom: number, at: number, key: number): void {
    const [first, second] = keyedSum(this.#words[key]!, raw, signedFrom);
    raw.fill(0x51, at, at + 64);
    writeU32(raw, at, first);
    writeU32(raw, at + 4, second);
  }

  #keep(
    raw: Uint8Array,
    kind: TrueMessage['kind'],
    subject: number,
    direction: 0 | 1,
    timestamp: number,
  ): TrueMessage {
    const message: TrueMessage = { number: this.messages.length, raw, kind, subject, direction, timestamp };
    this.messages.push(message);
    return message;
  }
}

const newestWith = (
  messages: readonly TrueMessage[] | undefined,
  timestamp: number,
): TrueMessage | undefined => {
  if (messages === undefined) return undefined;
  for (let at = messages.length - 1; at >= 0; at--)
    if (messages[at]!.timestamp === timestamp) return messages[at];
  return undefined;
};
