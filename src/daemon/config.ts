/**
 * The configuration: from flags, environment, file and defaults, in this order of precedence, to one checked Config.
 *
 * Only daemon/ sees it whole; every other room takes the few options it needs. Everything is an argument here (no process,
 * no files): config_sources.ts gathers it. Unknown keys are errors in every source, because a misspelt limit that is
 * silently ignored is found at the worst time.
 */
import { dirname, isAbsolute, join } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { NETWORKS, type NetworkName } from '../base/chain_hash.ts';
import { Bug, OperationalError } from '../base/errors.ts';
import { didYouMean } from './config_suggest.ts';
import {
  CONFIG_KEYS,
  type CONFIG_TABLE,
  type ConfigKey,
  configEntry,
  flagName,
  isConfigKey,
  variableName,
} from './config_table.ts';
import {
  type ConfigValue,
  type Given,
  type ListenAddress,
  type Origin,
  parseValue,
  type UtxoChoice,
  type ValueContext,
} from './config_value.ts';

type ValueOf<Entry> = Entry extends { readonly type: 'choice'; readonly choices: readonly (infer Choice)[] }
  ? Choice
  : Entry extends { readonly type: keyof ValueTypes }
    ? ValueTypes[Entry['type']]
    : never;

interface ValueTypes {
  readonly boolean: boolean;
  readonly integer: number;
  readonly path: string;
  readonly listen_list: readonly ListenAddress[];
  /** `NODE_ID@HOST:PORT`, checked. */
  readonly peer_list: readonly string[];
  /** `none`, or `HOST:PORT`. */
  readonly address: string;
  readonly utxo: UtxoChoice;
}

/** Every key of the table with its value. Paths are absolute. */
export type Config = { readonly [Key in ConfigKey]: ValueOf<(typeof CONFIG_TABLE)[Key]> };

export interface ConfigSources {
  /** Options as commander gives them: `dataDir`, `no…` already turned into false. Undefined values do not count. */
  readonly flags: Readonly<Record<string, unknown>>;
  /** The environment; only names that start with GOSSIPD_ and the XDG folders are read. Empty counts as unset. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly file?: { readonly path: string; readonly text: string };
  /** Processor cores. */
  readonly cores: number;
  /** Absolute. */
  readonly home: string;
  /** Absolute. */
  readonly cwd: string;
}

/** A value and where it came from, for `gossipd config` and for bug reports. */
export interface ExplainedValue {
  readonly key: ConfigKey;
  readonly value: ConfigValue;
  readonly origin: Origin;
  /** The flag, variable or file; `default`. */
  readonly source: string;
}

/** Names beside the table: the file itself, and the older name of the data folder. */
const OTHER_FLAGS: readonly string[] = ['config'];
const OTHER_VARIABLES: readonly string[] = ['GOSSIPD_CONFIG', 'GOSSIPD_DIR'];

