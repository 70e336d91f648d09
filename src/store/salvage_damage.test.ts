/** What the salvage reader says about each kind of damage. Ids like E-05 are those of the catalogue of known failures. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, writeU32 } from '../base/bytes.ts';
import { seededRng } from '../base/rng.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { FLAG_COMPLETED, FLAG_DELETED } from '../wire/store_record.ts';
import {
  append,
  cut,
  fileOf,
  filled,
  flipBit,
  GOOD_TIMESTAMP,
  type GoodRecord,
  type GoodStore,
  goodAnnouncement,
  goodNode,
  goodStore,
  goodUpdate,
  insert,
  overwrite,
  rec,
  withFlags,
  withLength,
  zeros,
} from './damaged_stores.test.support.ts';
import { assertIntactFound, type FoundRecord, salvage } from './salvage.test.support.ts';
import { type Gap, type Restored, SalvageReader } from './salvage_reader.ts';
import { earlyFormat5, type StoreFormat } from './versions.ts';

const VERSIONS: readonly (number | StoreFormat)[] = [3, 4, earlyFormat5, 6, 7, 9, 10, 12, 14, 15, 16];

const nth = <T>(items: readonly T[], index: number): T => items.at(index) as T;
const last = (store: GoodStore): GoodRecord => nth(store.records, -1);
const without = (store: GoodStore, record: GoodRecord): GoodStore => ({
  ...store,
  records: store.records.filter((other) => other !== record),
});

/** Everything is found, this record too, with one thing put right. */
const assertRestored = (
  store: GoodStore,
  damaged: Uint8Array,
  record: GoodRecord,
  restored: Restored | undefined,
  what: string,
  restoreBits = false,
): FoundRecord => {
  const found = salvage(damaged, store.format, { restoreBits });
  assert.deepEqual(found.gaps, [], what);
  assert.equal(found.records.length, store.records.length, what);
  assertIntactFound(store, found, [record.position, record.end, 0], what);
  const match = found.records.find(({ position }) => position === record.position) as FoundRecord;
  assert.equal(match.restored, restored, what);
  assert.equal(match.length, record.length, what);
  assert.equal(match.flags, record.flags, what);
  if (match.step === 'live') {
    assert.equal(match.timestamp, record.timestamp, what);
    assert.deepEqual([...match.bytes], [...record.bytes], what);
  }
  return match;
};

/** Everything else is found, and there is this one gap. */
const assertOneGap = (store: GoodStore, damaged: Uint8Array, expected: Partial<Gap>, shift = 0): void => {
  const found = salvage(damaged, store.format);
  assert.equal(found.gaps.length, 1, JSON.stringify(found.gaps));
  const gap = nth(found.gaps, 0);
  assert.deepEqual({ ...gap, ...expected }, gap);
  const removed = shift === 0 ? gap.length : 0;
  assertIntactFound(store, found, [gap.position, gap.position + removed, shift], gap.kind);
};

