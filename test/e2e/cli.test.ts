import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { CliHouse, type CliProcess, processesWith } from './cli_process.ts';
import { countStore } from './store_counter.ts';

const house = new CliHouse('cli');
after(() => house.close());
const CACHE = house.path('cache');
const SIMNET = ['simnet', '--seed', '7', '--channels', '300', '--cache-dir', CACHE];

interface SimnetJson {
  readonly channels: number;
  readonly nodes: number;
  readonly updates: number;
  readonly node_announcements: number;
  readonly signatures_checked: number;
  readonly rejected: number;
  readonly seconds: number;
  readonly complete: boolean;
  readonly resumed_channels: number;
  readonly store: string;
  readonly store_bytes: number;
}
let synced: SimnetJson;
before(async () => {
  const { code, out, err } = await house.run([...SIMNET, '--once', '--json']);
  assert.equal(code, 0, err);
  synced = JSON.parse(out) as SimnetJson;
});

/** A daemon that talks to nobody. */
const runArgs = (folder: string, ...more: readonly string[]): string[] => [
  ...['run', '--network', 'regtest', '--data-dir', folder, '--listen', '127.0.0.1:0'],
  ...more,
];
const startDaemon = async (
  folder: string,
  ...more: readonly string[]
): Promise<{ daemon: CliProcess; port: number }> => {
  const daemon = house.start(runArgs(folder, ...more));
  const [, port] = await daemon.says(/listening host=127\.0\.0\.1 port=(\d+)/);
  return { daemon, port: Number(port) };
};

test('simnet --once --json: a whole map is signed, served, synced, checked and stored', () => {
  assert.equal(synced.complete, true);
  assert.equal(synced.channels, 300);
  assert.equal(synced.nodes, 102);
  assert.equal(synced.rejected, 0);
  assert.equal(synced.resumed_channels, 0);
  assert.ok(synced.seconds > 0);
  assert.equal(synced.store_bytes, statSync(synced.store).size);
  // Four for each channel, one for each update and node: nothing was stored unchecked.
  const least = 4 * synced.channels + synced.updates + synced.node_announcements;
  assert.ok(synced.signatures_checked >= least, `${synced.signatures_checked} of ${least}`);
});

test('simnet: an independent reader finds in the store what the result says', () => {
  const found = countStore(synced.store);
  assert.ok(found.isWhole);
  assert.deepEqual(
    [found.channel_announcements, found.amounts, found.channel_updates, found.node_announcements],
    [300, 300, synced.updates, synced.node_announcements],
  );
});

test('simnet: a second run finds the map and comes to the same result, without --json in one line', async () => {
  const { code, out, err } = await house.run([...SIMNET, '--once']);
  assert.equal(code, 0, err);
  assert.match(err, /map found/);
  assert.match(
    out,
    /^300 channels, 102 nodes, \d+ signatures checked, 0 refused, [\d.]+ s, \S+gossip_store\n$/,
  );
  assert.equal(countStore(synced.store).channel_announcements, 300);
});

test('simnet: no process of it is left when it has ended', async () => {
  assert.deepEqual(processesWith(CACHE), []);
});

test('simnet --from-store: the topology of another store, signed anew', async () => {
  const { code, out, err } = await house.run([
    ...['simnet', '--from-store', synced.store, '--cache-dir', house.path('other'), '--simnet-peers', '1'],
    ...['--once', '--json'],
  ]);
  assert.equal(code, 0, err);
  const copy = JSON.parse(out) as SimnetJson;
  assert.deepEqual([copy.channels, copy.nodes, copy.updates], [300, 102, synced.updates]);
  assert.notDeepEqual(readFileSync(copy.store), readFileSync(synced.store));
});

test('--help works on every verb and names what it takes', async () => {
  const verbs = [
    [],
    ['run'],
    ['simnet'],
    ['status'],
    ['dump'],
    ['graph'],
    ['graph', 'info'],
    ['graph', 'channel'],
    ['graph', 'node'],
    ['config'],
    ...['check', 'repair', 'undo', 'convert', 'backup', 'restore', 'guard', 'tail', 'store-map'].map(
      (verb) => [verb],
    ),
  ];
  await Promise.all(
    verbs.map(async (verb) => {
      const { code, out, err } = await house.run([...verb, '--help']);
      assert.deepEqual([code, err], [0, ''], verb.join(' '));
      assert.ok(out.startsWith(`Usage: ${['gossipd', ...verb].join(' ')} `), out);
      assert.ok(out.length < 8000 && out.split('\n').every((line) => line.length <= 140), verb.join(' '));
    }),
  );
  const { out } = await house.run(['run', '--help']);
  for (const flag of ['--data-dir', '--listen', '--peers', '--utxo', '--config'])
    assert.ok(out.includes(flag), flag);
});

