/**
 * The running store against a model of it: appends, replacements, removals, cursors, compactions, damage on the disk, failing calls,
 * kills and power cuts, in any order. The model is the list of live messages in the order in which they were appended.
 *
 * Checked throughout: a cursor gives every record that is live when its turn comes, once, in order, across successors of the
 * file; readMessage gives the model's bytes, or nothing for what was damaged. Checked when the store comes to rest: the file holds the
 * model and nothing else, CLN's reader takes it, the count of dead bytes is right, and the state is ok. After a kill: what a
 * sync had confirmed is there, or something newer. Stands for E-04, E-10, E-38, E-48 and E-49 of the catalogue of failures too.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { readU16, toHex } from '../../src/base/bytes.ts';
import { seededRng } from '../../src/base/rng.ts';
import type { Accepted } from '../../src/store/accepted.ts';
import type { StoreCursor } from '../../src/store/cursor.ts';
import type { GossipStore, Translate } from '../../src/store/gossip_store.ts';
import { type FaultyCall, MemoryFolder } from '../../src/store/memory_folder.test.support.ts';
import {
  acceptedChannel,
  acceptedDying,
  acceptedNode,
  acceptedRemoval,
  acceptedUpdate,
  type Bench,
  benchOn,
} from '../../src/store/store_samples.test.support.ts';
import type { StoreOffset } from '../../src/wire/store_record.ts';
import { readAsCln } from '../conformance/cln_reader.ts';
import { liveIn } from './damage_matrix_cases.ts';
import { typeAndMessage } from './damage_recipes.ts';

const NAME = 'gossip_store';
const CHANNELS = 6;
const FIRST_SCID = 100_000;

type Action =
  | { readonly do: 'channel' | 'remove' | 'dying'; readonly number: number }
  | { readonly do: 'update'; readonly number: number; readonly direction: 0 | 1 }
  | { readonly do: 'node'; readonly number: number }
  | { readonly do: 'flush' | 'sync' | 'compact' | 'heal' | 'rest' | 'reopen' }
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'open'; readonly from: 'start' | 'end' | number }
  | { readonly do: 'read'; readonly cursor: number; readonly count: number }
  | { readonly do: 'close'; readonly cursor: number }
  | {
      readonly do: 'damage';
      readonly which: number;
      readonly how: 'message' | 'length' | 'zeros';
      readonly at: number;
    }
  | { readonly do: 'fail'; readonly call: FaultyCall; readonly times: number }
  | { readonly do: 'kill'; readonly seed: number };

const channelNumber = fc.nat({ max: CHANNELS - 1 });
const plain = <T extends string>(...names: T[]) => fc.record({ do: fc.constantFrom(...names) });

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('channel' as const), number: channelNumber }) },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('update' as const),
      number: channelNumber,
      direction: fc.constantFrom(0 as const, 1 as const),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('node' as const), number: fc.nat({ max: 2 * CHANNELS - 1 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom('remove' as const, 'dying' as const), number: channelNumber }),
  },
  { weight: 8, arbitrary: plain('flush', 'sync', 'sync', 'compact', 'heal', 'rest') },
  { weight: 1, arbitrary: plain('reopen') },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('advance' as const),
      ms: fc.constantFrom(0, 0, 10, 999, 1000, 5000, 60_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('open' as const),
      from: fc.oneof(fc.constantFrom('start' as const, 'end' as const), fc.nat({ max: 30 })),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('read' as const),
      cursor: fc.nat({ max: 3 }),
      count: fc.nat({ max: 9 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const), cursor: fc.nat({ max: 3 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('damage' as const),
      which: fc.nat({ max: 40 }),
      how: fc.constantFrom('message' as const, 'length' as const, 'zeros' as const),
      at: fc.nat({ max: 400 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('fail' as const),
      call: fc.constantFrom<FaultyCall>('write', 'dataSync', 'rename', 'syncDirectory', 'create'),
      times: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill' as const), seed: fc.nat({ max: 1000 }) }) },
);

/** A live message. */
interface Known {
  readonly key: string;
  readonly hex: string;
  readonly sequence: number;
  /** When it was appended, which may have been before the last start. */
  readonly order: number;
  offset: StoreOffset;
}

