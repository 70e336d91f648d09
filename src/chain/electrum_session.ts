/**
 * A standing connection to one Electrum server: dials, greets, asks many questions at once, and comes back when the server goes away.
 *
 * electrum.ts asks through it and hears notifications. While a connection is made questions wait; while the server is away they are
 * answered at once with the reason. A server that says it is busy is left alone for a while, doubling; one that is silent, sends
 * garbage or fails the greeting loses the connection, and it is tried again after a back-off, doubling.
 * Bounds: MAX_ELECTRUM_IN_FLIGHT, MAX_ELECTRUM_WAITING, MAX_ELECTRUM_LINE_BYTES; each question ends after the patience given. Answers to nobody's question
 * are counted and dropped.
 */
import { OperationalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import type { Clock } from '../base/time.ts';
import type { ChainBackendStatus } from './block_source.ts';
import { encodeQuestion, isBusy, parseElectrumLine } from './electrum_wire.ts';
import type { LineDial, LineSocket, LineTarget } from './line_socket.ts';
import { Turns } from './turns.ts';

/** Questions that the server has not answered. Public servers charge for each; a round trip of 100 ms gives 160 a second. */
export const MAX_ELECTRUM_IN_FLIGHT = 16;
/** Questions that wait: MAX_ELECTRUM_LOOKUPS (32) of at most 3 at once, the block follower's, and room. At some 300 bytes: 40 kB. */
export const MAX_ELECTRUM_WAITING = 128;
/** A transaction of 4 MB is 8 MB of hex; a history of 125,000 entries (Fulcrum's own limit) of 110 bytes is 14 MB. */
export const MAX_ELECTRUM_LINE_BYTES = 16 * 1024 * 1024;

const DIAL_MS = 10_000;
/** ElectrumX ends sessions that are silent for ten minutes. */
const PING_MS = 60_000;
const MAX_BACK_OFF_MS = 60_000;
/** A connection that lived this long starts the back-off anew. */
const STEADY_MS = 30_000;

export interface ElectrumPatience {
  /** Milliseconds from the sending of a question to its answer. */
  readonly timeoutMs: number;
  /** Milliseconds before the first further try; each later one doubles. */
  readonly firstRetryMs: number;
}

export const ELECTRUM_PATIENCE: ElectrumPatience = { timeoutMs: 20_000, firstRetryMs: 250 };

export type ElectrumAnswer =
  | { readonly kind: 'result'; readonly result: unknown }
  /** The server understood and says no. */
  | { readonly kind: 'refused'; readonly code: number; readonly message: string }
  /** No answer; the reason is a sentence for people. */
  | { readonly kind: 'unavailable'; readonly reason: string };

export type Ask = (method: string, params: readonly unknown[]) => Promise<ElectrumAnswer>;

export interface ElectrumSessionOptions {
  readonly target: LineTarget;
  readonly dial: LineDial;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly patience: ElectrumPatience;
  /** Speaks first on a new connection; answers with why the server will not do, or undefined. */
  readonly greet: (ask: Ask) => Promise<string | undefined>;
  readonly notified: (method: string, params: readonly unknown[]) => void;
}

type FailureKind = 'connection' | 'timeout' | 'busy' | 'garbage' | 'overlong' | 'unasked' | 'withdrawn';

type State = 'connecting' | 'ready' | 'away' | 'closed';

interface Asked {
  readonly settle: (answer: ElectrumAnswer) => void;
}

export class ElectrumSession {
  readonly #options: ElectrumSessionOptions;
  readonly #turns: Turns;
  /** By id; at most MAX_ELECTRUM_IN_FLIGHT and one of the greeting. */
  readonly #asked = new Map<number, Asked>();
  readonly #ending = new AbortController();
  #state: State = 'away';
  #reason = 'not connected yet';
  #socket: LineSocket | undefined;
  /** Which connection is the present one: what belongs to an older one is not heard. */
  #attempt = 0;
  #nextId = 1;
  #heardAt = 0;
  #readyAt = 0;
  #backOffMs: number;
  #busyMs: number;
  #requests = 0;
  #failures = 0;
  #dialing: Promise<void> = Promise.resolve();
  #cancelTimer: () => void = () => {};

  constructor(options: ElectrumSessionOptions) {
    this.#options = options;
    this.#backOffMs = options.patience.firstRetryMs;
    this.#busyMs = options.patience.firstRetryMs;
    this.#turns = new Turns({
      clock: options.clock,
      maxInFlight: MAX_ELECTRUM_IN_FLIGHT,
      maxWaiting: MAX_ELECTRUM_WAITING,
      maxWaitMs: options.patience.timeoutMs,
    });
    this.#turns.hold();
  }

  /** Begins to connect. */
  start(): void {
    if (this.#state === 'away') this.#connect();
  }

  status(): ChainBackendStatus {
    const state =
      this.#state === 'ready' ? 'ok' : this.#state === 'connecting' ? 'connecting' : 'unavailable';
    return { state, reason: this.#reason, requests: this.#requests, failures: this.#failures };
  }

  /** Waits until the server is greeted. Undefined, or why it cannot be asked now. */
  async ready(signal: AbortSignal): Promise<string | undefined> {
    const refusal = await this.#turns.take(signal);
    if (refusal === undefined) this.#turns.done();
    return refusal;
  }

  /** Never rejects. */
  async ask(method: string, params: readonly unknown[], signal: AbortSignal): Promise<ElectrumAnswer> {
    const refusal = await this.#turns.take(signal);
    if (refusal !== undefined) return { kind: 'unavailable', reason: refusal };
    const answer = await this.#send(method, params, signal);
    this.#turns.done();
    return answer;
  }

  /** Counts a failure that only the asker can see. */
  countFailure(): void {
    this.#failures++;
  }

  /** Ends the connection and answers everything that is open. Resolves when nothing is left. */
  async close(): Promise<void> {
    this.#state = 'closed';
    this.#reason = 'the Electrum backend is closed';
    this.#attempt++;
    this.#cancelTimer();
    this.#ending.abort();
    this.#turns.end(this.#reason);
    this.#abandon(this.#reason);
    await this.#dialing;
  }

  #connect(): void {
    const attempt = ++this.#attempt;
    this.#state = 'connecting';
    this.#turns.hold();
    const isPresent = (): boolean => attempt === this.#attempt;
    const events = {
      onLine: (line: string) => {
        if (isPresent()) this.#onLine(line);
      },
      onOverlong: () => {
        if (isPresent()) this.#onOverlong();
      },
      onClose: (why: string) => {
        if (isPresent()) this.#lost('connection', `the connection ended: ${why}`);
      },
    };
    const { dial, target } = this.#options;
    const limits = { timeoutMs: DIAL_MS, maxLineBytes: MAX_ELECTRUM_LINE_BYTES };
    this.#dialing = dial(target, limits, events, this.#ending.signal).then(
      (socket) => {
        if (isPresent()) this.#dialed(socket);
        else socket.destroy();
      },
      (error: unknown) => {
        if (isPresent()) this.#lost('connection', describe(error));
      },
    );
  }

  #dialed(socket: LineSocket): void {
    const attempt = this.#attempt;
    this.#socket = socket;
    this.#options
      .greet((method, params) => this.#send(method, params, this.#ending.signal))
      .then(
        (fault) => {
          if (attempt !== this.#attempt) return;
          if (fault !== undefined) this.#lost('connection', fault);
          else this.#becomeReady();
        },
        (error: unknown) => {
          if (attempt === this.#attempt) this.#lost('connection', describe(error));
        },
      );
  }

  #becomeReady(): void {
    this.#state = 'ready';
    this.#reason = '';
    this.#readyAt = this.#options.clock.monotonicMs();
    this.#options.log.info('connected to the Electrum server', { server: this.#where() });
    this.#turns.release();
    this.#schedulePing();
  }

  #schedulePing(): void {
    this.#cancelTimer = this.#options.clock.after(PING_MS, () => {
      const { clock } = this.#options;
      if (clock.monotonicMs() - this.#heardAt >= PING_MS) {
        // A server that does not answer in time loses the connection, as with every question.
        void this.ask('server.ping', [], this.#ending.signal);
      }
      this.#schedulePing();
    });
  }

  #where(): string {
    const { host, port, tls } = this.#options.target;
    return `${tls === undefined ? 'tcp' : 'tls'}://${host}:${port}`;
  }

  #countAs(kind: FailureKind): void {
    if (kind !== 'unasked' && kind !== 'withdrawn') this.#failures++;
    this.#options.meter.count('gossipd_electrum_failures_total', kind);
  }

  #abandon(reason: string): void {
    this.#socket?.destroy();
    this.#socket = undefined;
    for (const asked of [...this.#asked.values()]) asked.settle({ kind: 'unavailable', reason });
  }

  #lost(kind: FailureKind, why: string): void {
    const { clock, log, patience } = this.#options;
    this.#attempt++;
    this.#cancelTimer();
    this.#countAs(kind);
    if (this.#state === 'ready' && clock.monotonicMs() - this.#readyAt >= STEADY_MS) {
      this.#backOffMs = patience.firstRetryMs;
    }
    const waitMs = this.#backOffMs;
    this.#backOffMs = Math.min(waitMs * 2, MAX_BACK_OFF_MS);
    this.#state = 'away';
    this.#reason = `Electrum server ${this.#where()}: ${why}; it is tried again by itself.`;
    log.info('lost the Electrum server', { server: this.#where(), reason: why, again_in_ms: waitMs });
    this.#turns.refuse(this.#reason);
    this.#abandon(this.#reason);
    this.#cancelTimer = clock.after(waitMs, () => this.#connect());
  }

  #send(method: string, params: readonly unknown[], signal: AbortSignal): Promise<ElectrumAnswer> {
    const { clock, meter, patience } = this.#options;
    const { timeoutMs } = patience;
    const socket = this.#socket;
    if (socket === undefined || signal.aborted) {
      const reason = signal.aborted ? 'the question was withdrawn' : this.#reason;
      return Promise.resolve({ kind: 'unavailable', reason });
    }
    const id = this.#nextId++;
    const sentAt = clock.monotonicMs();
    this.#requests++;
    meter.count('gossipd_electrum_requests_total', method);
    return new Promise((resolve) => {
      const withdrawn = (): void => {
        this.#countAs('withdrawn');
        settle({ kind: 'unavailable', reason: 'the question was withdrawn' });
      };
      const settle = (answer: ElectrumAnswer): void => {
        if (!this.#asked.delete(id)) return;
        cancelTimer();
        signal.removeEventListener('abort', withdrawn);
        resolve(answer);
      };
      const cancelTimer = clock.after(timeoutMs, () => {
        const reason = `the Electrum server did not answer ${method} within ${timeoutMs / 1000} s; it is asked again by itself`;
        settle({ kind: 'unavailable', reason });
        // Nothing heard since: the connection is dead, not the question too hard.
        if (this.#heardAt < sentAt || this.#heardAt === 0) this.#lost('timeout', 'it is silent');
        else this.#countAs('timeout');
      });
      signal.addEventListener('abort', withdrawn, { once: true });
      this.#asked.set(id, { settle });
      socket.writeLine(encodeQuestion(id, method, params));
    });
  }

  #onLine(line: string): void {
    const parsed = parseElectrumLine(line);
    if (parsed.kind === 'garbage') {
      this.#lost(
        'garbage',
        'it sent something that is not JSON-RPC; check that the port is that of an Electrum server',
      );
      return;
    }
    this.#heardAt = this.#options.clock.monotonicMs();
    if (parsed.kind === 'notification') {
      this.#options.notified(parsed.method, parsed.params);
      return;
    }
    if (parsed.kind === 'other') return;
    const asked = this.#asked.get(parsed.id);
    if (asked === undefined) {
      this.#countAs('unasked');
    } else if (parsed.kind === 'result') {
      this.#busyMs = this.#options.patience.firstRetryMs;
      asked.settle({ kind: 'result', result: parsed.result });
    } else if (isBusy(parsed.code)) {
      this.#onBusy(asked);
    } else {
      asked.settle({ kind: 'refused', code: parsed.code, message: parsed.message });
    }
  }

  #onBusy(asked: Asked): void {
    this.#countAs('busy');
    this.#turns.pause(this.#busyMs);
    this.#busyMs = Math.min(this.#busyMs * 2, MAX_BACK_OFF_MS);
    const reason =
      'the Electrum server says that it is busy; it is asked again by itself, and a server of your own would not refuse';
    asked.settle({ kind: 'unavailable', reason });
  }

  /** It cannot be told whose answer it was; nobody who waits may take another's for theirs, and the connection is sound. */
  #onOverlong(): void {
    this.#countAs('overlong');
    const reason = `an answer of the Electrum server was longer than ${MAX_ELECTRUM_LINE_BYTES} bytes; it is asked again by itself`;
    for (const asked of [...this.#asked.values()]) asked.settle({ kind: 'unavailable', reason });
  }
}

const describe = (error: unknown): string => {
  if (error instanceof OperationalError) return error.message;
  return error instanceof Error ? error.message : String(error);
};
