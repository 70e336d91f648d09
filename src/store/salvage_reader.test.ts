import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Rng, seededRng } from '../base/rng.ts';
import {
  cut,
  flipBit,
  type GoodRecord,
  type GoodStore,
  goodStore,
  insert,
  noise,
  overwrite,
  removeBytes,
  withLength,
  zeros,
} from './damaged_stores.test.support.ts';
import { assertIntactFound, salvage } from './salvage.test.support.ts';
import { earlyFormat5, type StoreFormat } from './versions.ts';

const FORMATS: readonly (number | StoreFormat)[] = [
  3,
  4,
  earlyFormat5,
  5,
  6,
  7,
  8,
  9,
  10,
  11,
  12,
  13,
  14,
  15,
  16,
];
const nameOf = (format: number | StoreFormat): string =>
  typeof format === 'number' ? `version ${format}` : 'early version 5';

const richStore = (format: number | StoreFormat, channels = 6): GoodStore =>
  goodStore(format, channels, { withPrivate: true, withDeleted: true, withDying: true, withRemoved: true });

for (const format of FORMATS) {
  test(`${nameOf(format)}: a sound store is read record by record`, () => {
    const store = richStore(format);
    const found = salvage(store.bytes, store.format);
    assert.deepEqual(found.gaps, []);
    assert.equal(found.records.length, store.records.length);
    assertIntactFound(store, found, [0, 0, 0], 'sound');
    assert.deepEqual(
      found.records.map((record) => record.number),
      [...store.records.keys()],
    );
  });
}

const ROUNDS = 400;

const someOf = (rng: Rng, below: number): number => Math.floor(rng.fraction() * below);

/** One random damage; returns the bytes, and the range of the good store that it touches. */
const randomDamage = (
  store: GoodStore,
  rng: Rng,
): { bytes: Uint8Array; range: readonly [number, number, number]; what: string } => {
  const { bytes } = store;
  const at = 1 + someOf(rng, bytes.length - 1);
  const size = Math.min([1, 2, 4, 12, 30, 64, 512, 4096][someOf(rng, 8)] as number, bytes.length - at);
  switch (someOf(rng, 9)) {
    case 0:
      return {
        bytes: noise(bytes, at, size, rng),
        range: [at, at + size, 0],
        what: `${size} random at ${at}`,
      };
    case 1:
      return { bytes: zeros(bytes, at, size), range: [at, at + size, 0], what: `${size} zeros at ${at}` };
    case 2: {
      const bit = someOf(rng, 8);
      return { bytes: flipBit(bytes, at, bit), range: [at, at + 1, 0], what: `bit ${bit} at ${at}` };
    }
    case 3:
      return { bytes: cut(bytes, at), range: [at, bytes.length, 0], what: `cut at ${at}` };
    case 4:
      return {
        bytes: insert(bytes, at, rng.bytes(size)),
        range: [at, at, size],
        what: `${size} random bytes inserted at ${at}`,
      };
    case 5: {
      // Where the bytes behind are the same, nobody can tell which of them are missing.
      let end = at + size;
      while (end < bytes.length && bytes[end] === bytes[end - size]) end++;
      return {
        bytes: removeBytes(bytes, at, size),
        range: [at, end, -size],
        what: `${size} bytes removed at ${at}`,
      };
    }
    case 6:
      return {
        bytes: overwrite(bytes, at, new Uint8Array(size).fill(0xff)),
        range: [at, at + size, 0],
        what: `${size} 0xff at ${at}`,
      };
    case 7: {
      const from = someOf(rng, bytes.length - size);
      return {
        bytes: overwrite(bytes, at, bytes.slice(from, from + size)),
        range: [at, at + size, 0],
        what: `${size} bytes of ${from} at ${at}`,
      };
    }
    default: {
      const record = store.records[someOf(rng, store.records.length)] as GoodRecord;
      const length = [0, 1, 2, 65535, someOf(rng, 65536)][someOf(rng, 5)] as number;
      // A length that leads to another record of the file cannot be told from a damaged message.
      const end = record.end - record.length + length;
      if (store.records.some((other) => other.position === end)) return randomDamage(store, rng);
      return {
        bytes: withLength(bytes, record.position, length),
        range: [record.position, record.end, 0],
        what: `length ${length} at ${record.position}`,
      };
    }
  }
};

for (const format of FORMATS) {
  test(`${nameOf(format)}: whatever is damaged, every record outside of it is found`, () => {
    const store = richStore(format);
    const seed = 1000 + FORMATS.indexOf(format);
    const rng = seededRng(seed);
    for (let round = 0; round < ROUNDS; round++) {
      const { bytes, range, what } = randomDamage(store, rng);
      const found = salvage(bytes, store.format, { buffer: new Uint8Array(66_000) });
      assertIntactFound(store, found, range, `seed ${seed}, round ${round}: ${what}`);
    }
  });
}
