/**
 * All connections: whom to dial and when, whom to let in, one connection per peer. Says nothing about gossip: what a
 * connection means is decided by the ConnectionHandler that daemon/ hands in.
 *
 * Bounds: outbound and inbound connections have configured maxima; MAX_PER_HOST inbound ones from one address (loopback
 * excepted, where tests and local tools live); MAX_UNREADY connections may be in handshake or init at once, so half-open
 * ones cannot use up descriptors. A refused socket is closed at once and counted.
 */

import { fromHex } from '../base/bytes.ts';
import type { Log, LogFields } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import type { NodeId } from '../base/node_id.ts';
import type { Clock } from '../base/time.ts';
import type { AddressBook, BookEntry } from './address_book.ts';
import type { ClosedBecause, Connection, ConnectionHandler } from './connection.ts';
import type { Dial, Listen, Listener, Socket } from './socket.ts';

/** From one host that is not loopback. */
export const MAX_PER_HOST = 8;
/** Inbound ones in handshake or init; each lives at most SETUP_TIMEOUT_MS. */
export const MAX_UNREADY = 64;
/** Dials under way at once. */
const MAX_DIALS = 8;
const DIAL_TIMEOUT_MS = 10_000;

export interface PeerSetOptions {
  readonly outbound: number;
  readonly inbound: number;
  /** Our own id, so that we do not talk to ourselves. */
  readonly localNodeId: NodeId;
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
}

export class PeerSet {
  readonly #options: PeerSetOptions;
  readonly #ports: PeerSetPorts;
  readonly #handler: ConnectionHandler;
  readonly #connections = new Set<Connection>();
  readonly #byNode = new Map<NodeId, Connection>();
  readonly #dialling = new Set<NodeId>();
  #listeners: Listener[] = [];
  #closed = false;

  constructor(options: PeerSetOptions, ports: PeerSetPorts, handler: ConnectionHandler) {
    this.#options = options;
    this.#ports = ports;
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
    const { clock, book } = this.#ports;
    let free = this.#options.outbound - this.#outboundCount() - this.#dialling.size;
    for (const entry of book.due(clock.nowMs())) {
      if (this.#dialling.size >= MAX_DIALS) return;
      if (this.#byNode.has(entry.node_id) || this.#dialling.has(entry.node_id)) continue;
      if (entry.node_id === this.#options.localNodeId) continue;
      // Peers that the operator named do not compete for the outbound places.
      if (!entry.pinned && free <= 0) continue;
      if (!entry.pinned) free--;
      this.#dial(entry);
    }
  }

  /** Closes everything; resolves when the listeners are gone. */
  async close(): Promise<void> {
    this.#closed = true;
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const connection of [...this.#connections]) connection.close('shutdown');
    await Promise.all(listeners.map((listener) => listener.close()));
  }

  #outboundCount(): number {
    let count = 0;
    for (const connection of this.#connections) if (connection.outbound) count++;
    return count;
  }

  #dial(entry: BookEntry): void {
    const { dial, book, clock, log } = this.#ports;
    const remoteKey = fromHex(entry.node_id);
    if (remoteKey === undefined) return;
    this.#dialling.add(entry.node_id);
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
    const inbound = [...this.#connections].filter((other) => !other.outbound);
    const unready = inbound.filter((other) => other.phase !== 'open').length;
    const fromHost = inbound.filter((other) => other.host === socket.remoteHost).length;
    const loopback = /^(127\.|::1$|::ffff:127\.)/.test(socket.remoteHost);
    const refused =
      this.#closed ||
      inbound.length >= this.#options.inbound ||
      unready >= MAX_UNREADY ||
      (!loopback && fromHost >= MAX_PER_HOST);
    if (refused) {
      this.#ports.meter.count('gossipd_connections_closed_total', 'no_room');
      return socket.destroy();
    }
    this.#add(socket, undefined);
  }

  #add(socket: Socket, remoteKey: Uint8Array | undefined): void {
    const connection = this.#ports.connect(socket, remoteKey, this.#handler);
    this.#connections.add(connection);
    connection.start();
  }

  #onReady(connection: Connection, handler: ConnectionHandler): void {
    const node = connection.nodeId;
    if (node === undefined) return;
    if (node === this.#options.localNodeId) return connection.close('self_connection');
    if (connection.outbound) this.#dialling.delete(node);
    // B1-01: one connection per peer; the newer one replaces the older, which may be a dead link.
    this.#byNode.get(node)?.close('replaced');
    this.#byNode.set(node, connection);
    this.#ports.book.succeeded(node, this.#ports.clock.nowMs());
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
    const node = connection.nodeId;
    const wasReady = node !== undefined && this.#byNode.get(node) === connection;
    if (node !== undefined && connection.outbound) this.#dialling.delete(node);
    if (wasReady) {
      this.#byNode.delete(node);
      // One that was dialled and never got ready counts as failed since its dial.
      if (because !== 'shutdown' && because !== 'replaced')
        this.#ports.book.failed(node, this.#ports.clock.nowMs());
    }
    const news = { peer: connection.name, because, detail };
    if (wasReady) this.#tell(connection, 'peer gone', news);
    else this.#ports.log.debug('connection failed', news);
    handler.onClosed(connection, because, detail);
  }

  /** Anyone can come and go all day: only those that we dialled are news. */
  #tell(connection: Connection, message: string, fields: LogFields): void {
    const { log } = this.#ports;
    if (connection.outbound) log.info(message, fields);
    else log.debug(message, fields);
  }
}
