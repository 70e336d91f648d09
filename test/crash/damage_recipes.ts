/**
 * Images of damaged stores: the generic damage classes 1 to 9 of the failure catalogue, and what an image is.
 *
 * A class takes a good store and yields images, each with its bytes, what was ever written into it, and where it is damaged;
 * damage_matrix_cases judges them. `all` goes over every position and bit, otherwise samples at the first record, at one of each
 * kind in the middle, and at the last. Classes 10 (two writers), 11 (power cuts) and 12 (failing calls) are no matter of
 * bytes: see src/store/lock.test, store_crash.test and src/store/rewrite_faults.test.
 */
import { concatBytes, readU16, readU32, toHex } from '../../src/base/bytes.ts';
import { seededRng } from '../../src/base/rng.ts';
import {
  append,
  cut,
  flipBit,
  type GoodRecord,
  type GoodStore,
  goodStore,
  insert,
  overwrite,
  rec,
  removeBytes,
  withFlags,
  withLength,
  withVersion,
  zeros,
} from '../../src/store/damaged_stores.test.support.ts';
import type { StoreFormat } from '../../src/store/versions.ts';
import { encodeEnded } from '../../src/wire/gossip_store_messages.ts';

/** What must become of a record that stands unchanged; `optional` ones mean nothing, or only to one of the doors. */
export type Fate = 'kept' | 'optional' | 'refused';

export interface Written {
  /** Header and message. */
  readonly raw: Uint8Array;
  readonly fate: Fate;
}

/** Half open; empty where bytes are missing. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** What an audit must make of it: an error, at least a warning, nothing, or whatever it likes. */
export type Shows = 'error' | 'warn' | 'nothing' | 'maybe';

/** A record that stands in an image as it was written, by what readers take from it. */
export interface Told {
  readonly position: number;
  readonly end: number;
  readonly type: number;
  readonly flags: number;
  readonly timestamp: number;
  readonly message: Uint8Array;
  readonly hex: string;
  /** Scid or node id in hex; empty where there is none. */
  readonly about: string;
  readonly direction: 0 | 1;
  /** Same for records of which one replaces the other. */
  readonly key: string;
  readonly fate: Fate;
}

export interface Image {
  readonly what: string;
  readonly bytes: Uint8Array;
  /** Of the records, whatever the version byte says. */
  readonly format: StoreFormat;
  readonly written: readonly Written[];
  readonly damage: readonly Range[];
  /** Damage in here cannot be seen: nobody looks into deleted records. */
  readonly hidden: readonly Range[];
  readonly shows: Shows;
  /** Damage of several kinds at once: what is read in spite of it may replace what stands unchanged. */
  readonly isMixed: boolean;
  /** Refusing it is right. */
  readonly isNoStore: boolean;
  /** The daemon puts it right in place and says nothing: the header timestamp of an announcement, as a crash can leave it. */
  readonly isQuiet: boolean;
  /** The records that stand unchanged, in order. */
  readonly told: () => Told[];
}

const text = (bytes: Uint8Array, at: number, length: number): string => toHex(bytes, at, at + length);

const NAMES: Readonly<Record<number, string>> = { 256: 'channel', 4103: 'removed', 4106: 'dying' };

/** What a message is about. */
export const typeAndMessage = (
  message: Uint8Array,
): { type: number; about: string; direction: 0 | 1; key: string } => {
  const type = message.length < 2 ? 0 : readU16(message, 0);
  const named = (about: string, name = NAMES[type]) =>
    ({ type, about, direction: 0, key: `${name} ${about}` }) as const;
  switch (type) {
    case 256:
      if (message.length < 260) break;
      return named(text(message, 260 + readU16(message, 258) + 32, 8));
    case 257:
      if (message.length < 142) break;
      return named(text(message, 72 + readU16(message, 66), 33), 'node');
    case 258: {
      if (message.length < 112) break;
      const direction = ((message[111] as number) & 1) as 0 | 1;
      const about = text(message, 98, 8);
      return { type, about, direction, key: `update ${about} ${direction}` };
    }
    case 4103:
    case 4106:
      return named(text(message, 2, 8));
  }
  return { type, about: '', direction: 0, key: `other ${toHex(message)}` };
};

