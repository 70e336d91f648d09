/**
 * A ZeroMQ publisher on loopback for tests, as bitcoind's `zmqpubhashblock`: ZMTP 3.0, mechanism NULL, one message of three frames
 * for each new tip of a FakeChain, to those who subscribed.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { concatBytes } from '../../src/base/bytes.ts';
import type { FakeChain } from './fake_chain.ts';

const frame = (flags: number, body: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(flags, body.length), body);

const ascii = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));

/** 64 bytes as libzmq 4.3 sends them: version 3.1, and what it says beside it is the same as 3.0. */
export const zmqGreeting = (mechanism = 'NULL', major = 3): Uint8Array => {
  const bytes = new Uint8Array(64);
  bytes.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, major, 1]);
  bytes.set(ascii(mechanism), 12);
  return bytes;
};

export const zmqReady = (): Uint8Array =>
  frame(0x04, concatBytes(ascii('\x05READY\x0bSocket-Type'), Uint8Array.of(0, 0, 0, 3), ascii('PUB')));

/** A message as bitcoind publishes it; the last frame counts messages. */
export const zmqMessage = (topic: string, body: Uint8Array, count: number): Uint8Array =>
  concatBytes(frame(0x01, ascii(topic)), frame(0x01, body), frame(0x00, Uint8Array.of(count, 0, 0, 0)));

export class FakeZmq {
  /** Topics that were subscribed to, over all connections. */
  readonly subscriptions: string[] = [];
  /** First bytes of each connection. */
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #subscribed = new Set<Socket>();
  readonly #stopTips: () => void;
  #port = 0;
  #count = 0;

  constructor(chain: FakeChain) {
    this.#server = createServer((socket) => this.#serve(socket));
    this.#stopTips = chain.onTip(() => {
      const hash = Uint8Array.from(Buffer.from(chain.tip.hash, 'hex'));
      const message = zmqMessage('hashblock', hash, this.#count++);
      for (const socket of this.#subscribed) {
        // In two writes, so that a frame arrives in parts.
        socket.write(message.subarray(0, 20));
        setImmediate(() => socket.write(message.subarray(20)));
      }
    });
  }

  get port(): number {
    return this.#port;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Ends the connections; new ones are taken. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.#stopTips();
    this.drop();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #serve(socket: Socket): void {
    this.connections++;
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#subscribed.delete(socket);
    });
    socket.write(zmqGreeting());
    let bytes = Buffer.alloc(0);
    let isReady = false;
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (!isReady) {
        // Greeting and READY of the other side.
        if (bytes.length < 66 || bytes.length < 66 + bytes[65]!) return;
        bytes = bytes.subarray(66 + bytes[65]!);
        isReady = true;
        socket.write(zmqReady());
      }
      while (bytes.length >= 2 && bytes.length >= 2 + bytes[1]!) {
        const body = bytes.subarray(2, 2 + bytes[1]!);
        bytes = bytes.subarray(2 + bytes[1]!);
        if (body[0] !== 1) continue;
        this.subscriptions.push(body.subarray(1).toString('latin1'));
        this.#subscribed.add(socket);
      }
    });
  }
}
