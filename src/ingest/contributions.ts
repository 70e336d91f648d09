/**
 * What each peer's gossip was good for: bytes offered, and bytes of those messages that came to be stored. daemon/ shows the
 * share for each peer, and may prefer peers by it.
 *
 * Ingest counts an offer when it comes and its verdicts when they are given, the final ones of held messages included.
 * Bound: 4,096 origins of some 150 bytes, as for the budgets; when full the oldest is forgotten, and starts again from zero.
 */
import type { ReasonCode, Verdict } from './verdict.ts';

export const MAX_CONTRIBUTING_ORIGINS = 4096;

export interface Contribution {
  readonly offered_bytes: number;
  /** Of messages that were accepted. */
  readonly useful_bytes: number;
  readonly accepted: number;
  /** Messages that were there already, or that something newer had replaced. */
  readonly duplicates: number;
  /** Messages that broke a rule. */
  readonly broken: number;
}

const NOTHING: Contribution = Object.freeze({
  offered_bytes: 0,
  useful_bytes: 0,
  accepted: 0,
  duplicates: 0,
  broken: 0,
});

const DUPLICATE_REASONS: ReadonlySet<ReasonCode> = new Set<ReasonCode>([
  'known',
  'same_timestamp',
  'stale_timestamp',
  'already_pending',
  'content_repeat',
]);

type Counters = { -readonly [Key in keyof Contribution]: number };

export class Contributions {
  readonly #byOrigin = new Map<number, Counters>();

  get origins(): number {
    return this.#byOrigin.size;
  }

  /** A copy; zeros for an origin that has offered nothing. */
  of(origin: number): Contribution {
    const counters = this.#byOrigin.get(origin);
    return counters === undefined ? NOTHING : { ...counters };
  }

  offered(origin: number, bytes: number): void {
    const counters = this.#byOrigin.get(origin) ?? this.#open(origin);
    counters.offered_bytes += bytes;
  }

  settled({ action, reason }: Verdict, origin: number, bytes: number): void {
    const counters = this.#byOrigin.get(origin);
    // It may have left before its last message was judged.
    if (counters === undefined) return;
    if (action === 'accept') {
      counters.accepted++;
      counters.useful_bytes += bytes;
    } else if (action === 'warn' || action === 'close') counters.broken++;
    else if (action === 'ignore' && DUPLICATE_REASONS.has(reason)) counters.duplicates++;
  }

  forget(origin: number): void {
    this.#byOrigin.delete(origin);
  }

  #open(origin: number): Counters {
    if (this.#byOrigin.size >= MAX_CONTRIBUTING_ORIGINS) {
      for (const oldest of this.#byOrigin.keys()) {
        this.#byOrigin.delete(oldest);
        break;
      }
    }
    const counters = { ...NOTHING };
    this.#byOrigin.set(origin, counters);
    return counters;
  }
}
