/**
 * Hears of new blocks from bitcoind's ZeroMQ publisher (`zmqpubhashblock=tcp://host:port`): a subscriber of ZMTP 3.0 with the NULL
 * mechanism, for the one topic `hashblock`. daemon/ hands in how to dial and gives the result to a bitcoind backend as its push.
 *
 * A message is only a hint that the tip has changed: what it is, the backend asks bitcoind. So a lost or made-up message costs one
 * question, and whoever follows the chain still polls now and then. After each connection it is said once, too: blocks may have
 * come while nobody listened. A line that breaks is dialled again, with growing pauses.
 * Bounds: MAX_ZMQ_FRAME_BYTES for what is kept of the stream; nothing queues.
 */
import { concatBytes, own, readU32 } from '../base/bytes.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import type { Clock } from '../base/time.ts';
import type { TipPush } from './tip_push.ts';

/** A connection as this file needs it; a TCP socket of the daemon fits. */
export interface ZmqSocket {
  readonly start: (events: {
    /** Bytes in any split; borrowed until the call returns. */
    readonly onData: (chunk: Uint8Array) => void;
    readonly onDrain: () => void;
    /** Called once. */
    readonly onClose: (reason: string) => void;
  }) => void;
  /** Takes ownership. */
  readonly write: (bytes: Uint8Array) => void;
  readonly destroy: () => void;
}

export type ZmqDial = (host: string, port: number, timeoutMs: number) => Promise<ZmqSocket>;

export interface ZmqBlocksOptions {
  readonly host: string;
  readonly port: number;
  readonly dial: ZmqDial;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
}

/**
 * The largest frame of a hashblock publisher is the hash of 32 bytes, of its handshake a READY of some 30. A longer frame is not for us:
 * the line is dropped.
 */
export const MAX_ZMQ_FRAME_BYTES = 512;

const GREETING_BYTES = 64;
const DIAL_TIMEOUT_MS = 10_000;
/** From the connection to the publisher's READY. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 60_000;

/** Flags of a frame. */
const MORE = 0x01;
const LONG = 0x02;
const COMMAND = 0x04;

const TOPIC = 'hashblock';

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

/** Signature, version 3.0, mechanism NULL padded to 20 bytes, not a server, filler. */
const greeting = (): Uint8Array => {
  const bytes = new Uint8Array(GREETING_BYTES);
  bytes.set([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0]);
  bytes.set(ascii('NULL'), 12);
  return bytes;
};

const shortFrame = (flags: number, body: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(flags, body.length), body);

/** READY with the property Socket-Type: SUB. */
const ready = (): Uint8Array =>
  shortFrame(
    COMMAND,
    concatBytes(
      Uint8Array.of(5),
      ascii('READY'),
      Uint8Array.of(11),
      ascii('Socket-Type'),
      Uint8Array.of(0, 0, 0, 3),
      ascii('SUB'),
    ),
  );

/** In ZMTP 3.0 a subscription is a message that begins with 1. */
const subscription = (): Uint8Array => shortFrame(0, concatBytes(Uint8Array.of(1), ascii(TOPIC)));

interface Frame {
  readonly flags: number;
  /** Borrowed. */
  readonly body: Uint8Array;
  /** Where the next one begins. */
  readonly end: number;
}

/** The frame at the start of `bytes`; undefined while it is incomplete, text when it is no frame for us. */
const readFrame = (bytes: Uint8Array): Frame | string | undefined => {
  const flags = bytes[0];
  if (flags === undefined) return undefined;
  if ((flags & ~(MORE | LONG | COMMAND)) !== 0) return 'a frame with unknown flags';
  const isLong = (flags & LONG) !== 0;
  const headBytes = isLong ? 9 : 2;
  if (bytes.length < headBytes) return undefined;
  const length = isLong ? readU32(bytes, 1) * 4_294_967_296 + readU32(bytes, 5) : (bytes[1] ?? 0);
  if (length > MAX_ZMQ_FRAME_BYTES) return `a frame of ${length} bytes`;
  const end = headBytes + length;
  return bytes.length < end ? undefined : { flags, body: bytes.subarray(headBytes, end), end };
};

const isAscii = (bytes: Uint8Array, text: string, at = 0): boolean =>
  bytes.length >= at + text.length &&
  [...text].every((letter, index) => bytes[at + index] === letter.charCodeAt(0));

/**
 * The publisher's side of one connection: bytes in, events out. What it says wrong is answered with a text, once, and then
 * nothing more is read.
 */
class PublisherStream {
  #rest: Uint8Array = new Uint8Array(0);
  #state: 'greeting' | 'handshake' | 'messages' | 'over' = 'greeting';
  /** The message under way is one of our topic; undefined before its first frame. */
  #isOurs: boolean | undefined;
  readonly #onReady: () => void;
  readonly #onBlock: () => void;

  constructor(onReady: () => void, onBlock: () => void) {
    this.#onReady = onReady;
    this.#onBlock = onBlock;
  }

