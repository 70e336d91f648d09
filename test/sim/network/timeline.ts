/**
 * One time for a whole simulated network: every timer of every node and every message on its way is an entry of one heap. Entries of
 * the same instant fire in the order in which they were made, so that a run is a function of its seed.
 *
 * A node sees the timeline through a NodeClock: its wall clock may be off, its monotonic one starts with the node, and with the node
 * all its timers end. Bounds: none of its own; it holds what the nodes' rooms hold back, and what is on the way.
 */
import type { Clock } from '../../../src/base/time.ts';

interface Entry {
  readonly dueMs: number;
  readonly order: number;
  /** Undefined once cancelled; the entry stays in the heap until it is due. */
  fire: (() => void) | undefined;
}

const isBefore = (left: Entry, right: Entry): boolean =>
  left.dueMs < right.dueMs || (left.dueMs === right.dueMs && left.order < right.order);

export class Timeline {
  /** Milliseconds since the start of the simulation. */
  nowMs = 0;
  /** Entries fired. */
  fired = 0;
  /** Set by whoever has settled a promise: the run lets it go on before time does. */
  hasSettled = false;
  #order = 0;
  readonly #heap: Entry[] = [];

  /** Calls `fire` once after `delayMs`; answers with how to cancel it. */
  after(delayMs: number, fire: () => void): () => void {
    const entry: Entry = { dueMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, fire };
    this.#push(entry);
    return () => {
      entry.fire = undefined;
    };
  }

  /** Fires everything that is due within `ms`, also what that adds, in order. */
  async run(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    for (;;) {
      const next = this.#heap[0];
      const isOver = next === undefined || next.dueMs > endMs;
      if (this.hasSettled && (isOver || next.dueMs > this.nowMs)) {
        this.hasSettled = false;
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      if (isOver) break;
      this.#pop();
      const { fire } = next;
      if (fire === undefined) continue;
      this.nowMs = next.dueMs;
      this.fired++;
      fire();
    }
    this.nowMs = endMs;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt]!;
      if (!isBefore(entry, parent)) break;
      heap[at] = parent;
      at = parentAt;
    }
    heap[at] = entry;
  }

  /** Removes the first. */
  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let childAt = 2 * at + 1;
      if (childAt >= heap.length) break;
      if (childAt + 1 < heap.length && isBefore(heap[childAt + 1]!, heap[childAt]!)) childAt++;
      const child = heap[childAt]!;
      if (!isBefore(child, last)) break;
      heap[at] = child;
      at = childAt;
    }
    heap[at] = last;
  }
}

/** What a node takes for the time. */
export class NodeClock implements Clock {
  readonly #timeline: Timeline;
  readonly #wallStartMs: number;
  readonly #startedMs: number;
  #isStopped = false;

  /** @param wallStartMs what the node's clock on the wall said at the start of the simulation, in milliseconds since the epoch */
  constructor(timeline: Timeline, wallStartMs: number) {
    this.#timeline = timeline;
    this.#wallStartMs = wallStartMs;
    this.#startedMs = timeline.nowMs;
  }

  readonly nowMs = (): number => this.#wallStartMs + this.#timeline.nowMs;
  readonly monotonicMs = (): number => this.#timeline.nowMs - this.#startedMs;
  readonly after = (delayMs: number, fire: () => void): (() => void) =>
    this.#timeline.after(delayMs, () => {
      if (!this.#isStopped) fire();
    });

  /** The node is gone: none of its timers fires any more. */
  stop(): void {
    this.#isStopped = true;
  }
}
