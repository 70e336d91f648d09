import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import { scidHi, scidLo } from '../base/short_channel_id.ts';
import {
  encodeChanDying,
  encodeChannelAmount,
  encodeDeleteChan,
  encodeEnded,
  encodeUuid,
} from '../wire/gossip_store_messages.ts';
import { FLAG_COMPLETED, FLAG_DELETED } from '../wire/store_record.ts';
import { goodStore, rec } from './damaged_stores.test.support.ts';
import { encodeRecord } from './format.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import { announcementOf, nodeOf, sampleScid, updateOf } from './store_samples.test.support.ts';
import { drain, tailBench, texts } from './tail_events.test.support.ts';
import { storeFormat } from './versions.ts';

const NAME = 'gossip_store';
const STATE = 'tail.state';

/** Records in the form of one version, and a file made of them. */
const writerOf = (version: number) => {
  const format = storeFormat(version)!;
  const flags = format.hasCompleted ? FLAG_COMPLETED : 0;
  const put = (message: Uint8Array, timestamp = 0, more = 0): Uint8Array =>
    rec(format, message, { timestamp, flags: flags | more });
  const uuid = new Uint8Array(32).fill(version);
  return {
    channel: (number: number, satoshis = 1000n, more = 0) =>
      concatBytes(put(announcementOf(number), 0, more), put(encodeChannelAmount(satoshis), 0, more)),
    announcement: (number: number) => put(announcementOf(number)),
    update: (number: number, direction: 0 | 1, timestamp: number, more = 0) =>
      put(updateOf(number, direction, timestamp), timestamp, more),
    node: (number: number, timestamp: number, more = 0) => put(nodeOf(number, timestamp), timestamp, more),
    removal: (number: number) =>
      put(encodeDeleteChan(scidHi(sampleScid(number)), scidLo(sampleScid(number)))),
    dying: (number: number, deadline: number) =>
      put(encodeChanDying(scidHi(sampleScid(number)), scidLo(sampleScid(number)), deadline)),
    ended: (at: number) => put(encodeEnded(BigInt(at), version >= 16 ? uuid : undefined)),
    file: (...parts: Uint8Array[]) =>
      concatBytes(Uint8Array.of(version), ...(version >= 16 ? [put(encodeUuid(uuid))] : []), ...parts),
    otherFile: (...parts: Uint8Array[]) =>
      concatBytes(
        Uint8Array.of(version),
        ...(version >= 16 ? [put(encodeUuid(new Uint8Array(32).fill(99)))] : []),
        ...parts,
      ),
  };
};
const W = writerOf(16);

const folderWith = (bytes: Uint8Array): MemoryFolder => {
  const folder = new MemoryFolder();
  folder.place(NAME, bytes);
  return folder;
};

const append = (folder: MemoryFolder, ...parts: Uint8Array[]): void =>
  folder.open(NAME, 'write').write(concatBytes(...parts), folder.contents(NAME).length);

const replace = (folder: MemoryFolder, bytes: Uint8Array): void => {
  folder.open('new', 'create').write(bytes, 0);
  folder.rename('new', NAME);
};

/** As the sample's scids read. */
const scid = (number: number): string => `${100_000 + number}x1x0`;

test('another tool hung for ever on version 16, because it took COMPLETED for a part of the length: all is told', () => {
  // An archiver masked the flags that it knew out of a 32-bit length. With COMPLETED set every length was above 2^29: it waited at
  // byte 1 for a record that long, without a word, while the node wrote on.
  for (const version of [7, 9, 10, 12, 13, 14, 15, 16]) {
    const { open } = tailBench(folderWith(goodStore(version, 2).bytes));
    const told = texts(open());
    assert.equal(told.length, 2 * (1 + 2 + 2), `version ${version}`);
    assert.deepEqual(told.filter((text) => text.startsWith('channel_announcement')).length, 2);
  }
});

test('another tool told a deleted record, and never told one that it met half-written: neither happens', () => {
  // A publisher saw a DELETED record 09, record 01, record 02 with its length but still without its body, and later 03. It published
  // 09, 01 and 03.
  for (const version of [14, 16]) {
    const { node, file } = writerOf(version);
    const half = node(2, 5).fill(0, 12);
    if (version === 16) half[0] = 0;
    const folder = folderWith(file(node(9, 5, FLAG_DELETED), node(1, 5), half));
    const { open, heard } = tailBench(folder);
    const tail = open();
    assert.deepEqual([texts(tail), tail.waitingFor], [['node_announcement 1 5'], 'writer']);
    folder.open(NAME, 'write').write(node(2, 5), folder.contents(NAME).length - half.length);
    append(folder, node(3, 5));
    assert.deepEqual(texts(tail), ['node_announcement 2 5', 'node_announcement 3 5']);
    assert.deepEqual([heard(), tail.waitingFor], [[], 'end']);
  }
});

