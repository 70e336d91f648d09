import assert from 'node:assert/strict';
import test from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { scidHi, scidLo } from '../base/short_channel_id.ts';
import {
  encodeChanDying,
  encodeChannelAmount,
  encodeDeleteChan,
  encodeEnded,
  encodeUuid,
} from '../wire/gossip_store_messages.ts';
import { FLAG_COMPLETED, FLAG_DELETED, FLAG_DYING } from '../wire/store_record.ts';
import { encodeEmptyStore, encodeRecord } from './format.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import { scanStore } from './scan.ts';
import {
  announcementOf,
  benchOn,
  describe,
  nodeOf,
  sampleScid,
  updateOf,
} from './store_samples.test.support.ts';

const HEAD = encodeEmptyStore(new Uint8Array(32));
const CA = (number: number, nodes?: [number, number]): Uint8Array =>
  encodeRecord(0, announcementOf(number, nodes));
const AM = encodeRecord(0, encodeChannelAmount(1000n));
const CU = (number: number, direction: 0 | 1, timestamp: number): Uint8Array =>
  encodeRecord(timestamp, updateOf(number, direction, timestamp));
const NA = (number: number, timestamp: number): Uint8Array =>
  encodeRecord(timestamp, nodeOf(number, timestamp));
const [HI, LO] = [scidHi(sampleScid(1)), scidLo(sampleScid(1))];
const DC = encodeRecord(0, encodeDeleteChan(HI, LO));
const DY = encodeRecord(0, encodeChanDying(HI, LO, 175));

const flagged = (record: Uint8Array, flags: number): Uint8Array => {
  const copy = record.slice();
  copy[0] = flags >>> 8;
  return copy;
};

/** Opens a store of these records and closes it again; what was visited, what was dropped, and what is in the file then. */
const load = async (...records: Uint8Array[]) => {
  const folder = new MemoryFolder();
  folder.place('gossip_store', concatBytes(HEAD, ...records));
  const visited: string[] = [];
  const { open, lines } = benchOn(folder);
  const store = await open((record) => visited.push(describe(record)));
  const report = store.loadReport;
  await store.close();
  const left: string[] = [];
  scanStore(folder.open('gossip_store', 'read'), (record) => left.push(describe(record)));
  assert.deepEqual(
    lines.filter(({ level }) => level === 'broken'),
    [],
  );
  return { visited: visited.slice(1), left: left.slice(1), report, bytes: folder.contents('gossip_store') };
};

const plain = (text: string): string => text.split('@')[0] as string;

test('a good store is visited whole and left byte for byte as it was', async () => {
  const records = [CA(1), AM, CU(1, 0, 5), CU(1, 1, 6), NA(2, 7), DY];
  const { visited, bytes, report } = await load(...records.slice(0, 5));
  assert.deepEqual(visited, ['256@59', '4101@503', '258@525', '258@675', '257@825']);
  assert.deepEqual(bytes, concatBytes(HEAD, ...records.slice(0, 5)));
  assert.deepEqual([report.records, report.dropped, report.rewritten], [6, {}, undefined]);
});

test('duplicate_announcement: the second live one of a channel goes, with its amount', async () => {
  const { visited, left, report } = await load(CA(1), AM, CU(1, 0, 5), CA(1), AM, CU(1, 1, 6));
  assert.deepEqual(visited.map(plain), ['256', '4101', '258', '258']);
  assert.deepEqual(left, visited);
  assert.deepEqual(report.dropped, { duplicate_announcement: 1 });
});

test('a channel that was deleted may be announced again', async () => {
  const { visited, report } = await load(CA(1), AM, DC, CA(1), AM);
  assert.deepEqual(visited.map(plain), ['256', '4101', '4103', '256', '4101']);
  assert.equal(report.dropped.duplicate_announcement, undefined);
});

test('announcement_without_amount: followed by something else, by a deleted record, or by nothing', async () => {
  const deleted = flagged(AM, FLAG_COMPLETED | FLAG_DELETED);
  for (const records of [[CA(1), CU(1, 0, 5)], [CA(1), deleted], [CA(1)], [CA(1), CA(2), AM]]) {
    const { visited, left, report } = await load(...records);
    assert.equal(report.dropped.announcement_without_amount, 1);
    assert.ok(!visited.includes('256@59'));
    assert.deepEqual(left, visited);
  }
});

test('amount_without_announcement', async () => {
  const { visited, left, report } = await load(
    flagged(CA(1), FLAG_COMPLETED | FLAG_DELETED),
    AM,
    CA(2),
    AM,
    AM,
  );
  assert.deepEqual(visited.map(plain), ['256', '4101']);
  assert.deepEqual(left, visited);
  assert.deepEqual(report.dropped, { amount_without_announcement: 2 });
});

