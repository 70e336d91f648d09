/**
 * Two ends of a byte stream in memory, for tests of peer/ and of what stands on it. Delivery happens only when the test asks
 * for it, so every order of events can be made, and nothing depends on the machine's sockets.
 *
 * An end behaves as peer/tcp does: a paused one keeps what arrives, `end` lets queued bytes leave first, bytes that the other
 * side does not read count as buffered here.
 */
import { concatBytes } from '../base/bytes.ts';
import type { Socket, SocketEvents } from './socket.ts';

export interface MemoryEndOptions {
  /** What this end sees of the other one. */
  readonly remoteHost?: string;
  readonly remotePort?: number;
}

export class MemorySocket implements Socket {
  readonly remoteHost: string;
  readonly remotePort: number;
  other!: MemorySocket;
  /** While false the other side's application reads nothing: what is written there stays buffered there. */
  reads = true;
  isPaused = true;
  isEnded = false;
  isDestroyed = false;
  /** Most that ever waited here to be sent, in bytes. */
  mostBuffered = 0;
  #events: SocketEvents | undefined;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #isOver = false;

  constructor({ remoteHost = '127.0.0.1', remotePort = 40_000 }: MemoryEndOptions = {}) {
    this.remoteHost = remoteHost;
    this.remotePort = remotePort;
  }

  readonly start = (events: SocketEvents): void => {
    this.#events = events;
    this.isPaused = false;
  };

  readonly write = (bytes: Uint8Array): void => {
    if (this.isEnded || this.isDestroyed) return;
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    this.mostBuffered = Math.max(this.mostBuffered, this.#queued);
  };

  readonly bufferedBytes = (): number => this.#queued;
  readonly pauseReading = (): void => {
    this.isPaused = true;
  };
  readonly resumeReading = (): void => {
    this.isPaused = false;
  };
  readonly end = (): void => {
    this.isEnded = true;
  };
  readonly destroy = (): void => {
    this.isDestroyed = true;
  };

  /** Moves at most `most` bytes to the other side, in one piece; returns how many went. */
  deliver(most: number = Number.POSITIVE_INFINITY): number {
    if (this.isDestroyed || this.other.isDestroyed || this.other.isPaused || !this.other.reads) return 0;
    const all = concatBytes(...this.#queue);
    const piece = all.subarray(0, Math.min(all.length, most));
    if (piece.length === 0) return 0;
    const rest = all.subarray(piece.length);
    this.#queue = rest.length === 0 ? [] : [rest];
    this.#queued = rest.length;
    this.other.#events?.onData(piece);
    if (this.#queued === 0) this.#events?.onDrain();
    return piece.length;
  }

  /** Tells the events that are due after an `end` or a `destroy`; true when there was something to tell. */
  settle(): boolean {
    // The other side's end is seen only by reading up to it.
    const seesEnd = this.other.isEnded && this.other.#queued === 0 && !this.isPaused && this.reads;
    const otherIsGone = this.other.isDestroyed || seesEnd;
    if (this.#isOver || !(this.isDestroyed || otherIsGone)) return false;
    this.#isOver = true;
    this.isDestroyed = true;
    this.#events?.onClose(otherIsGone ? 'closed by the other side' : 'closed by us');
    return true;
  }
}

/** Two ends that talk to each other. */
export const memorySocketPair = (
  left: MemoryEndOptions = {},
  right: MemoryEndOptions = {},
): readonly [MemorySocket, MemorySocket] => {
  const [one, two] = [new MemorySocket(left), new MemorySocket(right)];
  one.other = two;
  two.other = one;
  return [one, two];
};
