/**
 * Random damage to good stores of all versions, taken through every door that a store goes through: detection, the salvage reader, the
 * daemon's load, the audit, plan and write of a repair.
 *
 * Byte-level mutations know nothing of records; structure-aware ones write records with a right checksum that should not be there,
 * or headers that contradict their message. Each round is seeded by itself: FUZZ_SEED=N FUZZ_ROUND=M repeats one. What failed once
 * is kept in the corpus as `STORE_VERSION_CHANNELS__WHAT.bin`, from whose name the undamaged store is known.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { concatBytes, writeU16 } from '../../src/base/bytes.ts';
import { type Rng, seededRng } from '../../src/base/rng.ts';
import {
  append,
  cut,
  fileOf,
  flipBit,
  type GoodRecord,
  type GoodStore,
  insert,
  overwrite,
  rec,
  removeBytes,
  withFlags,
  withLength,
  withVersion,
} from '../../src/store/damaged_stores.test.support.ts';
import { salvage } from '../../src/store/salvage.test.support.ts';
import { checkMessageFor, detectFormat } from '../../src/store/versions.ts';
import { judgeImage } from '../crash/damage_matrix_cases.ts';
import {
  type Image,
  imageOf,
  plainStore,
  rawOf,
  richStore,
  type Written,
  writtenIn,
} from '../crash/damage_recipes.ts';

const VERSIONS = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 14, 15, 15, 16, 16, 16, 16] as const;
const STORES = { rich: richStore, plain: plainStore } as const;

const below = (rng: Rng, count: number): number => Math.floor(rng.fraction() * count);
const pick = <T>(rng: Rng, list: readonly T[]): T => list[below(rng, list.length)] as T;

/** An image under way. */
interface Draft {
  readonly store: GoodStore;
  bytes: Uint8Array;
  readonly extras: Written[];
  readonly steps: string[];
  /** Records of the store itself need not be found any more. */
  isForeign: boolean;
}

type Mutation = (draft: Draft, rng: Rng) => string;

const someLength = (rng: Rng, most: number): number =>
  Math.min(
    most,
    rng.fraction() < 0.6 ? 1 + below(rng, 40) : pick(rng, [512, 1024, 4096, 1 + below(rng, 600)]),
  );

const position = ({ bytes }: Draft, rng: Rng): number => below(rng, bytes.length);

/** A place in the file at which a block device could have put something wrong. */
const aligned = (draft: Draft, rng: Rng, size: number): number =>
  below(rng, Math.ceil(draft.bytes.length / size)) * size;

