/** Random histories of records, a plain model of what they mean, and a writer that keeps the rules of the file. Not part of the package. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { toHex } from '../base/bytes.ts';
import { channelUpdateChecksum } from '../wire/channel_update.ts';
import {
  FLAG_DELETED,
  FLAG_DYING,
  GOSSIP_STORE_CHANNEL_AMOUNT,
  type StoreRecord,
} from '../wire/store_record.ts';
import type { NetworkGraph } from './network_graph.ts';
import {
  announcementBytes,
  SampleStore,
  type SampleUpdate,
  sampleNodeId,
} from './sample_records.test.support.ts';

export type Step =
  | {
      kind: 'channel';
      scid: number;
      node1: number;
      node2: number;
      satoshis: bigint;
      dying: boolean;
      amount: boolean;
    }
  | { kind: 'update'; scid: number; direction: 0 | 1; timestamp: number; fee: number; disabled: boolean }
  | { kind: 'node'; node: number; timestamp: number }
  | { kind: 'removal'; scid: number }
  | { kind: 'dying'; scid: number; deadline: number }
  | { kind: 'amount'; satoshis: bigint };

// Few names, so that most steps meet something that is there, or was.
const scid = fc.nat(11);
const node = fc.nat(7);
const satoshis = fc.oneof(
  fc.bigInt(0n, 5_000_000_000n),
  fc.constantFrom(2_100_000_000_000_001n, 2n ** 64n - 1n),
);
export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('channel' as const),
      scid,
      node1: node,
      node2: node,
      satoshis,
      dying: fc.nat(9).map((value) => value === 0),
      amount: fc.nat(9).map((value) => value !== 0),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('update' as const),
      scid,
      direction: fc.constantFrom(0 as const, 1 as const),
      timestamp: fc.integer({ min: 1, max: 8 }),
      fee: fc.nat(1000),
      disabled: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('node' as const), node, timestamp: fc.nat(5) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('removal' as const), scid }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('dying' as const), scid, deadline: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('amount' as const), satoshis }) },
);

const HI = (number: number): number => (700_000 + (number % 4)) * 256;
const LO = (number: number): number => 0x80000000 + number;

/** Without features, with its header: so far behind an announcement's offset is its amount's. */
const ANNOUNCEMENT_RECORD_BYTES = 444;

interface ModelHalf {
  timestamp: number;
  fee: number;
  disabled: boolean;
  offset: number;
  checksum: number;
}

interface ModelChannel {
  scid: string;
  nodes: [string, string];
  satoshis: number;
  dying: boolean;
  deadline: number;
  timestamp: number;
  offset: number;
  halves: [ModelHalf | null, ModelHalf | null];
}

export interface Picture {
  channels: ModelChannel[];
  nodes: { id: string; channels: string[]; announced: boolean; timestamp: number; offset: number }[];
}

const scidKey = (hi: number, lo: number): string =>
  ((BigInt(hi) << 32n) | BigInt(lo)).toString(16).padStart(16, '0');

/** The same rules in the plainest form: maps keyed by text. */
export class Model {
  readonly channels = new Map<string, ModelChannel>();
  readonly announced = new Map<string, { timestamp: number; offset: number }>();
  /** The channel that its amount may still reach. */
  #last: ModelChannel | undefined;

  channelsOf(id: string): ModelChannel[] {
    return [...this.channels.values()].filter(({ nodes }) => nodes.includes(id));
  }

  announce(key: string, nodes: [string, string], offset: number, dying: boolean): void {
    this.#last = undefined;
    if (this.channels.has(key) || nodes[0] === nodes[1]) return;
    const channel: ModelChannel = {
      scid: key,
      nodes,
      satoshis: 0,
      dying,
      deadline: 0,
      timestamp: 0,
      offset,
      halves: [null, null],
    };
    this.channels.set(key, channel);
    this.#last = channel;
  }

  amount(value: bigint, offset: number): void {
    const channel = this.#last;
    this.#last = undefined;
    if (channel?.offset !== offset - ANNOUNCEMENT_RECORD_BYTES || value > 2_100_000_000_000_000n) return;
    channel.satoshis = Number(value);
  }

  update(key: string, direction: 0 | 1, half: ModelHalf): void {
    const channel = this.channels.get(key);
    if (channel === undefined) return;
    if (half.timestamp < (channel.halves[direction]?.timestamp ?? 0)) return;
    channel.halves[direction] = half;
    channel.timestamp ||= half.timestamp;
  }

  node(id: string, timestamp: number, offset: number): void {
    if (this.channelsOf(id).length === 0 || timestamp < (this.announced.get(id)?.timestamp ?? 0)) return;
    this.announced.set(id, { timestamp, offset });
  }

