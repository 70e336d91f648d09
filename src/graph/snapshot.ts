/**
 * snapshot: the whole graph as the bytes of a file, so that a start need not replay the store.
 *
 * The daemon writes one at a clean stop and restores it at the next start; `tie` names what the graph was built from and by,
 * and a snapshot with another tie is none. A header of 512 bytes with a checksum of its own: magic, format, tie, counts, checksum of
 * the rest. Then the columns as they are in memory, the used part of each, one after the other: channels, nodes, hash tables with
 * their keys (placing 70,000 entries anew costs more than reading 650 KB), the sorted index, deadlines of dying channels.
 * Byte order is the machine's: on another kind of machine the magic is wrong. Nothing that is in a file makes restoring throw, or
 * take more memory than the file is long and an eighth; a graph is changed only once everything is known to be sound.
 */
import { bytesEqual } from '../base/bytes.ts';
import { assert } from '../base/errors.ts';
import { NODE_ID_BYTES } from '../base/node_id.ts';
import { crc32c } from '../wire/crc32c.ts';
import {
  CHANNEL_COLUMN_BYTES,
  ChannelColumns,
  type Column,
  NODE_COLUMN_BYTES,
  NodeColumns,
} from './columns.ts';
import type { GraphAnomaly, GraphState } from './graph_state.ts';
import { fitsSlots } from './hash_index.ts';
import { CHECKSUM_BYTES, SnapshotChecksum } from './snapshot_checksum.ts';

/** Where a snapshot goes; a StoreFile is one. */
export interface SnapshotOutput {
  readonly write: (bytes: Uint8Array, position: number) => void;
}

/** Where it comes from; a StoreFile is one. Reads fewer bytes only at the end. */
export interface SnapshotSource {
  readonly size: () => number;
  readonly read: (buffer: Uint8Array, start: number, length: number, position: number) => number;
}

export const SNAPSHOT_HEADER_BYTES = 512;
const MAGIC = 0x50414d47;
/** To be raised with every change of what is written, and of what a record does to the graph. */
const FORMAT = 1;

/** Words of the header; the crc covers everything behind it. */
const WORD = { magic: 0, crc: 1, format: 2, tieBytes: 3 } as const;
const CHECKSUM_AT = 16;
const COUNTS_AT = CHECKSUM_AT + CHECKSUM_BYTES;
const TIE_AT = 304;
export const MAX_TIE_BYTES = SNAPSHOT_HEADER_BYTES - TIE_AT;

/** 2^26: above what the columns of one graph can have, below what sums of counts could not hold. */
const MAX_COUNT = 67_108_864;

/** The numbers of a GraphState, in the order of the header. */
export const STATE_NUMBERS = [
  'channelEnd',
  'freeChannel',
  'nodeEnd',
  'freeNode',
  'unfunded',
  'amountOffset',
  'channelCount',
  'nodeCount',
  'halfChannelCount',
  'nodeAnnouncementCount',
  'dyingCount',
  'capacitySat',
] as const satisfies readonly (keyof GraphState)[];

export const STATE_ANOMALIES = [
  'malformed',
  'duplicate_announcement',
  'self_channel',
  'amount_without_announcement',
  'impossible_amount',
  'unknown_channel',
  'older_update',
  'unknown_node',
  'older_node_announcement',
] as const satisfies readonly GraphAnomaly[];

/** Lengths of what is not as long as a column. */
interface Lengths {
  readonly scidSlots: number;
  readonly nodeSlots: number;
  readonly tables: number;
  readonly sorted: number;
  readonly deadlines: number;
  readonly dyingOffsets: number;
}
const LENGTHS = ['scidSlots', 'nodeSlots', 'tables', 'sorted', 'deadlines', 'dyingOffsets'] as const;

/** Everything with a length, as arrays. */
interface Parts {
  readonly channels: ChannelColumns;
  readonly nodes: NodeColumns;
  readonly tables: Uint32Array;
  readonly scidSlots: Int32Array;
  readonly nodeSlots: Int32Array;
  readonly sorted: Int32Array;
  /** Channel and value in turn. */
  readonly deadlines: Float64Array;
  readonly dyingOffsets: Float64Array;
}