const snakeCase = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`).replaceAll('-', '_');

const unknownKey = (given: string, where: string, nearest: string | undefined): OperationalError =>
  new OperationalError(
    'bad_config',
    'stop',
    `unknown key ${given} in ${where}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`,
    nearest === undefined
      ? 'Remove it; "gossipd run --help" and docs/configuration.md list every key.'
      : `Change it to ${nearest}, or remove it; docs/configuration.md lists every key.`,
  );

const nearestKey = (key: string, shown: (key: string) => string): string | undefined => {
  const nearest = didYouMean(key, CONFIG_KEYS);
  return nearest === undefined ? undefined : shown(nearest);
};

const fromFlags = (flags: ConfigSources['flags']): Given[] =>
  Object.entries(flags).flatMap(([name, value]): Given[] => {
    const key = snakeCase(name);
    if (value === undefined || OTHER_FLAGS.includes(key)) return [];
    if (!isConfigKey(key)) throw unknownKey(flagName(key), 'the command line', nearestKey(key, flagName));
    return [{ key, value, origin: 'flag', source: flagName(key) }];
  });

const fromEnv = (env: ConfigSources['env']): Given[] =>
  Object.entries(env).flatMap(([name, value]): Given[] => {
    if (!name.startsWith('GOSSIPD_') || OTHER_VARIABLES.includes(name)) return [];
    const key = name.slice('GOSSIPD_'.length).toLowerCase();
    if (!isConfigKey(key)) throw unknownKey(name, 'the environment', nearestKey(key, variableName));
    return value === undefined || value === '' ? [] : [{ key, value, origin: 'env', source: name }];
  });

const parseToml = (path: string, text: string): Readonly<Record<string, unknown>> => {
  try {
    return parse(text);
  } catch (cause) {
    const place = cause instanceof TomlError ? `:${cause.line}:${cause.column}` : '';
    const why = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
    throw new OperationalError(
      'bad_config',
      'stop',
      `${path}${place}: ${why}`,
      'Correct the line; every line is KEY = VALUE, text in double quotes.',
      cause,
    );
  }
};

const fromFile = (file: ConfigSources['file']): Given[] => {
  if (file === undefined) return [];
  return Object.entries(parseToml(file.path, file.text)).map(([key, value]): Given => {
    if (!isConfigKey(key))
      throw unknownKey(
        key,
        file.path,
        nearestKey(snakeCase(key), (nearest) => nearest),
      );
    return { key, value, origin: 'file', source: file.path };
  });
};

/** The XDG rules say that a relative path in their variables is to be ignored. */
const dataFolder = ({ env, home }: ConfigSources): string => {
  const xdg = env['XDG_DATA_HOME'] ?? '';
  return isAbsolute(xdg) ? xdg : join(home, '.local', 'share');
};

const MAX_DEFAULT_WORKERS = 8;

/** Where bitcoind keeps the files of each network. */
const BITCOIND_FOLDERS: Readonly<Record<NetworkName, string>> = {
  bitcoin: '',
  testnet: 'testnet3',
  testnet4: 'testnet4',
  signet: 'signet',
  regtest: 'regtest',
};

/** Defaults that depend on the machine and on other keys; the test of the table holds it to be complete. */
const derivedDefault = (
  key: ConfigKey,
  sources: ConfigSources,
  network: string,
  dataDir: string,
): ConfigValue => {
  if (key === 'data_dir') {
    const older = sources.env['GOSSIPD_DIR'] ?? '';
    return older === '' ? join(dataFolder(sources), 'gossipd', network) : older;
  }
  if (key === 'bitcoind_cookie')
    return join(sources.home, '.bitcoin', BITCOIND_FOLDERS[network as NetworkName], '.cookie');
  if (key === 'rpc_socket') return join(dataDir, 'gossipd.sock');
  if (key === 'verify_workers') return Math.max(1, Math.min(MAX_DEFAULT_WORKERS, sources.cores));
  throw new Bug(`${key} has a derived default that nobody derives`);
};

const resolveAll = (sources: ConfigSources): Map<ConfigKey, ExplainedValue> => {
  // The last one given wins: lowest precedence first.
  const given = new Map<ConfigKey, Given>();
  for (const each of [...fromFile(sources.file), ...fromEnv(sources.env), ...fromFlags(sources.flags)])
    given.set(each.key, each);

  const resolved = new Map<ConfigKey, ExplainedValue>();
  const textOf = (key: ConfigKey): string => String(resolved.get(key)?.value ?? '');
  // network comes first in the table, data_dir second: later keys depend on them.
  for (const key of CONFIG_KEYS) {
    const entry = configEntry(key);
    const network = key === 'network' ? 'bitcoin' : textOf('network');
    const value =
      entry.default === 'derived' ? derivedDefault(key, sources, network, textOf('data_dir')) : entry.default;
    const chosen = given.get(key) ?? { key, value, origin: 'default' as const, source: 'default' };
    const context: ValueContext = {
      defaultPort: NETWORKS[network as NetworkName].port,
      folder: chosen.origin === 'file' ? dirname(sources.file?.path ?? sources.cwd) : sources.cwd,
      home: sources.home,
    };
    resolved.set(key, {
      key,
      value: parseValue(chosen, context),
      origin: chosen.origin,
      source: chosen.source,
    });
  }
  return resolved;
};

/** Every key with its value and where it came from, in the order of the table. Throws like loadConfig. */
export const explainConfig = (sources: ConfigSources): ExplainedValue[] => [...resolveAll(sources).values()];

/**
 * The configuration that the sources add up to: flag before environment before file before default.
 * Throws OperationalError `bad_config` for the first unknown key, wrong type or value out of bounds.
 */
export const loadConfig = (sources: ConfigSources): Config => {
  const values = Object.fromEntries(explainConfig(sources).map(({ key, value }) => [key, value]));
  // Minted here alone: parseValue has checked each value against the type of its entry.
  return values as Config;
};
