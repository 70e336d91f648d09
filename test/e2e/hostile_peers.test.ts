import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { own } from '../../src/base/bytes.ts';
import { NETWORKS } from '../../src/base/chain_hash.ts';
import { seededRng } from '../../src/base/rng.ts';
import { loadEngine } from '../../src/crypto/engine.ts';
import { MAX_BACKLOG_MESSAGES } from '../../src/ingest/desk.ts';
import { MAX_LOOKUPS_IN_FLIGHT } from '../../src/ingest/funding_check.ts';
import { MAX_HELD_NODES } from '../../src/ingest/node_judge.ts';
import { MAX_PENDING_ANNOUNCEMENTS, MAX_PENDING_BYTES } from '../../src/ingest/pending_channels.ts';
import { REFUSED_GENERATION_ENTRIES } from '../../src/ingest/refused_memory.ts';
import { MAX_HELD_UPDATES } from '../../src/ingest/update_judge.ts';
import { MAX_UNREADY } from '../../src/peer/peer_set.ts';
import { type BuiltMap, buildMap } from '../../src/simnet/build_map.ts';
import { simnetSecret } from '../../src/simnet/identity.ts';
import { drawTopology } from '../../src/simnet/topology.ts';
import { MAX_PENDING_BYTES as MAX_STORE_PENDING_BYTES } from '../../src/store/pending_batches.ts';
import { scanStore } from '../../src/store/scan.ts';
import { nodeStoreFolder } from '../../src/store/store_file.ts';
import { MAX_WANTED } from '../../src/sync/wanted_scids.ts';
import type { Attack, KnownGossip } from './attack.ts';
import { ATTACKS } from './attacks.ts';
import { CliHouse } from './cli_process.ts';
import type { HostReport } from './daemon_host.ts';
import { HostedDaemon, untilReport } from './hosted_daemon.ts';
import { HostilePeer, type Target } from './hostile_peer.ts';
import {
  type Asker,
  halfHandshakes,
  LIES,
  startLiar,
  startPublisher,
  startRangeAsker,
  startScidAsker,
  startSilent,
  startSubscriber,
} from './staying_peers.ts';
import { countStore } from './store_counter.ts';

const CHANNELS = 2_000;
const SEED = 6;
const topology = drawTopology(CHANNELS, 680, seededRng(SEED));
/** Of our own: they count among those that are not ready. */
const DIALS = 1;
/** Live news of an honest peer: one channel at a time, and more of them than the test has time for. */
const PUBLISH_EVERY_MS = 50;
/** The honest ones serve and take the map this slowly, so that they are not done before the attacks are. */
const HONEST_BYTES_PER_SECOND = 120_000;

/**
 * What all attacks at once may add to the resident memory, beyond what the daemon had after a warm-up of the same kind.
 * Live: held updates and nodes, 20,000 and 5,000 with their copies and keys, some 25 MB; the backlog of at most 16,384
 * messages of some 430 bytes and as much again of objects, 15 MB, and the pieces of it that lie with the workers, 10 MB; six
 * deaf peers with 0.4 MB of output and up to 1 MB of input each, 9 MB; 20,000 wanted ids, refused memories, budgets, 5 MB.
 * Garbage: what V8 lets pile up before it collects it, three half-spaces of 16 MB and as much old space again, 90 MB.
 */
const MOST_GROWTH_BYTES = 150_000_000;

const base = mkdtempSync(join(tmpdir(), 'gossipd-hostile-'));
const house = new CliHouse('hostile-cli');
let map: BuiltMap;
let known: KnownGossip;
const daemons: HostedDaemon[] = [];
after(async () => {
  for (const daemon of daemons) daemon.kill();
  await house.close();
  rmSync(base, { recursive: true, force: true });
});

before(async () => {
  map = await buildMap({
    seed: SEED,
    network: 'regtest',
    folder: join(base, 'map'),
    workers: 2,
    nowSeconds: Math.floor(Date.now() / 1000),
    drawTopology: () => topology,
    onProgress: () => {},
  });
  known = firstOfEach();
});

