/**
 * Which part of the internet an address belongs to: what PeerSet, BanList, eviction and the address book count by, since node
 * ids cost an attacker nothing and addresses do.
 *
 * `address` is what one customer has (IPv4 whole, IPv6 /64), `near` what one small network has (IPv4 /24, IPv6 /48: the
 * smallest blocks that are routed on their own), `wide` what one provider has (IPv4 /16, IPv6 /32).
 * Unranged are loopback and private addresses: Tor's inbound connections, a container's gateway and tests come from there,
 * and a thousand strangers share them. Onion and DNS names stand for themselves: nobody gets a neighbour's name.
 */
import { isPublicHost } from './public_host.ts';

export interface HostRange {
  readonly address: string;
  readonly near: string;
  readonly wide: string;
}

/** The eight groups of an IPv6 literal; undefined when it is none. An IPv4 tail is not taken apart. */
const groupsOf = (host: string): number[] | undefined => {
  const sides = host.split('::');
  if (sides.length > 2) return undefined;
  const [left = [], right = []] = sides.map((side) => (side === '' ? [] : side.split(':')));
  const missing = 8 - left.length - right.length;
  if (sides.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...left, ...Array.from({ length: missing }, () => '0'), ...right];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return groups.map((group) => Number.parseInt(group, 16));
};

/** Without the IPv6 form that a listener for both families gives IPv4 addresses, without brackets and zone, in lower case. */
export const plainHost = (host: string): string =>
  host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/%.*$/, '')
    .replace(/^::ffff:(?=\d+\.)/, '');

/** Undefined for an address that many unrelated peers share: loopback, private, link-local. */
export const hostRange = (host: string): HostRange | undefined => {
  const plain = plainHost(host);
  const isLiteral = plain.includes(':') || /^\d+(\.\d+){3}$/.test(plain);
  // Names have a prefix, so that none can look like a range of addresses.
  if (!isLiteral) {
    return plain === '' || plain === 'localhost'
      ? undefined
      : { address: `name ${plain}`, near: `name ${plain}`, wide: `name ${plain}` };
  }
  if (!isPublicHost(plain)) return undefined;
  if (!plain.includes(':')) {
    const [a, b, c] = plain.split('.');
    return { address: plain, near: `${a}.${b}.${c}.0/24`, wide: `${a}.${b}.0.0/16` };
  }
  const groups = groupsOf(plain);
  if (groups === undefined) return undefined;
  const prefix = (count: number): string =>
    `${groups
      .slice(0, count)
      .map((group) => group.toString(16))
      .join(':')}::/${count * 16}`;
  return { address: prefix(4), near: prefix(3), wide: prefix(2) };
};

export const isOnion = (host: string): boolean => /\.onion\.?$/i.test(host);