interface Reader {
  readonly cursor: StoreCursor;
  /** Tombstones from here on must be seen. */
  readonly since: number;
  /** Records from here on must be seen. */
  readonly from: number;
  last: number;
  readonly seen: Set<number>;
}

const scidOf = (number: number): string => {
  const scid = (BigInt(FIRST_SCID + number) << 40n) | (1n << 16n);
  return scid.toString(16).padStart(16, '0');
};
const channelKey = (number: number): string => `channel ${scidOf(number)}`;
const updateKey = (number: number, direction: 0 | 1): string => `update ${scidOf(number)} ${direction}`;
const dyingKey = (number: number): string => `dying ${scidOf(number)}`;
const nodeKey = (number: number): string => `node 02${number.toString(16).padStart(64, '0')}`;
const channelOf = (key: string): string => `channel ${key.split(' ')[1]}`;

class Model {
  folder = new MemoryFolder();
  bench: Bench = this.#newBench();
  store!: GossipStore;
  live = new Map<string, Known>();
  /** Of what a sync has confirmed. */
  durable = new Map<string, Known>();
  /** Older announcements of nodes that a crash has left live. */
  readonly stale = new Set<string>();
  /** The last time that each message was appended. */
  readonly orders = new Map<string, number>();
  readonly tombstones: Known[] = [];
  /** Keys of what was removed since `durable` was confirmed. */
  readonly removed = new Set<string>();
  /** Keys of what was hit on the disk since `durable` was confirmed, also where it has been replaced or removed since. */
  hit = new Set<string>();
  /** Keys of what was hit on the disk. */
  readonly damaged = new Set<string>();
  readers: Reader[] = [];
  second = 1_700_000_000;
  sequence = 0;
  areCallsFailing = false;

  #newBench(): Bench {
    return benchOn(this.folder, { upkeepMs: 1000, onRelocate: (translate) => this.#relocate(translate) });
  }

  /** Opens what is in the folder; returns what the load showed, in order. */
  async open(): Promise<Known[]> {
    this.bench = this.#newBench();
    this.readers = [];
    this.tombstones.length = 0;
    this.stale.clear();
    const shown = new Map<string, Known>();
    this.live = shown;
    this.store = await this.bench.open((record) => {
      const message = record.bytes.subarray(record.at, record.at + record.length);
      const { type, key, about } = typeAndMessage(message);
      if (type === 4107 || type === 4101) return;
      if (type === 4103) {
        for (const other of [...shown.keys()]) if (other.split(' ')[1] === about) shown.delete(other);
        return;
      }
      // Of two announcements of a node both stay, until the file is written anew without the older one or it is replaced.
      if (type === 257 && shown.has(key)) this.stale.add(shown.get(key)?.hex ?? '');
      shown.delete(key);
      shown.set(key, {
        key,
        hex: toHex(message),
        sequence: ++this.sequence,
        order: this.orders.get(toHex(message)) ?? 0,
        offset: record.offset,
      });
    });
    return [...shown.values()];
  }

  append(accepted: Accepted): void {
    this.store.append(accepted, ({ bytes, at, length, offset }) => {
      const message = bytes.subarray(at, at + length);
      const { type, key } = typeAndMessage(message);
      if (type === 4101) return;
      const hex = toHex(message);
      const sequence = ++this.sequence;
      this.orders.set(hex, sequence);
      const known = { key, hex, sequence, order: sequence, offset };
      if (type === 4103) this.tombstones.push(known);
      else {
        this.live.delete(key);
        this.live.set(key, known);
        this.damaged.delete(key);
      }
    });
  }

  offsetOf(key: string): StoreOffset | undefined {
    return this.live.get(key)?.offset;
  }

  confirm(durable: Map<string, Known>): void {
    this.durable = durable;
    this.hit = new Set(this.damaged);
    this.removed.clear();
  }

  /** What hangs on what was hit: a channel's updates go with its announcement. */
  isExempt(key: string): boolean {
    return this.damaged.has(key) || (key.startsWith('update') && this.damaged.has(channelOf(key)));
  }

  #relocate(translate: Translate): StoreOffset[] {
    const orphans: StoreOffset[] = [];
    for (const known of this.tombstones) known.offset = translate(known.offset);
    for (const known of [...this.live.values()]) {
      const offset = translate(known.offset);
      const isLost = offset === 0;
      assert.ok(!isLost || this.damaged.has(known.key), `${known.key} was left behind`);
      known.offset = offset;
      // What is in the new file is sound.
      this.damaged.delete(known.key);
      if (isLost) this.live.delete(known.key);
    }
    for (const [key, { offset }] of [...this.live]) {
      if (!key.startsWith('update') || this.live.has(channelOf(key))) continue;
      orphans.push(offset);
      this.live.delete(key);
    }
    return orphans;
  }
}

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 60; turn++) await Promise.resolve();
};

