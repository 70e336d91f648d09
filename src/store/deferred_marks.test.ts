import assert from 'node:assert/strict';
import test from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import { encodeChannelAmount } from '../wire/gossip_store_messages.ts';
import { FLAG_DELETED, FLAG_DYING, storeOffset } from '../wire/store_record.ts';
import { DeferredMarks } from './deferred_marks.ts';
import { encodeEmptyStore, encodeRecord } from './format.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import type { StoreFile } from './store_file.ts';
import { announcementOf, nodeOf } from './store_samples.test.support.ts';

const HEAD = encodeEmptyStore(new Uint8Array(32));
const NODE = encodeRecord(5, nodeOf(1, 5));
const CHANNEL = concatBytes(encodeRecord(0, announcementOf(1)), encodeRecord(0, encodeChannelAmount(1n)));
const FIRST = storeOffset(HEAD.length + 12);

const fileOf = (...parts: Uint8Array[]): { file: StoreFile; contents: () => Uint8Array } => {
  const folder = new MemoryFolder();
  folder.place('f', concatBytes(...parts));
  return { file: folder.open('f', 'write'), contents: () => folder.contents('f') };
};

test('a mark waits until the file is durable up to what justifies it', () => {
  const { file, contents } = fileOf(HEAD, NODE);
  const marks = new DeferredMarks();
  marks.addFlags(FIRST, FLAG_DELETED, 500);
  assert.equal(marks.apply(file, 499, 10), false);
  assert.deepEqual([marks.size, marks.flagsOf(FIRST)], [1, FLAG_DELETED]);
  assert.equal(marks.apply(file, 500, 10), true);
  assert.deepEqual([marks.size, marks.flagsOf(FIRST), contents()[HEAD.length]], [0, 0, 0xa0]);
});

test('two marks on one record are both honoured until both are in the file', () => {
  const { file, contents } = fileOf(HEAD, NODE);
  const marks = new DeferredMarks();
  marks.addFlags(FIRST, FLAG_DYING, 100);
  marks.addFlags(FIRST, FLAG_DELETED, 200);
  assert.equal(marks.flagsOf(FIRST), FLAG_DYING | FLAG_DELETED);
  marks.apply(file, 100, 10);
  assert.equal(marks.flagsOf(FIRST), FLAG_DELETED);
  marks.apply(file, 200, 10);
  assert.deepEqual([marks.flagsOf(FIRST), contents()[HEAD.length]], [0, 0xa8]);
});

test('no more than asked for are applied, in the order in which they came', () => {
  const { file } = fileOf(HEAD, NODE);
  const marks = new DeferredMarks();
  for (let count = 0; count < 5000; count++) marks.addFlags(FIRST, FLAG_DYING, count);
  marks.apply(file, 5000, 3000);
  assert.equal(marks.size, 2000);
  marks.apply(file, 3999, 5000);
  assert.equal(marks.size, 1000);
});

test('a timestamp write that fails half-way is undone, and done at the next attempt', () => {
  for (const failures of [1, 2]) {
    const { file, contents } = fileOf(HEAD, CHANNEL);
    let left = failures;
    const failing: StoreFile = {
      ...file,
      write: (bytes, position) => {
        if (left-- <= 0) return file.write(bytes, position);
        file.write(bytes.subarray(0, 3), position);
        throw new OperationalError('disk_full', 'degrade', 'half of it', 'free space');
      },
    };
    const marks = new DeferredMarks();
    marks.addTimestamp(FIRST, 1234, 0);
    assert.throws(() => marks.apply(failing, 0, 1), /half of it/);
    assert.equal(marks.size, 1);
    if (failures === 1) assert.deepEqual(contents(), concatBytes(HEAD, CHANNEL));
    marks.apply(failing, 0, 1);
    const expected = encodeRecord(1234, announcementOf(1));
    assert.deepEqual(contents().slice(HEAD.length, HEAD.length + expected.length), expected);
    assert.equal(marks.misplaced, 0);
  }
});

test('a timestamp is not given to a message whose checksum is wrong', () => {
  const damaged = CHANNEL.slice();
  damaged[100] = 1;
  const { file, contents } = fileOf(HEAD, damaged);
  const marks = new DeferredMarks();
  marks.addTimestamp(FIRST, 1234, 0);
  marks.apply(file, 0, 1);
  assert.equal(marks.misplaced, 1);
  assert.deepEqual(contents(), concatBytes(HEAD, damaged));
});
