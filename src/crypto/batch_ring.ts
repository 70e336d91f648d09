/**
 * The memory that the main thread and one verification worker share: a ring of slots, each with room for one batch.
 *
 * The main thread (worker_lane.ts) fills slots in ring order, the worker (verify_worker.ts) answers them in the same order.
 * A slot belongs to one side at a time: FILLING and ANSWERED are the main thread's, HANDED_OVER is the worker's; the
 * state word is written last with Atomics, so the other side sees the whole batch.
 * Bounds: SLOTS * (SLOT_BYTES + about 1.6 KiB of tables) = 4 * 257.6 KiB, just over 1 MiB per worker. The largest job, a
 * 65,535-byte message with four keys, needs 65,665 bytes, so three fit in a slot.
 */
import { PUBLIC_KEY_BYTES } from './sizes.ts';

export const SLOTS = 4;
/** An announcement with its keys is about 560 bytes, so the count is the usual limit and this one is for padded messages. */
export const SLOT_BYTES = 262_144;
/** 128 announcements are 512 signatures, about 30 ms of work for the native engine. */
export const SLOT_JOBS = 128;

/** Slot states. */
const FILLING = 0;
const HANDED_OVER = 1;
const ANSWERED = 2;

// One state word per slot, then per slot its job count and three words per job: start, end, signature count.
const WORDS_PER_JOB = 3;
const WORDS_PER_SLOT = 1 + SLOT_JOBS * WORDS_PER_JOB;
const TABLE_BYTES = (SLOTS + SLOTS * WORDS_PER_SLOT) * 4;
const OUTCOMES_AT = TABLE_BYTES;
const DATA_AT = OUTCOMES_AT + SLOTS * SLOT_JOBS;
const RING_BYTES = DATA_AT + SLOTS * SLOT_BYTES;

export const nextSlot = (slot: number): number => (slot + 1) % SLOTS;

/** Bytes that a job takes in a slot: its keys, then its message from the first signature on. */
export const jobBytes = (messageBytes: number, signatureCount: number): number =>
  signatureCount * PUBLIC_KEY_BYTES + messageBytes - 2;

/** Where a job lies in the worker's copy of a slot. Reused: valid until the next `job` call. */
export interface BatchJob {
  /** The keys start here, the first signature right after them. */
  keysAt: number;
  end: number;
  signatureCount: number;
}

/** A view of the shared memory; each thread makes its own over the same SharedArrayBuffer. */
export class BatchRing {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #job: BatchJob = { keysAt: 0, end: 0, signatureCount: 0 };

  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared, 0, TABLE_BYTES / 4);
    this.#bytes = new Uint8Array(shared);
  }

  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(RING_BYTES);
  }

  /** Main thread: copies a job into a slot that it owns. The caller has checked that there is room at `used`. */
  put(
    slot: number,
    index: number,
    used: number,
    raw: Uint8Array,
    signatureCount: number,
    keys: Uint8Array,
    keysAt: number,
  ): void {
    const keyBytes = signatureCount * PUBLIC_KEY_BYTES;
    const at = DATA_AT + slot * SLOT_BYTES + used;
    this.#bytes.set(keys.subarray(keysAt, keysAt + keyBytes), at);
    this.#bytes.set(raw.subarray(2), at + keyBytes);
    const word = this.#tableAt(slot) + 1 + index * WORDS_PER_JOB;
    this.#words[word] = used;
    this.#words[word + 1] = used + keyBytes + raw.length - 2;
    this.#words[word + 2] = signatureCount;
  }

  /** Main thread: gives the slot to the worker and wakes it. */
  handOver(slot: number, jobs: number): void {
    this.#words[this.#tableAt(slot)] = jobs;
    Atomics.store(this.#words, slot, HANDED_OVER);
    Atomics.notify(this.#words, slot);
  }

  isAnswered(slot: number): boolean {
    return Atomics.load(this.#words, slot) === ANSWERED;
  }

  /** Main thread: one outcome byte of an answered slot. */
  outcome(slot: number, index: number): number {
    return this.#bytes[OUTCOMES_AT + slot * SLOT_JOBS + index] as number;
  }

  /** Main thread: takes the slot back for filling, whether it was answered or its worker is gone. */
  reclaim(slot: number): void {
    Atomics.store(this.#words, slot, FILLING);
  }

  /** Copies a job out of a slot again, as the message (its type zeroed) and its keys. */
  copyOut(slot: number, index: number): { raw: Uint8Array; keys: Uint8Array } {
    const { keysAt, end, signatureCount } = this.job(slot, index);
    const base = DATA_AT + slot * SLOT_BYTES;
    const signaturesAt = keysAt + signatureCount * PUBLIC_KEY_BYTES;
    const raw = new Uint8Array(2 + end - signaturesAt);
    raw.set(this.#bytes.subarray(base + signaturesAt, base + end), 2);
    return { raw, keys: this.#bytes.slice(base + keysAt, base + signaturesAt) };
  }

  /** Worker: sleeps until the slot is handed over, or about `timeoutMs`; true when it is. */
  waitFor(slot: number, timeoutMs: number): boolean {
    const state = Atomics.load(this.#words, slot);
    if (state !== HANDED_OVER) Atomics.wait(this.#words, slot, state, timeoutMs);
    return Atomics.load(this.#words, slot) === HANDED_OVER;
  }

  /** Jobs in a handed-over slot. */
  jobCount(slot: number): number {
    return this.#words[this.#tableAt(slot)] as number;
  }

  /** Positions relative to the slot's data; one object, reused. */
  job(slot: number, index: number): BatchJob {
    const word = this.#tableAt(slot) + 1 + index * WORDS_PER_JOB;
    this.#job.keysAt = this.#words[word] as number;
    this.#job.end = this.#words[word + 1] as number;
    this.#job.signatureCount = this.#words[word + 2] as number;
    return this.#job;
  }

  /** Worker: copies the first `length` data bytes of the slot into memory of its own, which native code may read. */
  copyData(slot: number, length: number, into: Uint8Array): void {
    const at = DATA_AT + slot * SLOT_BYTES;
    into.set(this.#bytes.subarray(at, at + length));
  }

  /** Worker: writes one outcome byte. */
  answer(slot: number, index: number, outcome: number): void {
    this.#bytes[OUTCOMES_AT + slot * SLOT_JOBS + index] = outcome;
  }

  /** Worker: gives the slot back. */
  finish(slot: number): void {
    Atomics.store(this.#words, slot, ANSWERED);
  }

  #tableAt(slot: number): number {
    return SLOTS + slot * WORDS_PER_SLOT;
  }
}