test('--version prints the version of the package', async () => {
  const { code, out } = await house.run(['--version']);
  assert.equal(code, 0);
  assert.match(out, /^\d+\.\d+\.\d+\n$/);
});

test('a wrong command line ends with 16 and says what was meant', async () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['statsu'], /unknown command 'statsu'[\s\S]*Did you mean status\?/],
    [['status', '--jsn'], /unknown option '--jsn'[\s\S]*Did you mean --json\?/],
    [['simnet', '--channels', 'many'], /--channels[\s\S]*whole number from 1 to/],
    [['simnet', '--simnet-peers', '17'], /whole number from 1 to 16/],
    [['simnet', '--seed'], /--seed <number>' argument missing/],
    [
      ['simnet', '--channels', '3', '--nodes', '1000', '--cache-dir', CACHE],
      /3 channels cannot join 1000 nodes[\s\S]*Next: /,
    ],
    [['run', '--network', 'mainnet'], /--network[\s\S]*Next: /],
    [['run', '--ping-interval-s', '0'], /ping[-_]interval[-_]s[\s\S]*Next: /],
    [['run', '--peers', 'somebody'], /peers[\s\S]*Next: /],
    [['run', '--utxo', 'bitcoind'], /utxo[\s\S]*Next: /],
    [
      [
        'run',
        '--network',
        'regtest',
        '--utxo',
        `table:${house.path('none')}`,
        '--data-dir',
        house.path('d1'),
      ],
      /utxo[\s\S]*Next: /,
    ],
    [['graph', 'channel'], /missing required argument/],
    [['dump', 'a', 'b'], /too many arguments/],
    [['graph', 'channel', 'hello', synced.store], /"hello" is no short_channel_id[\s\S]*Next: /],
    [['graph', 'node', 'hello', synced.store], /"hello" is no node id[\s\S]*Next: /],
  ];
  await Promise.all(
    wrong.map(async ([args, says]) => {
      const { code, out, err } = await house.run(args);
      assert.deepEqual([code, out], [16, ''], `${args.join(' ')}: ${err}`);
      assert.match(err, says);
    }),
  );
});

test('a misspelt variable or key is refused, not ignored', async () => {
  const config = house.path('bad.toml');
  writeFileSync(config, 'lisen = []\n');
  const [variable, file] = await Promise.all([
    house.run(['run'], { env: { GOSSIPD_LISEN: '127.0.0.1:1' } }),
    house.run(['run', '--config', config]),
  ]);
  assert.deepEqual([variable.code, file.code], [16, 16]);
  assert.match(variable.err, /GOSSIPD_LISEN[\s\S]*GOSSIPD_LISTEN/);
  assert.match(file.err, /lisen[\s\S]*listen/);
});

test('dump: text, JSON lines, and a reader that leaves early', async () => {
  const [text, json, early] = await Promise.all([
    house.run(['dump', synced.store]),
    house.run(['dump', '--json', synced.store]),
    house.run(['dump', '--raw', synced.store], { leaveAfter: 1 }),
  ]);
  assert.deepEqual([text.code, text.err], [0, '']);
  const { channel_announcements, amounts, channel_updates, node_announcements } = countStore(synced.store);
  const records = channel_announcements + amounts + channel_updates + node_announcements + 1;
  assert.equal(text.out.trimEnd().split('\n').length, records);
  const rows = json.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: number });
  assert.equal(rows.length, records);
  assert.equal(rows.filter(({ type }) => type === 258).length, channel_updates);
  assert.deepEqual([early.code, early.signal, early.err], [0, null, '']);
});

test('dump: a folder will do for the file in it, and the data folder for neither', async () => {
  const folder = synced.store.replace(/\/gossip_store$/, '');
  const [named, unnamed] = await Promise.all([
    house.run(['dump', folder]),
    house.run(['dump', '--data-dir', folder]),
  ]);
  assert.equal(named.code, 0);
  assert.equal(named.out, unnamed.out);
});

