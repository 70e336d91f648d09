import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import { silentMeter } from '../base/meter.ts';
import { seededRng } from '../base/rng.ts';
import { ManualClock } from '../base/time.ts';
import { FLAG_COMPLETED } from '../wire/store_record.ts';
import { goodStore } from './damaged_stores.test.support.ts';
import { EMPTY_STORE_BYTES, encodeEmptyStore, encodeRecord } from './format.ts';
import { GossipStore } from './gossip_store.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import { MAX_QUARANTINES } from './quarantine.ts';
import { scanStore } from './scan.ts';
import { nodeStoreFolder } from './store_file.ts';
import {
  acceptedChannel,
  acceptedNode,
  benchOn,
  describe,
  ignore,
  nodeOf,
} from './store_samples.test.support.ts';

const NAME = 'gossip_store';
const HEAD = encodeEmptyStore(new Uint8Array(32).fill(3));
const NODE = encodeRecord(5, nodeOf(1, 5));
const OTHER = encodeRecord(6, nodeOf(2, 6));

const folderWith = (...parts: Uint8Array[]): MemoryFolder => {
  const folder = new MemoryFolder();
  folder.place(NAME, concatBytes(...parts));
  return folder;
};

const records = (folder: MemoryFolder): string[] => {
  const seen: string[] = [];
  scanStore(folder.open(NAME, 'read'), (record) => seen.push(describe(record)));
  return seen;
};

test('a new store is 47 durable bytes with a uuid of its own, and never seen empty', async () => {
  for (let stopAt = 0; stopAt < 6; stopAt++) {
    const folder = new MemoryFolder();
    folder.stopAfter(stopAt);
    const store = await benchOn(folder)
      .open()
      .catch((error: unknown) => assert.ok(folder.stopped, String(error)));
    if (folder.exists(NAME)) assert.equal(folder.contents(NAME).length, EMPTY_STORE_BYTES);
    const cut = folder.crash({ fate: () => 0 });
    if (cut.exists(NAME)) assert.equal(cut.contents(NAME).length, EMPTY_STORE_BYTES);
    if (stopAt === 5) assert.ok(store instanceof GossipStore && store.uuid.some((byte) => byte !== 0));
  }
});

test('on a real disk: create, append, close, load again', async () => {
  const path = mkdtempSync(join(tmpdir(), 'gossipd-open-'));
  try {
    const options = {
      folder: nodeStoreFolder(path),
      clock: new ManualClock(),
      rng: seededRng(1),
      log: silentLog,
      meter: silentMeter,
    };
    const store = await GossipStore.open(options, ignore);
    store.append(acceptedChannel(1), ignore);
    store.append(acceptedNode(2, 9), ignore);
    await store.close();
    const seen: string[] = [];
    const again = await GossipStore.open(options, (record) => seen.push(describe(record)));
    assert.deepEqual(seen, ['4107@13', '256@59', '4101@503', '257@525']);
    assert.deepEqual(again.uuid, store.uuid);
    await again.close();
  } finally {
    rmSync(path, { recursive: true });
  }
});

test('store_version_unsupported: a later major version, or no store at all, is refused and not touched', async () => {
  const text = new TextEncoder().encode('# a configuration file\nnetwork = "bitcoin"\n'.repeat(9));
  for (const image of [
    concatBytes(Uint8Array.of(0x30), HEAD.subarray(1), NODE),
    text,
    new Uint8Array(5000),
  ]) {
    const folder = folderWith(image);
    await assert.rejects(
      benchOn(folder).open(),
      (error) => error instanceof OperationalError && error.code === 'store_version_unsupported',
    );
    assert.deepEqual(folder.contents(NAME), image);
    assert.deepEqual([folder.operations, folder.list()], [0, [NAME]]);
  }
});

test('every version from 3 to 16, and a wrong version byte, are loaded and become version 16', async () => {
  for (let version = 3; version <= 16; version++) {
    const good = goodStore(version, 3);
    for (const byte of [version, 0]) {
      const image = good.bytes.slice();
      image[0] = byte;
      const folder = folderWith(image);
      const seen: string[] = [];
      const bench = benchOn(folder);
      const store = await bench.open((record) => seen.push(describe(record).split('@')[0] as string));
      const types = seen.filter((type) => type.startsWith('25'));
      assert.equal(types.filter((type) => type === '256').length, 3, `version ${version}, byte ${byte}`);
      assert.deepEqual([store.version, store.state], [16, 'ok'], `version ${version}, byte ${byte}`);
      await store.close();
      assert.equal(folder.contents(NAME)[0], 16);
      const again: string[] = [];
      const second = await benchOn(folder).open((record) =>
        again.push(describe(record).split('@')[0] as string),
      );
      assert.equal(second.loadReport.rewritten, undefined, `version ${version}, byte ${byte}`);
      assert.deepEqual(
        again.filter((type) => type.startsWith('25')),
        types,
      );
      await second.close();
    }
  }
});

test('the configured version is written: 14, 15 and 16, one from the other', async () => {
  const good = goodStore(16, 3);
  let folder = folderWith(good.bytes);
  for (const version of [14, 15, 14, 16, 15, 16] as const) {
    const store = await benchOn(folder, { version }).open();
    const offset = store.append(acceptedNode(2, 2_000_000_000), ignore);
    await store.sync();
    assert.deepEqual(store.readMessage(offset), nodeOf(2, 2_000_000_000));
    assert.equal(store.cursor('start').next() !== undefined, true);
    await store.close();
    assert.equal(folder.contents(NAME)[0], version);
    folder = folder.crash();
  }
});