  /** Why the line is to be dropped, or undefined. */
  take(chunk: Uint8Array): string | undefined {
    if (this.#state === 'over') return undefined;
    let bytes = this.#rest.length === 0 ? chunk : concatBytes(this.#rest, chunk);
    if (this.#state === 'greeting') {
      if (bytes.length < GREETING_BYTES) {
        this.#rest = own(bytes);
        return undefined;
      }
      const wrong = this.#greeted(bytes);
      if (wrong !== undefined) return this.#over(wrong);
      bytes = bytes.subarray(GREETING_BYTES);
    }
    for (;;) {
      const frame = readFrame(bytes);
      if (frame === undefined) break;
      const wrong = typeof frame === 'string' ? frame : this.#frame(frame);
      if (typeof frame === 'string' || wrong !== undefined) return this.#over(wrong ?? '');
      bytes = bytes.subarray(frame.end);
    }
    // At most one frame that is not complete.
    this.#rest = own(bytes);
    return undefined;
  }

  #over(why: string): string {
    this.#state = 'over';
    this.#rest = new Uint8Array(0);
    return why;
  }

  #greeted(bytes: Uint8Array): string | undefined {
    const major = bytes[10] ?? 0;
    if (bytes[0] !== 0xff || bytes[9] !== 0x7f) return 'no ZeroMQ greeting';
    if (major < 3) return `ZMTP version ${major}`;
    if (!isAscii(bytes, 'NULL\0', 12)) return 'another mechanism than NULL';
    this.#state = 'handshake';
    return undefined;
  }

  #frame({ flags, body }: Frame): string | undefined {
    if ((flags & COMMAND) !== 0) {
      if (this.#state !== 'handshake') return undefined;
      if (!isAscii(body, '\x05READY')) return 'a handshake that ends in an error';
      this.#state = 'messages';
      this.#onReady();
      return undefined;
    }
    if (this.#state !== 'messages') return 'a message before the handshake';
    const isFirst = this.#isOurs === undefined;
    this.#isOurs ??= body.length === TOPIC.length && isAscii(body, TOPIC);
    // The topic, the hash, and a counter of four bytes: the hash says all.
    if (this.#isOurs && !isFirst && body.length === 32) this.#onBlock();
    if ((flags & MORE) === 0) this.#isOurs = undefined;
    return undefined;
  }
}

class ZmqBlocks implements TipPush {
  readonly #options: ZmqBlocksOptions;
  readonly #listeners = new Set<() => void>();
  #socket: ZmqSocket | undefined;
  #cancelTimer: (() => void) | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  #isDown = false;
  #isClosed = false;

  constructor(options: ZmqBlocksOptions) {
    this.#options = { ...options, log: options.log.part('zmq') };
  }

  readonly onTip = (changed: () => void): (() => void) => {
    // The same function may listen twice.
    const listener = (): void => changed();
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  readonly close = (): Promise<void> => {
    this.#isClosed = true;
    this.#cancelTimer?.();
    this.#socket?.destroy();
    this.#listeners.clear();
    return Promise.resolve();
  };

  async connect(): Promise<void> {
    const { dial, host, port, clock } = this.#options;
    try {
      const socket = await dial(host, port, DIAL_TIMEOUT_MS);
      if (this.#isClosed) return socket.destroy();
      this.#socket = socket;
      this.#cancelTimer = clock.after(HANDSHAKE_TIMEOUT_MS, () => this.#lost(socket, 'no handshake'));
      this.#listen(socket);
    } catch (error) {
      this.#again(error instanceof Error ? error.message : String(error));
    }
  }

  #listen(socket: ZmqSocket): void {
    const stream = new PublisherStream(
      () => {
        socket.write(subscription());
        this.#subscribed();
      },
      () => this.#heard(),
    );
    socket.start({
      onData: (chunk) => {
        const wrong = stream.take(chunk);
        if (wrong !== undefined) this.#lost(socket, `the publisher sends ${wrong}`);
      },
      onDrain: () => {},
      onClose: (reason) => this.#lost(socket, reason),
    });
    socket.write(concatBytes(greeting(), ready()));
  }

  #subscribed(): void {
    const { log, host, port } = this.#options;
    this.#cancelTimer?.();
    this.#pauseMs = FIRST_PAUSE_MS;
    if (this.#isDown) log.info(`hears of blocks from ${host}:${port} again`);
    this.#isDown = false;
    this.#tell();
  }

  #heard(): void {
    this.#options.meter.count('gossipd_chain_pushed_tips_total');
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  #lost(socket: ZmqSocket, reason: string): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    this.#cancelTimer?.();
    socket.destroy();
    this.#again(reason);
  }

  #again(reason: string): void {
    if (this.#isClosed) return;
    const { clock, log, meter, host, port } = this.#options;
    meter.count('gossipd_chain_push_lost_total');
    if (!this.#isDown) {
      log.unusual(
        `hears of no blocks from ${host}:${port} (${reason}): check zmqpubhashblock of bitcoind; until then the chain is asked now and then`,
      );
    }
    this.#isDown = true;
    this.#cancelTimer = clock.after(this.#pauseMs, () => {
      void this.connect();
    });
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

/** Dials at once, and again whenever the line breaks, until it is closed. */
export const openZmqBlocks = (options: ZmqBlocksOptions): TipPush => {
  const blocks = new ZmqBlocks(options);
  void blocks.connect();
  return blocks;
};

/** Host and port of `tcp://host:port`; undefined when it is none. */
export const readZmqAddress = (
  text: string,
): { readonly host: string; readonly port: number } | undefined => {
  const parts = /^tcp:\/\/(\[[0-9a-fA-F:.]+\]|[^:/\s]+):(\d{1,5})\/?$/.exec(text);
  const host = parts?.[1]?.replace(/^\[|\]$/g, '');
  const port = Number(parts?.[2]);
  return host === undefined || !(port >= 1 && port <= 65_535) ? undefined : { host, port };
};
