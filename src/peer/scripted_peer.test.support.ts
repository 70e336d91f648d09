/**
 * The other side of a Connection under test: a peer that says exactly what the test makes it say, over a socket in memory, and
 * remembers what it was told. `Rig` puts the two together with a clock that moves by hand.
 */
import { fromHex, own, readU16 } from '../base/bytes.ts';
import { NETWORKS } from '../base/chain_hash.ts';
import { type LogFields, type LogLevel, recordingLog } from '../base/log.ts';
import { MemoryMeter } from '../base/meter.ts';
import { seededRng } from '../base/rng.ts';
import { ManualClock } from '../base/time.ts';
import { loadEngine } from '../crypto/engine.ts';
import { sha256 } from '../crypto/hash.ts';
import type { Transport } from '../noise/framing.ts';
import {
  ACT_ONE_BYTES,
  ACT_THREE_BYTES,
  ACT_TWO_BYTES,
  InitiatorHandshake,
  ResponderHandshake,
} from '../noise/handshake.ts';
import { GOSSIPD_INIT_FEATURES } from '../wire/feature_bits.ts';
import { encodeInit, type Init } from '../wire/init.ts';
import type { ClosedBecause } from './closed_because.ts';
import { Connection, type ConnectionHandler, type ConnectionLimits, type PeerMessage } from './connection.ts';
import { type MemoryEndOptions, type MemorySocket, memorySocketPair } from './memory_socket.test.support.ts';

export const engine = loadEngine('fastest');

/** 32 bytes that make a valid secret key. */
export const secretOf = (name: string): Uint8Array => sha256(new TextEncoder().encode(`peer test ${name}`));
export const keyOf = (name: string): Uint8Array => engine.publicKey(secretOf(name));
export const nodeIdOf = (name: string): string => Buffer.from(keyOf(name)).toString('hex');
export const bytesOf = (hex: string): Uint8Array => fromHex(hex.replaceAll(' ', '')) ?? new Uint8Array(0);

export const GOOD_INIT: Init = {
  features: GOSSIPD_INIT_FEATURES,
  networks: [NETWORKS.regtest.chainHashBytes],
};

export class ScriptedPeer {
  readonly socket: MemorySocket;
  /** Whole messages, in order. */
  readonly received: Uint8Array[] = [];
  /** Raw bytes that came before the handshake was done. */
  handshakeBytes = 0;
  isClosed = false;
  transport: Transport | undefined;
  #gathered: Uint8Array = new Uint8Array(0);
  #next: ((act: Uint8Array) => ReturnType<InitiatorHandshake['receive']>) | undefined;
  #needs: number;
  readonly #start: Uint8Array | undefined;

