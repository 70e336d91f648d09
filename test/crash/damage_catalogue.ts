/**
 * Images of damaged stores by the catalogue of known failures (cln-gossip, section E): each recipe that can be made from bytes, for
 * every version that has the records it needs.
 *
 * `ELSEWHERE` names the entries that are no matter of bytes, with where they are tested or why they do not apply. Entries that
 * are only about readers of CLN (E-13, E-17, E-29, E-31, E-34) are left out, but E-34's record is a cheap one to have.
 */
import { concatBytes, writeU16 } from '../../src/base/bytes.ts';
import {
  append,
  cut,
  GOOD_TIMESTAMP,
  type GoodRecord,
  type GoodStore,
  goodAnnouncement,
  goodStore,
  goodUpdate,
  insert,
  overwrite,
  privateUpdateOf,
  rec,
  withVersion,
  zeros,
} from '../../src/store/damaged_stores.test.support.ts';
import { encodeChannelAmount, encodeEnded } from '../../src/wire/gossip_store_messages.ts';
import {
  Behind,
  chanDying,
  DELETED,
  DYING,
  flagged,
  LATER,
  ofMainnet,
  RATELIMIT,
  withSwappedIds,
  ZOMBIE,
} from './damage_additions.ts';
import { type Image, imageOf, plainStore, rawOf, richStore, writtenIn } from './damage_recipes.ts';

export interface CatalogueEntry {
  readonly id: string;
  readonly versions: readonly number[];
  readonly images: (version: number) => Iterable<Image>;
}

const ALL = [9, 10, 12, 14, 15, 16] as const;

/** What a writer that took itself to be at the start of the file has left: newer records over older ones. */
function* overwritten(version: number): Generator<Image> {
  const store = plainStore(version, 20);
  const fresh = goodStore(version, 24);
  const newest = fresh.records.filter(({ position }) => position >= store.bytes.length);
  for (const count of [1, 3, 7, newest.length - 1]) {
    // Not from the first on: these are as long as those that they are written over.
    const head = concatBytes(...newest.slice(1, count + 1).map((record) => rawOf(fresh, record)));
    const bytes = overwrite(store.bytes, store.format.emptyBytes, head);
    const start = store.format.emptyBytes + head.length;
    const cutOff = store.records.find(({ position, end }) => position < start && start < end);
    const damage = cutOff === undefined ? [] : [{ start, end: cutOff.end }];
    const written = [...writtenIn(store), ...writtenIn(fresh)];
    yield imageOf(store, `${count} records written over the head of 20 channels`, bytes, {
      damage,
      shows: 'error',
      written,
      hidden: [],
    });
  }
}

function* staleTail(version: number): Generator<Image> {
  const store = plainStore(version, 20);
  const bad = rec(store.format, goodUpdate(3, 0, LATER), { timestamp: LATER });
  const behind = overwrite(bad, 4, Uint8Array.of(0, 0, 0, 1));
  const damage = [{ start: store.bytes.length, end: store.bytes.length + bad.length }];
  yield imageOf(store, 'a record with checksum 1 behind 20 channels', append(store.bytes, behind), {
    damage,
    shows: 'error',
  });
  const more = new Behind(store);
  more.bytes = append(more.bytes, behind);
  more.channel(30).update(30, 0, LATER).update(5, 1, LATER);
  yield imageOf(store, 'records appended behind a record with checksum 1', more.bytes, {
    damage,
    extras: more.extras,
    shows: 'error',
    hidden: [],
  });
  yield* overwritten(version);
}