const advance = async ({ bench }: Model, ms: number): Promise<void> => {
  for (let passed = 0; passed <= ms; passed += 4000) {
    bench.clock.advance(Math.min(4000, ms - passed));
    await settle();
  }
};

const change = (model: Model, each: Action): void => {
  const { live } = model;
  if (!('number' in each)) return;
  const { number } = each;
  const timestamp = ++model.second;
  const announcement = model.offsetOf(channelKey(number));
  switch (each.do) {
    case 'channel':
      if (announcement === undefined) model.append(acceptedChannel(number, BigInt(timestamp)));
      return;
    case 'update': {
      if (announcement === undefined) return;
      const isFirst = ![0, 1].some((direction) => live.has(updateKey(number, direction as 0 | 1)));
      const replaces = model.offsetOf(updateKey(number, each.direction));
      model.append(
        acceptedUpdate(number, each.direction, timestamp, replaces, isFirst ? announcement : undefined),
      );
      return;
    }
    case 'node':
      if (live.has(channelKey(number >> 1)))
        model.append(acceptedNode(number, timestamp, model.offsetOf(nodeKey(number))));
      return;
    case 'dying': {
      const marked = [channelKey(number), updateKey(number, 0), updateKey(number, 1)];
      if (announcement === undefined || live.has(dyingKey(number))) return;
      model.append(
        acceptedDying(
          number,
          800_000,
          marked.flatMap((key) => model.offsetOf(key) ?? []),
        ),
      );
      return;
    }
    case 'remove': {
      if (announcement === undefined) return;
      const keys = [channelKey(number), updateKey(number, 0), updateKey(number, 1), dyingKey(number)];
      const gone = [...keys, nodeKey(2 * number), nodeKey(2 * number + 1)];
      const remove = gone.flatMap((key) => model.offsetOf(key) ?? []);
      for (const key of gone) {
        live.delete(key);
        model.damaged.delete(key);
        model.removed.add(key);
      }
      model.append(acceptedRemoval(number, remove));
    }
  }
};

const read = (model: Model, reader: Reader, count: number): void => {
  for (let left = count; left > 0; left--) {
    const record = reader.cursor.next();
    if (record === undefined) return;
    const message = record.bytes.subarray(record.at, record.at + record.length);
    const { type, key } = typeAndMessage(message);
    if (type === 4101 || type === 4107) continue;
    const hex = toHex(message);
    const known =
      type === 4103 ? model.tombstones.find(({ offset }) => offset === record.offset) : model.live.get(key);
    // An older announcement of a node, or a removal from before the last start.
    if (model.stale.has(hex) || (type === 4103 && known === undefined)) continue;
    assert.equal(known?.hex, hex, `${key} is not live, and was read`);
    assert.equal(record.offset, known.offset, `${key} has moved`);
    assert.ok(known.sequence > reader.last, `${key} comes twice, or out of order`);
    reader.last = known.sequence;
    reader.seen.add(known.sequence);
  }
};

