/**
 * The real mainnet map and the seven ways to damage it that cost CLN v26.06.6 all of it or its reader's framing: the picture of
 * the file shows one small place each time, and the index beside the store knows every record of it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawStore } from '../../src/repair/store_picture.ts';
import { quietTask } from '../../src/repair/task.ts';
import {
  append,
  cut,
  fileOf,
  flipBit,
  withFlags,
  withLength,
  withVersion,
} from '../../src/store/damaged_stores.test.support.ts';
import { MemoryFolder } from '../../src/store/memory_folder.test.support.ts';
import { readSidecar } from '../../src/store/sidecar_reader.ts';
import { SidecarWriter } from '../../src/store/sidecar_writer.ts';
import { RecordWalker } from '../../src/store/walker.ts';
import { sharedData } from '../fixtures/shared_data.ts';

const RECORDS = 203_233;
/** Header position of an update in the middle of the file, and of the last record. */
const MIDDLE = 19_149_897;
const LAST = 38_918_825;

test('the map damaged in seven ways is a picture with one small flaw, and indexed record by record', async (t) => {
  const data = sharedData(t, 'gossip_store-2026-02-03-v16.xz');
  if (data === undefined) return;
  const map = new Uint8Array(data);
  const size = map.length;
  const length = (map[MIDDLE + 2]! << 8) | map[MIDDLE + 3]!;
  const cases: readonly [Uint8Array, readonly [offset: number, length: number, kind: string][]][] = [
    [map, []],
    [flipBit(map, MIDDLE + 12 + 70, 0), [[MIDDLE, 12 + length, 'bad_checksum']]],
    [withFlags(map, LAST, 0), [[LAST, size - LAST, 'header_completed']]],
    [cut(map, size - 50), [[LAST, size - LAST - 50, 'torn_tail']]],
    [withLength(map, MIDDLE, length ^ 4), [[MIDDLE, 12, 'header_length']]],
    [append(map, new Uint8Array(4096)), [[size, 4096, 'zero_bytes']]],
    [withVersion(map, 0), [[0, 1, 'version_byte']]],
  ];
  for (const [bytes, damage] of cases) {
    const picture = await drawStore({ file: fileOf(bytes), task: quietTask, columns: 64, rows: 32 });
    assert.equal(picture.records, RECORDS);
    assert.equal(picture.version, 16);
    assert.deepEqual(
      picture.damaged.map((range) => [range.offset, range.length, range.kind]),
      damage,
    );
    const flawed = picture.cells.filter(({ shows }) => shows === 'damaged' || shows === 'tail');
    assert.equal(flawed.length, damage.length);
  }

  const folder = new MemoryFolder();
  const writer = SidecarWriter.create(folder, 'gossip_store', new Uint8Array(32), 16);
  const walker = new RecordWalker(fileOf(map), 1, new Uint8Array(1 << 20));
  const view = new DataView(map.buffer);
  while (walker.step(size) === 'live') writer.add(walker.record, view.getUint32(walker.record.offset - 8));
  writer.flush();
  const read = readSidecar(folder, 'gossip_store', new Uint8Array(32), 16);
  assert.ok('sidecar' in read);
  const { sidecar } = read;
  assert.deepEqual([sidecar.count, sidecar.coveredTo], [RECORDS, size]);
  let at = 1;
  sidecar.forEach((entry) => {
    assert.ok(
      entry.position === at &&
        entry.length === view.getUint16(at + 2) &&
        entry.crc === view.getUint32(at + 4),
    );
    at += 12 + entry.length;
  });
  assert.equal(sidecar.lengthAt(MIDDLE), length);
});
