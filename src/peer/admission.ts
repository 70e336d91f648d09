/**
 * Who is let in: the caps on inbound connections by address, neighbourhood and provider network, and on those that are
 * not ready yet. A pure decision; PeerSet asks it for each socket that a listener accepts, before a byte is read.
 *
 * Addresses that strangers share (loopback, Tor, private) have no caps of their own, only the common ones. The caps by
 * range are shares of the configured places, so that they mean the same in a small and a large house: eight networks of /24
 * are needed to fill it, or four of /16, and whoever has fewer cannot.
 */
import { chooseEvicted, type Resident } from './eviction.ts';
import type { HostRange } from './host_range.ts';

/** From one IPv4 address or IPv6 /64, unless strangers share it. */
export const MAX_PER_HOST = 8;
/**
 * In handshake or init from one IPv4 /24 or IPv6 /48: a quarter of MAX_UNREADY, so that one network cannot keep others
 * waiting.
 */
export const MAX_UNREADY_PER_RANGE = 16;
/** Share of the inbound places that one IPv4 /24 or IPv6 /48 may take, but MAX_PER_HOST at least. */
const NEAR_SHARE = 1 / 8;
/** The same of one IPv4 /16 or IPv6 /32, where a whole hosting provider may live: twice as many. */
const WIDE_SHARE = 1 / 4;

/** Most inbound connections from one IPv4 /24 or IPv6 /48. @param places configured inbound connections */
export const mostFromNear = (places: number): number =>
  Math.max(MAX_PER_HOST, Math.ceil(places * NEAR_SHARE));
/** Most inbound connections from one IPv4 /16 or IPv6 /32. */
export const mostFromWide = (places: number): number =>
  Math.max(2 * MAX_PER_HOST, Math.ceil(places * WIDE_SHARE));

export interface Guest extends Resident {
  readonly isReady: boolean;
}

export type Admission =
  | { readonly admitted: true /** Index of the guest that goes for it. */; readonly evicts?: number }
  | { readonly admitted: false; readonly why: 'host' | 'near' | 'wide' | 'unready' | 'full' };

export interface AdmissionRules {
  /** Configured inbound connections. */
  readonly places: number;
  /** Most in handshake or init at once. */
  readonly unready: number;
  /** Any number, the same for a run and known to nobody. */
  readonly secret: number;
}

/** @param guests inbound connections @param range where the newcomer comes from; undefined when strangers share that */
export const admit = (
  guests: readonly Guest[],
  range: HostRange | undefined,
  { places, unready: mostUnready, secret }: AdmissionRules,
): Admission => {
  if (places <= 0) return { admitted: false, why: 'full' };
  let [unready, host, near, wide, unreadyNear] = [0, 0, 0, 0, 0];
  for (const guest of guests) {
    const isNear = range !== undefined && guest.range?.near === range.near;
    if (!guest.isReady) unready++;
    if (!guest.isReady && isNear) unreadyNear++;
    if (isNear) near++;
    if (range !== undefined && guest.range?.address === range.address) host++;
    if (range !== undefined && guest.range?.wide === range.wide) wide++;
  }
  if (host >= MAX_PER_HOST) return { admitted: false, why: 'host' };
  if (near >= mostFromNear(places)) return { admitted: false, why: 'near' };
  if (wide >= mostFromWide(places)) return { admitted: false, why: 'wide' };
  if (unready >= mostUnready || unreadyNear >= MAX_UNREADY_PER_RANGE)
    return { admitted: false, why: 'unready' };
  if (guests.length < places) return { admitted: true };
  const evicts = chooseEvicted(guests, range, secret);
  return evicts === undefined ? { admitted: false, why: 'full' } : { admitted: true, evicts };
};
