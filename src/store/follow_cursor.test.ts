import assert from 'node:assert/strict';
import test from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import { encodeEnded } from '../wire/gossip_store_messages.ts';
import { FLAG_COMPLETED, storeOffset } from '../wire/store_record.ts';
import { openFollower, type StoreFollower } from './follow_cursor.ts';
import { encodeEmptyStore, encodeRecord } from './format.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import { acceptedNode, benchOn, describe, ignore, nodeOf } from './store_samples.test.support.ts';

const NAME = 'gossip_store';
const HEAD = encodeEmptyStore(new Uint8Array(32));
const NODE = encodeRecord(5, nodeOf(1, 5));
const OTHER = encodeRecord(6, nodeOf(2, 6));

const drain = (follower: StoreFollower): string[] => {
  const seen: string[] = [];
  for (let record = follower.next(); record !== undefined; record = follower.next())
    seen.push(describe(record));
  return seen;
};

const folderWith = (...parts: Uint8Array[]): MemoryFolder => {
  const folder = new MemoryFolder();
  folder.place(NAME, concatBytes(...parts));
  return folder;
};

test('follows a file that a running store writes', async () => {
  const folder = new MemoryFolder();
  const store = await benchOn(folder).open();
  const follower = openFollower(folder, NAME);
  assert.deepEqual(drain(follower), ['4107@13']);
  for (let number = 0; number < 3; number++) {
    store.append(acceptedNode(number, 5), ignore);
    assert.deepEqual(drain(follower), []);
    store.flush();
    assert.equal(drain(follower).length, 1);
  }
  assert.deepEqual([follower.waitingFor, follower.lagBytes(), follower.generation], ['end_of_file', 0, 0]);
  follower.close();
  assert.equal(follower.next(), undefined);
  await store.close();
});

test('waits in front of a record that is not complete, whole or sound, and takes it up when it is', () => {
  const at = HEAD.length;
  const unfinished: [string, Uint8Array][] = [
    ['incomplete_record', concatBytes(new Uint8Array(1), NODE.subarray(1))],
    ['torn_header', NODE.subarray(0, 7)],
    ['torn_record', NODE.subarray(0, 50)],
    ['bad_checksum', concatBytes(NODE.subarray(0, 50), new Uint8Array(NODE.length - 50))],
  ];
  for (const [reason, bytes] of unfinished) {
    const folder = folderWith(HEAD, bytes);
    const follower = openFollower(folder, NAME, 'end');
    assert.deepEqual([drain(follower), follower.waitingFor], [[], reason]);
    assert.deepEqual([drain(follower), follower.waitingFor], [[], reason]);
    folder.open(NAME, 'write').write(NODE, at);
    assert.deepEqual(drain(follower), ['257@59']);
  }
});

test('starts at the end or at a position', () => {
  const folder = folderWith(HEAD, NODE, OTHER);
  assert.deepEqual(drain(openFollower(folder, NAME, 'end')), []);
  assert.deepEqual(drain(openFollower(folder, NAME, storeOffset(213))), ['257@213']);
});

test('ENDED, or another file under the name, starts over there', () => {
  for (const ended of [true, false]) {
    const folder = folderWith(HEAD, NODE);
    const old = folder.open(NAME, 'write');
    const follower = openFollower(folder, NAME);
    assert.equal(drain(follower).length, 2);
    folder.open('new', 'create').write(concatBytes(HEAD, OTHER, NODE), 0);
    folder.rename('new', NAME);
    if (ended) old.write(encodeRecord(0, encodeEnded(47n, new Uint8Array(32))), HEAD.length + NODE.length);
    assert.deepEqual(drain(follower), ['4107@13', '257@59', '257@213']);
    assert.equal(follower.generation, 1);
  }
});

test('an end marker in the file that has the name leads nowhere', () => {
  const follower = openFollower(folderWith(HEAD, encodeRecord(0, encodeEnded(1n)), NODE), NAME);
  assert.deepEqual(drain(follower), ['4107@13', '257@81']);
  assert.equal(follower.generation, 0);
});

test('keeps what it has while no file has the name', () => {
  const folder = folderWith(HEAD, NODE);
  const follower = openFollower(folder, NAME);
  folder.remove(NAME);
  assert.equal(drain(follower).length, 2);
  folder.place(NAME, concatBytes(HEAD, OTHER));
  assert.equal(drain(follower).length, 2);
  assert.equal(follower.generation, 1);
});

test('store_version_unsupported for the file, and for one that replaces it', () => {
  const isUnsupported = (error: unknown): boolean =>
    error instanceof OperationalError && error.code === 'store_version_unsupported';
  assert.throws(() => openFollower(folderWith(Uint8Array.of(13)), NAME), isUnsupported);
  const folder = folderWith(HEAD);
  const follower = openFollower(folder, NAME);
  drain(follower);
  folder.place(NAME, Uint8Array.of(9));
  assert.throws(() => follower.next(), isUnsupported);
});

test('versions 14 and 15, at the start and after a replacement', () => {
  for (const version of [14, 15]) {
    const flags = version === 15 ? FLAG_COMPLETED : 0;
    const record = encodeRecord(5, nodeOf(1, 5), flags);
    const folder = folderWith(Uint8Array.of(version), record, record.subarray(0, 40));
    const follower = openFollower(folder, NAME);
    assert.deepEqual([drain(follower), follower.waitingFor], [['257@13'], 'torn_record']);
    folder.open(NAME, 'write').write(record, 1 + record.length);
    assert.equal(drain(follower).length, 1);
    assert.deepEqual(drain(openFollower(folder, NAME, 'end')), []);
    folder.place(NAME, concatBytes(HEAD, NODE));
    assert.deepEqual(drain(follower), ['4107@13', '257@59']);
  }
});
