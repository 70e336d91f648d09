/** The seven damages that make CLN v26.06 drop the whole map, on the real map: at most the record that was hit is missing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sharedData } from '../../test/fixtures/shared_data.ts';
import { append, cut, fileOf, flipBit, withFlags, withVersion } from './damaged_stores.test.support.ts';
import { type Gap, type Restored, SalvageReader } from './salvage_reader.ts';
import { detectFormat } from './versions.ts';

const RECORDS = 203_233;
/** The map ends with updates of 138 bytes. */
const LAST_RECORD_BYTES = 150;

interface Counted {
  readonly live: number;
  readonly gaps: readonly Gap[];
  readonly restored: readonly Restored[];
}

const count = (bytes: Uint8Array): Counted => {
  const file = fileOf(bytes);
  const { format } = detectFormat(file);
  assert.equal(format?.version, 16);
  const reader = new SalvageReader(file, { format });
  const gaps: Gap[] = [];
  const restored: Restored[] = [];
  let live = 0;
  for (let step = reader.next(); step !== 'end'; step = reader.next()) {
    if (step === 'gap') gaps.push(reader.gap);
    else if (step === 'live') live++;
    if (reader.restored !== undefined) restored.push(reader.restored);
  }
  return { live, gaps, restored };
};

const kinds = (counted: Counted): unknown => counted.gaps.map((gap) => [gap.kind, gap.records, gap.atEnd]);

test('seven damages of the real map', (t) => {
  const map = sharedData(t, 'gossip_store-2026-02-03-v16.xz');
  if (map === undefined) return;
  const last = map.length - LAST_RECORD_BYTES;

  assert.deepEqual(count(map), { live: RECORDS, gaps: [], restored: [] });

  const bit = count(flipBit(map, 19_149_897 + 70, 3));
  assert.equal(bit.live, RECORDS - 1);
  assert.deepEqual(kinds(bit), [['bad_checksum', 1, false]]);

  const incomplete = count(withFlags(map, last, 0));
  assert.deepEqual(incomplete, { live: RECORDS, gaps: [], restored: ['completed'] });

  const torn = count(cut(map, map.length - 50));
  assert.equal(torn.live, RECORDS - 1);
  assert.deepEqual(kinds(torn), [['torn_tail', 1, true]]);

  for (const bitOfLength of [0, 7]) {
    const length = count(flipBit(map, last - LAST_RECORD_BYTES + 3, bitOfLength));
    assert.deepEqual(length, { live: RECORDS, gaps: [], restored: ['length'] });
  }

  const zeros = count(append(map, new Uint8Array(4096)));
  assert.equal(zeros.live, RECORDS);
  assert.deepEqual(kinds(zeros), [['zero_bytes', 0, true]]);

  assert.deepEqual(count(withVersion(map, 0)), { live: RECORDS, gaps: [], restored: [] });
});
