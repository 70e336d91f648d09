import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ChannelInfo, NodeInfo } from '../graph/views.ts';
import type { BuiltMap } from '../simnet/build_map.ts';
import { goodStore } from '../store/damaged_stores.test.support.ts';
import { runTool, smallMap, type ToolResult } from './tool_process.test.support.ts';

const folder = mkdtempSync(join(tmpdir(), 'gossipd-graph-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let map: BuiltMap;
before(async () => {
  map = await smallMap(folder);
});

type Verb = 'graphInfo' | 'graphChannel' | 'graphNode';
const graph = (
  verb: Verb,
  subject: string | undefined,
  json = false,
  path = map.storePath,
): Promise<ToolResult> =>
  runTool(
    ['graph', 'store_argument'],
    `const store = tools.openStoreArgument(tools.findStore(args[1], args[1], 'regtest'));
     await tools[args[0]](...(args[2] === null ? [store, args[3]] : [store, args[2], args[3]]));`,
    [verb, path, subject ?? null, json],
  );
const parsed = async <T>(verb: Verb, subject?: string): Promise<T> => {
  const result = await graph(verb, subject, true);
  assert.deepEqual([result.code, result.err], [0, '']);
  return JSON.parse(result.out) as T;
};

interface Info {
  readonly channels: number;
  readonly half_channels: number;
  readonly nodes: number;
  readonly announced_nodes: number;
  readonly complete: boolean;
  readonly records: number;
  readonly capacity_sat: number;
}
type Node = NodeInfo & { readonly channel_list: readonly ChannelInfo[] };

test('info: the figures of the map, as text and as JSON', async () => {
  const info = await parsed<Info>('graphInfo');
  assert.deepEqual(
    [info.channels, info.half_channels, info.nodes, info.announced_nodes, info.complete],
    [map.channels, map.updates, map.nodes, map.nodes, true],
  );
  assert.equal(info.records, 1 + 2 * map.channels + map.updates + map.nodes);
  const { out, code } = await graph('graphInfo', undefined);
  assert.equal(code, 0);
  assert.match(out, new RegExp(`^channels +${map.channels} \\(`, 'm'));
  assert.match(out, new RegExp(`^nodes +${map.nodes} \\(${map.nodes} announced\\)$`, 'm'));
  assert.match(out, new RegExp(`^capacity +${(info.capacity_sat / 1e8).toFixed(8)} BTC$`, 'm'));
});

test('node and channel: everything that is known, and each names the other', async () => {
  const dumped = await runTool(
    ['dump', 'store_argument'],
    'return tools.dump(tools.openStoreArgument(tools.findStore(args[0], args[0], "regtest")), { json: true, raw: false, deleted: false });',
    [map.storePath],
  );
  const announcement = JSON.parse(dumped.out.split('\n')[1]!) as {
    short_channel_id: string;
    node_id_1: string;
    node_id_2: string;
  };
  const { short_channel_id, node_id_1, node_id_2 } = announcement;
  const channel = await parsed<ChannelInfo>('graphChannel', short_channel_id);
  assert.deepEqual(
    [channel.short_channel_id, channel.node_id_1, channel.node_id_2, channel.unverified],
    [short_channel_id, node_id_1, node_id_2, false],
  );
  assert.equal(channel.half_channels.length, 2);
  const node = await parsed<Node>('graphNode', node_id_1);
  assert.equal(node.channels, node.channel_list.length);
  assert.ok(node.channel_list.some((each) => each.short_channel_id === short_channel_id));
  assert.match(node.announcement?.alias ?? '', /^simnet-\d+$/);

  const channelText = (await graph('graphChannel', short_channel_id)).out;
  assert.ok(channelText.includes(short_channel_id) && channelText.includes(node_id_2));
  assert.match(
    channelText,
    /^from 1 {4}(enabled|disabled), \d+ msat \+ \d+ ppm, htlc \d+\.\.\d+ msat, cltv \d+ blocks/m,
  );
  const nodeText = (await graph('graphNode', node_id_1)).out;
  assert.match(nodeText, /^alias +simnet-\d+ \(#[0-9a-f]{6}; its own claim\)$/m);
  assert.match(nodeText, /^address +198\.51\.100\.\d+:9735 \(ipv4\)$/m);
  assert.ok(nodeText.includes(short_channel_id));
});

test('a channel is found by every way of writing its id', async () => {
  const first = JSON.parse((await graph('graphNode', (await anyNode()).node_id, true)).out) as Node;
  const id = first.channel_list[0]!.short_channel_id;
  const [block, transaction, output] = id.split('x').map(BigInt);
  const number = (block! << 40n) | (transaction! << 16n) | output!;
  for (const text of [id, id.replaceAll('x', ':'), String(number)]) {
    assert.equal((await parsed<ChannelInfo>('graphChannel', text)).short_channel_id, id, text);
  }
});

const anyNode = async (): Promise<{ node_id: string }> => {
  const bytes = readFileSync(map.storePath);
  // The first record after the uuid is an announcement: node_id_1 stands 300 bytes into it.
  return { node_id: bytes.subarray(59 + 300, 59 + 333).toString('hex') };
};

test('not_found and bad_argument', async () => {
  for (const [verb, subject, code] of [
    ['graphChannel', '1x1x1', 'not_found'],
    ['graphNode', `02${'0'.repeat(63)}1`, 'not_found'],
    ['graphChannel', 'hello', 'bad_argument'],
    ['graphChannel', '1x2', 'bad_argument'],
    ['graphChannel', '', 'bad_argument'],
    ['graphChannel', '16777216x0x0', 'bad_argument'],
    ['graphNode', 'hello', 'bad_argument'],
    ['graphNode', `04${'1'.repeat(64)}`, 'bad_argument'],
  ] as const) {
    const result = await graph(verb, subject);
    assert.equal(result.code, 8, subject);
    assert.ok(result.err.startsWith(`${code}: `), `${subject}: ${result.err}`);
    assert.equal(result.out, '');
  }
});

test('a damaged store answers from what is sound, in front of the damage and behind it, and says so', async () => {
  const path = join(folder, 'damaged');
  const bytes = readFileSync(map.storePath);
  const [torn, flipped] = [bytes.subarray(0, bytes.length - 3), Buffer.from(bytes)];
  // In a channel_update: the record behind the first announcement and its amount.
  flipped[bytes.readUInt16BE(49) + 59 + 22 + 12 + 70]! ^= 1;
  for (const [damaged, kind] of [
    [torn, 'torn_tail'],
    [flipped, 'bad_checksum'],
  ] as const) {
    writeFileSync(path, damaged);
    const result = await graph('graphInfo', undefined, true, path);
    assert.equal(result.code, 0);
    const info = JSON.parse(result.out) as Info;
    assert.deepEqual([info.complete, info.channels], [false, map.channels]);
    assert.match(result.err, new RegExp(`${kind}\\)\\. No funds are in this file\\. Next: gossipd check `));
  }
});

test('versions 14 and 15 are read, older ones refused with the next command', async () => {
  const path = join(folder, 'older');
  for (const version of [14, 15, 9]) {
    writeFileSync(path, goodStore(version, 3).bytes);
    const result = await graph('graphInfo', undefined, true, path);
    if (version === 9) assert.match(result.err, /^store_version_unsupported: .* has version 9; /);
    else assert.deepEqual([result.code, (JSON.parse(result.out) as Info).channels], [0, 3], result.err);
  }
});
