/**
 * paced: a Task with its own budget of bytes per second, for a piece of work that comes again and again.
 *
 * The guard makes one for each pass over the file: the budget of a long-running process as a whole would let a pass after an
 * idle hour read as fast as the disk can. Waiting is done in short naps, so that a request to stop is heard.
 */
import type { Clock } from '../base/time.ts';
import type { Task } from './task.ts';

const NAP_MS = 200;

/** @param bytesPerSecond 0: as fast as it goes */
export const paced = (task: Task, clock: Clock, bytesPerSecond: number): Task => {
  const startedMs = clock.monotonicMs();
  let moved = 0;
  return {
    cancelled: task.cancelled,
    progress: () => {},
    breathe: async (bytes) => {
      await task.breathe(bytes);
      moved += bytes;
      if (bytesPerSecond === 0) return;
      const dueMs = startedMs + (moved / bytesPerSecond) * 1000;
      for (;;) {
        const left = dueMs - clock.monotonicMs();
        if (left <= 0 || task.cancelled() !== undefined) return;
        await new Promise<void>((resolve) => {
          clock.after(Math.min(left, NAP_MS), resolve);
        });
      }
    },
  };
};