/** One message of each kind from the map. */
const firstOfEach = (): KnownGossip => {
  const found = new Map<number, Uint8Array>();
  const file = nodeStoreFolder(map.folder).open('gossip_store', 'read');
  scanStore(file, ({ type, bytes, at, length }) => {
    if (!found.has(type)) found.set(type, own(bytes.subarray(at, at + length)));
  });
  file.close();
  const engine = loadEngine('fastest');
  return {
    map: {
      ...{ seed: SEED, topology, engine },
      network: NETWORKS.regtest,
      newestTimestamp: map.newest_timestamp,
      nodeKey: (node) => engine.publicKey(simnetSecret(SEED, 'node', node)),
    },
    channels: CHANNELS / 2,
    announcement: found.get(256)!,
    update: found.get(258)!,
    node: found.get(257)!,
  };
};

const start = async (
  name: string,
  flags: Readonly<Record<string, unknown>>,
  storeBytes = 0,
): Promise<HostedDaemon> => {
  const folder = join(base, name);
  mkdirSync(folder);
  if (storeBytes > 0)
    writeFileSync(join(folder, 'gossip_store'), readFileSync(map.storePath).subarray(0, storeBytes));
  const common = { outbound_peers: '0', dns_seeds: false, verify_workers: '1', flush_interval_ms: '200' };
  const unlimited = { bytes_per_second_in: '0', bytes_per_second_out: '0' };
  const daemon = await HostedDaemon.start({
    folder,
    utxoPath: map.utxoPath,
    flags: { ...common, ...unlimited, ...flags },
  });
  daemons.push(daemon);
  return daemon;
};

/** Header position of the announcement with this number. */
const positionOfChannel = (number: number): number => {
  const file = nodeStoreFolder(map.folder).open('gossip_store', 'read');
  let [seen, position] = [0, 0];
  scanStore(file, ({ type, offset }) => {
    if (type === 256 && seen++ === number) position = offset - 12;
  });
  file.close();
  return position;
};

/** Whether it comes to pass that answers hardly come any more, while live gossip still does. */
const isSlowedOnly = async (asker: Asker): Promise<boolean> => {
  const deadline = performance.now() + 60_000;
  while (!asker.peer.isClosed && performance.now() < deadline) {
    const { answers, live } = asker;
    await sleep(700);
    if (asker.answers - answers <= 1 && asker.live > live) return !asker.peer.isClosed;
  }
  return false;
};

const whereIs = ({ port, nodeId }: HostedDaemon): Target => ({ port, nodeId });

/** Says of each counter that has not moved by what the attacks must add to it; nothing, when all have. */
const missingNotices = (
  baseline: HostReport,
  expected: readonly Attack['expects'][],
): ((report: HostReport) => string[]) => {
  const least = new Map<string, number>();
  for (const expects of expected) {
    for (const [counter, count] of Object.entries(expects))
      least.set(counter, (least.get(counter) ?? 0) + count);
  }
  return ({ meter }) =>
    [...least].flatMap(([counter, count]) => {
      const grown = (meter[counter] ?? 0) - (baseline.meter[counter] ?? 0);
      return grown >= count ? [] : [`${counter}: ${grown} of ${count}`];
    });
};

/** Says of each attack's connections that ended otherwise than they should: nothing, when all is well. */
const wrongEnds = (
  endings: Readonly<Record<string, string>>,
  staged: readonly { readonly attack: Attack; readonly at: Target & { connections: string[] } }[],
): string[] =>
  staged.flatMap(({ attack: { name, ends }, at }) => {
    const found = at.connections.map((connection) => endings[connection] ?? 'still open');
    const wrong = found.filter((ending) => !ends.includes(ending));
    return wrong.length === 0 ? [] : [`${name}: ${[...new Set(wrong)].join(', ')} (${wrong.length})`];
  });

