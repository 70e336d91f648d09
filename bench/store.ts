/**
 * How fast the store loads, appends, syncs and reads back.
 *
 * Takes the real map of 2026-02-03 from ../shared beside the repository, or makes one of the same size where that is absent.
 * Works in a temporary folder on the disk that holds the system's temporary files. Run by scripts/bench.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { silentLog } from '../src/base/log.ts';
import { silentMeter } from '../src/base/meter.ts';
import { seededRng } from '../src/base/rng.ts';
import type { Clock } from '../src/base/time.ts';
import { type Accepted, mintAccepted } from '../src/store/accepted.ts';
import { GossipStore } from '../src/store/gossip_store.ts';
import { scanStore } from '../src/store/scan.ts';
import { nodeStoreFolder, type StoreFolder } from '../src/store/store_file.ts';
import { acceptedChannel, announcementOf, updateOf } from '../src/store/store_samples.test.support.ts';
import { storeOffset } from '../src/wire/store_record.ts';

const CHANNELS = 50_808;
const ROUNDS = 9;
const APPENDS = 200_000;
const READS = 200_000;

interface Row {
  readonly measure: string;
  /** Median where there is more than one round. */
  readonly milliseconds: number;
  readonly records_per_second?: number;
  readonly megabytes_per_second?: number;
}

/** The real map beside a folder above this file, wherever it was compiled to. */
const packedMap = (): string | undefined => {
  for (
    let folder = dirname(fileURLToPath(import.meta.url));
    folder !== dirname(folder);
    folder = dirname(folder)
  ) {
    const path = join(folder, 'shared', 'data', 'gossip_store-2026-02-03-v16.xz');
    if (existsSync(path)) return path;
  }
  return undefined;
};

const machineClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, fire) => {
    const timer = setTimeout(fire, delayMs);
    return () => clearTimeout(timer);
  },
};

const open = (folder: StoreFolder, visit = (): void => {}): Promise<GossipStore> =>
  GossipStore.open(
    { folder, clock: machineClock, rng: seededRng(1), log: silentLog, meter: silentMeter },
    visit,
  );

const ignore = (): void => {};

const withFolder = async <T>(use: (path: string) => Promise<T>): Promise<T> => {
  const path = mkdtempSync(join(tmpdir(), 'gossipd-bench-'));
  try {
    return await use(path);
  } finally {
    rmSync(path, { recursive: true });
  }
};

/** Puts a map of mainnet's size into the folder and says which. */
const prepareMap = async (path: string): Promise<string> => {
  const packed = packedMap();
  if (packed !== undefined) {
    const { status, stdout } = spawnSync('xz', ['-dkc', packed], { maxBuffer: 64 * 1024 * 1024 });
    if (status === 0) {
      writeFileSync(join(path, 'gossip_store'), stdout);
      return 'mainnet 2026-02-03';
    }
  }
  const store = await open(nodeStoreFolder(path));
  for (let number = 0; number < CHANNELS; number++) {
    store.append(acceptedChannel(number), ignore);
    for (const direction of [0, 1] as const) store.append(update(number, direction), ignore);
  }
  await store.close();
  return 'generated, of mainnet size';
};

const update = (number: number, direction: 0 | 1): Accepted => {
  const timestamp = 1_700_000_000 + number;
  return mintAccepted({
    kind: 'channel_update',
    raw: updateOf(number, direction, timestamp),
    timestamp,
    replaces: undefined,
    announcement: undefined,
  });
};

const median = async (rounds: number, measure: () => Promise<void> | void): Promise<number> => {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const started = performance.now();
    await measure();
    times.push(performance.now() - started);
  }
  return times.sort((left, right) => left - right)[rounds >> 1] ?? Number.NaN;
};

const row = (measure: string, milliseconds: number, records: number, bytes?: number): Row => ({
  measure,
  milliseconds,
  records_per_second: (records / milliseconds) * 1000,
  ...(bytes === undefined ? {} : { megabytes_per_second: bytes / milliseconds / 1000 }),
});

const benchReading = (): Promise<Row[]> =>
  withFolder(async (path) => {
    const name = await prepareMap(path);
    const folder = nodeStoreFolder(path);
    const file = folder.open('gossip_store', 'read');
    const { records } = scanStore(file, ignore);
    const bytes = file.size();
    const rows = [
      row(`scan (${name})`, await median(ROUNDS, () => void scanStore(file, ignore)), records, bytes),
    ];
    file.close();
    const load = await median(ROUNDS, async () => {
      const store = await open(folder);
      await store.close();
    });
    rows.push(row('open with lock, load rules and sync, and close', load, records, bytes));
    const store = await open(folder);
    const offsets: number[] = [];
    const walk = await median(ROUNDS, () => {
      offsets.length = 0;
      const cursor = store.cursor('start');
      for (let record = cursor.next(); record !== undefined; record = cursor.next())
        offsets.push(record.offset);
    });
    rows.push(row('cursor from start to end', walk, records, bytes));
    const draw = seededRng(2).fraction;
    const reads = await median(1, () => {
      for (let count = 0; count < READS; count++) {
        store.readMessage(storeOffset(offsets[Math.floor(draw() * offsets.length)] ?? 13));
      }
    });
    rows.push(row('readMessage at random', reads, READS));
    await store.close();
    return rows;
  });

/** Appends in turns of `perTurn`, with a sync after every `turnsPerSync` turns (0: by the store's own timer). */
const benchAppend = (perTurn: number, turnsPerSync: number, appends: number): Promise<number> =>
  withFolder(async (path) => {
    const store = await open(nodeStoreFolder(path));
    const contents: Accepted[] = [];
    for (let number = 0; number < appends / 3; number++) {
      contents.push(
        mintAccepted({ kind: 'channel_announcement', raw: announcementOf(number), satoshis: 1_000_000n }),
        update(number, 0),
        update(number, 1),
      );
    }
    const started = performance.now();
    for (let index = 0, turn = 1; index < contents.length; index += perTurn, turn++) {
      for (const content of contents.slice(index, index + perTurn)) store.append(content, ignore);
      store.flush();
      if (turnsPerSync > 0 && turn % turnsPerSync === 0) await store.sync();
      else if (turn % 256 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await store.sync();
    const elapsed = performance.now() - started;
    await store.close();
    return elapsed;
  });

const benchReplace = (): Promise<number> =>
  withFolder(async (path) => {
    const store = await open(nodeStoreFolder(path));
    let replaces = store.append(update(0, 0), ignore);
    const started = performance.now();
    for (let count = 1; count <= APPENDS; count++) {
      const timestamp = 1_700_000_000 + count;
      const number = 0;
      const content = mintAccepted({
        kind: 'channel_update',
        raw: updateOf(number, 0, timestamp),
        timestamp,
        replaces,
        announcement: undefined,
      });
      replaces = store.append(content, ignore);
      if (count % 64 === 0) store.flush();
      if (count % 8192 === 0) await store.sync();
    }
    await store.close();
    return performance.now() - started;
  });

export const run = async (): Promise<Row[]> => [
  ...(await benchReading()),
  row('append, 64 in a turn, synced once a second', await benchAppend(64, 0, APPENDS), APPENDS),
  row('append, 1 in a turn, synced once a second', await benchAppend(1, 0, APPENDS), APPENDS),
  row('append, 64 in a turn, each turn synced', await benchAppend(64, 1, 20_000), 20_000),
  row('append, 1 in a turn, each synced', await benchAppend(1, 1, 3000), 3000),
  row('updates that replace one another, flags set', await benchReplace(), APPENDS),
];
