/**
 * One connection to a peer: BOLT 8 handshake, init exchange, ping and pong, byte budgets, and the split of messages into
 * gossip (raw, borrowed) and the rest (decoded). It knows no gossip rules: daemon/ hands in a ConnectionHandler.
 *
 * Implements BOLT 1 (The init Message, Control Messages) and the socket side of BOLT 8.
 * Bounds: a handshake and an init must be done within SETUP_TIMEOUT_MS; output waiting in memory is at most
 * OUTPUT_PAUSE_BYTES plus one reply, because above it neither the socket nor the frames already received are read on (64 KiB
 * of pings ask for 107 MB of pongs); held ciphertext is bounded by noise/framing.
 * A peer that stays silent for two ping intervals is closed (this also ends slow senders that never finish a frame), and so
 * is one that has taken nothing of what waits for it in that time. All that is held for it is at most MAX_CONNECTION_BYTES.
 */

import { own, readU16 } from '../base/bytes.ts';
import type { Network } from '../base/chain_hash.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import type { NodeId } from '../base/node_id.ts';
import { nodeIdAt } from '../base/node_id.ts';
import type { Rng } from '../base/rng.ts';
import type { Clock } from '../base/time.ts';
import type { SignatureEngine } from '../crypto/engine.ts';
import type { Transport } from '../noise/framing.ts';
import type { AddressDescriptor } from '../wire/address_descriptor.ts';
import { isWireFault } from '../wire/fault.ts';
import { encodeInit, type Init } from '../wire/init.ts';
import { type ControlMessage, decodeMessage } from '../wire/message.ts';
import { MESSAGE_TYPE, messageTypeName } from '../wire/message_types.ts';
import { NO_CHANNEL_ID, noticeData, printable } from '../wire/notice.ts';
import { encodePing, pongFor } from '../wire/ping.ts';
import { encodePong } from '../wire/pong.ts';
import { encodeWarning } from '../wire/warning.ts';
import { AT_ONCE, type ClosedBecause } from './closed_because.ts';
import { connectionMemory, MAX_CONNECTION_BYTES } from './connection_memory.ts';
import { HandshakeDriver, type HandshakeProgress } from './handshake_driver.ts';
import { initProblem } from './init_problem.ts';
import { byteBudget, OUTPUT_PAUSE_BYTES, Outbox } from './outbox.ts';
import { PONG_BYTES, PongWatch } from './pong_watch.ts';
import { isPublicHost } from './public_host.ts';
import type { Socket } from './socket.ts';
import { TokenBucket } from './token_bucket.ts';

/** Handshake plus init. lnd allows 5 s + 15 s, Eclair 30 s. */
export const SETUP_TIMEOUT_MS = 20_000;
/** What a peer may send at once after a pause. */
const INBOUND_BURST_SECONDS = 2;
/** Warnings sent to one peer per minute; more would make us an amplifier. */
const WARNINGS_PER_MINUTE = 10;
/** Errors and warnings of one peer that are logged per minute; more would fill the operator's disk. */
const NOTICES_LOGGED_PER_MINUTE = 10;
/** What was sent last may leave for so long after a close; then a peer that never reads loses the descriptor. */
const LINGER_MS = 2_000;
/** The same when we stop: well within the time that the process takes to end. */
const SHUTDOWN_LINGER_MS = 200;

export type { ClosedBecause };

/** Everything but init, ping, pong and the gossip announcements, which Connection handles or hands on by itself. */
export type PeerMessage = ControlMessage;

export interface ConnectionHandler {
  /** Both inits are exchanged. */
  readonly onReady: (connection: Connection) => void;
  /** channel_announcement, node_announcement or channel_update, structurally sound; borrowed. */
  readonly onGossip: (connection: Connection, raw: Uint8Array) => void;
  readonly onMessage: (connection: Connection, message: PeerMessage) => void;
  /** Output has room again. */
  readonly onWritable: (connection: Connection) => void;
  readonly onClosed: (connection: Connection, because: ClosedBecause, detail: string) => void;
}

export interface ConnectionOptions {
  readonly socket: Socket;
  readonly engine: SignatureEngine;
  /** Our 32-byte secret key. */
  readonly localSecret: Uint8Array;
  /** Key of the node that we dial; undefined when it dialled us. */
  readonly remoteKey: Uint8Array | undefined;
  readonly network: Network;
  readonly features: Uint8Array;
  readonly limits: ConnectionLimits;
}

export interface ConnectionLimits {
  /** Bytes per second, 0 = unlimited. */
  readonly bytesPerSecondIn: number;
  readonly bytesPerSecondOut: number;
  readonly pingIntervalMs: number;
}

export interface ConnectionPorts {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly meter: Meter;
}

type Phase = 'handshake' | 'init' | 'open' | 'closed';
type TimerName = 'setup' | 'ping' | 'budget' | 'linger';

