/**
 * The socket port: what a peer connection needs of a byte stream. peer/tcp implements it with node:net; the simulator and
 * tests implement it in memory.
 */

export interface SocketEvents {
  /** Bytes arrived, in any split; borrowed until the call returns. */
  readonly onData: (chunk: Uint8Array) => void;
  /** Everything written so far has left our buffer. */
  readonly onDrain: () => void;
  /** The stream is over, by either side or by an error; called once. */
  readonly onClose: (reason: string) => void;
}

export interface Socket {
  /** Address of the other end. */
  readonly remoteHost: string;
  readonly remotePort: number;
  /** Installs the handlers and starts delivery. Called once. */
  readonly start: (events: SocketEvents) => void;
  /** Queues bytes; takes ownership of them. */
  readonly write: (bytes: Uint8Array) => void;
  /** Bytes written and not yet handed to the system. */
  readonly bufferedBytes: () => number;
  readonly pauseReading: () => void;
  readonly resumeReading: () => void;
  /** Sends what is queued, then closes. */
  readonly end: () => void;
  /** Closes now. */
  readonly destroy: () => void;
}

/** Rejects with OperationalError `dial_failed`. */
export type Dial = (host: string, port: number, timeoutMs: number) => Promise<Socket>;

export interface Listener {
  readonly host: string;
  readonly port: number;
  readonly close: () => Promise<void>;
}

/** Rejects with OperationalError `listen_failed`. */
export type Listen = (host: string, port: number, accept: (socket: Socket) => void) => Promise<Listener>;
