import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '../base/bytes.ts';
import { encodeChannelAmount, encodeEnded, encodeUuid } from '../wire/gossip_store_messages.ts';
import { FLAG_COMPLETED, GOSSIP_STORE_CHAN_DYING, GOSSIP_STORE_ENDED } from '../wire/store_record.ts';
import {
  append,
  cut,
  fileOf,
  filled,
  goodScid,
  goodStore,
  goodUpdate,
  localAddChannelOf,
  privateUpdateOf,
  rec,
  withVersion,
} from './damaged_stores.test.support.ts';
import { salvage } from './salvage.test.support.ts';
import {
  checkMessageFor,
  detectFormat,
  earlyFormat5,
  type StoreFormat,
  sniffFormat,
  storeFormat,
} from './versions.ts';

const formatOf = (version: number): StoreFormat => {
  const format = storeFormat(version);
  assert.ok(format);
  return format;
};

const detect = (bytes: Uint8Array): unknown => {
  const found = detectFormat(fileOf(bytes));
  return found.format === undefined
    ? { versionByte: found.versionByte }
    : { version: found.format.version, headerBytes: found.format.headerBytes, sniffed: found.sniffed };
};

test('versions that can be read are 3 to 31, of which 17 and above look like 16', () => {
  for (let byte = 0; byte < 256; byte++) {
    const format = storeFormat(byte);
    assert.equal(format !== undefined, byte >= 3 && byte <= 31, `version byte ${byte}`);
    if (format === undefined) continue;
    assert.equal(format.version, byte);
    if (byte > 16) assert.deepEqual({ ...format, version: 16 }, storeFormat(16));
  }
});

test('headers, checksums and flags by version', () => {
  const facts = [3, 4, 5, 6, 7, 10, 12, 14, 15, 16].map((version) => {
    const { headerBytes, checksum, hasCompleted, hasUuid, flags, emptyBytes } = formatOf(version);
    return [version, headerBytes, checksum, hasCompleted, hasUuid, flags, emptyBytes];
  });
  assert.deepEqual(facts, [
    [3, 8, 'legacy', false, false, 0, 1],
    [4, 8, 'legacy', false, false, 0, 1],
    [5, 12, 'legacy', false, false, 0x8000, 1],
    [6, 12, 'legacy', false, false, 0x8000, 1],
    [7, 12, 'crc32c', false, false, 0xc000, 1],
    [10, 12, 'crc32c', false, false, 0xe000, 1],
    [12, 12, 'crc32c', false, false, 0xf800, 1],
    [14, 12, 'crc32c', false, false, 0xe800, 1],
    [15, 12, 'crc32c', true, false, 0xe800, 1],
    [16, 12, 'crc32c', true, true, 0xe800, 47],
  ]);
  assert.equal(earlyFormat5.headerBytes, 8);
});

test('record types come and go with the versions', () => {
  assert.ok(formatOf(8).types.has(3503) && !formatOf(9).types.has(3503));
  assert.ok(formatOf(9).types.has(4104) && !formatOf(13).types.has(4104));
  assert.ok(formatOf(12).types.has(4102) && !formatOf(13).types.has(4102));
  assert.ok(formatOf(9).types.has(GOSSIP_STORE_ENDED) && !formatOf(8).types.has(GOSSIP_STORE_ENDED));
  assert.ok(
    formatOf(11).types.has(GOSSIP_STORE_CHAN_DYING) && !formatOf(10).types.has(GOSSIP_STORE_CHAN_DYING),
  );
  assert.ok(formatOf(16).types.has(4107) && !formatOf(15).types.has(4107));
  assert.deepEqual([...formatOf(3).types], [4096, 4097, 4098, 4099, 4100]);
});

test('the version byte is believed when the records agree', () => {
  for (let version = 3; version <= 16; version++) {
    const { bytes, format } = goodStore(version, 5);
    assert.deepEqual(detect(bytes), { version, headerBytes: format.headerBytes, sniffed: false });
  }
  const early = goodStore(earlyFormat5, 5);
  assert.deepEqual(detect(early.bytes), { version: 5, headerBytes: 8, sniffed: false });
  for (const version of [7, 14, 16]) {
    assert.deepEqual(detect(Uint8Array.of(version)), { version, headerBytes: 12, sniffed: false });
  }
});

test('E-09: a version byte of 0 is replaced by the version that the records show', () => {
  for (const version of [3, 4, 6, 14, 15, 16]) {
    const { bytes } = goodStore(version, 5);
    for (const byte of [0, 1, 2, 0x30, 0xff]) {
      const found = detectFormat(fileOf(withVersion(bytes, byte)));
      assert.equal(found.format?.version, version, `${version} behind ${byte}`);
      assert.equal(found.versionByte, byte);
    }
  }
  assert.equal(
    sniffFormat(fileOf(withVersion(goodStore(9, 5, { withShortUpdates: true }).bytes, 0)))?.version,
    9,
  );
  assert.equal(
    sniffFormat(fileOf(withVersion(goodStore(12, 5, { withPrivate: true }).bytes, 0)))?.version,
    12,
  );
  assert.equal(sniffFormat(fileOf(withVersion(goodStore(7, 5, { withPrivate: true }).bytes, 0)))?.version, 7);
});

