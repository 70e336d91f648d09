/**
 * A map of mainnet's size under live gossip: peers send really signed channel_updates over TCP to a whole daemon in a process of
 * its own, far more of them than the public network has, and a subscriber notes when each comes back as relay.
 *
 * As on the public network 172 channels make 18.5 % of the messages; the others are drawn evenly. At this pace those 172 soon
 * say more than their origin budget: what is beyond it waits or is left out, and is counted as `origin_budget`.
 * The store begins with so much dead weight that its compaction falls into the middle of the run.
 * Run by scripts/bench, with LIVE_MINUTES (2), LIVE_RATE (30,000 a minute) and LIVE_PEERS (2), or alone:
 * node dist/bench/live.js --minutes 10 --rate 30000
 */
import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { concatBytes, own, readU16, readU32, writeU16 } from '../src/base/bytes.ts';
import { NETWORKS } from '../src/base/chain_hash.ts';
import { seededRng } from '../src/base/rng.ts';
import { loadEngine } from '../src/crypto/engine.ts';
import { defaultSimnetDir } from '../src/daemon/simnet.ts';
import { type BuiltMap, buildMap, findMap } from '../src/simnet/build_map.ts';
import { simnetSecret } from '../src/simnet/identity.ts';
import { type SignedMap, signUpdate } from '../src/simnet/sign_map.ts';
import { drawTopology, MAINNET_CHANNELS, MAINNET_NODES, type Topology } from '../src/simnet/topology.ts';
import { simnetTopology } from '../src/simnet/topology_source.ts';
import { scanStore } from '../src/store/scan.ts';
import { nodeStoreFolder } from '../src/store/store_file.ts';
import {
  channelUpdateDirection,
  channelUpdateScidHi,
  channelUpdateScidLo,
  channelUpdateTimestamp,
} from '../src/wire/channel_update.ts';
import { encodeGossipTimestampFilter } from '../src/wire/gossip_timestamp_filter.ts';
import { MESSAGE_TYPE } from '../src/wire/message_types.ts';
import { encodePong } from '../src/wire/pong.ts';
import { encodeReplyChannelRange } from '../src/wire/reply_channel_range.ts';
import { encodeReplyShortChannelIdsEnd } from '../src/wire/reply_short_channel_ids_end.ts';
import { FLAG_DELETED } from '../src/wire/store_record.ts';
import type { HostReport } from '../test/e2e/daemon_host.ts';
import { HostedDaemon } from '../test/e2e/hosted_daemon.ts';
import { HostilePeer } from '../test/e2e/hostile_peer.ts';
import { prepareMap } from './mainnet_map.ts';

const SEED = 1;
const FLUSH_MS = 200;
const TALKATIVE = 172;
const TALKATIVE_SHARE = 0.185;
/** What was not relayed in this time is not going to be: over its budget, or replaced before the flush. */
const GIVE_UP_MS = 10_000;
const SEND_EVERY_MS = 20;
/** A record of a channel_update: a header and 138 bytes. */
const RECORD_BYTES = 150;
const HEADER_BYTES = 12;
const SETTLE_MS = 5_000;

export interface LiveOptions {
  readonly minutes: number;
  /** Updates a minute, over all peers. */
  readonly rate: number;
  readonly peers: number;
}

export interface LiveRow {
  /** `start`, the number of the minute, or `all`. */
  readonly minute: string;
  readonly sent: number;
  readonly accepted: number;
  /** Verdicts over the budget of the origin: one when it begins to wait, one more when a newer one takes its place. */
  readonly origin_budget: number;
  /** Any other reason. */
  readonly other: string;
  readonly relayed: number;
  /** From sending at one peer to arriving at another; up to 200 ms of it are the flush interval. */
  readonly lag_p50_ms: number;
  readonly lag_p99_ms: number;
  readonly lag_max_ms: number;
  readonly rss_megabytes: number;
  readonly store_megabytes: number;
  /** So far. */
  readonly compactions: number;
  /** Of one core, in percent. */
  readonly cpu_percent: number;
}

interface World {
  readonly map: BuiltMap;
  readonly topology: Topology;
}

