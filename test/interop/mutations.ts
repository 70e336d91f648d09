/**
 * Gossip messages that are wrong, or odd, in one place each, made from good ones by a seeded rng: as they are after a bit flip, and
 * signed again afterwards, so that the odd field itself is judged and not its signature.
 */
import { own } from '../../src/base/bytes.ts';
import { NETWORKS } from '../../src/base/chain_hash.ts';
import { type Rng, seededRng } from '../../src/base/rng.ts';
import { CHANNEL_ANNOUNCEMENT_SIGNED_FROM } from '../../src/wire/channel_announcement.ts';
import { CHANNEL_UPDATE_SIGNED_FROM } from '../../src/wire/channel_update.ts';
import { NODE_ANNOUNCEMENT_SIGNED_FROM } from '../../src/wire/node_announcement.ts';
import {
  flipBit,
  makeChannel,
  makeIdentity,
  makeNode,
  makeUpdate,
  NOW_SECONDS,
  type SignedChannel,
  signInto,
} from '../fixtures/signed_gossip.ts';

export interface Mutation {
  /** What was done to what. */
  readonly name: string;
  /** Good messages that come first. */
  readonly before: readonly Uint8Array[];
  readonly raw: Uint8Array;
}

const channel = makeChannel({ seed: 'interop' });
const update = makeUpdate(channel, { timestamp: NOW_SECONDS - 1000 });
const node = makeNode(channel.nodes[0], {
  alias: 'interop',
  addresses: [
    { kind: 'ipv4', host: '198.51.100.7', port: 9735 },
    { kind: 'ipv6', host: '2001:db8::7', port: 9735 },
    { kind: 'dns', host: 'gossip.example', port: 9735 },
  ],
  timestamp: NOW_SECONDS - 1000,
});

/** Signs again what was changed; fields of keys are left alone, so a changed key does not fit any more. */
const signAgain = {
  channel_announcement: (raw: Uint8Array): void => {
    for (const [index, { secret }] of [...channel.nodes, ...channel.bitcoin].entries()) {
      signInto(raw, CHANNEL_ANNOUNCEMENT_SIGNED_FROM, 2 + 64 * index, secret);
    }
  },
  channel_update: (raw: Uint8Array): void =>
    signInto(raw, CHANNEL_UPDATE_SIGNED_FROM, 2, channel.nodes[((raw[111] ?? 0) & 1) as 0 | 1].secret),
  node_announcement: (raw: Uint8Array): void =>
    signInto(raw, NODE_ANNOUNCEMENT_SIGNED_FROM, 2, channel.nodes[0].secret),
};

type Kind = keyof typeof signAgain;

const good: Readonly<Record<Kind, { raw: Uint8Array; before: readonly Uint8Array[]; signedFrom: number }>> = {
  channel_announcement: { raw: channel.raw, before: [], signedFrom: CHANNEL_ANNOUNCEMENT_SIGNED_FROM },
  channel_update: { raw: update, before: [channel.raw], signedFrom: CHANNEL_UPDATE_SIGNED_FROM },
  node_announcement: { raw: node, before: [channel.raw], signedFrom: NODE_ANNOUNCEMENT_SIGNED_FROM },
};
const KINDS = Object.keys(good) as readonly Kind[];

/** The good ones themselves. */
export const goodMessages = (): Mutation[] =>
  KINDS.map((kind) => ({ name: `${kind} as it is`, before: good[kind].before, raw: good[kind].raw }));

/** One flipped bit each, anywhere behind the type, and no new signature. */
export const bitFlips = (seed: number, countOfEach: number): Mutation[] => {
  const rng = seededRng(seed);
  return KINDS.flatMap((kind) => {
    const { raw, before } = good[kind];
    return Array.from({ length: countOfEach }, () => {
      const [at, bit] = place(rng, 2, raw.length);
      return { name: `${kind} byte ${at} bit ${bit}`, before, raw: flipBit(raw, at, bit) };
    });
  });
};