for (const version of VERSIONS) {
  const store = goodStore(version, 3);
  const name = `version ${store.format.version} with headers of ${store.format.headerBytes} bytes`;

  test(`${name}: any flipped bit of a length is restored, or leads to another record by chance`, () => {
    for (const record of store.records) {
      for (let bit = 0; bit < 16; bit++) {
        const length = record.length ^ (1 << bit);
        const damaged = withLength(store.bytes, record.position, length);
        const end = record.end - record.length + length;
        if (store.records.some(({ position }) => position === end)) continue;
        assertRestored(store, damaged, record, 'length', `bit ${bit} at ${record.position}`);
      }
    }
  });

  test(`${name}: any flipped bit of a checksum is restored`, () => {
    for (const record of store.records) {
      for (let bit = 0; bit < 32; bit++) {
        const damaged = flipBit(store.bytes, record.position + 4 + (bit >>> 3), bit & 7);
        assertRestored(store, damaged, record, 'checksum', `bit ${bit} at ${record.position}`);
      }
    }
  });

  test(`${name}: a flipped bit of a message costs this record, or nothing with restoreBits`, () => {
    for (const record of store.records) {
      for (let index = 0; index < record.length; index += 7) {
        const at = record.end - record.length + index;
        const damaged = flipBit(store.bytes, at, index & 7);
        assertOneGap(without(store, record), damaged, {
          position: record.position,
          length: record.end - record.position,
          kind: 'bad_checksum',
          records: 1,
        });
        assertRestored(store, damaged, record, 'bit', `bit of byte ${index} at ${record.position}`, true);
      }
    }
  });

  test(`${name}: cut at any byte, it loses no record but the last`, () => {
    for (let size = 1; size <= store.bytes.length; size++) {
      const found = salvage(cut(store.bytes, size), store.format, { buffer: new Uint8Array(66_000) });
      const whole = store.records.filter((record) => record.end <= size);
      assertIntactFound({ ...store, records: whole }, found, [0, 0, 0], `cut at ${size}`);
      const end = whole.length === 0 ? 1 : nth(whole, -1).end;
      const isClean = end === size;
      assert.equal(found.gaps.length, isClean ? 0 : 1, `cut at ${size}`);
      if (isClean) continue;
      const gap = nth(found.gaps, 0);
      assert.equal(gap.position, end);
      // Of a header that begins with zeros nothing else may be left.
      assert.ok(gap.kind === 'torn_tail' || gap.kind === 'zero_bytes', `${gap.kind} at ${size}`);
    }
  });

  test(`${name}: zeros at the end are a gap of zeros, however many`, () => {
    for (const count of [1, 11, 12, 13, 64, 4096, 3_000_000]) {
      const damaged = append(store.bytes, new Uint8Array(count));
      assertOneGap(store, damaged, { kind: 'zero_bytes', length: count, atEnd: true, records: 0 });
    }
  });

  test(`${name}: 0xff or noise at the end is garbage`, () => {
    for (const count of [1, 11, 12, 13, 64, 4096]) {
      const damaged = append(store.bytes, new Uint8Array(count).fill(0xff));
      assertOneGap(store, damaged, { kind: 'garbage', length: count, atEnd: true, records: 0 });
    }
    const damaged = append(store.bytes, Uint8Array.of(0xff), seededRng(7).bytes(300_000));
    assertOneGap(store, damaged, { kind: 'garbage', length: 300_001, atEnd: true });
  });

  test(`${name}: an empty record costs nothing else`, () => {
    const record = nth(store.records, 4);
    for (const length of [0, 1]) {
      const empty = new Uint8Array(store.format.headerBytes + length).fill(0xa5);
      empty.set([store.format.hasCompleted ? 0x20 : 0, 0, 0, length]);
      const expected = { kind: 'empty_record', length: empty.length, records: 1 } as const;
      assertOneGap(store, insert(store.bytes, record.position, empty), expected, empty.length);
      assertOneGap(store, append(store.bytes, empty), { ...expected, atEnd: true });
    }
  });

  test(`${name}: a header of noise costs its record`, () => {
    const record = nth(store.records, -3);
    const noise = new Uint8Array(store.format.headerBytes).fill(0xc7);
    const damaged = overwrite(store.bytes, record.position, noise);
    assertOneGap(without(store, record), damaged, {
      position: record.position,
      length: record.end - record.position,
      kind: 'garbage',
    });
  });

  test(`${name}: a torn record with more records appended behind it costs only itself`, () => {
    const record = nth(store.records, -2);
    const length = record.end - record.position - 20;
    const damaged = concatBytes(
      store.bytes.subarray(0, record.position + length),
      store.bytes.subarray(record.end),
    );
    const found = salvage(damaged, store.format);
    assert.deepEqual(
      found.gaps.map((gap) => [gap.position, gap.length, gap.kind, gap.records]),
      [[record.position, length, 'bad_checksum', 1]],
    );
    assert.equal(found.records.length, store.records.length - 1);
  });

  test(`E-05, ${name}: the version byte of a second store in mid-file is one stray byte`, () => {
    for (const byte of [7, store.format.version]) {
      for (const record of store.records) {
        const damaged = insert(store.bytes, record.position, Uint8Array.of(byte));
        assertOneGap(store, damaged, { kind: 'second_store', length: 1, records: 0 }, 1);
      }
    }
  });
}

test('flag bits that no version has are cleared, and COMPLETED is set again, also in the last record', () => {
  for (const version of [14, 15, 16]) {
    const store = goodStore(version, 2);
    for (const record of store.records) {
      for (const bit of [0, 3, 7, 8, 9, 10, 12]) {
        const damaged = withFlags(store.bytes, record.position, record.flags ^ (1 << bit));
        assertRestored(store, damaged, record, 'flags', `bit ${bit} at ${record.position}`);
      }
      if (version === 14) continue;
      const damaged = withFlags(store.bytes, record.position, 0);
      assertRestored(store, damaged, record, 'completed', `COMPLETED at ${record.position}`);
    }
  }
});