  remove(key: string): void {
    const channel = this.channels.get(key);
    if (channel === undefined) return;
    this.channels.delete(key);
    if (this.#last === channel) this.#last = undefined;
    for (const id of channel.nodes) if (this.channelsOf(id).length === 0) this.announced.delete(id);
  }

  dying(key: string, deadline: number): void {
    const channel = this.channels.get(key);
    if (channel === undefined) return;
    channel.dying = true;
    channel.deadline = deadline;
  }

  /** A copy. */
  picture(): Picture {
    const ids = new Set([...this.channels.values()].flatMap(({ nodes }) => nodes));
    return {
      channels: structuredClone([...this.channels.values()]).sort((left, right) =>
        left.scid < right.scid ? -1 : 1,
      ),
      nodes: [...ids].sort().map((id) => ({
        id,
        channels: this.channelsOf(id).map((channel) => channel.scid),
        announced: this.announced.has(id),
        timestamp: this.announced.get(id)?.timestamp ?? 0,
        offset: this.announced.get(id)?.offset ?? 0,
      })),
    };
  }
}

export const pictureOf = (graph: NetworkGraph): Picture => {
  const picture: Picture = { channels: [], nodes: [] };
  const key = (channel: number): string => scidKey(graph.scidHi(channel), graph.scidLo(channel));
  graph.channelsInBlocks(0, 2 ** 24, (channel) => {
    const half = (direction: 0 | 1): ModelHalf | null =>
      graph.hasUpdate(channel, direction)
        ? {
            timestamp: graph.updateTimestamp(channel, direction),
            fee: graph.feeBaseMsat(channel, direction),
            disabled: graph.isDisabled(channel, direction),
            offset: graph.updateOffset(channel, direction),
            checksum: graph.updateChecksum(channel, direction),
          }
        : null;
    picture.channels.push({
      scid: key(channel),
      nodes: [graph.nodeId(graph.channelNode(channel, 0)), graph.nodeId(graph.channelNode(channel, 1))],
      satoshis: graph.channelSatoshis(channel),
      dying: graph.isDying(channel),
      deadline: graph.dyingDeadline(channel),
      timestamp: graph.channelTimestamp(channel),
      offset: graph.channelOffset(channel),
      halves: [half(0), half(1)],
    });
  });
  graph.forEachNode((index) => {
    const channels: string[] = [];
    graph.forEachChannelOfNode(index, (channel, side) => {
      assert.equal(graph.channelNode(channel, side), index);
      channels.push(key(channel));
    });
    picture.nodes.push({
      id: graph.nodeId(index),
      channels,
      announced: graph.hasNodeAnnouncement(index),
      timestamp: graph.nodeTimestamp(index),
      offset: graph.nodeOffset(index),
    });
  });
  picture.nodes.sort((left, right) => (left.id < right.id ? -1 : 1));
  return picture;
};

/** What the counts and lookups say must follow from the picture. */
export const checkCounts = (graph: NetworkGraph, picture: Picture): void => {
  const halves = picture.channels.flatMap((channel) => channel.halves).filter((half) => half !== null);
  assert.equal(graph.channelCount, picture.channels.length);
  assert.equal(graph.nodeCount, picture.nodes.length);
  assert.equal(graph.halfChannelCount, halves.length);
  assert.equal(graph.nodeAnnouncementCount, picture.nodes.filter(({ announced }) => announced).length);
  assert.equal(graph.dyingCount, picture.channels.filter(({ dying }) => dying).length);
  assert.equal(
    graph.capacitySat,
    picture.channels.reduce((total, channel) => total + channel.satoshis, 0),
  );
  const { channels, nodes } = graph.probeStatistics();
  assert.deepEqual([channels.entries, nodes.entries], [graph.channelCount, graph.nodeCount]);
  const known = new Set(picture.channels.map((channel) => channel.scid));
  for (let number = 0; number < 12; number++) {
    const found = graph.channelIndex(HI(number), LO(number)) !== -1;
    assert.equal(found, known.has(scidKey(HI(number), LO(number))));
  }
  for (const { id, channels: own } of picture.nodes) {
    const index = graph.nodeIndex(Uint8Array.from(Buffer.from(id, 'hex')), 0);
    assert.equal(graph.nodeId(index), id);
    assert.equal(graph.nodeChannelCount(index), own.length);
    const offsets = picture.channels
      .filter((channel) => channel.nodes.includes(id) && !channel.dying)
      .map((channel) => channel.offset);
    assert.equal(graph.earliestChannelOffset(index), offsets.length === 0 ? undefined : Math.min(...offsets));
  }
};

const updateOf = (step: Extract<Step, { kind: 'update' }>): SampleUpdate => ({
  hi: HI(step.scid),
  lo: LO(step.scid),
  direction: step.direction,
  timestamp: step.timestamp,
  feeBase: step.fee,
  disabled: step.disabled,
});

/** Turns a step into records, tells the model, and returns them. */
export const recordsOf = (step: Step, store: SampleStore, model: Model): StoreRecord[] => {
  switch (step.kind) {
    case 'channel': {
      const [hi, lo] = [HI(step.scid), LO(step.scid)];
      const [node1, node2] = [sampleNodeId(step.node1), sampleNodeId(step.node2)];
      const flags = step.dying ? FLAG_DYING : 0;
      const announced = store.record(announcementBytes({ hi, lo, node1, node2 }), flags);
      model.announce(scidKey(hi, lo), [toHex(node1), toHex(node2)], announced.offset, step.dying);
      if (!step.amount) return [announced];
      const amount = store.amount(step.satoshis);
      model.amount(step.satoshis, amount.offset);
      return [announced, amount];
    }
    case 'update': {
      const record = store.update(updateOf(step));
      model.update(scidKey(HI(step.scid), LO(step.scid)), step.direction, {
        timestamp: step.timestamp,
        fee: step.fee,
        disabled: step.disabled,
        offset: record.offset,
        checksum: channelUpdateChecksum(record.bytes, 0, record.length),
      });
      return [record];
    }
    case 'node': {
      const id = sampleNodeId(step.node);
      const record = store.node(id, step.timestamp);
      model.node(toHex(id), step.timestamp, record.offset);
      return [record];
    }
    case 'removal':
      model.remove(scidKey(HI(step.scid), LO(step.scid)));
      return [store.removal(HI(step.scid), LO(step.scid))];
    case 'dying':
      model.dying(scidKey(HI(step.scid), LO(step.scid)), step.deadline);
      return [store.dying(HI(step.scid), LO(step.scid), step.deadline)];
    case 'amount': {
      const record = store.amount(step.satoshis);
      model.amount(step.satoshis, record.offset);
      return [record];
    }
  }
};

const NUMBERS = new Map(Array.from({ length: 8 }, (_, number) => [toHex(sampleNodeId(number)), number]));

/** What a writer does to older records when a new one is accepted: replaced and removed ones are flagged DELETED. */
export class WritingStore {
  readonly records: { -readonly [Key in keyof StoreRecord]: StoreRecord[Key] }[] = [];
  readonly #store = new SampleStore();
  readonly #model = new Model();