/** The real topology where it is to be had, else a drawn one of the same size; signed once and kept. */
const makeWorld = async (scratch: string): Promise<World> => {
  const unpacked = join(scratch, 'real');
  mkdirSync(unpacked);
  const isReal = (await prepareMap(unpacked)).startsWith('mainnet');
  const topology = isReal
    ? simnetTopology({ seed: SEED, channels: 0, nodes: 0, fromStore: join(unpacked, 'gossip_store') })
    : drawTopology(MAINNET_CHANNELS, MAINNET_NODES, seededRng(SEED));
  const base = join(defaultSimnetDir(), isReal ? 'bench-live-real' : 'bench-live-drawn');
  mkdirSync(base, { recursive: true });
  const folder = join(base, 'map');
  const nowSeconds = Math.floor(Date.now() / 1000);
  const map =
    findMap(folder, nowSeconds) ??
    (await buildMap({
      ...{ seed: SEED, folder, nowSeconds, network: 'regtest', workers: 2 },
      drawTopology: () => topology,
      onProgress: () => {},
    }));
  return { map, topology };
};

/** Copies the store and adds deleted records, until compaction is due after `updatesUntilDue` replaced ones. */
const makeStore = (map: BuiltMap, path: string, updatesUntilDue: number): void => {
  copyFileSync(map.storePath, path);
  const records: Uint8Array[] = [];
  const file = nodeStoreFolder(map.folder).open('gossip_store', 'read');
  scanStore(file, ({ type, bytes, at, length }) => {
    if (type !== MESSAGE_TYPE.channel_update || records.length >= 1_000) return;
    const record = own(bytes.subarray(at - HEADER_BYTES, at + length));
    writeU16(record, 0, readU16(record, 0) | FLAG_DELETED);
    records.push(record);
  });
  file.close();
  const piece = concatBytes(...records);
  let missing = statSync(path).size - updatesUntilDue * RECORD_BYTES;
  for (; missing > 0; missing -= piece.length) appendFileSync(path, piece);
};

const signedMapOf = ({ map, topology }: World): SignedMap => {
  const engine = loadEngine('fastest');
  const keys = new Map<number, Uint8Array>();
  return {
    ...{ seed: SEED, topology, engine },
    network: NETWORKS.regtest,
    newestTimestamp: map.newest_timestamp,
    nodeKey: (node) => {
      const key = keys.get(node) ?? engine.publicKey(simnetSecret(SEED, 'node', node));
      keys.set(node, key);
      return key;
    },
  };
};

/** What a whole node would say to keep the daemon content: it lives, and it knows no channel. */
const answer = (peer: HostilePeer, raw: Uint8Array): void => {
  const type = readU16(raw, 0);
  const chain_hash = NETWORKS.regtest.chainHashBytes;
  if (type === MESSAGE_TYPE.ping) peer.send(encodePong({ byteslen: readU16(raw, 2) }));
  if (type === MESSAGE_TYPE.query_short_channel_ids)
    peer.send(encodeReplyShortChannelIdsEnd({ chain_hash, full_information: true }));
  if (type === MESSAGE_TYPE.query_channel_range) {
    const [first_blocknum, number_of_blocks] = [readU32(raw, 34), readU32(raw, 38)];
    const short_channel_ids = new BigUint64Array(0);
    peer.send(
      encodeReplyChannelRange({
        chain_hash,
        first_blocknum,
        number_of_blocks,
        sync_complete: true,
        short_channel_ids,
      }),
    );
  }
};

/** Names an update. */
const keyOf = (raw: Uint8Array): string =>
  `${channelUpdateScidHi(raw, 0)}.${channelUpdateScidLo(raw, 0)}.${channelUpdateDirection(raw, 0)}.${channelUpdateTimestamp(raw, 0)}`;

/** Makes updates, remembers when each was sent, and how long it took to come back. */
class Traffic {
  sent = 0;
  lags: number[] = [];
  readonly #map: SignedMap;
  readonly #rng = seededRng(SEED);
  /** Sides of channels that have an update: those that talk much, and the others. */
  readonly #talkative: readonly number[];
  readonly #others: readonly number[];
  readonly #stamps: Uint32Array;
  /** When each that did not come back yet was sent, the oldest first. */
  readonly #out = new Map<string, number>();

