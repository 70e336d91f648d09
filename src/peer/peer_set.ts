/**
 * All connections: whom to dial and when, whom to let in, one connection per peer, who has to go. Says nothing about
 * gossip: what a connection means is decided by the ConnectionHandler that daemon/ hands in, and misbehaviour that only
 * daemon/ sees is told to `charge`.
 *
 * Bounds: outbound and inbound connections have configured maxima; admission.ts caps inbound ones by address and
 * network, and eviction.ts says who goes when the house is full. MAX_DIALS are under way at once. A refused socket is
 * closed at once and counted. Of the outbound ones no two are in one provider's network while there is another choice,
 * so that nobody can surround us cheaply; every ROTATION_INTERVAL_MS the least useful makes room for another.
 */

import { fromHex } from '../base/bytes.ts';
import type { Log, LogFields } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import type { NodeId } from '../base/node_id.ts';
import type { Clock } from '../base/time.ts';
import type { AddressBook, AddressSource, BookEntry } from './address_book.ts';
import { admit, type Guest } from './admission.ts';
import { type Ban, BanList } from './ban_list.ts';
import type { ClosedBecause } from './closed_because.ts';
import type { Connection, ConnectionHandler } from './connection.ts';
import { type HostRange, hostRange } from './host_range.ts';
import { pointsFor } from './misbehaviour.ts';
import {
  type Contribution,
  chooseRotated,
  NO_CONTRIBUTION,
  ROTATION_INTERVAL_MS,
  usefulness,
} from './rotation.ts';
import type { Dial, Listen, Listener, Socket } from './socket.ts';

/** Inbound ones in handshake or init; each lives at most SETUP_TIMEOUT_MS. */
export const MAX_UNREADY = 64;
/** Bans that a status answer lists; how many there are it says as well. */
const LISTED_BANS = 100;
/** Dials under way at once. */
const MAX_DIALS = 8;
const DIAL_TIMEOUT_MS = 10_000;
/** Who made room for another is not dialled for so long. */
const REST_MS = 3_600_000;
/** An address that failed so often no longer keeps a second one of a network waiting. */
const PATIENCE_FAILURES = 4;

export interface PeerSetOptions {
  readonly outbound: number;
  readonly inbound: number;
  /** Our own id, so that we do not talk to ourselves. */
  readonly localNodeId: NodeId;
  /** Any number that others cannot guess, for the draw of eviction.ts; the time of the start unless given. */
  readonly secret?: number;
}

export interface PeerSetPorts {
  readonly dial: Dial;
  readonly listen: Listen;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly book: AddressBook;
  /** Makes a connection of a socket: remoteKey is the 33 bytes of the node that was dialled. */
  readonly connect: (
    socket: Socket,
    remoteKey: Uint8Array | undefined,
    handler: ConnectionHandler,
  ) => Connection;
  /** One of its own unless given. */
  readonly bans?: BanList;
  /** Whether there is a way to a host: onion addresses need a proxy. Others are passed over, not failed. */
  readonly canDial?: (host: string) => boolean;
  /** What a ready connection has brought so far; nothing unless given. */
  readonly contributionOf?: (connection: Connection) => Contribution;
}

/** For `gossipd status`. */
export interface PeerSetStatus {
  readonly outbound: number;
  readonly inbound: number;
  /** Of the inbound ones, those in handshake or init. */
  readonly unready: number;
  readonly dialling: number;
  /** Addresses known, by where they came from. */
  readonly addresses: Readonly<Record<AddressSource, number>>;
  readonly banned: number;
  /** The longest ones. */
  readonly bans: readonly Ban[];
}

export class PeerSet {
  readonly bans: BanList;
  readonly #options: PeerSetOptions;
  readonly #ports: PeerSetPorts;
  readonly #handler: ConnectionHandler;
  readonly #secret: number;
  /** With where each comes from or leads to. */
  readonly #connections = new Map<Connection, HostRange | undefined>();
  readonly #byNode = new Map<NodeId, Connection>();
  /** With the provider network of each. */
  readonly #dialling = new Map<NodeId, string | undefined>();
  #listeners: Listener[] = [];
  #rotatedAt: number;
  #closed = false;

