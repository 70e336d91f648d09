/**
 * Joins the chain backend with ingest/: the follower's blocks are handed on, and what is worth keeping over a restart (the last
 * blocks, the closed channels) is in chain.json. Without a backend that follows a chain nothing here runs.
 *
 * start: the index of funding keys is built, then the follower begins. stop: the follower ends, then the file is written.
 */
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import type { Rng } from '../base/rng.ts';
import type { Clock } from '../base/time.ts';
import { BlockFollower, type FollowerStatus } from '../chain/block_follower.ts';
import type { BlockSource, ChainBackend } from '../chain/block_source.ts';
import type { Ingest } from '../ingest/ingest.ts';
import { loadChainMemory, saveChainMemory } from './chain_file.ts';

const SAVE_INTERVAL_MS = 600_000;

export interface ChainWatchParts {
  readonly chain: ChainBackend;
  readonly dataDir: string;
  readonly network: string;
  readonly pollMs: number;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly meter: Meter;
}

export class ChainWatch {
  readonly #parts: ChainWatchParts;
  #ingest: Ingest | undefined;
  #follower: BlockFollower | undefined;
  #cancelSave: (() => void) | undefined;
  #isStopped = false;

  constructor(parts: ChainWatchParts) {
    this.#parts = parts;
  }

  /** Height of the tip as the backend last told it, which may be ahead of what was handed on; undefined before its first answer. */
  get tipHeight(): number | undefined {
    return this.#follower?.tipHeight;
  }

  status(): FollowerStatus | undefined {
    return this.#follower?.status();
  }

  /** Called once, when the store is loaded. Resolves when blocks are being followed. */
  async start(ingest: Ingest): Promise<void> {
    const { chain, dataDir, network, rng, log } = this.#parts;
    const { blocks } = chain;
    if (blocks === undefined) return;
    this.#ingest = ingest;
    const memory = loadChainMemory(dataDir, network, log);
    ingest.closed.load(memory.closed);
    await ingest.watchChain({
      hasBlocks: blocks.rawBlock !== undefined,
      salt: Math.floor(rng.fraction() * 0x100000000),
    });
    if (this.#isStopped) return;
    this.#follower = this.#follow(blocks, ingest, memory.points);
    this.#follower.start();
    this.#armSave();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelSave?.();
    await this.#follower?.stop();
    this.#save();
  }

  #follow(
    source: BlockSource,
    ingest: Ingest,
    resumeFrom: ConstructorParameters<typeof BlockFollower>[0]['resumeFrom'],
  ): BlockFollower {
    const { clock, log, meter, pollMs } = this.#parts;
    return new BlockFollower({
      ...{ source, clock, log, meter, resumeFrom, pollMs },
      connected: (block) => ingest.blockConnected(block),
      disconnected: (point) => ingest.blockDisconnected(point),
      settled: (tip) => ingest.chainSettled(tip),
      missed: () => ingest.blocksMissed(),
    });
  }

  #armSave(): void {
    this.#cancelSave = this.#parts.clock.after(SAVE_INTERVAL_MS, () => {
      this.#save();
      this.#armSave();
    });
  }

  #save(): void {
    if (this.#follower === undefined || this.#ingest === undefined) return;
    const { dataDir, network, log } = this.#parts;
    const points = this.#ingest.settledPoints(this.#follower.points());
    const memory = { points, closed: this.#ingest.closed.toBytes() };
    saveChainMemory(dataDir, network, memory, log);
  }
}
