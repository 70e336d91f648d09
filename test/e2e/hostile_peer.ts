/**
 * A peer over real TCP that keeps no promise: it may stop anywhere in the handshake, send any bytes or messages in any
 * amount, and read or not read as it likes. Built on noise/ and wire/ alone.
 */
import { connect, type Socket } from 'node:net';
import { fromHex, own, readU16 } from '../../src/base/bytes.ts';
import { NETWORKS } from '../../src/base/chain_hash.ts';
import { loadEngine } from '../../src/crypto/engine.ts';
import { sha256 } from '../../src/crypto/hash.ts';
import type { Transport } from '../../src/noise/framing.ts';
import { ACT_TWO_BYTES, InitiatorHandshake } from '../../src/noise/handshake.ts';
import { GOSSIPD_INIT_FEATURES } from '../../src/wire/feature_bits.ts';
import { encodeInit, type Init } from '../../src/wire/init.ts';
import { MESSAGE_TYPE } from '../../src/wire/message_types.ts';
import { encodePing } from '../../src/wire/ping.ts';

export interface Target {
  readonly port: number;
  readonly nodeId: string;
  /** Gets a name of each connection: the `host:port` of its own end, and how often that was used before, as `127.0.0.1:40000#0`. */
  readonly connections?: string[];
}

const engine = loadEngine('fastest');
const secret = (name: string): Uint8Array => sha256(new TextEncoder().encode(`hostile ${name}`));
/** Our own buffer, not the target's: what may wait in it before a flood waits. */
const MAX_WAITING_BYTES = 1_048_576;
/** Messages encrypted at once. */
const FLOOD_PIECE_BYTES = 65_536;
/** Half of MAX_UNREADY: a peer is not to be refused for the company it keeps. */
const MAX_OPENING = 32;
export interface HostilePeerOptions {
  /** Names its key; another one each time unless given. */
  readonly as?: string;
  /** The address that it comes from, of this machine. */
  readonly from?: string;
  /** Keeps its half of the connection open after the target has ended the other one. */
  readonly holdsOn?: boolean;
  /** Gets each message, borrowed, from the target's init on. */
  readonly onMessage?: (peer: HostilePeer, raw: Uint8Array) => void;
}

let opening = 0;
const waiting: ((nothing: undefined) => void)[] = [];
/** How often each of our ends was used: the system gives them out again. */
const uses = new Map<string, number>();
let names = 0;
let handshakes = 0;

export const GOOD_INIT: Init = {
  features: GOSSIPD_INIT_FEATURES,
  networks: [NETWORKS.regtest.chainHashBytes],
};

export class HostilePeer {
  readonly closed: Promise<void>;
  isClosed = false;
  readonly #socket: Socket;
  readonly #target: Target;
  readonly #onMessage: ((peer: HostilePeer, raw: Uint8Array) => void) | undefined;
  #transport: Transport | undefined;
  #first: (() => void) | undefined;
  #ponged: (() => void) | undefined;

