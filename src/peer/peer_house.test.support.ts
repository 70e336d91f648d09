/**
 * A PeerSet that calls itself `us`, with everything around it in memory: dials that the test answers, sockets that come in when
 * the test says so, and a clock that moves by hand.
 */
import { NETWORKS } from '../base/chain_hash.ts';
import { type LogFields, type LogLevel, recordingLog } from '../base/log.ts';
import { MemoryMeter } from '../base/meter.ts';
import type { NodeId } from '../base/node_id.ts';
import { seededRng } from '../base/rng.ts';
import { ManualClock } from '../base/time.ts';
import { GOSSIPD_INIT_FEATURES } from '../wire/feature_bits.ts';
import { AddressBook } from './address_book.ts';
import { Connection } from './connection.ts';
import { type MemorySocket, memorySocketPair } from './memory_socket.test.support.ts';
import { PeerSet } from './peer_set.ts';
import { type Contribution, NO_CONTRIBUTION } from './rotation.ts';
import { engine, keyOf, nodeIdOf, ScriptedPeer, secretOf } from './scripted_peer.test.support.ts';
import type { Socket } from './socket.ts';

export const id = (name: string): NodeId => nodeIdOf(name) as NodeId;

export interface Answer {
  readonly name: string;
  /** It says its init by itself. */
  readonly isWilling?: boolean;
}

export interface HouseOptions {
  readonly outbound?: number;
  readonly inbound?: number;
  readonly canDial?: (host: string) => boolean;
  /** By the name of the peer. */
  readonly contributions?: Readonly<Record<string, Contribution>>;
  /** What becomes of a dial: the name of the node that answers, or why nobody does. */
  readonly answers?: (host: string) => Answer | undefined;
}

export class House {
  readonly clock = new ManualClock();
  readonly meter = new MemoryMeter();
  readonly lines: { level: LogLevel; message: string; fields?: LogFields }[] = [];
  readonly book = new AddressBook(seededRng(3));
  readonly peers: PeerSet;
  readonly dials: { host: string; atMs: number }[] = [];
  readonly closed: string[] = [];
  ready = 0;
  isListening = false;
  readonly #wires: MemorySocket[] = [];
  readonly #willing: ScriptedPeer[] = [];
  readonly #talking: ScriptedPeer[] = [];
  #accept: (socket: Socket) => void = () => {};

  constructor(options: HouseOptions = {}) {
    const { clock, meter, book } = this;
    const log = recordingLog(this.lines);
    this.peers = new PeerSet(
      { outbound: options.outbound ?? 8, inbound: options.inbound ?? 100, localNodeId: id('us') },
      {
        clock,
        log,
        meter,
        book,
        dial: (host) => {
          this.dials.push({ host, atMs: clock.monotonicMs() });
          const answer = options.answers?.(host);
          if (answer === undefined) return Promise.reject(new Error('connection refused'));
          const [ours, theirs] = memorySocketPair({ remoteHost: host });
          this.#wires.push(ours, theirs);
          const peer = new ScriptedPeer(theirs, answer.name);
          if (answer.isWilling === true) this.#willing.push(peer);
          return Promise.resolve(ours);
        },
        listen: (host, port, accept) => {
          this.#accept = accept;
          this.isListening = true;
          return Promise.resolve({
            host,
            port: port === 0 ? 9_999 : port,
            close: () => {
              this.isListening = false;
              return Promise.resolve();
            },
          });
        },
        ...(options.canDial === undefined ? {} : { canDial: options.canDial }),
        contributionOf: ({ nodeId }) =>
          Object.entries(options.contributions ?? {}).find(([name]) => id(name) === nodeId)?.[1] ??
          NO_CONTRIBUTION,
        connect: (socket, remoteKey, handler) =>
          new Connection(
            {
              socket,
              engine,
              localSecret: secretOf('us'),
              remoteKey,
              network: NETWORKS.regtest,
              features: GOSSIPD_INIT_FEATURES,
              limits: { bytesPerSecondIn: 0, bytesPerSecondOut: 0, pingIntervalMs: 30_000 },
            },
            { clock, rng: seededRng(9), log, meter },
            handler,
          ),
      },
      {
        onReady: () => {
          this.ready++;
        },
        onGossip: () => {},
        onMessage: () => {},
        onWritable: () => {},
        onClosed: (_connection, because) => this.closed.push(because),
      },
    );
  }

  knows(name: string, pinned = false, host = name): void {
    this.book.add({ node_id: id(name), host, port: 9735 }, pinned);
  }

  /** Delivers until nothing moves; every peer answers an init with its own. */
  async run(): Promise<void> {
    for (let quiet = 0; quiet < 2; ) {
      await Promise.resolve();
      this.clock.advance(0);
      let moved = 0;
      for (const wire of this.#wires) {
        moved += wire.deliver();
        moved += wire.settle() ? 1 : 0;
      }
      for (const peer of this.#willing.splice(0)) {
        if (peer.transport === undefined) this.#willing.push(peer);
        else {
          peer.sendInit();
          this.#talking.push(peer);
        }
      }
      quiet = moved === 0 ? quiet + 1 : 0;
    }
  }

  /** Somebody connects to us; with a name it makes the handshake and sends its init. */
  async comes(remoteHost: string, name?: string): Promise<ScriptedPeer | MemorySocket> {
    const [ours, theirs] = memorySocketPair({ remoteHost });
    this.#wires.push(ours, theirs);
    const peer = name === undefined ? undefined : new ScriptedPeer(theirs, name, keyOf('us'));
    this.#accept(ours);
    peer?.begin();
    await this.run();
    if (peer?.transport !== undefined) peer.sendInit();
    await this.run();
    return peer ?? theirs;
  }

  /** Dials what is due; those who are willing and connected give a sign of life. */
  async dial(): Promise<void> {
    for (const peer of this.#talking) if (!peer.isClosed) peer.send(Uint8Array.of(0x80, 1));
    this.peers.tick();
    await this.run();
  }

  refused(): number {
    return this.meter.get('gossipd_connections_closed_total', 'no_room');
  }

  names(): string[] {
    return this.peers.ready.map(({ nodeId }) => String(nodeId)).sort();
  }
}

export const listening = async (options: HouseOptions = {}): Promise<House> => {
  const house = new House(options);
  await house.peers.listen('0.0.0.0', 0);
  return house;
};
