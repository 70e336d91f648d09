/**
 * Opens what a daemon is made of, in the order in which each needs the one before: data folder and key, chain backend, store (its
 * load replays into the graph, unless the snapshot of the last stop fits), verify pool, ingest, seeker, healing, address book.
 * daemon.ts adds the peers and gives it all a life.
 */
import { NETWORKS, type Network } from '../base/chain_hash.ts';
import { OperationalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { MemoryMeter } from '../base/meter.ts';
import { type NodeId, nodeIdAt } from '../base/node_id.ts';
import type { Rng } from '../base/rng.ts';
import type { Clock } from '../base/time.ts';
import type { ChainBackend } from '../chain/block_source.ts';
import type { UtxoLookup } from '../chain/utxo_lookup.ts';
import { loadEngine, type SignatureEngine } from '../crypto/engine.ts';
import { openVerifyPool, type VerifyPool } from '../crypto/verify_pool.ts';
import { NetworkGraph } from '../graph/network_graph.ts';
import { Ingest } from '../ingest/ingest.ts';
import { systemClock } from '../observe/system_clock.ts';
import { systemRng } from '../observe/system_rng.ts';
import { AddressBook } from '../peer/address_book.ts';
import { BanList } from '../peer/ban_list.ts';
import { Connection, type ConnectionHandler } from '../peer/connection.ts';
import { chooseDial, type DialChoice } from '../peer/dial_choice.ts';
import type { Socket } from '../peer/socket.ts';
import { dialTcp, dialThroughProxy } from '../peer/tcp.ts';
import { GossipStore } from '../store/gossip_store.ts';
import { nodeStoreFolder } from '../store/store_file.ts';
import type { WritableVersion } from '../store/versions.ts';
import type { SyncPeerPort } from '../sync/ports.ts';
import { QUERY_ALL } from '../sync/query_server.ts';
import { Seeker } from '../sync/seeker.ts';
import { GOSSIPD_INIT_FEATURES } from '../wire/feature_bits.ts';
import { type ChainPorts, hostAndPort } from './chain_backend.ts';
import { ChainWatch } from './chain_watch.ts';
import type { Config } from './config.ts';
import { makeDataFolder } from './data_folder.ts';
import { Healing } from './heal.ts';
import { discardMap, type MapFile, restoreMap } from './map_file.ts';
import { loadNodeKey } from './node_key.ts';
import { VERSION } from './version.ts';

export interface OpenOptions {
  readonly config: Config;
  readonly log: Log;
  /** Opens the chain backend; see chain_backend.ts. */
  readonly openChain: (ports: ChainPorts) => ChainBackend;
  /** False: the store is not looked after, and nothing is kept beside it. For a store that is thrown away. */
  readonly upkeep?: boolean;
}

/** Useful messages of a sync peer so far; peer_session.ts enters itself. */
export type Contributions = WeakMap<SyncPeerPort, () => number>;

export interface OpenedParts extends OpenOptions {
  readonly chain: ChainBackend;
  readonly chainWatch: ChainWatch;
  readonly utxo: UtxoLookup;
  readonly bans: BanList;
  readonly dialChoice: DialChoice;
  readonly contributions: Contributions;
  readonly network: Network;
  readonly engine: SignatureEngine;
  /** 32 bytes: the key that peers know us by. */
  readonly secret: Uint8Array;
  readonly nodeId: NodeId;
  readonly graph: NetworkGraph;
  readonly store: GossipStore;
  readonly checker: VerifyPool;
  readonly ingest: Ingest;
  readonly seeker: Seeker;
  readonly healing: Healing;
  readonly mapFile: MapFile;
  readonly book: AddressBook;
  readonly meter: MemoryMeter;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly startedMs: number;
  /** Channels that the store held at the start. */
  readonly loadedChannels: number;
}

/** Throws OperationalError `bad_config`. */
const dialChoiceOf = (config: Config, rng: Rng): DialChoice => {
  if (config.proxy === 'none' && config.always_use_proxy) {
    throw new OperationalError(
      'bad_config',
      'stop',
      'always_use_proxy is set, but no proxy is named',
      'Name one with --proxy HOST:PORT; that of Tor is usually at 127.0.0.1:9050.',
    );
  }
  const proxied = config.proxy === 'none' ? undefined : dialThroughProxy(hostAndPort(config.proxy), rng);
  return chooseDial({ direct: dialTcp, proxied, always: config.always_use_proxy });
};

interface Shared {
  readonly config: Config;
  readonly log: Log;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly meter: MemoryMeter;
}

/** The store with the map that it fills, and what mends both. */
const openStore = async ({ config, log, clock, rng, meter }: Shared, upkeep: boolean) => {
  // Salted, so that nobody can choose scids that pile up in one bucket.
  const graph = new NetworkGraph({ salt: Math.floor(rng.fraction() * 0x100000000) });
  const folder = nodeStoreFolder(config.data_dir);
  const healing = new Healing({ graph, clock, log: log.part('heal') });
  const mapFile: MapFile = {
    ...{ folder, graph, clock },
    network: config.network,
    version: VERSION,
    log: log.part('map'),
  };
  const store = await GossipStore.open(
    {
      ...{ folder, clock, rng, log, meter },
      syncIntervalMs: config.sync_interval_ms,
      ...(upkeep ? {} : { upkeepMs: 0 }),
      version: Number(config.store_version) as WritableVersion,
      onRelocate: (translate) => healing.relocated(translate),
      onLost: (losses) => healing.lost(losses),
      restore: (token) => restoreMap(mapFile, token),
    },
    (record) => graph.apply(record),
  );
  if (!store.loadReport.fromSnapshot) discardMap(mapFile);
  healing.lost(store.loadReport.lost);
  return { graph, healing, mapFile, store };
};

const openChainWatch = (shared: Shared, chain: ChainBackend): ChainWatch => {
  const { config, clock, rng, meter } = shared;
  return new ChainWatch({
    ...{ chain, clock, rng, meter },
    log: shared.log.part('chain'),
    dataDir: config.data_dir,
    network: config.network,
    pollMs: config.chain_poll_s * 1000,
  });
};

/** Rejects with OperationalError when the folder, the key, the backend's name or the store is not to be had. */
export const openParts = async (options: OpenOptions): Promise<OpenedParts> => {
  const { config, log, openChain, upkeep = true } = options;
  const network = NETWORKS[config.network];
  const [clock, rng, meter] = [systemClock(), systemRng(), new MemoryMeter()];
  const shared = { config, log, clock, rng, meter };
  const startedMs = clock.monotonicMs();
  makeDataFolder(config.data_dir);
  const secret = loadNodeKey(config.data_dir, rng);
  const engine = loadEngine('fastest');
  const dialChoice = dialChoiceOf(config, rng);
  const chain = openChain({ clock, log: log.part('chain'), meter });
  const { graph, healing, mapFile, store } = await openStore(shared, upkeep).catch(async (error) => {
    await chain.close();
    throw error;
  });
  const checker = openVerifyPool({
    workers: config.verify_workers,
    engine: 'fastest',
    log: log.part('verify'),
    meter,
  });
  const utxo = chain.lookup;
  const chainWatch = openChainWatch(shared, chain);
  const ingest = new Ingest(
    {
      ...{ graph, store, checker, utxo, network, clock, meter },
      log: log.part('ingest'),
      blockHeight: () => chainWatch.tipHeight,
    },
    {
      acceptUnverified: config.accept_unverified,
      blacklist: config.blacklist,
      wanted: (scidHi, scidLo) => seeker.refetch([{ scidHi, scidLo, flags: QUERY_ALL }]),
    },
  );
  const contributions: Contributions = new WeakMap();
  const seeker: Seeker = new Seeker({
    ...{ graph, network, clock, rng, meter },
    log: log.part('sync'),
    backlog: () => ingest.backlog,
    refused: (scidHi, scidLo) => ingest.isRefused(scidHi, scidLo),
    closed: (scidHi, scidLo) => ingest.closed.has(scidHi, scidLo),
    zombie: (scidHi, scidLo) => ingest.isZombie(scidHi, scidLo),
    blockHeight: () => chainWatch.tipHeight,
    contribution: (port) => contributions.get(port)?.() ?? 0,
    newestStored: graph.newestUpdate(),
    onRefetched: (outcome) => healing.refetched(outcome),
  });
  healing.start(seeker, () => ingest.channelsLost());
  return {
    ...options,
    ...shared,
    ...{
      chain,
      chainWatch,
      utxo,
      network,
      engine,
      secret,
      graph,
      store,
      checker,
      ingest,
      seeker,
      healing,
      mapFile,
    },
    ...{ dialChoice, contributions, startedMs },
    bans: new BanList({ clock, meter }),
    nodeId: nodeIdAt(engine.publicKey(secret)),
    book: new AddressBook(rng),
    loadedChannels: graph.channelCount,
  };
};

/** A connection over a socket. @param remoteKey 33 bytes of the node that we dialled; undefined when it dialled us */
export const connectOver = (
  { config, engine, secret, network, clock, rng, log, meter }: OpenedParts,
  socket: Socket,
  remoteKey: Uint8Array | undefined,
  handler: ConnectionHandler,
): Connection =>
  new Connection(
    {
      socket,
      engine,
      localSecret: secret,
      remoteKey,
      network,
      features: GOSSIPD_INIT_FEATURES,
      limits: {
        bytesPerSecondIn: config.bytes_per_second_in,
        bytesPerSecondOut: config.bytes_per_second_out,
        pingIntervalMs: config.ping_interval_s * 1000,
      },
    },
    { clock, rng, log: log.part('peer'), meter },
    handler,
  );