test('bits that older versions use or left behind are no damage', () => {
  const cases: readonly (readonly [number, number])[] = [
    [7, 0x4000],
    [10, 0x2000],
    [12, 0x1000],
    [12, 0x6000],
    [13, 0x3800],
    [14, 0x2000],
    [14, 0x4000],
    [16, 0x6000],
  ];
  for (const [version, flags] of cases) {
    const store = goodStore(version, 2);
    const record = nth(store.records, 3);
    const found = salvage(withFlags(store.bytes, record.position, flags), store.format);
    assert.deepEqual(found.gaps, []);
    assert.deepEqual(
      found.records.map((other) => [other.restored, other.flags]),
      store.records.map((other) => [undefined, other === record ? flags : other.flags]),
    );
  }
});

test('the timestamp of a header is taken from the message, or from the checksum where one bit is wrong', () => {
  for (const version of [6, 7, 14, 16]) {
    const store = goodStore(version, 2);
    for (const record of store.records) {
      const isAnnouncement = record.type === MESSAGE_TYPE.channel_announcement;
      for (let bit = 0; bit < 32; bit++) {
        // Of an announcement's upper half nobody can tell: the signature's first bytes would explain it as well.
        if (isAnnouncement && bit < 16 && record.timestamp !== 0) continue;
        const damaged = flipBit(store.bytes, record.position + 8 + (bit >>> 3), bit & 7);
        assertRestored(store, damaged, record, 'timestamp', `bit ${bit} at ${record.position}`);
      }
      if (isAnnouncement) continue;
      const damaged = filled(store.bytes, record.position + 8, 4, 0xee);
      assertRestored(store, damaged, record, 'timestamp', `all of it at ${record.position}`);
    }
  }
});

test('a flipped bit in the first bytes of a message never passes for another timestamp', () => {
  // What happened: the timestamp is the checksum's seed, so that a bit of it and the same bit of the message's first four bytes
  // change the checksum alike. A damaged signature was handed on as sound, with a new timestamp and a right checksum.
  for (const version of [7, 14, 16]) {
    const store = goodStore(version, 2);
    for (const record of store.records) {
      for (let bit = 0; bit < 32; bit++) {
        const at = record.position + store.format.headerBytes + (bit >>> 3);
        for (const restoreBits of [false, true]) {
          const found = salvage(flipBit(store.bytes, at, bit & 7), store.format, { restoreBits });
          const given = found.records.find(({ position }) => position === record.position);
          if (given !== undefined && given.step !== 'malformed')
            assert.deepEqual(
              given.bytes,
              record.bytes,
              `version ${version}, bit ${bit} at ${record.position}`,
            );
        }
      }
    }
  }
});

test('an announcement whose header was half rewritten gets the timestamp of its first update', () => {
  const store = goodStore(16, 3);
  const record = store.records.findLast(
    ({ type }) => type === MESSAGE_TYPE.channel_announcement,
  ) as GoodRecord;
  const before = rec(store.format, record.bytes).slice(4, 12);
  const after = rec(store.format, record.bytes, { timestamp: record.timestamp }).slice(4, 12);
  for (let torn = 1; torn < 8; torn++) {
    const half = concatBytes(after.subarray(0, torn), before.subarray(torn));
    const damaged = overwrite(store.bytes, record.position + 4, half);
    assertRestored(store, damaged, record, 'timestamp', `torn at ${torn}`);
  }
});

/** A record made up to look like a deletion, inside the unknown tail of an update. */
const outerRecord = (format: StoreFormat): { message: Uint8Array; fakeAt: number } => {
  const fake = rec(format, Uint8Array.of(0x10, 7, 0, 1, 0x86, 0xa0, 0, 0, 1, 0));
  const tail = concatBytes(new Uint8Array(40).fill(9), fake, fake, new Uint8Array(300).fill(9));
  const message = goodUpdate(0, 0, GOOD_TIMESTAMP, tail);
  return { message, fakeAt: 138 + 40 };
};

test('records made up inside a message are not taken for records when its length is intact or can be restored', () => {
  const good = goodStore(14, 2);
  const { message, fakeAt } = outerRecord(good.format);
  const position = nth(good.records, 2).position;
  const outer = rec(good.format, message, { timestamp: GOOD_TIMESTAMP });
  const bytes = insert(good.bytes, position, outer);
  const expected = good.records.length;
  const inMessage = salvage(flipBit(bytes, position + 12 + 70, 3), good.format);
  assert.deepEqual(
    inMessage.gaps.map((gap) => [gap.position, gap.length, gap.kind]),
    [[position, outer.length, 'bad_checksum']],
  );
  assert.equal(inMessage.records.length, expected);
  for (const length of [0, 1, 2, fakeAt, message.length ^ 64, 65535]) {
    const inLength = salvage(withLength(bytes, position, length), good.format);
    assert.deepEqual(inLength.gaps, [], `length ${length}`);
    assert.equal(inLength.records.length, expected + 1);
    assert.equal(nth(inLength.records, 2).restored, 'length');
  }
});

