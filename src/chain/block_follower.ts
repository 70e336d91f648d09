/**
 * BlockFollower: makes a gapless sequence of connected and disconnected blocks of what a BlockSource says.
 *
 * daemon/ gives it the source of the chain backend and hands its calls on to ingest/ (B7-07, B7-13, B7-43). It asks for the tip every few
 * seconds, or when the source pushes; walks back to where its own row of hashes agrees with the source, telling of every block that
 * goes, and then forward, telling of every block that comes. Bytes are checked (raw_block.ts) and fetched one block ahead, so
 * that at most two blocks of MAX_BLOCK_BYTES are in memory. A source without blocks tells of heights and hashes alone.
 * A source that is merely behind, whose chain is the beginning of ours, undoes nothing: a block goes only when another stands in
 * its place. While the source is away it is asked again after 1, 2, 4, ... 60 seconds; one line says so, and one that it is back.
 * Bounds: MAX_FOLLOWED_HASHES, MAX_BLOCKS_BACK. Errors end in one place, `#failed`.
 */
import { OperationalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import type { Clock } from '../base/time.ts';
import type { BlockSource, ChainTip } from './block_source.ts';
import { inTime } from './in_time.ts';
import { type FundingSpend, readRawBlock } from './raw_block.ts';

/** Two weeks of blocks: a deeper reorganisation is treated like a first start. Some 150 bytes each: 0.3 MB. */
export const MAX_FOLLOWED_HASHES = 2016;
/**
 * How far back blocks are looked at after a pause. Whoever was away for 14 days has lost all channels for want of updates (B7-42);
 * that is 14 * 144 = 2,016 blocks, and a tenth more when miners are faster than the difficulty.
 */
export const MAX_BLOCKS_BACK = 2200;
/** Points that are worth saving: a day of blocks. Reorganisations are shorter than that by far. */
export const MAX_SAVED_POINTS = 150;

const POLL_MS = 5000;
/** With a source that pushes: in case that a push is lost. */
const SLOW_POLL_MS = 60_000;
const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 60_000;
/** A raw block by RPC is 8 MB of hex, which a small machine may take long for. */
const REQUEST_TIMEOUT_MS = 120_000;
const TELL_PROGRESS_MS = 1000;
const TELL_AGAIN_MS = 10_000;
/** Each time the source has changed its mind on the way; after that it gets a pause. */
const MAX_ATTEMPTS = 5;

export interface ChainPoint {
  readonly height: number;
  /** As people write it. */
  readonly hash: string;
}

export interface FollowedBlock extends ChainPoint {
  readonly previous: string;
  /** Undefined when the source has no blocks. The receiver's to keep, and never to write to. */
  readonly raw: Uint8Array | undefined;
  /** Inputs that spend a two-of-two; positions are in `raw`. Empty without `raw`. */
  readonly spends: readonly FundingSpend[];
}

export interface BlockFollowerOptions {
  readonly source: BlockSource;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  /** How often a source that does not push is asked, in milliseconds; 5000 unless given. */
  readonly pollMs?: number;
  /** What `points` gave before the last stop, ascending; empty at the first start. */
  readonly resumeFrom: readonly ChainPoint[];
  readonly connected: (block: FollowedBlock) => void;
  /** The block is not in the best chain any more. From the highest down. */
  readonly disconnected: (point: ChainPoint) => void;
  /** The tip is reached, and something has changed on the way. */
  readonly settled: (tip: ChainPoint) => void;
  /** The row of blocks begins anew at the tip: what was mined before was not looked at. */
  readonly missed: (tip: ChainPoint) => void;
}

export interface FollowerStatus {
  /** Of the last block that was told of. */
  readonly height: number | undefined;
  readonly hash: string;
  /** The tip was reached, and the source has answered since. */
  readonly synced: boolean;
  /** Blocks to the tip, as it was last seen. */
  readonly behind: number;
  readonly connected_blocks: number;
  readonly disconnected_blocks: number;
  /** Why the chain cannot be followed at the moment; else empty. */
  readonly trouble: string;
}

interface Fetched {
  readonly hash: string;
  readonly raw: Uint8Array | undefined;
}

/** Answers with what the promise gave or why it gave nothing, so that nothing is left unhandled while another is awaited. */
type Outcome<T> = { readonly value: T } | { readonly error: unknown };
const outcomeOf = <T>(promise: Promise<T>): Promise<Outcome<T>> =>
  promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );

export class BlockFollower {
  readonly #options: BlockFollowerOptions;
  /** Ascending, without gaps; the last is where we are. */
  readonly #chain: ChainPoint[] = [];
  #controller = new AbortController();
  #stopWatching: (() => void) | undefined;
  #wake: (() => void) | undefined;
  /** Something was pushed while nobody waited for it. */
  #isPushed = false;
  #running: Promise<void> | undefined;
  #tipHeight: number | undefined;
  #isSynced = false;
  #connectedBlocks = 0;
  #disconnectedBlocks = 0;
  #failures = 0;
  #trouble = '';
  #wasBehind = false;

  constructor(options: BlockFollowerOptions) {
    this.#options = options;
    for (const point of options.resumeFrom.slice(-MAX_FOLLOWED_HASHES)) {
      const last = this.#chain.at(-1);
      if (last !== undefined && last.height + 1 !== point.height) this.#chain.length = 0;
      this.#chain.push(point);
    }
  }

  /** The source's tip as it was last seen, which may be ahead of what was told; undefined before its first answer. */
  get tipHeight(): number | undefined {
    return this.#tipHeight;
  }

  /** What to resume from after a stop. */
  points(): ChainPoint[] {
    return this.#chain.slice(-MAX_SAVED_POINTS);
  }