test('a file of 0 bytes or of the version byte alone becomes a store', async () => {
  for (const size of [0, 1]) {
    const folder = folderWith(HEAD.subarray(0, size));
    const store = await benchOn(folder).open();
    assert.deepEqual([store.publishedBytes, store.state, store.version], [EMPTY_STORE_BYTES, 'ok', 16]);
    await store.close();
  }
});

test('a damaged or missing uuid is replaced and what follows stays', async () => {
  const damaged = HEAD.slice();
  damaged[30] = 0xee;
  for (const folder of [folderWith(damaged, NODE, OTHER), folderWith(HEAD.subarray(0, 1), NODE, OTHER)]) {
    const store = await benchOn(folder).open();
    assert.deepEqual(records(folder), ['4107@13', '257@59', '257@213']);
    await store.close();
  }
});

test('a torn tail is set aside, the file replaced under a new uuid, and readers of the old one told', async () => {
  const folder = folderWith(HEAD, NODE, OTHER.subarray(0, 70));
  const old = folder.open(NAME, 'read');
  const { open, lines } = benchOn(folder);
  const store = await open();
  const end = HEAD.length + NODE.length;
  assert.equal(store.quarantined, 'gossip_store.quarantine-20231114T221320Z.json');
  assert.deepEqual(folder.contents('gossip_store.quarantine-20231114T221320Z.bin'), OTHER.subarray(0, 70));
  const [gap] = store.loadReport.gaps;
  assert.deepEqual([gap?.position, gap?.length, gap?.kind], [end, 70, 'torn_tail']);
  assert.equal(folder.contents(NAME).length, end);
  assert.deepEqual(folder.contents(NAME).subarray(EMPTY_STORE_BYTES), NODE);
  assert.notDeepEqual(store.uuid, new Uint8Array(32).fill(3));
  assert.equal(folder.exists('gossip_store.tmp'), false);
  const seen: string[] = [];
  scanStore({ ...old, size: () => old.size() }, (record) => {
    seen.push(describe(record));
    if (record.type === 4105) {
      assert.deepEqual(record.bytes.slice(record.at + 10, record.at + 42), store.uuid);
    }
  });
  assert.deepEqual(seen.slice(0, 3), ['4107@13', '257@59', `4105@${end + 12}`]);
  assert.ok(old.size() >= end + 70, 'the old file is never cut short');
  assert.match(lines.find(({ level }) => level === 'unusual')?.message ?? '', /No funds are in this file/);
  await store.close();
});

test('appends go on right behind a repaired tail', async () => {
  const folder = folderWith(HEAD, NODE, new Uint8Array(64));
  const store = await benchOn(folder).open();
  assert.equal(store.append(acceptedNode(2, 7), ignore), HEAD.length + NODE.length + 12);
  await store.close();
  assert.deepEqual(records(folder), ['4107@13', '257@59', '257@213']);
});

test('the newest quarantines are kept, the oldest goes first', async () => {
  let folder = folderWith(HEAD, NODE);
  for (let round = 0; round < MAX_QUARANTINES + 2; round++) {
    folder.place(NAME, concatBytes(HEAD, NODE, Uint8Array.of(0x20, 0, round)));
    const { open, clock } = benchOn(folder);
    clock.advance(round * 1000);
    await (await open()).close();
    folder = folder.crash();
  }
  const kept = folder.list().filter((name) => name.endsWith('.bin'));
  assert.equal(kept.length, MAX_QUARANTINES);
  assert.deepEqual(kept.map((name) => folder.contents(name)[2]).sort(), [2, 3, 4, 5]);
});

test('a full disk does not keep a damaged store from opening: it is repaired when there is room', async () => {
  const folder = folderWith(HEAD, NODE, OTHER.subarray(0, 70));
  folder.capacityBytes = folder.contents(NAME).length + 20;
  const { open, clock } = benchOn(folder);
  const seen: string[] = [];
  const store = await open((record) => seen.push(describe(record)));
  assert.deepEqual(seen, ['4107@13', '257@59']);
  assert.deepEqual([store.state, store.quarantined], ['degraded', undefined]);
  const offset = store.append(acceptedNode(2, 7), ignore);
  clock.advance(0);
  assert.deepEqual(store.readMessage(offset), nodeOf(2, 7));
  assert.equal(store.pendingBytes, 154);
  folder.heal();
  await store.sync();
  assert.deepEqual([store.state, store.pendingBytes], ['ok', 0]);
  assert.deepEqual(records(folder), ['4107@13', '257@59', '257@213']);
  await store.close();
});

test('a disk that refuses to be read keeps the store closed, untouched and unlocked', async () => {
  const folder = folderWith(HEAD, NODE);
  folder.fail('read', 'disk_error', 1_000_000);
  await assert.rejects(
    benchOn(folder).open(),
    (error) => error instanceof OperationalError && error.code === 'disk_error',
  );
  assert.equal(folder.operations, 0);
  folder.heal();
  await (await benchOn(folder).open()).close();
});

test('what a repair that crashed left behind is removed', async () => {
  const folder = folderWith(HEAD, NODE);
  folder.place('gossip_store.tmp', HEAD.subarray(0, 20));
  const store = await benchOn(folder).open();
  assert.deepEqual(folder.list(), [NAME]);
  assert.equal((folder.contents(NAME)[1] as number) << 8, FLAG_COMPLETED);
  await store.close();
});
