/**
 * Where addresses to dial come from, in this order: the configuration (pinned), peers that worked before (`peers.json`
 * in the data folder), DNS seeds, the built-in list; and, while the daemon runs, the node_announcements of the map
 * itself. And the saving of `peers.json`, which holds bans as well.
 *
 * peers.json is `{ "version": 2, "peers": [...], "bans": [...] }`; before, it was the list of peers alone, which is
 * still read. Each entry is believed by itself: a damaged one costs itself. At most MAX_ADDRESSES entries are looked
 * at.
 */
import { resolveSrv } from 'node:dns/promises';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Network } from '../base/chain_hash.ts';
import { OperationalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { parseNodeId } from '../base/node_id.ts';
import type { Rng } from '../base/rng.ts';
import { ADDRESS_SOURCES, type AddressBook, MAX_ADDRESSES, type SavedAddress } from '../peer/address_book.ts';
import { sampleAnnounced } from '../peer/announced_addresses.ts';
import type { BanList } from '../peer/ban_list.ts';
import { addressesFromSrv, DNS_SEEDS } from '../peer/dns_seed.ts';
import { KNOWN_NODES } from '../peer/known_nodes.ts';
import { parsePeerAddress } from '../peer/peer_address.ts';
import type { Config } from './config.ts';

const PEERS_FILE = 'peers.json';
const PEERS_FILE_VERSION = 2;

export interface BookSources {
  /** Gets the bans that outlived the restart. */
  readonly bans?: BanList;
  /** Whether there is a way to a host: onion addresses need a proxy. */
  readonly canDial?: (host: string) => boolean;
  /** False: no DNS seed is asked, since the question would not go through the proxy. */
  readonly askDns?: boolean;
}

/** Throws OperationalError `bad_config` on a peer of the configuration that is no address. DNS is asked in the background. */
export const fillAddressBook = async (
  book: AddressBook,
  config: Config,
  network: Network,
  log: Log,
  { bans, canDial = () => true, askDns = true }: BookSources = {},
): Promise<void> => {
  for (const text of config.peers) {
    const address = parsePeerAddress(text, network.port);
    if (address === undefined) {
      throw new OperationalError(
        'bad_config',
        'stop',
        `peers: "${text}" is not NODE_ID@HOST:PORT`,
        'A node id is 66 hex characters that start with 02 or 03.',
      );
    }
    if (!canDial(address.host)) {
      throw new OperationalError(
        'bad_config',
        'stop',
        `peers: there is no way to ${address.host} without a proxy`,
        'Name one with --proxy HOST:PORT; that of Tor is usually at 127.0.0.1:9050.',
      );
    }
    book.add(address, true);
  }
  const saved = readPeersFile(config.data_dir, log);
  bans?.restore(saved.bans);
  if (!looksForPeers(config)) return;
  for (const address of saved.peers) book.remember(address);
  for (const text of KNOWN_NODES[network.name]) {
    const address = parsePeerAddress(text, network.port);
    if (address !== undefined) book.add(address, false, 'built_in');
  }
  if (config.dns_seeds && askDns && network.name === 'bitcoin') void askSeeds(book, log);
};

/** Someone who names the peers wants those peers, and no others. */
export const looksForPeers = (config: Config): boolean =>
  config.peers.length === 0 && config.outbound_peers > 0;

export interface LearnOptions<Item> {
  readonly rng: Rng;
  readonly log: Log;
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
  /** The raw node_announcement of an item; borrowed until the next call. */
  readonly read: (item: Item) => Uint8Array | undefined;
  /** Whether there is a way to that host. */
  readonly canDial: (host: string) => boolean;
}

/**
 * Adds some addresses that the network announces; called once an hour and when the first sync is done. Returns how many
 * were new.
 * @param announcements what names the node_announcements of the map, as their offsets in the store
 */
export const learnAddresses = <Item>(
  book: AddressBook,
  announcements: Iterable<Item>,
  { rng, log, nowMs, read, canDial }: LearnOptions<Item>,
): number => {
  const learned = book.learn(sampleAnnounced(announcements, { rng, read, canDial }), nowMs);
  if (learned > 0) log.debug('addresses learned from the map', { learned, known: book.size });
  return learned;
};

const askSeeds = async (book: AddressBook, log: Log): Promise<void> => {
  for (const seed of DNS_SEEDS) {
    try {
      const found = addressesFromSrv(await resolveSrv(`_nodes._tcp.${seed}`));
      for (const address of found) book.add(address, false, 'dns_seed');
      log.info('dns seed answered', { seed, nodes: found.length });
    } catch (error) {
      log.info('dns seed did not answer', {
        seed,
        why: error instanceof Error ? error.message : String(error),
      });
    }
  }
};

interface PeersFile {
  readonly peers: readonly SavedAddress[];
  /** As read: BanList.restore takes them apart. */
  readonly bans: readonly unknown[];
}

const NOTHING: PeersFile = { peers: [], bans: [] };

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** Zero unless it is a number within the bounds. */
const within = (value: unknown, most: number): number =>
  typeof value === 'number' && value >= 0 && value <= most ? value : 0;

const savedAddress = (entry: unknown): SavedAddress | undefined => {
  if (typeof entry !== 'object' || entry === null) return undefined;
  const { node_id, host, port, last_good_ms, useful, source } = entry as Readonly<Record<string, unknown>>;
  const id = parseNodeId(String(node_id));
  const number = Number(port);
  if (id === undefined || typeof host !== 'string') return undefined;
  if (!Number.isInteger(number) || number < 1 || number > 65_535) return undefined;
  return {
    ...{ node_id: id, host, port: number },
    last_good_ms: within(last_good_ms, Number.MAX_SAFE_INTEGER),
    useful: within(useful, 100),
    source: ADDRESS_SOURCES.find((known) => known === source) ?? 'remembered',
  };
};

const readPeersFile = (dataDir: string, log: Log): PeersFile => {
  try {
    const parsed: unknown = JSON.parse(readFileSync(join(dataDir, PEERS_FILE), 'utf8'));
    if (typeof parsed !== 'object' || parsed === null) return NOTHING;
    const { peers, bans } = parsed as { readonly peers?: unknown; readonly bans?: unknown };
    const rows = Array.isArray(parsed) ? parsed : listOf(peers);
    return {
      peers: rows.slice(0, MAX_ADDRESSES).flatMap((entry) => savedAddress(entry) ?? []),
      bans: listOf(bans),
    };
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOENT') {
      log.unusual('peers.json cannot be read; starting without it', {
        why: error instanceof Error ? error.message : String(error),
      });
    }
    return NOTHING;
  }
};

/** Written beside and renamed; losing it costs nothing but a slower first dial, so a failure is only logged. */
export const saveAddressBook = (book: AddressBook, dataDir: string, log: Log, bans?: BanList): void => {
  const path = join(dataDir, PEERS_FILE);
  try {
    const content = { version: PEERS_FILE_VERSION, peers: book.snapshot(), bans: bans?.snapshot() ?? [] };
    writeFileSync(`${path}.tmp`, `${JSON.stringify(content, null, 1)}\n`, { mode: 0o600 });
    renameSync(`${path}.tmp`, path);
  } catch (error) {
    log.unusual('peers.json cannot be written', {
      why: error instanceof Error ? error.message : String(error),
    });
  }
};