  #find(offset: number): { type: number; flags: number; timestamp: number } | undefined {
    return this.records.find((record) => record.offset === offset);
  }

  #flag(offset: number | undefined, flag: number): void {
    const record = offset === undefined ? undefined : this.#find(offset);
    if (record !== undefined) record.flags |= flag;
  }

  /**
   * The node_announcements that would stand before every channel of their node once the step has removed one: a fresh
   * copy of each is appended first, so that a replay meets it behind a channel that stays.
   */
  write(step: Step): StoreRecord[] {
    if (step.kind !== 'removal') return this.#write(step);
    const { channels, nodes } = this.#model.picture();
    const gone = scidKey(HI(step.scid), LO(step.scid));
    const copies = nodes.flatMap(({ id, announced, timestamp, offset }): Step[] => {
      const left = channels.filter((channel) => channel.scid !== gone && channel.nodes.includes(id));
      if (!announced || left.length === 0 || left.some((channel) => channel.offset < offset)) return [];
      return [{ kind: 'node', node: NUMBERS.get(id) ?? 0, timestamp }];
    });
    return [...copies, step].flatMap((one) => this.#write(one));
  }

  /** Appends what the step brings and flags what it makes obsolete. Returns the new records. */
  #write(step: Step): StoreRecord[] {
    const before = this.#model.picture();
    const fresh = recordsOf(step, this.#store, this.#model);
    const after = this.#model.picture();
    // What changes nothing was refused, and is not written.
    if (JSON.stringify(after) === JSON.stringify(before)) return [];
    this.records.push(...fresh);
    const live = new Set<number>();
    for (const channel of after.channels) {
      live.add(channel.offset);
      for (const half of channel.halves) if (half !== null) live.add(half.offset);
      const announcement = this.#find(channel.offset);
      if (announcement !== undefined) announcement.timestamp = channel.timestamp;
      if (channel.dying) this.#flag(channel.offset, FLAG_DYING);
    }
    for (const one of after.nodes) live.add(one.offset);
    for (const channel of before.channels) {
      for (const offset of [channel.offset, ...channel.halves.map((half) => half?.offset)]) {
        if (offset === undefined || live.has(offset)) continue;
        this.#flag(offset, FLAG_DELETED);
        const behind = this.#find(offset + ANNOUNCEMENT_RECORD_BYTES);
        if (offset === channel.offset && behind?.type === GOSSIP_STORE_CHANNEL_AMOUNT) {
          behind.flags |= FLAG_DELETED;
        }
      }
    }
    for (const one of before.nodes) if (!live.has(one.offset)) this.#flag(one.offset, FLAG_DELETED);
    return fresh;
  }
}
