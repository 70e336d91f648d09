import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, fromHex, writeU16, writeU32 } from '../base/bytes.ts';
import {
  append,
  cut,
  fileOf,
  filled,
  flipBit,
  goodStore,
  insert,
  overwrite,
  privateChannelOf,
  rec,
  removeBytes,
  withFlags,
  withLength,
  withVersion,
  zeros,
} from '../store/damaged_stores.test.support.ts';
import { announcementOf, updateOf } from '../store/store_samples.test.support.ts';
import { earlyFormat5 } from '../store/versions.ts';
import { encodeChannelAmount, encodeEnded, encodeUuid } from '../wire/gossip_store_messages.ts';
import { FLAG_COMPLETED, FLAG_DELETED } from '../wire/store_record.ts';
import { type Audited, auditOf, formatOf, storeOf } from './audit_bench.test.support.ts';
import { quietTask, type Task } from './task.ts';

const UUID = encodeUuid(new Uint8Array(32).fill(9));
const amount = (satoshis = 1_000_000n): Uint8Array => encodeChannelAmount(satoshis);
const channel = (number: number): Uint8Array[] => [announcementOf(number), amount()];
const deleted = (message: Uint8Array) => [message, { flags: FLAG_COMPLETED | FLAG_DELETED }] as const;
const idsOf = ({ findings }: Audited): string[] => [...new Set(findings.map(({ id }) => id))];

for (const version of [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]) {
  test(`a sound store of version ${version} has no findings but its private channels`, async () => {
    const { bytes, records } = goodStore(version, 5, {
      withPrivate: true,
      withDeleted: true,
      withDying: true,
      withRemoved: true,
      withShortUpdates: true,
    });
    for (const level of ['crc', 'structure', 'order'] as const) {
      const { result, findings } = await auditOf(bytes, { level });
      assert.deepEqual(
        findings.filter(({ id }) => id !== 'GS-PRIVATE'),
        [],
      );
      const hasPrivate = version >= 4 && version <= 12 && level !== 'crc';
      assert.equal(findings.length, hasPrivate ? 2 : 0);
      assert.equal(result.version, version);
      assert.equal(result.records.live + result.records.deleted, records.length);
      assert.equal(result.records_sound, result.records.live);
      assert.equal(result.bytes_lost + result.records_lost, 0);
    }
  });
}

test('a sound store of the early version 5 has no findings', async () => {
  const { bytes } = goodStore(earlyFormat5, 3);
  const { result, findings } = await auditOf(bytes);
  assert.deepEqual(findings, []);
  assert.equal(result.format?.headerBytes, 8);
});

test('figures say what is live', async () => {
  const { result } = await auditOf(goodStore(16, 4, { withRemoved: true, withDeleted: true }).bytes);
  assert.deepEqual(result.records.by_type, {
    channel_announcement: 3,
    node_announcement: 6,
    channel_update: 6,
    channel_amount: 3,
    delete_chan: 1,
    uuid: 1,
  });
  assert.deepEqual([result.channels, result.half_channels, result.nodes], [3, 6, 6]);
  assert.equal(result.records_kept, 20);
  assert.equal(result.records.deleted, 8);
});

test('records that a version from 14 on cannot hold do not count as kept', async () => {
  const { bytes, records } = goodStore(10, 3, { withPrivate: true, withShortUpdates: true });
  assert.equal((await auditOf(bytes)).result.records_kept, records.length - 2 - 3);
});

test('GS-VERSION: the byte is wrong, empty, or newer than any that is known', async () => {
  const { bytes } = goodStore(16, 3);
  for (const wrong of [0, 15, 14, 48, 255]) {
    const { result, shown } = await auditOf(withVersion(bytes, wrong));
    assert.deepEqual(shown, ['GS-VERSION@0 set_version'], `byte ${wrong}`);
    assert.equal(result.version, 16);
    assert.equal(result.version_byte, wrong);
  }
  const newer = await auditOf(withVersion(bytes, 17));
  assert.deepEqual(newer.shown, ['GS-VERSION@0 set_version']);
  assert.equal(newer.findings[0]?.severity, 'warn');
  const empty = await auditOf(new Uint8Array(0));
  assert.deepEqual(empty.shown, ['GS-VERSION@0 set_version']);
  assert.match(empty.findings[0]!.reason, /empty/);
  assert.equal(empty.result.version_byte, undefined);
});

