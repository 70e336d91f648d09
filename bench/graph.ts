/**
 * How fast the graph takes records and answers, and what it weighs.
 *
 * Takes the real map of 2026-02-03 from ../shared beside the repository, or makes one of the same size where that is absent.
 * Prints a table and one line of JSON. Run by scripts/bench, or alone: node dist/bench/graph.js
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readU16, readU32 } from '../src/base/bytes.ts';
import { seededRng } from '../src/base/rng.ts';
import { NetworkGraph } from '../src/graph/network_graph.ts';
import { SampleStore, sampleNodeId } from '../src/graph/sample_records.test.support.ts';
import { type StoreRecord, storeOffset } from '../src/wire/store_record.ts';

const CHANNELS = 50_808;
const NODES = 17_324;
const ROUNDS = 9;
const LOOKUPS = 1_000_000;

interface Source {
  readonly name: string;
  readonly records: number;
  readonly feed: (graph: NetworkGraph) => void;
}

const repositoryRoot = (): string => {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) folder = dirname(folder);
  return folder;
};

type MutableRecord = { -readonly [Key in keyof StoreRecord]: StoreRecord[Key] };

/** Walks the file with one reused record, as the store's scan does. */
const feedFile = (file: Uint8Array, visit: (record: StoreRecord) => void): number => {
  const record: MutableRecord = {
    bytes: file,
    at: 0,
    length: 0,
    type: 0,
    flags: 0,
    timestamp: 0,
    offset: storeOffset(0),
  };
  let count = 0;
  for (let header = 1; header < file.length; count++) {
    const at = header + 12;
    record.at = at;
    record.length = readU16(file, header + 2);
    record.type = readU16(file, at);
    record.flags = readU16(file, header);
    record.timestamp = readU32(file, header + 8);
    record.offset = storeOffset(at);
    visit(record);
    header = at + record.length;
  }
  return count;
};

const realSource = (): Source | undefined => {
  const path = join(repositoryRoot(), '..', 'shared', 'data', 'gossip_store-2026-02-03-v16.xz');
  if (!existsSync(path)) return undefined;
  const { status, stdout } = spawnSync('xz', ['-dc', path], { maxBuffer: 2 ** 27 });
  if (status !== 0) return undefined;
  return {
    name: 'real map of 2026-02-03',
    records: feedFile(stdout, () => {}),
    feed: (graph) => {
      feedFile(stdout, (record) => graph.apply(record));
    },
  };
};

const syntheticSource = (): Source => {
  const rng = seededRng(1);
  const store = new SampleStore();
  const records: StoreRecord[] = [];
  for (let number = 0; number < CHANNELS; number++) {
    const place = { hi: (500_000 + (number >>> 3)) * 256, lo: number << 16 };
    // Squaring gives some nodes very many channels, as in the public network.
    const node1 = sampleNodeId(Math.floor(rng.fraction() ** 2 * NODES));
    const node2 = sampleNodeId(NODES + Math.floor(rng.fraction() * NODES));
    records.push(...store.channel({ ...place, node1, node2 }, 1_000_000n));
    for (const direction of [0, 1] as const)
      records.push(store.update({ ...place, direction, timestamp: 1 }));
  }
  return {
    name: 'synthetic map',
    records: records.length,
    feed: (graph) => {
      for (const record of records) graph.apply(record);
    },
  };
};

const milliseconds = (work: () => void): number => {
  const start = performance.now();
  work();
  return performance.now() - start;
};

const median = (values: readonly number[]): number =>
  [...values].sort((left, right) => left - right)[values.length >>> 1] ?? 0;

/** Builds the graph several times. The first round includes compiling the code, as a start of the daemon does. */
const building = (source: Source, channelsHint: number): { first: number; median: number } => {
  const rounds = Array.from({ length: ROUNDS }, () =>
    milliseconds(() => source.feed(new NetworkGraph({ channelsHint, salt: 1 }))),
  );
  return { first: rounds[0] ?? 0, median: median(rounds) };
};

/** Nanoseconds for each of many lookups in random order. */
const lookups = (graph: NetworkGraph): { channel: number; node: number } => {
  const rng = seededRng(2);
  const channels = Uint32Array.from({ length: LOOKUPS }, () => rng.fraction() * graph.channelCount);
  const nodes = Uint32Array.from({ length: LOOKUPS }, () => rng.fraction() * graph.nodeCount);
  const his = channels.map((channel) => graph.scidHi(channel));
  const los = channels.map((channel) => graph.scidLo(channel));
  const ids = graph.nodeIdColumn.slice();
  let found = 0;
  const channel = milliseconds(() => {
    for (let index = 0; index < LOOKUPS; index++) {
      found += graph.channelIndex(his[index] as number, los[index] as number);
    }
  });
  const node = milliseconds(() => {
    for (let index = 0; index < LOOKUPS; index++) {
      found += graph.nodeIndex(ids, graph.nodeIdPosition(nodes[index] as number));
    }
  });
  if (found <= 0) throw new Error('lookups found nothing');
  return { channel: (channel * 1e6) / LOOKUPS, node: (node * 1e6) / LOOKUPS };
};

/** Bytes of heap that applying every record once more leaves or throws away: the steady path should take none. */
const steadyHeapBytes = (source: Source, graph: NetworkGraph): number => {
  const before = process.memoryUsage().heapUsed;
  source.feed(graph);
  return process.memoryUsage().heapUsed - before;
};

export const run = (): Readonly<Record<string, string | number>> => {
  const source = realSource() ?? syntheticSource();
  const hinted = building(source, CHANNELS);
  const unhinted = building(source, 0);
  const graph = new NetworkGraph({ channelsHint: CHANNELS, salt: 1 });
  source.feed(graph);
  const lookup = lookups(graph);
  const firstOrder = milliseconds(() => graph.channelsInBlocks(0, 1, () => {}));
  const statistics = milliseconds(() => graph.statistics());
  const bytes = graph.memoryBytes();
  const result = {
    bench: 'graph',
    source: source.name,
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    channels: graph.channelCount,
    nodes: graph.nodeCount,
    records: source.records,
    build_first_ms: hinted.first,
    build_median_ms: hinted.median,
    build_growing_median_ms: unhinted.median,
    ns_per_record: (hinted.median * 1e6) / source.records,
    channel_lookup_ns: lookup.channel,
    node_lookup_ns: lookup.node,
    channel_lookups_per_second: 1e9 / lookup.channel,
    first_sort_ms: firstOrder,
    statistics_ms: statistics,
    memory_bytes: bytes,
    bytes_per_channel: bytes / graph.channelCount,
    steady_heap_bytes: steadyHeapBytes(source, graph),
  };
  const rounded = Object.fromEntries(
    Object.entries(result).map(([key, value]) => [
      key,
      typeof value === 'number' ? Math.round(value * 100) / 100 : value,
    ]),
  );
  return rounded;
};

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const result = run();
  console.table(result);
  console.log(JSON.stringify(result));
}
