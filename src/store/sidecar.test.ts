import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OperationalError } from '../base/errors.ts';
import { seededRng } from '../base/rng.ts';
import { FLAG_COMPLETED, FLAG_DELETED, FLAG_DYING } from '../wire/store_record.ts';
import { fileOf, goodStore } from './damaged_stores.test.support.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import { compareHeaders, type Sidecar } from './sidecar.ts';
import { BLOCK_ENTRIES, sidecarDraftName, sidecarName } from './sidecar_format.ts';
import { drawCalls, entriesOf, type ModelCall, SidecarModel, shown } from './sidecar_model.test.support.ts';
import { readSidecar } from './sidecar_reader.ts';
import { SidecarWriter } from './sidecar_writer.ts';
import { RecordWalker } from './walker.ts';

const NAME = 'gossip_store';
const INDEX = sidecarName(NAME);
const UUID = new Uint8Array(32).fill(7);

const apply = (writer: SidecarWriter, call: ModelCall): void => {
  if (call.call === 'add') writer.add(call.record, call.crc);
  else if (call.call === 'setFlags') writer.setFlags(call.position, call.flags);
  else if (call.call === 'setTimestamp') writer.setTimestamp(call.position, call.crc, call.timestamp);
  else writer.flush();
};

const read = (folder: MemoryFolder, uuid = UUID): Sidecar => {
  const result = readSidecar(folder, NAME, uuid, 16);
  assert.ok('sidecar' in result, 'reason' in result ? result.reason : '');
  return result.sidecar;
};

const reasonOf = (folder: MemoryFolder, uuid = UUID, version = 16): string => {
  const result = readSidecar(folder, NAME, uuid, version);
  return 'reason' in result ? result.reason : 'none';
};

test('what is read back is every record with its place, flags, checksum, type and key', () => {
  const store = goodStore(16, 6, { withDeleted: true, withDying: true, withRemoved: true });
  const folder = new MemoryFolder();
  const writer = SidecarWriter.create(folder, NAME, UUID, 16);
  const walker = new RecordWalker(fileOf(store.bytes), 1, new Uint8Array(1 << 17), true);
  const crcAt = (position: number): number =>
    new DataView(store.bytes.buffer, store.bytes.byteOffset).getUint32(position + 4);
  for (let step = walker.step(store.bytes.length); step === 'live' || step === 'deleted'; ) {
    writer.add(walker.record, crcAt(walker.record.offset - 12));
    step = walker.step(store.bytes.length);
  }
  writer.flush();
  const sidecar = read(folder);
  assert.equal(sidecar.coveredTo, store.bytes.length);
  assert.equal(sidecar.count, store.records.length);
  let keyed = 0;
  for (const record of store.records) {
    if ((record.flags & FLAG_DELETED) !== 0) continue;
    const entry = sidecar.at(record.position);
    assert.ok(entry !== undefined);
    const { position, length, flags, type, timestamp, crc, keyHi, keyLo } = entry;
    assert.deepEqual(
      { position, length, flags, type, timestamp, crc },
      {
        position: record.position,
        length: record.length,
        flags: record.flags,
        type: record.type,
        timestamp: record.timestamp,
        crc: crcAt(record.position),
      },
    );
    assert.equal(sidecar.lengthAt(position), length);
    assert.equal(sidecar.at(position + 1), undefined);
    if (keyHi !== 0 || keyLo !== 0) keyed++;
    if (type === 258) assert.equal(entry.direction, (record.bytes[111] as number) & 1);
    if (type === 257) {
      // Behind signature, feature length, timestamp and the parity byte.
      assert.equal(keyHi, new DataView(record.bytes.buffer).getUint32(73));
      assert.equal(keyLo, new DataView(record.bytes.buffer).getUint32(77));
    }
  }
  // Node ids of the samples start with zeros; all else but the uuid has a key.
  const live = store.records.filter((record) => (record.flags & FLAG_DELETED) === 0);
  assert.equal(keyed, live.filter((record) => record.type !== 257 && record.type !== 4107).length);
  assert.deepEqual(compareHeaders(sidecar, fileOf(store.bytes)).compared > 10, true);
  const same = compareHeaders(sidecar, fileOf(store.bytes));
  assert.equal(same.agree, same.compared);
  const other = compareHeaders(sidecar, fileOf(new Uint8Array(store.bytes.length)));
  assert.equal(other.agree, 0);
});

