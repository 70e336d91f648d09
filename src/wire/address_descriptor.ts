/**
 * Address descriptors: where a node can be dialled (BOLT 7, node_announcement; also remote_addr of BOLT 1, init).
 *
 * One descriptor is a type byte and a body: 1 IPv4 (4 + 2 port), 2 IPv6 (16 + 2), 3 Tor v2 (12, ignored, B7-25),
 * 4 Tor v3 (35 + 2), 5 DNS host name (length byte, name, 2). A list is their concatenation in ascending order of type.
 * Text form is `host:port`, with brackets around IPv6. Reading never throws; a list of at most 65535 bytes (addrlen is
 * a u16) yields at most 65535 / 7 = 9362 descriptors, 7 bytes being the shortest that is kept.
 * Host names with characters that no DNS name has are dropped here, so that a `host` is safe to print and to log.
 */

import { readU16, writeU16 } from '../base/bytes.ts';
import { assert } from '../base/errors.ts';

/**
 * A dialable address. The host is text: dotted IPv4, RFC 5952 IPv6 without brackets, `….onion`, or a DNS name.
 * The port is 1 to 65535.
 */
export type AddressDescriptor =
  | { readonly kind: 'ipv4'; readonly host: string; readonly port: number }
  | { readonly kind: 'ipv6'; readonly host: string; readonly port: number }
  /** 56 lowercase base32 characters and `.onion`. */
  | { readonly kind: 'torv3'; readonly host: string; readonly port: number }
  | { readonly kind: 'dns'; readonly host: string; readonly port: number };

const IPV4 = 1;
const IPV6 = 2;
const TOR_V2 = 3;
const TOR_V3 = 4;
const DNS = 5;

const IPV4_BYTES = 4;
const IPV6_BYTES = 16;
const ONION_BYTES = 35;
const PORT_BYTES = 2;

/** Why a list of descriptors is not as it should be. */
export type AddressProblem = 'addresses_too_short' | 'second_dns';

export interface DecodedAddresses {
  /** In the order of the wire, without those that are ignored. */
  readonly addresses: AddressDescriptor[];
  /** `addresses_too_short`: a known type's body runs past the end (B7-20). `second_dns`: do not forward (B7-26). */
  readonly problem?: AddressProblem;
}

/** Bytes after the type at `at`; undefined for an unknown type, infinite if even the length of the body is cut off. */
const bodyBytes = (bytes: Uint8Array, at: number): number | undefined => {
  switch (bytes[at]) {
    case IPV4:
      return IPV4_BYTES + PORT_BYTES;
    case IPV6:
      return IPV6_BYTES + PORT_BYTES;
    case TOR_V2:
      return 12;
    case TOR_V3:
      return ONION_BYTES + PORT_BYTES;
    case DNS: {
      const hostBytes = bytes[at + 1];
      return hostBytes === undefined ? Number.POSITIVE_INFINITY : 1 + hostBytes + PORT_BYTES;
    }
    default:
      return undefined;
  }
};

/** Reads the complete descriptor at `at`, whose body ends at `end`; undefined when it is to be ignored. */
const readDescriptor = (bytes: Uint8Array, at: number, end: number): AddressDescriptor | undefined => {
  const port = readU16(bytes, end - PORT_BYTES);
  if (port === 0) return undefined; // B7-21; for Tor v2, ignored anyway, these are its port bytes too
  switch (bytes[at]) {
    case IPV4:
      return { kind: 'ipv4', host: bytes.subarray(at + 1, at + 1 + IPV4_BYTES).join('.'), port };
    case IPV6:
      return { kind: 'ipv6', host: formatIpv6(bytes, at + 1), port };
    case TOR_V3:
      return { kind: 'torv3', host: `${toBase32(bytes, at + 1, at + 1 + ONION_BYTES)}.onion`, port };
    case DNS: {
      const host = String.fromCharCode(...bytes.subarray(at + 2, end - PORT_BYTES));
      return isHostName(host) ? { kind: 'dns', host, port } : undefined;
    }
    default:
      return undefined;
  }
};

/**
 * Reads a list of descriptors (BOLT 7, node_announcement, `addresses`).
 * Ignored: Tor v2 (B7-25), port 0 (B7-21), host names that are none, DNS names after the first (B7-26). An unknown type
 * ends the list, since its length is unknown; what came before it counts (B7-19).
 */
