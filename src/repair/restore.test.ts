import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesEqual } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import { fileOf, flipBit, goodStore } from '../store/damaged_stores.test.support.ts';
import { MemoryFolder } from '../store/memory_folder.test.support.ts';
import { SalvageReader } from '../store/salvage_reader.ts';
import { detectFormat, type WritableVersion } from '../store/versions.ts';
import {
  diskWith,
  HastyClock,
  jobOn,
  restoreJob,
  STORE,
  taken,
  testMachine,
} from './backup_bench.test.support.ts';
import { manifestName } from './backup_manifest.ts';
import { listBackups } from './backup_ring.ts';
import { type RestoreOutcome, restoreBackup } from './restore.ts';

const code = (wanted: string) => (error: unknown) =>
  error instanceof OperationalError && error.code === wanted && error.hint !== '';

/** Every live message of a store, as text; what is not sound shows as itself. */
const messagesIn = (bytes: Uint8Array): string[] => {
  const file = fileOf(bytes);
  const { format } = detectFormat(file);
  if (format === undefined) return ['no store'];
  const reader = new SalvageReader(file, { format });
  const found: string[] = [];
  for (let step = reader.next(); step !== 'end'; step = reader.next()) {
    const { record } = reader;
    if (step !== 'live' || reader.restored !== undefined) found.push(step);
    else if (record.type !== 4107)
      found.push(
        `${record.timestamp}:${Buffer.from(record.bytes.subarray(record.at, record.at + record.length)).toString('hex')}`,
      );
  }
  return found;
};

const restored = async (job: Parameters<typeof restoreBackup>[0]): Promise<RestoreOutcome> => {
  const outcome = await restoreBackup(job);
  if (outcome === 'cancelled') throw new Error('cancelled');
  return outcome;
};

/** A folder with backups of stores of so many channels each, the oldest first. */
const ring = async (channels: readonly number[], compress = false, version = 16) => {
  const clock = new HastyClock();
  const folder = new MemoryFolder();
  const files: string[] = [];
  for (const number of channels) {
    clock.manual.advance(1000);
    const job = jobOn(diskWith(goodStore(version, number).bytes), folder, clock, { compress });
    files.push((await taken(job)).manifest.file);
  }
  return { folder, files };
};

for (const compress of [false, true]) {
  test(`the newest good ${compress ? 'compressed ' : ''}backup of a folder takes the name, with a fresh uuid; the file before stays`, async () => {
    const { folder, files } = await ring([6, 8], compress);
    const present = goodStore(16, 3).bytes;
    const to = diskWith(present);
    const outcome = await restored(restoreJob(folder, to));
    assert.deepEqual([outcome.file, outcome.channels, outcome.version], [files[1], 8, 16]);
    const after = to.contents(STORE);
    assert.deepEqual(messagesIn(after), messagesIn(goodStore(16, 8).bytes));
    assert.ok(!bytesEqual(after.slice(0, 47), goodStore(16, 8).bytes.slice(0, 47)), 'a uuid of its own');
    assert.equal(outcome.kept_as, 'gossip_store.bak-20231114T221320Z');
    assert.ok(bytesEqual(to.contents(outcome.kept_as), present));
  });
}

for (const version of [3, 5, 9, 12, 14, 15]) {
  test(`a version ${version} backup comes back as it was`, async () => {
    const { folder } = await ring([5], false, version);
    const to = new MemoryFolder();
    const outcome = await restored(restoreJob(folder, to));
    assert.ok(bytesEqual(to.contents(STORE), goodStore(version, 5).bytes));
    assert.equal(outcome.kept_as, undefined);
  });
}

for (const [from, target] of [
  [3, 16],
  [12, 14],
  [14, 16],
  [16, 14],
  [15, 16],
  [16, 15],
] as const) {
  test(`a version ${from} backup is restored as version ${target}`, async () => {
    const { folder } = await ring([5], false, from);
    const to = new MemoryFolder();
    await restored(restoreJob(folder, to, { version: target as WritableVersion }));
    const bytes = to.contents(STORE);
    assert.equal(bytes[0], target);
    const found = messagesIn(bytes);
    assert.ok(!found.includes('gap') && !found.includes('malformed'));
    if (from > 3) assert.deepEqual(found, messagesIn(goodStore(from, 5).bytes));
    else assert.equal(found.length, messagesIn(goodStore(16, 5).bytes).length);
  });
}

test('a backup in which one bit has flipped since is refused, and the next older one is taken', async () => {
  for (const compress of [false, true]) {
    const { folder, files } = await ring([6, 7, 8], compress);
    const newest = files[2]!;
    const before = folder.contents(newest);
    for (const at of [0, 20, 100, before.length >> 1, before.length - 2]) {
      folder.place(newest, flipBit(before, at, 2));
      const to = new MemoryFolder();
      const outcome = await restored(restoreJob(folder, to));
      assert.deepEqual([outcome.file, outcome.channels], [files[1], 7], `byte ${at}`);
      assert.equal(outcome.refused[0]?.file, newest);
      await assert.rejects(restoreBackup(restoreJob(folder, to, { file: newest })), code('backup_damaged'));
      assert.equal(detectFormat(to.open(STORE, 'read')).versionByte, 16);
    }
  }
});

test('a good backup goes before a newer one of a damaged store, which goes before none', async () => {
  const { folder, files } = await ring([8]);
  const clock = new HastyClock();
  clock.manual.advance(3_600_000);
  const damaged = flipBit(goodStore(16, 8).bytes, 3000, 1);
  const worse = (await taken(jobOn(diskWith(damaged), folder, clock))).manifest.file;
  assert.equal(listBackups(folder, STORE)[0]?.file, worse);
  assert.equal((await restored(restoreJob(folder, new MemoryFolder()))).file, files[0]);
  folder.remove(files[0]!);
  const outcome = await restored(restoreJob(folder, new MemoryFolder()));
  assert.equal(outcome.file, worse);
  assert.equal(outcome.manifest?.missing.ranges, 1);
});

