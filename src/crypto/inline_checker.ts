/**
 * SignatureChecker, the port through which ingest/ has the signatures of gossip messages checked, and its implementation
 * without threads: for tests and tools, and for a daemon that is told to run no workers.
 *
 * The pool of threads is in verify_pool.ts; both pass the same tests. Bounds: none of its own, it holds one outcome per job
 * until the next microtask.
 */
import { assert } from '../base/errors.ts';
import type { SignatureEngine } from './engine.ts';
import { type CheckOutcome, checkSignatures, MAX_SIGNATURES, outcomeOf } from './signature_check.ts';
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from './sizes.ts';

export interface SignatureChecker {
  /**
   * Checks a gossip message: `raw` with its two-byte type, `signatureCount` signatures from offset 2, the signed part right
   * after them; `keys` holds as many 33-byte keys at `keysAt`. Copies what it needs before it returns. `done` is called
   * once, later, never synchronously; not at all after `close`. The caller bounds how much it submits by `backlog`.
   */
  check(
    raw: Uint8Array,
    signatureCount: number,
    keys: Uint8Array,
    keysAt: number,
    done: (outcome: CheckOutcome) => void,
  ): void;
  /** Signatures submitted and not yet answered. */
  readonly backlog: number;
  /** Hands partly filled batches to the workers now; by themselves they go at the end of the turn. */
  flush(): void;
  /** Drops what is not answered. Checks submitted later are dropped too. */
  close(): Promise<void>;
}

/** BOLT 8: no message is longer. */
const MAX_MESSAGE_BYTES = 65_535;

/** What every checker demands of its caller; ingest/ has done the structural checks before. */
export const requireCheckable = (
  raw: Uint8Array,
  signatureCount: number,
  keys: Uint8Array,
  keysAt: number,
): void => {
  assert(signatureCount >= 1 && signatureCount <= MAX_SIGNATURES, 'a check takes one to four signatures');
  assert(raw.length >= 2 + signatureCount * SIGNATURE_BYTES, 'the message is too short for its signatures');
  assert(raw.length <= MAX_MESSAGE_BYTES, 'the message is too long');
  assert(keysAt >= 0 && keysAt + signatureCount * PUBLIC_KEY_BYTES <= keys.length, 'a key is missing');
};

/** Checks on the caller's thread during `check`; answers in a microtask. */
export const inlineChecker = (engine: SignatureEngine): SignatureChecker => {
  let backlog = 0;
  let closed = false;
  return {
    check: (raw, signatureCount, keys, keysAt, done) => {
      requireCheckable(raw, signatureCount, keys, keysAt);
      if (closed) return;
      const code = checkSignatures(engine, raw, 2, raw.length, signatureCount, keys, keysAt);
      backlog += signatureCount;
      // Nobody awaits it: what `done` throws is a Bug of the caller's, and ends the process as an unhandled rejection.
      void Promise.resolve().then(() => {
        backlog -= signatureCount;
        if (!closed) done(outcomeOf(code));
      });
    },
    get backlog() {
      return backlog;
    },
    flush: () => {},
    close: () => {
      closed = true;
      return Promise.resolve();
    },
  };
};