export const decodeAddresses = (bytes: Uint8Array): DecodedAddresses => {
  const addresses: AddressDescriptor[] = [];
  let dnsSeen = false;
  let secondDns = false;
  let at = 0;
  while (at < bytes.length) {
    const body = bodyBytes(bytes, at);
    if (body === undefined) break;
    const end = at + 1 + body;
    if (end > bytes.length) return { addresses, problem: 'addresses_too_short' };
    const isDns = bytes[at] === DNS;
    if (isDns && dnsSeen) secondDns = true;
    else {
      const address = readDescriptor(bytes, at, end);
      if (address !== undefined) addresses.push(address);
    }
    dnsSeen ||= isDns;
    at = end;
  }
  return secondDns ? { addresses, problem: 'second_dns' } : { addresses };
};

/**
 * Reads bytes that hold one descriptor and nothing else (BOLT 1, init, `remote_addr`). Undefined when it is of an unknown
 * type or to be ignored; `bad_length` when there are too few or too many bytes for its type.
 */
export const decodeSingleAddress = (bytes: Uint8Array): AddressDescriptor | undefined | 'bad_length' => {
  if (bytes.length === 0) return 'bad_length';
  const body = bodyBytes(bytes, 0);
  if (body === undefined) return undefined;
  return bytes.length === 1 + body ? readDescriptor(bytes, 0, bytes.length) : 'bad_length';
};

const descriptor = (type: number, body: Uint8Array, port: number): Uint8Array => {
  assert(Number.isInteger(port) && port > 0 && port <= 0xffff, 'port out of range');
  const bytes = new Uint8Array(1 + body.length + PORT_BYTES);
  bytes[0] = type;
  bytes.set(body, 1);
  writeU16(bytes, 1 + body.length, port);
  return bytes;
};

/** One descriptor, type byte included. Throws Bug on a host or port that is not of its kind: check with `parseAddress`. */
export const encodeAddress = (address: AddressDescriptor): Uint8Array => {
  switch (address.kind) {
    case 'ipv4': {
      const body = parseIpv4(address.host);
      assert(body !== undefined, 'not an IPv4 address');
      return descriptor(IPV4, body, address.port);
    }
    case 'ipv6': {
      const body = parseIpv6(address.host);
      assert(body !== undefined, 'not an IPv6 address');
      return descriptor(IPV6, body, address.port);
    }
    case 'torv3': {
      const body = parseOnion(address.host);
      assert(body !== undefined, 'not a Tor v3 address');
      return descriptor(TOR_V3, body, address.port);
    }
    case 'dns': {
      assert(isHostName(address.host), 'not a host name');
      const body = new Uint8Array(1 + address.host.length);
      body[0] = address.host.length;
      for (let index = 0; index < address.host.length; index++)
        body[index + 1] = address.host.charCodeAt(index);
      return descriptor(DNS, body, address.port);
    }
  }
};

/** `host:port`, with brackets around an IPv6 host. `parseAddress` reads it back. */
export const formatAddress = (address: AddressDescriptor): string =>
  address.kind === 'ipv6' ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;

/**
 * Reads `host:port`, `[ipv6]:port`, or a host alone when `defaultPort` is given. Onion hosts and IPv6 come back in their
 * canonical spelling. Undefined if the text is no address, or its port is not 1 to 65535.
 */
export const parseAddress = (text: string, defaultPort?: number): AddressDescriptor | undefined => {
  const trimmed = text.trim();
  if (defaultPort !== undefined && parseIpv6(trimmed) !== undefined) return addressOf(trimmed, defaultPort);
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(trimmed);
  if (parts === null) return undefined;
  const [, bracketed, bare, portText] = parts;
  const port = portText === undefined ? defaultPort : Number(portText);
  if (port === undefined || port < 1 || port > 0xffff) return undefined;
  if (bracketed !== undefined)
    return parseIpv6(bracketed) === undefined ? undefined : addressOf(bracketed, port);
  return bare === undefined ? undefined : addressOf(bare, port);
};

