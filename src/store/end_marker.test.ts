import assert from 'node:assert/strict';
import test from 'node:test';
import { concatBytes, readU64AsNumber } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import { flipBit, goodStore, rec, withFlags, zeros } from './damaged_stores.test.support.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import { Rewrite } from './rewrite.ts';
import { scanStore } from './scan.ts';
import type { StoreFile, StoreFolder } from './store_file.ts';
import { nodeOf, updateOf } from './store_samples.test.support.ts';
import { storeFormat, type WritableVersion } from './versions.ts';
import type { WalkEnd } from './walker.ts';

const NAME = 'gossip_store';
const UUID = new Uint8Array(32).fill(0xa7);
const V16 = storeFormat(16)!;
const STORE = goodStore(16, 2);
const NODE = rec(V16, nodeOf(9, 5), { timestamp: 5 });
/** 12 and 42. */
const MARKER_BYTES = 54;

interface Setting {
  readonly version?: number;
  readonly target?: WritableVersion;
  /** Beyond it the old file has something else. */
  readonly limit?: number;
  readonly onDisk?: (folder: MemoryFolder) => StoreFolder;
}

/** Rewrites a store up to the commit. */
const commit = async (bytes: Uint8Array, setting: Setting = {}) => {
  const folder = new MemoryFolder();
  folder.place(NAME, bytes);
  const format = storeFormat(setting.version ?? 16)!;
  const disk = setting.onDisk?.(folder) ?? folder;
  const old = disk.open(NAME, 'write');
  const source = {
    file: old,
    format,
    start: format.emptyBytes,
    isDead: () => false,
    keepTombstonesFrom: 0,
  };
  const rewrite = Rewrite.begin(disk, NAME, source, { version: setting.target ?? 16, uuid: UUID });
  while (!rewrite.step(setting.limit ?? bytes.length, 1_000_000));
  await rewrite.sync();
  return { folder, old, ...rewrite.commit() };
};

/** Header positions of the end markers that a reader of the old file meets, and where it stops. */
const markersIn = (old: StoreFile): { readonly markers: number[]; readonly reason: WalkEnd } => {
  const markers: number[] = [];
  const { reason } = scanStore({ ...old }, (record) => {
    if (record.type !== 4105) return;
    markers.push(record.offset - 12);
    assert.deepEqual(record.bytes.slice(record.at + 10, record.at + 42), UUID);
  });
  return { markers, reason };
};

const bytesOf = (file: StoreFile): Uint8Array => {
  const bytes = new Uint8Array(file.size());
  file.read(bytes, 0, bytes.length, 0);
  return bytes;
};

test('readers of the old file find the marker at its end, with where to go on, and the new file has none', async () => {
  const { folder, old, size, finish } = await commit(STORE.bytes);
  assert.deepEqual(bytesOf(old), STORE.bytes);
  await finish();
  assert.deepEqual(markersIn(old), { markers: [STORE.bytes.length], reason: 'end_of_file' });
  assert.equal(readU64AsNumber(bytesOf(old), STORE.bytes.length + 14), size);
  assert.deepEqual(markersIn(folder.open(NAME, 'read')).markers, []);
});

test('a name that is not durable yet has no marker behind it', async () => {
  const { folder, old, finish } = await commit(STORE.bytes);
  folder.fail('syncDirectory', 'disk_error', 2);
  await assert.rejects(finish(), { code: 'disk_error' });
  await assert.rejects(finish(), { code: 'disk_error' });
  assert.deepEqual(bytesOf(old), STORE.bytes);
  await finish();
  assert.deepEqual(markersIn(old).markers, [STORE.bytes.length]);
  await finish();
  assert.equal(old.size(), STORE.bytes.length + MARKER_BYTES);
});

test('only from version 16 to 16: readers of others would go on at the wrong place', async () => {
  for (const [version, target] of [
    [15, 16],
    [14, 14],
    [16, 15],
    [15, 15],
  ] as const) {
    const { bytes } = goodStore(version, 2);
    const { old, finish } = await commit(bytes, { version, target });
    await finish();
    assert.deepEqual(bytesOf(old), bytes, `${version} to ${target}`);
  }
});

test('a torn tail is where readers wait, and so is a hole that has room for the marker', async () => {
  const torn = concatBytes(STORE.bytes, NODE.subarray(0, 70));
  const first = await commit(torn);
  await first.finish();
  assert.deepEqual(markersIn(first.old).markers, [STORE.bytes.length]);
  assert.equal(first.old.size(), torn.length, 'the old file is never cut short');
  const shortTail = concatBytes(STORE.bytes, NODE.subarray(0, 5));
  const second = await commit(shortTail);
  await second.finish();
  assert.deepEqual(markersIn(second.old), { markers: [STORE.bytes.length], reason: 'end_of_file' });
  const record = STORE.records[6]!;
  const holed = zeros(STORE.bytes, record.position, record.end - record.position);
  const third = await commit(holed);
  await third.finish();
  assert.deepEqual(markersIn(third.old).markers, [record.position]);
  assert.deepEqual(bytesOf(third.old).subarray(record.end), STORE.bytes.subarray(record.end));
});