/** One flipped bit each in the signed part, and signed again. */
export const signedBitFlips = (seed: number, countOfEach: number): Mutation[] => {
  const rng = seededRng(seed);
  return KINDS.flatMap((kind) => {
    const { raw, before, signedFrom } = good[kind];
    return Array.from({ length: countOfEach }, () => {
      const [at, bit] = place(rng, signedFrom, raw.length);
      const changed = flipBit(raw, at, bit);
      signAgain[kind](changed);
      return { name: `signed ${kind} byte ${at} bit ${bit}`, before, raw: changed };
    });
  });
};

const place = (rng: Rng, from: number, to: number): readonly [number, number] => [
  from + Math.floor(rng.fraction() * (to - from)),
  Math.floor(rng.fraction() * 8),
];

/** Cut off at every fourth length, and with bytes added; signed again where the signed part is there at all. */
export const lengths = (): Mutation[] =>
  KINDS.flatMap((kind) => {
    const { raw, before, signedFrom } = good[kind];
    const made: Mutation[] = [];
    for (let length = 2; length < raw.length; length += 4) {
      const cut = raw.slice(0, length);
      if (length > signedFrom) signAgain[kind](cut);
      made.push({ name: `${kind} cut to ${length}`, before, raw: cut });
    }
    for (const extra of [1, 40, 1000, 1100]) {
      const longer = new Uint8Array(raw.length + extra).fill(0x5a, raw.length);
      longer.set(raw);
      signAgain[kind](longer);
      made.push({ name: `${kind} with ${extra} bytes more`, before, raw: longer });
    }
    return made;
  });

const edited = (raw: Uint8Array, edit: (copy: Uint8Array) => void, kind: Kind): Uint8Array => {
  const copy = own(raw);
  edit(copy);
  signAgain[kind](copy);
  return copy;
};

