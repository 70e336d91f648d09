/**
 * Where log lines and the progress line meet: one owner of standard error, so that neither overwrites the other.
 *
 * On a terminal the status text stays on the last row: a log line clears it, prints, and draws it again. Elsewhere there is
 * no status, only lines. Writes are synchronous, so that the last words before an exit are read.
 * Bounds: one status text; a write that the system does not take within MAX_WAIT_MS is dropped and counted.
 */
import { writeSync } from 'node:fs';
import type { WriteStream } from 'node:tty';

export interface LineOutput {
  readonly isTerminal: boolean;
  /** Columns of the terminal; 80 elsewhere. */
  readonly columns: () => number;
  /** Prints text as a line of its own. The text holds no line end and nothing that moves the cursor. */
  readonly line: (text: string) => void;
  /** Shows text below the lines until the next call; undefined takes it away. Does nothing when not on a terminal. */
  readonly status: (text: string | undefined) => void;
}

export interface LineOutputOptions {
  readonly isTerminal: boolean;
  readonly columns: () => number;
  readonly write: (text: string) => void;
}

/** Back to the start of the row, and clear it. */
const CLEAR_ROW = '\r\u001b[2K';

export const openLineOutput = ({ isTerminal, columns, write }: LineOutputOptions): LineOutput => {
  let shown: string | undefined;
  return {
    isTerminal,
    columns,
    line: (text) => write(shown === undefined ? `${text}\n` : `${CLEAR_ROW}${text}\n${shown}`),
    status: (text) => {
      if (!isTerminal || text === shown) return;
      if (text !== undefined) write(`${CLEAR_ROW}${text}`);
      else write(CLEAR_ROW);
      shown = text;
    },
  };
};

/** A pipe whose reader is slow answers EAGAIN; one second is longer than a live reader takes. */
const MAX_WAIT_MS = 1000;
const WAIT_STEP_MS = 5;

const codeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;

/**
 * Writes everything to a descriptor before it returns, waiting when the reader is slow.
 * Returns false when the rest was dropped: the reader is gone, the disk is full, or MAX_WAIT_MS went by.
 */
export const writeAllSync = (descriptor: number, text: string): boolean => {
  const bytes = new TextEncoder().encode(text);
  let waitedMs = 0;
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(descriptor, bytes, at);
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN' || waitedMs >= MAX_WAIT_MS) return false;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAIT_STEP_MS);
      waitedMs += WAIT_STEP_MS;
    }
  }
  return true;
};

/** Standard error of this process. */
export const standardError = (): LineOutput => {
  const stream: Partial<WriteStream> = process.stderr;
  return openLineOutput({
    isTerminal: stream.isTTY === true && process.env['TERM'] !== 'dumb',
    columns: () => stream.columns ?? 80,
    write: (text) => {
      writeAllSync(2, text);
    },
  });
};
