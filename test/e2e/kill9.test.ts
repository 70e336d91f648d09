import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CliHouse, childrenOf, isRunning } from './cli_process.ts';
import { killRuns } from './kill9_runs.ts';

const house = new CliHouse('kill9-map');
after(() => house.close());

test('killed three times in the middle of a sync it starts at once, keeps what was durable, and ends complete', async (t) => {
  const report = await killRuns(3, 20_261);
  t.diagnostic(JSON.stringify(report));
  assert.equal(report.kills.length, 3);
  const inTheSync = report.kills.filter(({ durableBytes }) => durableBytes > 1_000);
  assert.ok(inTheSync.length >= 1, 'a kill came when something was stored');
});

test('killed while it signs its map it starts again, and what it left is gone', async () => {
  const cache = house.path('cache');
  const args = ['simnet', '--seed', '3', '--channels', '3000', '--cache-dir', cache, '--once', '--json'];
  const killed = house.start(args);
  await killed.says(/signing the map/);
  killed.kill('SIGKILL');
  assert.equal((await killed.ended).signal, 'SIGKILL');
  const again = await house.run(args);
  assert.equal(again.code, 0, again.err);
  const [name] = readdirSync(cache);
  assert.deepEqual(readdirSync(house.path('cache', name!)).sort(), ['map', 'node']);
  assert.ok(existsSync(house.path('cache', name!, 'map', 'map.json')));
});

test('a peer of the network in a box ends when the one who started it is gone', async () => {
  const folder = house.path('orphans');
  const run = house.start([
    ...[
      'simnet',
      '--seed',
      '3',
      '--channels',
      '3000',
      '--cache-dir',
      house.path('cache'),
      '--data-dir',
      folder,
    ],
  ]);
  await run.says(/peers serve the map/);
  const peers = childrenOf(run.pid);
  assert.equal(peers.length, 3);
  run.kill('SIGKILL');
  await run.ended;
  for (let tries = 0; peers.some(isRunning); tries++) {
    assert.ok(tries < 1_000, `still running: ${peers.filter(isRunning).join(', ')}`);
    await sleep(20);
  }
});
