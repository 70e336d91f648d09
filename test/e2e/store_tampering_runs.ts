/** What can be done to a store while the daemon runs, or between two runs of it, and what must come of each. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  append,
  cut,
  flipBit,
  withFlags,
  withLength,
  withVersion,
} from '../../src/store/damaged_stores.test.support.ts';
import {
  type FaultNetwork,
  type FaultyDaemon,
  outside,
  type SmallDisk,
  untilFullOfMemory,
} from './store_faults_runs.ts';

export interface Tampering {
  readonly name: string;
  /** A command of another process. @param path of the store @param map path of another store */
  readonly command: (path: string, map: string) => readonly [string, ...string[]];
  readonly says: RegExp;
}

/** Whoever writes on behind the cut leaves zeros in front of it: then it is damage. */
const CUT = /somebody has cut the store file short|the store is damaged at offset/;

export const TAMPERINGS: readonly Tampering[] = [
  {
    name: 'removed',
    command: (path) => ['rm', path],
    says: /the store file was removed/,
  },
  {
    name: 'replaced by another store',
    command: (path, map) => ['sh', '-c', `cp ${map} ${path}.other && mv ${path}.other ${path}`],
    says: /another file has taken the place of the store/,
  },
  {
    name: 'replaced by something else',
    command: (path) => ['sh', '-c', `echo hello > ${path}.other && mv ${path}.other ${path}`],
    says: /another file has taken the place of the store/,
  },
  {
    name: 'truncated to a third',
    command: (path) => ['truncate', '-s', String(Math.floor(statSync(path).size / 3)), path],
    says: CUT,
  },
  {
    name: 'truncated to nothing',
    command: (path) => ['truncate', '-s', '0', path],
    says: CUT,
  },
  {
    name: 'appended to',
    command: (path) => ['sh', '-c', `head -c 1000000 /dev/urandom >> ${path}`],
    says: /somebody else has written to the store file/,
  },
];

/** Harms the file, and waits until it is whole again in the same process. @param isQuiet nothing is written meanwhile. What was said of it: see `assertTold`. */
export const tamper = async (
  network: FaultNetwork,
  daemon: FaultyDaemon,
  { name, command }: Tampering,
  isQuiet = true,
): Promise<void> => {
  const { store } = isQuiet ? await daemon.untilWritten() : await daemon.status();
  const [program, ...args] = command(daemon.store, network.map.storePath);
  outside(program, args);
  await daemon.until(
    `a new file after it was ${name}`,
    ({ store: { rewrites } }) => rewrites > store.rewrites,
  );
  await network.untilAll(daemon, `whole again after it was ${name}`);
  if (isQuiet) await assertWritten(network, daemon);
};

const assertWritten = async (network: FaultNetwork, daemon: FaultyDaemon): Promise<void> => {
  await daemon.untilWritten();
  network.assertWhole(readFileSync(daemon.store), false);
};

/** Each was told when it began; the same again within seconds is only counted. @param log of a daemon that has ended */
export const assertTold = (log: string, tamperings: readonly Tampering[]): void => {
  for (const { says } of tamperings) {
    const line = log.split('\n').find((text) => says.test(text));
    assert.ok(line !== undefined, `${says} in\n${log}`);
    assert.match(line, /no funds are in this file/);
  }
  assert.match(log, /the store has a sound file again/);
};

/** As a person would who moves the wrong folder, and notices. */
export const takeFolderAway = async (
  network: FaultNetwork,
  daemon: FaultyDaemon,
  isQuiet = true,
): Promise<void> => {
  const away = `${daemon.folder}.away`;
  renameSync(daemon.folder, away);
  const gone = await daemon.until('the folder is missed', ({ store }) => store.state === 'degraded');
  assert.match(gone.store.reason, /folder of the store is gone/);
  assert.ok(network.hasAll(gone));
  renameSync(away, daemon.folder);
  await network.untilAll(daemon, 'the folder is back');
  if (isQuiet) await assertWritten(network, daemon);
};

