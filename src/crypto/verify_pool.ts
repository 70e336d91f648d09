/**
 * The verification pool: the SignatureChecker that ingest/ uses in the daemon, on worker threads, batch by batch.
 *
 * A job goes to the worker with the fewest signatures outstanding, copied into that worker's shared ring; a batch goes on
 * when its slot is full, or at the end of the turn if the worker has less than two batches before it; its answers come
 * back in the order of submission within the batch (BOLT 7 demands no order between messages of different channels; who
 * needs one keeps it).
 * Bounds: about 1 MiB of ring per worker. When every slot is taken jobs wait, copied, in a FIFO queue that the caller
 * bounds: ingest/ stops peers by `backlog` long before memory matters. Idle workers do not keep the process alive.
 */
import { Worker } from 'node:worker_threads';
import { own } from '../base/bytes.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import { loadEngine, type SignatureEngine } from './engine.ts';
import { inlineChecker, requireCheckable, type SignatureChecker } from './inline_checker.ts';
import { nobleEngine } from './noble_engine.ts';
import { checkSignatures, outcomeOf } from './signature_check.ts';
import { PUBLIC_KEY_BYTES } from './sizes.ts';
import type { WorkerStart } from './verify_loop.ts';
import { type Done, type OwnedJob, type RescueReason, type VerifyThread, WorkerLane } from './worker_lane.ts';

export { inlineChecker, type SignatureChecker } from './inline_checker.ts';
export type { CheckOutcome } from './signature_check.ts';

export interface VerifyPoolOptions {
  /** Threads; 0 checks on the caller's thread. */
  readonly workers: number;
  readonly engine: 'fastest' | 'noble';
  readonly log: Log;
  readonly meter: Meter;
}

/** A checker that says which engine it runs on: `secp256k1` or `noble`. */
export type VerifyPool = SignatureChecker & { readonly engineName: string };

const NO_NATIVE_ENGINE = 'no native secp256k1 on this machine: signatures are checked about 25 times slower';

/** `workerUrl` is for tests that need threads which die. */
export const openVerifyPool = (
  options: VerifyPoolOptions,
  workerUrl = new URL('./verify_worker.js', import.meta.url),
): VerifyPool => {
  const engine = loadEngine(options.engine);
  if (options.engine === 'fastest' && engine.name === 'noble') options.log.unusual(NO_NATIVE_ENGINE);
  if (options.workers > 0) return new ThreadedChecker(options, engine, workerUrl);
  const inline = inlineChecker(engine);
  return {
    check: inline.check,
    get backlog() {
      return inline.backlog;
    },
    flush: inline.flush,
    close: inline.close,
    engineName: engine.name,
  };
};

const startThread = (
  workerUrl: URL,
  start: WorkerStart,
  onTold: (message: number) => void,
  onGone: (reason: string) => void,
): VerifyThread => {
  let worker: Worker;
  try {
    worker = new Worker(workerUrl, { workerData: start });
  } catch (error) {
    // No thread to be had from the system.
    setImmediate(onGone, String(error));
    return { keepAlive: () => {}, stop: () => Promise.resolve() };
  }
  let reason: string | undefined;
  worker.unref();
  worker.on('message', onTold);
  worker.on('error', (error) => {
    reason = error.message;
  });
  worker.on('exit', (code) => onGone(reason ?? `exit code ${code}`));
  return {
    keepAlive: (needed) => {
      if (needed) worker.ref();
      else worker.unref();
    },
    stop: async () => {
      worker.ref();
      await worker.terminate();
    },
  };
};

class ThreadedChecker implements VerifyPool {
  readonly engineName: string;
  readonly #options: VerifyPoolOptions;
  readonly #engine: SignatureEngine;
  readonly #lanes: readonly WorkerLane[];
  /** Jobs that found no room; `#queueHead` is the first that still waits. */
  #queue: OwnedJob[] = [];
  #queueHead = 0;
  /** Jobs to be checked on this thread, one per turn. */
  #rescued: { readonly job: OwnedJob; readonly engine: SignatureEngine }[] = [];
  #backlog = 0;
  #turnEnds = false;
  #fellBack: boolean;
  #closed = false;

