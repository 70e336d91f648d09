/**
 * The daemon: what compose.ts opened, with peers, timers and an end. Starts in one order, stops in the reverse order.
 *
 * start: compose -> prune -> chain -> listen -> address book -> rpc socket -> timers. Whatever fails on the way closes what was started.
 */

import type { DaemonStatus } from '../api/daemon_status.ts';
import { type RpcServer, serveRpc } from '../api/json_rpc_socket.ts';
import { BACKLOG_PAUSE, BACKLOG_RESUME } from '../ingest/ingest.ts';
import type { Connection } from '../peer/connection.ts';
import { PeerSet } from '../peer/peer_set.ts';
import { type Contribution, NO_CONTRIBUTION } from '../peer/rotation.ts';
import { listenTcp } from '../peer/tcp.ts';
import type { StoreOffset } from '../wire/store_record.ts';
import { connectOver, type OpenedParts, type OpenOptions, openParts } from './compose.ts';
import { saveMap } from './map_file.ts';
import { PeerSession } from './peer_session.ts';
import { fillAddressBook, learnAddresses, looksForPeers, saveAddressBook } from './peer_sources.ts';
import { statusOf } from './status.ts';

const TICK_MS = 1_000;
const PRUNE_INTERVAL_MS = 3_600_000;
/** A large prune stops when the store has enough to write; the rest follows after this. */
const PRUNE_AGAIN_MS = 10_000;
const SAVE_PEERS_INTERVAL_MS = 300_000;
/** Addresses are drawn from the map so often, and once when the first sync is done. */
const LEARN_INTERVAL_MS = 3_600_000;

export interface DaemonParts extends OpenedParts {
  readonly peers: PeerSet;
}

export interface DaemonOptions extends OpenOptions {
  /** False: no rpc socket. */
  readonly rpc?: boolean;
}

export class Daemon {
  readonly parts: DaemonParts;
  readonly #sessions = new Map<Connection, PeerSession>();
  readonly #byOrigin = new Map<number, PeerSession>();
  readonly #timers = new Map<string, () => void>();
  #rpc: RpcServer | undefined;
  #nextOrigin = 1;
  #paused = false;
  /** Addresses were drawn from the map after the first sync. */
  #hasLearned = false;
  #stopping: Promise<void> | undefined;

