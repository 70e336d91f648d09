/**
 * The main thread's side of one verification worker: fills the ring's slots, hands them over, takes the answers, and
 * starts the worker again when it dies.
 *
 * verify_pool.ts owns one lane per worker and gives it a function that starts a thread. A batch is answered by the
 * worker, or rescued: handed back job by job to be checked on the main thread. It is never answered with a guess.
 * Bounds: SLOTS batches of SLOT_JOBS jobs; a batch may end MAX_CRASHES_OF_A_BATCH workers, a lane may lose
 * MAX_CRASHES_IN_A_ROW workers without an answer between, then it retires.
 */
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import { BatchRing, jobBytes, nextSlot, SLOT_BYTES, SLOT_JOBS, SLOTS } from './batch_ring.ts';
import type { CheckOutcome } from './signature_check.ts';
import { FELL_BACK_TO_NOBLE, type WorkerStart } from './verify_loop.ts';

/** A batch that has ended two workers is suspected of it, and is not given to a third. */
export const MAX_CRASHES_OF_A_BATCH = 2;
/** A worker with this many batches before it has work enough; what comes meanwhile makes the next batch larger. */
const BATCHES_AHEAD = 2;
/** Workers that die one after another without answering anything are not started for ever. */
export const MAX_CRASHES_IN_A_ROW = 3;

export type Done = (outcome: CheckOutcome) => void;

/** A job in memory of its own; bytes 0 and 1 of `raw` need not be the message's type. */
export interface OwnedJob {
  readonly raw: Uint8Array;
  readonly signatureCount: number;
  readonly keys: Uint8Array;
  readonly done: Done;
}

/** Why jobs come back unanswered: their batch is suspected, or no worker is left on the lane. */
export type RescueReason = 'suspected_batch' | 'lane_retired';

/** A running thread. */
export interface VerifyThread {
  /** Whether the process must stay alive for it. */
  keepAlive(needed: boolean): void;
  /** Resolves when the thread is gone; it calls nothing any more. */
  stop(): Promise<void>;
}

/** `onTold` gets slot numbers and FELL_BACK_TO_NOBLE; `onGone` is called once, later, when the thread ends by itself. */
export type StartThread = (
  start: WorkerStart,
  onTold: (message: number) => void,
  onGone: (reason: string) => void,
) => VerifyThread;

export interface LaneOptions {
  readonly startThread: StartThread;
  readonly engine: 'fastest' | 'noble';
  readonly log: Log;
  readonly meter: Meter;
  /** A batch is answered and its slot is free again. `codes` is reused: valid during the call. */
  readonly onAnswered: (dones: readonly Done[], codes: Uint8Array, signatures: number) => void;
  readonly onRescued: (jobs: readonly OwnedJob[], reason: RescueReason) => void;
  readonly onFellBack: () => void;
}

interface Slot {
  readonly index: number;
  dones: Done[];
  usedBytes: number;
  signatures: number;
  handedOver: boolean;
  crashes: number;
}