/** The used part of each array, in the order of the file. */
const sectionsOf = (parts: Parts, channelEnd: number, nodeEnd: number): Uint8Array[] => {
  const used = (column: Column, count: number): Uint8Array =>
    new Uint8Array(column.buffer, column.byteOffset, count * column.BYTES_PER_ELEMENT);
  const { channels, nodes, tables, scidSlots, nodeSlots, sorted, deadlines, dyingOffsets } = parts;
  return [
    ...channels.wholes.map((column) => used(column, channelEnd)),
    ...channels.sides.map((column) => used(column, channelEnd * 2)),
    ...nodes.wholes.map((column) => used(column, nodeEnd)),
    used(nodes.ids, nodeEnd * NODE_ID_BYTES),
    ...[tables, scidSlots, nodeSlots, sorted, deadlines, dyingOffsets].map((array) =>
      used(array, array.length),
    ),
  ];
};

const pairsOf = (map: ReadonlyMap<number, number>): Float64Array => Float64Array.from([...map].flat());

const fillMap = (map: Map<number, number>, pairs: Float64Array): void => {
  map.clear();
  for (let index = 0; index < pairs.length; index += 2)
    map.set(pairs[index] as number, pairs[index + 1] as number);
};

/**
 * Writes all of the graph. Throws what writing throws; the file is then to be thrown away.
 *
 * @param tie at most MAX_TIE_BYTES characters of ASCII
 */
export const writeSnapshot = (state: GraphState, tie: string, output: SnapshotOutput): void => {
  const { channels, nodes, tables, byScid, byNodeId, order, channelEnd, nodeEnd } = state;
  const parts: Parts = {
    // First of all: it marks the channels that are in it.
    sorted: order.sorted(channels, channelEnd, state.channelCount),
    ...{ channels, nodes, tables },
    scidSlots: byScid.slots,
    nodeSlots: byNodeId.slots,
    deadlines: pairsOf(state.deadlines),
    dyingOffsets: pairsOf(state.dyingOffsets),
  };
  const checksum = new SnapshotChecksum();
  let position = SNAPSHOT_HEADER_BYTES;
  for (const section of sectionsOf(parts, channelEnd, nodeEnd)) {
    if (section.length === 0) continue;
    checksum.add(section);
    output.write(section, position);
    position += section.length;
  }
  const counts = [
    ...STATE_NUMBERS.map((name) => state[name]),
    ...STATE_ANOMALIES.map((name) => state.anomalies[name]),
    ...LENGTHS.map((name) => parts[name].length),
  ];
  output.write(encodeHeader(tie, counts, checksum.digest()), 0);
};

/** Everything in front of the columns. */
const encodeHeader = (tie: string, counts: readonly number[], checksum: Uint8Array): Uint8Array => {
  const header = new Uint8Array(SNAPSHOT_HEADER_BYTES);
  const tieBytes = new TextEncoder().encode(tie);
  assert(tieBytes.length <= MAX_TIE_BYTES, 'the tie of a snapshot fits its header');
  header.set(checksum, CHECKSUM_AT);
  new Float64Array(header.buffer, COUNTS_AT).set(counts);
  header.set(tieBytes, TIE_AT);
  const words = new Uint32Array(header.buffer);
  words[WORD.magic] = MAGIC;
  words[WORD.format] = FORMAT;
  words[WORD.tieBytes] = tieBytes.length;
  words[WORD.crc] = headerCrc(header);
  return header;
};

const headerCrc = (header: Uint8Array): number =>
  crc32c(0, header, (WORD.crc + 1) * 4, SNAPSHOT_HEADER_BYTES);

interface Header {
  readonly numbers: Readonly<Record<(typeof STATE_NUMBERS)[number], number>>;
  readonly anomalies: Readonly<Record<GraphAnomaly, number>>;
  readonly lengths: Lengths;
  readonly checksum: Uint8Array;
}

/** Undefined for what is not ours. @param header its 512 bytes, in an array of their own */
const decodeHeader = (header: Uint8Array, tie: string): Header | undefined => {
  const words = new Uint32Array(header.buffer);
  if (words[WORD.magic] !== MAGIC || words[WORD.format] !== FORMAT) return undefined;
  if (words[WORD.crc] !== headerCrc(header)) return undefined;
  const tieBytes = new TextEncoder().encode(tie);
  if (words[WORD.tieBytes] !== tieBytes.length) return undefined;
  if (!bytesEqual(header.subarray(TIE_AT, TIE_AT + tieBytes.length), tieBytes)) return undefined;
  const counts = new Float64Array(header.buffer, COUNTS_AT, (TIE_AT - COUNTS_AT) / 8);
  let next = 0;
  const named = <K extends string>(names: readonly K[]): Record<K, number> =>
    Object.fromEntries(names.map((name) => [name, counts[next++] as number])) as Record<K, number>;
  return {
    numbers: named(STATE_NUMBERS),
    anomalies: named(STATE_ANOMALIES),
    lengths: named(LENGTHS),
    checksum: header.subarray(CHECKSUM_AT, CHECKSUM_AT + CHECKSUM_BYTES),
  };
};

