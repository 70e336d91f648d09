/**
 * Questions to an Esplora server over HTTP: few at once, with patience when it asks for it.
 *
 * esplora.ts asks through it. `429` and `503` are obeyed with their Retry-After, else with a back-off that doubles, as are answers that never
 * come. `404` is an answer (`missing`); what it means is for the asker to say.
 * Bounds: MAX_ESPLORA_IN_FLIGHT, MAX_ESPLORA_WAITING, the longest answer given with each question, the patience given for each.
 */
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import type { Clock } from '../base/time.ts';
import type { ChainBackendStatus } from './block_source.ts';
import type { ServerFault } from './halt.ts';
import type { Http, HttpReply } from './http_port.ts';
import { Turns } from './turns.ts';

/** Requests without an answer: public servers limit each address to a few a second. */
export const MAX_ESPLORA_IN_FLIGHT = 4;
/** Requests that wait, one for each lookup and block question: what ingest/ asks at once, many times over. At some 500 bytes: 1 MB. */
export const MAX_ESPLORA_WAITING = 2048;

/** 2,048 requests at 20 a second take 102 s. */
const WAIT_MS = 120_000;
const MAX_PAUSE_MS = 5 * 60_000;

export interface EsploraPatience {
  /** Milliseconds for one request. */
  readonly timeoutMs: number;
  /** Milliseconds of the pause after the first failure; each later one doubles. */
  readonly firstRetryMs: number;
}

const ESPLORA_PATIENCE: EsploraPatience = { timeoutMs: 20_000, firstRetryMs: 250 };

export type EsploraReply =
  | { readonly kind: 'found'; readonly body: Uint8Array }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unavailable'; readonly reason: string };

export interface EsploraRequestsOptions {
  /** The API's root, as https://host/api. */
  readonly url: string;
  readonly http: Http;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly patience?: EsploraPatience;
}

type FailureKind = 'connection' | 'busy' | 'status' | 'withdrawn' | ServerFault;

const WITHDRAWN: EsploraReply = { kind: 'unavailable', reason: 'the question was withdrawn' };

/** A promise that follows another, or ends with WITHDRAWN when told. */
const withdrawable = (
  followed: Promise<EsploraReply>,
): { readonly promise: Promise<EsploraReply>; readonly withdraw: () => void } => {
  let withdraw = (): void => {};
  const promise = new Promise<EsploraReply>((resolve) => {
    withdraw = () => resolve(WITHDRAWN);
    void followed.then(resolve);
  });
  return { promise, withdraw };
};

export class EsploraRequests {
  readonly #options: EsploraRequestsOptions;
  readonly #root: string;
  readonly #turns: Turns;
  readonly #ending = new AbortController();
  #state: ChainBackendStatus['state'] = 'connecting';
  #reason = 'nothing was asked yet';
  readonly #patience: EsploraPatience;
  #pauseMs: number;
  #requests = 0;
  #failures = 0;
  /** Short questions under way that several askers share, by path; no more than there are requests. */
  readonly #shared = new Map<string, Promise<EsploraReply>>();
  /** Those under way, so that `close` leaves none. */
  readonly #open = new Set<Promise<unknown>>();

