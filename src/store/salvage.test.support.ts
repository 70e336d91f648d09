/** Reads a whole file with the salvage reader for tests, and checks on the way that its steps tile the file. */
import assert from 'node:assert/strict';
import { bytesEqual, own } from '../base/bytes.ts';
import { fileOf, type GoodStore } from './damaged_stores.test.support.ts';
import { type Gap, type Restored, type SalvageOptions, SalvageReader } from './salvage_reader.ts';
import type { StoreFormat } from './versions.ts';

export interface FoundRecord {
  readonly step: 'live' | 'deleted' | 'malformed';
  readonly position: number;
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly timestamp: number;
  readonly bytes: Uint8Array;
  readonly restored: Restored | undefined;
  readonly number: number;
}

export interface Salvaged {
  readonly records: FoundRecord[];
  readonly gaps: Gap[];
}

/** Reads everything; fails when the steps do not tile the file. */
export const salvage = (
  bytes: Uint8Array,
  format: StoreFormat,
  options: Partial<SalvageOptions> = {},
): Salvaged => {
  const reader = new SalvageReader(fileOf(bytes), { format, ...options });
  const found: Salvaged = { records: [], gaps: [] };
  let position = options.from ?? 1;
  for (;;) {
    const step = reader.next();
    assert.equal(reader.position, position, 'steps tile the file');
    if (step === 'end') {
      assert.ok(position >= (options.limit ?? bytes.length), 'the end is the end');
      return found;
    }
    assert.ok(reader.end > position, 'every step moves on');
    assert.ok(reader.end <= bytes.length, 'no step leads beyond the file');
    if (step === 'gap') {
      assert.equal(reader.gap.position, position);
      assert.equal(reader.gap.length, reader.end - position);
      assert.equal(reader.gap.atEnd, reader.end === bytes.length);
      found.gaps.push(reader.gap);
    } else {
      const { record } = reader;
      assert.equal(record.offset, position + format.headerBytes);
      found.records.push({
        step,
        position,
        length: record.length,
        type: record.type,
        flags: record.flags,
        timestamp: record.timestamp,
        bytes: own(
          record.bytes.subarray(record.at, record.at + (record.bytes.length > 0 ? record.length : 0)),
        ),
        restored: reader.restored,
        number: reader.recordNumber,
      });
    }
    position = reader.end;
  }
};

/** Fails when a record that lies wholly outside [start, end) is not found; positions behind `end` have moved by `shift`. */
export const assertIntactFound = (
  store: GoodStore,
  found: Salvaged,
  [start, end, shift]: readonly [number, number, number],
  what: string,
): void => {
  const byPosition = new Map(found.records.map((record) => [record.position, record]));
  for (const record of store.records) {
    const isInFront = record.end <= start;
    if (!isInFront && record.position < end) continue;
    const position = isInFront ? record.position : record.position + shift;
    const match = byPosition.get(position);
    assert.ok(match !== undefined, `${what}: the record at ${position} is found`);
    assert.equal(match.length, record.length, `${what}: length at ${position}`);
    assert.equal(match.flags, record.flags, `${what}: flags at ${position}`);
    if (match.step === 'deleted') continue;
    assert.equal(match.step, 'live', `${what}: at ${position}`);
    assert.equal(match.timestamp, record.timestamp, `${what}: timestamp at ${position}`);
    assert.ok(bytesEqual(match.bytes, record.bytes), `${what}: message at ${position}`);
    assert.equal(match.restored, undefined, `${what}: nothing to restore at ${position}`);
  }
};