  constructor(options: VerifyPoolOptions, engine: SignatureEngine, workerUrl: URL) {
    this.#options = options;
    this.#engine = engine;
    this.engineName = engine.name;
    this.#fellBack = engine.name === 'noble';
    this.#lanes = Array.from(
      { length: options.workers },
      () =>
        new WorkerLane({
          startThread: (start, onTold, onGone) => startThread(workerUrl, start, onTold, onGone),
          engine: options.engine,
          log: options.log,
          meter: options.meter,
          onAnswered: (dones, codes, signatures) => this.#onAnswered(dones, codes, signatures),
          onRescued: (jobs, reason) => this.#onRescued(jobs, reason),
          onFellBack: () => this.#onFellBack(),
        }),
    );
  }

  get backlog(): number {
    return this.#backlog;
  }

  check(raw: Uint8Array, signatureCount: number, keys: Uint8Array, keysAt: number, done: Done): void {
    requireCheckable(raw, signatureCount, keys, keysAt);
    if (this.#closed) return;
    this.#backlog += signatureCount;
    if (this.#queueHead === this.#queue.length && this.#give(raw, signatureCount, keys, keysAt, done)) return;
    const keysEnd = keysAt + signatureCount * PUBLIC_KEY_BYTES;
    const job = { raw: own(raw), signatureCount, keys: own(keys.subarray(keysAt, keysEnd)), done };
    if (this.#lanes.every((lane) => lane.retired)) this.#rescue([job], this.#engine);
    else this.#queue.push(job);
  }

  flush(): void {
    for (const lane of this.#lanes) lane.handOver();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#queue = [];
    this.#queueHead = 0;
    this.#rescued = [];
    this.#backlog = 0;
    await Promise.all(this.#lanes.map((lane) => lane.stop()));
  }

  /** False when no lane has room. */
  #give(raw: Uint8Array, signatureCount: number, keys: Uint8Array, keysAt: number, done: Done): boolean {
    let best: WorkerLane | undefined;
    for (const lane of this.#lanes) {
      if (!lane.hasRoom(raw.length, signatureCount)) continue;
      if (best === undefined || lane.outstanding < best.outstanding) best = lane;
    }
    if (best === undefined) return false;
    best.add(raw, signatureCount, keys, keysAt, done);
    this.#handOverAtTurnEnd();
    return true;
  }

  #handOverAtTurnEnd(): void {
    if (this.#turnEnds) return;
    this.#turnEnds = true;
    setImmediate(() => {
      this.#turnEnds = false;
      if (this.#closed) return;
      for (const lane of this.#lanes) lane.handOverIfNeeded();
    });
  }

  #refill(): void {
    while (this.#queueHead < this.#queue.length) {
      const job = this.#queue[this.#queueHead] as OwnedJob;
      if (!this.#give(job.raw, job.signatureCount, job.keys, 0, job.done)) break;
      this.#queueHead++;
    }
    // Drop the used front once it outweighs the rest, so that shifting stays linear overall.
    if (this.#queueHead * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#queueHead);
      this.#queueHead = 0;
    }
  }

  #onAnswered(dones: readonly Done[], codes: Uint8Array, signatures: number): void {
    const { meter } = this.#options;
    this.#backlog -= signatures;
    meter.count('gossipd_verify_batches_total');
    meter.count('gossipd_verify_signatures_total', undefined, signatures);
    meter.gauge('gossipd_verify_backlog_signatures', this.#backlog);
    this.#refill();
    let failure: { readonly error: unknown } | undefined;
    for (let index = 0; index < dones.length; index++) {
      // A caller may close the pool in its `done`.
      if (this.#closed) return;
      try {
        dones[index]?.(outcomeOf(codes[index] as number));
      } catch (error) {
        failure ??= { error };
      }
    }
    // A Bug of the caller's is thrown on a turn of its own: the other jobs are answered, the lane's state stays whole.
    if (failure === undefined) return;
    const { error } = failure;
    setImmediate(() => {
      throw error;
    });
  }

  #onRescued(jobs: readonly OwnedJob[], reason: RescueReason): void {
    const { log } = this.#options;
    switch (reason) {
      case 'suspected_batch':
        log.broken('a batch ended two verification workers; it is checked on the main thread', {
          jobs: jobs.length,
        });
        // By the other engine, in case the first one is what fails.
        this.#rescue(jobs, nobleEngine);
        break;
      case 'lane_retired':
        this.#rescue(jobs, this.#engine);
        break;
    }
    if (!this.#lanes.every((lane) => lane.retired)) return;
    this.#rescue(this.#queue.slice(this.#queueHead), this.#engine);
    this.#queue = [];
    this.#queueHead = 0;
  }

  #rescue(jobs: readonly OwnedJob[], engine: SignatureEngine): void {
    const idle = this.#rescued.length === 0;
    for (const job of jobs) this.#rescued.push({ job, engine });
    this.#options.meter.count('gossipd_verify_rescued_jobs_total', undefined, jobs.length);
    if (idle && this.#rescued.length > 0) setImmediate(() => this.#checkRescued());
  }

  /** One job per turn: four signatures by noble take about 6 ms, so the daemon stays responsive. */
  #checkRescued(): void {
    const next = this.#rescued.shift();
    if (next === undefined) return;
    if (this.#rescued.length > 0) setImmediate(() => this.#checkRescued());
    const { raw, signatureCount, keys, done } = next.job;
    const code = checkSignatures(next.engine, raw, 2, raw.length, signatureCount, keys, 0);
    this.#backlog -= signatureCount;
    done(outcomeOf(code));
  }

  #onFellBack(): void {
    if (this.#fellBack) return;
    this.#fellBack = true;
    this.#options.log.unusual(NO_NATIVE_ENGINE);
  }
}
