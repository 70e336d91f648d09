import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../base/rng.ts';
import { hashNodeId, hashScid, mixingTables, SlotTable } from './hash_index.ts';
import { NetworkGraph } from './network_graph.ts';
import { SampleStore, sampleNodeId } from './sample_records.test.support.ts';

const KNOWN_SALT = 0;
const SECRET_SALT = 0x5eed1234;

/** Short channel ids that all want one of the lowest 16 slots of 16384 under the salt. */
const collidingScids = (salt: number, count: number): [number, number][] => {
  const tables = mixingTables(salt);
  const found: [number, number][] = [];
  for (let lo = 0, hi = 800_000 * 256; found.length < count; lo++) {
    if ((hashScid(tables, hi, lo) & 0x3fff) < 16) found.push([hi, lo]);
    if (lo === 0xffffff) {
      lo = 0;
      hi += 256;
    }
  }
  return found;
};

const graphOf = (salt: number, scids: readonly [number, number][]): NetworkGraph => {
  const store = new SampleStore();
  const graph = new NetworkGraph({ salt, channelsHint: 8192 });
  for (const [hi, lo] of scids) {
    for (const record of store.channel({ hi, lo, node1: sampleNodeId(1), node2: sampleNodeId(2) }, 1n)) {
      graph.apply(record);
    }
  }
  return graph;
};

test('scids aimed at a few slots pile up only for the salt they were aimed at', () => {
  const scids = collidingScids(KNOWN_SALT, 3000);
  const hit = graphOf(KNOWN_SALT, scids).probeStatistics().channels;
  const spared = graphOf(SECRET_SALT, scids).probeStatistics().channels;
  assert.deepEqual([hit.entries, hit.slots], [3000, 16384]);
  assert.ok(hit.longest > 2900, `the attack works where the salt is known: ${hit.longest}`);
  assert.ok(hit.total > 3000 * 1000, `${hit.total} probes`);
  assert.ok(spared.total < 3000 * 2, `${spared.total} probes to find 3000 channels once`);
  assert.ok(spared.longest < 40, `${spared.longest} probes for the worst`);
});

test('scids in sequence, as blocks bring them, spread as well', () => {
  const scids = Array.from({ length: 10_000 }, (_, index): [number, number] => [800_000 * 256, index << 16]);
  const { channels } = graphOf(SECRET_SALT, scids).probeStatistics();
  assert.ok(channels.total < 10_000 * 2.5, `${channels.total} probes`);
  assert.ok(channels.longest < 80, `${channels.longest} probes for the worst`);
});

test('node ids with long common beginnings spread as well', () => {
  const tables = mixingTables(SECRET_SALT);
  const ids = Array.from({ length: 10_000 }, (_, index) => {
    const id = new Uint8Array(33).fill(0x33);
    id[31] = index >>> 8;
    id[32] = index;
    return id;
  });
  const index = new SlotTable((node) => hashNodeId(tables, ids[node]!, 0), 10_000);
  for (const [node, id] of ids.entries()) index.insert(hashNodeId(tables, id, 0), node);
  const { total, longest } = index.probeStatistics();
  assert.ok(total < 10_000 * 2.5, `${total} probes`);
  assert.ok(longest < 80, `${longest} probes for the worst`);
});

test('the salt decides the mixing, and the same salt mixes alike', () => {
  assert.deepEqual(mixingTables(7), mixingTables(7));
  assert.notDeepEqual(mixingTables(7), mixingTables(8));
  assert.notEqual(hashScid(mixingTables(7), 1, 2), hashScid(mixingTables(7), 2, 1));
});

test('insertion, growth and removal keep every entry within reach, with hashes that collide often', () => {
  const rng = seededRng(3);
  // 32 different hashes for hundreds of entries, at the upper end so that runs wrap around.
  const hashOf = (entry: number): number => -1 - (entry % 32);
  const index = new SlotTable(hashOf, 0);
  const present = new Set<number>();
  const find = (entry: number): boolean => {
    for (let slot = hashOf(entry) & index.mask; index.slots[slot] !== 0; slot = (slot + 1) & index.mask) {
      if (index.slots[slot] === entry + 1) return true;
    }
    return false;
  };
  for (let step = 0; step < 3000; step++) {
    const entry = Math.floor(rng.fraction() * 400);
    if (present.has(entry)) {
      index.remove(hashOf(entry), entry);
      present.delete(entry);
    } else {
      index.insert(hashOf(entry), entry);
      present.add(entry);
    }
    if (step % 50 !== 0) continue;
    for (let other = 0; other < 400; other++) assert.equal(find(other), present.has(other), `entry ${other}`);
    assert.equal(index.probeStatistics().entries, present.size);
  }
  index.remove(hashOf(1000), 1000);
  assert.equal(index.probeStatistics().entries, present.size);
});

test('an index is never more than five eighths full', () => {
  const index = new SlotTable((entry) => Math.imul(entry, 0x9e3779b1), 100);
  for (let entry = 0; entry < 50_000; entry++) {
    index.insert(Math.imul(entry, 0x9e3779b1), entry);
    const { length } = index.slots;
    assert.ok((entry + 1) * 8 <= length * 5, `${entry + 1} entries in ${length} slots`);
  }
  assert.equal(index.memoryBytes(), 131_072 * 4);
});