test('whatever hostile peers do, the daemon stays up, its honest peers are served, and every bound holds', async (t) => {
  const server = await start(
    'server',
    { listen: ['127.0.0.1:0'], bytes_per_second_out: String(HONEST_BYTES_PER_SECOND) },
    Number.POSITIVE_INFINITY,
  );
  // Half of the map is there already: the other half is to be fetched during the attacks, and not before.
  server.freeze();
  const target = await start(
    'target',
    { listen: ['127.0.0.1:0'], peers: [server.address], inbound_peers: '200', ping_interval_s: '2' },
    positionOfChannel(CHANNELS / 2),
  );
  const client = await start('client', { peers: [target.address] });
  await untilReport(target, 'the honest client is connected', ({ peers }) => peers.includes(client.nodeId));

  // More half-open handshakes than there is room for: the honest ones go on, and the room is free again afterwards.
  const letGo = await halfHandshakes(target, MAX_UNREADY + 40);
  const crowded = await untilReport(
    target,
    'the surplus is refused',
    ({ meter }) => (meter['gossipd_connections_closed_total{no_room}'] ?? 0) >= 40,
  );
  assert.ok(crowded.peers.includes(client.nodeId));
  letGo();
  await untilReport(
    target,
    'the half-open ones are gone',
    ({ meter }) => (meter['gossipd_connections_closed_total{socket_closed}'] ?? 0) >= MAX_UNREADY - DIALS,
  );

  // Warm-up: code is compiled, buffers and pools have their size.
  await Promise.all(
    ATTACKS.filter(({ name }) => /cut off|dropped at once/.test(name)).map(({ run }) => run(target, known)),
  );
  const baseline = await target.forgetMost();
  assert.equal(baseline.channels, CHANNELS / 2);
  server.goOn();

  const endLies = await startLiar(target);
  const endSilence = await startSilent(target);
  const unnoticedLies = missingNotices(baseline, [LIES]);
  await untilReport(
    target,
    'the first lie was noticed',
    ({ meter }) => (meter['gossipd_bad_replies_total{range_gap}'] ?? 0) > 0,
  );
  const subscriber = await startSubscriber(target);
  const publisher = await startPublisher(target, known, PUBLISH_EVERY_MS);
  const askers = await Promise.all([startRangeAsker(target), startScidAsker(target)]);
  const slowly = { bytes_per_second_in: String(3 * HONEST_BYTES_PER_SECOND) };
  const staged = ATTACKS.map((attack) => ({
    attack,
    at: { ...whereIs(target), connections: [] as string[] },
  }));
  const [late] = await Promise.all([
    start('late', { peers: [target.address], ...slowly }),
    ...staged.map(({ attack, at }) => attack.run(at, known)),
  ]);
  await untilReport(target, 'every lie was noticed', (report) => unnoticedLies(report).length === 0);
  endLies();
  const missing = missingNotices(
    baseline,
    ATTACKS.map(({ expects }) => expects),
  );
  const done = await untilReport(
    target,
    'every attack was noticed',
    (report) => missing(report).length === 0,
  ).catch(async (error: unknown) => {
    throw new Error(missing(await target.report()).join('; '), { cause: error });
  });
  t.diagnostic(`reasons: ${JSON.stringify(done.meter)}`);
  // Those that read nothing are seen through after two pings.
  const patience = performance.now() + 15_000;
  while (wrongEnds(await target.endings(), staged).length > 0 && performance.now() < patience)
    await sleep(100);
  assert.deepEqual(wrongEnds(await target.endings(), staged), [], 'each ended as it should');

  // Those that ask without end are slowed, not closed, and hear what is new all the same.
  for (const isSlowed of await Promise.all(askers.map(isSlowedOnly)))
    assert.ok(isSlowed, 'slower, never refused');
  const { meter } = await target.report();
  assert.ok((meter['gossipd_queries_throttled_total'] ?? 0) >= askers.length);
  for (const { peer } of askers) peer.destroy();
  await untilReport(
    target,
    'who never ends an answer is passed over',
    ({ meter }) => (meter['gossipd_silent_peers_total'] ?? 0) > 0,
  );
  endSilence();
  publisher.stop();
  const deadline = performance.now() + 10_000;
  while (subscriber.heard() < publisher.sent() && performance.now() < deadline) await sleep(20);
  t.diagnostic(`live: ${subscriber.heard()} of ${publisher.sent()} updates arrived`);
  assert.ok(publisher.sent() > 0);
  assert.ok(subscriber.heard() >= publisher.sent(), 'live relay went on, and lost nothing');
  publisher.peer.destroy();
  subscriber.peer.destroy();

  // The honest ones.
  const synced = await untilReport(
    target,
    'the sync is complete',
    ({ complete, channels, half_channels }) =>
      complete && channels === CHANNELS && half_channels === map.updates,
  );
  assert.ok(synced.peers.includes(server.nodeId), 'the peer that it syncs from is still there');
  // Those that came before the other half was there have listed the first one.
  for (const honest of [client, late]) {
    const served = await untilReport(
      honest,
      'the honest client has what was there when it came',
      ({ complete, channels }) => complete && channels >= CHANNELS / 2,
    );
    assert.ok(served.peers.includes(target.nodeId), 'it is still connected');
  }

  // The bounds.
  const { most } = synced;
  for (const [what, bound] of [
    ['backlog', MAX_BACKLOG_MESSAGES],
    ['pending_announcements', MAX_PENDING_ANNOUNCEMENTS],
    ['pending_bytes', MAX_PENDING_BYTES],
    ['lookups_in_flight', MAX_LOOKUPS_IN_FLIGHT],
    ['held_updates', MAX_HELD_UPDATES],
    ['held_nodes', MAX_HELD_NODES],
    ['refused_scids', 2 * REFUSED_GENERATION_ENTRIES],
    ['store_pending_bytes', MAX_STORE_PENDING_BYTES],
    ['wanted', MAX_WANTED],
    ['peers', 200],
  ] as const) {
    assert.ok(most[what] !== undefined && most[what] <= bound, `${what}: ${most[what]} of ${bound}`);
  }
  const growth = most['rss_bytes']! - baseline.rss_bytes;
  t.diagnostic(`most: ${JSON.stringify(most)}`);
  t.diagnostic(
    `memory: ${(baseline.rss_bytes / 1e6).toFixed(0)} MB before, at most ${(growth / 1e6).toFixed(0)} MB more`,
  );
  assert.ok(growth <= MOST_GROWTH_BYTES, `memory grew by ${growth} bytes`);

  // Nothing that a peer does is worth an alarm, and it does not fill the log.
  assert.deepEqual(synced.alarms, []);
  assert.ok((synced.loud.info ?? 0) <= 50, `${synced.loud.info} lines at info`);
  assert.equal(synced.store_state, 'ok');

  assert.equal(await target.stop(), 0);
  const left = countStore(join(base, 'target', 'gossip_store'));
  assert.ok(left.isWhole);
  assert.deepEqual([left.channel_announcements, left.channel_updates], [CHANNELS, map.updates]);
});

test('peers that hold their half of the connection and read nothing do not keep the process from ending in order', async () => {
  const folder = house.path('held');
  const daemon = house.start([
    'run',
    '--network',
    'regtest',
    '--data-dir',
    folder,
    '--listen',
    '127.0.0.1:0',
  ]);
  const [, port, nodeId] = await daemon.says(/listening host=127\.0\.0\.1 port=(\d+) node_id=(\w+)/);
  const target: Target = { port: Number(port), nodeId: String(nodeId) };
  const held = await Promise.all([
    HostilePeer.connect(target, { holdsOn: true }),
    HostilePeer.shake(target, { holdsOn: true }),
    HostilePeer.open(target, { holdsOn: true }),
    HostilePeer.open(target, { holdsOn: true }),
  ]);
  for (const peer of held) peer.stopReading();
  daemon.kill('SIGTERM');
  const { code, err } = await daemon.ended;
  assert.equal(code, 0, err);
  assert.match(err, /stopped; the store is durable/);
  for (const peer of held) peer.destroy();
});
