import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Command, Option } from 'commander';
import { parse } from 'smol-toml';
import { OperationalError } from '../base/errors.ts';
import { type ConfigSources, explainConfig, loadConfig } from './config.ts';
import { systemSources } from './config_sources.ts';
import { didYouMean } from './config_suggest.ts';
import { CONFIG_KEYS, configEntry, flagName, variableName } from './config_table.ts';
import { configurationDocument, flagRows, sampleToml } from './config_text.ts';

const NODE = '03864ef025fde8fb587d989186ce6a4a186895ee44a926bfc370e2c366597a3f8f';

const sources = (given: Partial<ConfigSources> & { toml?: string } = {}): ConfigSources => ({
  flags: {},
  env: {},
  cores: 4,
  home: '/home/ada',
  cwd: '/work',
  ...(given.toml === undefined ? {} : { file: { path: '/etc/gossipd/gossipd.toml', text: given.toml } }),
  ...given,
});

const refused = (given: Parameters<typeof sources>[0]): OperationalError => {
  try {
    loadConfig(sources(given));
  } catch (error) {
    assert.ok(error instanceof OperationalError, String(error));
    assert.equal(error.code, 'bad_config');
    assert.equal(error.action, 'stop');
    assert.notEqual(error.hint, '');
    return error;
  }
  return assert.fail('nothing was refused');
};

test('with nothing given every key has its default', () => {
  assert.deepEqual(loadConfig(sources()), {
    network: 'bitcoin',
    data_dir: '/home/ada/.local/share/gossipd/bitcoin',
    listen: [],
    peers: [],
    dns_seeds: true,
    outbound_peers: 8,
    inbound_peers: 100,
    verify_workers: 4,
    sync_interval_ms: 1000,
    store_version: '16',
    flush_interval_ms: 60_000,
    relay_unverified: false,
    accept_unverified: true,
    utxo: 'none',
    blacklist: true,
    bitcoind_cookie: '/home/ada/.bitcoin/.cookie',
    bitcoind_zmq: 'none',
    chain_poll_s: 5,
    proxy: 'none',
    always_use_proxy: false,
    bytes_per_second_out: 900_000,
    bytes_per_second_in: 1_000_000,
    ping_interval_s: 30,
    log_level: 'info',
    log_json: false,
    progress: 'auto',
    rpc_socket: '/home/ada/.local/share/gossipd/bitcoin/gossipd.sock',
    exit_when_synced: false,
    json: false,
  });
});

test('a flag goes before the environment, the environment before the file, the file before the default', () => {
  const toml = 'sync_interval_ms = 30\noutbound_peers = 3\nlog_level = "debug"';
  const env = { GOSSIPD_SYNC_INTERVAL_MS: '20', GOSSIPD_OUTBOUND_PEERS: '2', HOME: '/x' };
  const flags = { syncIntervalMs: '10' };
  const config = loadConfig(sources({ toml, env, flags }));
  assert.equal(config.sync_interval_ms, 10);
  assert.equal(config.outbound_peers, 2);
  assert.equal(config.log_level, 'debug');
  assert.equal(config.inbound_peers, 100);
  const explained = explainConfig(sources({ toml, env, flags }));
  const source = (key: string) => explained.find((each) => each.key === key)?.source;
  assert.equal(source('sync_interval_ms'), '--sync-interval-ms');
  assert.equal(source('outbound_peers'), 'GOSSIPD_OUTBOUND_PEERS');
  assert.equal(source('log_level'), '/etc/gossipd/gossipd.toml');
  assert.equal(source('inbound_peers'), 'default');
});

test('every key can be given as flag, as variable and in the file', () => {
  const given: Record<string, unknown> = {
    network: 'signet',
    data_dir: '/d',
    listen: ['127.0.0.1:1'],
    peers: [`${NODE}@h:1`],
    log_level: 'trace',
    store_version: '14',
    progress: 'never',
    utxo: 'table:/t',
    bitcoind_cookie: '/c',
    bitcoind_zmq: '127.0.0.1:28332',
    proxy: '[::1]:9050',
    rpc_socket: '/s',
  };
  for (const key of CONFIG_KEYS) {
    const entry = configEntry(key);
    const value =
      given[key] ??
      (entry.type === 'boolean' ? !entry.default : entry.type === 'integer' ? entry.max : undefined);
    assert.notEqual(value, undefined, `no example for ${key}`);
    const text = Array.isArray(value) ? value.join(',') : String(value);
    const camel = flagName(key)
      .slice(2)
      .replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    const byFlag = loadConfig(sources({ flags: { [camel]: entry.type === 'boolean' ? value : text } }))[key];
    const byVariable = loadConfig(sources({ env: { [variableName(key)]: text } }))[key];
    const byFile = loadConfig(sources({ toml: `${key} = ${JSON.stringify(value)}` }))[key];
    assert.deepEqual(byFlag, byVariable, key);
    assert.deepEqual(byFlag, byFile, key);
    assert.notDeepEqual(byFlag, loadConfig(sources())[key], key);
  }
});