/** The records that a record becomes for readers of today: version 3 wraps its messages. */
export const toldBy = (format: StoreFormat, raw: Uint8Array, position: number, fate: Fate): Told[] => {
  const header = format.headerBytes;
  const message = raw.subarray(header);
  const one = (own: Uint8Array, timestamp: number): Told => ({
    ...{ position, end: position + raw.length, flags: readU16(raw, 0), timestamp, message: own, fate },
    ...{ hex: toHex(own), ...typeAndMessage(own) },
  });
  const type = message.length < 2 ? 0 : readU16(message, 0);
  if (!format.wrapsMessages || type < 4096 || type > 4098)
    return [one(message, header === 12 ? readU32(raw, 8) : 0)];
  const length = readU16(message, 2);
  const told = [one(message.subarray(4, 4 + length), 0)];
  if (type === 4096) told.push(one(concatBytes(Uint8Array.of(0x10, 0x05), message.subarray(4 + length)), 0));
  return told;
};

/** Wherever a written record's bytes stand in the image, but not inside another one. */
const findTold = (bytes: Uint8Array, format: StoreFormat, written: readonly Written[]): Told[] => {
  const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const places = new Map<number, Written>();
  for (const one of written) {
    for (let at = haystack.indexOf(one.raw, 1); at >= 0; at = haystack.indexOf(one.raw, at + 1)) {
      const known = places.get(at);
      if (known === undefined || known.raw.length < one.raw.length) places.set(at, one);
    }
  }
  const told: Told[] = [];
  let end = 0;
  for (const [position, { raw, fate }] of [...places].sort(([left], [right]) => left - right)) {
    if (position < end) continue;
    told.push(...toldBy(format, raw, position, fate));
    end = position + raw.length;
  }
  return told;
};

export const rawOf = ({ bytes }: GoodStore, { position, end }: GoodRecord): Uint8Array =>
  bytes.subarray(position, end);

export const writtenIn = (store: GoodStore): Written[] =>
  store.records.map((record) => ({ raw: rawOf(store, record), fate: 'kept' }));

export interface ImageParts {
  readonly damage?: readonly Range[];
  readonly shows?: Shows;
  /** In place of the store's own. */
  readonly written?: readonly Written[];
  /** Besides the store's own. */
  readonly extras?: readonly Written[];
  readonly isMixed?: boolean;
  readonly isNoStore?: boolean;
  readonly isQuiet?: boolean;
  readonly hidden?: readonly Range[];
}

export const imageOf = (store: GoodStore, what: string, bytes: Uint8Array, parts: ImageParts = {}): Image => {
  const { format } = store;
  const written = [...(parts.written ?? writtenIn(store)), ...(parts.extras ?? [])];
  return {
    what: `version ${format.version}, ${what}`,
    bytes,
    format,
    written,
    damage: parts.damage ?? [],
    hidden: parts.hidden ?? deletedInsides(store),
    shows: parts.shows ?? 'maybe',
    isMixed: parts.isMixed ?? false,
    isNoStore: parts.isNoStore ?? false,
    isQuiet: parts.isQuiet ?? false,
    told: () => findTold(bytes, format, written),
  };
};

const isDeleted = ({ flags }: GoodRecord): boolean => (flags & 0x8000) !== 0;

/** Good as long as nothing has moved. */
const deletedInsides = ({ records }: GoodStore): Range[] =>
  records.filter(isDeleted).map(({ position, end }) => ({ start: position + 4, end }));

/** A store with something of everything that its version has. */
export const richStore = (version: number, channels = 3): GoodStore =>
  goodStore(version, channels, {
    withPrivate: true,
    withDeleted: true,
    withDying: true,
    withRemoved: true,
    withShortUpdates: true,
  });

/** A store whose last record is a live one. */
export const plainStore = (version: number, channels = 3): GoodStore => goodStore(version, channels);

/** The first record, an announcement, its amount, and an update in the middle, the last; or all of them. */
const spots = (store: GoodStore, all: boolean): GoodRecord[] => {
  const { records } = store;
  if (all) return [...records];
  const middle = records.findIndex(
    ({ type }, index) => index >= records.length / 3 && (type === 256 || type === 4096),
  );
  const chosen = [0, middle, middle + 1, middle + 2, records.length - 1];
  return [...new Set(chosen)].flatMap((index) => records[index] ?? []);
};

/** The first, one of each kind and of each state, and the last. */
const oneOfEach = (store: GoodStore): GoodRecord[] => {
  const { records } = store;
  const kinds = new Map<string, GoodRecord>();
  // The later ones of each kind, whose neighbours are of all kinds too.
  for (const record of records) kinds.set(`${record.type} ${record.flags} ${record.length}`, record);
  return [...new Set([...records.slice(0, 1), ...kinds.values(), ...records.slice(-1)])];
};

/** The first, the announcement in the middle, and the last. */
const threeSpots = (store: GoodStore, all: boolean): GoodRecord[] => {
  const some = spots(store, all);
  return all
    ? some
    : some.filter((record, index) => index === 0 || index === some.length - 1 || is256(record));
};