/** Reads to the end of what is published, after which nothing live may have been missed. */
const readAll = (model: Model, reader: Reader): void => {
  read(model, reader, Number.POSITIVE_INFINITY);
  if (reader.cursor.lagBytes() > 0) return;
  const wanted = [
    ...[...model.live.values()].filter(({ sequence }) => sequence >= reader.from),
    ...model.tombstones.filter(({ sequence }) => sequence >= reader.since),
  ];
  for (const { key, sequence, offset } of wanted)
    if (offset < model.store.publishedBytes && !model.isExempt(key))
      assert.ok(reader.seen.has(sequence), `a cursor has missed ${key}`);
};

const assertReadable = (model: Model): void => {
  for (const { key, hex, offset } of model.live.values()) {
    const message = model.store.readMessage(offset);
    if (message === undefined) assert.ok(model.damaged.has(key), `${key} cannot be read`);
    else assert.equal(toHex(message), hex, key);
  }
};

/** The disk is well, and time passes. */
const rest = async (model: Model): Promise<void> => {
  const { store, folder } = model;
  folder.heal();
  model.areCallsFailing = false;
  const isQuiet = (): boolean =>
    store.state === 'ok' &&
    store.durableBytes === store.publishedBytes + store.pendingBytes &&
    model.damaged.size === 0;
  // Attempts that failed are repeated after a minute at most, a compaction after an hour.
  for (let turn = 0; turn < 3 || (turn < 40 && !isQuiet()); turn++) {
    model.bench.clock.advance(5000);
    await settle();
  }
  await store.sync();
  assert.deepEqual([store.state, store.stateReason, store.pendingBytes], ['ok', undefined, 0]);
  assert.equal(store.durableBytes, store.publishedBytes);
  assert.equal(model.damaged.size, 0, `found by itself: ${[...model.damaged].join(', ')}`);
  assertReadable(model);
  for (const reader of model.readers) readAll(model, reader);
  assertFile(model, folder.contents(NAME).subarray(0, store.publishedBytes));
  model.confirm(new Map(model.live));
};

const assertFile = ({ live, store, stale }: Model, bytes: Uint8Array): void => {
  const view = readAsCln(bytes);
  assert.equal(view.end, bytes.length);
  const found = liveIn(bytes).filter(({ type, hex }) => type !== 4101 && type !== 4103 && !stale.has(hex));
  assert.deepEqual(
    found.map(({ hex }) => hex),
    [...live.values()].map(({ hex }) => hex),
    'the file holds what is live, in order',
  );
  let dead = 0;
  for (let position = 1; position < bytes.length; ) {
    const size = 12 + readU16(bytes, position + 2);
    if ((readU16(bytes, position) & 0x8000) !== 0) dead += size;
    position += size;
  }
  assert.equal(store.deadBytes, dead, 'dead bytes');
};

const damage = (model: Model, { which, how, at }: Extract<Action, { do: 'damage' }>): void => {
  const { store, folder } = model;
  const candidates = [...model.live.values()].filter(({ offset }) => offset < store.durableBytes);
  const hit = candidates[which % Math.max(1, candidates.length)];
  if (hit === undefined || model.areCallsFailing || store.state !== 'ok') return;
  const file = folder.open(NAME, 'write');
  const length = hit.hex.length / 2;
  const before = new Uint8Array(length);
  file.read(before, 0, length, hit.offset);
  if (how === 'zeros') file.write(new Uint8Array(12 + length), hit.offset - 12);
  else if (how === 'length') file.write(Uint8Array.of(at & 0xff, (at * 7) & 0xff), hit.offset - 10);
  else file.write(Uint8Array.of((before[at % length] as number) ^ 0x5a), hit.offset + (at % length));
  model.damaged.add(hit.key);
  model.hit.add(hit.key);
};