const BYTE_MUTATIONS: readonly Mutation[] = [
  (draft, rng) => {
    const [at, bit] = [position(draft, rng), below(rng, 8)];
    draft.bytes = flipBit(draft.bytes, at, bit);
    return `flip bit ${bit} at ${at}`;
  },
  (draft, rng) => {
    const at = position(draft, rng);
    const length = someLength(rng, draft.bytes.length - at);
    const fill = pick(rng, [
      () => new Uint8Array(length),
      () => new Uint8Array(length).fill(0xff),
      () => rng.bytes(length),
    ]);
    draft.bytes = overwrite(draft.bytes, at, fill());
    return `overwrite ${length} at ${at}`;
  },
  (draft, rng) => {
    const at = below(rng, draft.bytes.length + 1);
    const length = someLength(rng, 4096);
    draft.bytes = insert(draft.bytes, at, rng.fraction() < 0.3 ? new Uint8Array(length) : rng.bytes(length));
    return `insert ${length} at ${at}`;
  },
  (draft, rng) => {
    const at = position(draft, rng);
    const length = someLength(rng, draft.bytes.length - at);
    draft.bytes = removeBytes(draft.bytes, at, length);
    return `remove ${length} at ${at}`;
  },
  (draft, rng) => {
    const from = position(draft, rng);
    const length = someLength(rng, draft.bytes.length - from);
    const at = below(rng, draft.bytes.length + 1);
    draft.bytes = insert(draft.bytes, at, draft.bytes.slice(from, from + length));
    return `duplicate ${length} of ${from} at ${at}`;
  },
  (draft, rng) => {
    const size = pick(rng, [64, 512, 512, 4096]);
    const [from, to] = [aligned(draft, rng, size), aligned(draft, rng, size)];
    const block = draft.bytes.slice(from, from + size);
    draft.bytes = overwrite(draft.bytes, to, block.subarray(0, Math.max(0, draft.bytes.length - to)));
    return `copy block ${from} of ${size} to ${to}`;
  },
  (draft, rng) => {
    const size = pick(rng, [64, 512, 512, 4096]);
    const [one, other] = [aligned(draft, rng, size), aligned(draft, rng, size)];
    const [left, right] = [Math.min(one, other), Math.max(one, other)];
    const blocks = [draft.bytes.slice(left, left + size), draft.bytes.slice(right, right + size)] as const;
    if (blocks[0].length !== blocks[1].length) return 'nothing';
    draft.bytes = overwrite(overwrite(draft.bytes, left, blocks[1]), right, blocks[0]);
    return `swap blocks ${left} and ${right} of ${size}`;
  },
  (draft, rng) => {
    const size = below(rng, draft.bytes.length + 1);
    draft.bytes = cut(draft.bytes, size);
    return `cut at ${size}`;
  },
  (draft, rng) => {
    const byte = below(rng, 256);
    draft.bytes = withVersion(draft.bytes, byte);
    return `version byte ${byte}`;
  },
  (draft, rng) => {
    const { format } = draft.store;
    const isAlike = rng.fraction() < 0.75;
    const other = storeFrom(rng, isAlike ? [format.version] : VERSIONS);
    const from = below(rng, other.bytes.length);
    const part = other.bytes.subarray(from, from + 1 + below(rng, other.bytes.length - from));
    const at = 1 + below(rng, draft.bytes.length);
    const tail =
      rng.fraction() < 0.5
        ? draft.bytes.subarray(at)
        : draft.bytes.subarray(Math.min(draft.bytes.length, at + part.length));
    draft.bytes = concatBytes(draft.bytes.subarray(0, at), part, tail);
    if (!isAlike) draft.isForeign = true;
    draft.extras.push(...writtenIn(other).map(({ raw }): Written => ({ raw, fate: 'optional' })));
    return `splice ${part.length} of a store of version ${other.format.version} at ${at}`;
  },
];

/** A record where it was at first. */
const someRecord = (draft: Draft, rng: Rng): GoodRecord | undefined => {
  const record = pick(rng, draft.store.records);
  return record !== undefined && record.end <= draft.bytes.length ? record : undefined;
};

const STRUCTURE_MUTATIONS: readonly Mutation[] = [
  // A message that nobody meant, under a checksum that is right.
  (draft, rng) => {
    const { format } = draft.store;
    const record = someRecord(draft, rng);
    if (record === undefined) return 'nothing';
    let message: Uint8Array = record.bytes.slice();
    for (let count = 1 + below(rng, 3); count > 0; count--)
      message = flipBit(message, below(rng, message.length), below(rng, 8));
    if (rng.fraction() < 0.3) message = message.slice(0, 2 + below(rng, message.length));
    if (rng.fraction() < 0.1) message = append(message, rng.bytes(below(rng, 500)));
    if (rng.fraction() < 0.2)
      writeU16(
        message,
        0,
        pick(rng, [256, 257, 258, 3503, 4101, 4103, 4105, 4106, 4107, below(rng, 65_536)]),
      );
    const raw = rec(format, message, { timestamp: record.timestamp, flags: record.flags });
    const isSound = checkMessageFor(format, message, 0, message.length) === undefined;
    draft.extras.push({ raw, fate: isSound ? 'optional' : 'refused' });
    const isInPlace = rng.fraction() < 0.7;
    draft.bytes = isInPlace
      ? concatBytes(draft.bytes.subarray(0, record.position), raw, draft.bytes.subarray(record.end))
      : insert(draft.bytes, below(rng, draft.bytes.length + 1), raw);
    return `a ${record.type} of ${message.length} bytes ${isInPlace ? 'in place of' : 'besides'} ${record.position}`;
  },
  (draft, rng) => {
    const record = someRecord(draft, rng);
    if (record === undefined) return 'nothing';
    const rest = draft.bytes.length - record.position - draft.store.format.headerBytes;
    const length =
      pick(rng, [
        0,
        1,
        2,
        65_535,
        rest,
        rest + 1,
        rest - 1,
        record.length + 1,
        record.length - 1,
        below(rng, 65_536),
      ]) & 0xffff;
    draft.bytes = withLength(draft.bytes, record.position, length);
    return `length ${length} at ${record.position}`;
  },
  (draft, rng) => {
    const record = someRecord(draft, rng);
    if (record === undefined) return 'nothing';
    const flags = pick(rng, [
      record.flags ^ 0x8000,
      record.flags ^ 0x2000,
      record.flags ^ 0x0800,
      record.flags ^ 0x1000,
      below(rng, 65_536),
    ]);
    draft.bytes = withFlags(draft.bytes, record.position, flags);
    return `flags ${flags.toString(16)} at ${record.position}`;
  },
  // Whole records, in places where they do not belong.
  (draft, rng) => {
    const record = someRecord(draft, rng);
    const place = someRecord(draft, rng);
    if (record === undefined || place === undefined) return 'nothing';
    const raw = rawOf(draft.store, record);
    draft.bytes =
      rng.fraction() < 0.5
        ? insert(draft.bytes, place.position, raw)
        : overwrite(draft.bytes, place.position, raw);
    return `the record of ${record.position} at ${place.position}`;
  },
  (draft, rng) => {
    const record = someRecord(draft, rng);
    if (record === undefined) return 'nothing';
    draft.bytes = removeBytes(draft.bytes, record.position, record.end - record.position);
    return `no record at ${record.position}`;
  },
];

