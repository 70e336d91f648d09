import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { bytesEqual, concatBytes } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import {
  append,
  cut,
  fileOf,
  flipBit,
  goodStore,
  rec,
  withFlags,
  withVersion,
  zeros,
} from '../store/damaged_stores.test.support.ts';
import { MemoryFolder } from '../store/memory_folder.test.support.ts';
import { SalvageReader } from '../store/salvage_reader.ts';
import { updateOf } from '../store/store_samples.test.support.ts';
import { earlyFormat5, storeFormat } from '../store/versions.ts';
import { encodeEnded } from '../wire/gossip_store_messages.ts';
import { FLAG_COMPLETED } from '../wire/store_record.ts';
import { backUp, sourceIsDamaged } from './backup.ts';
import { diskWith, HastyClock, jobOn, STORE, taken, watched } from './backup_bench.test.support.ts';
import { isGood, manifestName, readManifest } from './backup_manifest.ts';
import { listBackups, newestGood } from './backup_ring.ts';

const code = (wanted: string) => (error: unknown) =>
  error instanceof OperationalError && error.code === wanted && error.hint !== '';

const format16 = storeFormat(16)!;

/** `type:position` of each live record. */
const liveIn = (bytes: Uint8Array, format = format16): string[] => {
  const reader = new SalvageReader(fileOf(bytes), { format });
  const found: string[] = [];
  for (let step = reader.next(); step !== 'end'; step = reader.next())
    if (step === 'live') found.push(`${reader.record.type}:${reader.record.length}`);
    else if (step !== 'deleted') found.push(step);
  return found;
};

for (const version of [3, 4, 5, 6, 7, 9, 12, 14, 15, 16]) {
  test(`a backup of a sound version ${version} store is that store, byte for byte`, async () => {
    const { bytes, records } = goodStore(version, 4);
    const to = new MemoryFolder();
    const { manifest } = await taken(jobOn(diskWith(bytes), to));
    assert.ok(bytesEqual(to.contents(manifest.file), bytes));
    assert.deepEqual(
      [manifest.version, manifest.records, manifest.channels, manifest.bytes, isGood(manifest)],
      [version, records.length, 4, bytes.length, true],
    );
    assert.equal(manifest.file, 'gossip_store-20231114T221320Z.bak');
    assert.deepEqual(readManifest(to, manifest.file), manifest);
    assert.equal(sourceIsDamaged(manifest), false);
  });
}

test('a version 5 store of before its headers grew is copied as such', async () => {
  const { records } = goodStore(5, 3);
  const parts = records.map(({ bytes }) => rec(earlyFormat5, bytes));
  const bytes = concatBytes(Uint8Array.of(5), ...parts);
  const to = new MemoryFolder();
  const { manifest } = await taken(jobOn(diskWith(bytes), to));
  assert.ok(bytesEqual(to.contents(manifest.file), bytes));
  assert.equal(manifest.header_bytes, 8);
});

test('dead records are left out', async () => {
  const { bytes, records } = goodStore(16, 5, { withDeleted: true, withRemoved: true });
  const to = new MemoryFolder();
  const { manifest } = await taken(jobOn(diskWith(bytes), to));
  const dead = records.filter(({ flags }) => (flags & 0x8000) !== 0);
  assert.ok(dead.length > 5);
  assert.equal(
    manifest.dead_bytes,
    dead.reduce((sum, { length }) => sum + length + 12, 0),
  );
  assert.equal(manifest.records, records.length - dead.length);
  assert.equal(manifest.bytes, bytes.length - manifest.dead_bytes);
  assert.ok(isGood(manifest));
});

test('private records are left out unless asked for', async () => {
  const { bytes, records } = goodStore(12, 3, { withPrivate: true });
  const isPrivate = records.filter(({ type }) => type === 4102 || type === 4104).length;
  assert.ok(isPrivate > 0);
  const to = new MemoryFolder();
  const without = await taken(jobOn(diskWith(bytes), to));
  assert.equal(without.manifest.private_records_left_out, isPrivate);
  assert.equal(without.manifest.records, records.length - isPrivate);
  const withAll = await taken(
    jobOn(diskWith(bytes), new MemoryFolder(), undefined, { includePrivate: true }),
  );
  assert.equal(withAll.manifest.records, records.length);
});

test('a compressed backup holds the same store', async () => {
  const { bytes } = goodStore(16, 40);
  const to = new MemoryFolder();
  const { manifest } = await taken(jobOn(diskWith(bytes), to, undefined, { compress: true }));
  assert.equal(manifest.file, 'gossip_store-20231114T221320Z.bak.gz');
  assert.ok(manifest.bytes < bytes.length / 2);
  assert.equal(manifest.store_bytes, bytes.length);
  assert.ok(bytesEqual(new Uint8Array(gunzipSync(to.contents(manifest.file))), bytes));
});