test('ended: an end marker in the file that has the name is flagged, wherever it stands', async () => {
  const v16 = encodeRecord(0, encodeEnded(47n, new Uint8Array(32)));
  const v15 = encodeRecord(0, encodeEnded(1n));
  const { visited, left, report } = await load(v15, NA(1, 5), v16);
  assert.deepEqual(visited.map(plain), ['257']);
  assert.deepEqual(left, visited);
  assert.deepEqual(report.dropped, { ended: 2 });
});

test('duplicate_uuid', async () => {
  const { left, report } = await load(encodeRecord(0, encodeUuid(new Uint8Array(32))), NA(1, 5));
  assert.deepEqual(left.map(plain), ['257']);
  assert.deepEqual(report.dropped, { duplicate_uuid: 1 });
});

test('unknown_record_type and malformed, with the amount of a malformed announcement', async () => {
  const unknown = encodeRecord(0, Uint8Array.of(0x10, 0x99));
  const short = encodeRecord(0, announcementOf(1).subarray(0, 400));
  const { visited, left, report } = await load(
    unknown,
    short,
    AM,
    NA(1, 5),
    encodeRecord(0, updateOf(1, 0, 1).subarray(0, 130)),
  );
  assert.deepEqual(visited.map(plain), ['257']);
  assert.deepEqual(left, visited);
  assert.deepEqual(report.dropped, { unknown_record_type: 1, malformed: 2 });
});

test('node_ids_not_ordered and channels of a node with itself (B7-03)', async () => {
  const { visited, left, report } = await load(CA(1, [9, 3]), AM, CA(2, [4, 4]), AM, CA(3), AM);
  assert.deepEqual(visited.map(plain), ['256', '4101']);
  assert.deepEqual(left, visited);
  assert.deepEqual(report.dropped, { node_ids_not_ordered: 1, malformed: 1 });
});

test('an amount above 21 million bitcoin goes, with its announcement', async () => {
  const amount = encodeChannelAmount(0n);
  amount.set([0x40], 2);
  const { visited, left, report } = await load(CA(1), encodeRecord(0, amount));
  assert.deepEqual([visited, left], [[], []]);
  assert.deepEqual(report.dropped, { announcement_without_amount: 1, malformed: 1 });
});

test('superseded: an update whose replacement is there gets the flag that a crash kept from it', async () => {
  const { visited, left, report } = await load(CA(1), AM, CU(1, 0, 5), CU(1, 1, 6), CU(1, 0, 8));
  assert.deepEqual(visited.map(plain), ['256', '4101', '258', '258', '258']);
  assert.deepEqual(left, ['256@59', '4101@503', '258@675', '258@825']);
  assert.deepEqual(report.dropped, { superseded: 1 });
});

test('removed: a delete_chan takes the records that a crash left unflagged', async () => {
  const { left, report } = await load(CA(1), AM, CU(1, 0, 5), DY, DC, NA(2, 6));
  assert.deepEqual(left.map(plain), ['4103', '257']);
  assert.deepEqual(report.dropped, { removed: 3 });
});

test('a chan_dying sets the flags that a crash kept from the channel', async () => {
  const { left } = await load(CA(1), AM, CU(1, 0, 5), DY);
  const dying = FLAG_DYING.toString(16);
  assert.deepEqual(left, [`256@59:${dying}`, '4101@503', `258@525:${dying}`, '4106@675']);
});

test('a batch that was written whole but not completed is completed', async () => {
  const { visited, report, bytes } = await load(NA(1, 5), flagged(CA(1), 0), AM, CU(1, 0, 6));
  assert.deepEqual(visited.map(plain), ['257', '256', '4101', '258']);
  assert.deepEqual([report.completedBatch, report.rewritten], [true, undefined]);
  assert.deepEqual(bytes, concatBytes(HEAD, NA(1, 5), CA(1), AM, CU(1, 0, 6)));
});

test('an amount that was written whole but not completed joins its announcement', async () => {
  const { visited, report } = await load(CA(1), flagged(AM, 0));
  assert.deepEqual(visited.map(plain), ['256', '4101']);
  assert.equal(report.completedBatch, true);
});

