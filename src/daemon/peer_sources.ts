/**
 * Where addresses to dial come from, in this order: the configuration (pinned), peers that worked before (`peers.json` in the
 * data folder), DNS seeds, the built-in list. And the saving of `peers.json`.
 */
import { resolveSrv } from 'node:dns/promises';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Network } from '../base/chain_hash.ts';
import { OperationalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { parseNodeId } from '../base/node_id.ts';
import type { AddressBook } from '../peer/address_book.ts';
import { addressesFromSrv, DNS_SEEDS } from '../peer/dns_seed.ts';
import { KNOWN_NODES } from '../peer/known_nodes.ts';
import { parsePeerAddress } from '../peer/peer_address.ts';
import type { Config } from './config.ts';

const PEERS_FILE = 'peers.json';

/** Throws OperationalError `bad_config` on a peer of the configuration that is no address. DNS is asked in the background. */
export const fillAddressBook = async (
  book: AddressBook,
  config: Config,
  network: Network,
  log: Log,
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
    book.add(address, true);
  }
  // Someone who names the peers wants those peers.
  if (config.peers.length > 0 || config.outbound_peers === 0) return;
  for (const address of readPeersFile(config.data_dir, log)) book.add(address);
  for (const text of KNOWN_NODES[network.name]) {
    const address = parsePeerAddress(text, network.port);
    if (address !== undefined) book.add(address);
  }
  if (config.dns_seeds && network.name === 'bitcoin') void askSeeds(book, log);
};

const askSeeds = async (book: AddressBook, log: Log): Promise<void> => {
  for (const seed of DNS_SEEDS) {
    try {
      const found = addressesFromSrv(await resolveSrv(`_nodes._tcp.${seed}`));
      for (const address of found) book.add(address);
      log.info('dns seed answered', { seed, nodes: found.length });
    } catch (error) {
      log.info('dns seed did not answer', {
        seed,
        why: error instanceof Error ? error.message : String(error),
      });
    }
  }
};

const readPeersFile = (
  dataDir: string,
  log: Log,
): { node_id: NonNullable<ReturnType<typeof parseNodeId>>; host: string; port: number }[] => {
  try {
    const parsed: unknown = JSON.parse(readFileSync(join(dataDir, PEERS_FILE), 'utf8'));
    if (!Array.isArray(parsed)) return [];
    return parsed.flatMap((entry: { node_id?: unknown; host?: unknown; port?: unknown }) => {
      const node_id = parseNodeId(String(entry?.node_id));
      const port = Number(entry?.port);
      return node_id !== undefined &&
        typeof entry.host === 'string' &&
        Number.isInteger(port) &&
        port > 0 &&
        port < 65_536
        ? [{ node_id, host: entry.host, port }]
        : [];
    });
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOENT') {
      log.unusual('peers.json cannot be read; starting without it', {
        why: error instanceof Error ? error.message : String(error),
      });
    }
    return [];
  }
};

/** Written beside and renamed; losing it costs nothing but a slower first dial, so a failure is only logged. */
export const saveAddressBook = (book: AddressBook, dataDir: string, log: Log): void => {
  const path = join(dataDir, PEERS_FILE);
  try {
    writeFileSync(`${path}.tmp`, `${JSON.stringify(book.snapshot(), null, 1)}\n`, { mode: 0o600 });
    renameSync(`${path}.tmp`, path);
  } catch (error) {
    log.unusual('peers.json cannot be written', {
      why: error instanceof Error ? error.message : String(error),
    });
  }
};
