/**
 * Turns what a person gave for one key into its value: text from flags and the environment, typed values from TOML.
 * A value that does not fit throws OperationalError `bad_config`, naming the key and where it came from.
 */
import { isAbsolute, join, resolve } from 'node:path';
import { OperationalError } from '../base/errors.ts';
import { parsePeerAddress, peerAddressText } from '../peer/peer_address.ts';
import { chainChoiceShown, parseChainChoice } from './chain_choice.ts';
import {
  acceptedText,
  type ConfigEntry,
  type ConfigKey,
  configEntry,
  flagName,
  type IntegerEntry,
  variableName,
} from './config_table.ts';

export type Origin = 'flag' | 'env' | 'file' | 'default';

/** One value as given. */
export interface Given {
  readonly key: ConfigKey;
  readonly value: unknown;
  readonly origin: Origin;
  /** The flag, the variable, or the file. */
  readonly source: string;
}

export interface ValueContext {
  /** Port of a peer or listener that names none. */
  readonly defaultPort: number;
  /** Absolute folder that relative paths start from. */
  readonly folder: string;
  readonly home: string;
}

/** Read by parseChainChoice; the path of a table is absolute. */
export type UtxoChoice = string;

/** Host without brackets, and port. */
export type ListenAddress = readonly [host: string, port: number];

export type ConfigValue = boolean | number | string | readonly string[] | readonly ListenAddress[];

/** Longest quotation of a bad value. */
const MAX_QUOTED_CHARACTERS = 80;

const quoted = (value: unknown): string => {
  const text = typeof value === 'object' || typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length <= MAX_QUOTED_CHARACTERS ? text : `${text.slice(0, MAX_QUOTED_CHARACTERS)}…`;
};

const exampleOf: Readonly<Record<ConfigEntry['type'], string>> = {
  boolean: 'true',
  integer: '',
  choice: '',
  path: '/var/lib/gossipd',
  listen_list: '0.0.0.0:9735',
  peer_list: '03864ef025fde8fb587d989186ce6a4a186895ee44a926bfc370e2c366597a3f8f@3.33.236.230:9735',
  address: '127.0.0.1:9050',
  utxo: 'bitcoind:http://127.0.0.1:8332',
};

const exampleFor = (entry: ConfigEntry): string => {
  if (entry.type === 'integer') return String(entry.default === 'derived' ? entry.min : entry.default);
  if (entry.type === 'choice') return entry.default;
  return exampleOf[entry.type];
};

/** `--log-level info`, `GOSSIPD_LOG_LEVEL=info` or `log_level = "info"`, as the person gave it. */
const correction = ({ key, origin }: Given, entry: ConfigEntry): string => {
  const example = exampleFor(entry);
  if (origin === 'flag') return `${flagName(key)} ${example}`;
  if (origin === 'env') return `${variableName(key)}=${example}`;
  const isBare = entry.type === 'integer' || entry.type === 'boolean';
  const text = isBare ? example : JSON.stringify(example);
  return `${key} = ${entry.type.endsWith('_list') ? `[${text}]` : text}`;
};

/** Throws: the value does not fit. */
const refuse = (given: Given, problem: string): never => {
  const entry = configEntry(given.key);
  throw new OperationalError(
    'bad_config',
    'stop',
    `${given.key}, from ${given.source}: ${problem}`,
    `Give ${acceptedText(entry)}, for example: ${correction(given, entry)}`,
  );
};

const isText = (given: Given): boolean => given.origin === 'flag' || given.origin === 'env';

const TRUE_WORDS: readonly unknown[] = ['true', 'yes', 'on', '1'];
const FALSE_WORDS: readonly unknown[] = ['false', 'no', 'off', '0'];

const booleanValue = (given: Given): boolean => {
  const { value } = given;
  if (typeof value === 'boolean') return value;
  const word = isText(given) && typeof value === 'string' ? value.toLowerCase() : undefined;
  if (TRUE_WORDS.includes(word)) return true;
  if (FALSE_WORDS.includes(word)) return false;
  return refuse(given, `${quoted(value)} is neither true nor false`);
};