function* tornAmount(version: number): Generator<Image> {
  const store = plainStore(version);
  for (const kept of [0, 1, 5, 11, 12, 13, 14, 21]) {
    const behind = new Behind(store).add(goodAnnouncement(20)).add(encodeChannelAmount(7_777_777n), { kept });
    const parts = { extras: behind.extras, damage: behind.damage, shows: 'error' } as const;
    yield imageOf(store, `an amount torn after ${kept} bytes`, behind.bytes, parts);
    const more = new Behind(store).add(goodAnnouncement(20)).add(encodeChannelAmount(7_777_777n), { kept });
    more.update(20, 0, LATER).channel(21).update(21, 1, LATER);
    yield imageOf(store, `an amount torn after ${kept} bytes, and records behind it`, more.bytes, {
      ...{ extras: more.extras, damage: more.damage, shows: 'error' },
    });
  }
}

function* deletedTwice(version: number): Generator<Image> {
  const store = plainStore(version, 4);
  for (const stillLive of [true, false]) {
    const own = store.records.filter(({ type }, index) => index >= 6 && index <= 10 && type !== 257);
    const { bytes, written } = flagged(store, stillLive ? [] : own, DELETED);
    const behind = new Behind(store);
    behind.bytes = bytes;
    behind.remove(1).update(2, 0, LATER).remove(1);
    yield imageOf(store, `removed twice, ${stillLive ? 'not yet flagged' : 'flagged'}`, behind.bytes, {
      written,
      extras: behind.extras,
      hidden: [],
    });
  }
}

function* sparedNode(version: number): Generator<Image> {
  // Two channels share node 0; the first is closed, and the node's announcement stands in front of the second.
  const store = goodStore(version, 1);
  const second = overwrite(goodAnnouncement(1), 300, goodAnnouncement(0).subarray(300, 333));
  const { bytes, written } = flagged(
    store,
    store.records.filter(({ type }) => [256, 258, 4101].includes(type)),
    DELETED,
  );
  for (const moved of [false, true]) {
    const behind = new Behind(store);
    behind.bytes = bytes;
    behind.channel(1, second).update(1, 0, LATER).remove(0);
    if (moved) behind.node(0, LATER);
    const parts = { written, extras: behind.extras, hidden: [] } as const;
    yield imageOf(
      store,
      `a node ${moved ? 'moved' : 'left'} in front of its only channel`,
      behind.bytes,
      parts,
    );
  }
}

const one =
  (image: (version: number) => Image) =>
  (version: number): Image[] => [image(version)];

/** A store with records behind it that no rule minds. */
const grown = (
  what: string,
  grow: (behind: Behind) => unknown,
  parts: Partial<Image> = {},
  store: (version: number) => GoodStore = plainStore,
) =>
  one((version) => {
    const good = store(version);
    const behind = new Behind(good);
    grow(behind);
    return imageOf(good, what, behind.bytes, { extras: behind.extras, damage: behind.damage, ...parts });
  });

const ended = (uuid: boolean) => encodeEnded(47n, uuid ? new Uint8Array(32) : undefined);

