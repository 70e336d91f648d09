/** What the process costs: memory and processor time. The status answer reads it. */

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