const middle = (store: ReturnType<typeof goodStore>) => store.records[store.records.length >> 1]!;

test('a damaged record is left out, named in the manifest, and the rest is kept', async () => {
  const store = goodStore(16, 6);
  const bad = middle(store);
  const to = new MemoryFolder();
  const bytes = flipBit(flipBit(store.bytes, bad.position + 20, 3), bad.position + 22, 1);
  const { manifest } = await taken(jobOn(diskWith(bytes), to));
  assert.equal(manifest.records, store.records.length - 1);
  assert.deepEqual(manifest.missing, {
    ranges: 1,
    bytes: bad.end - bad.position,
    records: 1,
    listed: [{ offset: bad.position, length: bad.end - bad.position, kind: 'bad_checksum' }],
  });
  assert.equal(isGood(manifest), false);
  assert.equal(sourceIsDamaged(manifest), true);
  assert.ok(!liveIn(to.contents(manifest.file)).includes('gap'));
});

test('a damaged header is put right and nothing is missing', async () => {
  const store = goodStore(16, 6);
  const { position, flags } = middle(store);
  const { manifest } = await taken(
    jobOn(diskWith(withFlags(store.bytes, position, flags & ~FLAG_COMPLETED)), new MemoryFolder()),
  );
  assert.deepEqual([manifest.records, manifest.records_restored], [store.records.length, 1]);
  assert.deepEqual([isGood(manifest), sourceIsDamaged(manifest)], [true, true]);
});

test('a torn tail, a hole, a wrong version byte and an end marker are each told', async () => {
  const store = goodStore(16, 6);
  const { bytes, records } = store;
  const torn = await taken(jobOn(diskWith(cut(bytes, bytes.length - 9)), new MemoryFolder()));
  assert.equal(torn.manifest.missing.listed[0]?.kind, 'torn_tail');
  assert.equal(torn.manifest.records, records.length - 1);
  const hole = await taken(jobOn(diskWith(zeros(bytes, middle(store).position, 700)), new MemoryFolder()));
  assert.ok(hole.manifest.missing.ranges > 0 && hole.manifest.records > records.length - 6);
  const zero = await taken(jobOn(diskWith(withVersion(bytes, 0)), new MemoryFolder()));
  assert.deepEqual([zero.manifest.version, zero.manifest.source_version_byte], [16, 0]);
  assert.ok(isGood(zero.manifest) && sourceIsDamaged(zero.manifest));
  const marker = rec(format16, encodeEnded(47n, new Uint8Array(32)));
  const ended = await taken(jobOn(diskWith(append(bytes, marker)), new MemoryFolder()));
  assert.deepEqual([ended.manifest.records, ended.manifest.records_left_out], [records.length, 1]);
});

test('a file that is no store is refused, and so is an empty one and none', async () => {
  const to = new MemoryFolder();
  await assert.rejects(backUp(jobOn(diskWith(new Uint8Array(5000).fill(0xee)), to)), code('not_a_store'));
  await assert.rejects(backUp(jobOn(diskWith(new Uint8Array(0)), to)), code('not_a_store'));
  await assert.rejects(backUp(jobOn(new MemoryFolder(), to)), code('store_missing'));
  assert.deepEqual(to.list(), []);
});

test('what the writer appends between any two reads is in the copy, and nothing half', async () => {
  const { bytes, records } = goodStore(16, 6);
  const half = records[records.length >> 1]!.position;
  // Wherever the copy is, the file grows by a piece that ends anywhere in a record.
  for (const piece of [1, 7, 150, 333, 1000]) {
    const source = diskWith(cut(bytes, half));
    const writer = source.open(STORE, 'write');
    let at = half;
    const grow = (): void => {
      writer.write(bytes.subarray(at, at + piece), at);
      at = Math.min(bytes.length, at + piece);
    };
    const clock = new HastyClock();
    clock.onWait = () => {
      // A pause is long for a writer: it finishes what it has begun.
      const next = records.find(({ end }) => end >= at);
      if (next !== undefined) {
        writer.write(bytes.subarray(at, next.end), at);
        at = next.end;
      }
    };
    const to = new MemoryFolder();
    const { manifest } = await taken(jobOn(watched(source, STORE, grow), to, clock));
    const copied = to.contents(manifest.file);
    assert.ok(isGood(manifest), `${piece}: ${JSON.stringify(manifest.missing)}`);
    assert.ok(copied.length > half && bytesEqual(copied, bytes.slice(0, copied.length)), `${piece}`);
  }
});