test('a record that lacks only its last bit is where readers wait', async () => {
  const record = STORE.records[4]!;
  const incomplete = withFlags(STORE.bytes, record.position, 0);
  const { old, size, finish } = await commit(incomplete);
  await finish();
  assert.equal(size, STORE.bytes.length);
  assert.deepEqual(markersIn(old).markers, [record.position]);
});

test('a record with a wrong checksum is not: readers of CLN get past it at their second look', async () => {
  const record = STORE.records[4]!;
  const damaged = flipBit(STORE.bytes, record.position + 80, 1);
  const { old, finish } = await commit(damaged);
  await finish();
  const bytes = bytesOf(old);
  assert.deepEqual(bytes.subarray(0, damaged.length), damaged);
  assert.equal(bytes.length, damaged.length + MARKER_BYTES);
});

test('a damaged range without room for it is left as it is', async () => {
  const amount = STORE.records[2]!;
  assert.equal(amount.end - amount.position, 22);
  const holed = zeros(STORE.bytes, amount.position, 22);
  const { old, finish } = await commit(holed);
  await finish();
  assert.deepEqual(bytesOf(old).subarray(0, holed.length), holed);
});

test('when somebody else has appended whole records, the marker comes behind them; else there is none', async () => {
  const grown = await commit(STORE.bytes);
  grown.old.write(NODE, STORE.bytes.length);
  await grown.finish();
  assert.deepEqual(markersIn(grown.old).markers, [STORE.bytes.length + NODE.length]);
  for (const strange of [NODE.subarray(0, 100), new Uint8Array(64), Uint8Array.of(0x20)]) {
    const { old, finish } = await commit(STORE.bytes);
    old.write(strange, STORE.bytes.length);
    const before = bytesOf(old);
    await finish();
    assert.deepEqual(bytesOf(old), before);
  }
});

test('readers wait in front of a batch of our own that could not be written whole', async () => {
  for (const bytes of [5, 100]) {
    const leftover = NODE.slice(0, bytes);
    leftover[0] = 0;
    const { old, finish } = await commit(concatBytes(STORE.bytes, leftover), { limit: STORE.bytes.length });
    await finish();
    assert.deepEqual(markersIn(old).markers, [STORE.bytes.length]);
  }
});

test('nothing is written to an old file that somebody has cut short', async () => {
  const { folder, finish } = await commit(STORE.bytes, {
    onDisk: (disk) => ({
      ...disk,
      path: '',
      open: (name, mode) => {
        const file = disk.open(name, mode);
        return mode === 'write' ? { ...file, size: () => 200, write: () => assert.fail('written') } : file;
      },
    }),
  });
  await finish();
  assert.equal(markersIn(folder.open(NAME, 'read')).reason, 'end_of_file');
});

/** A disk that refuses to write to the store's old file, so many times; counts how often the old file is closed. */
const refusing = (code: string, times: number) => {
  const state = { left: times, closed: 0 };
  const onDisk = (disk: MemoryFolder): StoreFolder => ({
    ...disk,
    path: '',
    open: (name, mode) => {
      const file = disk.open(name, mode);
      if (mode !== 'write') return file;
      return {
        ...file,
        write: (bytes, position) => {
          if (state.left-- > 0) {
            file.write(bytes.subarray(0, bytes.length >> 1), position);
            throw new OperationalError(code, 'degrade', code, 'Simulated.');
          }
          file.write(bytes, position);
        },
        close: () => {
          state.closed++;
        },
      };
    },
  });
  return { state, onDisk };
};

test('on a full disk the marker is tried again, over what the last attempt left', async () => {
  const { state, onDisk } = refusing('disk_full', 2);
  const { old, finish } = await commit(STORE.bytes, { onDisk });
  await assert.rejects(finish(), { code: 'disk_full' });
  await assert.rejects(finish(), { code: 'disk_full' });
  assert.equal(state.closed, 0);
  await finish();
  assert.deepEqual(markersIn(old), { markers: [STORE.bytes.length], reason: 'end_of_file' });
  assert.equal(state.closed, 1);
});

test('it is given up after some attempts, so that the old file does not keep a full disk full', async () => {
  const { state, onDisk } = refusing('disk_full', 1000);
  const { old, finish } = await commit(STORE.bytes, { onDisk });
  let attempts = 1;
  while (
    await finish().then(
      () => false,
      () => true,
    )
  )
    attempts++;
  assert.deepEqual([attempts, state.closed], [5, 1]);
  assert.deepEqual(markersIn(old), { markers: [], reason: 'incomplete_record' });
});

test('an old file that cannot be written is none of the new one’s trouble', async () => {
  for (const code of ['disk_error', 'store_not_writable']) {
    const { state, onDisk } = refusing(code, 1);
    const { old, finish } = await commit(STORE.bytes, { onDisk });
    await finish();
    assert.deepEqual([markersIn(old).markers, state.closed], [[], 1]);
  }
});

test('an update appended right before the commit is in front of the marker', async () => {
  const late = rec(V16, updateOf(0, 0, 99), { timestamp: 99 });
  const { old, finish, size } = await commit(concatBytes(STORE.bytes, late));
  await finish();
  assert.deepEqual(markersIn(old).markers, [STORE.bytes.length + late.length]);
  assert.equal(size, STORE.bytes.length + late.length);
});
