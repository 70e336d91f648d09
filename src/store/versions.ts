/**
 * What each version of the gossip_store looks like, 3 to 16: header, checksum, flags, record types; and which one a file has.
 *
 * The salvage reader, the audit, conversion and repair read old and damaged files by it; the daemon writes version 16 only.
 * Versions 0 to 2 were discarded by every release that could meet them. A minor version above 16 is read as 16: that is what
 * the lower five bits of the version byte promise. `detectFormat` believes the byte unless the records contradict
 * it: files with a zero there were left behind for years by one release, and a flipped bit makes any version of another.
 */
import { readU16, readU32 } from '../base/bytes.ts';
import { crc32c } from '../wire/crc32c.ts';
import { legacyCrc32c } from '../wire/crc32c_legacy.ts';
import type { WireFaultKind } from '../wire/fault.ts';
import { checkStoreMessage } from '../wire/gossip_store_messages.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import {
  checkObsoleteMessage,
  checkOldChannelUpdate,
  OBSOLETE_TYPE,
  SHORT_CHANNEL_UPDATE_BYTES,
} from '../wire/obsolete_store_messages.ts';
import {
  FLAG_COMPLETED,
  FLAG_DELETED,
  FLAG_DYING,
  GOSSIP_STORE_CHAN_DYING,
  GOSSIP_STORE_CHANNEL_AMOUNT,
  GOSSIP_STORE_DELETE_CHAN,
  GOSSIP_STORE_ENDED,
  GOSSIP_STORE_UUID,
} from '../wire/store_record.ts';
import { EMPTY_STORE_BYTES } from './format.ts';
import type { StoreFile } from './store_file.ts';

/** Versions 7 to 12: our own gossip, sent whatever a peer's filter says. Left behind in later files by upgrades. */
export const FLAG_PUSH = 0x4000;
/** Versions 10 to 13: more updates than allowed, not forwarded. The bit is COMPLETED from version 15 on; 14 may have it left over. */
export const FLAG_RATELIMIT = 0x2000;
/** Versions 12 and 13: kept although its updates have expired. */
export const FLAG_ZOMBIE = 0x1000;

export interface StoreFormat {
  readonly version: number;
  /** 8: u32 length, u32 crc (versions 3, 4 and early 5). 12: with the timestamp behind them. */
  readonly headerBytes: 8 | 12;
  /** `legacy`: the wrong CRC-32C of versions 2 to 6; its seed is the header timestamp only where headers have 12 bytes. */
  readonly checksum: 'crc32c' | 'legacy';
  /** Readers stop at a record without FLAG_COMPLETED. */
  readonly hasCompleted: boolean;
  /** The first record is the file's uuid. */
  readonly hasUuid: boolean;
  /** Messages lie inside records of types 4096 to 4100. */
  readonly wrapsMessages: boolean;
  /** Record types that this version may hold. */
  readonly types: ReadonlySet<number>;
  /** Flag bits that a sound record may have: those that mean something, and those that upgrades left behind. */
  readonly flags: number;
  /** Size of a file without gossip. */
  readonly emptyBytes: number;
}

export const OLDEST_READABLE_VERSION = 3;
export const NEWEST_KNOWN_VERSION = 16;
/** The minor version has five bits. */
const MAX_MINOR = 0x1f;
export const WRITABLE_VERSIONS = [14, 15, 16] as const;
export type WritableVersion = (typeof WRITABLE_VERSIONS)[number];

const { channel_announcement, node_announcement, channel_update } = MESSAGE_TYPE;

const typesOf = (version: number): ReadonlySet<number> => {
  if (version <= 3) return new Set([4096, 4097, 4098, 4099, 4100]);
  const types = new Set<number>([
    channel_announcement,
    node_announcement,
    channel_update,
    GOSSIP_STORE_CHANNEL_AMOUNT,
  ]);
  if (version <= 8) types.add(OBSOLETE_TYPE.local_add_channel);
  if (version <= 12) types.add(OBSOLETE_TYPE.private_update);
  if (version >= 8) types.add(GOSSIP_STORE_DELETE_CHAN);
  if (version >= 9 && version <= 12) types.add(OBSOLETE_TYPE.private_channel);
  if (version >= 9) types.add(GOSSIP_STORE_ENDED);
  if (version >= 11) types.add(GOSSIP_STORE_CHAN_DYING);
  if (version >= 16) types.add(GOSSIP_STORE_UUID);
  return types;
};

const flagsOf = (version: number): number => {
  if (version <= 4) return 0;
  if (version <= 6) return FLAG_DELETED;
  const old = FLAG_DELETED | FLAG_PUSH;
  if (version <= 9) return old;
  // From 10 on 0x2000 is RATELIMIT, left over RATELIMIT (14), or COMPLETED.
  if (version <= 11) return old | FLAG_RATELIMIT;
  if (version <= 13) return old | FLAG_RATELIMIT | FLAG_ZOMBIE | FLAG_DYING;
  return old | FLAG_COMPLETED | FLAG_DYING;
};