test('an announcement is told with its amount when both are complete; without one when something else follows', () => {
  const folder = folderWith(W.file(W.channel(1).subarray(0, 460)));
  const tail = tailBench(folder).open();
  assert.deepEqual(texts(tail), []);
  replace(folder, W.file(W.channel(1, 777n), W.announcement(2), W.node(1, 5)));
  assert.deepEqual(texts(tail), [
    `channel_announcement ${scid(1)} 777`,
    `channel_announcement ${scid(2)} undefined`,
    'node_announcement 1 5',
  ]);
});

test('deletions, announced ends and what comes again: each once', () => {
  const folder = folderWith(W.file(W.channel(1), W.update(1, 0, 5), W.removal(7)));
  const tail = tailBench(folder).open();
  assert.deepEqual(texts(tail).length, 2);
  append(folder, W.dying(1, 900), W.dying(8, 900), W.update(8, 0, 5), W.removal(1), W.removal(1));
  assert.deepEqual(texts(tail), [`channel_dying ${scid(1)} 900`, `channel_deleted ${scid(1)}`]);
  append(folder, W.channel(1), W.update(1, 0, 5), W.update(1, 0, 5), W.node(3, 9), W.node(3, 9));
  assert.deepEqual(texts(tail), [
    `channel_announcement ${scid(1)} 1000`,
    `channel_update ${scid(1)} 0 5`,
    'node_announcement 3 9',
  ]);
});

test('versions 7 and 8 delete by a flag alone: that is told, with its reason', () => {
  const { channel, file } = writerOf(7);
  const folder = folderWith(file(channel(1), channel(2)));
  const tail = tailBench(folder).open();
  assert.equal(texts(tail).length, 2);
  folder.open(NAME, 'write').write(Uint8Array.of(0x80), 1);
  const events = [tail.next(), tail.next(), tail.next()].filter((event) => event !== undefined);
  assert.deepEqual(
    events.map(({ event, reason, offset }) => [event, reason, offset]),
    [['channel_deleted', 'flag', 0]],
  );
  assert.deepEqual(texts(tail), []);
});

test('damage in the middle is passed only when sound records follow and it stays, with a notice', () => {
  const bad = W.node(2, 5);
  bad[40]! ^= 1;
  const folder = folderWith(W.file(W.node(1, 5), bad));
  const { open, heard, clock } = tailBench(folder);
  const tail = open();
  assert.equal(texts(tail).length, 1);
  clock.advance(60_000);
  assert.deepEqual([texts(tail), tail.waitingFor, heard()], [[], 'writer', []]);
  append(folder, W.node(3, 5));
  assert.deepEqual([texts(tail), tail.waitingFor, heard()], [[], 'damage', []]);
  clock.advance(1_100);
  assert.deepEqual([texts(tail), heard()], [['node_announcement 3 5'], ['gap']]);
});

test('a page of zeros that fills later, as ZFS shows it, costs nothing', () => {
  const whole = W.file(W.node(1, 5), W.node(2, 5), W.node(3, 5));
  const zeros = whole.slice().fill(0, 100, 250);
  const folder = folderWith(zeros);
  const { open, heard, clock } = tailBench(folder);
  const tail = open();
  assert.deepEqual([texts(tail), tail.waitingFor], [[], 'damage']);
  clock.advance(500);
  folder.open(NAME, 'write').write(whole, 0);
  assert.deepEqual([texts(tail).length, heard()], [3, []]);
});

test('a batch whose first record is completed last is told whole; one that never is, after a long grace', () => {
  const first = W.node(1, 5);
  first[0] = 0;
  const folder = folderWith(W.file(first, W.node(2, 5)));
  const { open, heard, clock } = tailBench(folder);
  const tail = open();
  clock.advance(9_000);
  assert.deepEqual([texts(tail), tail.waitingFor], [[], 'damage']);
  const other = open();
  folder.open(NAME, 'write').write(Uint8Array.of(0x20), 47);
  assert.deepEqual([texts(tail).length, heard()], [2, []]);
  folder.open(NAME, 'write').write(Uint8Array.of(0), 47);
  assert.deepEqual(texts(other), []);
  clock.advance(10_100);
  assert.deepEqual([texts(other).length, heard()], [2, ['restored']]);
});

