import assert from 'node:assert/strict';
import test from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import { encodeChannelAmount, encodeDeleteChan, encodeEnded } from '../wire/gossip_store_messages.ts';
import { FLAG_DELETED, GOSSIP_STORE_UUID, storeOffset } from '../wire/store_record.ts';
import {
  append,
  cut,
  flipBit,
  type GoodRecord,
  goodStore,
  rec,
  withFlags,
  zeros,
} from './damaged_stores.test.support.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import { MAX_GAPS, Rewrite, type RewriteSource } from './rewrite.ts';
import { scanStore } from './scan.ts';
import type { StoreFile } from './store_file.ts';
import { announcementOf, describe, nodeOf, updateOf } from './store_samples.test.support.ts';
import { earlyFormat5, type StoreFormat, storeFormat, type WritableVersion } from './versions.ts';

const NAME = 'gossip_store';
const TMP = 'gossip_store.tmp';
const UUID = new Uint8Array(32).fill(0xa7);
const V16 = storeFormat(16)!;
const HEAD = goodStore(16, 0).bytes;

interface Options {
  readonly format?: StoreFormat;
  readonly version?: WritableVersion;
  readonly dead?: readonly number[];
  readonly keepTombstonesFrom?: number;
}

/** A rewrite of `bytes` on a disk of its own. `dead`: header positions. */
const begin = (bytes: Uint8Array, options: Options = {}) => {
  const folder = new MemoryFolder();
  folder.place(NAME, bytes);
  const { format = V16, version = 16, dead = [], keepTombstonesFrom = Number.POSITIVE_INFINITY } = options;
  const file = folder.open(NAME, 'write');
  const isDead = (offset: number) => dead.includes(offset - format.headerBytes);
  const source: RewriteSource = { file, format, start: format.emptyBytes, isDead, keepTombstonesFrom };
  const rewrite = Rewrite.begin(folder, NAME, source, { version, uuid: UUID });
  return { folder, file, rewrite };
};

const finish = async (rewrite: Rewrite, limit: number) => {
  while (!rewrite.step(limit, 1000));
  await rewrite.sync();
  return rewrite.commit();
};

/** Rewrites all of it, and gives back what then has the name, by `describe`; the uuid left out. */
const rewritten = async (bytes: Uint8Array, options: Options = {}) => {
  const { folder, rewrite } = begin(bytes, options);
  const committed = await finish(rewrite, bytes.length);
  await committed.finish();
  assert.equal(committed.size, folder.contents(NAME).length);
  return { folder, rewrite, ...recordsOf(committed.file, options.version) };
};

/** Scans the file; `seen` by describe() without the uuid, and the messages. */
const recordsOf = (file: StoreFile, version: WritableVersion = 16) => {
  const seen: string[] = [];
  const messages: Uint8Array[] = [];
  const flagged = version === 14 ? completed(file) : file;
  const end = scanStore(versioned(flagged), (record) => {
    if (record.type === GOSSIP_STORE_UUID) return;
    seen.push(describe(record));
    messages.push(record.bytes.slice(record.at, record.at + record.length));
  });
  assert.equal(end.reason, 'end_of_file');
  return { seen, messages, uuid: end.uuid };
};

const contentsOf = (file: StoreFile): Uint8Array => {
  const bytes = new Uint8Array(file.size());
  file.read(bytes, 0, bytes.length, 0);
  return bytes;
};

const asFile = (bytes: Uint8Array): StoreFile => {
  const folder = new MemoryFolder();
  folder.place(NAME, bytes);
  return folder.open(NAME, 'read');
};

/** The same file with version byte 16, so that one scan reads all three versions. */
const versioned = (file: StoreFile): StoreFile => {
  const bytes = contentsOf(file);
  bytes[0] = 16;
  return asFile(bytes);
};

/** The same file with COMPLETED in every record. */
const completed = (file: StoreFile): StoreFile => {
  const bytes = contentsOf(file);
  for (let at = 1; at < bytes.length; ) {
    assert.equal((bytes[at] as number) & 0x20, 0, 'version 14 has no such flag');
    bytes[at] = (bytes[at] as number) | 0x20;
    at += 12 + ((bytes[at + 2] as number) << 8) + (bytes[at + 3] as number);
  }
  return asFile(bytes);
};

