/**
 * The configuration as one table: key, type, unit, default, bounds and a line of explanation. The flags, the environment
 * variables, the file, `--help`, the sample file and docs/configuration.md are all made from it.
 *
 * A key is snake_case; its flag is `--kebab-case`, its variable `GOSSIPD_UPPER_SNAKE`. A default called `derived` depends on
 * the machine or on other keys; config.ts computes it and `derived_from` says how.
 */
import { CHAIN_CHOICES_TEXT } from './chain_choice.ts';

interface Described {
  /** One line for people, starting in lower case, without a full stop at the end. */
  readonly doc: string;
}

export interface BooleanEntry extends Described {
  readonly type: 'boolean';
  readonly default: boolean;
}

export interface IntegerEntry extends Described {
  readonly type: 'integer';
  readonly unit: string;
  readonly default: number | 'derived';
  readonly derived_from?: string;
  readonly min: number;
  readonly max: number;
}

export interface ChoiceEntry extends Described {
  readonly type: 'choice';
  readonly default: string;
  readonly choices: readonly string[];
}

/** A file or folder; `~/` is the home folder. Relative paths in the file are relative to the file's folder. */
export interface PathEntry extends Described {
  readonly type: 'path';
  readonly default: 'derived';
  readonly derived_from: string;
}

/** Addresses to listen on, `HOST:PORT` or `HOST`; the port of the network when left out. */
export interface ListenEntry extends Described {
  readonly type: 'listen_list';
  readonly default: readonly [];
  readonly max_items: number;
}

/** Peers, `NODE_ID@HOST:PORT` or `NODE_ID@HOST`. */
export interface PeersEntry extends Described {
  readonly type: 'peer_list';
  readonly default: readonly [];
  readonly max_items: number;
}

/** `none`, or `HOST:PORT`. */
export interface AddressEntry extends Described {
  readonly type: 'address';
  readonly default: 'none';
}

/** See chain_choice.ts. */
export interface UtxoEntry extends Described {
  readonly type: 'utxo';
  readonly default: 'none';
}

export type ConfigEntry =
  | BooleanEntry
  | IntegerEntry
  | ChoiceEntry
  | PathEntry
  | ListenEntry
  | PeersEntry
  | AddressEntry
  | UtxoEntry;

