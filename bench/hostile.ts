/**
 * What hostile peers take away from an honest one: the same full sync is served again and again by one daemon in a process of its
 * own, in turns alone and beside ATTACKERS that attack without end from another process (test/e2e/attacks.ts, each over and
 * over). The honest peer only asks and reads, so its time is the daemon's service.
 *
 * Two rows: with the byte limits of the default configuration, and with none, where the attackers may send as much as they can.
 * They run on this machine and take their share of its processors as well, which an attacker elsewhere would not.
 * Run by scripts/bench, or alone: node dist/bench/hostile.js. HOSTILE_CHANNELS (5,000) and HOSTILE_ROUNDS (3) set the size.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { own, readU16 } from '../src/base/bytes.ts';
import { NETWORKS } from '../src/base/chain_hash.ts';
import { seededRng } from '../src/base/rng.ts';
import { loadEngine } from '../src/crypto/engine.ts';
import { nodesFor } from '../src/daemon/simnet_size.ts';
import { type BuiltMap, buildMap } from '../src/simnet/build_map.ts';
import { simnetSecret } from '../src/simnet/identity.ts';
import { drawTopology, type Topology } from '../src/simnet/topology.ts';
import { scanStore } from '../src/store/scan.ts';
import { nodeStoreFolder } from '../src/store/store_file.ts';
import { isWireFault } from '../src/wire/fault.ts';
import { MESSAGE_TYPE } from '../src/wire/message_types.ts';
import { encodePong } from '../src/wire/pong.ts';
import { encodeQueryChannelRange } from '../src/wire/query_channel_range.ts';
import { encodeQueryShortChannelIds } from '../src/wire/query_short_channel_ids.ts';
import { decodeReplyChannelRange } from '../src/wire/reply_channel_range.ts';
import type { KnownGossip } from '../test/e2e/attack.ts';
import { ATTACKS } from '../test/e2e/attacks.ts';
import type { HostReport } from '../test/e2e/daemon_host.ts';
import { HostedDaemon } from '../test/e2e/hosted_daemon.ts';
import { HostilePeer, type Target } from '../test/e2e/hostile_peer.ts';

const SEED = 7;
const ATTACKERS = 20;
const SCIDS_PER_QUERY = 2_000;
/** The attackers get going before the honest one comes. */
const HEAD_START_MS = 2_000;
/** How long an attacker stays with one attack. */
const LEAST_MS = 50;
const MOST_MS = 8_000;
const SYNC_TIMEOUT_MS = 180_000;

export interface HostileRow {
  /** `default` byte limits, or `none`. */
  readonly limits: string;
  readonly channels: number;
  readonly megabytes: number;
  /** Medians of the time for a full sync. */
  readonly alone_seconds: number;
  readonly attacked_seconds: number;
  /** Of the service without attack, how much is left: 1 is all. */
  readonly kept: number;
  /** Messages a second that the daemon took from the attackers meanwhile. */
  readonly hostile_messages_per_second: number;
  readonly hostile_megabytes_per_second: number;
  readonly connections_ended: number;
  readonly bans: number;
  readonly rss_alone_megabytes: number;
  readonly rss_most_megabytes: number;
}

interface AttackSettings {
  readonly target: Target;
  readonly mapFolder: string;
  readonly channels: number;
}

const topologyOf = (channels: number): Topology =>
  drawTopology(channels, nodesFor(channels), seededRng(SEED));

const knownGossip = ({ mapFolder, channels }: AttackSettings): KnownGossip => {
  const found = new Map<number, Uint8Array>();
  const file = nodeStoreFolder(mapFolder).open('gossip_store', 'read');
  scanStore(file, ({ type, bytes, at, length }) => {
    if (!found.has(type)) found.set(type, own(bytes.subarray(at, at + length)));
  });
  file.close();
  const engine = loadEngine('fastest');
  const message = (type: number): Uint8Array => found.get(type) ?? new Uint8Array(0);
  return {
    map: {
      ...{ seed: SEED, topology: topologyOf(channels), engine },
      network: NETWORKS.regtest,
      newestTimestamp: 0,
      nodeKey: (node) => engine.publicKey(simnetSecret(SEED, 'node', node)),
    },
    channels,
    announcement: message(MESSAGE_TYPE.channel_announcement),
    update: message(MESSAGE_TYPE.channel_update),
    node: message(MESSAGE_TYPE.node_announcement),
  };
};

