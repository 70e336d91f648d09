/**
 * Cursor tokens of a tail, and how it recognises a file that it has read before.
 *
 * tail.ts gives every event a token and takes one back to go on behind that event. A file is recognised by its head (the
 * content of its first record: the uuid from version 16 on) and by an anchor, the last record that was read: the same message
 * must still lie at the same position. Neither header timestamps nor flags count, because writers change them in place.
 * A token is ASCII without spaces and stays valid for as long as somebody keeps it; it carries no secret and is checked
 * by a checksum against cutting and mixing.
 */
import { readU32 } from '../base/bytes.ts';
import { crc32c } from '../wire/crc32c.ts';
import { RECORD_HEADER_BYTES } from '../wire/store_record.ts';
import { FIRST_RECORD_POSITION, headerLength, MAX_RECORD_BYTES } from './format.ts';
import type { StoreFile } from './store_file.ts';

/** A record that was read, by its content. */
export interface Anchor {
  /** Header position; 0 for none. */
  readonly position: number;
  /** Of the message. */
  readonly length: number;
  /** CRC-32C of the message, from 0. */
  readonly content: number;
}

export const NO_ANCHOR: Anchor = { position: 0, length: 0, content: 0 };

/** A place in a file that was read, complete enough to find it again. */
export interface TailPlace {
  /** Of the file; '' while its first record is not there. */
  readonly head: string;
  /** Header position at which reading goes on. */
  readonly position: number;
  readonly anchor: Anchor;
  /** The file was still being compared with the one before it: reading it starts over. */
  readonly comparing: boolean;
}

export interface TailToken extends TailPlace {
  /** Of the tail that told the event, eight hex digits. */
  readonly stream: string;
  /** Counts the stream's events from 1. */
  readonly sequence: number;
}

/** How much of the first record's message tells files apart. */
const HEAD_BYTES = 512;

/** FNV-1a, 32 bits: independent of the checksum that the writer used. */
export const fnv1a = (bytes: Uint8Array, start: number, end: number): number => {
  let hash = 0x811c9dc5;
  for (let index = start; index < end; index++) hash = Math.imul(hash ^ (bytes[index] as number), 0x01000193);
  return hash >>> 0;
};

const hex8 = (value: number): string => value.toString(16).padStart(8, '0');

/** 16 hex digits that name the file by its first record; '' while that is not there. Throws what reading throws. */
export const headOf = (file: StoreFile): string => {
  const bytes = new Uint8Array(RECORD_HEADER_BYTES + HEAD_BYTES);
  const got = file.read(bytes, 0, bytes.length, FIRST_RECORD_POSITION);
  if (got <= RECORD_HEADER_BYTES) return '';
  const length = headerLength(bytes, 0);
  const end = RECORD_HEADER_BYTES + Math.min(length, HEAD_BYTES);
  if (length < 2 || got < end) return '';
  const message = bytes.subarray(RECORD_HEADER_BYTES, end);
  return hex8(crc32c(length, message, 0, message.length)) + hex8(fnv1a(message, 0, message.length));
};

export const anchorOf = (position: number, bytes: Uint8Array, at: number, length: number): Anchor => ({
  position,
  length,
  content: crc32c(0, bytes, at, at + length),
});

/** True if the record is still where it was. An anchor of 0 holds in every file. Throws what reading throws. */
export const holdsAnchor = (file: StoreFile, { position, length, content }: Anchor): boolean => {
  if (position === 0) return true;
  const size = RECORD_HEADER_BYTES + length;
  if (length < 2 || size > MAX_RECORD_BYTES || position + size > file.size()) return false;
  const bytes = new Uint8Array(size);
  if (file.read(bytes, 0, size, position) < size || headerLength(bytes, 0) !== length) return false;
  return crc32c(0, bytes, RECORD_HEADER_BYTES, size) === content;
};

/** Position behind the anchor's record. */
export const anchorEnd = ({ position, length }: Anchor): number =>
  position === 0 ? FIRST_RECORD_POSITION : position + RECORD_HEADER_BYTES + length;

/**
 * True if `file` is the one in which the place is, and has at least what was read of it. A place that is not directly behind
 * its anchor holds nowhere: in a compacted file with the same beginning it would lie in the middle of something else.
 */
export const holdsPlace = (file: StoreFile, place: TailPlace): boolean =>
  !place.comparing &&
  place.position <= file.size() &&
  place.position === anchorEnd(place.anchor) &&
  (place.head === '' ? place.position <= FIRST_RECORD_POSITION : place.head === headOf(file)) &&
  holdsAnchor(file, place.anchor);

const RADIX = 36;
/** 2^53 has eleven digits. */
const NUMBER = '[0-9a-z]{1,11}';
const TOKEN = new RegExp(
  `^1-([0-9a-f]{8})-(${NUMBER})-([0-9a-f]{16})?-(${NUMBER})-(${NUMBER})-(${NUMBER})-([0-9a-f]{8})-([ec])-([0-9a-f]{8})$`,
);

/** FNV-1a of ASCII text. */
const checksum = (text: string): string => {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hex8(hash >>> 0);
};

export const formatToken = ({ stream, sequence, head, position, anchor, comparing }: TailToken): string => {
  const text =
    `1-${stream}-${sequence.toString(RADIX)}-${head}-${position.toString(RADIX)}-${anchor.position.toString(RADIX)}-` +
    `${anchor.length.toString(RADIX)}-${hex8(anchor.content)}-${comparing ? 'c' : 'e'}`;
  return `${text}-${checksum(text)}`;
};

/** Undefined for what formatToken has not made. */
export const parseToken = (text: string): TailToken | undefined => {
  const parts = TOKEN.exec(text);
  if (parts === null || checksum(text.slice(0, -9)) !== parts[9]) return undefined;
  const number = (index: number): number => Number.parseInt(parts[index] ?? '', RADIX);
  const content = Uint8Array.from(parts[7]?.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
  const token: TailToken = {
    stream: parts[1] ?? '',
    sequence: number(2),
    head: parts[3] ?? '',
    position: number(4),
    anchor: { position: number(5), length: number(6), content: readU32(content, 0) },
    comparing: parts[8] === 'c',
  };
  const numbers = [token.sequence, token.position, token.anchor.position, token.anchor.length];
  return numbers.every(Number.isSafeInteger) && token.position >= FIRST_RECORD_POSITION ? token : undefined;
};