test('a record that is replaced while the copy runs is in it in its old or its new form', async () => {
  const { bytes, records } = goodStore(16, 3000, { withoutNodes: true });
  const old = records.findLast(({ type }) => type === 258)!;
  const source = diskWith(bytes);
  const writer = source.open(STORE, 'write');
  let done = false;
  const replace = (_file: unknown, position: number): void => {
    if (done || position < 1_000_000) return;
    done = true;
    writer.write(rec(format16, updateOf(5999, 1, 1_800_000_000)), bytes.length);
    writer.write(Uint8Array.of(0xa0), old.position);
  };
  const to = new MemoryFolder();
  const { manifest } = await taken(jobOn(watched(source, STORE, replace), to));
  assert.equal(manifest.dead_bytes, old.end - old.position, 'the replaced one was read as dead');
  assert.equal(manifest.records, records.length, 'and its successor is there');
});

test('a store that is replaced at any read is copied from its successor', async () => {
  const first = goodStore(16, 6);
  const second = goodStore(16, 9);
  let reads = 0;
  const plain = diskWith(first.bytes);
  await taken(
    jobOn(
      watched(plain, STORE, () => reads++),
      new MemoryFolder(),
    ),
  );
  for (let when = 1; when <= reads; when++) {
    const source = diskWith(first.bytes);
    let seen = 0;
    const replace = (file: { size(): number }): void => {
      if (++seen !== when) return;
      const old = source.open(STORE, 'write');
      const next = source.open('next', 'create');
      next.write(second.bytes, 0);
      source.rename('next', STORE);
      old.write(rec(format16, encodeEnded(47n, new Uint8Array(32))), file.size());
    };
    const to = new MemoryFolder();
    const { manifest } = await taken(jobOn(watched(source, STORE, replace), to));
    assert.ok(bytesEqual(to.contents(manifest.file), second.bytes), `replaced at read ${when}`);
    assert.equal(sourceIsDamaged(manifest), false);
  }
});

test('a store that is replaced again and again is copied as the last file that was opened', async () => {
  const { bytes } = goodStore(16, 4);
  const source = diskWith(bytes);
  const replace = (): void => {
    source.open('next', 'create').write(bytes, 0);
    source.rename('next', STORE);
  };
  const to = new MemoryFolder();
  const { manifest } = await taken(jobOn(watched(source, STORE, replace), to));
  assert.ok(bytesEqual(to.contents(manifest.file), bytes));
});

test('a crash at any operation leaves the earlier backup, and at most files that the next backup removes', async () => {
  const clock = new HastyClock();
  const to = new MemoryFolder();
  const first = await taken(jobOn(diskWith(), to, clock));
  const before = to.contents(first.manifest.file);
  const measure = to.crash();
  clock.manual.advance(60_000);
  const start = measure.operations;
  await taken(jobOn(diskWith(goodStore(16, 8).bytes), measure, clock));
  const operations = measure.operations - start;
  assert.ok(operations > 8);
  for (let stop = 0; stop < operations; stop++) {
    for (const names of [0, undefined]) {
      const disk = to.crash();
      disk.stopAfter(stop, 5);
      await assert.rejects(backUp(jobOn(diskWith(goodStore(16, 8).bytes), disk, clock)), OperationalError);
      const after = disk.crash(names === undefined ? {} : { names, fate: () => 0 });
      assert.ok(bytesEqual(after.contents(first.manifest.file), before), `stop ${stop}`);
      for (const { file, manifest } of listBackups(after, STORE))
        assert.equal(after.contents(file).length, manifest.bytes);
      assert.ok(newestGood(after, STORE) !== undefined);
      const next = await taken(jobOn(diskWith(goodStore(16, 8).bytes), after, clock));
      assert.ok(isGood(next.manifest));
      assert.deepEqual(
        after.list().filter((name) => name.endsWith('.tmp')),
        [],
        `stop ${stop}`,
      );
    }
  }
});

test('a disk that fails in any call leaves the earlier backup and nothing new', async () => {
  for (const call of ['create', 'write', 'dataSync', 'rename', 'syncDirectory', 'read'] as const) {
    for (const what of ['disk_full', 'disk_error'] as const) {
      const clock = new HastyClock();
      const to = new MemoryFolder();
      const first = await taken(jobOn(diskWith(), to, clock));
      const names = [...to.list()].sort();
      clock.manual.advance(60_000);
      to.fail(call, what);
      await assert.rejects(backUp(jobOn(diskWith(), to, clock)), code(what), `${call} ${what}`);
      assert.deepEqual([...to.list()].sort(), names, `${call} ${what}`);
      assert.ok(isGood(readManifest(to, first.manifest.file)!));
    }
  }
});

test('a backup that would fill the disk is refused before a byte is written', async () => {
  const to = new MemoryFolder();
  to.capacityBytes = 60 * 1024 * 1024;
  await assert.rejects(backUp(jobOn(diskWith(), to)), code('disk_full'));
  assert.deepEqual(to.list(), []);
});

