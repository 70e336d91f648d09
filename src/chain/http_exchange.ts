/**
 * Requests of one chain backend to its service: at most so many at once, each with a time limit, tried again with growing pauses
 * inside a small budget when the fault is one that passes; every outcome is a value, and the backend's health hears of it.
 *
 * Bounds: `maxInFlight` requests; who asks is bounded by the backend. close() withdraws everything.
 */
import { OperationalError } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import { onAbort } from './abort_fan.ts';
import type { BackendHealth } from './backend_health.ts';
import { ABORTED, type ChainFault, type ChainFaultCode, CLOSED, isFault, isPassing } from './chain_fault.ts';
import type { Http, HttpReply, HttpRequest } from './http_port.ts';

export interface Patience {
  /** Milliseconds for one request. */
  readonly timeoutMs: number;
  /** Pause before the second try; each further one is four times as long. */
  readonly firstRetryMs: number;
  /** Tries in all, at least 1. */
  readonly tries: number;
}

/**
 * ingest/ gives a question 30 seconds. Pauses of 0.25 and 1 second bridge a busy moment or a restart of the listener; whatever
 * takes longer is `unavailable`, which ingest/ asks again for minutes.
 */
export const CHAIN_PATIENCE: Patience = { timeoutMs: 20_000, firstRetryMs: 250, tries: 3 };

const LONGEST_PAUSE_MS = 5000;

export interface HttpExchangeOptions {
  readonly http: Http;
  readonly clock: Clock;
  readonly health: BackendHealth;
  /** How sentences name the service: `bitcoind at 127.0.0.1:8332`. */
  readonly service: string;
  readonly patience: Patience;
  readonly maxInFlight: number;
}

const CODES: Readonly<Record<string, ChainFaultCode>> = {
  http_refused: 'refused',
  http_timeout: 'timeout',
  http_aborted: 'aborted',
  http_too_long: 'too_long',
  http_broken: 'broken',
};

const decoder = new TextDecoder();

/** Parsed JSON of a body; undefined when it is none. */
export const readJson = (body: Uint8Array): unknown => {
  try {
    const value: unknown = JSON.parse(decoder.decode(body));
    return value;
  } catch {
    return undefined;
  }
};

/** Text of a service for one of our sentences: one line, no control characters, not long. */
export const quoted = (text: string): string => {
  const line = text.replace(/[^\x20-\x7e]+/g, ' ').trim();
  return line.length > 120 ? `${line.slice(0, 117)}...` : line;
};

/** What a body says in its first line. */
export const quotedBody = (body: Uint8Array): string => quoted(decoder.decode(body.subarray(0, 400)));

/** `host:port` of a URL without user and password; the text itself when it is no URL. */
export const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : url);

/** Resolves after `ms`, or at once when the signal fires. */
const pause = (clock: Clock, ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      cancel();
      stay();
      resolve();
    };
    const cancel = clock.after(ms, done);
    const stay = onAbort(signal, done);
  });

export class HttpExchange {
  readonly #options: HttpExchangeOptions;
  readonly #closed = new AbortController();
  readonly #waiting: (() => void)[] = [];
  #inFlight = 0;

  constructor(options: HttpExchangeOptions) {
    this.#options = options;
  }

  get isClosed(): boolean {
    return this.#closed.signal.aborted;
  }

  close(): void {
    this.#closed.abort();
    for (const go of this.#waiting.splice(0)) go();
  }

  /**
   * Runs `attempt` until it gives an answer or a fault that does not pass, at most `tries` times, and tells health how it ended.
   * The signal that `attempt` gets also fires on close(). Never rejects unless `attempt` does.
   */
  async ask<T>(
    attempt: (signal: AbortSignal) => Promise<T | ChainFault>,
    signal: AbortSignal,
  ): Promise<T | ChainFault> {
    const { clock, patience, health } = this.#options;
    const either = new AbortController();
    const stays = [signal, this.#closed.signal].map((each) => onAbort(each, () => either.abort()));
    try {
      let waitMs = patience.firstRetryMs;
      for (let tries = 1; ; tries++) {
        const answer = either.signal.aborted ? ABORTED : await attempt(either.signal);
        if (!isFault(answer)) {
          health.answered();
          return answer;
        }
        if (either.signal.aborted) return this.isClosed ? CLOSED : ABORTED;
        if (tries >= patience.tries || !isPassing(answer.fault)) {
          health.failed(answer);
          return answer;
        }
        await pause(
          clock,
          Math.min(Math.max(waitMs, answer.retryAfterMs ?? 0), LONGEST_PAUSE_MS),
          either.signal,
        );
        waitMs *= 4;
      }
    } finally {
      for (const stay of stays) stay();
    }
  }

  /** One request, when there is room. Statuses that mean the same everywhere become faults; the others are the caller's. */
  async send(request: Omit<HttpRequest, 'timeoutMs'>, signal: AbortSignal): Promise<HttpReply | ChainFault> {
    const { http, patience, maxInFlight, health } = this.#options;
    while (this.#inFlight >= maxInFlight && !signal.aborted) {
      await this.#room(signal);
    }
    if (signal.aborted) {
      // Perhaps the room was ours: the next one looks.
      this.#waiting.shift()?.();
      return ABORTED;
    }
    this.#inFlight++;
    health.asked();
    try {
      return this.#judge(await http({ ...request, timeoutMs: patience.timeoutMs }, signal));
    } catch (error) {
      return this.#faultOf(error);
    } finally {
      this.#inFlight--;
      this.#waiting.shift()?.();
    }
  }

  /** Resolves when there may be room, or when the signal fires. */
  #room(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const go = (): void => {
        stay();
        resolve();
      };
      const leave = (): void => {
        const at = this.#waiting.indexOf(go);
        if (at >= 0) this.#waiting.splice(at, 1);
        resolve();
      };
      this.#waiting.push(go);
      const stay = onAbort(signal, leave);
    });
  }

  #judge(reply: HttpReply): HttpReply | ChainFault {
    const { service } = this.#options;
    const retry = reply.retryAfterMs === undefined ? {} : { retryAfterMs: reply.retryAfterMs };
    if (reply.status === 403) {
      const reason = `${service} forbids us to ask (403): allow this machine's address, e.g. with rpcallowip`;
      return { fault: 'forbidden', reason };
    }
    if (reply.status === 429 || reply.status === 503) {
      const says = quotedBody(reply.body);
      const reason = `${service} is overloaded (${reply.status}${says === '' ? '' : `: ${says}`}): it is asked again by itself`;
      return { fault: 'overloaded', reason, ...retry };
    }
    return reply;
  }

  #faultOf(error: unknown): ChainFault {
    const { service } = this.#options;
    const fault = (error instanceof OperationalError ? CODES[error.code] : undefined) ?? 'broken';
    const says = quoted(error instanceof Error ? error.message : String(error));
    switch (fault) {
      case 'refused':
        return {
          fault,
          reason: `nobody answers for ${service} (${says}): start it, or check the address in utxo`,
        };
      case 'timeout':
        return {
          fault,
          reason: `${service} gives ${says}: check that it is not stuck; it is asked again by itself`,
        };
      case 'too_long':
        return {
          fault,
          reason: `${service} answers with too much (${says}): check that the address in utxo is its own`,
        };
      case 'aborted':
        return ABORTED;
      default:
        return {
          fault: 'broken',
          reason: `the connection to ${service} broke (${says}): it is asked again by itself`,
        };
    }
  }
}
