/** What an attack on a gossip daemon is, and the tools that all of them share. */
import { writeU16 } from '../../src/base/bytes.ts';
import { NETWORKS } from '../../src/base/chain_hash.ts';
import type { SignedMap } from '../../src/simnet/sign_map.ts';
import { HostilePeer, type Target } from './hostile_peer.ts';

export interface KnownGossip {
  /** What the target's map was made from: whoever has it can sign for all its nodes. */
  readonly map: SignedMap;
  /** The target has the channels below this number from the start. */
  readonly channels: number;
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
  /**
   * How its connections end, as HostReport.endings: each of them in one of these ways, `socket_closed` being that it went by
   * itself, ignored or answered until then.
   */
  readonly ends: readonly string[];
}

export const chain_hash = NETWORKS.regtest.chainHashBytes;
export const closed = (because: string): string => `gossipd_connections_closed_total{${because}}`;
export const verdict = (reason: string): string => `gossipd_gossip_verdicts_total{${reason}}`;
export const badReply = (reason: string): string => `gossipd_bad_replies_total{${reason}}`;

export const message = (type: number, length: number): Uint8Array => {
  const raw = new Uint8Array(length);
  writeU16(raw, 0, type);
  return raw;
};
export const nowSeconds = (): number => Math.floor(Date.now() / 1000);
export const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** At most so many at once: fewer than MAX_UNREADY, so that none is refused for its company. */
const AT_ONCE = 12;
export const inGroups = async <T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> => {
  const left = [...items];
  const lane = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(range(AT_ONCE).map(lane));
};

/** Opens, says it `times` times, and is closed for it. */
export const closesFor = async (target: Target, raw: Uint8Array, times = 1): Promise<void> => {
  const peer = await HostilePeer.open(target);
  await peer.flood(times, () => raw);
  await peer.closed;
};

/** A list of short_channel_ids. */
export const ids = (count: number, of: (index: number) => bigint): BigUint64Array =>
  BigUint64Array.from(range(count), of);
