/**
 * A round over the map: asks the chain about many channels, a few each second, for the spend watch.
 *
 * Backends without blocks get one round after the other over every live channel, which is how spends are found with them (B7-43); after
 * blocks were missed one such round looks for what they held; and channels that were accepted without a chain get theirs, faster,
 * once there is one. Nothing is asked while earlier questions wait, so a backend that is away holds the round up and loses nothing.
 * Bounds: the short_channel_ids of one round, 8 bytes for each channel of the map; MAX_PER_SECOND questions.
 */
import type { Clock } from '../base/time.ts';
import type { NetworkGraph } from '../graph/network_graph.ts';

/** Electrum servers are shared, and their operators count requests; a bitcoind answers hundreds. */
export const MAX_PER_SECOND = 20;
const TICK_MS = 1000;
/** Above so many waiting questions the round waits, too. */
const ENOUGH_WAITING = 64;

export interface MapRoundOptions {
  readonly graph: NetworkGraph;
  readonly clock: Clock;
  /** Asks the chain about a channel. False: no room, try again. */
  readonly ask: (scidHi: number, scidLo: number) => boolean;
  /** Questions that wait for their answer. */
  readonly waiting: () => number;
}

export class MapRound {
  readonly #options: MapRoundOptions;
  #scids = new Uint32Array(0);
  #at = 0;
  #perSecond = 0;
  /** Questions that may be asked; less than one is kept for the next second. */
  #allowance = 0;
  #finished: () => void = () => {};
  #cancel: (() => void) | undefined;

  constructor(options: MapRoundOptions) {
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#cancel !== undefined;
  }

  get total(): number {
    return this.#scids.length / 2;
  }

  get done(): number {
    return this.#at / 2;
  }

  /**
   * Starts over the channels that are in the graph now.
   *
   * @param select channels to ask about
   * @param roundMs how long it is to take, if MAX_PER_SECOND allows; a small map gives the backend less to do
   * @param finished all were asked, and most are answered
   */
  begin(select: (channel: number) => boolean, roundMs: number, finished: () => void): void {
    const { graph } = this.#options;
    const scids: number[] = [];
    graph.forEachChannel((channel) => {
      if (select(channel)) scids.push(graph.scidHi(channel), graph.scidLo(channel));
    });
    this.#scids = Uint32Array.from(scids);
    this.#at = 0;
    this.#allowance = 0;
    this.#perSecond = Math.min(MAX_PER_SECOND, (this.total * 1000) / Math.max(1, roundMs));
    this.#finished = finished;
    this.#cancel?.();
    this.#tick();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #tick(): void {
    this.#cancel = this.#options.clock.after(TICK_MS, () => {
      this.#cancel = undefined;
      this.#askSome();
      if (this.#at < this.#scids.length || this.#options.waiting() > 0) this.#tick();
      else this.#finished();
    });
  }

  #askSome(): void {
    const { graph, ask, waiting } = this.#options;
    this.#allowance = Math.min(MAX_PER_SECOND, this.#allowance + this.#perSecond);
    while (this.#allowance >= 1 && this.#at < this.#scids.length && waiting() < ENOUGH_WAITING) {
      const [hi, lo] = [this.#scids[this.#at] as number, this.#scids[this.#at + 1] as number];
      // It may have left since the round began.
      if (graph.channelIndex(hi, lo) >= 0 && !ask(hi, lo)) return;
      this.#at += 2;
      this.#allowance--;
    }
  }
}