test('dump: nothing there is an error with a next step; a torn file ends with 4', async () => {
  const torn = house.path('torn');
  writeFileSync(torn, readFileSync(synced.store).subarray(0, 10_000));
  const [missing, damaged] = await Promise.all([
    house.run(['dump', house.path('none')]),
    house.run(['dump', torn]),
  ]);
  assert.deepEqual([missing.code, damaged.code], [8, 4]);
  assert.match(missing.err, /no gossip_store at .*none[\s\S]*Next: /);
  assert.match(damaged.err, /No funds are in this file\. Next: /);
});

interface ChannelJson {
  readonly short_channel_id: string;
  readonly node_id_1: string;
}

test('graph info, channel and node: text and JSON', async () => {
  const first = (await house.run(['dump', '--json', synced.store])).out.split('\n')[1] ?? '';
  const { short_channel_id, node_id_1 } = JSON.parse(first) as ChannelJson;
  const ask = async (...args: readonly string[]): Promise<{ out: string }> => {
    const result = await house.run(['graph', ...args, synced.store]);
    assert.deepEqual([result.code, result.err], [0, ''], args.join(' '));
    return result;
  };
  const [infoText, infoJson, channelText, channelJson, nodeText, nodeJson] = await Promise.all([
    ask('info'),
    ask('info', '--json'),
    ask('channel', short_channel_id),
    ask('channel', '--json', short_channel_id),
    ask('node', node_id_1),
    ask('node', '--json', node_id_1),
  ]);
  assert.match(infoText.out, /^channels +300 /m);
  assert.equal((JSON.parse(infoJson.out) as { channels: number }).channels, 300);
  assert.ok(channelText.out.includes(node_id_1));
  assert.equal((JSON.parse(channelJson.out) as ChannelJson).node_id_1, node_id_1);
  assert.match(nodeText.out, /alias +simnet-\d+/);
  const node = JSON.parse(nodeJson.out) as { channel_list: ChannelJson[] };
  assert.ok(node.channel_list.some((channel) => channel.short_channel_id === short_channel_id));
});

test('graph: what is not in the map is said so, in JSON when asked', async () => {
  const { code, err } = await house.run(['graph', 'channel', '1x1x1', synced.store]);
  assert.equal(code, 8);
  assert.match(err, /channel 1x1x1 is not in this map[\s\S]*Next: /);
  const json = await house.run(['graph', 'node', `02${'1'.repeat(64)}`, synced.store, '--json']);
  assert.equal(json.code, 8);
  assert.equal((JSON.parse(json.out) as { error: { code: string } }).error.code, 'not_found');
});

test('graph info: a reader that has left is no error', async () => {
  for (const verb of [
    ['graph', 'info', synced.store],
    ['graph', 'info', synced.store, '--json'],
    ['config'],
  ]) {
    const { code, signal, err } = await house.run(verb, { leaveAfter: 0 });
    assert.deepEqual([code, signal, err], [0, null, ''], verb.join(' '));
  }
});

test('config: prints a file that the program takes', async () => {
  const { code, out } = await house.run(['config']);
  assert.equal(code, 0);
  const path = house.path('sample.toml');
  writeFileSync(path, out);
  const status = await house.run(['status', '--config', path, '--data-dir', house.path('d2')]);
  assert.equal(status.code, 8, 'the file is fine, there is only no daemon');
  assert.match(status.err, /no gossipd answers at .*d2/);
});

test('run: status tells, in text and in JSON; SIGTERM and SIGINT end it with 0', async () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const folder = house.path(`run-${signal}`);
    mkdirSync(folder);
    copyFileSync(synced.store, `${folder}/gossip_store`);
    const { daemon } = await startDaemon(folder);
    const socket = await daemon.says(/node_id=(\w+)/);
    const [text, json] = await Promise.all([
      house.run(['status', '--data-dir', folder]),
      house.run(['status', '--data-dir', folder, '--json']),
    ]);
    assert.deepEqual([text.code, json.code], [0, 0], text.err + json.err);
    assert.match(text.out, /^map +300 channels/m);
    const status = JSON.parse(json.out) as {
      node_id: string;
      loaded_channels: number;
      store: { state: string };
    };
    assert.deepEqual([status.node_id, status.loaded_channels, status.store.state], [socket[1], 300, 'ok']);
    daemon.kill(signal);
    const { code, signal: died, err } = await daemon.ended;
    assert.deepEqual([code, died], [0, null], err);
    assert.match(err, new RegExp(`stopping signal=${signal}[\\s\\S]*stopped; the store is durable`));
    assert.deepEqual(countStore(`${folder}/gossip_store`), countStore(synced.store));
    assert.equal(existsSync(`${folder}/gossipd.sock`), false);
    const gone = await house.run(['status', '--data-dir', folder]);
    assert.equal(gone.code, 8);
    assert.match(gone.err, /no gossipd answers[\s\S]*Next: Start it/);
  }
});