test('an unknown key is refused in every source, with the nearest known one', () => {
  assert.match(
    refused({ flags: { syncIntervall: '5' } }).message,
    /unknown key --sync-intervall in the command line; did you mean --sync-interval-ms\?/,
  );
  assert.match(
    refused({ env: { GOSSIPD_LOG_LEVL: 'info' } }).message,
    /GOSSIPD_LOG_LEVL in the environment; did you mean GOSSIPD_LOG_LEVEL\?/,
  );
  assert.match(
    refused({ toml: 'outbound = 5' }).message,
    /outbound in \/etc\/gossipd\/gossipd\.toml; did you mean outbound_peers\?/,
  );
  assert.match(refused({ toml: '[store]\nsync_interval_ms = 5' }).message, /unknown key store/);
  const far = refused({ toml: 'colour = "blue"' });
  assert.doesNotMatch(far.message, /did you mean/);
  assert.match(far.hint, /docs\/configuration\.md/);
});

test('variables of others, the names beside the table and unset values are left alone', () => {
  const env = {
    PATH: '/bin',
    GOSSIPD_CONFIG: '/c',
    GOSSIPD_DIR: '',
    GOSSIPD_LOG_LEVEL: '',
    GOSSIPD_PEERS: undefined,
  };
  const config = loadConfig(sources({ env, flags: { config: '/c', logLevel: undefined } }));
  assert.deepEqual(config, loadConfig(sources()));
});

test('a wrong type is refused with key, source and an example in the form that was used', () => {
  const flag = refused({ flags: { outboundPeers: 'many' } });
  assert.match(flag.message, /^outbound_peers, from --outbound-peers: "many" is not a whole number/);
  assert.match(flag.hint, /0 to 64 \(connections\), for example: --outbound-peers 8$/);
  const env = refused({ env: { GOSSIPD_LOG_JSON: 'maybe' } });
  assert.match(env.message, /^log_json, from GOSSIPD_LOG_JSON: "maybe" is neither true nor false/);
  assert.match(env.hint, /GOSSIPD_LOG_JSON=true$/);
  const file = refused({ toml: 'outbound_peers = "8"' });
  assert.match(
    file.message,
    /^outbound_peers, from \/etc\/gossipd\/gossipd\.toml: "8" is not a whole number/,
  );
  assert.match(file.hint, /outbound_peers = 8$/);
  for (const toml of [
    'outbound_peers = 1.5',
    'json = 1',
    'json = "true"',
    'network = 5',
    'peers = [1]',
    'data_dir = []',
    'utxo = true',
    'listen = { a = 1 }',
  ])
    refused({ toml });
  refused({ flags: { dataDir: true } });
  refused({ flags: { dataDir: ' ' } });
});

test('a number out of bounds is refused, its bounds are accepted', () => {
  assert.match(
    refused({ flags: { syncIntervalMs: '9' } }).message,
    /9 is not within 10 to 60000 milliseconds/,
  );
  assert.match(refused({ flags: { syncIntervalMs: '-1' } }).message, /-1 is not within/);
  refused({ flags: { syncIntervalMs: '60001' } });
  refused({ flags: { syncIntervalMs: '1e3' } });
  assert.equal(loadConfig(sources({ flags: { syncIntervalMs: '60_000' } })).sync_interval_ms, 60_000);
  for (const key of CONFIG_KEYS) {
    const entry = configEntry(key);
    if (entry.type !== 'integer') continue;
    for (const edge of [entry.min, entry.max])
      assert.equal(loadConfig(sources({ toml: `${key} = ${edge}` }))[key], edge);
    refused({ toml: `${key} = ${entry.min - 1}` });
    refused({ toml: `${key} = ${entry.max + 1}` });
  }
});

test('a word that is no choice is refused', () => {
  assert.match(
    refused({ flags: { network: 'mainnet' } }).hint,
    /bitcoin, testnet, testnet4, signet, regtest/,
  );
});

test('a file that is no TOML is refused with line and column', () => {
  const error = refused({ toml: 'network = "signet"\nlog_level = = 1' });
  assert.match(error.message, /^\/etc\/gossipd\/gossipd\.toml:2:\d+: /);
});