const storeFrom = (rng: Rng, versions: readonly number[]): GoodStore =>
  pick(rng, [STORES.rich, STORES.plain])(pick(rng, versions), 1 + below(rng, rng.fraction() < 0.2 ? 9 : 4));

/** The image of one round. */
export const imageOfRound = (seed: number, round: number): Image => {
  const rng = seededRng(seed * 1_000_003 + round);
  const store = storeFrom(rng, VERSIONS);
  const draft: Draft = { store, bytes: store.bytes, extras: [], steps: [], isForeign: false };
  const mutations = [...BYTE_MUTATIONS, ...STRUCTURE_MUTATIONS];
  for (let count = 1 + below(rng, 4); count > 0 && draft.bytes.length > 0; count--)
    draft.steps.push(pick(rng, mutations)(draft, rng));
  const what = `FUZZ_SEED=${seed} FUZZ_ROUND=${round} (${draft.steps.join('; ')})`;
  return imageFrom(store, what, draft.bytes, draft.extras, draft.isForeign);
};

const imageFrom = (
  store: GoodStore,
  what: string,
  bytes: Uint8Array,
  extras: readonly Written[],
  isForeign: boolean,
): Image => {
  const own = writtenIn(store);
  const written = isForeign ? own.map(({ raw }): Written => ({ raw, fate: 'optional' })) : own;
  return imageOf(store, what, bytes, {
    written,
    extras,
    isMixed: true,
    isNoStore: isForeign || bytes.length < 2,
    hidden: [],
  });
};

/** Through every door. Throws on the first broken promise. */
export const judgeRound = async (image: Image): Promise<void> => {
  const { format } = detectFormat(fileOf(image.bytes));
  if (format !== undefined) {
    salvage(image.bytes, format);
    salvage(image.bytes, format, { restoreBits: true, opensDeleted: true, buffer: new Uint8Array(66_000) });
  }
  await judgeImage(image);
};

const corpusFolder = (): string => {
  const wanted = 'test/fuzz/corpus/store_loader';
  for (
    let folder = dirname(fileURLToPath(import.meta.url));
    folder !== dirname(folder);
    folder = dirname(folder)
  )
    if (existsSync(join(folder, wanted))) return join(folder, wanted);
  throw new Error(`no ${wanted} above this file`);
};

/** Records that nobody knows of any more who wrote them, but that stand in the image for all to see. */
const standingIn = (bytes: Uint8Array, store: GoodStore): Written[] =>
  salvage(bytes, store.format)
    .records.filter(({ step, restored }) => step !== 'deleted' && restored === undefined)
    .map(({ step, position, length }) => ({
      raw: bytes.subarray(position, position + store.format.headerBytes + length),
      fate: step === 'live' ? 'optional' : 'refused',
    }));

/** What once failed, by name. */
export const corpus = (): Image[] =>
  readdirSync(corpusFolder())
    .filter((name) => name.endsWith('.bin'))
    .sort()
    .map((name) => {
      const [kind, version, channels] = (name.split('__')[0] ?? '').split('_');
      if (kind !== 'rich' && kind !== 'plain') throw new Error(`the name of ${name} tells no store`);
      const store = STORES[kind](Number(version), Number(channels));
      const bytes = new Uint8Array(readFileSync(join(corpusFolder(), name)));
      return imageFrom(store, name, bytes, standingIn(bytes, store), false);
    });