/** Whether the bucket had one left. */
const takeOne = (bucket: TokenBucket): boolean => {
  if (!bucket.open) return false;
  bucket.spend(1);
  return true;
};

export class Connection {
  /** True when we dialled. */
  readonly outbound: boolean;
  readonly host: string;
  readonly port: number;
  /** Monotonic milliseconds at creation. */
  readonly since: number;
  bytesIn = 0;
  bytesOut = 0;
  messagesIn = 0;
  messagesOut = 0;

  readonly #options: ConnectionOptions;
  readonly #ports: ConnectionPorts;
  readonly #handler: ConnectionHandler;
  readonly #inbound: TokenBucket;
  readonly #outbox: Outbox;
  readonly #handshake: HandshakeDriver;
  readonly #pausedFor = new Set<string>();
  readonly #pongs: PongWatch;
  #phase: Phase = 'handshake';
  #transport: Transport | undefined;
  #remoteKey: Uint8Array | undefined;
  #init: Init | undefined;
  #heardAt: number;
  /** How much of our output the system had taken when that was last seen to grow, and when. */
  #taken = 0;
  #takenAt: number;
  readonly #warnings: TokenBucket;
  readonly #notices: TokenBucket;
  /** At most one timer of each name. */
  readonly #timers = new Map<TimerName, () => void>();

