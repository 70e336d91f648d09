/**
 * What NetworkGraph consists of: columns, indexes, free slots and counts, as plain data.
 *
 * apply_record changes it, network_graph reads it; nobody else sees it. Both look entries up with the functions here.
 * The indexes hold only live entries, so the columns of every indexed entry are readable.
 */
import { compareBytes } from '../base/bytes.ts';
import { NODE_ID_BYTES } from '../base/node_id.ts';
import { ChannelColumns, NONE, NodeColumns } from './columns.ts';
import { hashNodeId, hashScid, mixingTables, SlotTable } from './hash_index.ts';
import { ScidOrder } from './scid_order.ts';

/** Why a record was left out; a closed list. */
export type GraphAnomaly =
  | 'malformed'
  | 'duplicate_announcement'
  | 'self_channel'
  | 'amount_without_announcement'
  | 'impossible_amount'
  | 'unknown_channel'
  | 'older_update'
  | 'unknown_node'
  | 'older_node_announcement';

export interface NetworkGraphOptions {
  /** Channels to make room for; growing costs copies. */
  readonly channelsHint?: number;
  /** 32 bits that key the hash indexes; random in a node that has peers, fixed in tests. */
  readonly salt?: number;
}

export interface GraphState {
  readonly channels: ChannelColumns;
  readonly nodes: NodeColumns;
  /** Of the keyed hash. */
  readonly tables: Uint32Array;
  readonly byScid: SlotTable;
  readonly byNodeId: SlotTable;
  readonly order: ScidOrder;
  /** Deadlines of dying channels; few at a time, as the chain closes few, so a column would be waste. */
  readonly deadlines: Map<number, number>;
  /** Where the chan_dying records of these are. */
  readonly dyingOffsets: Map<number, number>;
  readonly anomalies: Record<GraphAnomaly, number>;

  /** One past the highest slot ever used, and the first of the free slots below it. */
  channelEnd: number;
  freeChannel: number;
  nodeEnd: number;
  freeNode: number;

  /** The channel that waits for its amount, and the only offset at which that may come. */
  unfunded: number;
  amountOffset: number;

  channelCount: number;
  nodeCount: number;
  halfChannelCount: number;
  nodeAnnouncementCount: number;
  dyingCount: number;
  capacitySat: number;
}

/** The public network has one node for each three channels. */
const nodesFor = (channels: number): number => Math.ceil((channels * 3) / 8);

export const emptyState = (options: NetworkGraphOptions): GraphState => {
  const expected = Math.max(0, Math.floor(options.channelsHint ?? 0));
  const channels = new ChannelColumns(expected);
  const nodes = new NodeColumns(nodesFor(expected));
  const tables = mixingTables(options.salt ?? 0);
  return {
    channels,
    nodes,
    tables,
    byScid: new SlotTable(
      (channel) => hashScid(tables, channels.scidHi[channel] as number, channels.scidLo[channel] as number),
      expected,
    ),
    byNodeId: new SlotTable(
      (node) => hashNodeId(tables, nodes.ids, node * NODE_ID_BYTES),
      nodesFor(expected),
    ),
    order: new ScidOrder(),
    deadlines: new Map(),
    dyingOffsets: new Map(),
    anomalies: {
      malformed: 0,
      duplicate_announcement: 0,
      self_channel: 0,
      amount_without_announcement: 0,
      impossible_amount: 0,
      unknown_channel: 0,
      older_update: 0,
      unknown_node: 0,
      older_node_announcement: 0,
    },
    channelEnd: 0,
    freeChannel: NONE,
    nodeEnd: 0,
    freeNode: NONE,
    unfunded: NONE,
    amountOffset: NONE,
    channelCount: 0,
    nodeCount: 0,
    halfChannelCount: 0,
    nodeAnnouncementCount: 0,
    dyingCount: 0,
    capacitySat: 0,
  };
};

/** NONE when unknown. @param hi @param lo unsigned halves */
export const findChannel = (state: GraphState, hi: number, lo: number): number => {
  const { slots, mask } = state.byScid;
  const { scidHi, scidLo } = state.channels;
  let slot = hashScid(state.tables, hi, lo) & mask;
  for (;;) {
    const channel = (slots[slot] as number) - 1;
    if (channel < 0) return NONE;
    if (scidLo[channel] === lo && scidHi[channel] === hi) return channel;
    slot = (slot + 1) & mask;
  }
};

/** NONE when unknown. Looks up the 33 bytes at `at`. */
export const findNode = (state: GraphState, bytes: Uint8Array, at: number): number => {
  const { slots, mask } = state.byNodeId;
  const { ids } = state.nodes;
  let slot = hashNodeId(state.tables, bytes, at) & mask;
  for (;;) {
    const node = (slots[slot] as number) - 1;
    if (node < 0) return NONE;
    if (compareBytes(ids, node * NODE_ID_BYTES, bytes, at, NODE_ID_BYTES) === 0) return node;
    slot = (slot + 1) & mask;
  }
};
