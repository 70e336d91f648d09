/** Messages and accepted content for tests of the store: well formed, with zero signatures, which the store does not check. */
import { NETWORKS } from '../base/chain_hash.ts';
import { type LogFields, type LogLevel, recordingLog, silentLog } from '../base/log.ts';
import { MemoryMeter } from '../base/meter.ts';
import type { NodeId } from '../base/node_id.ts';
import { seededRng } from '../base/rng.ts';
import { scidFromParts, scidHi, scidLo } from '../base/short_channel_id.ts';
import { ManualClock } from '../base/time.ts';
import { encodeChannelAnnouncement } from '../wire/channel_announcement.ts';
import { encodeChannelUpdate } from '../wire/channel_update.ts';
import { encodeNodeAnnouncement } from '../wire/node_announcement.ts';
import type { StoreOffset, StoreRecord } from '../wire/store_record.ts';
import { type Accepted, mintAccepted } from './accepted.ts';
import { GossipStore, type GossipStoreOptions } from './gossip_store.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';

const SIGNATURE = new Uint8Array(64);

export const sampleNodeId = (number: number): NodeId =>
  `02${number.toString(16).padStart(64, '0')}` as NodeId;

export const sampleScid = (number: number) => scidFromParts(100_000 + number, 1, 0);

/** A channel between nodes 2n and 2n+1 unless given. */
export const announcementOf = (
  number: number,
  nodes: readonly [number, number] = [2 * number, 2 * number + 1],
) =>
  encodeChannelAnnouncement({
    node_signature_1: SIGNATURE,
    node_signature_2: SIGNATURE,
    bitcoin_signature_1: SIGNATURE,
    bitcoin_signature_2: SIGNATURE,
    features: new Uint8Array(0),
    chain_hash: NETWORKS.regtest.chain_hash,
    short_channel_id: sampleScid(number),
    node_id_1: sampleNodeId(nodes[0]),
    node_id_2: sampleNodeId(nodes[1]),
    bitcoin_key_1: sampleNodeId(nodes[0]),
    bitcoin_key_2: sampleNodeId(nodes[1]),
    tail: new Uint8Array(0),
  });

export const updateOf = (number: number, direction: 0 | 1, timestamp: number): Uint8Array =>
  encodeChannelUpdate({
    signature: SIGNATURE,
    chain_hash: NETWORKS.regtest.chain_hash,
    short_channel_id: sampleScid(number),
    timestamp,
    message_flags: 1,
    channel_flags: direction,
    cltv_expiry_delta: 40,
    htlc_minimum_msat: 1n,
    fee_base_msat: 1000,
    fee_proportional_millionths: 1,
    htlc_maximum_msat: 1_000_000n,
    tail: new Uint8Array(0),
  });

export const nodeOf = (number: number, timestamp: number): Uint8Array =>
  encodeNodeAnnouncement({
    signature: SIGNATURE,
    features: new Uint8Array(0),
    timestamp,
    node_id: sampleNodeId(number),
    rgb_color: Uint8Array.of(1, 2, 3),
    alias: new Uint8Array(32).fill(0x61, 0, 5),
    addressBytes: new Uint8Array(0),
    tail: new Uint8Array(0),
  });

export const acceptedChannel = (number: number, satoshis = 1_000_000n): Accepted =>
  mintAccepted({ kind: 'channel_announcement', raw: announcementOf(number), satoshis });

export const acceptedUpdate = (
  number: number,
  direction: 0 | 1,
  timestamp: number,
  replaces?: StoreOffset,
  announcement?: StoreOffset,
): Accepted =>
  mintAccepted({
    kind: 'channel_update',
    raw: updateOf(number, direction, timestamp),
    timestamp,
    replaces,
    announcement,
  });

export const acceptedNode = (number: number, timestamp: number, replaces?: StoreOffset): Accepted =>
  mintAccepted({ kind: 'node_announcement', raw: nodeOf(number, timestamp), timestamp, replaces });

export const acceptedRemoval = (number: number, remove: readonly StoreOffset[]): Accepted => {
  const scid = sampleScid(number);
  return mintAccepted({ kind: 'delete_chan', scidHi: scidHi(scid), scidLo: scidLo(scid), remove });
};

export const acceptedDying = (number: number, deadline: number, mark: readonly StoreOffset[]): Accepted => {
  const scid = sampleScid(number);
  return mintAccepted({ kind: 'chan_dying', scidHi: scidHi(scid), scidLo: scidLo(scid), deadline, mark });
};

export type Lines = { level: LogLevel; message: string; fields?: LogFields }[];

/** Everything a store under test is given, and what it told. */
export interface Bench {
  readonly folder: MemoryFolder;
  readonly clock: ManualClock;
  readonly meter: MemoryMeter;
  readonly lines: Lines;
  readonly open: (visit?: (record: StoreRecord) => void) => Promise<GossipStore>;
}

export const benchOn = (folder = new MemoryFolder(), options: Partial<GossipStoreOptions> = {}): Bench => {
  const clock = new ManualClock();
  const meter = new MemoryMeter();
  const lines: Lines = [];
  return {
    folder,
    clock,
    meter,
    lines,
    open: (visit = () => {}) =>
      GossipStore.open(
        // Upkeep has tests of its own: elsewhere nothing is to happen by itself.
        { folder, clock, rng: seededRng(1), log: recordingLog(lines), meter, upkeepMs: 0, ...options },
        visit,
      ),
  };
};

/** `type@offset` of each record, the uuid left out; `flags` in hex where there are any but COMPLETED. */
export const describe = (record: StoreRecord): string => {
  const flags = record.flags & ~0x2000;
  return `${record.type}@${record.offset}${flags === 0 ? '' : `:${flags.toString(16)}`}`;
};

export const ignore = (): void => {};
export const quietLog = silentLog;
