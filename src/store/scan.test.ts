import assert from 'node:assert/strict';
import test from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { encodeDeleteChan, encodeEnded } from '../wire/gossip_store_messages.ts';
import { FLAG_COMPLETED, FLAG_DELETED, storeOffset } from '../wire/store_record.ts';
import { encodeEmptyStore, encodeRecord } from './format.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import { type ScanOptions, scanStore } from './scan.ts';
import { nodeOf, updateOf } from './store_samples.test.support.ts';

const HEAD = encodeEmptyStore(new Uint8Array(32).fill(7));
const UPDATE = encodeRecord(5, updateOf(1, 0, 5));
const TWO = concatBytes(HEAD, UPDATE, encodeRecord(6, nodeOf(1, 6)));

const scan = (bytes: Uint8Array, options?: ScanOptions) => {
  const folder = new MemoryFolder();
  folder.place('f', bytes);
  const seen: string[] = [];
  const end = scanStore(
    folder.open('f', 'read'),
    (record) => seen.push(`${record.type}@${record.offset}+${record.length}:${record.timestamp}`),
    options,
  );
  return { seen, ...end };
};

test('hands out every record with its offset, length and timestamp, and the uuid at the end', () => {
  const { seen, end, records, reason, uuid, version } = scan(TWO);
  assert.deepEqual(seen, ['4107@13+34:0', '258@59+138:5', '257@209+142:6']);
  assert.deepEqual([end, records, reason, version], [TWO.length, 3, 'end_of_file', 16]);
  assert.deepEqual(uuid, new Uint8Array(32).fill(7));
});

test('starts at a record that is named by its offset', () => {
  assert.deepEqual(scan(TWO, { from: storeOffset(209) }).seen, ['257@209+142:6']);
});

test('an empty file has no records and no version', () => {
  const { end, records, version, reason } = scan(new Uint8Array(0));
  assert.deepEqual([end, records, version, reason], [0, 0, 0, 'end_of_file']);
});

test('a file cut at any byte ends in front of the record that is cut', () => {
  for (let size = HEAD.length; size < TWO.length; size++) {
    const { end, reason } = scan(TWO.subarray(0, size));
    const expected = size < HEAD.length + UPDATE.length ? HEAD.length : HEAD.length + UPDATE.length;
    assert.equal(end, expected);
    const left = size - expected;
    assert.equal(reason, left === 0 ? 'end_of_file' : left < 12 ? 'torn_header' : 'torn_record');
  }
});

test('any flipped bit of crc, timestamp or message is a bad_checksum', () => {
  for (let at = HEAD.length + 4; at < HEAD.length + UPDATE.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const bytes = TWO.slice();
      bytes[at] = (bytes[at] as number) ^ (1 << bit);
      const { end, reason } = scan(bytes);
      assert.deepEqual([end, reason], [HEAD.length, 'bad_checksum']);
    }
  }
});

test('incomplete_record: zeros, or a record without COMPLETED, end the scan', () => {
  assert.equal(scan(concatBytes(HEAD, new Uint8Array(64))).reason, 'incomplete_record');
  assert.equal(scan(concatBytes(HEAD, encodeRecord(5, updateOf(1, 0, 5), 0))).reason, 'incomplete_record');
});

test('bad_length: a record without room for a type ends the scan', () => {
  const { reason, end } = scan(concatBytes(HEAD, Uint8Array.of(0x20, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 9)));
  assert.deepEqual([reason, end], ['bad_length', HEAD.length]);
});

test('a deleted record is stepped over whatever its checksum, and shown only on request', () => {
  const deleted = encodeRecord(5, updateOf(1, 0, 5), FLAG_COMPLETED | FLAG_DELETED);
  const rotten = deleted.slice();
  rotten[40] = 1;
  const bytes = concatBytes(HEAD, deleted, rotten, UPDATE);
  const plain = scan(bytes);
  assert.deepEqual([plain.records, plain.deleted, plain.reason], [2, 2, 'end_of_file']);
  assert.deepEqual(
    scan(bytes, { includeDeleted: true }).seen.map((text) => text.split('@')[0]),
    ['4107', '258', '0', '258'],
  );
});

test('malformed and unknown messages with a right checksum are counted and skipped', () => {
  const short = encodeRecord(0, updateOf(1, 0, 5).subarray(0, 130));
  const unknown = encodeRecord(0, Uint8Array.of(0x10, 0x99, 1));
  const { malformed, records, reason } = scan(concatBytes(HEAD, short, unknown, UPDATE));
  assert.deepEqual([malformed, records, reason], [2, 2, 'end_of_file']);
});

test('records of every length cross the borders of the read buffer unharmed', () => {
  const parts: Uint8Array[] = [HEAD];
  for (let length = 0; length < 60_000; length += 997) {
    parts.push(encodeRecord(1, concatBytes(encodeDeleteChan(1, 2), new Uint8Array(length).fill(length))));
    parts.push(encodeRecord(0, encodeEnded(1n)));
  }
  const bytes = concatBytes(...parts);
  const { records, reason, end } = scan(bytes);
  assert.deepEqual([records, reason, end], [parts.length, 'end_of_file', bytes.length]);
});