const integerValue = (given: Given, entry: IntegerEntry): number => {
  const { value } = given;
  // Thousands may be grouped as in TOML: 1_000_000.
  const isNumeral = isText(given) && typeof value === 'string' && /^-?\d+(?:_\d+)*$/.test(value);
  const number = isNumeral ? Number(value.replaceAll('_', '')) : value;
  if (typeof number !== 'number' || !Number.isInteger(number))
    return refuse(given, `${quoted(value)} is not a whole number`);
  if (number < entry.min || number > entry.max)
    return refuse(given, `${number} is not within ${entry.min} to ${entry.max} ${entry.unit}`);
  return number;
};

const textValue = (given: Given): string => {
  const { value } = given;
  if (typeof value !== 'string') return refuse(given, `${quoted(value)} is not text`);
  if (value.trim() === '') return refuse(given, 'it is empty');
  return value.trim();
};

const pathValue = (text: string, { folder, home }: ValueContext): string => {
  const path = text === '~' || text.startsWith('~/') ? join(home, text.slice(1)) : text;
  return isAbsolute(path) ? resolve(path) : resolve(folder, path);
};

/** Commas separate in text; a repeated flag and a TOML array are lists already. */
const listValue = (given: Given, maxItems: number): readonly string[] => {
  const values: readonly unknown[] = Array.isArray(given.value) ? given.value : [given.value];
  const items = values.flatMap((value) =>
    typeof value === 'string' ? value.split(',') : refuse(given, `${quoted(value)} is not text`),
  );
  const kept = items.map((item) => item.trim()).filter((item) => item !== '');
  if (kept.length > maxItems) return refuse(given, `${kept.length} entries are more than ${maxItems}`);
  return kept;
};

const listenValue = (given: Given, text: string, defaultPort: number): ListenAddress => {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s[\]@]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  // Port 0 lets the system choose; simulations and tests listen so.
  if (host === undefined || port > 65_535) return refuse(given, `${quoted(text)} is not HOST:PORT`);
  return [host, port];
};

const peerValue = (given: Given, text: string, defaultPort: number): string => {
  const address = parsePeerAddress(text, defaultPort);
  return address === undefined
    ? refuse(given, `${quoted(text)} is not NODE_ID@HOST:PORT`)
    : peerAddressText(address);
};

const utxoValue = (given: Given, context: ValueContext): UtxoChoice => {
  const text = textValue(given);
  const choice = parseChainChoice(text);
  if (choice === undefined) return refuse(given, `${quoted(chainChoiceShown(text))} is no chain backend`);
  return choice.kind === 'table' ? `table:${pathValue(choice.path, context)}` : text;
};

/** `none`, or HOST:PORT with an IPv6 host in brackets; `tcp://` in front is what bitcoind's own configuration says. */
const addressValue = (given: Given): string => {
  const text = textValue(given).replace(/^tcp:\/\//, '');
  if (text === 'none') return text;
  const [host, port] = listenValue(given, text, 0);
  if (port === 0) return refuse(given, `${quoted(text)} is not HOST:PORT`);
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
};

/** The value of one key, checked against its entry. Throws OperationalError `bad_config`. */
export const parseValue = (given: Given, context: ValueContext): ConfigValue => {
  const entry = configEntry(given.key);
  switch (entry.type) {
    case 'boolean':
      return booleanValue(given);
    case 'integer':
      return integerValue(given, entry);
    case 'choice': {
      const text = textValue(given);
      return entry.choices.includes(text) ? text : refuse(given, `${quoted(text)} is no choice`);
    }
    case 'path':
      return pathValue(textValue(given), context);
    case 'listen_list':
      return listValue(given, entry.max_items).map((text) => listenValue(given, text, context.defaultPort));
    case 'peer_list':
      return listValue(given, entry.max_items).map((text) => peerValue(given, text, context.defaultPort));
    case 'address':
      return addressValue(given);
    case 'utxo':
      return utxoValue(given, context);
  }
};