/** In the attackers' process: each goes through all attacks, beginning with another one, until the process is ended. */
const attackForEver = async (settings: AttackSettings): Promise<void> => {
  const known = knownGossip(settings);
  const attack = async (first: number): Promise<void> => {
    for (let index = first; ; index++) {
      const chosen = ATTACKS[index % ATTACKS.length];
      const run = chosen?.run(settings.target, known).catch(() => {});
      // One that was not taken seriously may wait for ever; one that is banned is over at once, and must not become a loop.
      await Promise.all([Promise.race([run, sleep(MOST_MS)]), sleep(LEAST_MS)]);
    }
  };
  await Promise.all(Array.from({ length: ATTACKERS }, (_, first) => attack(first)));
};

const startAttackers = (settings: AttackSettings): ChildProcess =>
  fork(fileURLToPath(import.meta.url), ['--attack', JSON.stringify(settings)]);

const regtest = NETWORKS.regtest.chainHashBytes;

/** A whole sync as a light client does it: the list, then everything on it, query by query. */
const syncOnce = async (target: Target, channels: number): Promise<{ seconds: number; bytes: number }> => {
  const listed: bigint[] = [];
  let [announcements, bytes, asked] = [0, 0, 0];
  let finish = (): void => {};
  const done = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const askNext = (peer: HostilePeer): void => {
    const short_channel_ids = BigUint64Array.from(listed.slice(asked, asked + SCIDS_PER_QUERY));
    asked += short_channel_ids.length;
    if (short_channel_ids.length === 0) finish();
    else peer.send(encodeQueryShortChannelIds({ chain_hash: regtest, short_channel_ids }));
  };
  const onMessage = (peer: HostilePeer, raw: Uint8Array): void => {
    bytes += raw.length;
    switch (readU16(raw, 0)) {
      case MESSAGE_TYPE.ping:
        return peer.send(encodePong({ byteslen: readU16(raw, 2) }));
      case MESSAGE_TYPE.channel_announcement:
        announcements++;
        return;
      case MESSAGE_TYPE.reply_short_channel_ids_end:
        return askNext(peer);
      case MESSAGE_TYPE.reply_channel_range: {
        const reply = decodeReplyChannelRange(raw);
        if (isWireFault(reply)) throw new Error('the daemon sends broken replies');
        for (const scid of reply.short_channel_ids) listed.push(scid);
        if (reply.sync_complete) askNext(peer);
        return;
      }
    }
  };
  const startedMs = performance.now();
  const peer = await HostilePeer.open(target, { onMessage });
  peer.send(
    encodeQueryChannelRange({ chain_hash: regtest, first_blocknum: 0, number_of_blocks: 0xffffffff }),
  );
  const timeout = new AbortController();
  await Promise.race([
    done,
    peer.closed,
    sleep(SYNC_TIMEOUT_MS, undefined, { signal: timeout.signal }).catch(() => {}),
  ]);
  timeout.abort();
  const seconds = (performance.now() - startedMs) / 1000;
  peer.destroy();
  if (announcements < channels)
    throw new Error(`the honest peer got ${announcements} of ${channels} channels`);
  return { seconds, bytes };
};

const median = (values: readonly number[]): number =>
  [...values].sort((left, right) => left - right)[values.length >> 1] ?? 0;

const total = ({ meter }: HostReport, name: string): number =>
  Object.entries(meter).reduce((sum, [key, count]) => (key.startsWith(name) ? sum + count : sum), 0);

const LIMITS = {
  default: {},
  none: { bytes_per_second_in: '0', bytes_per_second_out: '0' },
} as const;

interface Attacked {
  readonly seconds: number;
  readonly messagesPerSecond: number;
  readonly bytesPerSecond: number;
}