  constructor(options: PeerSetOptions, ports: PeerSetPorts, handler: ConnectionHandler) {
    this.#options = options;
    this.#ports = ports;
    this.bans = ports.bans ?? new BanList(ports);
    this.#secret = options.secret ?? ports.clock.nowMs() % 0x100000000;
    this.#rotatedAt = ports.clock.monotonicMs();
    this.#handler = {
      ...handler,
      onReady: (connection) => this.#onReady(connection, handler),
      onClosed: (connection, because, detail) => this.#onClosed(connection, because, detail, handler),
    };
  }

  /** Connections whose init exchange is done. */
  get ready(): Connection[] {
    return [...this.#byNode.values()];
  }

  status(): PeerSetStatus {
    let [outbound, unready] = [0, 0];
    for (const connection of this.#connections.keys()) {
      if (connection.outbound) outbound++;
      else if (connection.phase !== 'open') unready++;
    }
    const bans = this.bans.list();
    return {
      ...{ outbound, inbound: this.#connections.size - outbound, unready },
      dialling: this.#dialling.size,
      addresses: this.#ports.book.counts(),
      banned: bans.length,
      bans: bans.slice(0, LISTED_BANS),
    };
  }

  /** Addresses we listen on, with the real port. */
  get listening(): readonly { host: string; port: number }[] {
    return this.#listeners.map(({ host, port }) => ({ host, port }));
  }

  /** Rejects with OperationalError `listen_failed`. */
  async listen(host: string, port: number): Promise<void> {
    this.#listeners.push(await this.#ports.listen(host, port, (socket) => this.#accept(socket)));
  }

  /** Dials what is due and missing. Called about once a second; never waits. */
  tick(): void {
    if (this.#closed) return;
    this.#rotate();
    let free = this.#options.outbound - this.#placesTaken();
    const taken = this.#networksTaken();
    const crowded: BookEntry[] = [];
    for (const entry of this.#candidates()) {
      if (this.#dialling.size >= MAX_DIALS) return;
      const network = hostRange(entry.host)?.wide;
      // Peers that the operator named do not compete for the outbound places, nor for networks.
      if (!entry.pinned) {
        if (free <= 0) continue;
        if (network !== undefined && taken.has(network)) {
          crowded.push(entry);
          continue;
        }
        free--;
        if (network !== undefined) taken.add(network);
      }
      this.#dial(entry);
    }
    // A second one of a network is better than none, once nothing else is left to try.
    const [second] = crowded;
    if (free > 0 && second !== undefined && !this.#hopesForAnother(taken)) this.#dial(second);
  }

  /**
   * Holds something against a peer, by the table in misbehaviour.ts, and closes it as `banned` when that was too much.
   * Reasons that are not in the table cost nothing. Peers that the operator named are never banned.
   */
  charge(connection: Connection, reason: string): void {
    const points = pointsFor(reason);
    if (points === 0) return;
    const { nodeId: node, host } = connection;
    if (node !== undefined && this.#ports.book.isPinned(node)) return;
    // Where a dial led, and whether that key lives there, is hearsay until the handshake proves it.
    if (connection.outbound && !connection.isProven) return;
    const proven = connection.isProven ? node : undefined;
    if (this.bans.charge(proven, host, points, reason) === 'ok') return;
    this.#tell(connection, 'peer banned', { peer: connection.name, because: reason });
    connection.close('banned', reason);
    for (const other of [...this.#connections.keys()]) {
      const known = other.isProven ? other.nodeId : undefined;
      if (known !== undefined && this.#ports.book.isPinned(known)) continue;
      const banned =
        (known !== undefined && this.bans.isNodeBanned(known)) || this.bans.isHostBanned(other.host);
      if (!other.outbound && banned) other.close('banned', reason);
    }
  }

  /** Closes everything; resolves when the listeners are gone. */
  async close(): Promise<void> {
    this.#closed = true;
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const connection of [...this.#connections.keys()]) connection.close('shutdown');
    await Promise.all(listeners.map((listener) => listener.close()));
  }

  /** Due, with a way there, not connected, not banned, not ourselves. */
  #candidates(): BookEntry[] {
    const { book, clock } = this.#ports;
    return book.due(clock.nowMs()).filter((entry) => this.#isCandidate(entry));
  }

  #isCandidate({ node_id, host, pinned }: Readonly<BookEntry>): boolean {
    if (this.#byNode.has(node_id) || this.#dialling.has(node_id)) return false;
    if (node_id === this.#options.localNodeId) return false;
    if (this.#ports.canDial?.(host) === false) return false;
    return pinned || !(this.bans.isNodeBanned(node_id) || this.bans.isHostBanned(host));
  }

  /** Whether an address of another network is known that has not failed too often. */
  #hopesForAnother(taken: ReadonlySet<string>): boolean {
    for (const entry of this.#ports.book.entries()) {
      if (entry.pinned || entry.failures >= PATIENCE_FAILURES || !this.#isCandidate(entry)) continue;
      const network = hostRange(entry.host)?.wide;
      if (network === undefined || !taken.has(network)) return true;
    }
    return this.#dialling.size > 0;
  }

  #networksTaken(): Set<string> {
    const taken = new Set<string>();
    for (const [{ outbound }, range] of this.#connections) if (outbound && range) taken.add(range.wide);
    for (const network of this.#dialling.values()) if (network !== undefined) taken.add(network);
    return taken;
  }

  /** Outbound places: nodes that are connected or being dialled and that the operator did not name. */
  #placesTaken(): number {
    const nodes = new Set<NodeId>(this.#dialling.keys());
    for (const { outbound, nodeId } of this.#connections.keys())
      if (outbound && nodeId !== undefined) nodes.add(nodeId);
    let count = 0;
    for (const node of nodes) if (!this.#ports.book.isPinned(node)) count++;
    return count;
  }

  #dial(entry: BookEntry): void {
    const { dial, book, clock, log } = this.#ports;
    const remoteKey = fromHex(entry.node_id);
    if (remoteKey === undefined) return;
    this.#dialling.set(entry.node_id, entry.pinned ? undefined : hostRange(entry.host)?.wide);
    // Until the connection is ready it counts as failed: a peer that accepts and then fails backs off as well.
    book.failed(entry.node_id, clock.nowMs());
    dial(entry.host, entry.port, DIAL_TIMEOUT_MS).then(
      (socket) => {
        if (this.#closed) return socket.destroy();
        this.#add(socket, remoteKey);
      },
      (error: unknown) => {
        this.#dialling.delete(entry.node_id);
        this.#ports.meter.count('gossipd_dials_failed_total');
        log.debug('dial failed', {
          peer: entry.node_id.slice(0, 12),
          why: error instanceof Error ? error.message : String(error),
        });
      },
    );
  }

  #accept(socket: Socket): void {
    const { meter } = this.#ports;
    const range = hostRange(socket.remoteHost);
    if (this.bans.isHostBanned(socket.remoteHost)) {
      meter.count('gossipd_connections_closed_total', 'banned');
      return socket.destroy();
    }
    const inbound = [...this.#connections.keys()].filter((other) => !other.outbound);
    const places = this.#closed ? 0 : this.#options.inbound;
    const rules = { places, unready: MAX_UNREADY, secret: this.#secret };
    const admission = admit(
      inbound.map((guest) => this.#guest(guest)),
      range,
      rules,
    );
    if (!admission.admitted) {
      meter.count('gossipd_connections_closed_total', 'no_room');
      meter.count('gossipd_refused_total', admission.why);
      return socket.destroy();
    }
    if (admission.evicts !== undefined) inbound[admission.evicts]?.close('evicted');
    this.#add(socket, undefined);
  }

  #guest(connection: Connection): Guest {
    const { book, contributionOf } = this.#ports;
    const { nodeId: node, since, latencyMs, phase } = connection;
    return {
      ...{ range: this.#connections.get(connection), since, latencyMs, isReady: phase === 'open' },
      messagesNew: phase === 'open' ? (contributionOf?.(connection).messagesNew ?? 0) : 0,
      pinned: node !== undefined && book.isPinned(node),
    };
  }

  #add(socket: Socket, remoteKey: Uint8Array | undefined): void {
    const connection = this.#ports.connect(socket, remoteKey, this.#handler);
    this.#connections.set(connection, hostRange(connection.host));
    connection.start();
  }

  #onReady(connection: Connection, handler: ConnectionHandler): void {
    const node = connection.nodeId;
    if (node === undefined) return;
    if (node === this.#options.localNodeId) return connection.close('self_connection');
    if (connection.outbound) this.#dialling.delete(node);
    const { book, clock } = this.#ports;
    if (!book.isPinned(node) && this.bans.isNodeBanned(node)) return connection.close('banned');
    // B1-01: one connection per peer; the newer one replaces the older, which may be a dead link.
    this.#byNode.get(node)?.close('replaced');
    this.#byNode.set(node, connection);
    book.succeeded(node, clock.nowMs());
    const direction = connection.outbound ? 'out' : 'in';
    this.#tell(connection, 'peer connected', { peer: connection.name, direction });
    handler.onReady(connection);
  }

  #onClosed(
    connection: Connection,
    because: ClosedBecause,
    detail: string,
    handler: ConnectionHandler,
  ): void {
    this.#connections.delete(connection);
    const { book, clock, log } = this.#ports;
    const node = connection.nodeId;
    const wasReady = node !== undefined && this.#byNode.get(node) === connection;
    if (node !== undefined && connection.outbound) this.#dialling.delete(node);
    if (wasReady) {
      this.#byNode.delete(node);
      if (connection.outbound) book.rate(node, this.#usefulness(connection));
      if (because === 'rotated') book.rest(node, clock.nowMs(), REST_MS);
      // One that was dialled and never got ready counts as failed since its dial.
      else if (because !== 'shutdown' && because !== 'replaced') book.failed(node, clock.nowMs());
    }
    const news = { peer: connection.name, because, detail };
    if (wasReady) this.#tell(connection, 'peer gone', news);
    else log.debug('connection failed', news);
    handler.onClosed(connection, because, detail);
    this.charge(connection, because);
  }

  /** The least useful of those that we dialled goes, when all places are taken and another can be tried. */
  #rotate(): void {
    const { clock, book } = this.#ports;
    const now = clock.monotonicMs();
    if (now - this.#rotatedAt < ROTATION_INTERVAL_MS) return;
    this.#rotatedAt = now;
    if (this.#placesTaken() < this.#options.outbound) return;
    const outbound = [...this.#connections.keys()].filter((each) => each.outbound && each.phase === 'open');
    if (!this.#candidates().some(({ pinned }) => !pinned)) return;
    const chosen = chooseRotated(
      outbound.map((connection) => ({
        pinned: connection.nodeId !== undefined && book.isPinned(connection.nodeId),
        ageMs: now - connection.since,
        latencyMs: connection.latencyMs,
        contribution: this.#contribution(connection),
      })),
    );
    if (chosen !== undefined) outbound[chosen]?.close('rotated');
  }

  #contribution(connection: Connection): Contribution {
    return this.#ports.contributionOf?.(connection) ?? NO_CONTRIBUTION;
  }

  #usefulness(connection: Connection): number {
    const ageMs = this.#ports.clock.monotonicMs() - connection.since;
    return usefulness({
      ageMs,
      latencyMs: connection.latencyMs,
      contribution: this.#contribution(connection),
    });
  }

  /** Anyone can come and go all day: only those that we dialled are news. */
  #tell(connection: Connection, message: string, fields: LogFields): void {
    const { log } = this.#ports;
    if (connection.outbound) log.info(message, fields);
    else log.debug(message, fields);
  }
}