/** The order of the group minus s: the other s that fits the same signature. */
const withHighS = (raw: Uint8Array): Uint8Array => {
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const copy = own(raw);
  const s = BigInt(`0x${Buffer.from(copy.subarray(34, 66)).toString('hex')}`);
  copy.set(Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex'), 34);
  return copy;
};

const stranger: SignedChannel = makeChannel({ seed: 'stranger' });

/** What no flipped bit makes: order, time, and fields that only make sense together. */
export const oddMessages = (): Mutation[] => {
  const before = [channel.raw];
  const announcement = (name: string, raw: Uint8Array): Mutation => ({ name, before: [], raw });
  const afterChannel = (name: string, raw: Uint8Array): Mutation => ({ name, before, raw });
  const policy = (name: string, edit: (copy: Uint8Array) => void): Mutation =>
    afterChannel(name, edited(update, edit, 'channel_update'));
  const twins = [channel.nodes[0], channel.nodes[0]] as const;
  return [
    announcement('node ids out of order', makeChannel({ seed: 'interop', isMisordered: true }).raw),
    announcement('both nodes the same', makeChannel({ seed: 'interop', nodes: twins }).raw),
    announcement('another chain', makeChannel({ seed: 'interop', network: NETWORKS.testnet }).raw),
    announcement('odd feature 99', makeChannel({ seed: 'interop', features: feature(99) }).raw),
    announcement('even feature 98', makeChannel({ seed: 'interop', features: feature(98) }).raw),
    announcement('high s', withHighS(channel.raw)),
    afterChannel('the announcement again', channel.raw),
    afterChannel('update of an unknown channel', makeUpdate(stranger)),
    afterChannel('update for another chain', makeUpdate(channel, { network: NETWORKS.testnet })),
    afterChannel('update by a stranger', makeUpdate(channel, { signer: makeIdentity('stranger') })),
    afterChannel('update by the other node', makeUpdate(channel, { signer: channel.nodes[1] })),
    afterChannel('update with high s', withHighS(update)),
    afterChannel('update that disables', makeUpdate(channel, { isDisabled: true })),
    afterChannel('update that is not to be forwarded', makeUpdate(channel, { dontForward: true })),
    afterChannel('update with timestamp 0', makeUpdate(channel, { timestamp: 0 })),
    afterChannel('update of 15 days ago', makeUpdate(channel, { timestamp: NOW_SECONDS - 15 * 86_400 })),
    afterChannel(
      'update of the day after tomorrow',
      makeUpdate(channel, { timestamp: NOW_SECONDS + 2 * 86_400 }),
    ),
    policy('htlc_minimum above htlc_maximum', (copy) => copy.fill(0xff, 116, 122)),
    policy('htlc_maximum above all bitcoins', (copy) => copy.fill(0x7f, 130, 138)),
    policy('message_flags without bit 0', (copy) => copy.fill(0, 110, 111)),
    policy('fees as large as they go', (copy) => copy.fill(0xff, 122, 130)),
    { name: 'the update again', before: [channel.raw, update], raw: update },
    {
      name: 'an older update',
      before: [channel.raw, update],
      raw: makeUpdate(channel, { timestamp: NOW_SECONDS - 2000 }),
    },
    {
      name: 'another update of the same second',
      before: [channel.raw, update],
      raw: makeUpdate(channel, { timestamp: NOW_SECONDS - 1000, feeBaseMsat: 77 }),
    },
    {
      name: 'a newer update',
      before: [channel.raw, update],
      raw: makeUpdate(channel, { timestamp: NOW_SECONDS - 500, feeBaseMsat: 78 }),
    },
    afterChannel('node without a channel', makeNode(makeIdentity('lonely'))),
    afterChannel(
      'node signed by a stranger',
      makeNode(channel.nodes[0], { signer: makeIdentity('stranger') }),
    ),
    afterChannel('node with high s', withHighS(node)),
    afterChannel('node with odd feature 99', makeNode(channel.nodes[0], { features: feature(99) })),
    afterChannel('node with even feature 98', makeNode(channel.nodes[0], { features: feature(98) })),
    afterChannel('node with timestamp 0', makeNode(channel.nodes[0], { timestamp: 0 })),
    afterChannel(
      'node of the day after tomorrow',
      makeNode(channel.nodes[0], { timestamp: NOW_SECONDS + 2 * 86_400 }),
    ),
    afterChannel('node without addresses', makeNode(channel.nodes[0])),
    ...addressBlocks().map(([name, addressBytes]) =>
      afterChannel(`node with ${name}`, makeNode(channel.nodes[0], { addressBytes })),
    ),
    { name: 'the node again', before: [channel.raw, node], raw: node },
    {
      name: 'an older node announcement',
      before: [channel.raw, node],
      raw: makeNode(channel.nodes[0], { timestamp: NOW_SECONDS - 2000 }),
    },
    {
      name: 'a newer node announcement',
      before: [channel.raw, node],
      raw: makeNode(channel.nodes[0], { timestamp: NOW_SECONDS - 500 }),
    },
  ];
};

/** Big-endian feature bits with this one set. */
const feature = (bit: number): Uint8Array => {
  const bytes = new Uint8Array((bit >> 3) + 1);
  bytes[0] = 1 << (bit & 7);
  return bytes;
};

/** BOLT 7 address descriptors, type first. */
const addressBlocks = (): readonly (readonly [string, Uint8Array])[] => {
  const ipv4 = [1, 198, 51, 100, 7, 0x26, 0x07];
  const dns = [5, 9, ...new TextEncoder().encode('a.example'), 0x26, 0x07];
  return [
    ['two IPv4 addresses', Uint8Array.from([...ipv4, ...ipv4])],
    ['port 0', Uint8Array.from([1, 198, 51, 100, 7, 0, 0])],
    ['addresses out of order', Uint8Array.from([...dns, ...ipv4])],
    ['an address of an unknown type', Uint8Array.from([...ipv4, 77, 1, 2, 3])],
    ['an address that is cut off', Uint8Array.from([...ipv4, 2, 1, 2, 3])],
    ['a Tor v2 address', Uint8Array.from([3, ...new Array<number>(12).fill(9)])],
    ['a Tor v3 address', Uint8Array.from([4, ...new Array<number>(37).fill(9)])],
    ['two DNS hostnames', Uint8Array.from([...dns, ...dns])],
    ['a DNS hostname that is no hostname', Uint8Array.from([5, 3, 0x20, 0xff, 0x00, 0x26, 0x07])],
    ['an empty DNS hostname', Uint8Array.from([5, 0, 0x26, 0x07])],
  ];
};