  private constructor(target: Target, socket: Socket, onMessage: HostilePeerOptions['onMessage']) {
    this.#onMessage = onMessage;
    this.#target = target;
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.isClosed = true;
        this.#first?.();
        resolve();
      });
    });
    socket.on('error', () => {});
  }

  /** A TCP connection and nothing else. */
  static async connect(target: Target, options: HostilePeerOptions = {}): Promise<HostilePeer> {
    const socket = connect({
      host: '127.0.0.1',
      port: target.port,
      allowHalfOpen: options.holdsOn ?? false,
      ...(options.from === undefined ? {} : { localAddress: options.from }),
    });
    const peer = new HostilePeer(target, socket, options.onMessage);
    await new Promise<void>((resolve) => {
      socket.once('connect', () => {
        const own = `${socket.localAddress}:${socket.localPort}`;
        const before = uses.get(own) ?? 0;
        uses.set(own, before + 1);
        target.connections?.push(`${own}#${before}`);
        resolve();
      });
      socket.once('close', resolve);
    });
    return peer;
  }

  /** The handshake is done; no init was sent. */
  static async shake(target: Target, options: HostilePeerOptions = {}): Promise<HostilePeer> {
    const peer = await HostilePeer.connect(target, options);
    await peer.#shake(options.as ?? `peer ${process.pid}.${names++}`);
    return peer;
  }

  /** Both inits are exchanged, or the target has closed. */
  static async open(target: Target, options: HostilePeerOptions = {}): Promise<HostilePeer> {
    while (opening >= MAX_OPENING) await new Promise((resolve) => waiting.push(resolve));
    opening++;
    try {
      return await HostilePeer.#open(target, options);
    } finally {
      opening--;
      waiting.shift()?.(undefined);
    }
  }

  static async #open(target: Target, options: HostilePeerOptions): Promise<HostilePeer> {
    const peer = await HostilePeer.shake(target, options);
    if (peer.isClosed) return peer;
    const heard = new Promise<void>((resolve) => {
      peer.#first = resolve;
    });
    peer.send(encodeInit(GOOD_INIT));
    await heard;
    return peer;
  }

  /** Bytes as they are. */
  write(bytes: Uint8Array): void {
    if (!this.isClosed) this.#socket.write(own(bytes));
  }

  send(...messages: readonly Uint8Array[]): void {
    if (this.#transport !== undefined && !this.isClosed)
      this.#socket.write(this.#transport.encryptMany(messages));
  }

  /** The frames of messages, for those who want to spoil them. */
  frames(...messages: readonly Uint8Array[]): Uint8Array {
    if (this.#transport === undefined) throw new Error('the handshake is not done');
    return this.#transport.encryptMany(messages);
  }

  /** Sends all of them as fast as they are taken, until the last one or until the target closes. Returns how many went. */
  async flood(count: number, message: (index: number) => Uint8Array): Promise<number> {
    let piece: Uint8Array[] = [];
    let bytes = 0;
    for (let index = 0; index < count; index++) {
      if (this.isClosed) return index;
      const next = message(index);
      piece.push(next);
      bytes += next.length;
      if (bytes < FLOOD_PIECE_BYTES && index < count - 1) continue;
      this.send(...piece);
      piece = [];
      bytes = 0;
      if (this.#socket.writableLength > MAX_WAITING_BYTES) await this.#drained();
    }
    return count;
  }

  /** Waits until the target has seen all that was sent, or has closed; then goes. */
  async leave(): Promise<void> {
    const ponged = new Promise<void>((resolve) => {
      this.#ponged = resolve;
    });
    this.send(encodePing({ num_pong_bytes: 1, byteslen: 0 }));
    await Promise.race([ponged, this.closed]);
    this.destroy();
  }

  /** Reads nothing any more; what the target sends piles up on its side. */
  stopReading(): void {
    this.#socket.pause();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const go = (): void => {
        this.#socket.off('drain', go);
        this.#socket.off('close', go);
        resolve();
      };
      this.#socket.on('drain', go);
      this.#socket.on('close', go);
    });
  }

  async #shake(name: string): Promise<void> {
    if (this.isClosed) return;
    const remoteKey = fromHex(this.#target.nodeId) ?? new Uint8Array(0);
    const handshake = new InitiatorHandshake({
      engine,
      localSecret: secret(name),
      remoteKey,
      ephemeralSecret: secret(`ephemeral ${handshakes++}`),
    });
    this.#socket.write(handshake.start());
    let held = new Uint8Array(0);
    await new Promise<void>((resolve) => {
      this.#socket.once('close', resolve);
      this.#socket.on('data', (chunk: Uint8Array) => {
        if (this.#transport !== undefined) return this.#receive(chunk);
        held = new Uint8Array([...held, ...chunk]);
        if (held.length < ACT_TWO_BYTES) return;
        const step = handshake.receive(held.subarray(0, ACT_TWO_BYTES));
        if (!step.ok || step.send === undefined) throw new Error('the target broke the handshake');
        this.#transport = step.transport;
        this.#socket.write(step.send);
        if (held.length > ACT_TWO_BYTES) this.#receive(held.subarray(ACT_TWO_BYTES));
        resolve();
      });
    });
  }

  #receive(chunk: Uint8Array): void {
    this.#transport?.receive(chunk, (raw) => {
      // The first message is the target's init.
      this.#first?.();
      this.#first = undefined;
      if (readU16(raw, 0) === MESSAGE_TYPE.pong) this.#ponged?.();
      this.#onMessage?.(this, raw);
    });
  }
}
