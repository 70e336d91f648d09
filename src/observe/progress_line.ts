/**
 * Shows how far a long task is: on a terminal one row with bar, percent, rate and time left, drawn again as it moves; elsewhere
 * a plain line every PLAIN_INTERVAL_MS. It shares its LineOutput with the log, so that neither overwrites the other.
 *
 * The rate is an exponential average over about RATE_WINDOW_MS, so that the time left follows a change of pace and does not
 * jump. Bounds: constant memory; at most one draw every DRAW_INTERVAL_MS.
 */
import type { Clock } from '../base/time.ts';
import type { LineOutput } from './line_output.ts';
import { escapeControls } from './log_text.ts';

export const DRAW_INTERVAL_MS = 100;
export const PLAIN_INTERVAL_MS = 5_000;
const RATE_WINDOW_MS = 5_000;
const MAX_BAR_CELLS = 30;

const grouped = (value: number): string => Math.floor(value).toLocaleString('en-US');

/** `48 s`, `3 min 20 s`, `2 h 5 min`. */
export const durationText = (seconds: number): string => {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.floor(whole / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
};

export interface ProgressState {
  readonly label: string;
  /** What is counted, in the plural. */
  readonly unit: string;
  readonly done: number;
  /** Undefined while nobody knows. */
  readonly total: number | undefined;
  /** Units per second; 0 while unknown. */
  readonly rate: number;
}

/** Everything but the bar, e.g. `sync: 52 %, 26,000 of 50,000 channels, 1,300/s, 19 s left`. */
export const progressText = ({ label, unit, done, total, rate }: ProgressState): string => {
  const parts: string[] = [];
  if (total !== undefined && total > 0) parts.push(`${Math.floor((Math.min(done, total) / total) * 100)} %`);
  parts.push(
    total === undefined ? `${grouped(done)} ${unit}` : `${grouped(done)} of ${grouped(total)} ${unit}`,
  );
  if (rate > 0) parts.push(`${rate < 10 ? rate.toFixed(1) : grouped(rate)}/s`);
  if (rate > 0 && total !== undefined && done < total)
    parts.push(`${durationText((total - done) / rate)} left`);
  return escapeControls(`${label}: ${parts.join(', ')}`);
};

/** The row for a terminal: bar and text, never wider than the terminal (a wrapped row cannot be cleared). */
export const progressRow = (state: ProgressState, columns: number): string => {
  const text = progressText(state);
  // One column stays free: some terminals wrap when the last one is filled.
  const room = columns - 1;
  const cells = Math.min(MAX_BAR_CELLS, room - text.length - 3);
  if (state.total === undefined || state.total === 0 || cells < 5) return text.slice(0, room);
  const full = Math.round((Math.min(state.done, state.total) / state.total) * cells);
  return `[${'#'.repeat(full)}${'-'.repeat(cells - full)}] ${text}`;
};

export interface ProgressOptions {
  readonly output: LineOutput;
  readonly clock: Clock;
  readonly label: string;
  readonly unit: string;
}

export class ProgressLine {
  readonly #options: ProgressOptions;
  #done = 0;
  #total: number | undefined;
  #rate = 0;
  /** Where the task was when the rate was last measured; what was done before the first update is not counted. */
  #rated: { readonly atMs: number; readonly done: number } | undefined;
  #shownAtMs: number | undefined;
  #ended = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
  }

  /** Tells where the task is; cheap to call often. Totals may change or become known on the way. */
  update(done: number, total?: number): void {
    if (this.#ended) return;
    this.#done = done;
    this.#total = total;
    const now = this.#options.clock.monotonicMs();
    this.#measure(now);
    const interval = this.#options.output.isTerminal ? DRAW_INTERVAL_MS : PLAIN_INTERVAL_MS;
    if (this.#shownAtMs === undefined || now - this.#shownAtMs >= interval) this.#show(now);
  }

  /** Takes the row away and leaves the last state as a line. Later updates do nothing. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    const { output } = this.#options;
    output.status(undefined);
    if (this.#shownAtMs !== undefined) output.line(progressText(this.#state()));
  }

  #state(): ProgressState {
    const { label, unit } = this.#options;
    return { label, unit, done: this.#done, total: this.#total, rate: this.#rate };
  }

  #measure(now: number): void {
    const before = this.#rated ?? { atMs: now, done: this.#done };
    this.#rated ??= before;
    const elapsedMs = now - before.atMs;
    if (elapsedMs < DRAW_INTERVAL_MS) return;
    const current = Math.max(0, ((this.#done - before.done) / elapsedMs) * 1000);
    const weight = this.#rate === 0 ? 1 : 1 - Math.exp(-elapsedMs / RATE_WINDOW_MS);
    this.#rate += (current - this.#rate) * weight;
    this.#rated = { atMs: now, done: this.#done };
  }

  #show(now: number): void {
    const { output } = this.#options;
    this.#shownAtMs = now;
    if (output.isTerminal) output.status(progressRow(this.#state(), output.columns()));
    else output.line(progressText(this.#state()));
  }
}