export class WorkerLane {
  readonly #options: LaneOptions;
  readonly #shared = BatchRing.allocate();
  readonly #ring = new BatchRing(this.#shared);
  readonly #slots: readonly Slot[];
  readonly #codes = new Uint8Array(SLOT_JOBS);
  /** The slot that takes the next job. */
  #filling: Slot;
  /** The slot whose answer comes next. */
  #oldest: Slot;
  #thread: VerifyThread | undefined;
  #outstanding = 0;
  /** Batches at the worker. */
  #handedOver = 0;
  #crashesInARow = 0;
  #restarts = 0;
  #stopped = false;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: SLOTS }, (_, index) => ({
      index,
      dones: [],
      usedBytes: 0,
      signatures: 0,
      handedOver: false,
      crashes: 0,
    }));
    this.#filling = this.#slot(0);
    this.#oldest = this.#filling;
    this.#start();
  }

  /** Signatures taken and not answered. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** True once its workers have died too often; it takes nothing more. */
  get retired(): boolean {
    return this.#thread === undefined;
  }

  hasRoom(messageBytes: number, signatureCount: number): boolean {
    if (this.retired || this.#filling.handedOver) return false;
    if (this.#filling.usedBytes + jobBytes(messageBytes, signatureCount) <= SLOT_BYTES) return true;
    return !this.#slot(nextSlot(this.#filling.index)).handedOver;
  }

  /** Copies the job into the open slot. Only when `hasRoom` said yes to its size. */
  add(raw: Uint8Array, signatureCount: number, keys: Uint8Array, keysAt: number, done: Done): void {
    const bytes = jobBytes(raw.length, signatureCount);
    if (this.#filling.usedBytes + bytes > SLOT_BYTES) this.handOver();
    const slot = this.#filling;
    this.#ring.put(slot.index, slot.dones.length, slot.usedBytes, raw, signatureCount, keys, keysAt);
    slot.dones.push(done);
    slot.usedBytes += bytes;
    slot.signatures += signatureCount;
    if (this.#outstanding === 0) this.#thread?.keepAlive(true);
    this.#outstanding += signatureCount;
    if (slot.dones.length === SLOT_JOBS) this.handOver();
  }

  /** Gives the open slot to the worker, if it holds anything. */
  handOver(): void {
    const slot = this.#filling;
    if (slot.handedOver || slot.dones.length === 0) return;
    slot.handedOver = true;
    this.#handedOver++;
    this.#ring.handOver(slot.index, slot.dones.length);
    this.#filling = this.#slot(nextSlot(slot.index));
  }

  /** As `handOver`, unless the worker still has enough to do: telling it of every few jobs costs more than they do. */
  handOverIfNeeded(): void {
    if (this.#handedOver < BATCHES_AHEAD) this.handOver();
  }

  /** Ends the thread; nothing is answered or rescued any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#thread?.stop();
  }

  #slot(index: number): Slot {
    return this.#slots[index] as Slot;
  }

  #start(): void {
    this.#thread = this.#options.startThread(
      {
        shared: this.#shared,
        engine: this.#options.engine,
        firstSlot: this.#oldest.index,
        restarts: this.#restarts,
      },
      (message) => this.#onTold(message),
      (reason) => this.#onGone(reason),
    );
    if (this.#outstanding > 0) this.#thread.keepAlive(true);
  }

  #onTold(message: number): void {
    if (this.#stopped) return;
    if (message === FELL_BACK_TO_NOBLE) this.#options.onFellBack();
    else this.#takeAnswers();
  }

  /** Answers every finished batch, oldest first. */
  #takeAnswers(): void {
    while (!this.#stopped && this.#oldest.handedOver && this.#ring.isAnswered(this.#oldest.index)) {
      const slot = this.#oldest;
      for (let job = 0; job < slot.dones.length; job++)
        this.#codes[job] = this.#ring.outcome(slot.index, job);
      this.#crashesInARow = 0;
      const { dones, signatures } = slot;
      this.#empty(slot);
      this.#options.onAnswered(dones, this.#codes, signatures);
    }
    if (!this.#stopped) this.handOverIfNeeded();
  }

  /** Makes the oldest slot free; its jobs are no longer this lane's. */
  #empty(slot: Slot): void {
    this.#outstanding -= slot.signatures;
    if (slot.handedOver) this.#handedOver--;
    slot.dones = [];
    slot.usedBytes = 0;
    slot.signatures = 0;
    slot.handedOver = false;
    slot.crashes = 0;
    this.#ring.reclaim(slot.index);
    this.#oldest = this.#slot(nextSlot(slot.index));
    if (this.#outstanding === 0) this.#thread?.keepAlive(false);
  }

  #onGone(reason: string): void {
    if (this.#stopped) return;
    // What it finished before it died counts.
    this.#takeAnswers();
    if (this.#stopped) return;
    this.#crashesInARow++;
    const suspect = this.#oldest.handedOver ? this.#oldest : undefined;
    if (suspect !== undefined) suspect.crashes++;
    const { log, meter } = this.#options;
    meter.count('gossipd_verify_worker_crashes_total');
    const retires = this.#crashesInARow >= MAX_CRASHES_IN_A_ROW;
    log.broken(
      retires ? 'verification worker given up' : 'verification worker died; its batches are done again',
      {
        reason,
        in_a_row: this.#crashesInARow,
        signatures: this.#outstanding,
      },
    );
    if (retires) {
      this.#retire();
      return;
    }
    const suspected = suspect !== undefined && suspect.crashes >= MAX_CRASHES_OF_A_BATCH;
    const rescued = suspected ? this.#withdraw(suspect) : [];
    this.#restarts++;
    this.#start();
    if (suspected) this.#options.onRescued(rescued, 'suspected_batch');
  }

  #retire(): void {
    this.#thread = undefined;
    const jobs: OwnedJob[] = [];
    while (this.#oldest.dones.length > 0) jobs.push(...this.#withdraw(this.#oldest));
    this.#options.onRescued(jobs, 'lane_retired');
  }

  /** Takes the oldest slot's jobs back into memory of their own. */
  #withdraw(slot: Slot): OwnedJob[] {
    const jobs = slot.dones.map((done, index) => ({
      ...this.#ring.copyOut(slot.index, index),
      signatureCount: this.#ring.job(slot.index, index).signatureCount,
      done,
    }));
    this.#empty(slot);
    return jobs;
  }
}
