/**
 * Drives a store over a simulated disk, cuts the power, and examines what is found. The sweeps differ in where they stop and in
 * what they keep; store_crash.test runs them short, store_crash.long.test at length.
 */
import assert from 'node:assert/strict';
import { toHex } from '../../src/base/bytes.ts';
import { seededRng } from '../../src/base/rng.ts';
import type { ManualClock } from '../../src/base/time.ts';
import type { Accepted } from '../../src/store/accepted.ts';
import type { GossipStore, Translate } from '../../src/store/gossip_store.ts';
import { MemoryFolder } from '../../src/store/memory_folder.test.support.ts';
import {
  acceptedChannel,
  acceptedDying,
  acceptedNode,
  acceptedRemoval,
  acceptedUpdate,
  announcementOf,
  benchOn,
} from '../../src/store/store_samples.test.support.ts';
import { MESSAGE_TYPE } from '../../src/wire/message_types.ts';
import {
  GOSSIP_STORE_CHANNEL_AMOUNT,
  type StoreOffset,
  type StoreRecord,
} from '../../src/wire/store_record.ts';
import { readAsCln } from '../conformance/cln_reader.ts';

const CHANNELS = 5;
/** Type of delete_chan, in hex. */
const TOMBSTONE = '1007';

/** What the driver believes is in the store, by a key that a newer message of the same subject shares. */
type Belief = Map<string, { readonly hex: string; readonly offset: StoreOffset }>;

interface Driver {
  believed: Belief;
  /** What the last completed sync had confirmed. */
  durable: Belief;
  /** Channels removed since the last completed sync: a tombstone that nobody needs may be gone with them. */
  readonly removedSince: Set<number>;
  /** Every key that ever was in `believed`. */
  readonly everKeys: Set<string>;
  /** Every message ever appended, in hex. */
  readonly everything: Set<string>;
}

const keyOfChannel = (channel: number): string => `channel ${channel}`;

/** Appends one random accepted thing, as ingest would, and keeps the belief. */
const act = (store: GossipStore, driver: Driver, draw: () => number, clockSecond: number): void => {
  const { believed } = driver;
  const channel = Math.floor(draw() * CHANNELS);
  const known = believed.get(keyOfChannel(channel));
  const append = (key: string, accepted: Accepted & { raw?: Uint8Array }): void => {
    let hex = '';
    const offset = store.append(accepted, (record) => {
      const text = toHex(record.bytes, record.at, record.at + record.length);
      driver.everything.add(text);
      if (hex === '') hex = text;
    });
    believed.set(key, { hex, offset });
    driver.everKeys.add(key);
  };
  if (known === undefined) {
    append(keyOfChannel(channel), acceptedChannel(channel, BigInt(1000 + clockSecond)));
    return;
  }
  const updates = [believed.get(`update ${channel} 0`), believed.get(`update ${channel} 1`)];
  const choice = draw();
  if (choice < 0.5) {
    const direction = draw() < 0.5 ? 0 : 1;
    const first = updates[0] === undefined && updates[1] === undefined;
    append(
      `update ${channel} ${direction}`,
      acceptedUpdate(
        channel,
        direction,
        clockSecond,
        updates[direction]?.offset,
        first ? known.offset : undefined,
      ),
    );
  } else if (choice < 0.75) {
    const node = 2 * channel;
    const key = `node ${node}`;
    append(key, acceptedNode(node, clockSecond, believed.get(key)?.offset));
  } else {
    const offsets = [known, ...updates].flatMap((entry) => (entry === undefined ? [] : [entry.offset]));
    if (choice < 0.88) {
      append(`dying ${channel}`, acceptedDying(channel, clockSecond, offsets));
    } else {
      const node = believed.get(`node ${2 * channel}`);
      const remove = node === undefined ? offsets : [...offsets, node.offset];
      append(`removed ${channel}`, acceptedRemoval(channel, remove));
      driver.removedSince.add(channel);
      for (const key of [
        keyOfChannel(channel),
        `update ${channel} 0`,
        `update ${channel} 1`,
        `node ${2 * channel}`,
      ]) {
        believed.delete(key);
      }
    }
  }
};

