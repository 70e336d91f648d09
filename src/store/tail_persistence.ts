/**
 * TailPersistence: when a tail's state is written: operations at once, synced at most once a second, the whole now and then.
 *
 * tail.ts calls persist() before events leave the process. A disk that refuses is told, and everything is written anew
 * STATE_RETRY_MS later; until then the file on disk is an older state, from which nothing is lost.
 */
import { OperationalError } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import type { TailLedger } from './tail_ledger.ts';
import { type TailContext, type TailStateFile, UndoHistory } from './tail_state.ts';

const SYNC_EVERY_MS = 1_000;
const STATE_RETRY_MS = 5_000;

export class TailPersistence {
  readonly #file: TailStateFile;
  readonly #clock: Clock;
  readonly #onError: (error: OperationalError) => void;
  readonly #history = new UndoHistory();
  /** The table changed in ways that the operations do not tell. */
  #mustWrite = true;
  #syncedMs = Number.NEGATIVE_INFINITY;
  #retryAtMs = 0;

  constructor(file: TailStateFile, clock: Clock, onError: (error: OperationalError) => void) {
    this.#file = file;
    this.#clock = clock;
    this.#onError = onError;
  }

  /** True when the next persist() will sync. */
  get isDue(): boolean {
    return this.#clock.monotonicMs() - this.#syncedMs >= SYNC_EVERY_MS;
  }

  makeDue(): void {
    this.#syncedMs = Number.NEGATIVE_INFINITY;
  }

  /** Operations of an earlier run that can still be undone. */
  remember(operations: Uint8Array): void {
    this.#history.add(operations);
  }

  mustWrite(): void {
    this.#mustWrite = true;
  }

  /** What the ledger did so far survives the end of the process when this resolves. Never rejects for the disk. */
  async persist(ledger: TailLedger, context: TailContext): Promise<void> {
    const { place } = ledger;
    if (place === undefined) return;
    const now = this.#clock.monotonicMs();
    const isDue = this.isDue;
    const operations = ledger.takeOperations();
    if (operations !== undefined) this.#history.add(operations);
    if (now < this.#retryAtMs) return;
    try {
      if (this.#mustWrite || this.#file.wantsWriting) {
        await this.#file.write(ledger, place, context, this.#history);
        this.#mustWrite = false;
      } else if (operations !== undefined) this.#file.append(operations);
      if (!isDue) return;
      this.#syncedMs = now;
      await this.#file.sync();
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      this.#mustWrite = true;
      this.#retryAtMs = now + STATE_RETRY_MS;
      this.#onError(error);
    }
  }

  close(): void {
    this.#file.close();
  }
}
