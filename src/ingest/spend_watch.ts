/**
 * SpendWatch: what the chain's blocks mean for the channels of the map (B7-13, B7-43).
 *
 * daemon/ hands in what the block follower tells. A block's spends of two-of-two outputs are looked up by their keys; the UtxoLookup
 * confirms each suspect, because keys may be used twice; a confirmed spend makes the channel dying from that height on. When a
 * block goes, the channels that it funded and those that it spent are in doubt: at the next tip the chain is asked about each, and
 * until the answer nothing is done to it. Backends without blocks are asked about every channel in turn (map_round.ts), and so
 * are channels that were accepted without a chain: unspent, they get their amount; else they are removed.
 * A backend that is away decides nothing: whatever cannot be answered waits.
 * Bounds: those of chain_questions.ts; MAX_DOUBTS. Whatever does not fit is made good by a round over the whole map.
 */
import { bytesEqual } from '../base/bytes.ts';
import { scidBlock, scidOutput } from '../base/short_channel_id.ts';
import type { ChainPoint, FollowedBlock } from '../chain/block_follower.ts';
import type { UtxoResult } from '../chain/utxo_lookup.ts';
import { fundingScriptPubkey } from '../crypto/funding_script.ts';
import {
  channelAnnouncementBitcoinKey1At,
  channelAnnouncementBitcoinKey2At,
} from '../wire/channel_announcement.ts';
import { type ChainQuestion, ChainQuestions } from './chain_questions.ts';
import { type Departures, DYING_BLOCKS } from './departures.ts';
import type { Desk } from './desk.ts';
import { LOOKUP_TIMEOUT_MS } from './funding_check.ts';
import { FundingIndex } from './funding_index.ts';
import { MAX_PER_SECOND, MapRound } from './map_round.ts';
import { ScidTable } from './scid_table.ts';

/** As many as there may be questions: they become questions at the next tip. 30 bytes each: 0.6 MB. */
export const MAX_DOUBTS = 20_000;
/** A map of 50,000 channels in two hours is 7 questions a second. */
export const ROUND_MS = 7_200_000;
const UNVERIFIED_AGAIN_MS = 600_000;
const TELL_PROGRESS_MS = 600_000;

export interface SpendWatchOptions {
  readonly desk: Desk;
  readonly departures: Departures;
  /** How long a round over the whole map takes, in milliseconds; ROUND_MS unless given. */
  readonly roundMs?: number;
}

export interface BeginOptions {
  /** False: the backend has no blocks, and the map is asked about in rounds. */
  readonly hasBlocks: boolean;
  /** 32 bits that nobody can guess. */
  readonly salt: number;
}

export interface SpendWatchStatus {
  /** Height up to which the map is what the chain says; null before the first tip. */
  readonly height: number | null;
  readonly indexed_channels: number;
  readonly dying_channels: number;
  readonly questions_waiting: number;
  readonly backend_away: boolean;
  readonly spends_seen: number;
  /** Accepted without a chain, and vouched for by it since. */
  readonly verified_channels: number;
  readonly verifying_done: number;
  /** Of the present round over those that are not vouched for; 0 when none is under way. */
  readonly verifying_total: number;
  readonly round_done: number;
  readonly round_total: number;
  /** Channels that are known to be closed, and those that were pruned for silence. */
  readonly closed_scids: number;
  readonly zombies: number;
}

export class SpendWatch {
  readonly #desk: Desk;
  readonly #departures: Departures;
  readonly #roundMs: number;
  readonly #questions: ChainQuestions;
  readonly #round: MapRound;
  readonly #verifying: MapRound;
  readonly #controller = new AbortController();
  /** With the height of the block that went. */
  readonly #doubts = new ScidTable<number>();
  #index: FundingIndex | undefined;
  #hasBegun = false;
  #hasBlocks = false;
  #tip: number | undefined;
  #connectedAtMs = Number.NEGATIVE_INFINITY;
  /** Something was not looked at: a round is due. */
  #isRoundDue = false;
  #cancelVerifying: (() => void) | undefined;
  #verified = 0;
  #spends = 0;
  #toldMs = 0;