/** Every question about every place gets the answer of a plain list. */
const assertAnswers = (sidecar: Sidecar, model: SidecarModel, rng: ReturnType<typeof seededRng>): void => {
  const entries = entriesOf(sidecar);
  assert.equal(shown(entries), shown(model.rows));
  const live = model.rows.filter((row) => (row.flags & FLAG_DELETED) === 0);
  for (const row of live) {
    assert.deepEqual(sidecar.at(row.position), row);
    assert.equal(sidecar.lengthAt(row.position), row.length);
  }
  for (let count = 0; count < 60; count++) {
    const position = Math.floor(rng.fraction() * (model.end + 10));
    const next = live.find((row) => row.position >= position);
    assert.equal(sidecar.nextLive(position), next?.position ?? sidecar.coveredTo);
    const end = position + Math.floor(rng.fraction() * 2000);
    assert.deepEqual(
      sidecar.between(position, end),
      entries.filter(
        (entry) => entry.position < end && entry.position + 12 + entry.length > position && end > position,
      ),
    );
  }
};

test('the index agrees with a plain list after any sequence of adds, changes, flushes, compactions and restarts', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const rng = seededRng(seed);
    const folder = new MemoryFolder();
    const model = new SidecarModel();
    let writer = SidecarWriter.create(folder, NAME, UUID, 16);
    for (let step = 0; step < 150; step++) {
      for (const call of drawCalls(model, rng)) apply(writer, call);
      const chance = rng.fraction();
      if (chance < 0.01) writer.compact();
      else if (chance < 0.03) {
        writer.flush();
        writer.close();
        writer = SidecarWriter.resume(folder, NAME, read(folder));
      }
    }
    // A hole behind the last record is known only once something follows it.
    const record = model.add(258, 1);
    writer.add(record, 8);
    writer.flush();
    const sidecar = read(folder);
    assert.equal(sidecar.coveredTo, model.end);
    assert.equal(sidecar.count, model.rows.length);
    assertAnswers(sidecar, model, rng);
  }
});

test('a store of several blocks is written as it is added, with bounded memory, and read back whole', () => {
  const folder = new MemoryFolder();
  const model = new SidecarModel();
  const writer = SidecarWriter.create(folder, NAME, UUID, 16);
  const record = model.add(258, 3);
  for (let count = 0; count < 3 * BLOCK_ENTRIES; count++) {
    writer.add({ ...record, offset: (1 + count * 150 + 12) as typeof record.offset }, count);
    assert.ok(writer.blockBytes <= BLOCK_ENTRIES * 22 + 48);
  }
  assert.equal(read(folder).count, 2 * BLOCK_ENTRIES);
  writer.flush();
  assert.equal(writer.blockBytes, 0);
  const sidecar = read(folder);
  assert.equal(sidecar.count, 3 * BLOCK_ENTRIES);
  for (const count of [0, BLOCK_ENTRIES - 1, BLOCK_ENTRIES, 3 * BLOCK_ENTRIES - 1])
    assert.equal(sidecar.at(1 + count * 150)?.crc, count);
});

