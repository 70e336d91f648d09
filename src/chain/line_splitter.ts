/**
 * Cuts a stream of bytes into lines. tcp_lines.ts feeds it what arrives.
 *
 * Bounds: keeps at most `maxLineBytes` of a line that has not ended, plus one chunk; a longer line is said once and skipped to its end. An
 * endless line takes no memory, and the session that waits for answers gives up by its own time-out.
 */
import { concatBytes, own } from '../base/bytes.ts';

const NEWLINE = 0x0a;
const text = new TextDecoder();

export class LineSplitter {
  readonly #maxLineBytes: number;
  readonly #onLine: (line: string) => void;
  readonly #onOverlong: () => void;
  #parts: Uint8Array[] = [];
  #held = 0;
  #skipping = false;

  constructor(maxLineBytes: number, onLine: (line: string) => void, onOverlong: () => void) {
    this.#maxLineBytes = maxLineBytes;
    this.#onLine = onLine;
    this.#onOverlong = onOverlong;
  }

  /** Bytes kept of a line that has not ended. */
  get heldBytes(): number {
    return this.#held;
  }

  /** Borrows the chunk. Lines that end in it are handed on before it returns. */
  push(chunk: Uint8Array): void {
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, from);
      if (end === -1) break;
      this.#add(chunk.subarray(from, end));
      this.#finish();
      from = end + 1;
    }
    if (from < chunk.length) this.#add(chunk.subarray(from));
  }

  #add(part: Uint8Array): void {
    if (this.#skipping) return;
    if (this.#held + part.length <= this.#maxLineBytes) {
      this.#parts.push(own(part));
      this.#held += part.length;
      return;
    }
    this.#skipping = true;
    this.#forget();
    this.#onOverlong();
  }

  #finish(): void {
    const line = this.#skipping ? undefined : text.decode(concatBytes(...this.#parts));
    this.#skipping = false;
    this.#forget();
    if (line !== undefined) this.#onLine(line);
  }

  #forget(): void {
    this.#parts = [];
    this.#held = 0;
  }
}