test('a file that is no store has no format and no findings', async () => {
  const { result, findings } = await auditOf(new TextEncoder().encode('# not a store\n'.repeat(50)));
  assert.equal(result.format, undefined);
  assert.deepEqual(findings, []);
});

test('one byte is an empty store up to version 15; from 16 on it lacks its uuid', async () => {
  assert.deepEqual((await auditOf(Uint8Array.of(15))).shown, []);
  assert.deepEqual((await auditOf(Uint8Array.of(16))).shown, ['GS-NO-UUID@1 add_uuid']);
});

const three = goodStore(16, 3);
/** An update in the middle. */
const update = three.records.find(({ type, position }) => type === 258 && position > 1500)!;
const last = three.records.at(-1)!;

test('GS-TORN-TAIL: the last record is cut at any byte', async () => {
  for (let size = last.position + 1; size < three.bytes.length; size += 7) {
    const { result, shown } = await auditOf(cut(three.bytes, size));
    assert.deepEqual(shown, [`GS-TORN-TAIL@${last.position} quarantine`], `size ${size}`);
    assert.equal(result.records_kept, three.records.length - 1);
    assert.equal(result.records_lost, 1);
    assert.equal(result.bytes_lost, size - last.position);
  }
});

test('GS-LEN: a flipped bit of a length is put right', async () => {
  const { result, shown } = await auditOf(flipBit(three.bytes, update.position + 3, 4));
  assert.deepEqual(shown, [`GS-LEN@${update.position} restore`]);
  assert.equal(result.records_kept, three.records.length);
  assert.equal(result.records_sound, three.records.length - 1);
});

test('GS-CRC: one flipped bit is put right where that is wanted, more are not', async () => {
  const one = flipBit(three.bytes, update.position + 40, 3);
  assert.deepEqual((await auditOf(one)).shown, [`GS-CRC@${update.position} restore`]);
  assert.deepEqual((await auditOf(one, { restoreBits: false })).shown, [
    `GS-CRC@${update.position} quarantine`,
  ]);
  const { result, shown, findings } = await auditOf(filled(one, update.position + 50, 9, 0xee));
  assert.deepEqual(shown, [`GS-CRC@${update.position} quarantine`]);
  assert.equal(findings[0]?.type, 'channel_update');
  assert.equal(findings[0]?.record_no, three.records.indexOf(update));
  assert.deepEqual([result.records_lost, result.bytes_lost], [1, update.end - update.position]);
  assert.equal(result.records_kept, three.records.length - 1);
});

test('GS-HEADER: a wrong timestamp or checksum of a sound record is put right', async () => {
  for (const at of [5, 10]) {
    const { result, shown } = await auditOf(flipBit(three.bytes, update.position + at, 2));
    assert.deepEqual(shown, [`GS-HEADER@${update.position} restore`]);
    assert.equal(result.records_kept, three.records.length);
  }
});

test('GS-INCOMPLETE: a whole record without its mark, in the middle and at the end', async () => {
  for (const { position } of [update, last]) {
    const { result, shown } = await auditOf(withFlags(three.bytes, position, 0));
    assert.deepEqual(shown, [`GS-INCOMPLETE@${position} restore`]);
    assert.equal(result.records_kept, three.records.length);
  }
});

test('GS-ZERO-HOLE: zeros behind the last record cost nothing, zeros over records are lost records', async () => {
  const behind = await auditOf(append(three.bytes, new Uint8Array(4096)));
  assert.deepEqual(behind.shown, [`GS-ZERO-HOLE@${three.bytes.length} quarantine`]);
  assert.deepEqual([behind.result.bytes_lost, behind.result.records_kept], [0, three.records.length]);
  const over = await auditOf(zeros(three.bytes, update.position, update.end - update.position));
  assert.deepEqual(over.shown, [`GS-ZERO-HOLE@${update.position} quarantine`]);
});

test('GS-EMPTY-RECORD: a header with no message behind it', async () => {
  const header = new Uint8Array(12);
  writeU16(header, 0, FLAG_COMPLETED);
  writeU32(header, 4, 0x12345678);
  const { shown } = await auditOf(insert(three.bytes, update.position, header));
  assert.deepEqual(shown, [`GS-EMPTY-RECORD@${update.position} quarantine`]);
});

