import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { seededRng } from '../base/rng.ts';
import { scidFromHalves } from '../base/short_channel_id.ts';
import { openUtxoTable } from '../chain/utxo_table.ts';
import { NetworkGraph } from '../graph/network_graph.ts';
import { scanStore } from '../store/scan.ts';
import { nodeStoreFolder } from '../store/store_file.ts';
import { type BuildOptions, type BuiltMap, buildMap, findMap } from './build_map.ts';
import { drawTopology } from './topology.ts';

const base = mkdtempSync(join(tmpdir(), 'gossipd-map-'));
after(() => rmSync(base, { recursive: true, force: true }));
let names = 0;

const NOW = 1_700_000_000;
const DAY = 86_400;
const CHANNELS = 60;
const NODES = 20;

const options = (change: Partial<BuildOptions> = {}): BuildOptions => ({
  seed: 5,
  network: 'regtest',
  folder: join(base, `m${names++}`, 'map'),
  workers: 2,
  nowSeconds: NOW,
  drawTopology: () => drawTopology(CHANNELS, NODES, seededRng(5)),
  onProgress: () => {},
  ...change,
});

const graphOf = ({ folder }: BuiltMap): NetworkGraph => {
  const graph = new NetworkGraph();
  const file = nodeStoreFolder(folder).open('gossip_store', 'read');
  const end = scanStore(file, (record) => graph.apply(record));
  file.close();
  assert.equal(end.reason, 'end_of_file');
  return graph;
};
const never = (): never => {
  throw new Error('the map was there: nothing is to be drawn');
};

test('builds a whole store with its outputs, and says what it made', async () => {
  const progress: [number, number][] = [];
  const map = await buildMap(options({ onProgress: (done, total) => progress.push([done, total]) }));
  const graph = graphOf(map);
  assert.equal(graph.channelCount, CHANNELS);
  assert.equal(graph.nodeCount, NODES);
  assert.equal(graph.nodeAnnouncementCount, NODES);
  assert.equal(graph.halfChannelCount, map.updates);
  assert.equal(map.signatures, 4 * CHANNELS + map.updates + NODES);
  assert.deepEqual(progress.at(-1), [map.signatures, map.signatures]);
  const utxo = openUtxoTable(readFileSync(map.utxoPath));
  const { signal } = new AbortController();
  const satoshis: bigint[] = [];
  graph.forEachChannel((channel) => satoshis.push(BigInt(graph.channelSatoshis(channel))));
  let index = 0;
  const asked: Promise<void>[] = [];
  graph.forEachChannel((channel) => {
    const scid = scidFromHalves(graph.scidHi(channel), graph.scidLo(channel));
    const expected = satoshis[index++];
    asked.push(
      utxo.lookup(scid, signal).then((found) => {
        assert.ok(found.found === 'unspent');
        assert.equal(found.satoshis, expected);
      }),
    );
  });
  await Promise.all(asked);
});

test('is found again and not built twice', async () => {
  const settings = options();
  const built = await buildMap(settings);
  const found = await buildMap({ ...settings, nowSeconds: NOW + DAY, drawTopology: never });
  assert.deepEqual(found, built);
  assert.deepEqual(findMap(settings.folder, NOW), built);
});

test('the same seed and time give the same bytes with any number of workers', async () => {
  const [one, three] = await Promise.all([
    buildMap(options({ workers: 1 })),
    buildMap(options({ workers: 3 })),
  ]);
  for (const name of ['gossip_store', 'utxo_table', 'map.json']) {
    assert.deepEqual(readFileSync(join(one.folder, name)), readFileSync(join(three.folder, name)), name);
  }
});

test('is built anew when it gets old, comes from the future, is of another revision, or is damaged', async () => {
  const settings = options();
  const built = await buildMap(settings);
  const path = join(settings.folder, 'map.json');
  const later = NOW + 9 * DAY;
  assert.equal(findMap(settings.folder, later), undefined);
  const anew = await buildMap({ ...settings, nowSeconds: later });
  assert.equal(anew.newest_timestamp - built.newest_timestamp, 9 * DAY);
  assert.equal(graphOf(anew).channelCount, CHANNELS);
  assert.equal(findMap(settings.folder, NOW), undefined, 'newer than now');
  const text = readFileSync(path, 'utf8');
  for (const damaged of ['', '{', 'null', text.replace(/"revision": \d+/, '"revision": 0')]) {
    writeFileSync(path, damaged);
    assert.equal(findMap(settings.folder, later), undefined, damaged);
  }
  await buildMap({ ...settings, nowSeconds: later });
  assert.notEqual(findMap(settings.folder, later), undefined);
});

test('a build that fails leaves nothing, and not the folder of a build that runs elsewhere', async () => {
  const settings = options();
  await assert.rejects(
    buildMap({
      ...settings,
      onProgress: () => {
        throw new Error('disk full');
      },
    }),
    /disk full/,
  );
  assert.equal(existsSync(settings.folder), false);
  const parent = join(settings.folder, '..');
  assert.deepEqual(readdirSync(parent), []);
  // Process 1 always runs; a number beyond the largest process id never does.
  for (const owner of [1, 2 ** 30]) mkdirSync(join(parent, `map.tmp-${owner}`));
  mkdirSync(join(parent, 'map.tmp-mine'));
  await buildMap(settings);
  assert.deepEqual(readdirSync(parent).sort(), ['map', 'map.tmp-1', 'map.tmp-mine']);
});

test('sizes that cannot be are refused before anything is written', async () => {
  const settings = options({ drawTopology: () => drawTopology(1, 9, seededRng(1)) });
  await assert.rejects(buildMap(settings), RangeError);
  assert.equal(existsSync(join(settings.folder, '..')), false);
});

test('the store is for its owner only', async () => {
  const map = await buildMap(options());
  assert.equal(statSync(map.storePath).mode & 0o077, 0);
});
