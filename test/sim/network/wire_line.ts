/**
 * Connections of a simulated network: what src/peer's Connection is to a daemon, without sockets, handshake and encryption. Whole
 * messages travel in order, with latency, jitter and a bandwidth; a line that drops loses what is on the way; output that waits
 * turns canSend() off, as the outbox does; a paused reader holds messages, which count as waiting at the sender.
 *
 * The network makes pairs of them; the watch sees every message that leaves and arrives.
 */
import { own } from '../../../src/base/bytes.ts';
import type { NodeId } from '../../../src/base/node_id.ts';
import type { Rng } from '../../../src/base/rng.ts';
import type { ClosedBecause, Connection, PeerMessage } from '../../../src/peer/connection.ts';
import { OUTPUT_PAUSE_BYTES } from '../../../src/peer/outbox.ts';
import { isWireFault } from '../../../src/wire/fault.ts';
import type { Init } from '../../../src/wire/init.ts';
import { decodeMessage } from '../../../src/wire/message.ts';
import { NO_CHANNEL_ID, noticeData } from '../../../src/wire/notice.ts';
import { encodeWarning } from '../../../src/wire/warning.ts';
import type { Timeline } from './timeline.ts';
import type { TrueMessage } from './truth.ts';

/** Whoever is at an end of a line: a node, or somebody worse. */
export interface Endpoint {
  readonly number: number;
  readonly nodeId: NodeId;
  /** Keeps all rules; the watch holds it to that. */
  readonly isHonest: boolean;
  /** Feature map of its init. */
  readonly features: Uint8Array;
  onReady(line: WireLine): void;
  onGossip(line: WireLine, raw: Uint8Array): void;
  onMessage(line: WireLine, message: PeerMessage): void;
  onWritable(line: WireLine): void;
  onClosed(line: WireLine, because: ClosedBecause): void;
}

/** Sees everything that goes over a line. */
export interface LineWatch {
  /** The true message, if it is one. Called before the message leaves. */
  sent(line: WireLine, raw: Uint8Array): TrueMessage | undefined;
  received(line: WireLine, raw: Uint8Array): void;
  warned(line: WireLine, text: string): void;
}

export interface LineQuality {
  readonly latencyMs: number;
  readonly jitterMs: number;
  readonly bytesPerSecond: number;
  /** Part of the gossip messages that vanish one by one, as with a peer that is overloaded. */
  readonly gossipLoss: number;
}

export interface LineParts {
  readonly timeline: Timeline;
  readonly rng: Rng;
  readonly watch: LineWatch;
  readonly quality: LineQuality;
}

/** What a session, and a daemon that slows its reading, may use of a connection. */
type UsedOfConnection = Pick<
  Connection,
  | ('name' | 'host' | 'port' | 'nodeId' | 'outbound' | 'init' | 'phase' | 'since')
  | ('bytesIn' | 'bytesOut' | 'messagesIn' | 'messagesOut')
  | ('send' | 'canSend' | 'warn' | 'pauseReading' | 'resumeReading' | 'close')
>;

export class WireLine implements UsedOfConnection {
  readonly outbound: boolean;
  readonly host: string;
  readonly port = 9735;
  readonly since: number;
  bytesIn = 0;
  bytesOut = 0;
  messagesIn = 0;
  messagesOut = 0;
  phase: Connection['phase'] = 'open';
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** How often each true message left here, by its number; for the watch. */
  readonly timesSent = new Map<number, number>();
  /** When each true message came here last, by its number; for the watch. */
  readonly receivedAtMs = new Map<number, number>();
  /** Filters and scid queries that came here; for the watch. */
  asked = 0;
  /** The other side asked for live gossip last; for the watch. */
  streams = false;
  /** Queries that left here and whose answer is not complete; for the watch. */
  readonly openQueries = { range: 0, scids: 0 };
  readonly #parts: LineParts;
  #other: WireLine = this;
  /** When the last byte that was sent so far has left, and when the last message arrives. */
  #freeAtMs = 0;
  #arrivesAtMs = 0;
  #wantsRoom = false;
  readonly #pausedFor = new Set<string>();
  readonly #held: Uint8Array[] = [];
  #heldBytes = 0;

  constructor(local: Endpoint, remote: Endpoint, outbound: boolean, parts: LineParts) {
    this.local = local;
    this.remote = remote;
    this.outbound = outbound;
    this.host = `n${remote.number}`;
    this.since = parts.timeline.nowMs;
    this.#parts = parts;
  }