const describe = (version: number, headerBytes: 8 | 12): StoreFormat => ({
  version,
  headerBytes,
  checksum: version <= 6 ? 'legacy' : 'crc32c',
  hasCompleted: version >= 15,
  hasUuid: version >= 16,
  wrapsMessages: version <= 3,
  types: typesOf(version),
  flags: flagsOf(version),
  emptyBytes: version >= 16 ? EMPTY_STORE_BYTES : 1,
});

const FORMATS: ReadonlyMap<number, StoreFormat> = new Map(
  Array.from({ length: MAX_MINOR - OLDEST_READABLE_VERSION + 1 }, (_, index) => {
    const version = OLDEST_READABLE_VERSION + index;
    return [version, describe(version, version <= 4 ? 8 : 12)];
  }),
);

/** Version 5 before its headers grew: records can be deleted, but have no timestamp. */
export const earlyFormat5: StoreFormat = describe(5, 8);

/**
 * The format of a version byte; of 5 the later one. 17 to 31 are read like 16. Undefined below 3 and where the major version
 * (upper three bits) is not 0.
 */
export const storeFormat = (version: number): StoreFormat | undefined => FORMATS.get(version);

/** The checksum that a record's header should hold. @param timestamp ignored where headers have none */
export const recordChecksum = (
  format: StoreFormat,
  timestamp: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): number =>
  format.checksum === 'crc32c'
    ? crc32c(timestamp, bytes, start, end)
    : legacyCrc32c(format.headerBytes === 12 ? timestamp : 0, bytes, start, end);

/**
 * Structural check of a record's message by the rules of its version; undefined when it may stand in such a file.
 *
 * @param at index of the type in `bytes`
 * @param length message length as in the header; the caller vouches that so many bytes are there
 */
export const checkMessageFor = (
  format: StoreFormat,
  bytes: Uint8Array,
  at: number,
  length: number,
): WireFaultKind | 'unknown_record_type' | undefined => {
  if (format.version >= NEWEST_KNOWN_VERSION) return checkStoreMessage(bytes, at, length);
  if (length < 2) return 'too_short';
  const type = readU16(bytes, at);
  if (!format.types.has(type)) return 'unknown_record_type';
  if (type === channel_update && format.version <= 10) return checkOldChannelUpdate(length);
  const fault = checkStoreMessage(bytes, at, length);
  return fault === 'unknown_record_type' ? checkObsoleteMessage(bytes, at, length) : fault;
};

/** How much of a file is looked at to tell its format. */
const SNIFF_BYTES = 1024 * 1024;
/** So many sound records at the start confirm a version byte. */
const CONFIRMING_RECORDS = 16;
/** Fewer records than this without FLAG_COMPLETED may be what a crash left behind. */
const MIN_COMPLETED_EVIDENCE = 3;

/** What the records that verify under one layout show. */
interface Evidence {
  records: number;
  completed: number;
  /** All flags together. */
  flags: number;
  firstType: number;
  readonly types: Set<number>;
  shortUpdates: boolean;
  /** Records whose type or flags the layout's version does not have. */
  strange: number;
  /** Records of version 3, whose layout is that of 4. */
  wrapped: number;
}

const { wrapped_channel_announcement, wrapped_local_add_channel } = OBSOLETE_TYPE;

/** 16 for the right checksum, 6 and 4 for the wrong one behind headers of 12 and 8 bytes. */
const LAYOUTS = [describe(16, 12), describe(6, 12), describe(4, 8)] as const;

const KNOWN_TYPES: ReadonlySet<number> = new Set(
  [3, 4, 8, 12, 16].flatMap((version) => [...typesOf(version)]),
);

/** Collects evidence from the first `filled` bytes of a file, byte by byte where no record verifies. */
const gather = (layout: StoreFormat, bytes: Uint8Array, filled: number, enough: number): Evidence => {
  const evidence: Evidence = {
    records: 0,
    completed: 0,
    flags: 0,
    firstType: 0,
    types: new Set(),
    shortUpdates: false,
    strange: 0,
    wrapped: 0,
  };
  const header = layout.headerBytes;
  for (let at = 1; at + header + 2 <= filled && evidence.records < enough; ) {
    const length = readU16(bytes, at + 2);
    const message = at + header;
    const end = message + length;
    const type = readU16(bytes, message);
    if (length >= 2 && end <= filled && KNOWN_TYPES.has(type)) {
      const timestamp = header === 12 ? readU32(bytes, at + 8) : 0;
      if (recordChecksum(layout, timestamp, bytes, message, end) === readU32(bytes, at + 4)) {
        const flags = readU16(bytes, at);
        if (evidence.records === 0 && at === 1) evidence.firstType = type;
        evidence.records++;
        evidence.flags |= flags;
        if ((flags & FLAG_COMPLETED) !== 0) evidence.completed++;
        if ((flags & ~layout.flags) !== 0 || !layout.types.has(type)) evidence.strange++;
        if (type >= wrapped_channel_announcement && type <= wrapped_local_add_channel) evidence.wrapped++;
        evidence.types.add(type);
        if (type === channel_update && length === SHORT_CHANNEL_UPDATE_BYTES) evidence.shortUpdates = true;
        at = end;
        continue;
      }
    }
    at++;
  }
  return evidence;
};