/** The offsets of a belief after the file got a successor; what is not in it is an error. */
const relocated = (belief: Belief, translate: Translate): Belief =>
  new Map(
    [...belief].flatMap(([key, { hex, offset }]) => {
      const moved = translate(offset);
      assert.ok(moved !== 0 || hex.startsWith(TOMBSTONE), `${key} is not in the new file`);
      return moved === 0 ? [] : [[key, { hex, offset: moved }]];
    }),
  );

/** Lets a background compaction go on. */
const turns = async (clock: ManualClock, count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) {
    clock.advance(0);
    for (let step = 0; step < 4; step++) await Promise.resolve();
  }
};

/** Opens a store, does `steps` things to it with flushes and syncs in between, and leaves it as it is then. */
const drive = async (
  folder: MemoryFolder,
  seed: number,
  steps: number,
  compacts = false,
): Promise<Driver> => {
  const driver: Driver = {
    believed: new Map(),
    durable: new Map(),
    removedSince: new Set(),
    everKeys: new Set(),
    everything: new Set(),
  };
  const rng = seededRng(seed);
  const { open, clock } = benchOn(folder, {
    onRelocate: (translate) => {
      driver.believed = relocated(driver.believed, translate);
      return [];
    },
  });
  let store: GossipStore;
  try {
    store = await open();
  } catch (error) {
    assert.ok(folder.stopped, `only a stop may keep the store from opening: ${String(error)}`);
    return driver;
  }
  for (let step = 0; step < steps && !folder.stopped; step++) {
    act(store, driver, rng.fraction, 1_700_000_000 + step);
    const choice = rng.fraction();
    if (choice < 0.35) clock.advance(0);
    else if (choice < 0.5) {
      const before = new Map(driver.believed);
      await store.sync();
      if (!folder.stopped && store.durableBytes === store.publishedBytes) {
        driver.durable = before;
        driver.removedSince.clear();
      }
    } else if (compacts && choice < 0.65) {
      store.compact();
      await turns(clock, Math.floor(rng.fraction() * 12));
    }
  }
  return driver;
};

const seen = async (folder: MemoryFolder): Promise<{ hexes: string[]; store: GossipStore }> => {
  const hexes: string[] = [];
  let previous = 0;
  const store = await benchOn(folder).open((record: StoreRecord) => {
    if (previous === MESSAGE_TYPE.channel_announcement)
      assert.equal(record.type, GOSSIP_STORE_CHANNEL_AMOUNT);
    previous = record.type;
    hexes.push(toHex(record.bytes, record.at, record.at + record.length));
  });
  assert.notEqual(previous, MESSAGE_TYPE.channel_announcement, 'an announcement without its amount');
  return { hexes, store };
};

/** A newer message on the same subject, or its removal, may stand in for a durable one. */
const isSuperseded = (hex: string, driver: Driver, hexes: Set<string>): boolean => {
  // The visitor is shown old and new in file order; only what is nowhere at all counts as lost.
  const subject = subjectOf(hex);
  for (const other of driver.everything) {
    if (other !== hex && hexes.has(other) && subjectOf(other) === subject) return true;
  }
  const channel = subject.split(' ')[1];
  return [...hexes].some(
    (other) => other.startsWith('1007') && (subject.startsWith('node') || other.slice(4, 20) === channel),
  );
};

/**
 * A rewrite leaves tombstones and notes on dying channels behind with the channel: they may go when the channel is not there,
 * or was announced anew after it had been removed.
 */
const isAboutNothing = (key: string, hexes: Set<string>, driver: Driver): boolean => {
  const { everKeys, believed } = driver;
  const [what, channel] = key.split(' ');
  const owner = what === 'node' ? Number(channel) / 2 : Number(channel);
  if (driver.removedSince.has(owner)) return true;
  if (what !== 'removed' && !(what === 'dying' && everKeys.has(`removed ${channel}`))) return false;
  if (believed.has(`channel ${channel}`)) return true;
  const scid = toHex(announcementOf(Number(channel)), 292, 300);
  return ![...hexes].some((other) => other.startsWith('0100') && other.slice(584, 600) === scid);
};

const subjectOf = (hex: string): string => {
  switch (hex.slice(0, 4)) {
    case '0100':
      return `channel ${hex.slice(584, 600)}`;
    case '0102':
      return `update ${hex.slice(196, 212)} ${Number.parseInt(hex.slice(222, 224), 16) & 1}`;
    case '0101':
      return `node ${hex.slice(144, 210)}`;
    case '100a':
      return `dying ${hex.slice(4, 20)}`;
  }
  return `other ${hex.slice(4, 20)}`;
};