test('the data folder follows GOSSIPD_DIR, then XDG_DATA_HOME, then the home folder, and the network', () => {
  const folder = (env: ConfigSources['env'], flags: ConfigSources['flags'] = {}) =>
    loadConfig(sources({ env, flags })).data_dir;
  assert.equal(folder({ GOSSIPD_DIR: '/g', XDG_DATA_HOME: '/x' }), '/g');
  assert.equal(folder({ GOSSIPD_DIR: 'g' }), '/work/g');
  assert.equal(folder({ XDG_DATA_HOME: '/x' }, { network: 'signet' }), '/x/gossipd/signet');
  assert.equal(folder({ XDG_DATA_HOME: 'relative' }), '/home/ada/.local/share/gossipd/bitcoin');
  assert.equal(folder({ GOSSIPD_DIR: '/g' }, { dataDir: 'here' }), '/work/here');
  assert.equal(loadConfig(sources({ flags: { dataDir: '/d' } })).rpc_socket, '/d/gossipd.sock');
});

test('paths are absolute: from the working folder, from the folder of the file, or from home', () => {
  assert.equal(loadConfig(sources({ flags: { dataDir: './a/../b' } })).data_dir, '/work/b');
  assert.equal(loadConfig(sources({ toml: 'data_dir = "data"' })).data_dir, '/etc/gossipd/data');
  assert.equal(loadConfig(sources({ toml: 'data_dir = "~/data"' })).data_dir, '/home/ada/data');
  assert.equal(loadConfig(sources({ toml: 'utxo = "table:utxos"' })).utxo, 'table:/etc/gossipd/utxos');
});

test('workers default to the cores, at least one and at most eight', () => {
  assert.equal(loadConfig(sources({ cores: 1 })).verify_workers, 1);
  assert.equal(loadConfig(sources({ cores: 0 })).verify_workers, 1);
  assert.equal(loadConfig(sources({ cores: 64 })).verify_workers, 8);
});

test('listen addresses take the port of the network when they name none', () => {
  const listen = (text: unknown, network = 'bitcoin') =>
    loadConfig(sources({ flags: { listen: text, network } })).listen;
  assert.deepEqual(listen('127.0.0.1'), [['127.0.0.1', 9735]]);
  assert.deepEqual(listen('127.0.0.1', 'signet'), [['127.0.0.1', 39_735]]);
  assert.deepEqual(listen('[::]:9736, host.example'), [
    ['::', 9736],
    ['host.example', 9735],
  ]);
  assert.deepEqual(listen(['a:1', 'b:0']), [
    ['a', 1],
    ['b', 0],
  ]);
  for (const bad of ['::1:9735', 'a:70000', 'a:b', 'a b', ':9735']) refused({ flags: { listen: bad } });
  refused({ flags: { listen: Array.from({ length: 17 }, (_, index) => `h:${index}`) } });
});

test('peers are checked and completed with a port', () => {
  const peers = (text: unknown) => loadConfig(sources({ flags: { peers: text } })).peers;
  assert.deepEqual(peers(`${NODE}@1.2.3.4`), [`${NODE}@1.2.3.4:9735`]);
  assert.deepEqual(peers([`${NODE}@[2001:db8::1]:1`, `${NODE}@h`]), [
    `${NODE}@[2001:db8::1]:1`,
    `${NODE}@h:9735`,
  ]);
  assert.match(
    refused({ flags: { peers: '1.2.3.4:9735' } }).message,
    /^peers, from --peers: "1\.2\.3\.4:9735" is not NODE_ID@HOST:PORT/,
  );
  refused({ flags: { peers: `05${NODE.slice(2)}@h` } });
  refused({ flags: { peers: Array.from({ length: 161 }, () => `${NODE}@h`) } });
});

test('a chain backend is none or a table with a file', () => {
  assert.equal(loadConfig(sources({ flags: { utxo: 'table:/a b' } })).utxo, 'table:/a b');
  assert.match(refused({ flags: { utxo: 'table:' } }).message, /"table:" is no chain backend/);
  refused({ flags: { utxo: 'bitcoind' } });
  const secret = refused({ flags: { utxo: 'bitcoind:http://a:secret@' } });
  assert.doesNotMatch(secret.message, /secret/);
  assert.equal(
    loadConfig(sources({ flags: { bitcoindZmq: 'tcp://127.0.0.1:28332' } })).bitcoind_zmq,
    '127.0.0.1:28332',
  );
  refused({ flags: { proxy: '127.0.0.1' } });
  assert.equal(
    loadConfig(sources({ flags: { network: 'regtest' } })).bitcoind_cookie,
    '/home/ada/.bitcoin/regtest/.cookie',
  );
});

test('words for yes and no are understood in text', () => {
  for (const [word, value] of [
    ['yes', true],
    ['ON', true],
    ['1', true],
    ['no', false],
    ['off', false],
    ['0', false],
  ] as const)
    assert.equal(loadConfig(sources({ env: { GOSSIPD_DNS_SEEDS: word } })).dns_seeds, value);
});