test('a backup without manifest can be named, but is never chosen from a folder', async () => {
  const { folder, files } = await ring([6]);
  folder.remove(manifestName(files[0]!));
  await assert.rejects(restoreBackup(restoreJob(folder, diskWith())), code('backup_missing'));
  const outcome = await restored(restoreJob(folder, diskWith(), { file: files[0] }));
  assert.equal(outcome.manifest, undefined);
  assert.equal(outcome.channels, 6);
});

test('a plain copy with dead records can be restored; one that is torn, empty or no store cannot', async () => {
  const { bytes, records } = goodStore(16, 5, { withDeleted: true });
  const folder = new MemoryFolder();
  folder.place('copy', bytes);
  const to = new MemoryFolder();
  const outcome = await restored(restoreJob(folder, to, { file: 'copy' }));
  assert.equal(outcome.records, records.filter(({ flags }) => (flags & 0x8000) === 0).length);
  const live = messagesIn(bytes).filter((entry) => entry !== 'deleted');
  assert.deepEqual(messagesIn(to.contents(STORE)), live);
  for (const bad of [bytes.slice(0, -3), new Uint8Array(0), new Uint8Array(900).fill(0x7f)]) {
    folder.place('copy', bad);
    await assert.rejects(restoreBackup(restoreJob(folder, to, { file: 'copy' })), code('backup_damaged'));
  }
});

test('a target that is in use is left alone, also when that is found at the last moment', async () => {
  const { folder } = await ring([6]);
  const present = goodStore(16, 3).bytes;
  for (const when of [1, 2]) {
    const to = diskWith(present);
    let asked = 0;
    const requireUnused = (): void => {
      if (++asked === when) throw new OperationalError('store_in_use', 'stop', 'in use', 'Stop it.');
    };
    await assert.rejects(restoreBackup(restoreJob(folder, to, { requireUnused })), code('store_in_use'));
    assert.ok(bytesEqual(to.contents(STORE), present));
    assert.deepEqual(to.list(), [STORE]);
  }
});

test('a crash at any operation leaves the old file or the new one under the name, whole', async () => {
  const { folder } = await ring([7]);
  const present = goodStore(16, 3).bytes;
  const old = messagesIn(present);
  const wanted = messagesIn(goodStore(16, 7).bytes);
  const measure = diskWith(present);
  await restored(restoreJob(folder, measure));
  assert.ok(measure.operations >= 6);
  const seen = new Set<string>();
  for (let stop = 0; stop < measure.operations; stop++) {
    for (const names of [0, 1, 2, undefined]) {
      const to = diskWith(present);
      to.stopAfter(stop, 9);
      const outcome = await restoreBackup(restoreJob(folder, to)).catch((error: unknown) => error);
      // The last operation removes the index of the old file, whose failure costs nothing.
      assert.ok(outcome instanceof OperationalError || stop === measure.operations - 1, `stop ${stop}`);
      const after = to.crash(names === undefined ? {} : { names, fate: () => 0 });
      const found = messagesIn(after.contents(STORE));
      const isOld = found.length === old.length;
      seen.add(isOld ? 'old' : 'new');
      assert.deepEqual(found, isOld ? old : wanted, `stop ${stop}, names ${names}`);
    }
  }
  assert.deepEqual([...seen].sort(), ['new', 'old']);
});

test('a disk that fails in any call before the rename leaves the store as it was', async () => {
  const { folder } = await ring([7]);
  const present = goodStore(16, 3).bytes;
  for (const call of ['create', 'write', 'dataSync', 'rename', 'read', 'syncDirectory'] as const) {
    const to = diskWith(present);
    to.fail(call, 'disk_full');
    await assert.rejects(restoreBackup(restoreJob(folder, to)), code('disk_full'), call);
    assert.ok(bytesEqual(to.contents(STORE), present), call);
    assert.deepEqual(
      to.list().filter((name) => name.endsWith('.tmp')),
      [],
    );
  }
});

test('a file system without links keeps the file before as a copy', async () => {
  const { folder } = await ring([7]);
  const present = goodStore(16, 3).bytes;
  const disk = diskWith(present);
  const to = {
    ...restoreJob(folder, disk).to,
    folder: {
      path: disk.path,
      open: disk.open,
      exists: disk.exists,
      identity: disk.identity,
      rename: disk.rename,
      link: () => {
        throw new OperationalError('disk_error', 'degrade', 'no links here', 'None.');
      },
      sync: disk.sync,
      remove: disk.remove,
      list: disk.list,
      freeBytes: disk.freeBytes,
      lock: disk.lock,
    },
  };
  const outcome = await restored(restoreJob(folder, disk, { to }));
  assert.ok(bytesEqual(disk.contents(outcome.kept_as!), present));
});

test('a task that is told to stop leaves the store as it was', async () => {
  const { folder } = await ring([7]);
  const present = goodStore(16, 3).bytes;
  for (const after of [0, 1]) {
    let asked = 0;
    const to = diskWith(present);
    const task = {
      cancelled: () => (asked++ >= after ? ('interrupted' as const) : undefined),
      progress: () => {},
      breathe: async () => {},
    };
    assert.equal(await restoreBackup(restoreJob(folder, to, { task, machine: testMachine })), 'cancelled');
    assert.ok(bytesEqual(to.contents(STORE), present));
    assert.deepEqual(to.list(), [STORE]);
  }
});
