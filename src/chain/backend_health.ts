/**
 * How one chain backend is: the source of its status, its counters and its log lines. The backend reports each request and how
 * it ended; a line is written only when the state changes, so that a service that is away for hours costs two lines.
 *
 * Counters: `gossipd_chain_requests_total{backend}`, `gossipd_chain_failures_total{code}`.
 */
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import type { ChainBackendStatus } from './block_source.ts';
import { type ChainFault, faultOfAll, isFault, isOfTheQuestion } from './chain_fault.ts';

export class BackendHealth {
  readonly #name: string;
  readonly #log: Log;
  readonly #meter: Meter;
  #state: ChainBackendStatus['state'] = 'connecting';
  #reason = 'not asked yet';
  #requests = 0;
  #failures = 0;

  constructor(name: string, log: Log, meter: Meter) {
    this.#name = name;
    this.#log = log.part(name);
    this.#meter = meter;
  }

  /** A request goes out; each try counts. */
  asked(): void {
    this.#requests++;
    this.#meter.count('gossipd_chain_requests_total', this.#name);
  }

  /** The service gave a usable answer. */
  answered(): void {
    if (this.#state === 'unavailable') this.#log.debug('the chain backend answers again');
    this.#state = 'ok';
    this.#reason = '';
  }

  /** One thing of many that were asked has no answer: counted, and nothing said of the service. */
  noted({ fault }: ChainFault): void {
    if (fault === 'aborted' || fault === 'closed') return;
    this.#failures++;
    this.#meter.count('gossipd_chain_failures_total', fault);
  }

  /** Counts every fault but our own withdrawals; only faults of the service change its state. */
  failed(failure: ChainFault): void {
    this.noted(failure);
    const { fault, reason } = failure;
    if (isOfTheQuestion(fault)) return;
    if (this.#state !== 'unavailable' || this.#reason !== reason) {
      // The block follower tells people, once, and what it means.
      this.#log.debug(`no answer from the chain backend: ${reason}`, { code: fault });
    }
    this.#state = 'unavailable';
    this.#reason = reason;
  }

  /**
   * Answers to several things asked at once: one fault for the whole when all of them blame the service, else the answers, their
   * faults counted.
   */
  weigh<T>(answers: readonly (T | ChainFault)[]): readonly (T | ChainFault)[] | ChainFault {
    const whole = faultOfAll(answers);
    if (whole !== undefined) return whole;
    for (const answer of answers) if (isFault(answer)) this.noted(answer);
    return answers;
  }

  status(): ChainBackendStatus {
    return {
      state: this.#state,
      reason: this.#reason,
      requests: this.#requests,
      failures: this.#failures,
    };
  }
}
