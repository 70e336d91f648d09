import assert from 'node:assert/strict';
import test from 'node:test';
import { seededRng } from '../base/rng.ts';
import type { StoreCursor } from './cursor.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import {
  acceptedChannel,
  acceptedNode,
  acceptedUpdate,
  benchOn,
  describe,
  ignore,
  nodeOf,
} from './store_samples.test.support.ts';

const drain = (cursor: StoreCursor): string[] => {
  const seen: string[] = [];
  for (let record = cursor.next(); record !== undefined; record = cursor.next()) seen.push(describe(record));
  return seen;
};

test('sees what is published, each record once, and nothing that is still pending', async () => {
  const store = await benchOn().open();
  const cursor = store.cursor();
  assert.deepEqual(drain(cursor), ['4107@13']);
  store.append(acceptedNode(1, 5), ignore);
  assert.deepEqual([drain(cursor), cursor.lagBytes()], [[], 0]);
  store.flush();
  assert.equal(cursor.lagBytes(), 154);
  assert.deepEqual(drain(cursor), ['257@59']);
  assert.deepEqual(drain(cursor), []);
  await store.close();
});

test('starts at the end, at the start, or where an earlier cursor was', async () => {
  const store = await benchOn().open();
  store.append(acceptedNode(1, 5), ignore);
  store.append(acceptedNode(2, 5), ignore);
  store.flush();
  const atEnd = store.cursor('end');
  assert.deepEqual(drain(atEnd), []);
  const first = store.cursor('start');
  first.next();
  first.next();
  assert.deepEqual(drain(store.cursor(first.position)), ['257@213']);
  store.append(acceptedNode(3, 5), ignore);
  store.flush();
  assert.deepEqual(drain(atEnd), ['257@367']);
  await store.close();
});

test('many cursors at their own pace see the same records, across chunk borders', async () => {
  const store = await benchOn().open();
  const rng = seededRng(11);
  const cursors = Array.from({ length: 40 }, () => ({ cursor: store.cursor('end'), seen: [] as string[] }));
  const expected: string[] = [];
  for (let round = 0; round < 300; round++) {
    for (let count = 0; count < 5; count++) {
      const note = (record: Parameters<typeof describe>[0]): unknown => expected.push(describe(record));
      store.append(acceptedChannel(round * 5 + count), note);
    }
    store.flush();
    for (const { cursor, seen } of cursors) {
      for (let steps = Math.floor(rng.fraction() * 20); steps > 0; steps--) {
        const record = cursor.next();
        if (record !== undefined) seen.push(describe(record));
      }
    }
  }
  for (const { cursor, seen } of cursors) {
    seen.push(...drain(cursor));
    assert.deepEqual(seen, expected);
  }
  await store.close();
});

test('skips what was deleted after its chunk was read', async () => {
  const store = await benchOn().open();
  store.append(acceptedNode(1, 5), ignore);
  const old = store.append(acceptedUpdate(1, 0, 5), ignore);
  await store.sync();
  const cursor = store.cursor('start');
  cursor.next();
  const fresh = store.append(acceptedUpdate(1, 0, 6, old), ignore);
  await store.sync();
  assert.deepEqual(drain(cursor), ['257@59', `258@${fresh}`]);
  await store.close();
});

test('a record that has gone bad on disk is skipped and counted, the rest is read', async () => {
  const folder = new MemoryFolder();
  const { open, meter } = benchOn(folder);
  const store = await open();
  const bad = store.append(acceptedNode(1, 5), ignore);
  store.append(acceptedNode(2, 5), ignore);
  await store.sync();
  folder.open('gossip_store', 'write').write(Uint8Array.of(0xff), bad + 20);
  assert.deepEqual(drain(store.cursor()), ['4107@13', '257@213']);
  assert.equal(store.readMessage(bad), undefined);
  assert.equal(meter.get('gossipd_store_bad_records_total', 'bad_checksum'), 2);
  await store.close();
});

test('goes on in the new file when the store is rebuilt under it', async () => {
  const folder = new MemoryFolder();
  const first = await benchOn(folder).open();
  first.append(acceptedNode(1, 5), ignore);
  first.append(acceptedNode(2, 5), ignore);
  await first.close();
  const bytes = folder.contents('gossip_store');
  folder.place('gossip_store', new Uint8Array([...bytes, 0x20, 0]));
  folder.capacityBytes = 400;
  const store = await benchOn(folder).open();
  const cursor = store.cursor('start');
  cursor.next();
  assert.equal(describe(cursor.next() ?? assert.fail()), '257@59');
  folder.heal();
  store.append(acceptedNode(3, 5), ignore);
  await store.sync();
  assert.deepEqual(drain(cursor), ['257@213', '257@367']);
  assert.deepEqual(folder.contents('gossip_store').length, bytes.length + 12 + nodeOf(3, 5).length);
  await store.close();
});

test('a closed cursor, and a cursor of a closed store, give nothing', async () => {
  const store = await benchOn().open();
  const [one, two] = [store.cursor(), store.cursor()];
  one.close();
  assert.equal(one.next(), undefined);
  assert.equal(two.next()?.type, 4107);
  await store.close();
  assert.equal(two.next(), undefined);
});
