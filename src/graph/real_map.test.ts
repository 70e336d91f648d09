/** The public network of 2026-02-03, from the file beside the repository; says so and skips where that is absent. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readU16, readU32 } from '../base/bytes.ts';
import { type StoreRecord, storeOffset } from '../wire/store_record.ts';
import { NetworkGraph } from './network_graph.ts';

const repositoryRoot = (): string => {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) folder = dirname(folder);
  return folder;
};

const PATH = join(repositoryRoot(), '..', 'shared', 'data', 'gossip_store-2026-02-03-v16.xz');

/** Undefined with a reason when the file or its decompressor is not there. */
const unpacked = (): Uint8Array | string => {
  if (!existsSync(PATH)) return `${PATH} is absent`;
  const { status, stdout, error } = spawnSync('xz', ['-dc', PATH], { maxBuffer: 2 ** 27 });
  return status === 0 ? stdout : `xz cannot unpack ${PATH}: ${error?.message ?? status}`;
};

/** Header to header; the file is known to be whole. */
const forEachRecord = (file: Uint8Array, visit: (record: StoreRecord) => void): void => {
  for (let header = 1; header < file.length; ) {
    const at = header + 12;
    const length = readU16(file, header + 2);
    visit({
      bytes: file,
      at,
      length,
      type: readU16(file, at),
      flags: readU16(file, header),
      timestamp: readU32(file, header + 8),
      offset: storeOffset(at),
    });
    header = at + length;
  }
};

test('the real map: 50,808 channels of 17,324 nodes with 5,361.68 bitcoin, in under 180 bytes for each channel', (t) => {
  const file = unpacked();
  if (typeof file === 'string') {
    t.skip(file);
    return;
  }
  const graph = new NetworkGraph({ channelsHint: 50_808, salt: 0x1234567 });
  let records = 0;
  forEachRecord(file, (record) => {
    graph.apply(record);
    records++;
  });
  assert.equal(records, 203_233);
  assert.equal(graph.channelCount, 50_808);
  assert.equal(graph.halfChannelCount, 101_616);
  assert.equal(graph.nodeCount, 17_324);
  assert.equal((graph.capacitySat / 1e8).toFixed(2), '5361.68');
  assert.ok(Object.values(graph.anomalies).every((count) => count === 0));

  const statistics = graph.statistics();
  assert.equal(statistics.disabled_half_channels, 35_806);
  assert.equal(statistics.channels_without_update, 0);
  assert.equal(statistics.unverified_channels, 0);

  let previous = -1;
  let visited = 0;
  graph.channelsInBlocks(0, 2 ** 24, (channel) => {
    const scid = graph.scidHi(channel) * 2 ** 21 + graph.scidLo(channel) / 2 ** 11;
    assert.ok(scid >= previous);
    previous = scid;
    assert.equal(graph.channelIndex(graph.scidHi(channel), graph.scidLo(channel)), channel);
    visited++;
  });
  assert.equal(visited, 50_808);
  let sides = 0;
  graph.forEachNode((node) => {
    assert.equal(graph.nodeIndex(graph.nodeIdBytes(node), 0), node);
    graph.forEachChannelOfNode(node, (channel, side) => {
      assert.equal(graph.channelNode(channel, side), node);
      sides++;
    });
  });
  assert.equal(sides, 101_616);

  const { channels, nodes } = graph.probeStatistics();
  assert.ok(channels.total < 50_808 * 1.5 && channels.longest < 40, JSON.stringify(channels));
  assert.ok(nodes.total < 17_324 * 2 && nodes.longest < 60, JSON.stringify(nodes));
  // Nodes included: 141 + 19,053 * 53 / 50,808 + (131,072 + 32,768) * 4 / 50,808 + 4 = 177.8, and 8 KiB of tables.
  assert.ok(graph.memoryBytes() < 180 * 50_808, `${graph.memoryBytes()} bytes`);
});