const syncAttacked = async (daemon: HostedDaemon, settings: AttackSettings): Promise<Attacked> => {
  const attackers = startAttackers(settings);
  try {
    await sleep(HEAD_START_MS);
    const [before, startedMs] = [await daemon.report(), performance.now()];
    const { seconds } = await syncOnce(settings.target, settings.channels);
    const [after, elapsed] = [await daemon.report(), (performance.now() - startedMs) / 1000];
    const grew = (name: string): number => (total(after, name) - total(before, name)) / elapsed;
    return {
      seconds,
      messagesPerSecond: grew('gossipd_messages_received_total'),
      bytesPerSecond: grew('gossipd_peer_bytes_total{in}'),
    };
  } finally {
    attackers.kill('SIGKILL');
  }
};

const measure = async (
  limits: keyof typeof LIMITS,
  map: BuiltMap,
  base: string,
  rounds: number,
): Promise<HostileRow> => {
  const folder = join(base, limits);
  mkdirSync(folder);
  copyFileSync(map.storePath, join(folder, 'gossip_store'));
  const flags = {
    ...{
      listen: ['127.0.0.1:0'],
      outbound_peers: '0',
      dns_seeds: false,
      inbound_peers: '200',
      ping_interval_s: '2',
    },
    ...LIMITS[limits],
  };
  const daemon = await HostedDaemon.start({ folder, utxoPath: map.utxoPath, flags });
  try {
    const target = { port: daemon.port, nodeId: daemon.nodeId };
    // Code is compiled, files are read.
    const { bytes } = await syncOnce(target, map.channels);
    const { rss_bytes } = await daemon.report();
    const alone: number[] = [];
    const attacked: Attacked[] = [];
    for (let round = 0; round < rounds; round++) {
      alone.push((await syncOnce(target, map.channels)).seconds);
      attacked.push(await syncAttacked(daemon, { target, mapFolder: map.folder, channels: map.channels }));
    }
    const last = await daemon.report();
    if (last.alarms.length > 0) throw new Error(`the daemon is not well: ${last.alarms.join('; ')}`);
    const [alone_seconds, attacked_seconds] = [median(alone), median(attacked.map(({ seconds }) => seconds))];
    return {
      limits,
      channels: map.channels,
      megabytes: bytes / 1e6,
      alone_seconds,
      attacked_seconds,
      kept: alone_seconds / attacked_seconds,
      hostile_messages_per_second: Math.round(
        median(attacked.map(({ messagesPerSecond }) => messagesPerSecond)),
      ),
      hostile_megabytes_per_second: median(attacked.map(({ bytesPerSecond }) => bytesPerSecond)) / 1e6,
      connections_ended: total(last, 'gossipd_connections_closed_total'),
      bans: total(last, 'gossipd_bans_total'),
      rss_alone_megabytes: Math.round(rss_bytes / 1e6),
      rss_most_megabytes: Math.round((last.most['rss_bytes'] ?? 0) / 1e6),
    };
  } finally {
    daemon.kill();
  }
};

export const run = async (): Promise<HostileRow[]> => {
  const channels = Number(process.env['HOSTILE_CHANNELS'] ?? '5000');
  const rounds = Number(process.env['HOSTILE_ROUNDS'] ?? '3');
  const base = mkdtempSync(join(tmpdir(), 'gossipd-bench-hostile-'));
  try {
    const map = await buildMap({
      ...{ seed: SEED, network: 'regtest', workers: 2 },
      folder: join(base, 'map'),
      nowSeconds: Math.floor(Date.now() / 1000),
      drawTopology: () => topologyOf(channels),
      onProgress: () => {},
    });
    return [await measure('default', map, base, rounds), await measure('none', map, base, rounds)];
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv[2] === '--attack') {
    process.once('disconnect', () => process.exit(0));
    await attackForEver(JSON.parse(process.argv[3] ?? '') as AttackSettings);
  } else {
    const rows = await run();
    console.table(rows);
    process.stdout.write(`${JSON.stringify(rows)}\n`);
  }
}