/** Versions 7 to 16 differ only in what their records hold. The newest that explains everything, as far as that can be told. */
const versionFromContent = (evidence: Evidence): number => {
  const { types, flags, records, completed, shortUpdates } = evidence;
  if (types.has(GOSSIP_STORE_UUID)) return 16;
  // Before 15 the bit is rare. No checksum covers flags: one damaged header must not outvote all others.
  if (completed * 2 > records) return 15;
  if (types.has(OBSOLETE_TYPE.local_add_channel)) return types.has(GOSSIP_STORE_DELETE_CHAN) ? 8 : 7;
  if (shortUpdates) return (flags & FLAG_RATELIMIT) === 0 ? 9 : 10;
  const isPrivate = types.has(OBSOLETE_TYPE.private_channel) || types.has(OBSOLETE_TYPE.private_update);
  return isPrivate || (flags & FLAG_ZOMBIE) !== 0 ? 12 : 14;
};

const formatFromContent = (bytes: Uint8Array, filled: number): StoreFormat | undefined => {
  let best: Evidence | undefined;
  let layout: StoreFormat | undefined;
  for (const candidate of LAYOUTS) {
    const evidence = gather(candidate, bytes, filled, Number.POSITIVE_INFINITY);
    if (evidence.records > (best?.records ?? 0)) {
      best = evidence;
      layout = candidate;
    }
  }
  if (best === undefined || layout === undefined) return undefined;
  if (layout.checksum === 'crc32c') return storeFormat(versionFromContent(best));
  if (layout.headerBytes === 12) return storeFormat(6);
  if (best.wrapped * 2 > best.records) return storeFormat(3);
  return (best.flags & FLAG_DELETED) === 0 ? storeFormat(4) : earlyFormat5;
};

/** Whether what the file starts with is what such a file starts with. */
const isConfirmed = (format: StoreFormat, evidence: Evidence): boolean => {
  if (evidence.records === 0) return false;
  if (evidence.firstType === GOSSIP_STORE_UUID) return format.hasUuid;
  // Most records have what came later, or what 3 wraps and 4 does not: the byte is damaged, and by it they could not be found.
  if (evidence.strange * 2 > evidence.records) return false;
  if (evidence.records < MIN_COMPLETED_EVIDENCE) return true;
  const isMarked = evidence.completed * 2 > evidence.records;
  // Up to version 13 the bit is rare or means nothing; 14 may be full of what was left over.
  return format.hasCompleted ? isMarked : !isMarked || format.version === 14;
};

const readStart = (file: StoreFile, wanted: number): Uint8Array => {
  const bytes = new Uint8Array(Math.max(0, Math.min(wanted, file.size())));
  return bytes.subarray(0, file.read(bytes, 0, bytes.length, 0));
};

/**
 * Which format the records verify under, whatever the version byte says; undefined when none does: not a store, or one
 * without records. Looks at the first 1 MiB at most, also behind damage inside it.
 *
 * @throws OperationalError when the disk refuses
 */
export const sniffFormat = (file: StoreFile): StoreFormat | undefined => {
  const bytes = readStart(file, SNIFF_BYTES);
  return formatFromContent(bytes, bytes.length);
};

export type DetectedFormat =
  | {
      readonly format: StoreFormat;
      readonly versionByte: number;
      /** The version byte is wrong, or names no version. */
      readonly sniffed: boolean;
    }
  | {
      readonly format: undefined;
      /** Undefined for an empty file. */
      readonly versionByte: number | undefined;
    };

/**
 * The format of the version byte, unless that is no version, or the records verify only under another.
 *
 * @throws OperationalError when the disk refuses
 */
export const detectFormat = (file: StoreFile): DetectedFormat => {
  const bytes = readStart(file, SNIFF_BYTES);
  const versionByte = bytes[0];
  if (versionByte === undefined) return { format: undefined, versionByte };
  const named = storeFormat(versionByte);
  if (named !== undefined && isConfirmed(named, gather(named, bytes, bytes.length, CONFIRMING_RECORDS)))
    return { format: named, versionByte, sniffed: false };
  if (versionByte === earlyFormat5.version) {
    const early = gather(earlyFormat5, bytes, bytes.length, CONFIRMING_RECORDS);
    if (isConfirmed(earlyFormat5, early)) return { format: earlyFormat5, versionByte, sniffed: false };
  }
  const shown = formatFromContent(bytes, bytes.length);
  if (shown !== undefined) return { format: shown, versionByte, sniffed: shown.version !== versionByte };
  return named === undefined
    ? { format: undefined, versionByte }
    : { format: named, versionByte, sniffed: false };
};