test('GS-GARBAGE: bytes between records that are none', async () => {
  const { result, shown } = await auditOf(
    insert(three.bytes, update.position, new Uint8Array(333).fill(0xff)),
  );
  assert.deepEqual(shown, [`GS-GARBAGE@${update.position} quarantine`]);
  assert.deepEqual([result.bytes_lost, result.records_kept], [333, three.records.length]);
});

test('GS-DOUBLE-STORE: a second version byte, and what follows is kept', async () => {
  const first = storeOf(7, [...channel(1), ...channel(2)]).bytes;
  const second = storeOf(7, [...channel(3), ...channel(4)]).bytes;
  const { shown, result } = await auditOf(concatBytes(first, second));
  assert.deepEqual(shown, [`GS-DOUBLE-STORE@${first.length} quarantine`]);
  assert.equal(result.channels, 4);
});

test('GS-OVERWRITE-HEAD: version 14, new records over the middle of old ones', async () => {
  const { bytes, records, format } = goodStore(14, 4);
  const over = rec(format, updateOf(0, 0, 1_700_000_500), { timestamp: 1_700_000_500 });
  const victim = records.find(({ type, position }) => type === 256 && position > 500)!;
  const { shown } = await auditOf(overwrite(bytes, victim.position, over));
  assert.ok(shown.includes(`GS-OVERWRITE-HEAD@${victim.position + over.length} quarantine`), shown.join());
});

test('GS-IN-FLIGHT: an incomplete end of a file that is being written is no damage, and asked about once', async () => {
  let asked = 0;
  const live = async (): Promise<boolean> => {
    asked++;
    return true;
  };
  const torn = await auditOf(cut(three.bytes, three.bytes.length - 5), { live });
  assert.deepEqual(torn.shown, [`GS-IN-FLIGHT@${last.position} keep`]);
  assert.deepEqual([torn.result.records_lost, torn.result.bytes_lost], [0, 0]);
  assert.equal(torn.findings[0]?.severity, 'info');
  const before = three.records.at(-2)!;
  const batch = await auditOf(withFlags(withFlags(three.bytes, before.position, 0), last.position, 0), {
    live,
  });
  assert.deepEqual(batch.shown, [
    `GS-IN-FLIGHT@${before.position} keep`,
    `GS-IN-FLIGHT@${last.position} keep`,
  ]);
  assert.equal(asked, 2);
  await auditOf(three.bytes, { live });
  const middle = await auditOf(filled(three.bytes, update.position + 50, 9, 0xee), { live });
  assert.deepEqual(idsOf(middle), ['GS-CRC']);
  assert.equal(asked, 2);
});

test('GS-MALFORMED: a message too short for its type; its amount goes with an announcement', async () => {
  const { bytes, at } = storeOf(16, [
    UUID,
    ...channel(1),
    announcementOf(2).slice(0, 300),
    amount(),
    updateOf(1, 0, 5).slice(0, 130),
    updateOf(1, 0, 6),
  ]);
  const { shown, result } = await auditOf(bytes);
  assert.deepEqual(shown, [
    `GS-MALFORMED@${at[3]} drop`,
    `GS-MALFORMED@${at[4]} drop`,
    `GS-MALFORMED@${at[5]} drop`,
  ]);
  assert.deepEqual([result.records_kept, result.records_lost], [4, 0]);
});

test('GS-UNKNOWN-TYPE: what another version may hold is unknown to this one', async () => {
  const { bytes, at } = storeOf(14, [...channel(1), privateChannelOf(5n, announcementOf(2)), UUID]);
  const { shown, findings } = await auditOf(bytes);
  assert.deepEqual(shown, [`GS-UNKNOWN-TYPE@${at[2]} drop`, `GS-UNKNOWN-TYPE@${at[3]} drop`]);
  assert.equal(findings[0]?.type, 'private_channel');
});

test('GS-ENDED: an end marker of either form, wherever it stands', async () => {
  const { bytes, at } = storeOf(16, [
    UUID,
    encodeEnded(47n),
    ...channel(1),
    encodeEnded(47n, new Uint8Array(32)),
  ]);
  assert.deepEqual((await auditOf(bytes)).shown, [`GS-ENDED@${at[1]} drop`, `GS-ENDED@${at[4]} drop`]);
});