test('a length known from elsewhere settles what the file cannot', () => {
  const store = goodStore(14, 2);
  const record = nth(store.records, 2);
  // Length and message are damaged, and the message holds a made-up record.
  const { message } = outerRecord(store.format);
  const outer = rec(store.format, message, { timestamp: GOOD_TIMESTAMP });
  const bytes = insert(store.bytes, record.position, outer);
  const damaged = flipBit(withLength(bytes, record.position, 300), record.position + 12 + 70, 3);
  assert.ok(
    salvage(damaged, store.format).records.length > store.records.length,
    'the made-up records are found',
  );
  const found = salvage(damaged, store.format, {
    knownLength: (position) => (position === record.position ? message.length : undefined),
  });
  assert.deepEqual(
    found.gaps.map((gap) => [gap.position, gap.length, gap.kind]),
    [[record.position, outer.length, 'bad_checksum']],
  );
  assert.equal(found.records.length, store.records.length);
});

test('a deleted record whose length leads nowhere is restored like a live one; without its checksum it is a gap', () => {
  for (const version of [7, 14, 16]) {
    const store = goodStore(version, 4, { withDeleted: true });
    const record = store.records.find(({ flags }) => (flags & FLAG_DELETED) !== 0) as GoodRecord;
    const shorter = withLength(store.bytes, record.position, record.length - 2);
    assertRestored(store, shorter, record, 'length', 'shorter');
    const broken = flipBit(shorter, record.position + 40, 1);
    const found = salvage(broken, store.format);
    assertIntactFound(without(store, record), found, [0, 0, 0], 'broken');
    assert.ok(
      found.gaps.every((gap) => gap.records === 0),
      'no live record is lost',
    );
  }
});

test('opensDeleted gives the message of deleted records', () => {
  const store = goodStore(12, 2, { withDeleted: true });
  const found = salvage(store.bytes, store.format, { opensDeleted: true });
  const deleted = found.records.filter(({ step }) => step === 'deleted');
  assert.equal(deleted.length, 2);
  for (const record of deleted) {
    assert.equal(record.type, MESSAGE_TYPE.channel_update);
    const good = store.records.find(({ position }) => position === record.position) as GoodRecord;
    assert.deepEqual([...record.bytes], [...good.bytes]);
    assert.equal(record.timestamp, good.timestamp);
  }
});

test('a hole of zeros in mid-file is told apart from the pieces of records around it', () => {
  for (const version of [7, 14, 16]) {
    const store = goodStore(version, 30);
    const start = nth(store.records, 40).position + 30;
    const found = salvage(zeros(store.bytes, start, 4096), store.format);
    assertIntactFound(store, found, [start, start + 4096, 0], 'hole');
    const hole = found.gaps.find((gap) => gap.kind === 'zero_bytes') as Gap;
    assert.ok(hole.position >= start - 3 && hole.position <= start, 'it begins with the zeros');
    assert.ok(hole.position + hole.length >= start + 4090, 'and ends with them');
    assert.equal(found.gaps[0]?.records, 1);
  }
});

test('E-01: where newer records end in the middle of an old one, its rest is left over', () => {
  const store = goodStore(14, 20, { withoutNodes: true });
  const newer = concatBytes(
    rec(store.format, goodUpdate(3, 0, GOOD_TIMESTAMP + 999), { timestamp: GOOD_TIMESTAMP + 999 }),
    rec(store.format, goodAnnouncement(100), { timestamp: 0 }),
  );
  const damaged = overwrite(store.bytes, 1, newer);
  const found = salvage(damaged, store.format);
  assert.deepEqual(
    found.gaps.map((gap) => [gap.position, gap.kind, gap.records]),
    [[1 + newer.length, 'overwritten', 0]],
  );
  assertIntactFound(store, found, [0, 1 + newer.length, 0], 'the stale part');
  assert.equal(found.records[0]?.timestamp, GOOD_TIMESTAMP + 999);
});

