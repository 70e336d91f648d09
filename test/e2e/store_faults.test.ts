/**
 * What a machine does to a store while the daemon runs: bytes go bad, the disk runs full, the file is taken away. Whatever it
 * is, the same process goes on, and the store ends up as complete as if nothing had happened.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { seededRng } from '../../src/base/rng.ts';
import { compactionKillRuns } from './compaction_kill_runs.ts';
import {
  FaultNetwork,
  fileLimit,
  holesHeal,
  liftFileLimit,
  noFileLimits,
  SmallDisk,
  untilFullOfMemory,
} from './store_faults_runs.ts';
import {
  assertTold,
  DAMAGES,
  damagedStart,
  smallDiskRuns,
  TAMPERINGS,
  takeFolderAway,
  tamper,
} from './store_tampering_runs.ts';

let network: FaultNetwork;
before(async () => {
  network = await FaultNetwork.open('faults', 1_000);
});
after(() => network.close());

describe('while the daemon runs', { concurrency: 2 }, () => {
  test('fifty holes are punched into its store: it heals, and fetches little more than it lost', async (t) => {
    const daemon = await network.start({ folder: 'holes' });
    await network.untilAll(daemon, 'the first sync');
    const { lost, received } = await holesHeal(network, daemon, seededRng(7), 50);
    t.diagnostic(`${lost} bytes of records were hit, ${received} received`);
    assert.equal((await daemon.stop()).code, 0);
    await network.assertLoads(daemon.folder);
  });

  test('the disk is full in the middle of the first sync: the map grows on, and is written when there is room', async (t) => {
    const refusal = noFileLimits();
    if (refusal !== undefined) return t.skip(refusal);
    const daemon = await network.start({ folder: 'limited', under: fileLimit(300_000) });
    const full = await untilFullOfMemory(network, daemon);
    assert.match(full.store.reason, /no space left/);
    assert.ok(full.store.bytes <= 300_000);
    liftFileLimit(daemon.pid);
    await network.untilAll(daemon, 'the disk has room');
    await daemon.untilWritten();
    assert.match(daemon.log, /the store can write again; nothing was lost/);
    network.assertWhole(readFileSync(daemon.store));
    assert.equal((await daemon.stop()).code, 0);
    await network.assertLoads(daemon.folder);
  });

  test('SIGTERM while the disk is full ends it cleanly, and it says what was not written', async (t) => {
    const refusal = noFileLimits();
    if (refusal !== undefined) return t.skip(refusal);
    const daemon = await network.start({ folder: 'stopped', under: fileLimit(200_000) });
    await untilFullOfMemory(network, daemon);
    const { code, signal, err } = await daemon.stop();
    assert.deepEqual([code, signal], [0, null]);
    assert.match(err, /bytes were not written/);
    assert.doesNotMatch(err, /the store is durable/);
    const again = await network.start({ folder: 'stopped' });
    await network.untilAll(again, 'the rest is fetched again');
    assert.equal((await again.stop()).code, 0);
  });

  test('killed while it compacts, the store opens again with everything that was durable', async (t) => {
    const report = await compactionKillRuns(
      network.house.path('compacting'),
      network.map.storePath,
      3,
      20_262,
    );
    t.diagnostic(JSON.stringify(report));
    assert.equal(report.kills.length, 3);
  });

  test('its file is removed, replaced, cut, written to, and its folder taken away: each time it has a whole one again', async () => {
    const daemon = await network.start({ folder: 'tampered' });
    await network.untilAll(daemon, 'the first sync');
    await daemon.untilWritten();
    for (const tampering of TAMPERINGS) await tamper(network, daemon, tampering);
    await takeFolderAway(network, daemon);
    assert.equal((await daemon.stop()).code, 0);
    assertTold(daemon.log, TAMPERINGS);
    await network.assertLoads(daemon.folder);
  });

  test('a small disk runs full, of its own doing and of somebody else: the map grows on, and nothing is lost', async (t) => {
    const disk = SmallDisk.open(network.house.path('disk'), '400k');
    if (typeof disk === 'string') return t.skip(disk);
    try {
      await smallDiskRuns(network, disk);
    } finally {
      disk.close();
    }
  });

  for (const { name, damage, says } of DAMAGES) {
    test(`a start on a store with ${name} keeps all but what is damaged, and says so in one sentence`, async () => {
      await damagedStart(network, { name, damage, says });
    });
  }
});