test('GS-NO-UUID and GS-DUP-UUID: none at the start, two, one in a wrong place', async () => {
  const none = storeOf(16, channel(1));
  assert.deepEqual((await auditOf(none.bytes)).shown, ['GS-NO-UUID@1 add_uuid']);
  const two = storeOf(16, [UUID, ...channel(1), UUID]);
  assert.deepEqual((await auditOf(two.bytes)).shown, [`GS-DUP-UUID@${two.at[3]} drop`]);
  const late = storeOf(16, [...channel(1), UUID]);
  assert.deepEqual((await auditOf(late.bytes)).shown, [
    'GS-NO-UUID@1 add_uuid',
    `GS-DUP-UUID@${late.at[2]} drop`,
  ]);
  const spoilt = await auditOf(filled(three.bytes, 20, 9, 0x77));
  assert.deepEqual(spoilt.shown, ['GS-CRC@1 quarantine', 'GS-NO-UUID@1 add_uuid']);
});

test('GS-NO-AMOUNT: taken from the updates where there are any; otherwise the channel goes', async () => {
  const known = storeOf(16, [UUID, announcementOf(1), updateOf(1, 0, 5)]);
  const { findings, result } = await auditOf(known.bytes);
  assert.deepEqual(
    findings.map(({ id, offset, fix, satoshis }) => [id, offset, fix, satoshis]),
    [['GS-NO-AMOUNT', known.at[1], 'add_amount', 1000]],
  );
  assert.equal(result.records_kept, 3);
  const unknown = storeOf(16, [UUID, announcementOf(1), ...channel(2)]);
  const dropped = await auditOf(unknown.bytes);
  assert.deepEqual(dropped.shown, [`GS-NO-AMOUNT@${unknown.at[1]} drop`]);
  assert.equal(dropped.result.records_kept, 3);
  const atEnd = storeOf(16, [UUID, ...channel(2), announcementOf(1)]);
  assert.deepEqual((await auditOf(atEnd.bytes)).shown, [`GS-NO-AMOUNT@${atEnd.at[3]} drop`]);
  const shallow = await auditOf(known.bytes, { level: 'structure' });
  assert.deepEqual(shallow.shown, [`GS-NO-AMOUNT@${known.at[1]} add_amount`]);
});

test('GS-ORPHAN-AMOUNT: an amount without an announcement in front of it', async () => {
  const { bytes, at } = storeOf(16, [UUID, amount(), ...channel(1), amount()]);
  const { shown } = await auditOf(bytes);
  assert.deepEqual(shown, [`GS-ORPHAN-AMOUNT@${at[1]} drop`, `GS-ORPHAN-AMOUNT@${at[4]} drop`]);
});

test('GS-AMOUNT: an amount that cannot be is left out, and its channel gets another', async () => {
  const absurd = concatBytes(amount().slice(0, 2), fromHex('ffffffffffffffff')!);
  const { bytes, at } = storeOf(16, [
    UUID,
    announcementOf(1),
    absurd,
    updateOf(1, 0, 5),
    announcementOf(2),
    absurd,
  ]);
  const { shown, findings } = await auditOf(bytes);
  assert.deepEqual(shown, [
    `GS-AMOUNT@${at[1]} add_amount`,
    `GS-AMOUNT@${at[2]} drop`,
    `GS-AMOUNT@${at[4]} drop`,
    `GS-AMOUNT@${at[5]} drop`,
  ]);
  assert.equal(findings[0]?.satoshis, 1000);
});

test('GS-FLAGS: half of a pair is deleted', async () => {
  const { bytes, at } = storeOf(16, [
    UUID,
    announcementOf(1),
    deleted(amount()),
    updateOf(1, 0, 5),
    deleted(announcementOf(2)),
    amount(),
    deleted(announcementOf(3)),
    deleted(amount()),
  ]);
  const { shown } = await auditOf(bytes);
  assert.deepEqual(
    shown,
    [1, 3, 5].map((index) => `GS-FLAGS@${at[index]} drop`),
  );
  assert.deepEqual((await auditOf(bytes, { level: 'structure' })).shown, [
    `GS-FLAGS@${at[1]} drop`,
    `GS-FLAGS@${at[5]} drop`,
  ]);
});