  /** Two ends of a line, both ready. */
  static join(dialler: Endpoint, dialled: Endpoint, parts: LineParts): WireLine {
    const [near, far] = [
      new WireLine(dialler, dialled, true, parts),
      new WireLine(dialled, dialler, false, parts),
    ];
    near.#other = far;
    far.#other = near;
    dialled.onReady(far);
    dialler.onReady(near);
    return near;
  }

  /** The line is cut: both sides notice, and what is on the way is lost. */
  cut(): void {
    this.#end('socket_closed');
    this.#other.#end('socket_closed');
  }

  /** The same line from the other end. */
  get otherEnd(): WireLine {
    return this.#other;
  }

  get nodeId(): NodeId {
    return this.remote.nodeId;
  }

  get init(): Init {
    return { features: this.remote.features };
  }

  get name(): string {
    return `n${this.local.number}>n${this.remote.number}`;
  }

  send(raw: Uint8Array): void {
    if (this.phase === 'closed') return;
    const { timeline, rng, watch, quality } = this.#parts;
    const message = watch.sent(this, raw);
    this.bytesOut += raw.length;
    this.messagesOut++;
    this.#freeAtMs =
      Math.max(timeline.nowMs, this.#freeAtMs) + Math.ceil((raw.length * 1000) / quality.bytesPerSecond);
    if (
      raw[0] === 1 &&
      (raw[1] as number) <= 2 &&
      quality.gossipLoss > 0 &&
      rng.fraction() < quality.gossipLoss
    )
      return;
    const arrives = this.#freeAtMs + quality.latencyMs + Math.floor(rng.fraction() * quality.jitterMs);
    this.#arrivesAtMs = Math.max(this.#arrivesAtMs, arrives);
    const copy = message?.raw ?? own(raw);
    timeline.after(this.#arrivesAtMs - timeline.nowMs, () => this.#other.#arrive(copy));
  }

  canSend(): boolean {
    if (this.phase === 'closed') return false;
    const waiting = this.#waitingBytes;
    if (waiting <= OUTPUT_PAUSE_BYTES / 2) return true;
    if (!this.#wantsRoom) {
      this.#wantsRoom = true;
      this.#askForRoom(waiting);
    }
    return false;
  }

  warn(text: string): void {
    if (this.phase === 'closed') return;
    this.#parts.watch.warned(this, text);
    this.send(encodeWarning({ channel_id: NO_CHANNEL_ID, data: noticeData(text) }));
  }

  pauseReading(reason: string): void {
    this.#pausedFor.add(reason);
  }

  resumeReading(reason: string): void {
    if (!this.#pausedFor.delete(reason)) return;
    while (this.#pausedFor.size === 0 && this.phase !== 'closed') {
      const raw = this.#held.shift();
      if (raw === undefined) return;
      this.#heldBytes -= raw.length;
      this.#deliver(raw);
    }
  }

  /** What was sent before still arrives. */
  close(because: ClosedBecause): void {
    if (this.phase === 'closed') return;
    const { timeline } = this.#parts;
    const other = this.#other;
    timeline.after(Math.max(0, this.#arrivesAtMs - timeline.nowMs), () => other.#end('socket_closed'));
    this.#end(because);
  }

  get #waitingBytes(): number {
    const { timeline, quality } = this.#parts;
    const leaving = (Math.max(0, this.#freeAtMs - timeline.nowMs) * quality.bytesPerSecond) / 1000;
    return leaving + this.#other.#heldBytes;
  }

  #askForRoom(waiting: number): void {
    const { timeline, quality } = this.#parts;
    const excess = waiting - OUTPUT_PAUSE_BYTES / 2;
    timeline.after(Math.max(10, Math.ceil((excess * 1000) / quality.bytesPerSecond)), () => {
      this.#wantsRoom = false;
      if (this.phase === 'closed' || !this.canSend()) return;
      this.local.onWritable(this);
    });
  }

  #arrive(raw: Uint8Array): void {
    if (this.phase === 'closed') return;
    if (this.#pausedFor.size === 0 && this.#held.length === 0) return this.#deliver(raw);
    this.#held.push(raw);
    this.#heldBytes += raw.length;
  }

  #deliver(raw: Uint8Array): void {
    this.bytesIn += raw.length;
    this.messagesIn++;
    const message = decodeMessage(raw);
    this.#parts.watch.received(this, raw);
    if (isWireFault(message)) {
      this.warn(`malformed ${message.type}`);
      return this.close('malformed_message');
    }
    if (message.type === 'gossip') this.local.onGossip(this, raw);
    else if (message.type !== 'unknown') this.local.onMessage(this, message);
  }

  #end(because: ClosedBecause): void {
    if (this.phase === 'closed') return;
    this.phase = 'closed';
    this.#held.length = 0;
    this.#heldBytes = 0;
    this.local.onClosed(this, because);
  }
}