const addressOf = (host: string, port: number): AddressDescriptor | undefined => {
  const ipv6 = parseIpv6(host);
  if (ipv6 !== undefined) return { kind: 'ipv6', host: formatIpv6(ipv6, 0), port };
  if (parseIpv4(host) !== undefined) return { kind: 'ipv4', host, port };
  if (parseOnion(host) !== undefined) return { kind: 'torv3', host: host.toLowerCase(), port };
  return isHostName(host) ? { kind: 'dns', host, port } : undefined;
};

/**
 * Letters, digits, hyphens, underscores and dots in labels of 1 to 63, 255 characters at most. The last label may not be
 * a number or `onion`, which would make the name look like an address of another kind.
 */
const isHostName = (host: string): boolean => {
  if (host.length > 255 || !/^[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?$/.test(host)) return false;
  return !/(?:^|\.)(?:\d+|onion)\.?$/i.test(host);
};

const parseIpv4 = (host: string): Uint8Array | undefined => {
  if (!/^(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3}$/.test(host)) return undefined;
  const parts = host.split('.').map(Number);
  return parts.every((part) => part <= 255) ? Uint8Array.from(parts) : undefined;
};

/** Groups of one side of `::`; undefined if one is not 1 to 4 hex digits. An IPv4 tail counts as two groups. */
const ipv6Groups = (text: string): number[] | undefined => {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16));
    else {
      const ipv4 = index === parts.length - 1 ? parseIpv4(part) : undefined;
      if (ipv4 === undefined) return undefined;
      groups.push(readU16(ipv4, 0), readU16(ipv4, 2));
    }
  }
  return groups;
};

const parseIpv6 = (host: string): Uint8Array | undefined => {
  if (host.length > 45 || !host.includes(':')) return undefined; // 45: eight groups of four, the last two as IPv4
  const sides = host.split('::');
  const [left, right] = [ipv6Groups(sides[0] ?? ''), ipv6Groups(sides[1] ?? '')];
  if (left === undefined || right === undefined || sides.length > 2) return undefined;
  const given = left.length + right.length;
  if (sides.length === 2 ? given > 7 || (sides[0] ?? '').includes('.') : given !== 8) return undefined;
  const bytes = new Uint8Array(IPV6_BYTES);
  for (const [index, group] of left.entries()) writeU16(bytes, index * 2, group);
  for (const [index, group] of right.entries())
    writeU16(bytes, IPV6_BYTES - (right.length - index) * 2, group);
  return bytes;
};

/** RFC 5952: lowercase, no leading zeros, the first longest run of two or more zero groups as `::`. */
const formatIpv6 = (bytes: Uint8Array, at: number): string => {
  const groups = Array.from({ length: 8 }, (_, index) => readU16(bytes, at + index * 2));
  let [bestFrom, bestLength] = [0, 1];
  for (let from = 0; from < 8; from++) {
    let end = from;
    while (end < 8 && groups[end] === 0) end++;
    if (end - from > bestLength) [bestFrom, bestLength] = [from, end - from];
  }
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  if (bestLength < 2) return text(groups);
  return `${text(groups.slice(0, bestFrom))}::${text(groups.slice(bestFrom + bestLength))}`;
};

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** RFC 4648 base32, lowercase, for lengths that are a multiple of five bytes. */
const toBase32 = (bytes: Uint8Array, start: number, end: number): string => {
  let text = '';
  let [bits, count] = [0, 0];
  for (let at = start; at < end; at++) {
    bits = ((bits << 8) | (bytes[at] as number)) & 0xfff; // at most 4 bits are left over before each byte
    for (count += 8; count >= 5; count -= 5) text += BASE32[(bits >>> (count - 5)) & 31];
  }
  return text;
};

const parseOnion = (host: string): Uint8Array | undefined => {
  const match = /^([a-z2-7]{56})\.onion$/i.exec(host);
  if (match === null) return undefined;
  const text = (match[1] ?? '').toLowerCase();
  const bytes = new Uint8Array(ONION_BYTES);
  let [bits, count, at] = [0, 0, 0];
  for (const character of text) {
    bits = ((bits << 5) | BASE32.indexOf(character)) & 0xfff;
    count += 5;
    if (count >= 8) {
      count -= 8;
      bytes[at++] = bits >>> count;
    }
  }
  return bytes;
};