const channel = (number: number, withAmount = true): Uint8Array[] => [
  rec(V16, announcementOf(number)),
  ...(withAmount ? [rec(V16, encodeChannelAmount(1000n))] : []),
];
const update = (number: number): Uint8Array => rec(V16, updateOf(number, 0, 7), { timestamp: 7 });
const ANNOUNCEMENT_BYTES = rec(V16, announcementOf(1)).length;

test('what is live is copied in order under a fresh uuid; what is DELETED, and old tombstones, are left out', async () => {
  const store = goodStore(16, 6, { withDeleted: true, withDying: true, withRemoved: true });
  const { seen, uuid, rewrite } = await rewritten(store.bytes);
  const wanted = store.records.slice(1).filter(({ flags, type }) => flags < FLAG_DELETED && type !== 4103);
  let position = 47;
  assert.deepEqual(
    seen,
    wanted.map((record) => {
      const text = `${record.type}@${position + 12}${(record.flags & 0x800) === 0 ? '' : ':800'}`;
      position = rewrite.size - (rewrite.size - position) + 12 + record.length;
      return text;
    }),
  );
  assert.deepEqual(uuid, UUID);
  assert.deepEqual(
    [rewrite.kept, rewrite.dropped],
    [wanted.length, store.records.length - 1 - wanted.length],
  );
  assert.equal(rewrite.gapCount, 0);
});

test('tombstones from a position on are kept', async () => {
  const [one, two] = [rec(V16, encodeDeleteChan(1, 2)), rec(V16, encodeDeleteChan(3, 4))];
  const second = HEAD.length + one.length;
  const { seen } = await rewritten(concatBytes(HEAD, one, two), { keepTombstonesFrom: second });
  assert.deepEqual(seen, ['4103@59']);
  const none = await rewritten(concatBytes(HEAD, one, two), { keepTombstonesFrom: second + 1 });
  assert.deepEqual(none.seen, []);
  const all = await rewritten(concatBytes(HEAD, one, two), { keepTombstonesFrom: 0 });
  assert.deepEqual(all.seen, ['4103@59', '4103@81']);
});

test('an announcement and its amount stay or go together', async () => {
  const amountAt = HEAD.length + ANNOUNCEMENT_BYTES;
  const whole = concatBytes(HEAD, ...channel(1), update(1));
  const left = async (bytes: Uint8Array, dead: readonly number[] = []) =>
    (await rewritten(bytes, { dead })).seen.map((text) => text.split('@')[0]);
  assert.deepEqual(await left(whole), ['256', '4101', '258']);
  assert.deepEqual(await left(whole, [HEAD.length]), ['258']);
  assert.deepEqual(await left(whole, [amountAt]), ['258']);
  assert.deepEqual(await left(withFlags(whole, HEAD.length, 0xa000)), ['258']);
  assert.deepEqual(await left(withFlags(whole, amountAt, 0xa000)), ['258']);
  assert.deepEqual(await left(flipBit(whole, amountAt + 20, 0)), ['258']);
  assert.deepEqual(await left(flipBit(whole, HEAD.length + 100, 0)), ['258']);
  assert.deepEqual(await left(cut(whole, amountAt)), []);
  assert.deepEqual(await left(cut(whole, amountAt + 21)), []);
  const tooMuch = rec(V16, Uint8Array.of(0x10, 0x05, 0xff, 0, 0, 0, 0, 0, 0, 0));
  assert.deepEqual(await left(concatBytes(HEAD, ...channel(1, false), tooMuch, update(1))), ['258']);
  assert.deepEqual(await left(concatBytes(HEAD, ...channel(1, false), update(1), ...channel(2))), [
    '258',
    '256',
    '4101',
  ]);
  assert.deepEqual(await left(concatBytes(HEAD, ...channel(1, false), ...channel(2))), ['256', '4101']);
  assert.deepEqual(await left(concatBytes(HEAD, ...channel(1), rec(V16, encodeChannelAmount(5n)))), [
    '256',
    '4101',
  ]);
});