test('positions are exact beyond 4 GiB, and so are changes there', () => {
  const folder = new MemoryFolder();
  const model = new SidecarModel();
  const writer = SidecarWriter.create(folder, NAME, UUID, 16);
  const places: number[] = [];
  for (const end of [1, 2 ** 32 - 20, 2 ** 32 + 300, 3 * 2 ** 32, 2 ** 43 + 1]) {
    model.end = end;
    places.push(end);
    writer.add(model.add(258, places.length), places.length);
    model.rows.at(-1)!.crc = places.length;
    writer.add(model.add(259, places.length), places.length);
    model.rows.at(-1)!.crc = places.length;
    writer.flush();
  }
  for (const position of places) {
    writer.setTimestamp(position, 77, 78);
    model.setTimestamp(position, 77, 78);
    writer.setFlags(position + 150, FLAG_DYING);
    model.setFlags(position + 150, FLAG_DYING);
  }
  writer.flush();
  const check = (): void => {
    const sidecar = read(folder);
    assert.equal(shown(entriesOf(sidecar)), shown(model.rows));
    assert.equal(sidecar.coveredTo, 2 ** 43 + 301);
    for (const row of model.rows) assert.deepEqual(sidecar.at(row.position), row);
    assert.equal(sidecar.nextLive(2 ** 33), 3 * 2 ** 32);
    assert.equal(sidecar.between(2 ** 32 + 2, 2 ** 33).length, 4);
  };
  check();
  writer.compact();
  check();
});

test('deleted records in a row become one entry when they are added so, and all of them when the file is compacted', () => {
  const folder = new MemoryFolder();
  const model = new SidecarModel();
  const writer = SidecarWriter.create(folder, NAME, UUID, 16);
  for (let count = 0; count < 10; count++)
    writer.add(model.add(258, count, FLAG_COMPLETED | FLAG_DELETED), 1);
  for (let count = 0; count < 10; count++) writer.add(model.add(258, count), 1);
  writer.flush();
  assert.equal(read(folder).entries, 11);
  assert.equal(read(folder).at(1), undefined, 'merged records have no length of their own');
  for (const row of model.rows.slice(10, 15)) writer.setFlags(row.position, FLAG_DELETED);
  writer.compact();
  const sidecar = read(folder);
  assert.equal(sidecar.entries, 6);
  assert.equal(sidecar.count, 20);
  assert.equal(sidecar.nextLive(1), model.rows[15]?.position);
  const [run] = sidecar.between(1, 2);
  assert.deepEqual([run?.position, run?.records, run?.type, run?.length], [1, 15, 0, 15 * 150 - 12]);
});

test('when changes outweigh records the index asks to be compacted, and is small again afterwards', () => {
  const folder = new MemoryFolder();
  const model = new SidecarModel();
  const writer = SidecarWriter.create(folder, NAME, UUID, 16);
  for (let count = 0; count < 500; count++) writer.add(model.add(258, count), 5);
  writer.flush();
  assert.equal(writer.shouldCompact, false);
  for (let round = 0; !writer.shouldCompact; round++) {
    assert.ok(round < 2000);
    for (const row of model.rows.slice(0, 100)) writer.setTimestamp(row.position, round, round);
    writer.flush();
  }
  const before = folder.contents(INDEX).length;
  const answers = shown(entriesOf(read(folder)));
  writer.compact();
  assert.equal(shown(entriesOf(read(folder))), answers);
  assert.ok(folder.contents(INDEX).length < before / 4);
  assert.equal(writer.shouldCompact, false);
  writer.add(model.add(258, 1), 5);
  writer.flush();
  assert.equal(read(folder).count, 501);
});

test('sealed means that nothing was noted since the clean stop', async () => {
  const folder = new MemoryFolder();
  const model = new SidecarModel();
  let writer = SidecarWriter.create(folder, NAME, UUID, 16);
  writer.add(model.add(256, 1), 1);
  await writer.seal();
  writer.close();
  assert.equal(folder.unsyncedWrites(), 0);
  assert.equal(folder.unsyncedNames, 0);
  assert.equal(read(folder).sealed, true);
  writer = SidecarWriter.resume(folder, NAME, read(folder));
  assert.equal(read(folder).sealed, false, 'from the moment on in which a writer goes on with it');
  writer.add(model.add(4101, 1), 2);
  writer.flush();
  assert.equal(read(folder).sealed, false);
  assert.equal(read(folder).count, 2);
  await writer.seal();
  assert.equal(read(folder).sealed, true);
});

