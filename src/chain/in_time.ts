/**
 * One question to a chain service, with an end: the block follower asks through it, so that an answer which never comes holds nothing
 * up. BlockSource's backends have limits of their own; this one does not rely on them.
 */
import { OperationalError } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';

export interface TimeLimit {
  readonly clock: Clock;
  /** Its abort ends the wait. */
  readonly signal: AbortSignal;
  /** For the message to people. */
  readonly who: string;
  readonly limitMs: number;
}

/** Rejects as the question does, and with OperationalError `chain_unavailable` when the time is over or the signal fires. */
export const inTime = async <T>(
  question: (signal: AbortSignal) => Promise<T>,
  { clock, signal, who, limitMs }: TimeLimit,
): Promise<T> => {
  const controller = new AbortController();
  let giveUp = (): void => {};
  const limit = new Promise<never>((_, reject) => {
    giveUp = (): void => {
      controller.abort();
      reject(
        new OperationalError(
          'chain_unavailable',
          'retry',
          `${who} did not answer within ${limitMs / 1000} seconds`,
          'It is asked again by itself; look at its log if this goes on.',
        ),
      );
    };
  });
  signal.addEventListener('abort', giveUp);
  const cancel = clock.after(limitMs, giveUp);
  try {
    return await Promise.race([question(controller.signal), limit]);
  } finally {
    cancel();
    signal.removeEventListener('abort', giveUp);
  }
};