/** Length of the file that such a header is in front of; undefined for counts that no graph has. */
const sizeOf = ({ numbers, lengths }: Header, state: GraphState): number | undefined => {
  const { channelEnd, nodeEnd, channelCount, nodeCount } = numbers;
  const all = [channelEnd, nodeEnd, channelCount, nodeCount, ...LENGTHS.map((name) => lengths[name])];
  if (!all.every((count) => Number.isInteger(count) && count >= 0 && count <= MAX_COUNT)) return undefined;
  if (lengths.tables !== state.tables.length || lengths.sorted !== channelCount) return undefined;
  if (channelCount > channelEnd || nodeCount > nodeEnd) return undefined;
  if (!fitsSlots(channelCount, lengths.scidSlots) || !fitsSlots(nodeCount, lengths.nodeSlots))
    return undefined;
  const words = lengths.tables + lengths.scidSlots + lengths.nodeSlots + lengths.sorted;
  const pairs = lengths.deadlines + lengths.dyingOffsets;
  return (
    SNAPSHOT_HEADER_BYTES +
    channelEnd * CHANNEL_COLUMN_BYTES +
    nodeEnd * NODE_COLUMN_BYTES +
    words * 4 +
    pairs * 8
  );
};

/** Room for a sixteenth more, so that the first new channel does not have everything copied. */
const withRoom = (used: number): number => used + (used >>> 4);

const emptyParts = ({ numbers, lengths }: Header): Parts => ({
  channels: new ChannelColumns(withRoom(numbers.channelEnd)),
  nodes: new NodeColumns(withRoom(numbers.nodeEnd)),
  tables: new Uint32Array(lengths.tables),
  scidSlots: new Int32Array(lengths.scidSlots),
  nodeSlots: new Int32Array(lengths.nodeSlots),
  sorted: new Int32Array(lengths.sorted),
  deadlines: new Float64Array(lengths.deadlines),
  dyingOffsets: new Float64Array(lengths.dyingOffsets),
});

/**
 * Makes the graph what it was when the snapshot was written; what it held before is gone. False, and nothing changed, for a file
 * that is damaged, of another format or has another tie. Throws only what reading throws.
 */
export const restoreSnapshot = (state: GraphState, tie: string, source: SnapshotSource): boolean => {
  const headerBytes = new Uint8Array(SNAPSHOT_HEADER_BYTES);
  if (source.read(headerBytes, 0, SNAPSHOT_HEADER_BYTES, 0) !== SNAPSHOT_HEADER_BYTES) return false;
  const header = decodeHeader(headerBytes, tie);
  // The length is compared first: nothing is allocated on the word of a file that is not there.
  if (header === undefined || sizeOf(header, state) !== source.size()) return false;
  const parts = emptyParts(header);
  const checksum = new SnapshotChecksum();
  let position = SNAPSHOT_HEADER_BYTES;
  for (const section of sectionsOf(parts, header.numbers.channelEnd, header.numbers.nodeEnd)) {
    if (source.read(section, 0, section.length, position) !== section.length) return false;
    checksum.add(section);
    position += section.length;
  }
  if (!bytesEqual(checksum.digest(), header.checksum)) return false;
  adopt(state, header, parts);
  return true;
};

const adopt = (state: GraphState, { numbers, anomalies }: Header, parts: Parts): void => {
  Object.assign(state, numbers);
  Object.assign(state.anomalies, anomalies);
  // Who holds the columns goes on with the new arrays.
  Object.assign(state.channels, parts.channels);
  Object.assign(state.nodes, parts.nodes);
  state.tables.set(parts.tables);
  state.byScid.adopt(parts.scidSlots, numbers.channelCount);
  state.byNodeId.adopt(parts.nodeSlots, numbers.nodeCount);
  state.order.adopt(parts.sorted);
  fillMap(state.deadlines, parts.deadlines);
  fillMap(state.dyingOffsets, parts.dyingOffsets);
};
