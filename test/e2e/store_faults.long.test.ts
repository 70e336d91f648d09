/** The faults of store_faults.test.ts again and again, on a larger map, at random places, with live updates coming in. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { seededRng } from '../../src/base/rng.ts';
import { compactionKillRuns } from './compaction_kill_runs.ts';
import {
  drawHoles,
  FaultNetwork,
  fileLimit,
  holesHeal,
  liftFileLimit,
  noFileLimits,
  punch,
} from './store_faults_runs.ts';
import { DATA_FOLDER_MODES, ordinaryUser, refusedRuns } from './store_permission_runs.ts';
import { assertTold, TAMPERINGS, takeFolderAway, tamper } from './store_tampering_runs.ts';

const CHANNELS = 3_000;
/** Another one at each run; the failing one is told. */
const seed = Math.floor(Math.random() * 0x100000000);
/** Header position of a live update. */
const middleRecord = (bytes: Uint8Array): number => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 1;
  const isLiveUpdate = (): boolean => view.getUint16(at) < 0x8000 && view.getUint16(at + 12) === 258;
  while (at < bytes.length / 2 || !isLiveUpdate()) at += 12 + view.getUint16(at + 2);
  return at;
};

let network: FaultNetwork;
before(async () => {
  network = await FaultNetwork.open('faults-long', CHANNELS);
});
after(() => network.close());

describe('while the daemon runs', { concurrency: 2 }, () => {
  test('ten times fifty holes at random places: it heals each time, and fetches little more than it lost', async (t) => {
    const daemon = await network.start({ folder: 'holes' });
    await network.untilAll(daemon, 'the first sync');
    for (let round = 0; round < 10; round++) {
      t.diagnostic(`seed ${seed + round}`);
      const { lost, received } = await holesHeal(network, daemon, seededRng(seed + round), 50);
      t.diagnostic(`${lost} bytes of records were hit, ${received} received`);
    }
    assert.equal((await daemon.stop()).code, 0);
    await network.assertLoads(daemon.folder);
  });

  test('a single bad byte anywhere, the version included, is found and healed', async (t) => {
    const daemon = await network.start({ folder: 'one-byte' });
    await network.untilAll(daemon, 'the first sync');
    const { store } = await daemon.untilWritten();
    const rng = seededRng(seed);
    const positions = [0, 20, Math.floor(rng.fraction() * store.bytes)];
    for (const at of positions) {
      t.diagnostic(`byte ${at}`);
      const before = await daemon.untilWritten();
      const byte = (readFileSync(daemon.store)[at]! ^ (1 << Math.floor(rng.fraction() * 8))) & 0xff;
      punch(daemon.store, [{ position: at, bytes: Uint8Array.of(byte) }]);
      await daemon.until(
        `byte ${at} is found`,
        ({ store: { rewrites } }) => rewrites > before.store.rewrites,
      );
      await network.untilAll(daemon, 'all is back');
      await daemon.untilWritten();
      network.assertWhole(readFileSync(daemon.store));
    }
    assert.equal((await daemon.stop()).code, 0);
    await network.assertLoads(daemon.folder);
  });

  test('holes are punched between two runs, and a record is flagged deleted: the next run finds and heals them', async (t) => {
    t.diagnostic(`seed ${seed}`);
    const rng = seededRng(seed);
    for (let round = 0; round < 5; round++) {
      const daemon = await network.start({ folder: 'between' });
      await network.untilWhole(daemon);
      assert.equal((await daemon.stop()).code, 0);
      const bytes = readFileSync(daemon.store);
      if (round === 0) punch(daemon.store, [{ position: middleRecord(bytes), bytes: Uint8Array.of(0xa0) }]);
      else punch(daemon.store, drawHoles(rng, 5 ** round, bytes.length));
    }
    const last = await network.start({ folder: 'between' });
    await network.untilWhole(last);
    assert.equal((await last.stop()).code, 0);
    await network.assertLoads(last.folder);
  });

  test('holes are punched while the first sync is under way and live updates come in: it ends complete', async (t) => {
    t.diagnostic(`seed ${seed}`);
    const rng = seededRng(seed);
    const flags = ['--bytes-per-second-in', '100000'];
    const daemon = await network.start({ folder: 'holes-in-sync', live: true, flags });
    let bytes = 100_000;
    for (let round = 0; round < 8; round++) {
      const { store } = await daemon.until('the store grows', (status) => status.store.durable_bytes > bytes);
      punch(daemon.store, drawHoles(rng, 10, store.durable_bytes));
      bytes = store.durable_bytes + 100_000;
    }
    await network.untilAll(daemon, 'all is there');
    await daemon.until(
      'nothing is asked for any more',
      ({ sync }) => sync.complete && sync.refetchLeft === 0,
    );
    assert.equal((await daemon.stop()).code, 0);
    network.assertWhole(readFileSync(daemon.store));
    await network.assertLoads(daemon.folder);
  });

  test('the disk is full and has room again three times, while live updates come in: nothing is lost', async (t) => {
    const refusal = noFileLimits();
    if (refusal !== undefined) return t.skip(refusal);
    const daemon = await network.start({ folder: 'limited', live: true, under: fileLimit(500_000) });
    for (const extra of [100_000, 20_000, 1]) {
      await daemon.until(
        'a whole map in memory',
        (status) => network.hasAll(status) && status.store.state === 'degraded',
      );
      liftFileLimit(daemon.pid);
      await network.untilAll(daemon, 'the disk has room');
      const { store } = await daemon.status();
      liftFileLimit(daemon.pid, store.bytes + extra);
    }
    await daemon.until('full once more', ({ store }) => store.state === 'degraded');
    liftFileLimit(daemon.pid);
    await network.untilAll(daemon, 'the disk has room');
    assert.equal((await daemon.stop()).code, 0);
    network.assertWhole(readFileSync(daemon.store));
    await network.assertLoads(daemon.folder);
  });

  test('its file and folder are tampered with while live updates come in, each time followed by a fresh start', async () => {
    for (const tampering of TAMPERINGS) {
      const daemon = await network.start({ folder: 'tampered', live: true });
      await network.untilAll(daemon, 'in sync');
      await tamper(network, daemon, tampering, false);
      await takeFolderAway(network, daemon, false);
      assert.equal((await daemon.stop()).code, 0);
      assertTold(daemon.log, [tampering]);
      network.assertWhole(readFileSync(daemon.store));
      await network.assertLoads(daemon.folder);
    }
  });

  for (const what of DATA_FOLDER_MODES) {
    test(`mode 000 on the ${what}, and back: nothing is lost`, async (t) => {
      const user = ordinaryUser();
      if (typeof user === 'string') return t.skip(user);
      await refusedRuns(network, user, what);
    });
  }

  test('killed forty-eight times while it compacts, the store opens again with everything that was durable', async (t) => {
    t.diagnostic(`seed ${seed}`);
    const { storePath } = network.map;
    const { kills } = await compactionKillRuns(network.house.path('compacting'), storePath, 48, seed);
    t.diagnostic(JSON.stringify(kills));
    assert.equal(kills.length, 48);
    assert.ok(
      kills.some(({ cutOff }) => cutOff),
      'some came in the middle of a rewrite',
    );
  });
});