test('GS-DEAD-WEIGHT: more than half of a large file is deleted', async () => {
  const dead = deleted(new Uint8Array(60_000).fill(1));
  const heavy = storeOf(16, [UUID, ...Array.from({ length: 18 }, () => dead), ...channel(1)]);
  const { shown, result } = await auditOf(heavy.bytes);
  assert.deepEqual(shown, ['GS-DEAD-WEIGHT@0 drop']);
  assert.equal(result.dead_bytes, 18 * 60_012);
  const light = storeOf(16, [UUID, ...Array.from({ length: 9 }, () => dead), ...channel(1)]);
  assert.deepEqual((await auditOf(light.bytes)).shown, []);
});

/** As if read from a file of 4 GiB and more: the same deleted record again and again. */
const endless = (size: number) => {
  const record = rec(formatOf(15), new Uint8Array(65_524), { flags: FLAG_COMPLETED | FLAG_DELETED });
  const start = concatBytes(Uint8Array.of(15), record);
  return {
    ...fileOf(start),
    size: () => size,
    read: (buffer: Uint8Array, at: number, length: number, position: number): number => {
      const got = Math.max(0, Math.min(length, size - position));
      for (let done = 0; done < got; ) {
        const from = position + done === 0 ? 0 : 1 + ((position + done - 1) % record.length);
        const piece = start.subarray(from, from + got - done);
        buffer.set(piece, at + done);
        done += piece.length;
      }
      return got;
    },
  };
};

test('GS-OVER-4G: said of a file beyond 4 GiB; a stopped audit says how far it came, and nothing about the rest', async () => {
  let breaths = 0;
  const task: Task = {
    ...quietTask,
    breathe: async () => {
      breaths++;
    },
    cancelled: () => (breaths >= 2 ? 'max_duration' : undefined),
  };
  const { shown, result } = await auditOf(new Uint8Array(0), { file: endless(2 ** 33), task });
  assert.deepEqual(shown, ['GS-OVER-4G@4294967296 keep']);
  assert.equal(result.cancelled, 'max_duration');
  assert.ok(result.records.deleted > 100 && result.dead_bytes < 2 ** 24);
  assert.deepEqual((await auditOf(new Uint8Array(0), { file: endless(2 ** 32), task })).shown, []);
});

test('levels build on each other: crc sees frames, structure neighbours, order the file', async () => {
  const { bytes } = storeOf(16, [UUID, amount(), updateOf(1, 0, 5), ...channel(1)]);
  const torn = append(bytes, Uint8Array.of(1, 2, 3));
  const at = async (level: 'crc' | 'structure' | 'order') => idsOf(await auditOf(torn, { level })).sort();
  const crc = await at('crc');
  assert.equal(crc.length, 1);
  assert.deepEqual(await at('structure'), [...crc, 'GS-ORPHAN-AMOUNT'].sort());
  assert.deepEqual(await at('order'), [...crc, 'GS-ORPHAN-AMOUNT', 'GS-ORPHAN-UPDATE'].sort());
});

test('damage in any one byte is found, and costs no more than its record', async () => {
  const { bytes, records } = goodStore(16, 1);
  for (let position = 0; position < bytes.length; position++) {
    const { findings, result } = await auditOf(filled(bytes, position, 1, (bytes[position]! ^ 0x55) & 0xff));
    // Flags that make a record deleted are themselves good flags; the pairs show some of them.
    assert.ok(findings.length > 0 || result.records.deleted === 1, `byte ${position}`);
    assert.ok(result.records_sound >= records.length - 1, `byte ${position}`);
  }
});

test('a record of removed bytes, and one with a length that leads nowhere, leave the others whole', async () => {
  const without = await auditOf(removeBytes(three.bytes, update.position, 33));
  assert.equal(without.result.records_sound, three.records.length - 1);
  const lost = await auditOf(withLength(three.bytes, update.position, 65_000));
  assert.equal(lost.result.records_sound, three.records.length - 1);
  assert.deepEqual(idsOf(lost), ['GS-LEN']);
});
