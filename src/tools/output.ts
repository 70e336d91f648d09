/**
 * Standard output for tools: waits when the reader is slow, so memory stays bounded, and ends quietly when the reader leaves
 * (`gossipd dump | head`).
 */
import { once } from 'node:events';

/** Lines are handed to the system in pieces of about this size. */
const PIECE_CHARACTERS = 65_536;

export class Output {
  #gathered = '';
  #closed = false;

  constructor() {
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      this.#closed = true;
      if (error.code !== 'EPIPE') throw error;
    });
  }

  /** True once the reader has gone; what is written then is dropped. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Queues one line; true when the caller should await `drain()` before the next. */
  line(text: string): boolean {
    this.#gathered += `${text}\n`;
    return this.#gathered.length >= PIECE_CHARACTERS;
  }

  /** Resolves when everything queued has been taken. */
  async drain(): Promise<void> {
    const text = this.#gathered;
    this.#gathered = '';
    if (text === '' || this.#closed) return;
    if (process.stdout.write(text) || this.#closed) return;
    const left = new AbortController();
    const { signal } = left;
    const heard = ['drain', 'close'].map((event) => once(process.stdout, event, { signal }));
    // It fails with the stream's error, which the constructor's listener judges.
    await Promise.race(heard).catch(() => {});
    left.abort();
    await Promise.allSettled(heard);
  }
}

/** Prints text, a line end added. */
export const printText = async (text: string): Promise<void> => {
  const output = new Output();
  output.line(text);
  await output.drain();
};

/** Prints one object as indented JSON. */
export const printJson = async (value: unknown): Promise<void> => {
  const output = new Output();
  output.line(
    JSON.stringify(
      value,
      (_key, entry: unknown) => (typeof entry === 'bigint' ? entry.toString() : entry),
      2,
    ),
  );
  await output.drain();
};
