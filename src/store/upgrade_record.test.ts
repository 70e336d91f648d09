import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '../base/bytes.ts';
import {
  encodeChannelAmount,
  encodeDeleteChan,
  encodeEnded,
  encodeUuid,
} from '../wire/gossip_store_messages.ts';
import { FLAG_COMPLETED, FLAG_DYING, type StoreRecord, storeOffset } from '../wire/store_record.ts';
import {
  cut,
  fileOf,
  GOOD_TIMESTAMP,
  goodAnnouncement,
  goodNode,
  goodScid,
  goodStore,
  goodUpdate,
  localAddChannelOf,
  privateChannelOf,
  privateUpdateOf,
} from './damaged_stores.test.support.ts';
import { SalvageReader } from './salvage_reader.ts';
import { type Upgraded, upgradeRecord } from './upgrade_record.ts';
import { earlyFormat5, type StoreFormat, storeFormat, WRITABLE_VERSIONS } from './versions.ts';

const recordOf = (bytes: Uint8Array, fields: Partial<StoreRecord> = {}): StoreRecord => ({
  bytes,
  at: 0,
  length: bytes.length,
  type: ((bytes[0] as number) << 8) | (bytes[1] as number),
  flags: 0,
  timestamp: GOOD_TIMESTAMP,
  offset: storeOffset(13),
  ...fields,
});

interface Emitted {
  readonly message: string;
  readonly timestamp: number;
  readonly flags: number;
}

const upgrade = (
  record: StoreRecord,
  from: number | StoreFormat,
  target: 14 | 15 | 16 = 16,
): { result: Upgraded; emitted: Emitted[] } => {
  const emitted: Emitted[] = [];
  const format = typeof from === 'number' ? storeFormat(from) : from;
  assert.ok(format);
  const result = upgradeRecord(record, format, target, (message, timestamp, flags) =>
    emitted.push({ message: toHex(message), timestamp, flags }),
  );
  return { result, emitted };
};

test('every version becomes the same gossip', () => {
  const wanted = goodStore(14, 3).records.map((record) => toHex(record.bytes));
  for (const from of [3, 4, earlyFormat5, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]) {
    for (const target of WRITABLE_VERSIONS) {
      const store = goodStore(from, 3, { withPrivate: true });
      const reader = new SalvageReader(fileOf(store.bytes), { format: store.format });
      const messages: string[] = [];
      for (let step = reader.next(); step !== 'end'; step = reader.next()) {
        assert.equal(step, 'live');
        upgradeRecord(reader.record, store.format, target, (message, _timestamp, flags) => {
          messages.push(toHex(message));
          assert.equal(flags, target === 14 ? 0 : FLAG_COMPLETED);
        });
      }
      // Version 3 has no channel-dependent amount in the sample.
      const comparable = (list: string[]) => list.filter((message) => !message.startsWith('1005'));
      assert.deepEqual(comparable(messages), comparable(wanted), `${store.format.version} to ${target}`);
    }
  }
});

test('private channels, updates without htlc_maximum_msat, zombies and what is internal are left out, with the reason', () => {
  const update = goodUpdate(0, 0, GOOD_TIMESTAMP);
  assert.equal(upgrade(recordOf(privateUpdateOf(update)), 12).result, 'private');
  assert.equal(upgrade(recordOf(privateChannelOf(5n, goodAnnouncement(0))), 9).result, 'private');
  assert.equal(upgrade(recordOf(localAddChannelOf(0, 8)), 8).result, 'private');
  assert.equal(upgrade(recordOf(cut(update, 130)), 10).result, 'short_update');
  assert.equal(upgrade(recordOf(update, { flags: 0x1000 }), 12).result, 'zombie');
  assert.equal(upgrade(recordOf(update, { flags: 0x1000 }), 10).result, 'kept');
  assert.equal(upgrade(recordOf(encodeEnded(5n)), 15).result, 'internal');
  assert.equal(upgrade(recordOf(encodeUuid(new Uint8Array(32))), 16).result, 'internal');
  assert.equal(upgrade(recordOf(Uint8Array.of(0x77, 1, 2)), 16).result, 'internal');
  for (const message of [privateUpdateOf(update), encodeEnded(5n)])
    assert.deepEqual(upgrade(recordOf(message), 12).emitted, []);
});

test('of the flags only DYING is kept, and COMPLETED is what the target wants', () => {
  const update = goodUpdate(0, 0, GOOD_TIMESTAMP);
  const flagsOf = (flags: number, from: number, target: 14 | 15 | 16): unknown =>
    upgrade(recordOf(update, { flags }), from, target).emitted.map((emitted) => emitted.flags);
  assert.deepEqual(flagsOf(0x6000, 10, 14), [0]);
  assert.deepEqual(flagsOf(0x6800, 12, 14), [FLAG_DYING]);
  assert.deepEqual(flagsOf(0x0800, 14, 16), [FLAG_DYING | FLAG_COMPLETED]);
  assert.deepEqual(flagsOf(0x2800, 16, 14), [FLAG_DYING]);
  assert.deepEqual(flagsOf(0x0800, 10, 16), [FLAG_COMPLETED]);
});

test('timestamps come from the header, or from the message where headers have none', () => {
  const node = goodNode(1, 77);
  const timestampsFrom = (from: number, message: Uint8Array): unknown =>
    upgrade(recordOf(message, { timestamp: 5 }), from).emitted.map((emitted) => emitted.timestamp);
  assert.deepEqual(timestampsFrom(7, node), [5]);
  assert.deepEqual(timestampsFrom(4, node), [77]);
  assert.deepEqual(timestampsFrom(4, goodUpdate(0, 1, 99)), [99]);
  assert.deepEqual(timestampsFrom(4, goodAnnouncement(0)), [0]);
});

test('an announcement of version 3 becomes an announcement and its amount, a deletion a delete_chan', () => {
  const store = goodStore(3, 1);
  const wrapped = store.records[0];
  assert.ok(wrapped);
  const { result, emitted } = upgrade(recordOf(wrapped.bytes), 3);
  assert.equal(result, 'kept');
  assert.deepEqual(emitted, [
    { message: toHex(goodAnnouncement(0)), timestamp: 0, flags: FLAG_COMPLETED },
    { message: toHex(encodeChannelAmount(1_000_000n)), timestamp: 0, flags: FLAG_COMPLETED },
  ]);
  const scid = goodScid(4);
  const deletion = encodeDeleteChan(Number(scid >> 32n), Number(scid & 0xffffffffn));
  const old = deletion.slice();
  old[1] = 0x03;
  const kept = upgrade(recordOf(old, { type: 4099 }), 3);
  assert.deepEqual(kept.emitted, [{ message: toHex(deletion), timestamp: 0, flags: FLAG_COMPLETED }]);
});