  status(): FollowerStatus {
    const last = this.#chain.at(-1);
    return {
      height: last?.height,
      hash: last?.hash ?? '',
      synced: this.#isSynced && this.#trouble === '',
      behind: Math.max(0, (this.#tipHeight ?? 0) - (last?.height ?? this.#tipHeight ?? 0)),
      connected_blocks: this.#connectedBlocks,
      disconnected_blocks: this.#disconnectedBlocks,
      trouble: this.#trouble,
    };
  }

  start(): void {
    if (this.#running !== undefined) return;
    this.#controller = new AbortController();
    this.#stopWatching = this.#options.source.onTip?.(() => {
      this.#isPushed = true;
      this.#wake?.();
    });
    this.#running = this.#run(this.#controller.signal);
  }

  /** Nothing is told once this is called; resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#controller.abort();
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    this.#wake?.();
    await this.#running;
    this.#running = undefined;
  }

  /** Never rejects. */
  async #run(signal: AbortSignal): Promise<void> {
    const { source, pollMs = POLL_MS } = this.#options;
    const restMs = source.onTip === undefined ? pollMs : Math.max(pollMs, SLOW_POLL_MS);
    while (!signal.aborted) {
      let pauseMs = restMs;
      try {
        this.#isPushed = false;
        if (await this.#catchUp(signal)) this.#recovered();
        else pauseMs = POLL_MS;
      } catch (error) {
        if (!signal.aborted) pauseMs = this.#failed(error);
      }
      await this.#pause(pauseMs, signal);
    }
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || (this.#isPushed && this.#failures === 0)) return Promise.resolve();
    return new Promise((resolve) => {
      const over = (): void => {
        cancel();
        this.#wake = undefined;
        resolve();
      };
      const cancel = this.#options.clock.after(ms, over);
      this.#wake = over;
    });
  }

  /** Where every error ends. Answers with how long to wait. */
  #failed(error: unknown): number {
    const { log, meter, source } = this.#options;
    const waitMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#failures, 16));
    this.#failures++;
    meter.count('gossipd_chain_follow_failures_total');
    const message = error instanceof Error ? error.message : String(error);
    if (!(error instanceof OperationalError)) {
      log.broken('following the chain failed', { reason: message });
    } else if (this.#trouble === '') {
      log.unusual(
        `${source.name} does not tell about the chain: ${message}. New channels wait and closed ones stay until it does; asking again by itself`,
        { code: error.code },
      );
    }
    this.#trouble = message;
    return waitMs;
  }

  #recovered(): void {
    this.#failures = 0;
    if (this.#trouble === '') return;
    this.#trouble = '';
    this.#options.log.info(`${this.#options.source.name} tells about the chain again`, {
      height: this.#chain.at(-1)?.height,
    });
  }

  /** True when our tip is the source's, or the source is merely behind. */
  async #catchUp(signal: AbortSignal): Promise<boolean> {
    let hasChanged = !this.#isSynced;
    for (let attempt = 0; attempt < MAX_ATTEMPTS && !signal.aborted; attempt++) {
      const tip = await this.#ask((limit) => this.#options.source.tip(limit), signal);
      if (signal.aborted) return false;
      this.#tipHeight = tip.height;
      if (await this.#isPrefix(tip, signal)) return true;
      const before = this.#disconnectedBlocks + this.#connectedBlocks;
      await this.#walkBack(tip, signal);
      if (signal.aborted) return false;
      const base = this.#chain.at(-1);
      if (base === undefined || tip.height - base.height > MAX_BLOCKS_BACK) {
        this.#beginAt(tip);
        hasChanged = true;
      } else if (base.hash !== tip.hash) {
        await this.#walkForward(tip, signal);
      }
      hasChanged ||= this.#disconnectedBlocks + this.#connectedBlocks !== before;
      if (signal.aborted || this.#chain.at(-1)?.hash !== tip.hash) continue;
      this.#isSynced = true;
      this.#options.meter.gauge('gossipd_chain_height', tip.height);
      if (hasChanged) this.#options.settled(tip);
      return true;
    }
    return false;
  }

  /** The source's best chain is the beginning of ours: it is catching up itself, and nothing of ours is undone for that. */
  async #isPrefix(tip: ChainTip, signal: AbortSignal): Promise<boolean> {
    const last = this.#chain.at(-1);
    const first = this.#chain[0];
    if (last === undefined || first === undefined || tip.height >= last.height) {
      this.#wasBehind = false;
      return false;
    }
    let isPrefix = this.#chain[tip.height - first.height]?.hash === tip.hash;
    // Below all that we know nothing speaks against it, but another network would look like this, too.
    if (tip.height < first.height) isPrefix = true;
    if (isPrefix && !this.#wasBehind && !signal.aborted) {
      this.#options.log.info(`${this.#options.source.name} is behind what it said before; waiting for it`, {
        its_height: tip.height,
        our_height: last.height,
      });
    }
    this.#wasBehind = isPrefix;
    return isPrefix;
  }

  /** Takes blocks off until our last one is in the source's best chain. Empties the row if none is. */
  async #walkBack(tip: ChainTip, signal: AbortSignal): Promise<void> {
    const { source, log, meter } = this.#options;
    const from = this.#chain.at(-1)?.height ?? 0;
    for (;;) {
      const last = this.#chain.at(-1);
      if (last === undefined || last.hash === tip.hash) break;
      const isAbove = last.height > tip.height;
      const theirs = isAbove
        ? undefined
        : await this.#ask((limit) => source.hashAt(last.height, limit), signal);
      if (signal.aborted) return;
      if (theirs === last.hash) break;
      // The tip has moved below it in the meantime: the next attempt sees where to.
      if (theirs === undefined && !isAbove) return;
      this.#chain.pop();
      this.#disconnectedBlocks++;
      meter.count('gossipd_chain_blocks_total', 'disconnected');
      this.#options.disconnected(last);
    }
    const depth = from - (this.#chain.at(-1)?.height ?? from);
    if (depth > 0) log.info('the chain was reorganised', { blocks: depth, from_height: from });
  }

  /** What came before the tip is not looked at. */
  #beginAt(tip: ChainTip): void {
    const { log, missed } = this.#options;
    if (this.#chain.length > 0) {
      log.info('too many blocks were mined since the last stop to look at each: going on from the tip', {
        height: tip.height,
      });
    }
    const point = { height: tip.height, hash: tip.hash };
    this.#chain.splice(0, this.#chain.length, point);
    this.#isSynced = true;
    missed(point);
  }

  async #walkForward(tip: ChainTip, signal: AbortSignal): Promise<void> {
    const { clock, log, source } = this.#options;
    if (source.rawBlock === undefined) return this.#walkForwardByHash(tip, signal);
    const first = (this.#chain.at(-1)?.height ?? 0) + 1;
    const startMs = clock.monotonicMs();
    let toldMs = startMs + TELL_PROGRESS_MS - TELL_AGAIN_MS;
    let isTold = false;
    let ahead: Promise<Outcome<Fetched | undefined>> | undefined;
    const controller = new AbortController();
    const abort = (): void => controller.abort();
    signal.addEventListener('abort', abort);
    try {
      for (let height = first; height <= tip.height; height++) {
        const outcome = await (ahead ?? outcomeOf(this.#fetch(height, controller.signal)));
        if ('error' in outcome) throw outcome.error;
        if (signal.aborted || outcome.value === undefined) return;
        ahead = height < tip.height ? outcomeOf(this.#fetch(height + 1, controller.signal)) : undefined;
        if (!this.#connect(height, outcome.value)) return;
        const now = clock.monotonicMs();
        if (now - toldMs < TELL_AGAIN_MS || height === tip.height) continue;
        toldMs = now;
        isTold = true;
        log.info('looking at the blocks that were mined meanwhile', { height, left: tip.height - height });
      }
      if (isTold) log.info('all blocks up to the tip are looked at', { height: tip.height });
    } finally {
      // A block that was fetched ahead in vain is not waited for longer than it takes to end the request.
      abort();
      signal.removeEventListener('abort', abort);
      await ahead;
    }
  }

  /** Undefined above the tip. */
  async #fetch(height: number, signal: AbortSignal): Promise<Fetched | undefined> {
    const { source } = this.#options;
    const hash = await this.#ask((limit) => source.hashAt(height, limit), signal);
    if (hash === undefined || signal.aborted) return undefined;
    const raw = await this.#ask(
      (limit) => source.rawBlock?.(hash, limit) ?? Promise.resolve(undefined),
      signal,
    );
    return signal.aborted ? undefined : { hash, raw };
  }

  /** False when the block does not follow on ours: the source has changed its mind. Throws OperationalError for bad bytes. */
  #connect(height: number, { hash, raw }: Fetched): boolean {
    const last = this.#chain.at(-1);
    if (raw === undefined || last === undefined) return false;
    const block = readRawBlock(raw, hash);
    if (typeof block === 'string') {
      throw new OperationalError(
        'chain_block_invalid',
        'retry',
        `${this.#options.source.name} gave bytes for block ${height} that are not that block (${block})`,
        'If this goes on, check the disk and the version of the chain backend.',
      );
    }
    if (block.previous !== last.hash) return false;
    this.#tellConnected({ height, hash, previous: last.hash, raw, spends: block.spends });
    return true;
  }

  /** Without bytes nothing shows how blocks link: all hashes are gathered first, and count only if they end at the tip. */
  async #walkForwardByHash(tip: ChainTip, signal: AbortSignal): Promise<void> {
    const { source } = this.#options;
    const hashes: string[] = [];
    const first = (this.#chain.at(-1)?.height ?? 0) + 1;
    for (let height = first; height <= tip.height; height++) {
      const hash = await this.#ask((limit) => source.hashAt(height, limit), signal);
      if (hash === undefined || signal.aborted) return;
      hashes.push(hash);
    }
    if (hashes.at(-1) !== tip.hash) return;
    for (const [index, hash] of hashes.entries()) {
      const previous = this.#chain.at(-1)?.hash ?? '';
      this.#tellConnected({ height: first + index, hash, previous, raw: undefined, spends: [] });
    }
  }

  #tellConnected(block: FollowedBlock): void {
    this.#chain.push({ height: block.height, hash: block.hash });
    // In steps, because taking one from the front of an array moves all others.
    if (this.#chain.length >= MAX_FOLLOWED_HASHES + MAX_SAVED_POINTS) {
      this.#chain.splice(0, this.#chain.length - MAX_FOLLOWED_HASHES);
    }
    this.#connectedBlocks++;
    this.#options.meter.count('gossipd_chain_blocks_total', 'connected');
    this.#options.connected(block);
  }

  #ask<T>(question: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    const { clock, source } = this.#options;
    return inTime(question, { clock, signal, who: source.name, limitMs: REQUEST_TIMEOUT_MS });
  }
}
