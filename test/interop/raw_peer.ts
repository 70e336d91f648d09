/**
 * A peer that says exactly what a test wants: handshake, init, pongs, and from there on only what it is told to send, good or
 * bad. Built on noise/ alone, so that no rule of ours stands between the test and the other side.
 */
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { fromHex, own, readU16 } from '../../src/base/bytes.ts';
import { NETWORKS } from '../../src/base/chain_hash.ts';
import { loadEngine } from '../../src/crypto/engine.ts';
import type { Transport } from '../../src/noise/framing.ts';
import { ACT_TWO_BYTES, InitiatorHandshake } from '../../src/noise/handshake.ts';
import { isWireFault } from '../../src/wire/fault.ts';
import { GOSSIPD_INIT_FEATURES } from '../../src/wire/feature_bits.ts';
import { encodeInit } from '../../src/wire/init.ts';
import { MESSAGE_TYPE } from '../../src/wire/message_types.ts';
import { printable } from '../../src/wire/notice.ts';
import { decodePing } from '../../src/wire/ping.ts';
import { encodePong } from '../../src/wire/pong.ts';
import { decodeWarning } from '../../src/wire/warning.ts';
import { until } from './test_daemon.ts';

export interface RawPeerSettings {
  readonly port: number;
  /** Of the node to dial. */
  readonly nodeId: string;
  /** Its secret is 32 times this byte. */
  readonly identity: number;
}

export class RawPeer {
  /** Everything that came, init first. */
  readonly received: Uint8Array[] = [];
  /** The other side has ended the connection. */
  closed = false;
  readonly #socket: Socket;
  #transport: Transport | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Resolves when the handshake is done and both inits are exchanged. */
  static async dial(t: TestContext, { port, nodeId, identity }: RawPeerSettings): Promise<RawPeer> {
    const socket = connect({ host: '127.0.0.1', port });
    t.after(() => socket.destroy());
    const peer = new RawPeer(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      peer.closed = true;
    });
    const handshake = new InitiatorHandshake({
      engine: loadEngine('fastest'),
      localSecret: new Uint8Array(32).fill(identity),
      remoteKey: fromHex(nodeId)!,
      ephemeralSecret: new Uint8Array(32).fill(identity + 1),
    });
    socket.write(handshake.start());
    let held = new Uint8Array(0);
    socket.on('data', (chunk: Uint8Array) => {
      if (peer.#transport !== undefined) return peer.#receive(chunk);
      held = new Uint8Array([...held, ...chunk]);
      if (held.length < ACT_TWO_BYTES) return;
      const step = handshake.receive(held.subarray(0, ACT_TWO_BYTES));
      if (!step.ok || step.transport === undefined || step.send === undefined) return socket.destroy();
      peer.#transport = step.transport;
      socket.write(step.send);
      peer.send(encodeInit({ features: GOSSIPD_INIT_FEATURES, networks: [NETWORKS.regtest.chainHashBytes] }));
      if (held.length > ACT_TWO_BYTES) peer.#receive(held.subarray(ACT_TWO_BYTES));
    });
    await until('the other side sends its init', () => peer.received.length > 0 || peer.closed);
    return peer;
  }

  send(raw: Uint8Array): void {
    this.#socket.write(this.#transport!.encrypt(raw));
  }

  /** The texts of the warnings that came. */
  get warnings(): string[] {
    return this.received.flatMap((raw) => {
      if (readU16(raw, 0) !== MESSAGE_TYPE.warning) return [];
      const warning = decodeWarning(raw);
      return isWireFault(warning) ? ['malformed'] : [printable(warning.data)];
    });
  }

  #receive(chunk: Uint8Array): void {
    this.#transport!.receive(chunk, (raw) => {
      if (readU16(raw, 0) !== MESSAGE_TYPE.ping) {
        this.received.push(own(raw));
        return;
      }
      const ping = decodePing(raw);
      if (!isWireFault(ping)) this.send(encodePong({ byteslen: ping.num_pong_bytes }));
    });
  }
}