test('the old file is read to its end, then the new one is compared: a compaction tells nothing twice', () => {
  for (const version of [9, 14, 15, 16]) {
    const w = writerOf(version);
    const folder = folderWith(w.file(w.channel(1), w.update(1, 0, 5), w.channel(2)));
    const { open, heard } = tailBench(folder);
    const tail = open();
    assert.equal(texts(tail).length, 3);
    const old = folder.open(NAME, 'write');
    append(folder, w.update(1, 1, 6), w.removal(2));
    const compacted = w.otherFile(w.channel(1), w.update(1, 0, 5), w.update(1, 1, 6));
    replace(folder, concatBytes(compacted, w.node(4, 4)));
    old.write(w.ended(compacted.length), old.size());
    assert.deepEqual(texts(tail), [
      `channel_update ${scid(1)} 1 6`,
      `channel_deleted ${scid(2)}`,
      'node_announcement 4 4',
    ]);
    assert.deepEqual([heard(), tail.generation], [['file_replaced'], 1]);
  }
});

test('what a new file lacks is told as deleted; a damaged or emptied one is not believed', () => {
  const channels = Array.from({ length: 120 }, (_, number) => W.channel(number));
  const full = W.file(...channels);
  const fewer = W.otherFile(...channels.slice(10));
  const damaged = fewer.slice();
  damaged[600]! ^= 1;
  for (const [bytes, deleted, notices] of [
    [fewer, 10, ['file_replaced']],
    [damaged, 0, ['file_replaced', 'gap', 'deletions_withheld']],
    [W.otherFile(...channels.slice(100)), 0, ['file_replaced', 'deletions_withheld']],
  ] as const) {
    const folder = folderWith(full);
    const { open, heard, clock } = tailBench(folder);
    const tail = open();
    assert.equal(texts(tail).length, 120);
    replace(folder, bytes);
    const told = texts(tail);
    clock.advance(2_000);
    told.push(...texts(tail));
    assert.equal(told.filter((text) => text.startsWith('channel_deleted')).length, deleted);
    assert.deepEqual([told.length, heard()], [deleted, notices]);
    // What comes back was told before.
    append(folder, ...channels.slice(10));
    assert.deepEqual(texts(tail), []);
  }
});

test('a file that is cut short, or written anew in its place, is read anew', () => {
  const folder = folderWith(W.file(W.channel(1), W.node(1, 5)));
  const { open, heard } = tailBench(folder);
  const tail = open();
  assert.equal(texts(tail).length, 2);
  // place() of a longer file under the same inode is what an in-place rewrite looks like: only the uuid tells.
  const longer = W.otherFile(W.channel(1), W.node(1, 5), W.node(2, 5));
  folder.open(NAME, 'write').write(longer, 0);
  assert.deepEqual([texts(tail), heard()], [['node_announcement 2 5'], ['file_replaced']]);
});

test('waits for a file that is not there, says so once, and reads it from its start', () => {
  const folder = new MemoryFolder();
  const { open, heard } = tailBench(folder);
  const tail = open({ from: 'end' });
  assert.deepEqual(
    [texts(tail), texts(tail), tail.waitingFor, heard()],
    [[], [], 'file', ['waiting_for_file']],
  );
  folder.place(NAME, new Uint8Array(0));
  assert.deepEqual(texts(tail), []);
  folder.place(NAME, W.file(W.node(1, 5)));
  assert.deepEqual(texts(tail), ['node_announcement 1 5']);
  folder.remove(NAME);
  assert.deepEqual(texts(tail), []);
});

test('from the end: only what comes then, but a deletion of what was there', () => {
  const folder = folderWith(W.file(W.channel(1), W.channel(2), W.update(1, 0, 5), W.announcement(3)));
  const tail = tailBench(folder).open({ from: 'end' });
  assert.deepEqual(texts(tail), []);
  append(folder, encodeRecord(0, encodeChannelAmount(5n)), W.removal(1), W.update(2, 0, 9));
  assert.deepEqual(texts(tail), [
    `channel_announcement ${scid(3)} 5`,
    `channel_deleted ${scid(1)}`,
    `channel_update ${scid(2)} 0 9`,
  ]);
});

test('store_version_unsupported: at the start an error, for a file that takes the place a notice', () => {
  const isUnsupported = (error: unknown): boolean =>
    error instanceof OperationalError && error.code === 'store_version_unsupported';
  const old = goodStore(5, 1).bytes;
  assert.throws(() => tailBench(folderWith(old)).open(), isUnsupported);
  const folder = folderWith(W.file(W.node(1, 5)));
  const { open, heard } = tailBench(folder);
  const tail = open();
  texts(tail);
  replace(folder, old);
  assert.deepEqual([texts(tail), texts(tail), heard()], [[], [], ['unreadable']]);
  replace(folder, W.file(W.node(1, 5), W.node(2, 5)));
  assert.deepEqual(texts(tail), ['node_announcement 2 5']);
});

