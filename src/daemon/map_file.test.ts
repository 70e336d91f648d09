import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../base/log.ts';
import { seededRng } from '../base/rng.ts';
import { ManualClock } from '../base/time.ts';
import { NetworkGraph } from '../graph/network_graph.ts';
import { SampleStore, sampleNodeId } from '../graph/sample_records.test.support.ts';
import { MemoryFolder } from '../store/memory_folder.test.support.ts';
import type { StoreFolder } from '../store/store_file.ts';
import { discardMap, MAP_FILE_NAME, type MapFile, restoreMap, saveMap } from './map_file.ts';

const TOKEN = 'ab'.repeat(43);

const graphOf = (channels: number): NetworkGraph => {
  const graph = new NetworkGraph({ salt: channels });
  const store = new SampleStore();
  for (let lo = 0; lo < channels; lo++) {
    const [node1, node2] = [sampleNodeId(lo), sampleNodeId(lo + 1)];
    for (const record of store.channel({ hi: 256, lo, node1, node2 }, 5n)) graph.apply(record);
  }
  return graph;
};

const mapOf = (folder: StoreFolder, graph = new NetworkGraph(), more: Partial<MapFile> = {}): MapFile => ({
  ...{ folder, graph, network: 'bitcoin', version: '1.0.0', clock: new ManualClock(), log: silentLog },
  ...more,
});

/** Channels after restoring from the folder; undefined when nothing is restored, which must leave the graph empty. */
const restoredFrom = (
  folder: StoreFolder,
  token = TOKEN,
  more: Partial<MapFile> = {},
): number | undefined => {
  const map = mapOf(folder, new NetworkGraph(), more);
  const isRestored = restoreMap(map, token);
  assert.ok(isRestored || map.graph.channelCount === 0);
  return isRestored ? map.graph.channelCount : undefined;
};

test('what was saved is restored under the same token, network and version only', async () => {
  const folder = new MemoryFolder();
  assert.equal(restoredFrom(folder), undefined);
  await saveMap(mapOf(folder, graphOf(3)), TOKEN);
  assert.deepEqual(folder.list(), [MAP_FILE_NAME]);
  assert.equal(restoredFrom(folder), 3);
  assert.equal(restoredFrom(folder, 'cd'.repeat(43)), undefined);
  assert.equal(restoredFrom(folder, TOKEN, { network: 'signet' }), undefined);
  assert.equal(restoredFrom(folder, TOKEN, { version: '1.0.1' }), undefined);
  assert.equal(restoredFrom(folder), 3, 'refusing it leaves it as it is');
  await saveMap(mapOf(folder, graphOf(5)), TOKEN);
  assert.equal(restoredFrom(folder), 5);
  discardMap(mapOf(folder));
  assert.deepEqual(folder.list(), []);
});

test('a disk that refuses costs the snapshot and nothing else', async () => {
  for (const call of ['create', 'write', 'dataSync', 'rename'] as const) {
    const folder = new MemoryFolder();
    await saveMap(mapOf(folder, graphOf(3)), TOKEN);
    folder.fail(call, 'disk_full', call === 'write' ? 99 : 1);
    await saveMap(mapOf(folder, graphOf(4)), TOKEN);
    folder.heal();
    assert.deepEqual(folder.list(), [MAP_FILE_NAME], call);
    assert.equal(restoredFrom(folder), 3, call);
    folder.fail('read', 'disk_error');
    assert.equal(restoredFrom(folder), undefined);
    assert.equal(restoredFrom(folder), 3);
  }
  const refusing: StoreFolder = {
    ...new MemoryFolder(),
    exists: () => true,
    remove: () => new MemoryFolder().open('nothing', 'read').close(),
  };
  discardMap(mapOf(refusing));
});

test('a disk that is nearly full is left to others', async () => {
  const folder = new MemoryFolder();
  folder.capacityBytes = graphOf(3).memoryBytes() * 3;
  await saveMap(mapOf(folder, graphOf(3)), TOKEN);
  assert.deepEqual(folder.list(), []);
});

test('a disk that takes long to sync does not hold up the stop', async () => {
  const disk = new MemoryFolder();
  const folder: StoreFolder = {
    ...disk,
    open: (name, mode) => ({ ...disk.open(name, mode), dataSync: () => new Promise(() => {}) }),
  };
  const clock = new ManualClock();
  const saving = saveMap(mapOf(folder, graphOf(3), { clock }), TOKEN);
  await Promise.resolve();
  assert.equal(disk.exists(MAP_FILE_NAME), false);
  clock.advance(1_000);
  await saving;
  assert.deepEqual([restoredFrom(disk), clock.pending], [3, 0]);
});

test('after a crash at any moment, whatever of the writes survives, what is restored is whole', async () => {
  const rng = seededRng(11);
  const whole = new MemoryFolder();
  await saveMap(mapOf(whole, graphOf(3)), TOKEN);
  const outcomes = new Set<number | undefined>();
  for (let stop = 0; stop <= whole.operations; stop++) {
    for (const torn of [0, 100, 5000]) {
      const folder = new MemoryFolder();
      await saveMap(mapOf(folder, graphOf(2)), 'before');
      await folder.sync();
      folder.stopAfter(stop, torn);
      await saveMap(mapOf(folder, graphOf(3)), TOKEN);
      folder.restart();
      const disks = [folder];
      for (let cut = 0; cut < 4; cut++) {
        disks.push(
          folder.crash({
            fate: ({ length }) => (rng.fraction() < 0.6 ? length : Math.floor(rng.fraction() * (length + 1))),
            names: Math.floor(rng.fraction() * (folder.unsyncedNames + 1)),
          }),
        );
      }
      for (const disk of disks) {
        const [before, after] = [restoredFrom(disk, 'before'), restoredFrom(disk)];
        assert.ok(before === undefined || before === 2);
        assert.ok(after === undefined || after === 3);
        assert.ok(before === undefined || after === undefined);
        outcomes.add(before ?? after);
      }
    }
  }
  assert.deepEqual(outcomes.has(2) && outcomes.has(3), true);
});