test('run: a signal during the start ends it with 0 as well', async () => {
  // The handlers were installed after the daemon had started: a SIGTERM that came as soon as it said "listening" killed it.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const folder = house.path(`early-${signal}`);
    const daemon = house.start(runArgs(folder));
    await daemon.says(/no chain backend/);
    daemon.kill(signal);
    const { code, signal: died, err } = await daemon.ended;
    assert.deepEqual([code, died], [0, null], err);
    assert.match(err, /stopped; the store is durable/);
  }
});

test('simnet: SIGTERM in the middle ends with 0, leaves a whole store, and no peers', async () => {
  const cache = house.path('live');
  const folder = house.path('live', 'node');
  const daemon = house.start([
    ...['simnet', '--seed', '8', '--channels', '2000', '--live', '50'],
    ...['--cache-dir', cache, '--data-dir', folder],
  ]);
  await daemon.says(/peer connected/);
  daemon.kill('SIGTERM');
  const { code, err } = await daemon.ended;
  assert.equal(code, 0, err);
  assert.ok(countStore(`${folder}/gossip_store`).isWhole);
  assert.deepEqual(processesWith(cache), []);
});

test('run: a second writer is refused, and told who the first one is', async () => {
  const folder = house.path('two');
  const { daemon } = await startDaemon(folder);
  const second = await house.run(runArgs(folder));
  assert.equal(second.code, 8);
  assert.match(second.err, new RegExp(`${daemon.pid}[\\s\\S]*Next: `));
  const json = await house.run(runArgs(folder, '--json'));
  assert.equal((JSON.parse(json.out) as { error: { code: string } }).error.code, 'store_locked');
  daemon.kill('SIGTERM');
  assert.equal((await daemon.ended).code, 0);
});

test('run: a port that is taken is an error with a next step, and leaves the folder free', async () => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const folder = house.path('port');
  const args = ['run', '--network', 'regtest', '--data-dir', folder, '--listen', `127.0.0.1:${address.port}`];
  const { code, err } = await house.run(args);
  assert.equal(code, 8);
  assert.match(err, /cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE[\s\S]*Next: Choose another address/);
  server.close();
  const { daemon } = await startDaemon(folder);
  daemon.kill('SIGTERM');
  assert.equal((await daemon.ended).code, 0);
});

test('run: a folder that cannot be written to is an error with a next step', async () => {
  const file = house.path('a-file');
  writeFileSync(file, '');
  for (const args of [
    runArgs(`${file}/below`),
    ['simnet', '--channels', '3', '--cache-dir', `${file}/below`],
  ]) {
    const { code, err } = await house.run(args);
    assert.equal(code, 8, err);
    assert.match(err, /cannot write to the folder \S+[\s\S]*Next: Name a folder/);
  }
});

test('run: a node key that is none, and a store of a later major version, stop the start and are left as they are', async () => {
  const keyFolder = house.path('key');
  const versionFolder = house.path('version');
  for (const folder of [keyFolder, versionFolder]) mkdirSync(folder);
  writeFileSync(`${keyFolder}/node_key`, '00'.repeat(32));
  const other = readFileSync(synced.store);
  other[0] = 0x30;
  writeFileSync(`${versionFolder}/gossip_store`, other);
  const [key, version] = await Promise.all([
    house.run(runArgs(keyFolder)),
    house.run(runArgs(versionFolder)),
  ]);
  assert.equal(key.code, 8, key.err);
  assert.match(key.err, /node_key does not hold a secret key[\s\S]*Next: Move it away/);
  assert.equal(version.code, 8, version.err);
  assert.match(
    version.err,
    /has major version 1[\s\S]*Next: If its first byte is only damaged: "gossipd repair /,
  );
  assert.deepEqual(readFileSync(`${versionFolder}/gossip_store`), other);
});

test('start is simnet, and run once a network is named', async () => {
  const [simnet, run] = await Promise.all([
    house.run(['start', '--help']),
    house.run(['start', '--network', 'regtest', '--help']),
  ]);
  assert.ok(simnet.out.startsWith('Usage: gossipd simnet '));
  assert.ok(run.out.startsWith('Usage: gossipd run '));
});