test('a long bad value is quoted in part', () => {
  assert.ok(refused({ flags: { network: 'x'.repeat(10_000) } }).message.length < 200);
});

const commandWithFlags = (): Command => {
  const command = new Command().exitOverride();
  for (const { flags, description, hidden, repeatable } of flagRows()) {
    const option = new Option(flags, description).hideHelp(hidden);
    if (repeatable)
      option.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
    command.addOption(option);
  }
  return command;
};

test('the flag rows make commander options that hand over only what was given', () => {
  const parsed = (...args: string[]) => commandWithFlags().parse(args, { from: 'user' }).opts();
  assert.deepEqual(parsed(), {});
  const flags = parsed(
    '--no-dns-seeds',
    '--relay-unverified',
    '--peers',
    `${NODE}@a`,
    '--peers',
    `${NODE}@b`,
    '--bytes-per-second-out',
    '0',
  );
  const config = loadConfig(sources({ flags, env: { GOSSIPD_DNS_SEEDS: 'true' } }));
  assert.equal(config.dns_seeds, false);
  assert.equal(config.relay_unverified, true);
  assert.deepEqual(config.peers, [`${NODE}@a:9735`, `${NODE}@b:9735`]);
  assert.equal(config.bytes_per_second_out, 0);
  assert.equal(
    loadConfig(sources({ flags: parsed('--dns-seeds'), toml: 'dns_seeds = false' })).dns_seeds,
    true,
  );
});

test('the help shows each key once, with its default', () => {
  const shown = flagRows().filter((row) => !row.hidden);
  assert.equal(shown.length, CONFIG_KEYS.length);
  const help = commandWithFlags().helpInformation();
  assert.match(help, /--no-dns-seeds/);
  assert.doesNotMatch(help, / --dns-seeds/);
  assert.match(help, /--sync-interval-ms <number>/);
  assert.match(help, /\(default: 1000\)/);
});

test('the sample file is the defaults, closed and opened', () => {
  const closed = sampleToml();
  assert.deepEqual(Object.keys(parse(closed)), []);
  assert.deepEqual(loadConfig(sources({ toml: closed })), loadConfig(sources()));
  const opened = closed.replace(/^#([a-z_]+ = )/gm, '$1');
  assert.deepEqual(Object.keys(parse(opened)), CONFIG_KEYS);
  const config = loadConfig(sources({ toml: opened }));
  for (const key of CONFIG_KEYS)
    if (configEntry(key).default !== 'derived')
      assert.deepEqual(config[key], loadConfig(sources())[key], key);
});

test('the document has a row for every key', () => {
  const text = configurationDocument();
  for (const key of CONFIG_KEYS) assert.ok(text.includes(`\n| \`${key}\` | `), key);
});

test('every line of explanation fits its places', () => {
  for (const key of CONFIG_KEYS) {
    const { doc } = configEntry(key);
    assert.match(doc, /^[a-zU][^\n]*[^.]$/, key);
    assert.ok(doc.length <= 120, key);
  }
});

test('suggestions are near or share their start', () => {
  assert.equal(didYouMean('listn', CONFIG_KEYS), 'listen');
  assert.equal(didYouMean('bytes', CONFIG_KEYS)?.startsWith('bytes_per_second'), true);
  assert.equal(didYouMean('verify_workers_count', CONFIG_KEYS), 'verify_workers');
  assert.equal(didYouMean('zzzzzz', CONFIG_KEYS), undefined);
  assert.equal(didYouMean('x', CONFIG_KEYS), undefined);
});

test('the file is the named one, which must exist, or the one in the configuration folder, which may be missing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gossipd-config-'));
  const file = join(folder, 'gossipd', 'gossipd.toml');
  assert.equal(systemSources({}, { XDG_CONFIG_HOME: folder }).file, undefined);
  mkdirSync(join(folder, 'gossipd'));
  writeFileSync(file, 'network = "signet"\n');
  assert.deepEqual(systemSources({}, { XDG_CONFIG_HOME: folder }).file, {
    path: file,
    text: 'network = "signet"\n',
  });
  assert.equal(systemSources({ config: file }, {}).file?.path, file);
  assert.equal(systemSources({}, { GOSSIPD_CONFIG: file }).file?.path, file);
  assert.equal(loadConfig(systemSources({ config: file }, {})).network, 'signet');
  assert.throws(
    () => systemSources({ config: join(folder, 'missing.toml') }, {}),
    /cannot read the configuration file/,
  );
  writeFileSync(file, new Uint8Array(1_048_577));
  assert.throws(() => systemSources({ config: file }, {}), /is no configuration/);
  rmSync(folder, { recursive: true });
});
