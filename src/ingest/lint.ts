/**
 * Rules of BOLT 7 that bind whoever writes a message and that no reader enforces (B7-08, B7-14, B7-27, B7-28, B7-39, B7-40),
 * checked on what is accepted, to tell how well the network keeps them. Never changes a verdict.
 *
 * Each function walks the raw message, which has passed its structural check, and returns the broken rules as bits; nothing is
 * allocated. `Lint.note` counts them under the codes of a closed list (`gossipd_lint_total`).
 * Bounds: one pass over the message; a rule broken several times in a message counts once.
 */
import { compareBytes, readU16, readU32, readU64AsNumber } from '../base/bytes.ts';
import type { Meter } from '../base/meter.ts';
import {
  channelUpdateChannelFlags,
  channelUpdateHtlcMaximumMsat,
  channelUpdateMessageFlags,
  MESSAGE_FLAG_MUST_BE_ONE,
} from '../wire/channel_update.ts';
import {
  nodeAnnouncementAddressBytes,
  nodeAnnouncementAddressesAt,
  nodeAnnouncementAliasAt,
  nodeAnnouncementFeatureBytes,
} from '../wire/node_announcement.ts';

export const LINT_CODES = [
  // channel_announcement
  'announced_before_depth',
  'channel_features_not_minimal',
  // channel_update
  'message_flags_unassigned',
  'channel_flags_unassigned',
  'must_be_one_unset',
  'htlc_maximum_below_minimum',
  'htlc_maximum_above_capacity',
  /** The update itself is ignored before its signature is checked, so nobody vouches for this one. */
  'dont_forward_on_public_channel',
  // both kinds that repeat
  'redundant',
  // node_announcement
  'node_features_not_minimal',
  'alias_not_utf8',
  'alias_not_padded',
  'addresses_not_ascending',
  'address_repeated',
  'address_port_zero',
  'address_type_zero',
  'address_tor_v2',
  'address_not_routable',
  'host_name_not_ascii',
] as const;

export type LintCode = (typeof LINT_CODES)[number];

const BIT = Object.freeze(
  Object.fromEntries(LINT_CODES.map((code, index) => [code, 1 << index])),
) as Readonly<Record<LintCode, number>>;

export const LINT_REDUNDANT: number = BIT.redundant;
export const LINT_BEFORE_DEPTH: number = BIT.announced_before_depth;
export const LINT_DONT_FORWARD: number = BIT.dont_forward_on_public_channel;

export class Lint {
  readonly counts: Record<LintCode, number>;
  readonly #meter: Meter;

  constructor(meter: Meter) {
    this.#meter = meter;
    this.counts = Object.fromEntries(LINT_CODES.map((code) => [code, 0])) as Record<LintCode, number>;
  }

  /** @param broken bits of the broken rules; 0 is the usual case */
  note(broken: number): void {
    if (broken === 0) return;
    for (const code of LINT_CODES) {
      if ((broken & BIT[code]) === 0) continue;
      this.counts[code]++;
      this.#meter.count('gossipd_lint_total', code);
    }
  }
}

/** A feature field of the least length does not start with a zero byte. `lengthAt`: index of its two length bytes. */
const hasPadding = (raw: Uint8Array, lengthAt: number): boolean =>
  readU16(raw, lengthAt) > 0 && raw[lengthAt + 2] === 0;

const CHANNEL_FEATURE_LENGTH_AT = 258;
const NODE_FEATURE_LENGTH_AT = 66;

/** B7-14 */
export const lintChannelAnnouncement = (raw: Uint8Array): number =>
  hasPadding(raw, CHANNEL_FEATURE_LENGTH_AT) ? BIT.channel_features_not_minimal : 0;

const HTLC_MINIMUM_AT = 114;
const HTLC_MAXIMUM_AT = 130;

/** B7-39. @param satoshis the channel's capacity, 0 when nobody knows it */
export const lintChannelUpdate = (raw: Uint8Array, satoshis: number): number => {
  let broken = 0;
  const messageFlags = channelUpdateMessageFlags(raw, 0);
  if ((messageFlags & MESSAGE_FLAG_MUST_BE_ONE) === 0) broken |= BIT.must_be_one_unset;
  // Assigned are two bits of each byte.
  if (messageFlags > 3) broken |= BIT.message_flags_unassigned;
  if (channelUpdateChannelFlags(raw, 0) > 3) broken |= BIT.channel_flags_unassigned;
  if (compareBytes(raw, HTLC_MAXIMUM_AT, raw, HTLC_MINIMUM_AT, 8) < 0)
    broken |= BIT.htlc_maximum_below_minimum;
  if (satoshis > 0 && channelUpdateHtlcMaximumMsat(raw, 0) > satoshis * 1000) {
    broken |= BIT.htlc_maximum_above_capacity;
  }
  return broken;
};

