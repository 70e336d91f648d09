/**
 * Task: what a long piece of work on a store gets from the tool that started it: a way to say how far it is, and to learn
 * that it is to stop.
 *
 * repair/ is handed one; tools/run_task makes it, with progress bar, Ctrl-C and --max-duration. Work is done in pieces of some
 * milliseconds with `breathe` between them. Work that finds `cancelled` set leaves nothing half done: it removes what it
 * has begun and answers 'cancelled'.
 */

export interface Task {
  /** Why the work is to stop, once it is. */
  readonly cancelled: () => 'interrupted' | 'max_duration' | undefined;
  /** @param done @param total in the unit of the label, bytes mostly */
  readonly progress: (label: string, done: number, total: number) => void;
  /** Lets signals, timers and output have their turn, and keeps to --io-limit. @param bytes read or written since the last call */
  readonly breathe: (bytes: number) => Promise<void>;
}

/** Work between two breaths: some milliseconds of checksums. */
export const PIECE_BYTES = 4 * 1024 * 1024;

/** For tests and for work that nobody watches. */
export const quietTask: Task = {
  cancelled: () => undefined,
  progress: () => {},
  breathe: async () => {},
};