  constructor(options: EsploraRequestsOptions) {
    this.#options = options;
    this.#patience = options.patience ?? ESPLORA_PATIENCE;
    this.#pauseMs = this.#patience.firstRetryMs;
    this.#root = options.url.replace(/\/+$/, '');
    this.#turns = new Turns({
      clock: options.clock,
      maxInFlight: MAX_ESPLORA_IN_FLIGHT,
      maxWaiting: MAX_ESPLORA_WAITING,
      maxWaitMs: WAIT_MS,
    });
  }

  status(): ChainBackendStatus {
    return { state: this.#state, reason: this.#reason, requests: this.#requests, failures: this.#failures };
  }

  /** The path begins with a slash. Never rejects. */
  async get(path: string, maxBytes: number, signal: AbortSignal): Promise<EsploraReply> {
    const refusal = await this.#turns.take(signal);
    if (refusal !== undefined) return { kind: 'unavailable', reason: refusal };
    const asked = this.#ask(path, maxBytes, signal);
    this.#open.add(asked);
    const reply = await asked;
    this.#open.delete(asked);
    this.#turns.done();
    return reply;
  }

  /**
   * As `get`, but many who ask the same at one time cause one request, which goes on when one of them withdraws. Each hears of
   * an abort at once.
   */
  getShared(path: string, maxBytes: number, signal: AbortSignal): Promise<EsploraReply> {
    if (signal.aborted) return Promise.resolve(WITHDRAWN);
    let pending = this.#shared.get(path);
    if (pending === undefined) {
      pending = this.get(path, maxBytes, this.#ending.signal);
      this.#shared.set(path, pending);
      void pending.then(() => this.#shared.delete(path));
    }
    const { promise, withdraw } = withdrawable(pending);
    signal.addEventListener('abort', withdraw, { once: true });
    return promise.finally(() => signal.removeEventListener('abort', withdraw));
  }

  /** An answer was no good, in a way that only the asker can see. The reason is a sentence for people. */
  convict(fault: ServerFault, reason: string): void {
    this.#fail(fault, reason);
  }

  async close(): Promise<void> {
    const reason = 'the Esplora backend is closed';
    this.#turns.end(reason);
    this.#ending.abort();
    await Promise.all(this.#open);
    this.#state = 'unavailable';
    this.#reason = reason;
  }

  async #ask(path: string, maxBytes: number, signal: AbortSignal): Promise<EsploraReply> {
    const { http, meter } = this.#options;
    this.#requests++;
    meter.count('gossipd_esplora_requests_total');
    let reply: HttpReply;
    try {
      reply = await http(
        { method: 'GET', url: `${this.#root}${path}`, maxBytes, timeoutMs: this.#patience.timeoutMs },
        AbortSignal.any([signal, this.#ending.signal]),
      );
    } catch (error) {
      return this.#noReply(path, error, signal);
    }
    return this.#judge(path, reply);
  }

  #noReply(path: string, error: unknown, signal: AbortSignal): EsploraReply {
    if (signal.aborted || this.#ending.signal.aborted) {
      this.#options.meter.count('gossipd_esplora_failures_total', 'withdrawn');
      return WITHDRAWN;
    }
    const why = error instanceof Error ? error.message : String(error);
    this.#pause();
    return this.#fail(
      'connection',
      `the Esplora server did not answer ${path}: ${why}; it is asked again by itself`,
    );
  }

  #judge(path: string, { status, body, retryAfterMs }: HttpReply): EsploraReply {
    if (status === 200 || status === 404) {
      this.#pauseMs = this.#patience.firstRetryMs;
      this.#state = 'ok';
      this.#reason = '';
      return status === 200 ? { kind: 'found', body } : { kind: 'missing' };
    }
    if (status === 429 || status >= 500) {
      const waitMs = this.#pause(retryAfterMs);
      const seconds = Math.ceil(waitMs / 1000);
      return this.#fail(
        status === 429 || status === 503 ? 'busy' : 'status',
        `the Esplora server answered ${path} with status ${status}; it is asked again by itself in ${seconds} s`,
      );
    }
    return this.#fail(
      'status',
      `the Esplora server answered ${path} with status ${status}; check that the address is that of its API`,
    );
  }

  /** Milliseconds of the pause that begins. */
  #pause(asked?: number): number {
    const waitMs = Math.min(Math.max(asked ?? 0, this.#pauseMs), MAX_PAUSE_MS);
    this.#pauseMs = Math.min(this.#pauseMs * 2, MAX_PAUSE_MS);
    this.#turns.pause(waitMs);
    return waitMs;
  }

  #fail(kind: FailureKind, reason: string): EsploraReply {
    const { log, meter } = this.#options;
    this.#failures++;
    meter.count('gossipd_esplora_failures_total', kind);
    if (this.#state !== 'unavailable') log.info('the Esplora server gives no good answers', { kind, reason });
    this.#state = 'unavailable';
    this.#reason = reason;
    return { kind: 'unavailable', reason };
  }
}
