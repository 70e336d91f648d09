/**
 * How long a start takes from opening the store to a map in memory: with the store read, and with the snapshot of a clean stop.
 *
 * Takes the real map of 2026-02-03 where it is, or makes one of the same size. Each start in a process of its own, as in life: most
 * of what a start costs is code that has not been compiled yet. Run by scripts/bench; with a folder and a way: one start.
 */
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { silentLog } from '../src/base/log.ts';
import { silentMeter } from '../src/base/meter.ts';
import { type MapFile, restoreMap, saveMap } from '../src/daemon/map_file.ts';
import { NetworkGraph } from '../src/graph/network_graph.ts';
import { systemRng } from '../src/observe/system_rng.ts';
import { GossipStore } from '../src/store/gossip_store.ts';
import { nodeStoreFolder } from '../src/store/store_file.ts';
import { machineClock, prepareMap, withFolder } from './mainnet_map.ts';

const ROUNDS = 9;
const WAYS = ['load', 'snapshot'] as const;
type Way = (typeof WAYS)[number];

/** Milliseconds until the map is there; `stops` leaves a snapshot behind. */
const start = async (path: string, way: Way, stops: boolean): Promise<number> => {
  const [folder, graph, clock] = [nodeStoreFolder(path), new NetworkGraph({ salt: 1 }), machineClock];
  const map: MapFile = { folder, graph, clock, log: silentLog, network: 'bitcoin', version: 'bench' };
  const began = performance.now();
  const store = await GossipStore.open(
    {
      ...{ folder, clock, rng: systemRng(), log: silentLog, meter: silentMeter },
      restore: (token) => way === 'snapshot' && restoreMap(map, token),
    },
    (record) => graph.apply(record),
  );
  const milliseconds = performance.now() - began;
  if (store.loadReport.fromSnapshot !== (way === 'snapshot'))
    throw new Error('not the way that was asked for');
  if (!stops) return milliseconds;
  await store.close();
  if (store.sealToken === undefined) throw new Error('the stop was not clean');
  await saveMap(map, store.sealToken);
  return milliseconds;
};

const self = fileURLToPath(import.meta.url);

const inChild = (path: string, way: Way): number => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [self, path, way], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return Number(stdout);
};

export const run = (): Promise<Readonly<Record<string, string | number>>> =>
  withFolder(async (path) => {
    const source = await prepareMap(path);
    await start(path, 'load', true);
    const times: Record<Way, number[]> = { load: [], snapshot: [] };
    // In turn, so that whatever else the machine does meets both.
    for (let round = 0; round < ROUNDS; round++) for (const way of WAYS) times[way].push(inChild(path, way));
    const median = (way: Way): number =>
      Math.round((times[way].sort((left, right) => left - right)[ROUNDS >> 1] ?? Number.NaN) * 100) / 100;
    return { source, start_by_load_ms: median('load'), start_by_snapshot_ms: median('snapshot') };
  });

const [, script, path, way] = process.argv;
if (
  script !== undefined &&
  resolve(script) === self &&
  path !== undefined &&
  (way === 'load' || way === 'snapshot')
) {
  process.stdout.write(`${await start(path, way, false)}\n`);
  // As after a kill: nothing was appended, so that the next start finds what this one found.
  process.exit(0);
}