export const CATALOGUE: readonly CatalogueEntry[] = [
  { id: 'E-01 E-36 a stale tail read as live', versions: ALL, images: staleTail },
  { id: 'E-02 a torn amount', versions: ALL, images: tornAmount },
  {
    id: 'E-03 a torn tail is never streamed',
    versions: ALL,
    images: function* (version) {
      const store = plainStore(version);
      for (const kept of [1, 5, 11, 12, 13, 14, 60, 149]) {
        const behind = new Behind(store).update(1, 0, LATER, { kept });
        yield imageOf(store, `an update torn after ${kept} bytes`, behind.bytes, {
          damage: behind.damage,
          shows: 'error',
        });
      }
    },
  },
  {
    id: 'E-05 a version byte in mid-file',
    versions: ALL,
    images: function* (version) {
      const store = plainStore(version);
      const behind = new Behind(store);
      const start = store.bytes.length;
      behind.bytes = append(behind.bytes, Uint8Array.of(7));
      behind.channel(20).update(20, 0, LATER).update(20, 1, LATER);
      const damage = [{ start, end: start + 1 }];
      yield imageOf(store, 'more records behind a second version byte', behind.bytes, {
        extras: behind.extras,
        damage,
        shows: 'error',
      });
    },
  },
  {
    id: 'E-08 a channel announced twice',
    versions: ALL,
    images: grown('the announcement alone', (behind) => behind.add(goodAnnouncement(1)), { shows: 'error' }),
  },
  {
    id: 'E-09 byte 0 is zero',
    versions: ALL,
    images: function* (version) {
      const store = richStore(version);
      const damage = [{ start: 0, end: 1 }];
      yield imageOf(store, 'records from offset 1', withVersion(store.bytes, 0), {
        damage,
        shows: 'error',
        isMixed: true,
      });
      yield imageOf(store, 'two bytes', Uint8Array.of(0, version), { written: [], isNoStore: true });
    },
  },
  { id: 'E-14 deleted twice', versions: ALL, images: deletedTwice },
  {
    id: 'E-15 a private update stored as a public one',
    versions: [9, 10, 12],
    images: grown(
      'the public one beside',
      (behind) => behind.update(4, 0, LATER, { fate: 'optional' }),
      {},
      richStore,
    ),
  },
  {
    id: 'E-16 two private updates of one channel',
    versions: [9, 10, 12],
    images: grown(
      'another private update',
      (behind) => behind.add(privateUpdateOf(goodUpdate(4, 0, LATER))),
      {},
      richStore,
    ),
  },
  {
    id: 'E-19 a node without a channel',
    versions: ALL,
    images: function* (version) {
      const store = goodStore(version, 0);
      const behind = new Behind(store).node(5, LATER);
      yield imageOf(store, 'alone', behind.bytes, { extras: behind.extras });
      const full = plainStore(version);
      const other = new Behind(full).node(77, LATER);
      yield imageOf(full, 'behind others', other.bytes, { extras: other.extras });
    },
  },
  {
    id: 'E-20 a zombie and its fresh update',
    versions: [12],
    images: one((version) => {
      const store = plainStore(version);
      const zombies = store.records.slice(6, 10);
      const { bytes, written } = flagged(store, zombies, ZOMBIE);
      const behind = new Behind(store);
      behind.bytes = bytes;
      behind.update(1, 0, LATER);
      return imageOf(store, 'a channel', behind.bytes, { written, extras: behind.extras });
    }),
  },
  {
    id: 'E-21 an end marker at the end',
    versions: ALL,
    images: grown('of 42 bytes', (behind) => behind.add(ended(true), { fate: 'refused' }), {
      shows: 'error',
    }),
  },
  {
    id: 'E-22 an end marker of 10 bytes',
    versions: ALL,
    images: grown('at the end', (behind) => behind.add(ended(false), { fate: 'refused' }), {
      shows: 'error',
    }),
  },
  {
    id: 'E-23 a rate-limited copy of an update',
    versions: [10, 12],
    images: function* (version) {
      for (const isFirst of [true, false]) {
        const store = plainStore(version);
        const behind = new Behind(store);
        const limited = (): unknown => behind.update(1, 0, LATER, { flags: RATELIMIT });
        if (isFirst) limited();
        behind.update(1, 0, LATER, isFirst ? {} : { fate: 'optional' });
        if (!isFirst) limited();
        yield imageOf(store, `${isFirst ? 'in front of' : 'behind'} the normal one`, behind.bytes, {
          extras: behind.extras,
          isMixed: true,
        });
      }
    },
  },
  {
    id: 'E-24 a dying channel stays dying',
    versions: [12, 14, 15, 16],
    images: function* (version) {
      yield imageOf(richStore(version), 'as it is', richStore(version).bytes, { shows: 'nothing' });
      const store = plainStore(version);
      const { bytes, written } = flagged(
        store,
        store.records.filter(({ type }) => type === 256 || type === 258),
        DYING,
      );
      const behind = new Behind(store);
      behind.bytes = bytes;
      for (const channel of [0, 1, 2]) behind.add(chanDying(channel));
      yield imageOf(store, 'every channel', behind.bytes, { written, extras: behind.extras });
      yield imageOf(store, 'the flags without the record', bytes, { written });
    },
  },
  {
    id: 'E-25 two announcements of a node',
    versions: ALL,
    images: function* (version) {
      const store = plainStore(version);
      const newer = new Behind(store).node(2, LATER);
      yield imageOf(store, 'the newer one behind', newer.bytes, { extras: newer.extras, shows: 'warn' });
      const same = new Behind(store).node(2, GOOD_TIMESTAMP + 2);
      yield imageOf(store, 'the same again', same.bytes, { extras: same.extras, shows: 'warn' });
    },
  },
  {
    id: 'E-26 two channels of a node closed at once',
    versions: ALL,
    images: function* (version) {
      const store = plainStore(version, 4);
      for (const flags of [0, DELETED]) {
        const gone = store.records.filter(({ type }, index) => index >= 6 && index < 18 && type !== 257);
        const { bytes, written } = flagged(store, flags === 0 ? [] : gone, flags);
        const behind = new Behind(store);
        behind.bytes = bytes;
        behind.remove(1).remove(2);
        yield imageOf(store, flags === 0 ? 'before the flags' : 'after them', behind.bytes, {
          written,
          extras: behind.extras,
          isMixed: true,
          hidden: [],
        });
      }
    },
  },
  {
    id: 'E-27 a channel announced again with its amount',
    versions: ALL,
    images: grown(
      'and its updates',
      (behind) => behind.add(goodAnnouncement(1)).add(encodeChannelAmount(1_000_001n)).update(1, 0, LATER),
      { shows: 'error' },
    ),
  },
  {
    id: 'E-28 nodes in front of their announcement',
    versions: ALL,
    images: grown(
      'two of one node',
      (behind) =>
        behind
          .node(40, LATER)
          .node(40, LATER + 1)
          .channel(20)
          .update(20, 0, LATER),
      { shows: 'warn' },
    ),
  },
  {
    id: 'E-33 zeros in the last page',
    versions: ALL,
    images: function* (version) {
      const store = plainStore(version, 9);
      for (const size of [512, 4096]) {
        const start = store.bytes.length - (store.bytes.length % size);
        const end = store.bytes.length;
        yield imageOf(store, `of ${size} bytes`, zeros(store.bytes, start, end - start), {
          damage: [{ start, end }],
          shows: 'error',
        });
      }
    },
  },
  {
    id: 'E-34 fees that do not fit',
    versions: ALL,
    images: grown('in an update', (behind) => {
      const message = overwrite(goodUpdate(1, 0, LATER), 118, new Uint8Array(12).fill(0xff));
      behind.add(message, { timestamp: LATER });
    }),
  },
  {
    id: 'E-37 a node outlives its first channel',
    versions: ALL,
    images: sparedNode,
  },
  {
    id: 'E-39 versions that nobody can upgrade',
    versions: ALL,
    images: function* (version) {
      // A version that has no chan_dying would take it for unknown: no byte of the file says otherwise.
      const store = plainStore(version);
      for (const byte of [1, 2, 8, 17, 31, 32, 255])
        yield imageOf(store, `version byte ${byte}`, withVersion(store.bytes, byte), { isMixed: true });
      yield imageOf(store, 'an empty file', new Uint8Array(0), { written: [], isNoStore: true, hidden: [] });
      yield imageOf(store, 'a version byte alone', Uint8Array.of(17), {
        written: [],
        isNoStore: true,
        hidden: [],
      });
    },
  },
  {
    id: 'E-40 node ids not ordered',
    versions: ALL,
    images: function* (version) {
      const store = plainStore(version);
      const behind = new Behind(store);
      behind.add(withSwappedIds(20), { fate: 'refused' }).add(encodeChannelAmount(5n), { fate: 'refused' });
      behind.update(20, 0, LATER, { fate: 'optional' }).channel(21);
      const damage = behind.damage.slice(0, 1);
      yield imageOf(store, 'a channel', behind.bytes, { extras: behind.extras, damage, shows: 'error' });
    },
  },
  {
    id: 'E-41 messages of another chain',
    versions: ALL,
    images: function* (version) {
      const store = plainStore(version);
      const behind = new Behind(store);
      behind
        .add(ofMainnet(goodAnnouncement(20), 260), { fate: 'optional' })
        .add(encodeChannelAmount(5n), { fate: 'optional' });
      behind.add(ofMainnet(goodUpdate(20, 0, LATER), 66), { timestamp: LATER, fate: 'optional' }).channel(21);
      yield imageOf(store, 'a channel', behind.bytes, { extras: behind.extras, shows: 'warn' });
    },
  },
  {
    id: 'E-42 a last record that is not complete',
    versions: ALL,
    images: function* (version) {
      const store = plainStore(version);
      const torn = new Behind(store).update(1, 0, LATER, { kept: 100 });
      yield imageOf(store, 'torn', torn.bytes, { damage: torn.damage, shows: 'error' });
      if (!store.format.hasCompleted) return;
      const start = store.bytes.length;
      const incomplete = new Behind(store).update(1, 0, LATER, { flags: 0, fate: 'optional' });
      const damage = [{ start, end: incomplete.bytes.length }];
      yield imageOf(store, 'without COMPLETED', incomplete.bytes, {
        extras: incomplete.extras,
        damage,
        shows: 'error',
        isMixed: true,
      });
    },
  },
  {
    id: 'E-43 messages too short for their type',
    versions: ALL,
    images: function* (version) {
      for (const [type, length] of [
        [256, 431],
        [257, 141],
        [258, 129],
        [4101, 9],
        [4103, 9],
        [4106, 6],
        [4106, 13],
        [4107, 33],
        [4107, 2],
        [256, 2],
      ] as const) {
        const store = plainStore(version);
        const message = new Uint8Array(length).fill(0x33);
        writeU16(message, 0, type);
        if (type === 256 && length > 300) writeU16(message, 258, 0);
        const behind = new Behind(store).add(message, { fate: 'refused' });
        // Half of them at the end of the file.
        if (length % 2 === 0) behind.channel(20).update(20, 1, LATER);
        yield imageOf(store, `type ${type}, ${length} bytes`, behind.bytes, {
          extras: behind.extras,
          damage: behind.damage,
          shows: 'error',
        });
      }
    },
  },
  {
    id: 'E-44 a store of version 11',
    versions: [11],
    images: function* (version) {
      for (const store of [plainStore(version), richStore(version)])
        yield imageOf(store, 'as it is', store.bytes, { shows: 'nothing' });
    },
  },
  {
    id: 'E-45 stores of 2018',
    versions: [3],
    images: function* (version) {
      const store = richStore(version);
      yield imageOf(store, 'version 3', store.bytes, { shows: 'nothing' });
      yield imageOf(store, 'torn', cut(store.bytes, store.bytes.length - 30), { shows: 'error', damage: [] });
      // Records of version 1 have a length and nothing else; those of 2 another checksum that nobody could tell from noise.
      for (const old of [1, 2]) {
        const parts = store.records.map(({ bytes, length }) =>
          concatBytes(Uint8Array.of(0, 0, length >>> 8, length & 0xff), bytes),
        );
        yield imageOf(store, `version ${old}`, concatBytes(Uint8Array.of(old), ...parts), {
          written: [],
          isNoStore: true,
          hidden: [],
        });
      }
    },
  },
  {
    id: 'E-50 an empty deleted record',
    versions: ALL,
    images: function* (version) {
      const store = plainStore(version);
      for (const length of [0, 1]) {
        const flags = DELETED | (store.format.hasCompleted ? 0x2000 : 0);
        const empty = overwrite(new Uint8Array(12 + length), 0, Uint8Array.of(flags >>> 8, 0, 0, length));
        for (const at of [(store.records[6] as GoodRecord).position, store.bytes.length]) {
          const damage = [{ start: at, end: at + empty.length }];
          yield imageOf(store, `of length ${length} at ${at}`, insert(store.bytes, at, empty), {
            damage,
            shows: 'error',
          });
        }
      }
    },
  },
  {
    id: 'D-1 D-4 D-5 malformed and impossible records',
    versions: ALL,
    images: function* (version) {
      const store = plainStore(version);
      const hugeFeatures = overwrite(goodAnnouncement(20), 258, Uint8Array.of(0xff, 0xff));
      const self = overwrite(goodAnnouncement(20), 333, goodAnnouncement(20).subarray(300, 333));
      for (const [what, message] of [
        ['features beyond its end', hugeFeatures],
        ['a node with itself', self],
      ] as const) {
        const behind = new Behind(store).add(message, { fate: 'refused' });
        behind
          .add(encodeChannelAmount(9n), { fate: 'refused' })
          .update(20, 0, LATER, { fate: 'optional' })
          .channel(21);
        const damage = behind.damage.slice(0, 1);
        yield imageOf(store, what, behind.bytes, { extras: behind.extras, damage, shows: 'error' });
      }
      const behind = new Behind(store).add(goodAnnouncement(20));
      const overflowing = overwrite(
        encodeChannelAmount(0n),
        2,
        Uint8Array.of(0, 0x41, 0x89, 0x37, 0x4b, 0xc6, 0xa7, 0xf0),
      );
      behind.add(overflowing, { fate: 'refused' }).update(20, 0, LATER).channel(21);
      yield imageOf(store, 'an amount that overflows', behind.bytes, {
        extras: behind.extras,
        damage: behind.damage,
        shows: 'error',
      });
    },
  },
  {
    id: 'D-x types that nobody knows',
    versions: ALL,
    images: function* (version) {
      for (const type of [0, 1, 255, 259, 260, 3503, 4096, 4097, 4099, 4100, 4108, 8192, 65_535]) {
        const store = plainStore(version);
        const message = new Uint8Array(60).fill(0x21);
        writeU16(message, 0, type);
        const behind = new Behind(store).add(message, { fate: 'refused' });
        behind.channel(20).update(20, 1, LATER);
        yield imageOf(store, `type ${type}`, behind.bytes, {
          extras: behind.extras,
          damage: behind.damage,
          shows: 'error',
        });
      }
    },
  },
];

