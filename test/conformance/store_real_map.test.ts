/**
 * The real mainnet map of 2026-02-03 as a version-16 store written by other hands than ours: it loads whole, and opening
 * and closing leaves every byte as it was. The file is too large to commit; without it the test is skipped and says so.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { silentLog } from '../../src/base/log.ts';
import { silentMeter } from '../../src/base/meter.ts';
import { seededRng } from '../../src/base/rng.ts';
import { ManualClock } from '../../src/base/time.ts';
import { GossipStore } from '../../src/store/gossip_store.ts';
import { scanStore } from '../../src/store/scan.ts';
import { nodeStoreFolder } from '../../src/store/store_file.ts';
import { sharedData } from '../fixtures/shared_data.ts';
import { readAsCln } from './cln_reader.ts';

const SHA256 = '12ba5ec197ee97beb957db129fce92957b2d71b8251c7af8330ab309031dc948';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

test('the real mainnet map loads whole and is left byte for byte as it was', async (t) => {
  const map = sharedData(t, 'gossip_store-2026-02-03-v16.xz');
  if (map === undefined) return;
  assert.equal(sha256(map), SHA256);
  const folder = mkdtempSync(join(tmpdir(), 'gossipd-map-'));
  try {
    const path = join(folder, 'gossip_store');
    writeFileSync(path, map);
    const types = new Map<number, number>();
    const store = await GossipStore.open(
      {
        folder: nodeStoreFolder(folder),
        clock: new ManualClock(),
        rng: seededRng(1),
        log: silentLog,
        meter: silentMeter,
      },
      (record) => types.set(record.type, (types.get(record.type) ?? 0) + 1),
    );
    assert.deepEqual(Object.fromEntries(types), { 4107: 1, 256: 50_808, 4101: 50_808, 258: 101_616 });
    assert.equal(store.loadReport.records, 203_233);
    assert.deepEqual(store.loadReport.dropped, {});
    assert.equal(store.loadReport.rewritten, undefined);
    assert.equal(store.publishedBytes, 38_918_975);
    assert.equal(store.durableBytes, 38_918_975);
    const cursor = store.cursor('start');
    let read = 0;
    while (cursor.next() !== undefined) read++;
    assert.equal(read, 203_233);
    await store.close();
    assert.equal(sha256(readFileSync(path)), SHA256);
    const file = nodeStoreFolder(folder).open('gossip_store', 'read');
    assert.equal(scanStore(file, () => {}).records, 203_233);
    file.close();
    assert.equal(readAsCln(map).channels.size, 50_808);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
