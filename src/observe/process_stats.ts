/**
 * What the process costs: memory, processor time, and how late the event loop is. status, metrics and benchmarks read it.
 *
 * Lateness: a timer is set every LAG_INTERVAL_MS; what it fires too late, something else has kept the loop. Constant memory.
 */
import type { Meter } from '../base/meter.ts';
import type { Clock } from '../base/time.ts';

export interface ProcessStats {
  /** Resident memory of the process, workers included. */
  readonly rss_bytes: number;
  /** Objects of this thread. */
  readonly heap_bytes: number;
  /** Typed arrays of this thread. */
  readonly array_buffer_bytes: number;
  /** User and system time of all threads since the start. */
  readonly cpu_seconds: number;
  readonly uptime_seconds: number;
}

export const processStats = (): ProcessStats => {
  const memory = process.memoryUsage();
  const cpu = process.cpuUsage();
  return {
    rss_bytes: memory.rss,
    heap_bytes: memory.heapUsed,
    array_buffer_bytes: memory.arrayBuffers,
    cpu_seconds: (cpu.user + cpu.system) / 1_000_000,
    uptime_seconds: process.uptime(),
  };
};

/** Sets the gauges of the process. */
export const meterProcess = (meter: Meter, stats: ProcessStats = processStats()): void => {
  meter.gauge('gossipd_process_resident_bytes', stats.rss_bytes);
  meter.gauge('gossipd_process_heap_bytes', stats.heap_bytes);
  meter.gauge('gossipd_process_array_buffer_bytes', stats.array_buffer_bytes);
  meter.gauge('gossipd_process_cpu_seconds', stats.cpu_seconds);
};

export const LAG_INTERVAL_MS = 500;

/** Measures from construction until close. */
export class LoopLagSampler {
  readonly #clock: Clock;
  #cancel: () => void = () => {};
  #closed = false;
  #samples = 0;
  #sumMs = 0;
  #maxMs = 0;

  /** @param clock one whose timers do not keep the process alive */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#arm();
  }

  /** Mean and worst lateness since the last call, in milliseconds; zeros when nothing was measured. */
  take(): { readonly mean_ms: number; readonly max_ms: number; readonly samples: number } {
    const samples = this.#samples;
    const taken = { mean_ms: samples === 0 ? 0 : this.#sumMs / samples, max_ms: this.#maxMs, samples };
    this.#samples = 0;
    this.#sumMs = 0;
    this.#maxMs = 0;
    return taken;
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #arm(): void {
    const setAt = this.#clock.monotonicMs();
    this.#cancel = this.#clock.after(LAG_INTERVAL_MS, () => {
      if (this.#closed) return;
      const lateMs = Math.max(0, this.#clock.monotonicMs() - setAt - LAG_INTERVAL_MS);
      this.#samples++;
      this.#sumMs += lateMs;
      this.#maxMs = Math.max(this.#maxMs, lateMs);
      this.#arm();
    });
  }
}