test('a batch of which something is wrong is not completed in place: what is sound of it moves to a new file', async () => {
  const rotten = AM.slice();
  rotten[21] = 1;
  const cases: [string, Uint8Array[], string[]][] = [
    ['a bad checksum', [flagged(CA(1), 0), rotten], []],
    ['an announcement without amount', [flagged(CA(1), 0)], []],
    ['an amount without announcement', [flagged(AM, 0)], []],
    ['a second record without the flag', [flagged(NA(1, 5), 0), flagged(NA(2, 5), 0)], ['257', '257']],
    ['a torn end', [flagged(NA(1, 5), 0), NA(2, 5).subarray(0, 50)], ['257']],
    ['an end marker', [flagged(NA(1, 5), 0), encodeRecord(0, encodeEnded(1n))], ['257']],
    ['a malformed message', [flagged(NA(1, 5), 0), encodeRecord(0, Uint8Array.of(1, 1, 1))], ['257']],
  ];
  for (const [what, records, kept] of cases) {
    const { visited, left, report, bytes } = await load(NA(9, 5), ...records);
    assert.deepEqual(visited.map(plain), ['257', ...kept], what);
    assert.deepEqual(left.map(plain), ['257', ...kept], what);
    assert.deepEqual([report.completedBatch, report.rewritten], [false, 'damage'], what);
    assert.equal(bytes.length, HEAD.length + NA(9, 5).length * (1 + kept.length), what);
  }
});

test('an announcement is shown whole when its amount lies behind the border of the read buffer', async () => {
  const channel = CA(1).length + AM.length;
  // The first read ends at 1 + 1 MiB; a filler in front puts that border 5 bytes into an amount.
  const border = 1 + 1024 * 1024 - HEAD.length - CA(1).length - 5;
  const filler = border % channel;
  const alias = encodeRecord(5, concatBytes(nodeOf(1, 5), new Uint8Array(filler + channel - 154)));
  const records = [alias];
  for (let number = 0; number < 5000; number++) records.push(CA(number), AM);
  const folder = new MemoryFolder();
  folder.place('gossip_store', concatBytes(HEAD, ...records));
  let number = 0;
  const store = await benchOn(folder).open(({ type, bytes, at, length }) => {
    if (type === 256) assert.deepEqual(bytes.slice(at, at + length), announcementOf(number++));
  });
  assert.equal(number, 5000);
  await store.close();
});

test('a header timestamp torn at any byte is completed from the first update', async () => {
  // What happened: power went while crc and timestamp of an announcement were being rewritten; at the next start the
  // announcement failed its checksum, and with it everything behind it would have been lost.
  const before = CA(1);
  const after = encodeRecord(1_700_000_007, announcementOf(1));
  const rest = [
    AM,
    flagged(CU(1, 1, 1_700_000_007), FLAG_COMPLETED | FLAG_DELETED),
    NA(5, 9),
    CU(1, 1, 1_700_000_009),
  ];
  for (let torn = 1; torn < 8; torn++) {
    const record = before.slice();
    record.set(after.subarray(4, 4 + torn), 4);
    const { visited, report, bytes } = await load(record, ...rest);
    assert.deepEqual(visited.map(plain), ['256', '4101', '257', '258']);
    assert.equal(report.rewritten, undefined);
    assert.deepEqual(bytes.subarray(HEAD.length, HEAD.length + after.length), after);
  }
});

test('an announcement that is damaged in another way is lost, asked for again, and nothing else is', async () => {
  const rest = [AM, CU(1, 1, 1_700_000_007), CA(2), AM, CU(2, 0, 5)];
  for (const at of [4, 12 + 5, 12 + 431]) {
    const record = CA(1);
    record[at] = (record[at] as number) ^ 0x55;
    const { visited, left, report } = await load(record, ...rest);
    assert.deepEqual(
      report.gaps.map(({ position, length, kind }) => [position, length, kind]),
      [[HEAD.length, CA(1).length, 'bad_checksum']],
    );
    assert.deepEqual(visited.map(plain), ['256', '4101', '258']);
    assert.deepEqual(left.map(plain), ['256', '4101', '258']);
    assert.deepEqual(report.dropped, { update_without_announcement: 1 });
    assert.deepEqual(report.lost.channels, [{ scidHi: HI, scidLo: LO, flags: 7 }]);
  }
});

test('an amount that is damaged costs its channel, which is asked for again', async () => {
  const rotten = AM.slice();
  rotten[21] = 1;
  rotten[20] = 7;
  const { visited, report } = await load(CA(1), rotten, CU(1, 0, 5), NA(2, 6));
  assert.deepEqual(visited.map(plain), ['257']);
  assert.deepEqual(report.lost.channels, [{ scidHi: HI, scidLo: LO, flags: 7 }]);
});