/** Opens what a crash left and checks every promise. */
const examine = async (folder: MemoryFolder, driver: Driver, what: string): Promise<void> => {
  const { hexes, store } = await seen(folder);
  const set = new Set(hexes);
  for (const hex of set) {
    if (hex.startsWith('100b') || hex.startsWith('1005')) continue;
    assert.ok(driver.everything.has(hex), `${what}: a record that nobody appended`);
  }
  for (const [key, { hex }] of driver.durable) {
    assert.ok(
      set.has(hex) || isSuperseded(hex, driver, set) || isAboutNothing(key, set, driver),
      `${what}: ${key} was durable and is gone`,
    );
  }
  assert.equal(store.state, 'ok', what);
  await store.close();
  const view = readAsCln(folder.contents('gossip_store'));
  assert.equal(view.end, folder.contents('gossip_store').length);
  const again = await seen(folder);
  assert.equal(again.store.loadReport.rewritten, undefined, `${what}: one repair is enough`);
  assert.deepEqual(again.store.loadReport.dropped, {}, `${what}: one repair is enough`);
  await again.store.close();
};

const drawFate =
  (fraction: () => number) =>
  ({ length }: { length: number }): number => {
    const choice = fraction();
    if (choice < 0.4) return length;
    return choice < 0.75 ? 0 : Math.floor(fraction() * (length + 1));
  };

/** Shuffles the order in which surviving writes reach the disk. */
const shuffle =
  (fraction: () => number) =>
  <T>(items: T[]): T[] => {
    for (let last = items.length - 1; last > 0; last--) {
      const other = Math.floor(fraction() * (last + 1));
      [items[last], items[other]] = [items[other] as T, items[last] as T];
    }
    return items;
  };

/**
 * A stop at every operation, then a power cut with any subset of the unsynced writes; with compactions among what is done, if
 * asked for. Returns how many were examined.
 */
export const stopEverywhere = async (seeds: number, compacts = false): Promise<number> => {
  let images = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    const whole = new MemoryFolder();
    await drive(whole, seed, 40, compacts);
    for (let stopAt = 0; stopAt <= whole.operations; stopAt++) {
      const folder = new MemoryFolder();
      folder.stopAfter(stopAt, Math.floor(seededRng(stopAt).fraction() * 200));
      const driver = await drive(folder, seed, 40, compacts);
      const draw = seededRng(seed * 1000 + stopAt).fraction;
      const names = Math.floor(draw() * (folder.unsyncedNames + 1));
      const cuts = [
        folder.crash(),
        folder.crash({ fate: () => 0, names }),
        folder.crash({ fate: drawFate(draw), names }),
        folder.crash({ fate: drawFate(draw) }),
      ];
      for (const [index, cut] of cuts.entries()) {
        await examine(cut, driver, `seed ${seed}, operation ${stopAt}, cut ${index}`);
        images++;
      }
    }
  }
  return images;
};

/** A write torn at every byte. */
export const tearEverywhere = async (everyByte: boolean): Promise<void> => {
  const whole = new MemoryFolder();
  await drive(whole, 77, 14);
  for (let stopAt = 0; stopAt < whole.operations; stopAt++) {
    for (let torn = 0; ; torn += torn < 32 || everyByte ? 1 : 37) {
      const folder = new MemoryFolder();
      folder.stopAfter(stopAt, torn);
      const before = folder.operations;
      const driver = await drive(folder, 77, 14);
      await examine(folder.crash(), driver, `operation ${before + stopAt} torn after ${torn} bytes`);
      if (torn >= lastWriteLength(folder)) break;
    }
  }
};

/** Upper bound of a write's length: no batch of 14 steps is longer than the file. */
const lastWriteLength = (folder: MemoryFolder): number =>
  folder.exists('gossip_store') ? folder.contents('gossip_store').length : 60;

/** Surviving writes that reach the disk in another order. */
export const reorderWrites = async (seeds: number): Promise<void> => {
  for (let seed = 100; seed < 100 + seeds; seed++) {
    const folder = new MemoryFolder();
    const driver = await drive(folder, seed, 25);
    const draw = seededRng(seed).fraction;
    const cut = folder.crash({ fate: drawFate(draw), reorder: shuffle(draw) });
    await examine(cut, driver, `seed ${seed}`);
  }
};

