import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { nodeIdAt } from '../base/node_id.ts';
import { seededRng } from '../base/rng.ts';
import { NetworkGraph } from '../graph/network_graph.ts';
import { scanStore } from '../store/scan.ts';
import { nodeStoreFolder } from '../store/store_file.ts';
import { type BuiltMap, buildMap } from './build_map.ts';
import { drawTopology, type Topology } from './topology.ts';
import { simnetTopology } from './topology_source.ts';

const base = mkdtempSync(join(tmpdir(), 'gossipd-topology-'));
after(() => rmSync(base, { recursive: true, force: true }));

const build = (name: string, topology: Topology): Promise<BuiltMap> =>
  buildMap({
    seed: 3,
    network: 'regtest',
    folder: join(base, name),
    workers: 1,
    nowSeconds: 1_700_000_000,
    drawTopology: () => topology,
    onProgress: () => {},
  });
const graphOf = (map: BuiltMap): NetworkGraph => {
  const graph = new NetworkGraph();
  const file = nodeStoreFolder(map.folder).open('gossip_store', 'read');
  scanStore(file, (record) => graph.apply(record));
  file.close();
  return graph;
};

const drawn = drawTopology(80, 27, seededRng(3));
// A third of the channels has one update only, one has none.
for (let channel = 0; channel < drawn.channels; channel += 3) drawn.hasUpdate[2 * channel] = 0;
drawn.hasUpdate.fill(0, 2, 4);
let source: BuiltMap;
let again: Topology;
before(async () => {
  source = await build('source', drawn);
  again = simnetTopology({ seed: 9, channels: 1, nodes: 2, fromStore: source.storePath });
});

test('has the channels and capacities of the source, and as many nodes', () => {
  assert.equal(again.channels, drawn.channels);
  assert.equal(again.nodes, drawn.nodes);
  assert.deepEqual(again.scidHi, drawn.scidHi);
  assert.deepEqual(again.scidLo, drawn.scidLo);
  assert.deepEqual(again.satoshis, drawn.satoshis);
});

test('the same nodes share the same channels', () => {
  const graph = graphOf(source);
  const nameOf = new Map<number, string>();
  let channel = 0;
  graph.channelsInBlocks(0, 0xffffff, (index) => {
    for (const [side, column] of [again.nodeA, again.nodeB].entries()) {
      const node = nodeIdAt(graph.nodeIdBytes(graph.channelNode(index, side === 0 ? 0 : 1)));
      const number = column[channel]!;
      assert.equal(nameOf.get(number) ?? node, node);
      nameOf.set(number, node);
    }
    channel++;
  });
  assert.equal(nameOf.size, drawn.nodes);
});

test('signed again with other keys it has the same policies, half by half', async () => {
  const copy = await build('copy', again);
  const [left, right] = [graphOf(source), graphOf(copy)];
  assert.equal(right.halfChannelCount, left.halfChannelCount);
  const policies = (graph: NetworkGraph): unknown[] => {
    const rows: unknown[] = [];
    graph.channelsInBlocks(0, 0xffffff, (channel) => {
      const halves = ([0, 1] as const).map((direction) =>
        graph.hasUpdate(channel, direction)
          ? [
              graph.feeBaseMsat(channel, direction),
              graph.feeProportionalMillionths(channel, direction),
              graph.cltvExpiryDelta(channel, direction),
              graph.htlcMinimumMsat(channel, direction),
              graph.htlcMaximumMsat(channel, direction),
              graph.isDisabled(channel, direction),
            ].join()
          : 'none',
      );
      // The copy's keys are others, so which of the two is the lesser may have turned round.
      rows.push(
        [graph.scidHi(channel), graph.scidLo(channel), graph.channelSatoshis(channel), ...halves.sort()].join(
          ' ',
        ),
      );
    });
    return rows;
  };
  assert.deepEqual(policies(right), policies(left));
});

test('a store that is not there is an error with a next step', () => {
  assert.throws(() => simnetTopology({ seed: 1, channels: 1, nodes: 2, fromStore: join(base, 'none') }));
});
