/**
 * What one connection sends: gathers the messages of a turn, encrypts them together, and says when there is room for more.
 *
 * Bounds: OUTPUT_PAUSE_BYTES may wait in memory before Connection stops reading; canSend() is false from half of it on, and while
 * the byte budget is spent.
 */
import { own } from '../base/bytes.ts';
import type { Clock } from '../base/time.ts';
import { FRAME_OVERHEAD_BYTES, type Transport } from '../noise/framing.ts';
import type { Socket } from './socket.ts';
import { TokenBucket } from './token_bucket.ts';

/** Reading from the peer pauses while more than this waits to be sent to it: 256 KiB, four of the largest messages. */
export const OUTPUT_PAUSE_BYTES = 262_144;
/** Frames are handed to the socket when this much is ready, or at the end of the turn: about the socket buffer's size. */
const FLUSH_BYTES = 65_536;
const LARGEST_FRAME_BYTES = 65_569;
/** What the budget saves up: a sixteenth of a second, and always a largest frame. CLN throttles who exceeds its limit in any second. */
const BURST_SECONDS = 1 / 16;

/** The byte budget of one direction. @param bytesPerSecond 0 = unlimited */
export const byteBudget = (clock: Clock, bytesPerSecond: number, burstSeconds: number): TokenBucket =>
  new TokenBucket(clock, bytesPerSecond, Math.max(bytesPerSecond * burstSeconds, LARGEST_FRAME_BYTES));

export interface OutboxOptions {
  readonly clock: Clock;
  readonly socket: Socket;
  readonly bytesPerSecond: number;
  /** Sees the length of everything that is handed to the socket. */
  readonly written: (bytes: number) => void;
  /** Called once after canSend() was false, when there may be room again. */
  readonly roomAgain: () => void;
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #budget: TokenBucket;
  #transport: Transport | undefined;
  #messages: Uint8Array[] = [];
  #messageBytes = 0;
  #cancelFlush: (() => void) | undefined;
  #cancelRoom: (() => void) | undefined;
  #wantsRoom = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#budget = byteBudget(options.clock, options.bytesPerSecond, BURST_SECONDS);
  }

  /** From now on messages can be sent. */
  open(transport: Transport): void {
    this.#transport = transport;
  }

  /** Bytes that wait: to be encrypted, and in the socket. */
  get waitingBytes(): number {
    return this.#messageBytes + this.#options.socket.bufferedBytes();
  }

  /** Hands bytes to the socket as they are: the acts of the handshake. Takes ownership of them. */
  write(bytes: Uint8Array): void {
    this.#budget.spend(bytes.length);
    this.#options.written(bytes.length);
    this.#options.socket.write(bytes);
  }

  /** Queues a copy of one message; false, and nothing queued, before open(). */
  send(raw: Uint8Array): boolean {
    if (this.#transport === undefined) return false;
    this.#messages.push(own(raw));
    this.#messageBytes += raw.length + FRAME_OVERHEAD_BYTES;
    if (this.#messageBytes >= FLUSH_BYTES) this.flush();
    else this.#cancelFlush ??= this.#options.clock.after(0, () => this.flush());
    return true;
  }

  /** Encrypts and writes what is queued now. */
  flush(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    if (this.#messages.length === 0 || this.#transport === undefined) return;
    const messages = this.#messages;
    this.#messages = [];
    this.#messageBytes = 0;
    this.write(this.#transport.encryptMany(messages));
  }

  canSend(): boolean {
    if (this.waitingBytes < OUTPUT_PAUSE_BYTES / 2 && this.#budget.open) return true;
    if (!this.#wantsRoom) {
      this.#wantsRoom = true;
      // Either the socket drains, or the budget fills; both lead to drained().
      const wait = this.#budget.waitMs;
      if (wait > 0) this.#cancelRoom = this.#options.clock.after(wait, () => this.drained());
    }
    return false;
  }

  /** The socket, or the budget, has room. */
  drained(): void {
    if (!this.#wantsRoom) return;
    this.#wantsRoom = false;
    this.#cancelRoom?.();
    if (this.canSend()) this.#options.roomAgain();
  }

  /** Drops what is queued; nothing is called any more. */
  close(): void {
    this.#cancelFlush?.();
    this.#cancelRoom?.();
    this.#messages = [];
    this.#messageBytes = 0;
    this.#wantsRoom = false;
    this.#transport = undefined;
  }
}