const kill = async (model: Model, seed: number): Promise<void> => {
  const { fraction } = seededRng(seed);
  const { durable } = model;
  const names = Math.floor(fraction() * (model.folder.unsyncedNames + 1));
  const fate = ({ length }: { length: number }): number => {
    const choice = fraction();
    return choice < 0.5 ? length : choice < 0.8 ? 0 : Math.floor(fraction() * (length + 1));
  };
  model.folder = seed % 3 === 0 ? model.folder.crash() : model.folder.crash({ fate, names });
  model.areCallsFailing = false;
  await model.open();
  for (const [key, { hex, order }] of durable) {
    if (model.hit.has(key) || (key.startsWith('update') && model.hit.has(channelOf(key)))) continue;
    const found = model.live.get(key);
    if (found?.hex === hex) continue;
    const isNewer = found !== undefined && found.order > order;
    assert.ok(isNewer || model.removed.has(key), `${key} was durable and is gone`);
  }
  model.damaged.clear();
  await rest(model);
};

const reopen = async (model: Model): Promise<void> => {
  await rest(model);
  const before = [...model.live.values()].map(({ hex }) => hex);
  // An older announcement of a node counts again where the newer one was lost.
  const stale = new Set(model.stale);
  await model.store.close();
  const after = (await model.open()).filter(({ hex }) => !stale.has(hex));
  assert.deepEqual(
    after.map(({ hex }) => hex),
    before,
    'a clean stop loses nothing',
  );
  assert.deepEqual([model.store.loadReport.rewritten, model.store.loadReport.dropped], [undefined, {}]);
};

const openCursor = (model: Model, from: 'start' | 'end' | number): void => {
  const { store } = model;
  // What waits in memory comes behind the end.
  store.flush();
  if (store.pendingBytes > 0) return;
  const since = model.sequence + 1;
  const published = [...model.live.values()].filter(({ offset }) => offset < store.publishedBytes);
  const first = typeof from === 'number' ? published[from % Math.max(1, published.length)] : undefined;
  const cursor = store.cursor(first?.offset ?? (from === 'end' ? 'end' : 'start'));
  const start = first?.sequence ?? (from === 'end' ? since : 0);
  model.readers.push({
    cursor,
    since,
    from: start,
    last: start - 1,
    seen: new Set(),
  });
};

const run = async (actions: readonly Action[]): Promise<void> => {
  const model = new Model();
  await model.open();
  for (const each of actions) {
    switch (each.do) {
      case 'channel':
      case 'update':
      case 'node':
      case 'dying':
      case 'remove':
        change(model, each);
        break;
      case 'flush':
        model.store.flush();
        break;
      case 'sync': {
        const before = new Map(model.live);
        const generation = model.store.generation;
        await model.store.sync();
        const { store } = model;
        if (
          store.durableBytes === store.publishedBytes &&
          store.pendingBytes === 0 &&
          store.generation === generation
        )
          model.confirm(before);
        break;
      }
      case 'compact':
        model.store.compact();
        break;
      case 'heal':
        model.folder.heal();
        model.areCallsFailing = false;
        break;
      case 'rest':
        await rest(model);
        break;
      case 'reopen':
        await reopen(model);
        break;
      case 'advance':
        await advance(model, each.ms);
        break;
      case 'open':
        if (model.readers.length < 4) openCursor(model, each.from);
        break;
      case 'read': {
        const reader = model.readers[each.cursor];
        if (reader !== undefined && each.count === 9) readAll(model, reader);
        else if (reader !== undefined) read(model, reader, each.count);
        break;
      }
      case 'close':
        model.readers[each.cursor]?.cursor.close();
        model.readers = model.readers.filter((_, index) => index !== each.cursor);
        break;
      case 'damage':
        damage(model, each);
        break;
      case 'fail':
        model.folder.fail(each.call, each.call === 'write' ? 'disk_full' : 'disk_error', each.times);
        model.areCallsFailing = true;
        break;
      case 'kill':
        await kill(model, each.seed);
        break;
    }
    assertReadable(model);
    await settle();
  }
  await reopen(model);
  const broken = model.bench.lines.filter(({ level }) => level === 'broken');
  assert.deepEqual(broken, []);
  await model.store.close();
};

/** Random lists of actions, shortened when one fails. Throws with the list. */
export const runModel = (seed: number, runs: number): Promise<void> =>
  fc.assert(fc.asyncProperty(fc.array(action, { minLength: 20, maxLength: 90, size: 'max' }), run), {
    ...{ seed, numRuns: runs },
  });
