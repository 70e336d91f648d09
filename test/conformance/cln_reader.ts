/**
 * A strict reader of stores of version 7 to 16 by the rules of CLN's own, written apart from src/store to judge its files.
 *
 * It loads as lightningd's gossipd does: the whole file must be consumed, and everything that makes one of CLN's processes
 * end or throw the file away is a failure here, named D-n after the reader's assumption that broke. `strict: false` reads
 * as the other processes do, which stop in front of a record that is not finished. Its CRC is a plain bitwise one.
 * The rules are those of v26.06; a version differs in its record types, in COMPLETED (15 and later), in the uuid (16), and in
 * updates without htlc_maximum_msat (up to 10). What older releases forgave is not forgiven here.
 */

export interface ClnChannel {
  readonly offset: number;
  readonly satoshis: bigint;
  readonly timestamp: number;
  /** Message offsets of the updates of both directions; 0 when there is none. */
  readonly updates: [number, number];
  dying: boolean;
}

export interface ClnView {
  readonly channels: ReadonlyMap<bigint, ClnChannel>;
  /** Message offset of each node's announcement, by node id in hex. */
  readonly nodes: ReadonlyMap<string, number>;
  readonly live: number;
  readonly deleted: number;
  /** Header position at which reading stopped. */
  readonly end: number;
}

export interface ClnReading {
  /** True unless given. */
  readonly strict?: boolean;
  /** That the file must have; 16 unless given. */
  readonly version?: number;
}

export class ClnAborts extends Error {}

const fail = (rule: string, at: number, what: string): never => {
  throw new ClnAborts(`${rule} at ${at}: ${what}`);
};

const crcByBits = (seed: number, bytes: Uint8Array): number => {
  let crc = ~seed >>> 0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
};

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const OBSOLETE = { localAddChannel: 3503, privateUpdate: 4102, privateChannel: 4104 } as const;

/** First and last version with records of each type. */
const TYPES: ReadonlyMap<number, readonly [number, number]> = new Map([
  [256, [4, 16]],
  [257, [4, 16]],
  [258, [4, 16]],
  [OBSOLETE.localAddChannel, [4, 8]],
  [4101, [4, 16]],
  [OBSOLETE.privateUpdate, [4, 12]],
  [4103, [8, 16]],
  [OBSOLETE.privateChannel, [9, 12]],
  [4105, [9, 16]],
  [4106, [11, 16]],
  [4107, [16, 16]],
]);

interface Walk {
  readonly version: number;
  readonly file: Uint8Array;
  readonly view: DataView;
  readonly channels: Map<bigint, ClnChannel>;
  readonly nodes: Map<string, number>;
  readonly knownNodes: Set<string>;
}

const announcement = (walk: Walk, at: number, length: number, timestamp: number): void => {
  const { file, view, channels } = walk;
  if (length < 260) fail('D-1', at, 'channel_announcement shorter than its fields');
  const features = view.getUint16(at + 258);
  if (length < 432 + features) fail('D-1', at, 'channel_announcement shorter than its features');
  const scidAt = at + 260 + features + 32;
  const scid = view.getBigUint64(scidAt);
  const first = hex(file.subarray(scidAt + 8, scidAt + 41));
  const second = hex(file.subarray(scidAt + 41, scidAt + 74));
  if (first === second) fail('D-5', at, 'a node with a channel to itself');
  if (first > second) fail('D-6', at, 'node ids out of order');
  if (channels.has(scid)) fail('D-7', at, 'second announcement');
  const amount = at + length;
  if (amount + 22 > file.length) fail('D-3', at, 'no amount behind the announcement');
  if (view.getUint16(amount + 12) !== 4101) fail('D-3', at, 'something else behind the announcement');
  if (walk.version >= 15 && (view.getUint16(amount) & 0x2000) === 0)
    fail('D-3', at, 'the amount is not complete');
  // Whether the amount is flagged deleted is not asked: it is read by its place behind the announcement.
  const satoshis = view.getBigUint64(amount + 14);
  if (satoshis >= 18_446_744_073_709_552n) fail('D-4', at, 'amount overflows');
  channels.set(scid, { offset: at, satoshis, timestamp, updates: [0, 0], dying: false });
  walk.knownNodes.add(first).add(second);
};