test('end markers, second uuids, malformed and unknown records are left out', async () => {
  const strays = [
    rec(V16, encodeEnded(47n, UUID)),
    rec(V16, goodStore(16, 0).records[0]!.bytes),
    rec(V16, announcementOf(3).slice(0, 200)),
    rec(V16, Uint8Array.of(0x30, 0x39, 1, 2)),
  ];
  const { seen, rewrite } = await rewritten(concatBytes(HEAD, ...channel(1), ...strays, update(1)));
  assert.deepEqual(seen, ['256@59', `4101@${59 + ANNOUNCEMENT_BYTES}`, `258@${81 + ANNOUNCEMENT_BYTES}`]);
  assert.deepEqual([rewrite.kept, rewrite.dropped, rewrite.gapCount], [3, 3, 0]);
});

test('damage costs the records it hit, and is told; a header that can be put right costs nothing', async () => {
  const store = goodStore(16, 4, { withoutNodes: true });
  const [hit, headless] = [store.records[3]!, store.records[7]!];
  const damaged = append(
    flipBit(flipBit(store.bytes, hit.position + 40, 3), headless.position, 5),
    new Uint8Array(64),
  );
  const { messages, rewrite } = await rewritten(damaged);
  assert.deepEqual(
    messages,
    store.records.slice(1).flatMap((record) => (record === hit ? [] : [record.bytes])),
  );
  assert.deepEqual(
    rewrite.gaps.map(({ position, length, kind }) => [position, length, kind]),
    [
      [hit.position, 12 + hit.length, 'bad_checksum'],
      [store.bytes.length, 64, 'zero_bytes'],
    ],
  );
  assert.deepEqual([rewrite.gapCount, rewrite.gapBytes], [2, 12 + hit.length + 64]);
  assert.equal(rewrite.map.translate(storeOffset(hit.position + 12)), 0);
});

test('damaged places are listed up to a maximum, and all counted', async () => {
  const many = MAX_GAPS + 10;
  const bytes = new Uint8Array(HEAD.length + many * 2 * update(1).length);
  bytes.set(HEAD);
  for (let index = 0; index < many * 2; index++) {
    const at = HEAD.length + index * update(1).length;
    bytes.set(update(1), at);
    if (index % 2 === 0) bytes[at + 50] = 0xee;
  }
  const { rewrite } = await rewritten(bytes);
  assert.deepEqual([rewrite.gaps.length, rewrite.gapCount, rewrite.kept], [MAX_GAPS, many, many]);
});

test('records that are appended while it copies are copied too, wherever the steps end', async () => {
  for (const piece of [1, 100, 500, 10_000]) {
    const { folder, file, rewrite } = begin(concatBytes(HEAD, ...channel(1), update(1)));
    let limit = file.size();
    for (let number = 2; number < 6; number++) {
      rewrite.step(limit, piece);
      assert.ok(rewrite.readTo <= limit);
      const batch = concatBytes(...channel(number), update(number));
      file.write(batch, limit);
      limit += batch.length;
    }
    while (!rewrite.step(limit, piece));
    assert.equal(rewrite.readTo, limit);
    assert.equal(rewrite.step(limit, piece), true);
    await rewrite.sync();
    const { file: written } = rewrite.commit();
    assert.equal(recordsOf(written).seen.length, 15);
    assert.equal(folder.contents(NAME).length, limit);
    assert.equal(rewrite.map.runs, 1);
  }
});

test('whether a record is dead is asked when its turn comes', () => {
  const bytes = concatBytes(HEAD, update(1), update(2), update(3));
  const folder = new MemoryFolder();
  folder.place(NAME, bytes);
  const dead = new Set<number>();
  const source: RewriteSource = {
    file: folder.open(NAME, 'write'),
    format: V16,
    start: 47,
    isDead: (offset) => dead.has(offset),
    keepTombstonesFrom: 0,
  };
  const rewrite = Rewrite.begin(folder, NAME, source, { version: 16, uuid: UUID });
  const size = update(1).length;
  assert.equal(rewrite.step(bytes.length, 1), false);
  dead.add(59).add(59 + size);
  assert.equal(rewrite.step(bytes.length, 1000), true);
  assert.equal(rewrite.map.translate(storeOffset(59)), 59);
  assert.equal(rewrite.map.translate(storeOffset(59 + size)), 0);
  assert.equal(rewrite.map.translate(storeOffset(59 + 2 * size)), 59 + size);
  assert.equal(rewrite.map.translate(storeOffset(59 + 3 * size)), 59 + 2 * size, 'what is appended next');
  rewrite.abort();
});