/** Entries that are no matter of bytes. */
export const ELSEWHERE: Readonly<Record<string, string>> = {
  'E-04': 'compaction while appending: test/crash/store_model.test, src/store/upkeep.test',
  'E-06':
    'a file that cannot be opened: src/store/store_file.test (store_not_writable), opening.test (refuses to be read)',
  'E-07': 'short reads: src/store/store_file.test',
  'E-10': 'counters: test/crash/store_model.test compares deadBytes with the file',
  'E-11': 'load: bench/',
  'E-12': 'a hundred peers with a filter: bench/, src/store/cursor.test',
  'E-18': 'kill -9 in any write: test/crash/store_crash.test, test/e2e/kill9.test',
  'E-30':
    'beyond 4 GiB: src/store/offset_map.test, src/repair/audit.test (GS-OVER-4G), src/store/sidecar.test',
  'E-32': 'large files of dead records: src/store/upkeep.test compacts them while running; bench/',
  'E-35': 'a full disk: test/crash/store_crash.test, src/store/gossip_store.test, test/e2e/store_faults.test',
  'E-38': 'a dying channel across a compaction: test/crash/store_model.test',
  'E-46': 'unknown short_channel_ids: src/sync, test/sim; no matter of the store',
  'E-47': 'choice of gossipers: src/sync, test/sim; no matter of the store',
  'E-48': 'flags set during a compaction: test/crash/store_model.test',
  'E-49': 'a rename that fails: src/store/rewrite_faults.test, test/crash/store_model.test',
};
