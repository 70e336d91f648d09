/**
 * Builds the map of a simulated network into a folder and finds it again: `gossip_store`, `utxo_table` (the funding outputs),
 * `map.json` (what it was made from). Built under a temporary name and renamed, so an interrupted build leaves no map; what one
 * that was killed left behind is removed by the next build.
 *
 * Work is cut into slices of SLICE_CHANNELS, handed to worker threads in order and written in order: memory stays bounded at
 * (workers + the slices that wait for their turn) x about 1.5 MB, whatever the size of the map.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { NetworkName } from '../base/chain_hash.ts';
import { seededRng } from '../base/rng.ts';
import { encodeUtxoTable } from '../chain/utxo_table.ts';
import { encodeEmptyStore } from '../store/format.ts';
import { isRunning } from '../store/lock.ts';
import type { SignedSlice, SignerData, SignTask } from './sign_worker.ts';
import type { Topology } from './topology.ts';

const SLICE_CHANNELS = 1_000;
const SLICE_NODES = 3_000;
/** A map older than this is made again, because its updates come near the 14 days after which they are pruned. */
const MAX_AGE_SECONDS = 8 * 86_400;
/** Part of the folder's name: raised whenever the same seed gives another map. */
const MAP_REVISION = 1;

export interface MapInfo {
  readonly revision: number;
  readonly seed: number;
  readonly network: NetworkName;
  readonly channels: number;
  readonly nodes: number;
  readonly updates: number;
  readonly signatures: number;
  readonly newest_timestamp: number;
}

export interface BuiltMap extends MapInfo {
  readonly folder: string;
  readonly storePath: string;
  readonly utxoPath: string;
}

export interface BuildOptions {
  readonly seed: number;
  readonly network: NetworkName;
  readonly folder: string;
  readonly workers: number;
  readonly nowSeconds: number;
  /** Called when the map is not there yet. */
  readonly drawTopology: () => Topology;
  /** Signatures made so far, and the total. */
  readonly onProgress: (done: number, total: number) => void;
}

const paths = (folder: string): { storePath: string; utxoPath: string } => ({
  storePath: join(folder, 'gossip_store'),
  utxoPath: join(folder, 'utxo_table'),
});

/** The map in `folder` if it is whole, of this revision, and young enough. */
export const findMap = (folder: string, nowSeconds: number): BuiltMap | undefined => {
  const path = join(folder, 'map.json');
  if (!existsSync(path)) return undefined;
  try {
    const info = JSON.parse(readFileSync(path, 'utf8')) as MapInfo;
    const fresh = nowSeconds - info.newest_timestamp < MAX_AGE_SECONDS && info.newest_timestamp <= nowSeconds;
    return info.revision === MAP_REVISION && fresh ? { ...info, folder, ...paths(folder) } : undefined;
  } catch {
    // A file that is no JSON is no map: it is made again.
    return undefined;
  }
};

/** Finds the map or makes it. Rejects when a worker fails or the disk does. */
export const buildMap = async (options: BuildOptions): Promise<BuiltMap> => {
  const found = findMap(options.folder, options.nowSeconds);
  if (found !== undefined) return found;
  const topology = options.drawTopology();
  const temporary = `${options.folder}.tmp-${process.pid}`;
  removeOrphans(dirname(options.folder), `${basename(options.folder)}.tmp-`);
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  const signers = startSigners(options, topology);
  try {
    const info = await writeMap(options, topology, signers, temporary);
    writeFileSync(join(temporary, 'map.json'), `${JSON.stringify(info, null, 1)}\n`);
    rmSync(options.folder, { recursive: true, force: true });
    renameSync(temporary, options.folder);
    return { ...info, folder: options.folder, ...paths(options.folder) };
  } finally {
    rmSync(temporary, { recursive: true, force: true });
    await Promise.all(signers.map((signer) => signer.terminate()));
  }
};