  constructor({ desk, departures, roundMs = ROUND_MS }: SpendWatchOptions) {
    const { graph, clock, utxo } = desk.ports;
    this.#desk = desk;
    this.#departures = departures;
    this.#roundMs = roundMs;
    this.#questions = new ChainQuestions({
      ...{ utxo, clock },
      answered: (question, result) => this.#answered(question, result),
    });
    const round = (): MapRound =>
      new MapRound({
        ...{ graph, clock },
        ask: (scidHi, scidLo) => this.#questions.ask(scidHi, scidLo),
        waiting: () => this.#questions.size,
      });
    this.#round = round();
    this.#verifying = round();
  }

  /** Begins to watch. Call it before the first block is handed in, and wait for it: the index is complete then. */
  async begin({ hasBlocks, salt }: BeginOptions): Promise<void> {
    const { graph, store, clock, log } = this.#desk.ports;
    this.#hasBegun = true;
    this.#hasBlocks = hasBlocks;
    // Their spend may have been undone while nobody looked.
    graph.forEachChannel((channel) => {
      if (graph.isDying(channel)) this.#doubt(channel, graph.dyingDeadline(channel) - DYING_BLOCKS);
    });
    if (hasBlocks) {
      this.#index = new FundingIndex(graph, salt);
      const unread = await this.#index.build(store, clock, this.#controller.signal);
      if (unread > 0) log.debug('some announcements cannot be read: their spends are not seen', { unread });
    }
  }

  /** A channel has come into the graph, at this index. @param raw its announcement; borrowed */
  arrived(channel: number, raw: Uint8Array): void {
    this.#index?.add(channel, raw);
    // A block that came while the chain was asked about it has not looked for it.
    const { graph, clock } = this.#desk.ports;
    const sinceMs = clock.monotonicMs() - this.#connectedAtMs;
    if (this.#hasBegun && sinceMs <= LOOKUP_TIMEOUT_MS)
      this.#askScid(graph.scidHi(channel), graph.scidLo(channel), {});
  }

  left(channel: number): void {
    this.#index?.remove(channel);
  }

  /** The next block of the best chain. */
  connected({ height, raw, spends }: FollowedBlock): void {
    if (this.#desk.isClosed) return;
    this.#connectedAtMs = this.#desk.ports.clock.monotonicMs();
    const { graph } = this.#desk.ports;
    // Known before their block, after a reorganisation or a stop in the middle of one: does this block have them?
    graph.channelsInBlocks(height, 1, (channel) => this.#doubt(channel, height));
    if (raw === undefined || this.#index === undefined) return;
    for (const { key1At, key2At, vout } of spends) {
      this.#index.forEachWithKeys(raw, key1At, key2At, (channel) => {
        if (scidOutput(graph.scidLo(channel)) !== vout) return;
        // Another output with the same keys, unless its own spend has become doubtful.
        if (graph.isDying(channel) && !this.#isDoubted(graph.scidHi(channel), graph.scidLo(channel))) return;
        this.#askScid(graph.scidHi(channel), graph.scidLo(channel), { spendHeight: height });
      });
    }
  }

  /** The last block of the best chain so far has gone. */
  disconnected({ height }: ChainPoint): void {
    if (this.#desk.isClosed) return;
    const { graph } = this.#desk.ports;
    this.#desk.closed.forgetFrom(height);
    graph.channelsInBlocks(height, 1, (channel) => this.#doubt(channel, height));
    if (graph.dyingCount === 0) return;
    graph.forEachChannel((channel) => {
      const spentAt = graph.dyingDeadline(channel) - DYING_BLOCKS;
      if (graph.isDying(channel) && spentAt >= height) this.#doubt(channel, spentAt);
    });
  }

  /** All blocks up to the tip were handed in: what is due is done. */
  settled({ height }: ChainPoint): void {
    if (this.#desk.isClosed) return;
    const isFirst = this.#tip === undefined;
    this.#tip = height;
    this.#askAboutDoubts();
    this.#departures.removeDying(height, (scidHi, scidLo) => this.#isDoubted(scidHi, scidLo));
    if (isFirst) this.#verify();
    if (!this.#round.isRunning && (this.#isRoundDue || !this.#hasBlocks)) this.#beginRound();
  }

  /** Blocks were mined that nobody will look at: what they spent is found by asking about every channel. */
  missed(): void {
    this.#isRoundDue = true;
  }

  /**
   * Of the follower's points those from which a next start sees again what is not decided yet, because the backend could not tell: the
   * blocks behind them are handed in once more.
   */
  settledPoints(points: readonly ChainPoint[]): ChainPoint[] {
    let lowest = this.#questions.lowestHeight();
    this.#doubts.forEach((height) => {
      if (height > 0) lowest = Math.min(lowest, height);
    });
    return points.filter(({ height }) => height < lowest);
  }

  status(): SpendWatchStatus {
    return {
      height: this.#tip ?? null,
      indexed_channels: this.#index?.size ?? 0,
      dying_channels: this.#desk.ports.graph.dyingCount,
      questions_waiting: this.#questions.size,
      backend_away: this.#questions.isAway,
      spends_seen: this.#spends,
      verified_channels: this.#verified,
      verifying_done: this.#verifying.isRunning ? this.#verifying.done : 0,
      verifying_total: this.#verifying.isRunning ? this.#verifying.total : 0,
      round_done: this.#round.isRunning ? this.#round.done : 0,
      round_total: this.#round.isRunning ? this.#round.total : 0,
      closed_scids: this.#desk.closed.size,
      zombies: this.#desk.zombies.size,
    };
  }

  close(): void {
    this.#controller.abort();
    this.#questions.close();
    this.#round.stop();
    this.#verifying.stop();
    this.#cancelVerifying?.();
  }

  #isDoubted(scidHi: number, scidLo: number): boolean {
    return this.#doubts.has(scidHi, scidLo) || this.#questions.isDoubted(scidHi, scidLo);
  }

  #doubt(channel: number, height: number): void {
    const { graph, meter } = this.#desk.ports;
    const [scidHi, scidLo] = [graph.scidHi(channel), graph.scidLo(channel)];
    if (this.#doubts.has(scidHi, scidLo) || this.#doubts.size < MAX_DOUBTS) {
      this.#doubts.set(scidHi, scidLo, Math.max(0, height));
      return;
    }
    meter.count('gossipd_chain_questions_full_total', 'doubts');
    this.#isRoundDue = true;
  }

  #askScid(scidHi: number, scidLo: number, heights: { spendHeight?: number; doubtHeight?: number }): void {
    if (this.#questions.ask(scidHi, scidLo, heights)) return;
    this.#desk.ports.meter.count('gossipd_chain_questions_full_total', 'questions');
    this.#isRoundDue = true;
  }

  #askAboutDoubts(): void {
    const due: [number, number, number][] = [];
    this.#doubts.forEach((height, scidHi, scidLo) => {
      due.push([scidHi, scidLo, height]);
    });
    // A channel whose funding went may be back with each new block.
    const { graph } = this.#desk.ports;
    this.#departures.forEachAbsent((scidHi, scidLo) => {
      const channel = graph.channelIndex(scidHi, scidLo);
      if (channel >= 0) due.push([scidHi, scidLo, graph.dyingDeadline(channel) - DYING_BLOCKS]);
    });
    for (const [scidHi, scidLo, height] of due) {
      this.#askScid(scidHi, scidLo, { doubtHeight: height });
      this.#doubts.delete(scidHi, scidLo);
    }
  }

  #beginRound(): void {
    const { graph } = this.#desk.ports;
    this.#isRoundDue = false;
    this.#round.begin(
      (channel) => !graph.isDying(channel),
      this.#roundMs,
      () => {
        if (!this.#hasBlocks || this.#isRoundDue) this.#beginRound();
      },
    );
  }

  /** True: ask again later. */
  #answered(question: ChainQuestion, result: UtxoResult): boolean {
    const { graph } = this.#desk.ports;
    const channel = graph.channelIndex(question.scidHi, question.scidLo);
    if (channel < 0) return false;
    switch (result.found) {
      case 'unavailable':
        return true;
      case 'unspent': {
        const pays = this.#pays(channel, result.script);
        if (pays === 'yes') this.#isUnspent(channel, result.satoshis);
        if (pays === 'no') this.#isAbsent(channel, question);
        break;
      }
      case 'none':
        if (result.why === 'no_block' && this.#isKnownBlock(question.scidHi)) return true;
        if (result.why === 'spent' || result.why === undefined)
          this.#isSpent(channel, question, result.spentAtHeight);
        else this.#isAbsent(channel, question);
    }
    // Its deadline may have passed while the question was open.
    if (question.doubtHeight !== undefined && this.#tip !== undefined) {
      if (!this.#isDoubted(question.scidHi, question.scidLo))
        this.#departures.removeIfDue(question.scidHi, question.scidLo, this.#tip);
    }
    return false;
  }

  /** The backend is behind what it told before: it catches up, or reads its chain anew. */
  #isKnownBlock(scidHi: number): boolean {
    return this.#tip !== undefined && scidBlock(scidHi) <= this.#tip;
  }

  /** Whether this is the script that the channel's keys make; another transaction may stand in the place of the funding. */
  #pays(channel: number, script: Uint8Array): 'yes' | 'no' | 'unreadable' {
    const { graph, store } = this.#desk.ports;
    const raw = store.readMessage(graph.channelOffset(channel));
    if (raw === undefined) return 'unreadable';
    const expected = fundingScriptPubkey(
      raw,
      channelAnnouncementBitcoinKey1At(raw, 0),
      channelAnnouncementBitcoinKey2At(raw, 0),
    );
    return bytesEqual(expected, script) ? 'yes' : 'no';
  }

  #isUnspent(channel: number, satoshis: bigint): void {
    const { graph } = this.#desk.ports;
    if (graph.isDying(channel)) {
      this.#departures.channelUnspent(graph.scidHi(channel), graph.scidLo(channel));
    } else if (graph.channelSatoshis(channel) === 0 && this.#departures.verified(channel, satoshis)) {
      this.#verified++;
      this.#desk.ports.meter.count('gossipd_channels_verified_total');
      this.#tellProgress();
    }
  }

  #isSpent(channel: number, { spendHeight }: ChainQuestion, spentAtHeight: number | undefined): void {
    const { graph, meter } = this.#desk.ports;
    const isDying = graph.isDying(channel);
    const height = spentAtHeight ?? spendHeight ?? (isDying ? undefined : this.#tip);
    if (!isDying && graph.channelSatoshis(channel) === 0 && this.#isLongSpent(height)) {
      this.#departures.removeUnfounded(channel, true);
      return;
    }
    if (height === undefined) return;
    this.#spends++;
    meter.count('gossipd_chain_spends_total');
    this.#departures.channelSpent(graph.scidHi(channel), graph.scidLo(channel), height, true);
  }

  #isLongSpent(height: number | undefined): boolean {
    return height === undefined || this.#tip === undefined || height + DYING_BLOCKS <= this.#tip;
  }

  /** The chain has no such output, or another one in its place. */
  #isAbsent(channel: number, { doubtHeight }: ChainQuestion): void {
    const { graph } = this.#desk.ports;
    if (!graph.isDying(channel) && graph.channelSatoshis(channel) === 0) {
      this.#departures.removeUnfounded(channel, false);
      return;
    }
    const height = doubtHeight ?? this.#tip;
    if (height !== undefined) {
      this.#departures.fundingGone(graph.scidHi(channel), graph.scidLo(channel), height);
    }
  }

  /** Channels that were accepted while no chain was asked. */
  #verify(): void {
    const { graph, clock, log } = this.#desk.ports;
    const isDue = (channel: number): boolean =>
      graph.channelSatoshis(channel) === 0 && !graph.isDying(channel);
    const left = (): number => {
      let count = 0;
      graph.forEachChannel((channel) => {
        if (isDue(channel)) count++;
      });
      return count;
    };
    const channels = left();
    if (channels === 0) return;
    const minutes = Math.ceil(channels / MAX_PER_SECOND / 60);
    log.info('checking channels that were accepted without a chain', { channels, minutes });
    this.#toldMs = clock.monotonicMs();
    this.#verifying.begin(isDue, 0, () => {
      const unanswered = left();
      log.info('channels that were accepted without a chain are checked', {
        ...{ verified: this.#verified, unanswered },
      });
      // Those that the backend could not tell about.
      if (unanswered > 0) this.#cancelVerifying = clock.after(UNVERIFIED_AGAIN_MS, () => this.#verify());
    });
  }

  #tellProgress(): void {
    const { clock, log } = this.#desk.ports;
    const now = clock.monotonicMs();
    if (now - this.#toldMs < TELL_PROGRESS_MS) return;
    this.#toldMs = now;
    const { done, total } = this.#verifying;
    log.info('checking channels that were accepted without a chain', {
      asked: done,
      of: total,
      verified: this.#verified,
    });
  }
}
