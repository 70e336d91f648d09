import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { OperationalError } from '../base/errors.ts';
import { ManualClock } from '../base/time.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import { MAX_QUARANTINE_BYTES, MAX_QUARANTINES, type QuarantineRange, quarantine } from './quarantine.ts';
import { nodeStoreFolder, type StoreFile, type StoreFolder } from './store_file.ts';

const NAME = 'gossip_store';
const STAMP = 'gossip_store.quarantine-20231114T221320Z';
const CONTENT = Uint8Array.from({ length: 1000 }, (_, index) => index % 251);

const range = (offset: number, length: number): QuarantineRange => ({
  offset,
  length,
  finding: 'GS-CRC',
  reason: 'bad_checksum',
});

const setUp = () => {
  const folder = new MemoryFolder();
  folder.place(NAME, CONTENT);
  return { folder, file: folder.open(NAME, 'read'), clock: new ManualClock() };
};

const indexOf = (folder: MemoryFolder, json: string) =>
  JSON.parse(new TextDecoder().decode(folder.contents(json)));

test('the bytes are kept with an index that says what they are, and survive a power cut', async () => {
  const { folder, file, clock } = setUp();
  const json = await quarantine(folder, NAME, file, [range(100, 50), range(900, 100)], clock);
  assert.equal(json, `${STAMP}.json`);
  assert.equal(folder.unsyncedWrites() + folder.unsyncedNames, 0);
  assert.deepEqual(indexOf(folder, json), {
    store: NAME,
    time: '2023-11-14T22:13:20.000Z',
    copy: `${STAMP}.bin`,
    ranges: [
      {
        offset: 100,
        length: 50,
        position: 0,
        kept: 50,
        missing: null,
        finding: 'GS-CRC',
        reason: 'bad_checksum',
      },
      {
        offset: 900,
        length: 100,
        position: 50,
        kept: 100,
        missing: null,
        finding: 'GS-CRC',
        reason: 'bad_checksum',
      },
    ],
  });
  const copy = folder.contents(`${STAMP}.bin`);
  assert.deepEqual(copy.subarray(0, 50), CONTENT.subarray(100, 150));
  assert.deepEqual(copy.subarray(50), CONTENT.subarray(900));
});

test('files are for their owner alone', async () => {
  const path = mkdtempSync(join(tmpdir(), 'gossipd-quarantine-'));
  try {
    const folder = nodeStoreFolder(path);
    const file = folder.open(NAME, 'create');
    file.write(CONTENT, 0);
    await quarantine(folder, NAME, file, [range(0, 10)], new ManualClock());
    for (const ending of ['bin', 'json']) {
      assert.equal(statSync(join(path, `${STAMP}.${ending}`)).mode & 0o777, 0o600);
    }
    file.close();
  } finally {
    rmSync(path, { recursive: true });
  }
});

test('the second and third incident of a second get a number', async () => {
  const { folder, file, clock } = setUp();
  const names = [];
  for (let round = 0; round < 3; round++)
    names.push(await quarantine(folder, NAME, file, [range(round, 1)], clock));
  assert.deepEqual(names, [`${STAMP}.json`, `${STAMP}-1.json`, `${STAMP}-2.json`]);
  assert.deepEqual(folder.contents(`${STAMP}.bin`), CONTENT.subarray(0, 1));
  assert.deepEqual(folder.contents(`${STAMP}-2.bin`), CONTENT.subarray(2, 3));
});

test('the newest incidents stay, by number within a second, and no other file is touched', async () => {
  const { folder, file, clock } = setUp();
  const others = [
    `${STAMP}.txt`,
    'gossip_store.quarantine-mine.bin',
    'other.quarantine-20200101T000000Z.bin',
    'gossip_store.bak-20200101T000000Z',
  ];
  for (const other of others) folder.place(other, new Uint8Array(1));
  folder.place('gossip_store.quarantine-20200101T000000Z.bin', new Uint8Array(1));
  for (let round = 0; round < 12; round++) await quarantine(folder, NAME, file, [range(round, 1)], clock);
  clock.advance(1000);
  await quarantine(folder, NAME, file, [range(0, 1)], clock);
  const left = folder.list().filter((name) => name !== NAME && !others.includes(name));
  assert.equal(left.length, 2 * MAX_QUARANTINES);
  const stems = left.filter((name) => name.endsWith('.json')).sort();
  assert.deepEqual(stems, [
    `${STAMP}-10.json`,
    `${STAMP}-11.json`,
    `${STAMP}-9.json`,
    'gossip_store.quarantine-20231114T221321Z.json',
  ]);
  for (const other of others) assert.ok(folder.exists(other), other);
});