/** Removes the folders of `parent` that are called `prefix` and the id of a process that is gone. */
export const removeOrphans = (parent: string, prefix: string): void => {
  for (const name of existsSync(parent) ? readdirSync(parent) : []) {
    const owner = name.startsWith(prefix) ? Number(name.slice(prefix.length)) : 0;
    if (owner > 0 && !isRunning(owner))
      rmSync(join(parent, name), { recursive: true, force: true, maxRetries: 3 });
  }
};

const startSigners = (options: BuildOptions, topology: Topology): Worker[] => {
  const workerData: SignerData = {
    seed: options.seed,
    network: options.network,
    newestTimestamp: options.nowSeconds - 600,
    topology,
    nodeKeys: new SharedArrayBuffer(33 * topology.nodes),
  };
  return Array.from(
    { length: Math.max(1, options.workers) },
    () => new Worker(new URL('./sign_worker.js', import.meta.url), { workerData }),
  );
};

const slices = (kind: SignTask['kind'], count: number, size: number): SignTask[] =>
  Array.from({ length: Math.ceil(count / size) }, (_, index) => ({
    kind,
    from: index * size,
    to: Math.min(count, (index + 1) * size),
  }));

/** Gives each worker the next task as it becomes free; hands results on in the order of the tasks. */
const runInOrder = async (
  signers: readonly Worker[],
  tasks: readonly SignTask[],
  take: (slice: SignedSlice) => void,
): Promise<void> => {
  const waiting = new Map<number, SignedSlice>();
  let [next, written] = [0, 0];
  const work = async (signer: Worker): Promise<void> => {
    for (let index = next++; index < tasks.length; index = next++) {
      const slice = await ask(signer, tasks[index] as SignTask);
      waiting.set(index, slice);
      for (let ready = waiting.get(written); ready !== undefined; ready = waiting.get(written)) {
        waiting.delete(written++);
        take(ready);
      }
    }
  };
  await Promise.all(signers.map(work));
};

const ask = (signer: Worker, task: SignTask): Promise<SignedSlice> =>
  new Promise((resolve, reject) => {
    const failed = (error: Error): void => reject(error);
    signer.once('error', failed);
    signer.once('message', (slice: SignedSlice) => {
      signer.off('error', failed);
      resolve(slice);
    });
    signer.postMessage(task);
  });

const writeMap = async (
  options: BuildOptions,
  topology: Topology,
  signers: readonly Worker[],
  folder: string,
): Promise<MapInfo> => {
  const { storePath, utxoPath } = paths(folder);
  const store = openSync(storePath, 'w', 0o600);
  const outputs = openSync(utxoPath, 'w', 0o600);
  const halves = topology.hasUpdate.reduce((total, bit) => total + bit, 0);
  const total = 4 * topology.channels + halves + topology.nodes;
  let [signatures, updates] = [0, 0];
  const take = (slice: SignedSlice): void => {
    writeSync(store, slice.records);
    writeSync(outputs, slice.outputs);
    signatures += slice.signatures;
    updates += slice.updates;
    options.onProgress(signatures, total);
  };
  try {
    writeSync(store, encodeEmptyStore(seededRng(options.seed).bytes(32)));
    // An empty table is its magic.
    writeSync(outputs, encodeUtxoTable([]));
    // Keys first: which node is node_id_1 depends on both of them.
    await runInOrder(signers, slices('keys', topology.nodes, SLICE_NODES), take);
    await runInOrder(signers, slices('channels', topology.channels, SLICE_CHANNELS), take);
    await runInOrder(signers, slices('nodes', topology.nodes, SLICE_NODES), take);
    fsyncSync(store);
    fsyncSync(outputs);
  } finally {
    closeSync(store);
    closeSync(outputs);
  }
  return {
    revision: MAP_REVISION,
    seed: options.seed,
    network: options.network,
    channels: topology.channels,
    nodes: topology.nodes,
    updates,
    signatures,
    newest_timestamp: options.nowSeconds - 600,
  };
};