  private constructor(opened: OpenedParts) {
    const { config, nodeId, clock, rng, log, meter, book, bans, dialChoice } = opened;
    const peers = new PeerSet(
      {
        outbound: config.outbound_peers,
        inbound: config.inbound_peers,
        localNodeId: nodeId,
        secret: Math.floor(rng.fraction() * 0x100000000),
      },
      {
        ...{ bans, clock },
        dial: dialChoice.dial,
        canDial: dialChoice.canDial,
        contributionOf: (connection) => this.#contributionOf(connection),
        listen: listenTcp,
        log: log.part('peer'),
        meter,
        book,
        connect: (socket, remoteKey, handler) => connectOver(opened, socket, remoteKey, handler),
      },
      {
        onReady: (connection) => this.#onReady(connection),
        onGossip: (connection, raw) => this.#onGossip(connection, raw),
        onMessage: (connection, message) => this.#sessions.get(connection)?.onMessage(message),
        onWritable: (connection) => this.#sessions.get(connection)?.pump(),
        onClosed: (connection) => this.#onClosed(connection),
      },
    );
    this.parts = { ...opened, peers };
    opened.healing.follow({
      relocate: (translate) => {
        for (const session of this.#sessions.values()) session.relocate(translate);
      },
    });
  }

  /** Rejects with OperationalError when something that it cannot do without is not to be had. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const daemon = new Daemon(await openParts(options));
    try {
      await daemon.#open(options.rpc ?? true);
    } catch (error) {
      await daemon.stop();
      throw error;
    }
    return daemon;
  }

  /** What `gossipd status` and the progress line show. */
  status(): DaemonStatus {
    return statusOf(this.parts, (connection) => this.#contributionOf(connection));
  }

  /** Stops in reverse order; the store is durable when it resolves. Safe to call twice. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  #contributionOf(connection: Connection): Contribution {
    return this.#sessions.get(connection)?.contribution() ?? NO_CONTRIBUTION;
  }

  async #open(rpc: boolean): Promise<void> {
    const { config, chainWatch, ingest, peers, network, nodeId, book, bans, dialChoice, log } = this.parts;
    ingest.onVerdict = (_verdict, _raw, origin, offset) => {
      if (offset !== undefined) this.#byOrigin.get(origin)?.noteHas(offset);
      if (this.#paused && ingest.backlog < BACKLOG_RESUME) {
        this.#paused = false;
        for (const connection of this.#sessions.keys()) connection.resumeReading('backlog');
      }
    };
    this.#prune();
    await chainWatch.start(ingest);
    for (const [host, port] of config.listen) await peers.listen(host, port);
    for (const { host, port } of peers.listening) log.info('listening', { host, port, node_id: nodeId });
    await fillAddressBook(book, config, network, log.part('peer'), {
      bans,
      canDial: dialChoice.canDial,
      askDns: !config.always_use_proxy,
    });
    if (rpc) await this.#serveRpc();
    this.#every('tick', TICK_MS, () => this.#tick());
    this.#every('prune', PRUNE_INTERVAL_MS, () => this.#prune());
    this.#every('save peers', SAVE_PEERS_INTERVAL_MS, () =>
      saveAddressBook(book, config.data_dir, log, bans),
    );
    this.#every('learn addresses', LEARN_INTERVAL_MS, () => this.#learnAddresses());
    peers.tick();
  }

  async #serveRpc(): Promise<void> {
    const { config, log } = this.parts;
    try {
      this.#rpc = await serveRpc(config.rpc_socket, { status: () => this.status() }, log);
    } catch (error) {
      // Status by socket is a convenience; the map is not.
      log.unusual(error instanceof Error ? error.message : String(error));
    }
  }

  #onReady(connection: Connection): void {
    const origin = this.#nextOrigin++;
    const { config, log } = this.parts;
    const session = new PeerSession(
      connection,
      origin,
      {
        ...this.parts,
        log: log.part('sync'),
        charge: (charged, reason) => this.parts.peers.charge(charged, reason),
      },
      { flushIntervalMs: config.flush_interval_ms, relayUnverified: config.relay_unverified },
    );
    this.#sessions.set(connection, session);
    this.#byOrigin.set(origin, session);
    if (this.#paused) connection.pauseReading('backlog');
  }

  #onGossip(connection: Connection, raw: Uint8Array): void {
    this.#sessions.get(connection)?.onGossip(raw);
    // Signatures take longer than bytes: reading stops before the queue in front of the checkers grows.
    if (!this.#paused && this.parts.ingest.backlog > BACKLOG_PAUSE) {
      this.#paused = true;
      for (const other of this.#sessions.keys()) other.pauseReading('backlog');
    }
  }

  #onClosed(connection: Connection): void {
    const session = this.#sessions.get(connection);
    if (session === undefined) return;
    this.#sessions.delete(connection);
    this.#byOrigin.delete(session.origin);
    session.close();
  }

  #prune(): void {
    if (this.parts.ingest.prune() > 0) this.#after('prune again', PRUNE_AGAIN_MS, () => this.#prune());
  }

  #learnAddresses(): void {
    const { config, graph, store, book, rng, clock, dialChoice, log } = this.parts;
    if (!looksForPeers(config)) return;
    const offsets: StoreOffset[] = [];
    graph.forEachNode((node) => {
      if (graph.hasNodeAnnouncement(node)) offsets.push(graph.nodeOffset(node));
    });
    learnAddresses(book, offsets, {
      ...{ rng, log: log.part('peer') },
      nowMs: clock.nowMs(),
      canDial: dialChoice.canDial,
      read: (offset) => store.readMessage(offset),
    });
  }

  #tick(): void {
    if (!this.#hasLearned && this.parts.seeker.hasSynced) {
      this.#hasLearned = true;
      this.#learnAddresses();
    }
    this.parts.peers.tick();
    this.parts.seeker.tick();
    for (const session of this.#sessions.values()) session.pump();
  }

  /** One timer of each name. */
  #after(name: string, delayMs: number, work: () => void): void {
    this.#timers.get(name)?.();
    this.#timers.set(name, this.parts.clock.after(delayMs, work));
  }

  #every(name: string, intervalMs: number, work: () => void): void {
    this.#after(name, intervalMs, () => {
      work();
      this.#every(name, intervalMs, work);
    });
  }

  async #stop(): Promise<void> {
    const { config, chain, chainWatch, peers, healing, ingest, checker, store, book, bans, mapFile, log } =
      this.parts;
    for (const cancel of this.#timers.values()) cancel();
    healing.stop();
    await this.#rpc?.close();
    await peers.close();
    await chainWatch.stop();
    ingest.close();
    await chain.close();
    saveAddressBook(book, config.data_dir, log, bans);
    await checker.close();
    await store.close();
    // Nothing changes the map from here on.
    if (store.sealToken !== undefined) await saveMap(mapFile, store.sealToken);
  }
}