test('one that is made after the clock has gone back stays', async () => {
  const { folder, file, clock } = setUp();
  for (let round = 0; round < 5; round++) await quarantine(folder, NAME, file, [range(round, 1)], clock);
  const earlier = new ManualClock(1_600_000_000_000);
  const json = await quarantine(folder, NAME, file, [range(0, 1)], earlier);
  assert.ok(folder.exists(json));
  assert.equal(folder.list().length, 1 + 2 * MAX_QUARANTINES);
});

/** A file of any size whose bytes are all 7. */
const hugeFile = (size: number): StoreFile => ({
  read: (buffer, start, length, position) => {
    const got = Math.max(0, Math.min(length, size - position));
    buffer.fill(7, start, start + got);
    return got;
  },
  write: () => assert.fail('a damaged file is not written to'),
  size: () => size,
  dataSync: async () => {},
  close: () => {},
  identity: () => ({ dev: 1, ino: 99 }),
});

test('64 MiB are kept at most, and a huge range does not crowd out small ones', async () => {
  const { folder, clock } = setUp();
  const huge = MAX_QUARANTINE_BYTES * 3;
  const ranges = [range(1000, huge), range(10, 100), range(huge + 5000, huge), range(200, 300)];
  let written = 0;
  const open: StoreFolder['open'] = (name, mode) => {
    const opened = folder.open(name, mode);
    if (!name.endsWith('.bin')) return opened;
    return {
      ...opened,
      write: (bytes, position) => {
        assert.equal(position, written);
        written += bytes.length;
      },
    };
  };
  const counting: StoreFolder = { ...folder, path: folder.path, open };
  const json = await quarantine(counting, NAME, hugeFile(huge * 3), ranges, clock);
  const entries: { position: number | null; kept: number; missing: string | null }[] = indexOf(
    folder,
    json,
  ).ranges;
  assert.deepEqual(
    entries.map(({ position, kept, missing }) => [position, kept, missing]),
    [
      [0, MAX_QUARANTINE_BYTES - 400, 'too_large'],
      [MAX_QUARANTINE_BYTES - 400, 100, null],
      [null, 0, 'too_large'],
      [MAX_QUARANTINE_BYTES - 300, 300, null],
    ],
  );
  assert.equal(written, MAX_QUARANTINE_BYTES);
});

test('what the disk cannot read is noted, and the rest is kept', async () => {
  const { folder, file, clock } = setUp();
  const read: StoreFile['read'] = (buffer, start, length, position) => {
    if (position === 300) throw new OperationalError('disk_error', 'degrade', 'reading: EIO', 'Look.');
    return file.read(buffer, start, length, position);
  };
  const ranges = [range(100, 50), range(300, 20), range(990, 50)];
  const json = await quarantine(folder, NAME, { ...file, read }, ranges, clock);
  const entries: { position: number | null; kept: number; missing: string | null }[] = indexOf(
    folder,
    json,
  ).ranges;
  assert.deepEqual(
    entries.map(({ position, kept, missing }) => [position, kept, missing]),
    [
      [0, 50, null],
      [null, 0, 'unreadable'],
      [50, 10, 'unreadable'],
    ],
  );
});

test('a disk that refuses leaves nothing behind, whatever call it refuses', async () => {
  for (const call of ['create', 'write', 'dataSync', 'syncDirectory'] as const) {
    for (const code of ['disk_full', 'disk_error'] as const) {
      const { folder, file, clock } = setUp();
      folder.fail(call, code);
      await assert.rejects(quarantine(folder, NAME, file, [range(0, 100)], clock), { code });
      assert.deepEqual(folder.list(), [NAME]);
    }
  }
  const { folder, file, clock } = setUp();
  folder.capacityBytes = CONTENT.length + 120;
  await assert.rejects(quarantine(folder, NAME, file, [range(0, 100)], clock), { code: 'disk_full' });
  assert.deepEqual(folder.list(), [NAME]);
});
