/**
 * Opens what a daemon is made of, in the order in which each needs the one before: data folder and key, store (its load replays
 * into the graph, unless the snapshot of the last stop fits), verify pool, ingest, seeker, healing, address book. daemon.ts adds
 * the peers and gives it all a life.
 */
import { NETWORKS, type Network } from '../base/chain_hash.ts';
import type { Log } from '../base/log.ts';
import { MemoryMeter } from '../base/meter.ts';
import { type NodeId, nodeIdAt } from '../base/node_id.ts';
import type { Rng } from '../base/rng.ts';
import type { Clock } from '../base/time.ts';
import type { UtxoLookup } from '../chain/utxo_lookup.ts';
import { loadEngine, type SignatureEngine } from '../crypto/engine.ts';
import { openVerifyPool, type VerifyPool } from '../crypto/verify_pool.ts';
import { NetworkGraph } from '../graph/network_graph.ts';
import { Ingest } from '../ingest/ingest.ts';
import { systemClock } from '../observe/system_clock.ts';
import { systemRng } from '../observe/system_rng.ts';
import { AddressBook } from '../peer/address_book.ts';
import { Connection, type ConnectionHandler } from '../peer/connection.ts';
import type { Socket } from '../peer/socket.ts';
import { GossipStore } from '../store/gossip_store.ts';
import { nodeStoreFolder } from '../store/store_file.ts';
import type { WritableVersion } from '../store/versions.ts';
import { Seeker } from '../sync/seeker.ts';
import { GOSSIPD_INIT_FEATURES } from '../wire/feature_bits.ts';
import type { Config } from './config.ts';
import { makeDataFolder } from './data_folder.ts';
import { Healing } from './heal.ts';
import { discardMap, type MapFile, restoreMap } from './map_file.ts';
import { loadNodeKey } from './node_key.ts';
import { VERSION } from './version.ts';

export interface OpenOptions {
  readonly config: Config;
  readonly log: Log;
  readonly utxo: UtxoLookup;
  /** False: the store is not looked after, and nothing is kept beside it. For a store that is thrown away. */
  readonly upkeep?: boolean;
}

export interface OpenedParts extends OpenOptions {
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

/** Rejects with OperationalError when the folder, the key or the store is not to be had. */
export const openParts = async ({ config, log, utxo, upkeep = true }: OpenOptions): Promise<OpenedParts> => {
  const network = NETWORKS[config.network];
  const clock = systemClock();
  const rng = systemRng();
  const meter = new MemoryMeter();
  const startedMs = clock.monotonicMs();
  makeDataFolder(config.data_dir);
  const secret = loadNodeKey(config.data_dir, rng);
  const engine = loadEngine('fastest');
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
  const checker = openVerifyPool({
    workers: config.verify_workers,
    engine: 'fastest',
    log: log.part('verify'),
    meter,
  });
  const ingest = new Ingest(
    { graph, store, checker, utxo, network, clock, log: log.part('ingest'), meter },
    { acceptUnverified: config.accept_unverified },
  );
  const seeker = new Seeker({
    graph,
    network,
    clock,
    rng,
    log: log.part('sync'),
    meter,
    backlog: () => ingest.backlog,
    refused: (scidHi, scidLo) => ingest.isRefused(scidHi, scidLo),
    newestStored: graph.newestUpdate(),
    onRefetched: (outcome) => healing.refetched(outcome),
  });
  healing.start(seeker, () => ingest.channelsLost());
  return {
    ...{
      config,
      log,
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
      meter,
      clock,
      rng,
    },
    nodeId: nodeIdAt(engine.publicKey(secret)),
    book: new AddressBook(rng),
    startedMs,
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
