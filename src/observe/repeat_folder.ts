/**
 * Folds log lines that repeat: the first of a kind is printed, the same again within FOLD_MS is counted, and the count is
 * printed when the window ends. A fault that repeats a thousand times a second makes one line every ten seconds.
 *
 * Bounds: at most MAX_KINDS kinds are remembered, MAX_KINDS x about 300 bytes = 75 kB; when full, the oldest is told and
 * forgotten. Windows all have one length, so that the map is in order of their ends. One timer waits for the oldest.
 */
import type { Clock } from '../base/time.ts';

export const FOLD_MS = 10_000;
export const MAX_KINDS = 256;

interface Kind<Line> {
  readonly endsMs: number;
  line: Line;
  repeats: number;
}

export class RepeatFolder<Line> {
  readonly #clock: Clock;
  readonly #print: (line: Line, repeats: number) => void;
  readonly #kinds = new Map<string, Kind<Line>>();
  #cancel: (() => void) | undefined;

  /** @param print gets each line to show; `repeats` counts those held back since it was last shown */
  constructor(clock: Clock, print: (line: Line, repeats: number) => void) {
    this.#clock = clock;
    this.#print = print;
  }

  /** Shows the line now, or counts it. @param body what makes two lines the same */
  offer(body: string, line: Line): void {
    const now = this.#clock.monotonicMs();
    this.#expire(now);
    const known = this.#kinds.get(body);
    if (known !== undefined) {
      known.repeats++;
      known.line = line;
      this.#arm(now);
      return;
    }
    if (this.#kinds.size >= MAX_KINDS) this.#forgetOldest();
    this.#kinds.set(body, { endsMs: now + FOLD_MS, line, repeats: 0 });
    this.#print(line, 0);
  }

  /** Shows every count that is held back, and stops waiting. */
  flush(): void {
    while (this.#kinds.size > 0) this.#forgetOldest();
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Kinds remembered now. */
  get size(): number {
    return this.#kinds.size;
  }

  #oldest(): [string, Kind<Line>] | undefined {
    return this.#kinds.entries().next().value;
  }

  #forgetOldest(): void {
    const oldest = this.#oldest();
    if (oldest === undefined) return;
    const [body, { line, repeats }] = oldest;
    this.#kinds.delete(body);
    if (repeats > 0) this.#print(line, repeats);
  }

  #expire(now: number): void {
    for (
      let oldest = this.#oldest();
      oldest !== undefined && oldest[1].endsMs <= now;
      oldest = this.#oldest()
    )
      this.#forgetOldest();
  }

  /** Waits for the end of the oldest window; only while something is held back, so that a quiet log holds no timer. */
  #arm(now: number): void {
    const oldest = this.#oldest();
    if (this.#cancel !== undefined || oldest === undefined) return;
    this.#cancel = this.#clock.after(oldest[1].endsMs - now, () => {
      this.#cancel = undefined;
      const then = this.#clock.monotonicMs();
      this.#expire(then);
      for (const kind of this.#kinds.values())
        if (kind.repeats > 0) {
          this.#arm(then);
          break;
        }
    });
  }
}