  constructor(map: SignedMap) {
    this.#map = map;
    const { channels, hasUpdate } = map.topology;
    this.#stamps = new Uint32Array(2 * channels);
    const halves = Array.from({ length: 2 * channels }, (_, half) => half).filter(
      (half) => hasUpdate[half] === 1,
    );
    // Spread over the whole map.
    const every = Math.floor(channels / TALKATIVE);
    const isTalkative = (half: number): boolean =>
      (half >> 1) % every === 0 && (half >> 1) / every < TALKATIVE;
    this.#talkative = halves.filter(isTalkative);
    this.#others = halves.filter((half) => !isTalkative(half));
  }

  next(): Uint8Array {
    const halves = this.#rng.fraction() < TALKATIVE_SHARE ? this.#talkative : this.#others;
    const half = halves[Math.floor(this.#rng.fraction() * halves.length)] as number;
    const timestamp = Math.max(Math.floor(Date.now() / 1000), (this.#stamps[half] as number) + 1);
    this.#stamps[half] = timestamp;
    const feePpm = (10_000 + this.sent++) % 1_000_000;
    const raw = signUpdate(this.#map, half >> 1, half % 2 === 0 ? 0 : 1, { timestamp, feePpm });
    this.#out.set(keyOf(raw), performance.now());
    return raw;
  }

  arrived(raw: Uint8Array): void {
    if (readU16(raw, 0) !== MESSAGE_TYPE.channel_update) return;
    const key = keyOf(raw);
    const at = this.#out.get(key);
    if (at === undefined || !this.#out.delete(key)) return;
    this.lags.push(performance.now() - at);
  }

  forgetOld(): void {
    const before = performance.now() - GIVE_UP_MS;
    for (const [key, at] of this.#out) {
      if (at > before) return;
      this.#out.delete(key);
    }
  }
}

const at = (sorted: readonly number[], share: number): number =>
  sorted.length === 0
    ? 0
    : Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);

const verdictsOf = ({ meter }: HostReport): Map<string, number> => {
  const prefix = 'gossipd_gossip_verdicts_total{';
  return new Map(
    Object.entries(meter)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, count]) => [name.slice(prefix.length, -1), count]),
  );
};

interface Since {
  readonly label: string;
  readonly sent: number;
  readonly lags: readonly number[];
  readonly seconds: number;
}

const rowOf = (
  before: HostReport,
  now: HostReport,
  storePath: string,
  { label, sent, lags, seconds }: Since,
): LiveRow => {
  const earlier = verdictsOf(before);
  const reasons = new Map(
    [...verdictsOf(now)].map(([reason, count]) => [reason, count - (earlier.get(reason) ?? 0)]),
  );
  const others = [...reasons].filter(
    ([reason, n]) => n > 0 && reason !== 'accepted' && reason !== 'origin_budget',
  );
  const sorted = [...lags].sort((left, right) => left - right);
  return {
    minute: label,
    sent,
    accepted: reasons.get('accepted') ?? 0,
    origin_budget: reasons.get('origin_budget') ?? 0,
    other: others.map(([reason, n]) => `${reason} ${n}`).join(' '),
    relayed: lags.length,
    lag_p50_ms: at(sorted, 0.5),
    lag_p99_ms: at(sorted, 0.99),
    lag_max_ms: at(sorted, 1),
    rss_megabytes: Math.round(now.rss_bytes / 1e6),
    store_megabytes: Math.round(statSync(storePath).size / 1e5) / 10,
    compactions: now.meter['gossipd_store_rewrites_total'] ?? 0,
    cpu_percent: seconds === 0 ? 0 : Math.round((100 * (now.cpu_seconds - before.cpu_seconds)) / seconds),
  };
};

/** Sends at an even pace until `minutes` are over; what could not be sent in its turn is made up for in the next. */
const send = async (
  traffic: Traffic,
  senders: readonly HostilePeer[],
  rate: number,
  seconds: number,
): Promise<void> => {
  const [startedMs, before] = [performance.now(), traffic.sent];
  for (;;) {
    const elapsedMs = Math.min(performance.now() - startedMs, seconds * 1000);
    const due = Math.floor((elapsedMs * rate) / 60_000) - (traffic.sent - before);
    const pieces = senders.map((): Uint8Array[] => []);
    for (let index = 0; index < due; index++) pieces[index % senders.length]?.push(traffic.next());
    for (const [index, piece] of pieces.entries()) if (piece.length > 0) senders[index]?.send(...piece);
    traffic.forgetOld();
    if (elapsedMs >= seconds * 1000) return;
    if (senders.some(({ isClosed }) => isClosed)) throw new Error('the daemon has closed a sender');
    await sleep(SEND_EVERY_MS);
  }
};

const measure = async (
  world: World,
  folder: string,
  { minutes, rate, peers }: LiveOptions,
): Promise<LiveRow[]> => {
  mkdirSync(folder);
  const storePath = join(folder, 'gossip_store');
  makeStore(world.map, storePath, (minutes * rate) / 2);
  const traffic = new Traffic(signedMapOf(world));
  const flags = {
    listen: ['127.0.0.1:0'],
    outbound_peers: '0',
    dns_seeds: false,
    flush_interval_ms: String(FLUSH_MS),
  };
  const daemon = await HostedDaemon.start({ folder, utxoPath: world.map.utxoPath, flags });
  try {
    const senders = await Promise.all(
      Array.from({ length: peers }, () => HostilePeer.open(daemon, { onMessage: answer })),
    );
    const subscriber = await HostilePeer.open(daemon, {
      onMessage: (peer, raw) => {
        answer(peer, raw);
        traffic.arrived(raw);
      },
    });
    const first_timestamp = Math.floor(Date.now() / 1000);
    const chain_hash = NETWORKS.regtest.chainHashBytes;
    subscriber.send(
      encodeGossipTimestampFilter({ chain_hash, first_timestamp, timestamp_range: 0xffffffff }),
    );
    await sleep(SETTLE_MS);
    const first = await daemon.report();
    const rows = [rowOf(first, first, storePath, { label: 'start', sent: 0, lags: [], seconds: 0 })];
    const all: number[] = [];
    let before = first;
    for (let minute = 1; minute <= minutes; minute++) {
      const sentBefore = traffic.sent;
      await send(traffic, senders, rate, 60);
      if (minute === minutes) await sleep(2 * FLUSH_MS);
      const lags = traffic.lags;
      traffic.lags = [];
      for (const lag of lags) all.push(lag);
      const now = await daemon.report();
      const since = { label: String(minute), sent: traffic.sent - sentBefore, lags, seconds: 60 };
      rows.push(rowOf(before, now, storePath, since));
      before = now;
    }
    if (before.alarms.length > 0) throw new Error(`the daemon is not well: ${before.alarms.join('; ')}`);
    rows.push(
      rowOf(first, before, storePath, { label: 'all', sent: traffic.sent, lags: all, seconds: 60 * minutes }),
    );
    await daemon.stop();
    return rows;
  } finally {
    daemon.kill();
  }
};

export const measureLive = async (options: LiveOptions): Promise<LiveRow[]> => {
  const scratch = mkdtempSync(join(tmpdir(), 'gossipd-live-'));
  try {
    return await measure(await makeWorld(scratch), join(scratch, 'daemon'), options);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
};

export const run = (): Promise<LiveRow[]> => {
  const { LIVE_MINUTES = '2', LIVE_RATE = '30000', LIVE_PEERS = '2' } = process.env;
  return measureLive({ minutes: Number(LIVE_MINUTES), rate: Number(LIVE_RATE), peers: Number(LIVE_PEERS) });
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '2' },
      rate: { type: 'string', default: '30000' },
      peers: { type: 'string', default: '2' },
    },
  });
  const [minutes, rate, peers] = [values.minutes, values.rate, values.peers].map(Number);
  const rows = await measureLive({ minutes: minutes ?? 2, rate: rate ?? 30_000, peers: peers ?? 2 });
  console.table(rows);
  process.stdout.write(`${JSON.stringify(rows)}\n`);
}