/** What versions before 13 keep of channels that were never announced: only their own lengths are looked at. */
const privateRecord = ({ view }: Walk, at: number, length: number, type: number): void => {
  const [from, least] = type === OBSOLETE.privateUpdate ? [4, 130] : [12, 432];
  if (type === OBSOLETE.localAddChannel) {
    if (length < 51) fail('D-1', at, 'short local_add_channel');
    return;
  }
  if (length < from) fail('D-1', at, 'short private record');
  const inner = view.getUint16(at + from - 2);
  if (inner < least || from + inner > length) fail('D-1', at, 'private record shorter than its message');
};

const message = (walk: Walk, at: number, length: number, timestamp: number): void => {
  const { file, view, channels, nodes, version } = walk;
  const type = view.getUint16(at);
  const [first, last] = TYPES.get(type) ?? [0, 0];
  if (version < first || version > last) fail('unknown', at, `record of type ${type}`);
  switch (type) {
    case 256:
      announcement(walk, at, length, timestamp);
      return;
    case 257: {
      if (length < 142) fail('D-12', at, 'short node_announcement');
      const features = view.getUint16(at + 66);
      if (length < 142 + features) fail('D-12', at, 'node_announcement shorter than its features');
      nodes.set(hex(file.subarray(at + 72 + features, at + 105 + features)), at);
      return;
    }
    case 258: {
      if (length < (version <= 10 ? 130 : 138)) fail('D-8', at, 'short channel_update');
      const channel = channels.get(view.getBigUint64(at + 98));
      if (channel !== undefined) channel.updates[(file[at + 111]! & 1) as 0 | 1] = at;
      return;
    }
    case 4101:
      if (length !== 10) fail('D-3', at, 'amount of another length');
      return;
    case 4103:
      if (length < 10) fail('D-14', at, 'short delete_chan');
      channels.delete(view.getBigUint64(at + 2));
      return;
    case 4105:
      fail('D-16', at, 'ENDED in the file that has the name');
      return;
    case 4106: {
      if (length < 14) fail('D-15', at, 'short chan_dying');
      const channel = channels.get(view.getBigUint64(at + 2));
      if (channel !== undefined) channel.dying = true;
      return;
    }
    case 4107:
      if (at !== 13) fail('D-18', at, 'a second uuid');
      return;
    case OBSOLETE.localAddChannel:
    case OBSOLETE.privateUpdate:
    case OBSOLETE.privateChannel:
      privateRecord(walk, at, length, type);
  }
};

/** Throws ClnAborts where a process of CLN would end, or where gossipd would throw the file away. */
export const readAsCln = (file: Uint8Array, { strict = true, version = 16 }: ClnReading = {}): ClnView => {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length === 0) fail('D-19', 0, 'empty file');
  if (file[0] !== version) fail('D-20', 0, `version ${file[0]}`);
  if (version >= 16 && (file.length < 47 || view.getUint16(13) !== 4107))
    fail('D-18', 1, 'the first record is not a uuid');
  const walk: Walk = { version, file, view, channels: new Map(), nodes: new Map(), knownNodes: new Set() };
  let [live, deleted, position] = [0, 0, 1];
  const stop = (rule: string, what: string): void => {
    if (strict) fail(rule, position, what);
  };
  while (position < file.length) {
    if (position + 12 > file.length) {
      stop('torn', 'header past the end');
      break;
    }
    const flags = view.getUint16(position);
    const length = view.getUint16(position + 2);
    if (version >= 15 && (flags & 0x2000) === 0) {
      stop('incomplete', 'record without COMPLETED');
      break;
    }
    if (position + 12 + length > file.length) {
      stop('D-21', 'record past the end');
      break;
    }
    if ((flags & 0x8000) !== 0) {
      deleted++;
    } else {
      if (length < 2) fail('length', position, 'record without a type');
      const body = file.subarray(position + 12, position + 12 + length);
      const timestamp = view.getUint32(position + 8);
      if (crcByBits(timestamp, body) !== view.getUint32(position + 4)) fail('crc', position, 'bad checksum');
      message(walk, position + 12, length, timestamp);
      live++;
    }
    position += 12 + length;
  }
  return { channels: walk.channels, nodes: walk.nodes, live, deleted, end: position };
};
