import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { COMPLETE, NO_CHAIN, QUIET } from '../../test/fixtures/daemon_status.ts';
import { serveRpc } from '../api/json_rpc_socket.ts';
import { silentLog } from '../base/log.ts';
import { runTool, type ToolResult } from './tool_process.test.support.ts';

const folder = mkdtempSync(join(tmpdir(), 'gossipd-status-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const peer = (index: number) => ({
  node_id: `02${String(index).padStart(64, '0')}`,
  address: `192.0.2.${index}:9735`,
  direction: 'out',
  bytes_in: 1_500_000,
  bytes_out: 20_000,
  useful_ratio: 0.5,
});
const STATUS = {
  version: '0.1.0',
  network: 'regtest',
  node_id: `03${'ab'.repeat(32)}`,
  listening: ['127.0.0.1:9735'],
  uptime_seconds: 12.5,
  sync: {
    state: 'asking_ranges',
    complete: false,
    percent: 41.25,
    totalKnownToPeers: 50_808,
    completeness: COMPLETE,
  },
  channels: 20_000,
  half_channels: 38_000,
  nodes: 9_000,
  signatures_checked: 123_456,
  rejected: 2,
  ...QUIET,
  chain: { ...NO_CHAIN, backend: 'bitcoind', verifies: true, height: 930_000, behind: 2, dying_channels: 3 },
  store: {
    path: '/x/gossip_store',
    bytes: 12_300_000,
    durable_bytes: 12_000_000,
    dead_bytes: 0,
    version: 16,
    state: 'ok',
    reason: '',
    rewrites: 0,
    damaged_ranges: 0,
    quarantine: '',
  },
  rss_bytes: 150_000_000,
  peers: [peer(1), peer(2)],
  something_new: { nested: [1, 2] },
};

const ask = async (answer: unknown, json: boolean): Promise<ToolResult> => {
  const server = await serveRpc(join(folder, 'sock'), { status: () => answer }, silentLog);
  try {
    return await runTool(['status'], 'await tools.status(args[0], args[1]);', [server.path, json]);
  } finally {
    await server.close();
  }
};

test('as JSON: all that the daemon says', async () => {
  const { code, out, err } = await ask(STATUS, true);
  assert.deepEqual([code, err], [0, '']);
  assert.deepEqual(JSON.parse(out), STATUS);
});

test('as text: what it is, how far it is, what it stores, and with whom it talks', async () => {
  const { code, out } = await ask(STATUS, false);
  assert.equal(code, 0);
  for (const line of [
    /^gossipd 0\.1\.0 on regtest, up 12\.5 s, node 03abab/m,
    /^sync +asking ranges: 41\.3 % of 50808 channels that our peers have$/m,
    /^map +20000 channels, 38000 updates, 9000 nodes$/m,
    /^checked +123456 signatures, 2 messages refused$/m,
    /^complete +100 %: 1234 of the 1234 channels in the lists of 1 peers$/m,
    /^chain +bitcoind: ok, block 930000, 2 blocks behind, 3 spent channels wait for their 72 blocks$/m,
    /^store +\/x\/gossip_store: 12\.3 MB, 12\.0 MB durable, ok$/m,
    /^listening 127\.0\.0\.1:9735$/m,
    /^peers +2$/m,
    /192\.0\.2\.1:9735 out, 1\.5 MB in, 0\.0 MB out, 50 % useful$/m,
  ])
    assert.match(out, line);
});

test('as text: a store in trouble says why, and that no funds are in it', async () => {
  const store = { ...STATUS.store, state: 'degraded', reason: 'no space left' };
  const { out } = await ask({ ...STATUS, store, chain: NO_CHAIN, listening: [] }, false);
  assert.match(out, /degraded \(no space left; no funds are in this file\)$/m);
  assert.match(out, /^chain +none: channels are unverified/m);
  assert.match(out, /^listening no$/m);
});

test('as text: of many peers the first ten, and how many more there are', async () => {
  const { out } = await ask(
    { ...STATUS, peers: Array.from({ length: 13 }, (_, index) => peer(index)) },
    false,
  );
  assert.match(out, /^peers +13$/m);
  assert.equal(out.split('\n').filter((line) => line.startsWith('  02')).length, 10);
  assert.match(out, /and 3 more; see --json/);
});

test('daemon_not_running: nobody answers', async () => {
  const result = await runTool(['status'], 'await tools.status(args[0], false);', [join(folder, 'none')]);
  assert.equal(result.code, 8);
  assert.match(result.err, /^daemon_not_running: no gossipd answers at /);
});