  /** @param dials key of the connection under test, when this side is the one that dials */
  constructor(socket: MemorySocket, name: string, dials?: Uint8Array) {
    this.socket = socket;
    const ephemeralSecret = secretOf(`${name} ephemeral`);
    const localSecret = secretOf(name);
    if (dials === undefined) {
      const responder = new ResponderHandshake({ engine, localSecret, ephemeralSecret });
      this.#needs = ACT_ONE_BYTES;
      this.#next = (act) => {
        this.#needs = ACT_THREE_BYTES;
        this.#next = (third) => responder.receiveActThree(third);
        return responder.receiveActOne(act);
      };
    } else {
      const initiator = new InitiatorHandshake({ engine, localSecret, remoteKey: dials, ephemeralSecret });
      this.#needs = ACT_TWO_BYTES;
      this.#next = (act) => initiator.receive(act);
      this.#start = initiator.start();
    }
    socket.start({
      onData: (chunk) => this.#onData(own(chunk)),
      onDrain: () => {},
      onClose: () => {
        this.isClosed = true;
      },
    });
  }

  /** Begins the handshake when this side dials. */
  begin(): void {
    if (this.#start !== undefined) this.socket.write(own(this.#start));
  }

  send(...messages: readonly Uint8Array[]): void {
    if (this.transport === undefined) throw new Error('the handshake is not done');
    this.socket.write(this.transport.encryptMany(messages));
  }

  sendInit(init: Init = GOOD_INIT): void {
    this.send(encodeInit(init));
  }

  /** Messages of a type. */
  of(type: number): Uint8Array[] {
    return this.received.filter((raw) => readU16(raw, 0) === type);
  }

  #onData(chunk: Uint8Array): void {
    if (this.transport !== undefined) {
      this.transport.receive(chunk, (raw) => this.received.push(own(raw)));
      return;
    }
    this.handshakeBytes += chunk.length;
    this.#gathered = Buffer.concat([this.#gathered, chunk]);
    while (this.#next !== undefined && this.transport === undefined && this.#gathered.length >= this.#needs) {
      const act = own(this.#gathered.subarray(0, this.#needs));
      this.#gathered = this.#gathered.subarray(this.#needs);
      const step = this.#next(act);
      if (!step.ok) {
        this.#next = undefined;
        this.socket.destroy();
        return;
      }
      if (step.send !== undefined) this.socket.write(step.send);
      this.transport = step.transport;
    }
    if (this.transport !== undefined && this.#gathered.length > 0) {
      this.transport.receive(own(this.#gathered), (raw) => this.received.push(own(raw)));
    }
  }
}

export interface RigOptions {
  /** True: the connection under test dials. */
  readonly outbound?: boolean;
  /** Whom it dials; the peer's key unless given. */
  readonly remoteKey?: Uint8Array;
  readonly limits?: Partial<ConnectionLimits>;
  /** What the connection sees of the peer. */
  readonly end?: MemoryEndOptions;
  readonly onMessage?: (connection: Connection, message: PeerMessage) => void;
  readonly onGossip?: (connection: Connection, raw: Uint8Array) => void;
  readonly onWritable?: (connection: Connection) => void;
}

/** A Connection and a ScriptedPeer on a wire in memory. */
export class Rig {
  readonly clock = new ManualClock();
  readonly meter = new MemoryMeter();
  readonly lines: { level: LogLevel; message: string; fields?: LogFields }[] = [];
  readonly connection: Connection;
  readonly peer: ScriptedPeer;
  /** The connection's end. */
  readonly socket: MemorySocket;
  readonly messages: PeerMessage[] = [];
  readonly gossip: Uint8Array[] = [];
  readonly closed: { because: ClosedBecause; detail: string }[] = [];
  ready = 0;

  constructor(options: RigOptions = {}) {
    const [ours, theirs] = memorySocketPair(options.end);
    this.socket = ours;
    this.peer = new ScriptedPeer(theirs, 'peer', options.outbound === true ? undefined : keyOf('us'));
    const handler: ConnectionHandler = {
      onReady: () => {
        this.ready++;
      },
      onGossip: (connection, raw) => {
        this.gossip.push(own(raw));
        options.onGossip?.(connection, raw);
      },
      onMessage: (connection, message) => {
        this.messages.push(message);
        options.onMessage?.(connection, message);
      },
      onWritable: (connection) => options.onWritable?.(connection),
      onClosed: (_connection, because, detail) => {
        this.closed.push({ because, detail });
      },
    };
    this.connection = new Connection(
      {
        socket: ours,
        engine,
        localSecret: secretOf('us'),
        remoteKey: options.outbound === true ? (options.remoteKey ?? keyOf('peer')) : undefined,
        network: NETWORKS.regtest,
        features: GOSSIPD_INIT_FEATURES,
        limits: { bytesPerSecondIn: 0, bytesPerSecondOut: 0, pingIntervalMs: 30_000, ...options.limits },
      },
      { clock: this.clock, rng: seededRng(7), log: recordingLog(this.lines), meter: this.meter },
      handler,
    );
  }

  /** Both inits exchanged. */
  static open(options: RigOptions = {}): Rig {
    const rig = Rig.shaken(options);
    rig.peer.sendInit();
    rig.run();
    return rig;
  }

  /** The handshake is done; the peer has not sent its init. */
  static shaken(options: RigOptions = {}): Rig {
    const rig = new Rig(options);
    rig.connection.start();
    rig.peer.begin();
    rig.run();
    return rig;
  }

  /** Delivers everything that can be delivered, with the timers of this instant, until nothing moves. */
  run(): void {
    for (;;) {
      this.clock.advance(0);
      const moved = this.socket.deliver() + this.peer.socket.deliver();
      const settled = [this.socket.settle(), this.peer.socket.settle()].includes(true);
      if (moved === 0 && !settled) return;
    }
  }

  /** Lets time pass in steps, delivering after each. */
  pass(ms: number, stepMs = ms): void {
    for (let passed = 0; passed < ms; passed += stepMs) {
      this.clock.advance(stepMs);
      this.run();
    }
  }

  /** Why the connection closed; undefined while it is open. */
  get because(): ClosedBecause | undefined {
    return this.closed[0]?.because;
  }
}
