/**
 * The Clock of the running machine: system time, monotonic time, and timers of any length. daemon/, tools/ and simnet/ hand it
 * to everything that waits; tests use ManualClock instead.
 */
import type { Clock } from '../base/time.ts';

/** setTimeout takes a signed 32-bit count of milliseconds (24.8 days) and fires at once above it. */
export const MAX_TIMER_MS = 2_147_483_647;

export interface SystemClockOptions {
  /** True when pending timers must not keep the process alive. */
  readonly unrefTimers?: boolean;
}

/** Longer delays than a timer can hold are waited for in steps. */
export const systemClock = ({ unrefTimers = false }: SystemClockOptions = {}): Clock => ({
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, fire) => {
    let left = Math.max(0, delayMs);
    let timer: NodeJS.Timeout;
    const wait = (): void => {
      const step = Math.min(left, MAX_TIMER_MS);
      left -= step;
      timer = setTimeout(() => (left > 0 ? wait() : fire()), step);
      if (unrefTimers) timer.unref();
    };
    wait();
    return () => clearTimeout(timer);
  },
});