const is256 = ({ type }: GoodRecord): boolean => type === 256 || type === 4096;

export type Recipe = (version: number, all: boolean) => Iterable<Image>;

/** 1: cut at every byte. */
function* cuts(version: number, all: boolean): Generator<Image> {
  for (const store of [plainStore(version), ...(all ? [richStore(version)] : [])]) {
    const ends = [0, 1, ...store.records.map(({ end }) => end)];
    const sizes = new Set<number>();
    for (const { position, end } of threeSpots(store, all))
      for (const size of [
        position,
        position + 1,
        position + 4,
        position + 11,
        position + 12,
        position + 13,
        (position + end) >> 1,
        end - 1,
        end,
      ])
        sizes.add(size);
    for (let size = 0; size <= (all ? store.bytes.length : 1); size++) sizes.add(size);
    for (const size of [...sizes].sort((left, right) => left - right)) {
      const start = Math.max(...ends.filter((end) => end <= size));
      const before = store.records.find(({ end }) => end === start);
      const isParted = before?.type === 256 && !isDeleted(before);
      const isBare = store.format.hasUuid && size === 1;
      const shows = size === 0 || isParted || isBare || start < size ? 'error' : 'nothing';
      const damage = size === 0 ? [] : [{ start: isBare ? 1 : start, end: size }];
      yield imageOf(store, `cut at ${size}`, cut(store.bytes, size), { damage, shows, isNoStore: size < 2 });
    }
  }
}

/** What a flipped bit of a record's header or message shows. */
const flipShows = ({ format }: GoodStore, record: GoodRecord, index: number, bit: number): Shows => {
  if (index < 2) {
    const mask = 1 << (bit + (index === 0 ? 8 : 0));
    if ((format.flags & mask) === 0) return 'error';
    return format.hasCompleted && mask === 0x2000 ? 'error' : 'maybe';
  }
  return index >= 4 && isDeleted(record) ? 'maybe' : 'error';
};

/** 2: every bit, one at a time. */
function* flips(version: number, all: boolean): Generator<Image> {
  const store = all ? richStore(version) : plainStore(version);
  for (let bit = 0; bit < 8; bit++) {
    const shows = bit >= 5 ? 'error' : 'maybe';
    const damage = [{ start: 0, end: 1 }];
    yield imageOf(store, `bit ${bit} of the version`, flipBit(store.bytes, 0, bit), {
      damage,
      shows,
      isMixed: true,
    });
  }
  const { headerBytes } = store.format;
  let turn = 0;
  for (const record of all ? oneOfEach(store) : spots(store, false)) {
    const size = record.end - record.position;
    for (let index = 0; index < size; index++) {
      // In samples: bits of flags and length, one of every other byte of the header, then of every 150th.
      if (!all && index >= 4 && index % (index < headerBytes + 2 ? 2 : 150) !== 0) continue;
      for (let bit = 0; bit < 8; bit++) {
        if (!all && (index < 4 ? bit % 3 !== turn % 3 : bit !== turn % 8)) continue;
        const at = record.position + index;
        yield imageOf(
          store,
          `bit ${bit} of byte ${index} of the ${record.type} at ${record.position}`,
          flipBit(store.bytes, at, bit),
          {
            damage: [{ start: at, end: at + 1 }],
            shows: flipShows(store, record, index, bit),
            isQuiet: record.type === 256 && index >= 8 && index < 12,
          },
        );
      }
      turn++;
    }
  }
}

/** 3: blocks of zeros, ones or noise, of an older content, of another place. */
function* blocks(version: number, all: boolean): Generator<Image> {
  const store = richStore(version, all ? 12 : 8);
  const older = goodStore(version, all ? 7 : 5, { withPrivate: true });
  const rng = seededRng(version);
  const written = [...writtenIn(store), ...writtenIn(older)];
  for (const size of [512, 4096]) {
    const count = Math.ceil(store.bytes.length / size);
    const chosen = all ? [...Array(count).keys()] : [...new Set([0, count >> 1, count - 1])];
    for (const block of chosen) {
      const start = block * size;
      const end = Math.min(start + size, store.bytes.length);
      const over = (what: string, bytes: Uint8Array, shows: Shows) =>
        imageOf(
          store,
          `block ${block} of ${size} bytes ${what}`,
          overwrite(store.bytes, start, bytes.subarray(0, end - start)),
          {
            ...{ damage: [{ start, end }], shows, written, isMixed: true },
          },
        );
      yield over('zeroed', new Uint8Array(size), 'error');
      if (all) yield over('of ones', new Uint8Array(size).fill(0xff), 'error');
      yield over('of noise', rng.bytes(size), 'error');
      yield over(
        'as it was before',
        overwrite(new Uint8Array(size), 0, older.bytes.subarray(start, end)),
        'maybe',
      );
      for (const other of all ? Array(count).keys() : [1, count - 2]) {
        if (other < 0 || other === block) continue;
        yield over(`from block ${other}`, store.bytes.subarray(other * size, other * size + size), 'maybe');
      }
    }
  }
}