export const CONFIG_TABLE = {
  network: {
    type: 'choice',
    choices: ['bitcoin', 'testnet', 'testnet4', 'signet', 'regtest'],
    default: 'bitcoin',
    doc: 'chain whose gossip is kept',
  },
  data_dir: {
    type: 'path',
    default: 'derived',
    derived_from: '$GOSSIPD_DIR, else $XDG_DATA_HOME/gossipd/NETWORK, else ~/.local/share/gossipd/NETWORK',
    doc: 'folder of the store, the node key and the address book; made when missing',
  },
  listen: {
    type: 'listen_list',
    default: [],
    // One for each family and interface of a machine; more is a mistake.
    max_items: 16,
    doc: 'addresses on which peers may connect, HOST or HOST:PORT; empty: nobody can',
  },
  peers: {
    type: 'peer_list',
    default: [],
    // Twenty times the outbound peers that a node keeps by default.
    max_items: 160,
    doc: 'peers to stay connected to, NODE_ID@HOST or NODE_ID@HOST:PORT; naming any turns off every other source',
  },
  dns_seeds: {
    type: 'boolean',
    default: true,
    doc: 'ask DNS seeds for peers when few are known',
  },
  outbound_peers: {
    type: 'integer',
    unit: 'connections',
    default: 8,
    min: 0,
    max: 64,
    doc: 'connections that gossipd opens and keeps; 0 dials only what "peers" names',
  },
  inbound_peers: {
    type: 'integer',
    unit: 'connections',
    default: 100,
    min: 0,
    max: 2000,
    doc: 'most connections that others may open',
  },
  verify_workers: {
    type: 'integer',
    unit: 'threads',
    default: 'derived',
    derived_from: 'number of processor cores, at most 8',
    min: 0,
    max: 64,
    doc: 'threads that check signatures; 0 checks in the main thread',
  },
  sync_interval_ms: {
    type: 'integer',
    unit: 'milliseconds',
    default: 1000,
    min: 10,
    max: 60_000,
    doc: 'longest time until what was accepted is durable on disk',
  },
  store_version: {
    type: 'choice',
    choices: ['16', '15', '14'],
    default: '16',
    doc: 'version of the gossip_store: 16 (CLN v26.04 and later), 15 (v25.09.1 to v25.12), 14 (v24.02 to v25.09)',
  },
  flush_interval_ms: {
    type: 'integer',
    unit: 'milliseconds',
    default: 60_000,
    min: 100,
    max: 600_000,
    doc: 'time between two batches of gossip to a peer',
  },
  relay_unverified: {
    type: 'boolean',
    default: false,
    doc: 'relay channels whose funding output no chain backend has confirmed',
  },
  accept_unverified: {
    type: 'boolean',
    default: true,
    doc: 'keep channels whose funding output no chain backend has confirmed, marked unverified',
  },
  utxo: {
    type: 'utxo',
    default: 'none',
    doc: 'chain backend that confirms funding outputs and sees them spent',
  },
  blacklist: {
    type: 'boolean',
    default: true,
    doc: 'forget nodes that claim one funding output twice under different names',
  },
  bitcoind_cookie: {
    type: 'path',
    default: 'derived',
    derived_from: '.cookie in the folder of the network in ~/.bitcoin',
    doc: 'cookie file of bitcoind, read when utxo names no user and password',
  },
  bitcoind_zmq: {
    type: 'address',
    default: 'none',
    doc: 'where bitcoind publishes hashblock (its zmqpubhashblock); without it the tip is polled',
  },
  chain_poll_s: {
    type: 'integer',
    unit: 'seconds',
    default: 5,
    min: 1,
    max: 3600,
    doc: 'time between two questions for the tip of the chain',
  },
  proxy: {
    type: 'address',
    default: 'none',
    doc: 'proxy (SOCKS5) through which onion addresses are dialled, as that of Tor at 127.0.0.1:9050',
  },
  always_use_proxy: {
    type: 'boolean',
    default: false,
    doc: 'dial everything through the proxy and let it resolve names',
  },
  bytes_per_second_out: {
    type: 'integer',
    unit: 'bytes per second',
    // With the burst of one largest frame it stays under the million bytes that CLN takes in a second.
    default: 900_000,
    min: 0,
    max: 1_000_000_000,
    doc: 'most that is sent to one peer; 0 is unlimited',
  },
  bytes_per_second_in: {
    type: 'integer',
    unit: 'bytes per second',
    default: 1_000_000,
    min: 0,
    max: 1_000_000_000,
    doc: 'most that is taken from one peer; 0 is unlimited, and then one that floods slows all others',
  },
  ping_interval_s: {
    type: 'integer',
    unit: 'seconds',
    default: 30,
    min: 1,
    max: 3600,
    doc: 'silence after which a peer is pinged; after two it is closed',
  },
  log_level: {
    type: 'choice',
    choices: ['trace', 'debug', 'info', 'unusual', 'broken'],
    default: 'info',
    doc: 'lowest level that is logged; nothing that a peer does is above info',
  },
  log_json: {
    type: 'boolean',
    default: false,
    doc: 'log lines as JSON',
  },
  progress: {
    type: 'choice',
    choices: ['auto', 'always', 'never'],
    default: 'auto',
    doc: 'show how far the first sync is; auto leaves it out when log_json is set',
  },
  rpc_socket: {
    type: 'path',
    default: 'derived',
    derived_from: 'gossipd.sock in data_dir',
    doc: 'Unix socket that answers "gossipd status"',
  },
  exit_when_synced: {
    type: 'boolean',
    default: false,
    doc: 'stop after the first complete sync',
  },
  json: {
    type: 'boolean',
    default: false,
    doc: 'print results and errors as JSON',
  },
} as const satisfies Readonly<Record<string, ConfigEntry>>;

export type ConfigKey = keyof typeof CONFIG_TABLE;

/** Keys in the order of the table. */
export const CONFIG_KEYS = Object.keys(CONFIG_TABLE) as readonly ConfigKey[];

export const isConfigKey = (key: string): key is ConfigKey => Object.hasOwn(CONFIG_TABLE, key);

/** The entry under its general type, for code that works on any key. */
export const configEntry = (key: ConfigKey): ConfigEntry => CONFIG_TABLE[key];

/** `sync_interval_ms` is `--sync-interval-ms`. */
export const flagName = (key: string): string => `--${key.replaceAll('_', '-')}`;

/** `sync_interval_ms` is `GOSSIPD_SYNC_INTERVAL_MS`. */
export const variableName = (key: string): string => `GOSSIPD_${key.toUpperCase()}`;

/** What a type accepts, for help and messages: `a whole number from 10 to 60000 (milliseconds)`. */
export const acceptedText = (entry: ConfigEntry): string => {
  switch (entry.type) {
    case 'boolean':
      return 'true or false';
    case 'integer':
      return `a whole number from ${entry.min} to ${entry.max} (${entry.unit})`;
    case 'choice':
      return `one of ${entry.choices.join(', ')}`;
    case 'path':
      return 'a path';
    case 'listen_list':
      return `at most ${entry.max_items} addresses HOST:PORT`;
    case 'peer_list':
      return `at most ${entry.max_items} peers NODE_ID@HOST:PORT`;
    case 'address':
      return 'none or HOST:PORT';
    case 'utxo':
      return CHAIN_CHOICES_TEXT;
  }
};

/** The default as people read it. */
export const defaultText = (entry: ConfigEntry): string => {
  switch (entry.type) {
    case 'integer':
      return entry.default === 'derived' ? (entry.derived_from ?? '') : String(entry.default);
    case 'path':
      return entry.derived_from;
    case 'listen_list':
    case 'peer_list':
      return 'none';
    case 'boolean':
    case 'choice':
    case 'address':
    case 'utxo':
      return String(entry.default);
  }
};
