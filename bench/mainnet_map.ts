/** What the benchmarks of the store share: a map of mainnet's size in a temporary folder, and medians. */
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
import { nodeStoreFolder, type StoreFolder } from '../src/store/store_file.ts';
import { acceptedChannel, updateOf } from '../src/store/store_samples.test.support.ts';

const CHANNELS = 50_808;

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

export const machineClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, fire) => {
    const timer = setTimeout(fire, delayMs);
    return () => clearTimeout(timer);
  },
};

export const open = (folder: StoreFolder, visit = (): void => {}): Promise<GossipStore> =>
  GossipStore.open(
    { folder, clock: machineClock, rng: seededRng(1), log: silentLog, meter: silentMeter, upkeepMs: 0 },
    visit,
  );

export const ignore = (): void => {};

export const withFolder = async <T>(use: (path: string) => Promise<T>): Promise<T> => {
  const path = mkdtempSync(join(tmpdir(), 'gossipd-bench-'));
  try {
    return await use(path);
  } finally {
    rmSync(path, { recursive: true });
  }
};

/** Puts a map of mainnet's size into the folder and says which. */
export const prepareMap = async (path: string): Promise<string> => {
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

export const update = (number: number, direction: 0 | 1): Accepted => {
  const timestamp = 1_700_000_000 + number;
  return mintAccepted({
    kind: 'channel_update',
    raw: updateOf(number, direction, timestamp),
    timestamp,
    replaces: undefined,
    announcement: undefined,
  });
};

export const median = async (rounds: number, measure: () => Promise<void> | void): Promise<number> => {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const started = performance.now();
    await measure();
    times.push(performance.now() - started);
  }
  return times.sort((left, right) => left - right)[rounds >> 1] ?? Number.NaN;
};