/** 4: something behind the end. */
function* tails(version: number, all: boolean): Generator<Image> {
  const rng = seededRng(40 + version);
  for (const store of [plainStore(version), ...(all ? [richStore(version)] : [])]) {
    for (const count of [1, 11, 12, 13, 64, 4096]) {
      const start = store.bytes.length;
      const damage = [{ start, end: start + count }];
      const noises = all ? 40 : 2;
      const kinds: [string, Uint8Array][] = [
        ['zeros', new Uint8Array(count)],
        ['ones', new Uint8Array(count).fill(0xff)],
      ];
      for (let round = 0; round < noises; round++) kinds.push([`noise ${round}`, rng.bytes(count)]);
      for (const [what, tail] of kinds)
        yield imageOf(store, `${count} bytes of ${what} appended`, append(store.bytes, tail), {
          damage,
          shows: 'error',
        });
    }
  }
}

/** 5: records twice, swapped, missing. */
function* copies(version: number, all: boolean): Generator<Image> {
  const store = richStore(version);
  const { bytes, records } = store;
  for (const record of spots(store, all)) {
    const { position, end, type } = record;
    const raw = rawOf(store, record);
    const name = `the ${type} at ${position}`;
    yield imageOf(store, `${name} twice in a row`, insert(bytes, end, raw), { hidden: [] });
    yield imageOf(store, `${name} again at the end`, append(bytes, raw), { hidden: [] });
    yield imageOf(store, `${name} missing`, removeBytes(bytes, position, end - position), { hidden: [] });
    const shows = isDeleted(record) ? 'maybe' : 'error';
    yield imageOf(store, `${name} of zeros`, zeros(bytes, position, end - position), {
      damage: [{ start: position, end }],
      shows,
      hidden: [],
    });
    for (const other of all ? records : spots(store, false)) {
      if (other.position <= position) continue;
      const swapped = concatBytes(
        bytes.subarray(0, position),
        ...[rawOf(store, other), bytes.subarray(end, other.position), raw, bytes.subarray(other.end)],
      );
      yield imageOf(store, `${name} and the ${other.type} at ${other.position} swapped`, swapped, {
        hidden: [],
      });
    }
  }
}

/** 6: an announcement and its amount the other way round, or one of them. */
function* pairs(version: number, all: boolean): Generator<Image> {
  const store = plainStore(version, 4);
  const { bytes, records } = store;
  const announcements = records.filter(({ type }) => type === 256);
  for (const [index, announcement] of announcements.entries()) {
    if (!all && index === 1) continue;
    const amount = records.find(({ position }) => position === announcement.end) as GoodRecord;
    const size = announcement.end - announcement.position;
    const name = `channel ${index}`;
    const turned = concatBytes(
      bytes.subarray(0, announcement.position),
      ...[rawOf(store, amount), rawOf(store, announcement), bytes.subarray(amount.end)],
    );
    yield imageOf(store, `${name}: amount in front of its announcement`, turned, {
      shows: 'error',
      hidden: [],
    });
    yield imageOf(
      store,
      `${name}: no amount`,
      removeBytes(bytes, amount.position, amount.end - amount.position),
      { shows: 'error', hidden: [] },
    );
    yield imageOf(store, `${name}: no announcement`, removeBytes(bytes, announcement.position, size), {
      shows: 'warn',
      hidden: [],
    });
  }
}