/** A disk that is full because of the store itself, then because of somebody else. @param disk too small for the map */
export const smallDiskRuns = async (network: FaultNetwork, disk: SmallDisk): Promise<void> => {
  const folder = join(disk.path, 'data');
  const first = await network.start({ folder });
  const full = await untilFullOfMemory(network, first);
  assert.match(full.store.reason, /no space left \(ENOSPC\)/);
  disk.resize('12m');
  await network.untilAll(first, 'the disk has room');
  await first.untilWritten();
  network.assertWhole(readFileSync(first.store));
  assert.equal((await first.stop()).code, 0);

  // The watch sees a disk that is nearly full before any write fails: it looks at once after a start.
  disk.fill(60_000);
  const second = await network.start({ folder, live: true });
  const held = await second.until('the watch holds writing back', ({ store }) => store.state === 'degraded');
  assert.match(held.store.reason, /bytes are free: the store takes nothing more to the disk/);
  await second.until(
    'the map goes on from memory',
    ({ verdicts }) => accepted(verdicts) > accepted(held.verdicts),
  );
  const { store } = await second.status();
  assert.deepEqual([store.state, store.bytes], ['degraded', held.store.bytes]);
  disk.resize('24m');
  await network.untilAll(second, 'the disk has room again');
  assert.match(second.log, /the disk has room again: the store goes on writing; nothing was lost/);
  await second.until('it writes again', ({ store }) => store.durable_bytes > held.store.bytes);
  assert.equal((await second.stop()).code, 0);
  network.assertWhole(readFileSync(second.store));
  await network.assertLoads(folder);
};

const accepted = (verdicts: Readonly<Record<string, number>>): number => verdicts['accepted'] ?? 0;

interface Place {
  /** Header position of a channel_update in the middle. */
  readonly middle: number;
  readonly middleLength: number;
  readonly last: number;
}

export interface Damage {
  readonly name: string;
  readonly damage: (store: Uint8Array, place: Place) => Uint8Array;
  /** What the log says; undefined for a store with nothing wrong. */
  readonly says: RegExp | undefined;
}

const DAMAGED = /UNUSUAL store: .*the store was damaged in 1 place.*No funds are in this file/;

/** What cost CLN v26.06.6 its whole map, or the reader its framing. */
export const DAMAGES: readonly Damage[] = [
  { name: 'no damage', damage: (store) => store, says: undefined },
  {
    name: 'one flipped bit in a message',
    damage: (store, { middle }) => flipBit(store, middle + 12 + 70, 0),
    says: DAMAGED,
  },
  {
    name: 'a last record without COMPLETED',
    damage: (store, { last }) => withFlags(store, last, 0),
    says: /the last batch of the store was written whole.*no funds are in this file/,
  },
  { name: 'its last 50 bytes missing', damage: (store) => cut(store, store.length - 50), says: DAMAGED },
  {
    name: 'one flipped bit in a length',
    damage: (store, { middle, middleLength }) => withLength(store, middle, middleLength ^ 4),
    says: DAMAGED,
  },
  {
    name: '4,096 zero bytes appended',
    damage: (store) => append(store, new Uint8Array(4096)),
    says: DAMAGED,
  },
  {
    name: 'version byte 0',
    damage: (store) => withVersion(store, 0),
    says: /UNUSUAL store: the first byte of the store.*No funds are in this file/,
  },
];

const placesIn = (store: Uint8Array): Place & { readonly records: number } => {
  const view = new DataView(store.buffer, store.byteOffset, store.byteLength);
  let [at, last, middle, records] = [1, 1, 0, 0];
  for (; at + 12 <= store.length; at += 12 + view.getUint16(at + 2)) {
    records++;
    last = at;
    if (middle === 0 && at > store.length / 2 && view.getUint16(at + 12) === 258) middle = at;
  }
  return { middle, middleLength: view.getUint16(middle + 2), last, records };
};

/** Starts on a damaged copy of the map's store. */
export const damagedStart = async (network: FaultNetwork, { name, damage, says }: Damage): Promise<void> => {
  const folder = network.house.path(name.replaceAll(/\W+/g, '_'));
  mkdirSync(folder, { recursive: true });
  copyFileSync(network.map.storePath, join(folder, 'gossip_store'));
  const sound = new Uint8Array(readFileSync(network.map.storePath));
  const places = placesIn(sound);
  writeFileSync(join(folder, 'gossip_store'), damage(sound, places));
  const daemon = await network.start({ folder });
  const status = await network.untilAll(daemon, 'complete');
  const records = Number(/store loaded records=(\d+)/.exec(daemon.log)?.[1]);
  assert.ok(records >= places.records - 1, `${records} of ${places.records} records`);
  assert.ok(status.loaded_channels >= network.map.channels - 1);
  const warnings = daemon.log.split('\n').filter((line) => /UNUSUAL|BROKEN/.test(line));
  if (says === undefined) assert.deepEqual(warnings, []);
  else assert.match(daemon.log, says);
  await daemon.untilWritten();
  network.assertWhole(readFileSync(daemon.store));
  assert.equal((await daemon.stop()).code, 0);
  const again = await network.start({ folder, alone: true });
  assert.ok(network.hasAll(await again.status()));
  assert.equal((await again.stop()).code, 0);
  assert.doesNotMatch(again.log, /UNUSUAL|BROKEN/, 'the second start finds nothing left to do');
};