/** Messages that a store of an old version has in any later one. */
const lasting = (records: readonly GoodRecord[], isWrapped: boolean): Uint8Array[] =>
  records.flatMap(({ type, bytes, flags }) => {
    if (flags >= FLAG_DELETED || type === 4107 || type === 4103) return [];
    if (!isWrapped) return [256, 257, 258, 4101, 4106].includes(type) ? [bytes] : [];
    if (type === 4096) return [bytes.slice(4, -8), encodeChannelAmount(1_000_000n)];
    return [bytes.slice(4)];
  });

test('every version becomes every version that is written, and offsets lead to the same messages', async () => {
  const formats = [earlyFormat5, ...Array.from({ length: 14 }, (_, index) => storeFormat(index + 3)!)];
  for (const format of formats) {
    for (const version of [14, 15, 16] as const) {
      const options = { withDeleted: true, withDying: true, withRemoved: true, withPrivate: true };
      const store = goodStore(format, 5, options);
      const name = `${format.version} to ${version}`;
      const { folder, messages, rewrite, uuid, seen } = await rewritten(store.bytes, { format, version });
      assert.equal(folder.contents(NAME)[0], version);
      assert.deepEqual(messages, lasting(store.records, format.wrapsMessages), name);
      assert.deepEqual(uuid, version === 16 ? UUID : undefined);
      const isDying = seen.some((text) => text.endsWith(':800'));
      assert.equal(isDying, format.version >= 12, name);
      const written = contentsOf(folder.open(NAME, 'read'));
      for (const { position, type, bytes, flags } of store.records) {
        const at = rewrite.map.translate(storeOffset(position + format.headerBytes));
        const isKept = lasting([{ type, bytes, flags } as GoodRecord], format.wrapsMessages);
        assert.equal(at > 0, isKept.length > 0, `${name}: record ${type} at ${position}`);
        if (at > 0) assert.deepEqual(written.slice(at, at + isKept[0]!.length), isKept[0]);
      }
    }
  }
});

test('flags that a version does not have are cleared', async () => {
  const format = storeFormat(14)!;
  const one = rec(format, nodeOf(1, 5), { timestamp: 5, flags: 0x2000 });
  const two = rec(format, nodeOf(2, 5), { timestamp: 5, flags: 0x4800 });
  const { folder } = await rewritten(concatBytes(Uint8Array.of(14), one, two), { format, version: 14 });
  const written = folder.contents(NAME);
  assert.deepEqual([written[1], written[1 + one.length]], [0, 0x08]);
});

test('a file that an interrupted rewrite left is replaced', async () => {
  const folder = new MemoryFolder();
  const bytes = concatBytes(HEAD, update(1));
  folder.place(NAME, bytes);
  folder.place(TMP, new Uint8Array(5000).fill(9));
  const source: RewriteSource = {
    file: folder.open(NAME, 'write'),
    format: V16,
    start: 47,
    isDead: () => false,
    keepTombstonesFrom: 0,
  };
  const rewrite = Rewrite.begin(folder, NAME, source, { version: 16, uuid: UUID });
  await (await finish(rewrite, bytes.length)).finish();
  assert.equal(folder.contents(NAME).length, bytes.length);
  assert.deepEqual(folder.list(), [NAME]);
});

test('a zero-byte hole and a torn tail are left behind in one go', async () => {
  const store = goodStore(16, 8);
  const from = store.records[10]!.position;
  const to = store.records[14]!.position;
  const damaged = cut(zeros(store.bytes, from, to - from), store.bytes.length - 30);
  const { messages, rewrite } = await rewritten(damaged);
  const expected = store.records.slice(1, -1).filter(({ position }) => position < from || position >= to);
  // The hole began and ended between whole records, but an announcement may have lost its amount to it.
  assert.ok(messages.length >= expected.length - 2);
  assert.deepEqual(
    rewrite.gaps.map(({ position }) => position),
    [from, store.records.at(-1)!.position],
  );
  assert.throws(() => rewrite.step(1, 1), { name: 'Bug' });
});

test('errors of the disk are errors of the disk, and say what to do', async () => {
  const { folder, rewrite } = begin(concatBytes(HEAD, update(1)));
  folder.fail('read', 'disk_error');
  assert.throws(
    () => rewrite.step(1000, 1000),
    (error) => error instanceof OperationalError && error.code === 'disk_error' && error.hint !== '',
  );
});