/** 7: lengths that cannot be. */
function* lengths(version: number, all: boolean): Generator<Image> {
  const store = richStore(version);
  const { bytes, format } = store;
  for (const record of threeSpots(store, all)) {
    const { position, end } = record;
    const rest = bytes.length - position - format.headerBytes;
    for (const length of new Set([0, 1, 2, 65_535, rest + 1, Math.min(65_535, rest + 5000)])) {
      if (length === record.length) continue;
      const name = `length ${length} in the ${record.type} at ${position}`;
      const damage = [{ start: position + 2, end: position + 4 }];
      const damaged = withLength(bytes, position, length);
      yield imageOf(store, name, damaged, { damage, shows: 'error', hidden: [] });
      if ((format.flags & 0x8000) === 0) continue;
      const dead = withFlags(damaged, position, record.flags | 0x8000);
      // One that reaches to the end exactly is a deleted record like any other.
      const shows = length === rest ? 'maybe' : 'error';
      yield imageOf(store, `${name}, deleted`, dead, {
        damage,
        shows,
        hidden: [{ start: position + 4, end }],
      });
    }
  }
  for (const length of [0, 1]) {
    for (const flags of [0, 0x8000]) {
      const own = (flags & format.flags) | (format.hasCompleted ? 0x2000 : 0);
      const empty = overwrite(
        new Uint8Array(format.headerBytes + length).fill(0x11),
        0,
        Uint8Array.of(own >>> 8, 0, 0, length),
      );
      for (const at of [1, (store.records[5] as GoodRecord).position, bytes.length])
        yield imageOf(
          store,
          `an empty record of length ${length}, flags ${own}, at ${at}`,
          insert(bytes, at, empty),
          {
            ...{ damage: [{ start: at, end: at + empty.length }], shows: 'error', hidden: [] },
          },
        );
    }
  }
}

const endedRecord = (format: StoreFormat, offset: number, withUuid: boolean): Written => ({
  raw: rec(
    format,
    withUuid ? encodeEnded(BigInt(offset), new Uint8Array(32).fill(0x77)) : encodeEnded(BigInt(offset)),
  ),
  fate: 'refused',
});

/** 8: end markers in the file that has the name. */
function* endMarkers(version: number, all: boolean): Generator<Image> {
  if (version < 9) return;
  const store = richStore(version);
  const { bytes, format, records } = store;
  const amount = (records.find(({ type }) => type === 4101) as GoodRecord).position;
  const places = all
    ? [1, ...records.map(({ end }) => end)]
    : [1, amount, (records[7] as GoodRecord).position, bytes.length];
  for (const at of places) {
    const offsets = [47, bytes.length + 1_000_000, ...(all ? [1, bytes.length, 0xffff_ffff_ffff] : [])];
    for (const offset of offsets) {
      for (const withUuid of [false, true]) {
        const extra = endedRecord(format, offset, withUuid);
        const image = insert(bytes, at, extra.raw);
        const damage = [{ start: at, end: at + extra.raw.length }];
        yield imageOf(store, `an end marker of ${extra.raw.length} bytes to ${offset} at ${at}`, image, {
          ...{ extras: [extra], damage, shows: 'error', hidden: [] },
        });
      }
    }
  }
}

/** 9: version bytes in the wrong place. */
function* versionBytes(version: number, all: boolean): Generator<Image> {
  const store = richStore(version);
  const { bytes, records } = store;
  for (const { position } of spots(store, all)) {
    for (const byte of all ? [1, 3, 7, 9, 12, 14, 15, 16, 31] : [7, version]) {
      const damage = [{ start: position, end: position + 1 }];
      yield imageOf(
        store,
        `version byte ${byte} at ${position}`,
        insert(bytes, position, Uint8Array.of(byte)),
        { damage, shows: 'error', hidden: [] },
      );
    }
  }
  const damage = [{ start: 0, end: 1 }];
  yield imageOf(store, 'byte 0 is zero', withVersion(bytes, 0), { damage, shows: 'error', isMixed: true });
  yield imageOf(store, 'a zero in front of the version', concatBytes(Uint8Array.of(0), bytes), {
    isMixed: true,
    hidden: [],
  });
  yield imageOf(store, 'two bytes, a zero and the version', Uint8Array.of(0, version), {
    isNoStore: true,
    written: [],
  });
  yield imageOf(store, 'a second store behind the first', append(bytes, bytes), {
    shows: 'error',
    hidden: [],
  });
  const cutStore = cut(bytes, (records[6] as GoodRecord).position + 5);
  yield imageOf(store, 'a whole store behind the start of one', append(cutStore, bytes), {
    shows: 'error',
    hidden: [],
  });
}

export const CLASSES: readonly (readonly [string, Recipe])[] = [
  ['class 1: cut short', cuts],
  ['class 2: one flipped bit', flips],
  ['class 3: blocks zeroed, filled, lost or misdirected', blocks],
  ['class 4: bytes appended', tails],
  ['class 5: records twice, swapped, missing', copies],
  ['class 6: announcement and amount parted', pairs],
  ['class 7: impossible lengths', lengths],
  ['class 8: end markers', endMarkers],
  ['class 9: version bytes in wrong places', versionBytes],
];