test('any flipped bit of the version byte leaves every message readable', () => {
  for (const version of [3, 4, 6, 7, 9, 12, 14, 15, 16]) {
    const { bytes, format } = goodStore(version, 5);
    for (let bit = 0; bit < 8; bit++) {
      const found = detectFormat(fileOf(withVersion(bytes, version ^ (1 << bit)))).format;
      assert.ok(found, `${version}, bit ${bit}`);
      assert.equal(found.headerBytes, format.headerBytes, `${version}, bit ${bit}`);
      assert.equal(found.checksum, format.checksum, `${version}, bit ${bit}`);
      // A reader that wants COMPLETED would see nothing of a file without it.
      assert.ok(!found.hasCompleted || format.hasCompleted, `${version}, bit ${bit}`);
    }
  }
});

test('damage at the start does not hide the format', () => {
  for (const version of [3, 6, 14, 16]) {
    const { bytes } = goodStore(version, 20);
    assert.equal(
      detectFormat(fileOf(filled(bytes, 0, 700, 0xee))).format?.version,
      version === 16 ? 15 : version,
    );
    assert.equal(detectFormat(fileOf(filled(bytes, 1, 700, 0xee))).format?.version, version);
  }
});

test('a file that has lost its beginning is read by what its records show', () => {
  // What happened: the first byte of such a file is any byte; by chance it named version 8, whose records have no COMPLETED
  // flag, and not one of 200,000 sound records was recognised.
  const store = goodStore(16, 6);
  const headless = store.bytes.slice(60);
  for (const byte of [3, 5, 7, 8, 9, 11, 13, 14, 15, 16]) {
    headless[0] = byte;
    const { format } = detectFormat(fileOf(headless));
    const found = format === undefined ? [] : salvage(headless, format).records;
    const messages = new Set(found.filter(({ step }) => step === 'live').map(({ bytes }) => toHex(bytes)));
    for (const { position, bytes } of store.records)
      if (position >= 60) assert.ok(messages.has(toHex(bytes)), `first byte ${byte}, record at ${position}`);
  }
});

test('what is no store has no format', () => {
  assert.deepEqual(detect(new Uint8Array(0)), { versionByte: undefined });
  assert.deepEqual(detect(Uint8Array.of(0)), { versionByte: 0 });
  assert.deepEqual(detect(Uint8Array.of(0, 9)), { versionByte: 0 });
  assert.deepEqual(detect(new TextEncoder().encode('not a store at all, but a text')), { versionByte: 0x6e });
  assert.equal(sniffFormat(fileOf(new Uint8Array(2_000_000))), undefined);
});

test('a single incomplete record does not make a version 15 file one of version 14', () => {
  const format = formatOf(15);
  const record = rec(format, encodeChannelAmount(5n), { flags: 0 });
  assert.deepEqual(detect(append(Uint8Array.of(15), record)), {
    version: 15,
    headerBytes: 12,
    sniffed: false,
  });
});

test('messages are checked by the rules of their version', () => {
  const check = (version: number, message: Uint8Array): string | undefined =>
    checkMessageFor(formatOf(version), message, 0, message.length);
  const update = goodUpdate(1, 0, 1_700_000_000);
  assert.equal(check(10, cut(update, 130)), undefined);
  assert.equal(check(10, cut(update, 129)), 'too_short');
  assert.equal(check(11, cut(update, 130)), 'too_short');
  assert.equal(check(12, privateUpdateOf(update)), undefined);
  assert.equal(check(13, privateUpdateOf(update)), 'unknown_record_type');
  assert.equal(check(16, privateUpdateOf(update)), 'unknown_record_type');
  assert.equal(check(8, localAddChannelOf(1, 8)), undefined);
  assert.equal(check(9, localAddChannelOf(1, 8)), 'unknown_record_type');
  assert.equal(check(15, encodeUuid(new Uint8Array(32))), 'unknown_record_type');
  assert.equal(check(16, encodeUuid(new Uint8Array(32))), undefined);
  assert.equal(check(15, encodeEnded(1n)), undefined);
  assert.equal(check(3, update), 'unknown_record_type');
  assert.equal(check(14, Uint8Array.of(1)), 'too_short');
  assert.notEqual(goodScid(0), goodScid(1));
  assert.equal(formatOf(16).flags & FLAG_COMPLETED, FLAG_COMPLETED);
});