test('records with a right checksum that are malformed or of no known type are given as such', () => {
  const store = goodStore(16, 1);
  const short = rec(store.format, Uint8Array.of(0x10, 10, 0, 0, 0, 0));
  const unknown = rec(store.format, Uint8Array.of(0x77, 1, 0));
  const bytes = append(store.bytes, short, unknown, nodeRecord(store.format));
  const reader = new SalvageReader(fileOf(bytes), { format: store.format, from: store.bytes.length });
  assert.equal(reader.next(), 'malformed');
  assert.equal(reader.fault, 'too_short');
  assert.equal(reader.next(), 'malformed');
  assert.equal(reader.fault, 'unknown_record_type');
  assert.equal(reader.next(), 'live');
  assert.equal(reader.next(), 'end');
});

const nodeRecord = (format: StoreFormat): Uint8Array =>
  rec(format, goodNode(1, GOOD_TIMESTAMP), { timestamp: GOOD_TIMESTAMP });

test('the bytes of an announcement stay while the amount behind it is read, wherever the buffer ends', () => {
  const store = goodStore(16, 300);
  const reader = new SalvageReader(fileOf(store.bytes), {
    format: store.format,
    buffer: new Uint8Array(65_569),
  });
  for (;;) {
    const step = reader.next();
    if (step === 'end') break;
    assert.equal(step, 'live');
    if (reader.record.type !== MESSAGE_TYPE.channel_announcement) continue;
    const { bytes, at, length } = reader.record;
    const before = bytes.slice(at, at + length);
    assert.equal(reader.next(), 'live');
    assert.deepEqual(bytes.slice(at, at + length), before);
  }
});

test('reading keeps to its limit, and a file that has become shorter ends it', () => {
  const store = goodStore(16, 3);
  const record = nth(store.records, 5);
  const found = salvage(cut(store.bytes, record.end), store.format, { limit: record.end });
  assert.equal(found.records.length, 6);
  assert.deepEqual(found.gaps, []);
  const shorter = fileOf(cut(store.bytes, record.end + 30));
  const reader = new SalvageReader(
    { ...shorter, size: () => store.bytes.length },
    { format: store.format, restoreBits: true },
  );
  let records = 0;
  for (let step = reader.next(); step !== 'end'; step = reader.next()) {
    if (step === 'live') records++;
    assert.ok(reader.end > reader.position);
  }
  assert.equal(records, 6);
});

test('a file made of headers that claim 65,535 bytes each is read to its end', () => {
  const store = goodStore(14, 1);
  const claim = Uint8Array.of(0, 0, 0xff, 0xff, 1, 1, 1, 1, 2, 2, 2, 2, 1, 2);
  const amount = rec(store.format, Uint8Array.of(0x10, 5, 0, 0, 0, 0, 0, 0, 0, 1));
  const parts = Array.from({ length: 20_000 }, () => concatBytes(amount, claim));
  const found = salvage(append(store.bytes, ...parts), store.format);
  assert.equal(found.records.length, store.records.length + 20_000);
});

test('noise of any kind, in a file of any version, is damage and nothing worse', () => {
  const rng = seededRng(99);
  for (const version of VERSIONS) {
    const { format } = goodStore(version, 1);
    for (let round = 0; round < 60; round++) {
      const bytes = rng.bytes(1 + Math.floor(rng.fraction() * 3000));
      // Mostly zeros and small numbers, as headers are.
      for (let index = 0; index < bytes.length; index++)
        if (rng.fraction() < 0.6)
          bytes[index] = [0, 0, 1, 2, 0x10, 0x20][(bytes[index] as number) % 6] as number;
      salvage(bytes, format, { restoreBits: true, opensDeleted: true, buffer: new Uint8Array(65_569) });
    }
  }
});

test('a cleared COMPLETED together with a wrong checksum is a bad record, not the end', () => {
  const store = goodStore(16, 2);
  const record = nth(store.records, 3);
  const damaged = flipBit(withFlags(store.bytes, record.position, 0), record.position + 30, 2);
  assertOneGap(without(store, record), damaged, { position: record.position, kind: 'bad_checksum' });
  assert.equal(record.flags, FLAG_COMPLETED);
  const tail = last(store);
  const both = new Uint8Array(8);
  writeU32(both, 0, 0xdeadbeef);
  writeU32(both, 4, 0x12345678);
  const torn = overwrite(store.bytes, tail.position + 4, both);
  assertOneGap(without(store, tail), torn, { position: tail.position, kind: 'bad_checksum', atEnd: true });
});
