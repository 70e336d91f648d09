/**
 * What a verification worker does all its life: wait for the next slot of its ring, check each job, answer, tell.
 *
 * verify_worker.ts runs it on a thread; tests run it with engines that misbehave. It never returns.
 */
import { BatchRing, nextSlot, SLOT_BYTES } from './batch_ring.ts';
import type { SignatureEngine } from './engine.ts';
import { checkSignatures } from './signature_check.ts';
import { PUBLIC_KEY_BYTES } from './sizes.ts';

/** How long a sleep lasts at most; a worker that is told to stop while asleep notices by then at the latest. */
const MAX_SLEEP_MS = 500;

/** Sent instead of a slot number: the native engine was asked for and does not load on this thread. */
export const FELL_BACK_TO_NOBLE = -1;

/** What a worker is started with. */
export interface WorkerStart {
  readonly shared: SharedArrayBuffer;
  readonly engine: 'fastest' | 'noble';
  /** The slot to answer first. */
  readonly firstSlot: number;
  /** How many workers have had this ring before. */
  readonly restarts: number;
}

/** `tell` is called with the slot's number once per batch, after its outcomes are in shared memory. */
export const answerBatches = (
  shared: SharedArrayBuffer,
  firstSlot: number,
  engine: SignatureEngine,
  tell: (slot: number) => void,
): never => {
  const ring = new BatchRing(shared);
  const data = new Uint8Array(SLOT_BYTES);
  for (let slot = firstSlot; ; slot = nextSlot(slot)) {
    while (!ring.waitFor(slot, MAX_SLEEP_MS));
    const jobs = ring.jobCount(slot);
    if (jobs > 0) ring.copyData(slot, ring.job(slot, jobs - 1).end, data);
    for (let index = 0; index < jobs; index++) {
      const { keysAt, end, signatureCount } = ring.job(slot, index);
      const signaturesAt = keysAt + signatureCount * PUBLIC_KEY_BYTES;
      ring.answer(
        slot,
        index,
        checkSignatures(engine, data, signaturesAt, end, signatureCount, data, keysAt),
      );
    }
    ring.finish(slot);
    tell(slot);
  }
};