/** B7-27, B7-28 */
export const lintNodeAnnouncement = (raw: Uint8Array): number => {
  const padding =
    nodeAnnouncementFeatureBytes(raw, 0) > 0 && hasPadding(raw, NODE_FEATURE_LENGTH_AT)
      ? BIT.node_features_not_minimal
      : 0;
  const from = nodeAnnouncementAddressesAt(raw, 0);
  const addresses = lintAddresses(raw, from, from + nodeAnnouncementAddressBytes(raw, 0));
  return padding | lintAlias(raw, nodeAnnouncementAliasAt(raw, 0)) | addresses;
};

const ALIAS_BYTES = 32;

const lintAlias = (raw: Uint8Array, at: number): number => {
  let end = at;
  while (end < at + ALIAS_BYTES && raw[end] !== 0) end++;
  let broken = isUtf8(raw, at, end) ? 0 : BIT.alias_not_utf8;
  for (let index = end; index < at + ALIAS_BYTES; index++) {
    if (raw[index] !== 0) broken |= BIT.alias_not_padded;
  }
  return broken;
};

/** RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
const isUtf8 = (bytes: Uint8Array, from: number, end: number): boolean => {
  let at = from;
  while (at < end) {
    const lead = bytes[at] as number;
    const more =
      lead < 0x80 ? 0 : lead < 0xc2 ? -1 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : lead < 0xf5 ? 3 : -1;
    if (more < 0 || at + more >= end) return false;
    for (let index = 1; index <= more; index++) {
      if (((bytes[at + index] as number) & 0xc0) !== 0x80) return false;
    }
    const second = bytes[at + 1] as number;
    const isOutside =
      (lead === 0xe0 && second < 0xa0) ||
      (lead === 0xed && second >= 0xa0) ||
      (lead === 0xf0 && second < 0x90) ||
      (lead === 0xf4 && second >= 0x90);
    if (isOutside) return false;
    at += more + 1;
  }
  return true;
};

const IPV4 = 1;
const IPV6 = 2;
const TOR_V2 = 3;
const TOR_V3 = 4;
const DNS = 5;

/** Bytes with type and port of the descriptor at `at`; 0 for a type whose length nobody knows. */
const descriptorBytes = (raw: Uint8Array, at: number): number => {
  switch (raw[at]) {
    case IPV4:
      return 7;
    case IPV6:
      return 19;
    case TOR_V2:
      return 13;
    case TOR_V3:
      return 38;
    case DNS:
      return 4 + (raw[at + 1] as number);
  }
  return 0;
};

/** Repeats are looked for among neighbours only, where a list in order has them: a long list must stay cheap. */
const lintAddresses = (raw: Uint8Array, from: number, end: number): number => {
  let broken = 0;
  let previous = from;
  let previousBytes = 0;
  let at = from;
  while (at < end) {
    const type = raw[at] as number;
    if (previousBytes > 0 && type < (raw[previous] as number)) broken |= BIT.addresses_not_ascending;
    if (type === 0) broken |= BIT.address_type_zero;
    const length = descriptorBytes(raw, at);
    // B7-19: what follows an unknown type cannot be read.
    if (length === 0 || at + length > end) break;
    if (length === previousBytes && compareBytes(raw, previous, raw, at, length) === 0) {
      broken |= BIT.address_repeated;
    }
    broken |= lintAddress(raw, at, length);
    previous = at;
    previousBytes = length;
    at += length;
  }
  return broken;
};

const lintAddress = (raw: Uint8Array, at: number, length: number): number => {
  let broken = readU16(raw, at + length - 2) === 0 ? BIT.address_port_zero : 0;
  switch (raw[at]) {
    case IPV4:
      if (!isRoutableIpv4(raw, at + 1)) broken |= BIT.address_not_routable;
      break;
    case IPV6:
      if (!isRoutableIpv6(raw, at + 1)) broken |= BIT.address_not_routable;
      break;
    case TOR_V2:
      broken |= BIT.address_tor_v2;
      break;
    case DNS:
      for (let index = at + 2; index < at + length - 2; index++) {
        if ((raw[index] as number) >= 0x80) broken |= BIT.host_name_not_ascii;
      }
      break;
  }
  return broken;
};

/** RFC 6890: not this network, private, shared, loopback, link-local, multicast or reserved. */
const isRoutableIpv4 = (raw: Uint8Array, at: number): boolean => {
  const first = raw[at] as number;
  const second = raw[at + 1] as number;
  if (first === 0 || first === 10 || first === 127 || first >= 224) return false;
  if (first === 100) return second < 64 || second > 127;
  if (first === 169) return second !== 254;
  if (first === 172) return second < 16 || second > 31;
  return first !== 192 || second !== 168;
};

/** Not unspecified, loopback, unique-local, link-local or multicast. */
const isRoutableIpv6 = (raw: Uint8Array, at: number): boolean => {
  const first = readU16(raw, at);
  if ((first & 0xfe00) === 0xfc00 || (first & 0xffc0) === 0xfe80 || first >= 0xff00) return false;
  const isAllZero = readU64AsNumber(raw, at) === 0 && readU32(raw, at + 8) === 0;
  return !isAllZero || readU32(raw, at + 12) > 1;
};