/** A crash while the store repairs itself after a crash. */
export const crashDuringRepair = async (seeds: number): Promise<void> => {
  for (let seed = 300; seed < 300 + seeds; seed++) {
    const first = new MemoryFolder();
    const driver = await drive(first, seed, 25);
    const draw = seededRng(seed).fraction;
    const found = first.crash({ fate: drawFate(draw) });
    for (let stopAt = 0; stopAt < 14; stopAt++) {
      const again = found.crash();
      again.stopAfter(stopAt, Math.floor(draw() * 60));
      try {
        await benchOn(again).open();
      } catch (error) {
        assert.ok(again.stopped, String(error));
      }
      const names = Math.floor(draw() * (again.unsyncedNames + 1));
      await examine(
        again.crash({ fate: drawFate(draw), names }),
        driver,
        `seed ${seed}, repair stopped at ${stopAt}`,
      );
    }
  }
};

/** Failing syncs and a full disk confirm nothing that a power cut can take. */
export const failingDisk = async (seeds: number): Promise<void> => {
  for (let seed = 500; seed < 500 + seeds; seed++) {
    const folder = new MemoryFolder();
    const { open, clock } = benchOn(folder);
    const store = await open();
    const driver: Driver = {
      believed: new Map(),
      durable: new Map(),
      removedSince: new Set(),
      everKeys: new Set(),
      everything: new Set(),
    };
    const draw = seededRng(seed).fraction;
    for (let step = 0; step < 30; step++) {
      act(store, driver, draw, 1_700_000_000 + step);
      const choice = draw();
      if (choice < 0.1) folder.fail('dataSync', 'disk_error', 1);
      else if (choice < 0.2) folder.fail('write', 'disk_full', 2);
      else if (choice < 0.4) clock.advance(2000);
      else if (choice < 0.7) {
        const before = new Map(driver.believed);
        await store.sync();
        if (store.pendingBytes === 0 && store.durableBytes === store.publishedBytes) driver.durable = before;
      }
      readAsCln(folder.contents('gossip_store'), { strict: false });
    }
    folder.heal();
    await examine(folder.crash({ fate: drawFate(draw) }), driver, `seed ${seed}`);
  }
};

/** A killed process, another one in its place, then a power cut. */
export const killThenCut = async (seeds: number): Promise<void> => {
  for (let seed = 1000; seed < 1000 + seeds; seed++) {
    const folder = new MemoryFolder();
    const draw = seededRng(seed).fraction;
    folder.stopAfter(Math.floor(draw() * draw() * 70), Math.floor(draw() * 600));
    const driver = await drive(folder, seed, 40);
    folder.restart();
    folder.stopAfter(Math.floor(draw() * 20));
    try {
      const store = await benchOn(folder).open();
      const added: Belief = new Map();
      const offset = store.append(acceptedNode(1000, 1_800_000_000), (record) => {
        const hex = toHex(record.bytes, record.at, record.at + record.length);
        driver.everything.add(hex);
        added.set('node 1000', { hex, offset: record.offset });
      });
      await store.sync();
      if (store.durableBytes > offset) driver.durable = new Map([...driver.durable, ...added]);
    } catch (error) {
      assert.ok(folder.stopped, String(error));
    }
    const names = Math.floor(draw() * (folder.unsyncedNames + 1));
    await examine(folder.crash({ fate: drawFate(draw), names }), driver, `seed ${seed}`);
  }
};

/** CLN can read the file at every instant, in the middle of a batch too. */
export const readAtEveryInstant = async (seeds: number): Promise<void> => {
  for (let seed = 9; seed < 9 + seeds; seed++) {
    const whole = new MemoryFolder();
    await drive(whole, seed, 60);
    for (let stopAt = 4; stopAt <= whole.operations; stopAt++) {
      // From 9 bytes on: the shorter writes, of flags and header timestamps, are not seen half done.
      for (const torn of [0, 9, 12, 13, 100, 446, 600]) {
        const folder = new MemoryFolder();
        folder.stopAfter(stopAt, torn);
        await drive(folder, seed, 60);
        if (folder.exists('gossip_store')) readAsCln(folder.contents('gossip_store'), { strict: false });
      }
    }
  }
};
