/**
 * Draws addresses to dial out of the node_announcements that the map holds, so that after the first sync peers come
 * from the network itself and not from a list that was built in. Pure: daemon/ hands in what names the messages and how
 * to read one (they are judged already), and gives the result to AddressBook.learn.
 *
 * Left out: nodes that demand features nobody here knows (B7-18), whose address list is broken or has a second DNS name
 * (B7-20, B7-26), and addresses with port 0 (B7-21), of Tor v2 (B7-25), private ones, and onion ones without a proxy.
 * DNS names are left out as well: whoever announces one decides where it points, which may be into the operator's own
 * network.
 * Bound: MAX_SAMPLED messages are read; of one provider's network only one address comes out.
 */

import { nodeIdAt } from '../base/node_id.ts';
import type { Rng } from '../base/rng.ts';
import type { AddressDescriptor } from '../wire/address_descriptor.ts';
import { checkFeatures } from '../wire/feature_bits.ts';
import {
  checkNodeAnnouncement,
  nodeAnnouncementAddresses,
  nodeAnnouncementFeatureBytes,
  nodeAnnouncementNodeIdAt,
} from '../wire/node_announcement.ts';
import { hostRange } from './host_range.ts';
import type { PeerAddress } from './peer_address.ts';
import { isPublicHost } from './public_host.ts';

/** Messages that are read for one draw: some milliseconds from a disk; MAX_LEARNED_PER_HOUR is what comes of them. */
export const MAX_SAMPLED = 256;

const FEATURES_AT = 68;

const dialable = ({ kind, host }: AddressDescriptor, canDial: (host: string) => boolean): boolean => {
  switch (kind) {
    case 'ipv4':
    case 'ipv6':
      return isPublicHost(host) && canDial(host);
    case 'torv3':
      return canDial(host);
    case 'dns':
      return false;
  }
};

/** The address of one node that can be dialled best: the first on its list. @param raw node_announcement, borrowed */
export const announcedAddress = (
  raw: Uint8Array,
  canDial: (host: string) => boolean,
): PeerAddress | undefined => {
  if (checkNodeAnnouncement(raw, 0, raw.length) !== undefined) return undefined;
  const features = raw.subarray(FEATURES_AT, FEATURES_AT + nodeAnnouncementFeatureBytes(raw, 0));
  if (checkFeatures(features).unknownEven !== undefined) return undefined;
  const { addresses, problem } = nodeAnnouncementAddresses(raw, 0);
  if (problem !== undefined) return undefined;
  const chosen = addresses.find((address) => dialable(address, canDial));
  if (chosen === undefined) return undefined;
  const { host, port } = chosen;
  return { node_id: nodeIdAt(raw, nodeAnnouncementNodeIdAt(raw, 0)), host, port };
};

export interface SampleOptions<Item> {
  readonly rng: Rng;
  /** The raw node_announcement of an item, borrowed until the next call; undefined when it cannot be read. */
  readonly read: (item: Item) => Uint8Array | undefined;
  /** Whether there is a way to that host: onion addresses need a proxy. */
  readonly canDial: (host: string) => boolean;
}

/**
 * A uniform draw of at most MAX_SAMPLED items, of which only these are read, and the addresses among them that can be
 * dialled, one for each provider's network, in random order. @param items what names a node_announcement each, as an
 * offset in the store does
 */
export const sampleAnnounced = <Item>(
  items: Iterable<Item>,
  { rng, read, canDial }: SampleOptions<Item>,
): PeerAddress[] => {
  const places: Item[] = [];
  let seen = 0;
  for (const item of items) {
    seen++;
    // Reservoir sampling: the n-th item takes a place with the chance places / n. The first ones are shuffled as they come.
    const place = Math.floor(rng.fraction() * seen);
    if (places.length < MAX_SAMPLED) {
      const moved = places[place];
      if (moved === undefined) places.push(item);
      else {
        places.push(moved);
        places[place] = item;
      }
    } else if (place < MAX_SAMPLED) places[place] = item;
  }
  const networks = new Set<string>();
  return places.flatMap((item) => {
    const raw = read(item);
    const address = raw === undefined ? undefined : announcedAddress(raw, canDial);
    const wide = address === undefined ? undefined : hostRange(address.host)?.wide;
    if (address === undefined || wide === undefined || networks.has(wide)) return [];
    networks.add(wide);
    return [address];
  });
};