test('a cursor without a state is exact in the same file, in any other everything is told again, and said so', () => {
  const parts = [
    W.channel(1),
    W.update(1, 0, 5),
    W.channel(2),
    W.update(1, 0, 7),
    W.removal(2),
    W.node(1, 5),
  ];
  const folder = folderWith(W.file(...parts));
  const { open, heard } = tailBench(folder);
  const all = drain(open());
  assert.equal(all.length, 6);
  all.forEach(({ cursor }, index) => {
    assert.deepEqual(drain(open({ cursor })), all.slice(index + 1), `behind event ${index}`);
  });
  assert.deepEqual(heard(), []);
  replace(folder, W.otherFile(W.channel(1), W.update(1, 0, 7), W.node(1, 5)));
  assert.equal(drain(open({ cursor: all[5]!.cursor })).length, 3);
  assert.deepEqual(heard(), ['cursor_unknown']);
  for (const cursor of ['', 'x', `${all[0]!.cursor}0`, all[0]!.cursor.replace('-', '_')])
    assert.throws(() => open({ cursor }), OperationalError);
});

test('with a state a cursor is exact behind a compaction too, from any event on, killed or closed', async () => {
  const parts = [W.channel(1), W.update(1, 0, 5), W.channel(2), W.node(1, 5), W.update(2, 0, 7)];
  const wanted = [...parts.keys()];
  for (const index of wanted) {
    for (const closes of [true, false]) {
      const folder = folderWith(W.file(...parts));
      const state = { folder, name: STATE };
      const { open, heard } = tailBench(folder);
      const first = open({ state });
      const all = drain(first);
      await first.persist();
      if (closes) await first.close();
      replace(folder, W.otherFile(...parts, W.node(2, 5)));
      const second = open({ state, cursor: all[index]!.cursor });
      const told = texts(second);
      assert.deepEqual(told, [...all.slice(index + 1).map(({ text }) => text), 'node_announcement 2 5']);
      assert.deepEqual(heard(), ['file_replaced']);
      await second.close();
      // Nothing was marked delivered, and older cursors stay good.
      assert.deepEqual(texts(open({ state })), told);
      assert.equal(texts(open({ state, cursor: all[0]!.cursor })).length, parts.length);
    }
  }
});

test('without a cursor a tail goes on behind what was marked delivered', async () => {
  const folder = folderWith(W.file(W.node(1, 5), W.node(2, 5), W.node(3, 5)));
  const state = { folder, name: STATE };
  const { open } = tailBench(folder);
  const first = open({ state });
  first.next();
  first.next();
  first.markDelivered();
  first.next();
  await first.persist();
  const second = open({ state });
  assert.deepEqual(texts(second), ['node_announcement 3 5']);
  second.markDelivered();
  await second.close();
  assert.deepEqual(texts(open({ state })), []);
  append(folder, W.node(4, 5));
  assert.deepEqual(texts(open({ state })), ['node_announcement 4 5']);
});

test('a state that cannot be written is said once in a while, and the tail goes on', async () => {
  const folder = folderWith(W.file(W.node(1, 5)));
  const { open, heard, clock } = tailBench(folder);
  const tail = open({ state: { folder, name: STATE } });
  folder.fail('write', 'disk_full', 1000);
  assert.equal(texts(tail).length, 1);
  await tail.persist();
  await tail.persist();
  assert.deepEqual(heard(), ['state_not_written']);
  folder.heal();
  append(folder, W.node(2, 5));
  assert.equal(texts(tail).length, 1);
  clock.advance(6_000);
  tail.markDelivered();
  await tail.persist();
  assert.deepEqual(heard(), []);
  assert.deepEqual(texts(open({ state: { folder, name: STATE } })), []);
});

test('a disk that refuses to be read is an error, after which the tail goes on where it was', () => {
  const folder = folderWith(W.file(W.channel(1), W.node(1, 5)));
  const tail = tailBench(folder).open();
  const told: string[] = [];
  folder.fail('read', 'disk_error', 3);
  for (let attempt = 0; attempt < 3; attempt++) assert.throws(() => tail.next(), OperationalError);
  told.push(...texts(tail));
  assert.deepEqual(told, [`channel_announcement ${scid(1)} 1000`, 'node_announcement 1 5']);
});

test('private channels of old versions are never told', () => {
  for (const version of [7, 8, 9, 12]) {
    const { open } = tailBench(folderWith(goodStore(version, 2, { withPrivate: true }).bytes));
    assert.equal(texts(open()).length, 10, `version ${version}`);
  }
});