  constructor(options: ConnectionOptions, ports: ConnectionPorts, handler: ConnectionHandler) {
    this.#options = options;
    this.#ports = ports;
    this.#handler = handler;
    this.outbound = options.remoteKey !== undefined;
    this.host = options.socket.remoteHost;
    this.port = options.socket.remotePort;
    this.#remoteKey = options.remoteKey;
    const { engine, localSecret, remoteKey, socket, limits } = options;
    this.#handshake = new HandshakeDriver({ engine, localSecret, remoteKey, rng: ports.rng });
    this.#inbound = byteBudget(ports.clock, limits.bytesPerSecondIn, INBOUND_BURST_SECONDS);
    this.#outbox = new Outbox({
      clock: ports.clock,
      socket,
      bytesPerSecond: limits.bytesPerSecondOut,
      written: (bytes) => {
        this.bytesOut += bytes;
        ports.meter.count('gossipd_peer_bytes_total', 'out', bytes);
      },
      roomAgain: () => handler.onWritable(this),
    });
    this.since = ports.clock.monotonicMs();
    this.#heardAt = this.since;
    this.#takenAt = this.since;
    this.#pongs = new PongWatch(ports.clock);
    this.#warnings = new TokenBucket(ports.clock, WARNINGS_PER_MINUTE / 60, WARNINGS_PER_MINUTE);
    this.#notices = new TokenBucket(ports.clock, NOTICES_LOGGED_PER_MINUTE / 60, NOTICES_LOGGED_PER_MINUTE);
  }

  /** Starts the handshake. Called once, before anything else. */
  start(): void {
    this.#handshakeGoesOn(this.#handshake.begin());
    if (this.phase === 'closed') return;
    this.#arm('setup', SETUP_TIMEOUT_MS, () => {
      if (this.#phase !== 'open') this.close('setup_timeout', `still in ${this.#phase}`);
    });
    this.#options.socket.start({
      onData: (chunk) => this.#onData(chunk),
      onDrain: () => this.#onDrain(),
      onClose: (reason) => {
        this.close('socket_closed', reason);
        this.#cancelTimers();
      },
    });
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Hex of the peer's key; known after the handshake (at once when we dialled). */
  get nodeId(): NodeId | undefined {
    return this.#remoteKey === undefined ? undefined : nodeIdAt(this.#remoteKey);
  }

  /** The handshake has proven that the other side has the key of `nodeId`. */
  get isProven(): boolean {
    return this.#transport !== undefined;
  }

  /** The peer's init; undefined until it arrived. */
  get init(): Init | undefined {
    return this.#init;
  }

  /** Shortest time from a ping to its pong, in milliseconds; infinite before the first. */
  get latencyMs(): number {
    return this.#pongs.latencyMs;
  }

  /** All that is held for this connection, in bytes, with what other rooms may hold reckoned at its most. */
  get memoryBytes(): number {
    return connectionMemory({
      handshakeBytes: this.#transport === undefined ? this.#handshake.heldBytes : 0,
      heldBytes: this.#transport?.bufferedBytes ?? 0,
      outputBytes: this.#outbox.waitingBytes,
    });
  }

  /** `03ab…@host:port` for logs. */
  get name(): string {
    return `${this.nodeId?.slice(0, 12) ?? 'unknown'}@${this.host}:${this.port}`;
  }

  /** Queues a copy of one message; it is encrypted with its neighbours by the end of the turn. */
  send(raw: Uint8Array): void {
    if (this.#phase === 'closed' || !this.#outbox.send(raw)) return;
    this.messagesOut++;
    this.#ports.meter.count('gossipd_messages_sent_total', messageTypeName(readU16(raw, 0)));
    if (this.#outbox.waitingBytes > OUTPUT_PAUSE_BYTES) this.pauseReading('output');
    this.#keepMemory();
  }

  /**
   * False while more than the bound waits to be sent, or the byte budget is spent; onWritable follows when it is true
   * again.
   */
  canSend(): boolean {
    return this.#phase === 'open' && this.#outbox.canSend();
  }

  /** Sends a warning about the whole connection (BOLT 1, warning), unless too many went out in this minute. */
  warn(text: string): void {
    if (!takeOne(this.#warnings)) return;
    this.send(encodeWarning({ channel_id: NO_CHANNEL_ID, data: noticeData(text) }));
  }

  /** Stops reading for a named reason; reading goes on when every reason is gone. */
  pauseReading(reason: string): void {
    if (this.#phase === 'closed') return;
    if (this.#pausedFor.size === 0) {
      this.#options.socket.pauseReading();
      this.#transport?.pause();
    }
    this.#pausedFor.add(reason);
  }

  resumeReading(reason: string): void {
    if (!this.#pausedFor.delete(reason) || this.#pausedFor.size > 0 || this.#phase === 'closed') return;
    this.#heardAt = this.#ports.clock.monotonicMs();
    const intact = this.#transport?.resume(this.#deliver) ?? true;
    if (!intact) this.close('bad_mac');
    // What had been held may have given a new reason to pause.
    else if (this.#pausedFor.size === 0) this.#options.socket.resumeReading();
  }

  /** Closes once; what was sent before (a warning) still leaves. */
  close(because: ClosedBecause, detail = ''): void {
    if (this.#phase === 'closed') return;
    if (!AT_ONCE.has(because)) this.#outbox.flush();
    this.#outbox.close();
    this.#phase = 'closed';
    this.#cancelTimers();
    this.#transport?.pause();
    const { socket } = this.#options;
    if (AT_ONCE.has(because)) socket.destroy();
    else {
      socket.end();
      // Read on, into nothing: the other side's end is not seen on a paused socket, and unread bytes would reset ours.
      socket.resumeReading();
      this.#arm('linger', because === 'shutdown' ? SHUTDOWN_LINGER_MS : LINGER_MS, () => socket.destroy());
    }
    this.#ports.meter.count('gossipd_connections_closed_total', because);
    this.#handler.onClosed(this, because, detail);
  }

  #arm(name: TimerName, delayMs: number, fire: () => void): void {
    this.#timers.get(name)?.();
    this.#timers.set(name, this.#ports.clock.after(delayMs, fire));
  }

  #cancelTimers(): void {
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }

  #onDrain(): void {
    if (this.#phase === 'closed') return;
    if (this.#outbox.waitingBytes <= OUTPUT_PAUSE_BYTES) this.resumeReading('output');
    this.#outbox.drained();
  }

  #onData(chunk: Uint8Array): void {
    if (this.#phase === 'closed') return;
    this.bytesIn += chunk.length;
    this.#ports.meter.count('gossipd_peer_bytes_total', 'in', chunk.length);
    this.#inbound.spend(chunk.length);
    if (this.#transport === undefined) this.#handshakeGoesOn(this.#handshake.take(chunk));
    else this.#receive(this.#transport, chunk);
    this.#keepMemory();
    if (this.phase === 'closed' || this.#inbound.open) return;
    this.pauseReading('budget');
    this.#arm('budget', this.#inbound.waitMs, () => this.resumeReading('budget'));
  }

  #keepMemory(): void {
    if (this.#phase === 'closed' || this.memoryBytes <= MAX_CONNECTION_BYTES) return;
    this.close('over_memory', `${this.memoryBytes} bytes`);
  }

  readonly #deliver = (raw: Uint8Array): void => {
    if (this.#phase !== 'closed') this.#onFrame(raw);
  };

  #receive(transport: Transport, chunk: Uint8Array): void {
    // B8-18: after a bad MAC nothing of this stream can be trusted.
    if (!transport.receive(chunk, this.#deliver)) this.close('bad_mac');
  }

  #handshakeGoesOn(progress: HandshakeProgress): void {
    if (progress.state === 'failed') return this.close('handshake_failed', progress.reason);
    if (progress.send !== undefined) this.#outbox.write(progress.send);
    if (progress.state === 'waiting') return;
    const { transport, remoteKey, rest } = progress;
    this.#transport = transport;
    this.#remoteKey = remoteKey;
    this.#phase = 'init';
    this.#outbox.open(transport);
    if (this.#pausedFor.size > 0) transport.pause();
    this.#sendInit();
    if (rest.length > 0) this.#receive(transport, rest);
  }

  #sendInit(): void {
    const { network, features } = this.#options;
    const message: Init = { features, networks: [network.chainHashBytes] };
    // B1-17: only the side that was dialled says what address it sees, and never a private one.
    // A listener for both families sees IPv4 addresses in their IPv6 form.
    const host = this.host.replace(/^::ffff:(?=\d+\.)/i, '');
    const seen: AddressDescriptor | undefined =
      !this.outbound && isPublicHost(host)
        ? { kind: host.includes(':') ? 'ipv6' : 'ipv4', host, port: this.port }
        : undefined;
    this.send(encodeInit(seen === undefined ? message : { ...message, remote_addr: seen }));
  }

  #onFrame(raw: Uint8Array): void {
    this.#heardAt = this.#ports.clock.monotonicMs();
    this.messagesIn++;
    const type = raw.length >= 2 ? readU16(raw, 0) : -1;
    this.#ports.meter.count(
      'gossipd_messages_received_total',
      type < 0 ? 'malformed' : messageTypeName(type),
    );
    // B1-13: nothing but init comes first.
    if (
      this.#phase === 'init' &&
      type !== MESSAGE_TYPE.init &&
      type !== MESSAGE_TYPE.error &&
      type !== MESSAGE_TYPE.warning
    ) {
      this.warn('the first message must be init');
      return this.close('message_before_init', messageTypeName(type));
    }
    const message = decodeMessage(raw);
    if (isWireFault(message)) {
      // B1-04 (unknown even type) and B1-05 (known but too short) both end the connection.
      if (message.fault === 'unknown_even_type') {
        this.warn(`message type ${message.type} is not known here: gossip only, no channels`);
        return this.close('unknown_even_type', `type ${message.type}`);
      }
      this.warn(`${messageTypeName(message.type)}: ${message.fault} at byte ${message.offset}`);
      return this.close('malformed_message', `${messageTypeName(message.type)} ${message.fault}`);
    }
    switch (message.type) {
      case 'gossip':
        return this.#handler.onGossip(this, raw);
      case 'unknown':
        return;
      case 'init':
        return this.#onInit(message);
      case 'ping': {
        const pong = pongFor(message);
        if (pong !== undefined) this.send(encodePong(pong));
        return;
      }
      case 'pong':
        return this.#onPong(message.byteslen);
      case 'error':
      case 'warning':
        if (!takeOne(this.#notices)) return;
        // B1-23: they speak of channels, of which we have none, so the connection goes on and a line is kept. Those we
        // chose to dial are worth one that is seen; strangers could fill the disk with them.
        this.#ports.log[this.outbound ? 'info' : 'debug'](`${message.type} from peer`, {
          peer: this.name,
          text: printable(message.data, 300),
        });
        return;
      default:
        return this.#handler.onMessage(this, message);
    }
  }

  #onPong(byteslen: number): void {
    const outcome = this.#pongs.received(byteslen);
    if (outcome === 'answer') return;
    this.#ports.meter.count('gossipd_strange_pongs_total');
    if (outcome === 'strange') return;
    this.warn('pongs that answer no ping');
    this.close('unexpected_pong', `${byteslen} bytes`);
  }

  #onInit(init: Init): void {
    // A second init changes nothing.
    if (this.#phase !== 'init') return;
    const problem = initProblem(init, this.#options.network);
    if (problem !== undefined) {
      this.warn(problem.warning);
      return this.close(problem.because, problem.detail);
    }
    this.#init = {
      ...init,
      features: own(init.features),
      ...(init.networks === undefined ? {} : { networks: init.networks.map(own) }),
    };
    this.#phase = 'open';
    this.#schedulePing();
    this.#handler.onReady(this);
  }

  #schedulePing(): void {
    const interval = this.#options.limits.pingIntervalMs;
    this.#arm('ping', interval, () => {
      if (this.#phase !== 'open') return;
      const now = this.#ports.clock.monotonicMs();
      const buffered = this.#options.socket.bufferedBytes();
      if (buffered === 0 || this.bytesOut - buffered > this.#taken) {
        this.#taken = this.bytesOut - buffered;
        this.#takenAt = now;
      } else if (now - this.#takenAt > 2 * interval) {
        return this.close('peer_not_reading', `${buffered} bytes wait for it`);
      }
      const silentMs = now - this.#heardAt;
      // While we are the ones who do not read, silence says nothing about the peer.
      if (this.#pausedFor.size === 0 && silentMs > 2 * interval)
        return this.close('peer_silent', `${silentMs} ms`);
      // B1-25: padding is zeros.
      if (silentMs > interval / 2 || this.#pongs.knowsNothing) {
        this.#pongs.sent();
        this.send(encodePing({ num_pong_bytes: PONG_BYTES, byteslen: 1 }));
      }
      this.#schedulePing();
    });
  }
}