test('the index of another store or version is told apart, as is none, and one that the disk does not give', () => {
  const folder = new MemoryFolder();
  assert.equal(reasonOf(folder), 'missing');
  SidecarWriter.create(folder, NAME, UUID, 16);
  assert.equal(reasonOf(folder), 'none');
  assert.equal(reasonOf(folder, new Uint8Array(32)), 'other_file');
  assert.equal(reasonOf(folder, UUID, 15), 'other_file');
  folder.fail('read', 'disk_error');
  assert.equal(reasonOf(folder), 'unreadable');
  folder.heal();
  folder.place(INDEX, new Uint8Array(0));
  assert.equal(reasonOf(folder), 'damaged');
});

test('a record that comes out of order ends the writer, not the store', () => {
  const folder = new MemoryFolder();
  const model = new SidecarModel();
  const writer = SidecarWriter.create(folder, NAME, UUID, 16);
  const record = model.add(258, 1);
  writer.add(record, 1);
  writer.flush();
  writer.add(record, 1);
  assert.equal(writer.isAlive, false);
  writer.add(model.add(258, 2), 1);
  assert.throws(() => writer.flush(), { code: 'sidecar_out_of_order' });
  writer.flush();
  assert.equal(read(folder).count, 1);
});

test('a full disk is told once by flush, and everything after that is taken and forgotten', async () => {
  for (const call of ['write', 'create', 'rename'] as const) {
    const folder = new MemoryFolder();
    const model = new SidecarModel();
    folder.fail(call, 'disk_full');
    const writer = SidecarWriter.create(folder, NAME, UUID, 16);
    for (let count = 0; count < BLOCK_ENTRIES + 5; count++) writer.add(model.add(4103, 1), 1);
    assert.throws(
      () => writer.flush(),
      (error) => error instanceof OperationalError && error.code === 'disk_full',
    );
    writer.add(model.add(258, 1), 1);
    writer.setFlags(1, FLAG_DELETED);
    writer.setTimestamp(1, 2, 3);
    writer.compact();
    writer.flush();
    await writer.seal();
    writer.close();
    assert.equal(writer.isAlive, false);
    assert.equal(folder.exists(sidecarDraftName(NAME)), false);
    assert.ok(['missing', 'damaged'].includes(reasonOf(folder)), call);
  }
});

test('a block that does not fit on the disk leaves what was there before it', async () => {
  const folder = new MemoryFolder();
  const model = new SidecarModel();
  const writer = SidecarWriter.create(folder, NAME, UUID, 16);
  for (let count = 0; count < 100; count++) writer.add(model.add(258, count), 1);
  writer.flush();
  const before = shown(entriesOf(read(folder)));
  for (let count = 0; count < 3 * BLOCK_ENTRIES; count++) {
    if (count === 2 * BLOCK_ENTRIES) folder.capacityBytes = folder.contents(INDEX).length + 1000;
    writer.add(model.add(258, count), 1);
  }
  assert.throws(() => writer.flush(), { code: 'disk_full' });
  await writer.seal();
  const sidecar = read(folder);
  assert.equal(sidecar.sealed, false);
  assert.equal(shown(entriesOf(sidecar).slice(0, 100)), before);
  assert.ok(sidecar.count >= 100 && sidecar.count < model.rows.length);
  folder.heal();
  const next = SidecarWriter.resume(folder, NAME, sidecar);
  next.flush();
  assert.equal(read(folder).count, sidecar.count);
  assert.equal(read(folder).content.tail.torn, 0, 'the torn block was left out of a new file');
});