test('a disk that gives back other bytes than were written fails the backup', async () => {
  const to = new MemoryFolder();
  const lying = watched(to, 'gossip_store-20231114T221320Z.bak.tmp', () => {});
  const job = jobOn(diskWith(), to);
  const spoiled = {
    ...lying,
    open: (name: string, mode: 'read' | 'write' | 'create') => {
      const file = to.open(name, mode);
      if (mode !== 'read' || !name.endsWith('.bak.tmp')) return file;
      return {
        ...file,
        read: (buffer: Uint8Array, start: number, length: number, position: number) => {
          const got = file.read(buffer, start, length, position);
          if (position === 0 && got > 500) buffer[start + 400]! ^= 4;
          return got;
        },
      };
    },
  };
  await assert.rejects(backUp({ ...job, to: spoiled }), code('backup_damaged'));
  assert.deepEqual(to.list(), []);
});

test('a task that is told to stop leaves nothing', async () => {
  const to = new MemoryFolder();
  const task = { cancelled: () => 'interrupted' as const, progress: () => {}, breathe: async () => {} };
  assert.equal(await backUp(jobOn(diskWith(), to, undefined, { task })), 'cancelled');
  assert.deepEqual(to.list(), []);
});

test('one backup at a time works in a folder', async () => {
  const to = new MemoryFolder();
  const lock = to.lock(`.${STORE}-backup.lock`);
  await assert.rejects(backUp(jobOn(diskWith(), to)), code('backup_busy'));
  lock.release();
  await taken(jobOn(diskWith(), to));
});

test('rotation keeps the newest good ones; two of one second have names of their own', async () => {
  const clock = new HastyClock();
  const to = new MemoryFolder();
  const files: string[] = [];
  for (let round = 0; round < 6; round++) {
    const { manifest } = await taken(jobOn(diskWith(), to, clock, { keep: 3 }));
    files.push(manifest.file);
    if (round % 2 === 1) clock.manual.advance(1000);
  }
  assert.equal(new Set(files).size, 6);
  assert.deepEqual(
    listBackups(to, STORE).map(({ file }) => file),
    files.slice(-3).reverse(),
  );
  const names = files.slice(-3).flatMap((file) => [file, manifestName(file)]);
  assert.deepEqual([...to.list()].sort(), names.sort());
});

test('backups of a damaged or emptied store never push a good one out', async () => {
  const clock = new HastyClock();
  const to = new MemoryFolder();
  const big = goodStore(16, 10);
  const next = async (bytes: Uint8Array) => {
    clock.manual.advance(1000);
    return (await taken(jobOn(diskWith(bytes), to, clock, { keep: 2 }))).manifest;
  };
  const good = [await next(big.bytes), await next(big.bytes)];
  const small: string[] = [];
  for (let round = 0; round < 4; round++) {
    const manifest = await next(goodStore(16, 4).bytes);
    assert.match(manifest.suspect ?? '', /^4 channels, fewer than half of the 10 in /);
    small.push(manifest.file);
  }
  const damaged = await next(cut(big.bytes, big.bytes.length - 5));
  const listed = listBackups(to, STORE);
  assert.deepEqual(
    listed.filter((entry) => entry.good).map(({ file }) => file),
    good.map(({ file }) => file).reverse(),
  );
  assert.deepEqual(
    listed.filter((entry) => !entry.good).map(({ file }) => file),
    [damaged.file, small.at(-1)],
  );
  const half = await next(goodStore(16, 5).bytes);
  assert.equal(half.suspect, null, 'half is enough');
});

test('a manifest that is damaged, of another file or too large counts for nothing', async () => {
  const to = new MemoryFolder();
  const { manifest } = await taken(jobOn(diskWith(), to));
  const text = new TextDecoder().decode(to.contents(manifestName(manifest.file)));
  const put = (content: string): void =>
    to.place(manifestName(manifest.file), new TextEncoder().encode(content));
  assert.equal(listBackups(to, STORE).length, 1);
  for (const content of [
    '',
    '{',
    'null',
    '[]',
    text.slice(0, -20),
    text.replace('"gossipd_backup": 1', '"gossipd_backup": 2'),
    text.replace(/"records": \d+/, '"records": -1'),
    text.replace(/"sha256": "./, '"sha256": "x'),
    text.replace('"file": "gossip', '"file": "../gossip'),
    `${text}${' '.repeat(300_000)}`,
  ]) {
    put(content);
    assert.equal(listBackups(to, STORE).length, 0, content.slice(0, 60));
  }
  put(text);
  to.place(manifest.file, to.contents(manifest.file).slice(1));
  assert.equal(listBackups(to, STORE).length, 0, 'a file of another size');
});
