/**
 * ChannelLists: takes the peers' lists of channels (BOLT 7, query_channel_range), whole ones and a few blocks at a time.
 *
 * The seeker hands in replies, says who left, and asks for what is next; what the lists name goes to the pool, which finds what is missing, to
 * the completeness, which counts, and to the coverage, which knows what was told of which blocks. A list that breaks off is gone on
 * with where it stopped, by the next peer, so that fetching begins; two halves of two peers prove nothing, so that one is asked for all
 * of its list before the sync counts as complete. Answers that break the rules are asked for again in smaller ranges; answers
 * that are too long go on in ranges, so that no list is ever too large.
 * Bounds: those of RangeInquiry, WantedPool, Completeness and RangeCoverage; one list that broke off.
 */
import { bytesEqual } from '../base/bytes.ts';
import { nowSeconds } from '../base/time.ts';
import { encodeQueryChannelRange, QUERY_OPTION } from '../wire/query_channel_range.ts';
import type { ReplyChannelRange } from '../wire/reply_channel_range.ts';
import type { Completeness } from './completeness.ts';
import type { WarnText } from './ports.ts';
import { RangeCoverage } from './range_coverage.ts';
import { type InquiryOptions, RangeInquiry } from './range_inquiry.ts';
import type { SyncContext } from './seeker_options.ts';
import type { SyncPeer } from './sync_peer.ts';
import * as limits from './sync_peer.ts';

/** What is left of a list whose peer left, or fell silent, in the middle. */
interface BrokenOff {
  readonly holder: number;
  /** Everything below this block is listed. */
  readonly reached: number;
  readonly has: number;
  readonly name: string;
  readonly atMs: number;
}

export class ChannelLists {
  readonly #context: SyncContext;
  readonly #completeness: Completeness;
  readonly coverage = new RangeCoverage();
  #brokenOff: BrokenOff | undefined;
  /** Queries sent so far. */
  sent = 0;

  constructor(context: SyncContext, completeness: Completeness) {
    this.#context = context;
    this.#completeness = completeness;
  }

  /**
   * Asks the peer for its list: where another one broke off, or from the start. False when as many lists as possible are open.
   * @param isWhole from the start in any case
   */
  start(peer: SyncPeer, why: string, isWhole = false): boolean {
    const { pool, options, now } = this.#context;
    const rest = isWhole ? undefined : this.#takeBrokenOff();
    if (rest === undefined) {
      if (peer.holder === -1) peer.holder = pool.takeHolder(peer.extended);
      if (peer.holder === -1) return false;
      pool.forgetClaims(peer.holder);
    } else {
      this.#release(peer);
      peer.holder = rest.holder;
      pool.handOver(rest.holder, peer.extended);
    }
    this.#completeness.drop(peer.listing);
    peer.listing = this.#completeness.begin();
    peer.listFrom = rest?.reached ?? 0;
    peer.has = rest?.has ?? 0;
    peer.listAskedMs = now();
    // In the first sync half of a list that is compared once more must not count as all of it.
    if (!this.#context.hasSynced()) peer.rangeComplete = false;
    const message = rest === undefined ? 'list of channels asked for' : 'list of channels resumed';
    const fields = { peer: peer.port.name, from: peer.listFrom, after: rest?.name, why };
    if (this.#context.hasSynced()) options.log.debug(message, fields);
    else options.log.info(message, fields);
    this.#ask(peer, this.#inquire(peer, { first: peer.listFrom }), 'asking_range', why);
    return true;
  }

  /** Asks a peer whose list is known for blocks [first, stop) once more. */
  probe(peer: SyncPeer, first: number, stop: number, why: string): void {
    peer.probedMs = this.#context.now();
    this.#ask(peer, this.#inquire(peer, { first, stop }), 'probing', why);
  }

  /** BOLT 7, reply_channel_range. */
  onReply(peer: SyncPeer, reply: ReplyChannelRange): WarnText | undefined {
    const { options, warn, now, setPeerState } = this.#context;
    const { inquiry, state } = peer;
    const asked = state === 'asking_range' || state === 'probing' || state === 'draining';
    if ((inquiry === undefined || !asked) && peer.probesFailed > 0) {
      // Late, but it does answer.
      if (reply.sync_complete) peer.probesFailed = 0;
      return undefined;
    }
    if (inquiry === undefined || !asked) return warn('range_without_query');
    if (!bytesEqual(reply.chain_hash, options.network.chainHashBytes)) return warn('range_other_chain');
    peer.heardMs = peer.rangeHeardMs = now();
    if (state === 'draining') {
      if (reply.sync_complete) this.#askNext(peer, inquiry);
      return undefined;
    }
    const step = inquiry.judge(reply);
    if (step.fault !== undefined) {
      inquiry.failQuery();
      const warning = warn(step.fault);
      // One block with more than an answer may have: no range is smaller.
      if (step.fault === 'too_many_scids') {
        this.#fail(peer, step.fault, false);
        return warning;
      }
      // Counted, but no warning yet: it is asked again in smaller ranges, as CLN 26.06 may split long answers wrongly.
      setPeerState(peer, 'draining', step.fault);
      if (reply.sync_complete) this.#askNext(peer, inquiry);
      return peer.inquiry === undefined ? warning : undefined;
    }
    if (step.use) this.#take(peer, inquiry, reply);
    if (step.over) this.#finishQuery(peer, inquiry);
    return undefined;
  }

  /** Once a second: a list that does not go on. */
  check(peer: SyncPeer): void {
    const { inquiry, state } = peer;
    const now = this.#context.now();
    if (inquiry === undefined) return;
    if (state === 'draining') {
      if (now - peer.rangeHeardMs >= limits.DRAIN_MS) this.#askNext(peer, inquiry);
      return;
    }
    if (state !== 'asking_range' && state !== 'probing') return;
    const silent = now - peer.heardMs >= limits.SILENCE_MS || now - peer.rangeHeardMs >= limits.FRUITLESS_MS;
    if (now - peer.rangeStartedMs >= limits.RANGE_LIMIT_MS) this.#fail(peer, 'takes too long', true);
    else if (!silent) return;
    // Peers from before sync_complete had its meaning never set it; all blocks are there.
    else if (inquiry.covered) this.#finishQuery(peer, inquiry);
    else this.#fail(peer, 'does not answer', true);
  }

  /** Once a second: nobody has come to go on with what broke off. */
  tick(): void {
    const rest = this.#brokenOff;
    if (rest === undefined || this.#context.now() - rest.atMs < limits.RESUME_WITHIN_MS) return;
    this.#brokenOff = undefined;
    this.#forget(rest);
  }

  /** There is room again for the rest of its list. */
  goOn(peer: SyncPeer): void {
    if (peer.inquiry !== undefined) this.#askNext(peer, peer.inquiry);
  }

  /** The connection is gone: its whole list counts on for an hour, a half one is kept for the next peer. */
  left(peer: SyncPeer): void {
    const isListing = peer.inquiry !== undefined && peer.listing !== undefined;
    if (!isListing || !this.#keepBrokenOff(peer)) this.#release(peer);
    this.#completeness.drop(peer.listing);
    peer.listing = undefined;
    this.#completeness.left(peer.list);
    peer.inquiry = undefined;
  }

  /** A probe or a list: the peer's answers are judged from here on. */
  #inquire(peer: SyncPeer, what: InquiryOptions): RangeInquiry {
    const { maxScidsPerAnswer } = this.#context.limits;
    peer.rangeStartedMs = this.#context.now();
    peer.found = 0;
    return new RangeInquiry(maxScidsPerAnswer === undefined ? what : { ...what, maxScidsPerAnswer });
  }

  #ask(peer: SyncPeer, inquiry: RangeInquiry, state: 'asking_range' | 'probing', why: string): void {
    peer.inquiry = inquiry;
    this.#context.setPeerState(peer, state, why);
    this.#askNext(peer, inquiry);
  }

  #askNext(peer: SyncPeer, inquiry: RangeInquiry): void {
    const { options, now, setPeerState } = this.#context;
    const query = inquiry.next();
    if (query === 'failed') return this.#fail(peer, 'too many broken replies', false);
    if (query === 'complete') return this.#complete(peer);
    peer.heardMs = peer.rangeHeardMs = now();
    setPeerState(peer, isProbe(peer) ? 'probing' : 'asking_range', 'next range');
    this.sent++;
    peer.port.send(
      encodeQueryChannelRange({
        chain_hash: options.network.chainHashBytes,
        first_blocknum: query.first,
        number_of_blocks: query.count,
        // lnd gives timestamps without offering gossip_queries_ex; who does not know the field ignores it.
        query_option: QUERY_OPTION.timestamps | (peer.extended ? QUERY_OPTION.checksums : 0),
      }),
    );
  }

  #take(peer: SyncPeer, inquiry: RangeInquiry, reply: ReplyChannelRange): void {
    const { pool, options, hasSynced } = this.#context;
    const now = nowSeconds(options.clock);
    const { fits, unknown } = pool.claim(peer.holder, reply, {
      // Without flags a node costs a whole channel: only the first sync, which may go on where another one was cut off, asks.
      withNodes: !isProbe(peer) && (peer.extended || !hasSynced()),
      nowSeconds: now,
    });
    peer.found += unknown;
    this.#completeness.add(peer.listing ?? peer.list, reply, now);
    if (!fits) {
      inquiry.postpone(reply);
      options.meter.count('gossipd_wanted_full_total');
    } else peer.has += isProbe(peer) ? unknown : reply.short_channel_ids.length;
  }

  #finishQuery(peer: SyncPeer, inquiry: RangeInquiry): void {
    const from = inquiry.first;
    const mustWait = inquiry.finishQuery();
    this.coverage.note(from, inquiry.first, peer.port.name, this.#context.now());
    if (mustWait && isProbe(peer)) this.#endProbe(peer, 'no room for what it has');
    else if (mustWait) this.#context.setIdle(peer, 'no room for its list');
    else this.#askNext(peer, inquiry);
    this.#context.advance();
  }

  #complete(peer: SyncPeer): void {
    const { options, hasSynced, setIdle, advance } = this.#context;
    const { listing, found, has } = peer;
    const fields = { peer: peer.port.name, channels: has, missing: found };
    if (listing === undefined) {
      options.meter.count('gossipd_probes_total', found > 0 ? 'missing' : 'same');
      peer.probesFailed = 0;
      if (found > 0) options.log.info('probe found channels that were missing', fields);
      this.#endProbe(peer, 'probe is over');
      return;
    }
    peer.inquiry = peer.listing = undefined;
    if (peer.listFrom === 0) {
      this.#completeness.complete(listing);
      this.#completeness.drop(peer.list);
      peer.list = listing;
    } else this.#completeness.drop(listing);
    peer.rangeComplete = true;
    peer.probesFailed = 0;
    // A whole list is there: nobody has to go on with a half one.
    const rest = this.#takeBrokenOff();
    if (rest !== undefined) this.#forget(rest);
    if (!hasSynced()) options.log.info('list of channels is complete', fields);
    else if (found > 0) options.log.info('list of channels shows what was missing', fields);
    else options.log.debug('list of channels is complete', fields);
    setIdle(peer, 'list is complete');
    advance();
  }

  #endProbe(peer: SyncPeer, why: string): void {
    peer.inquiry = undefined;
    this.#context.setIdle(peer, why);
    this.#context.advance();
  }

  /** It is not asked again before the next round. @param isBelieved what it said so far was right */
  #fail(peer: SyncPeer, why: string, isBelieved: boolean): void {
    const { options, setPeerState, advance } = this.#context;
    if (isProbe(peer)) {
      peer.probesFailed++;
      options.meter.count('gossipd_probes_total', 'failed');
      this.#endProbe(peer, why);
      return;
    }
    if (!isBelieved) this.coverage.forget(peer.port.name);
    if (!isBelieved || !this.#keepBrokenOff(peer)) this.#release(peer);
    this.#completeness.drop(peer.listing);
    if (isBelieved) this.#completeness.left(peer.list);
    else this.#completeness.drop(peer.list);
    peer.listing = peer.list = peer.inquiry = undefined;
    peer.rangeComplete = false;
    peer.has = 0;
    options.meter.count('gossipd_range_failed_total');
    setPeerState(peer, 'range_failed', why);
    advance();
  }

  /** Keeps what the peer has listed so far, if that is further than what is kept. Its number in the pool goes along. */
  #keepBrokenOff(peer: SyncPeer): boolean {
    const { inquiry, listing, holder, has } = peer;
    const reached = inquiry?.reached ?? 0;
    // Once synced, another whole list is as good.
    if (this.#context.hasSynced() || holder === -1 || listing === undefined) return false;
    if (has === 0 || reached <= peer.listFrom) return false;
    if (this.#brokenOff !== undefined && this.#brokenOff.reached >= reached) return false;
    if (this.#brokenOff !== undefined) this.#forget(this.#brokenOff);
    const { name } = peer.port;
    const atMs = this.#context.now();
    this.coverage.note(peer.listFrom, reached, name, atMs);
    this.#context.queries.forget(this.#context.pool, holder);
    this.#brokenOff = { holder, reached, has, name, atMs };
    this.#context.options.log.info('list of channels broke off', { peer: name, reached });
    peer.holder = -1;
    return true;
  }

  #takeBrokenOff(): BrokenOff | undefined {
    const rest = this.#brokenOff;
    this.#brokenOff = undefined;
    return rest;
  }

  #forget({ holder }: BrokenOff): void {
    this.#context.queries.forget(this.#context.pool, holder);
    this.#context.pool.releaseHolder(holder);
  }

  #release(peer: SyncPeer): void {
    if (peer.holder === -1) return;
    this.#context.queries.forget(this.#context.pool, peer.holder);
    this.#context.pool.releaseHolder(peer.holder);
    peer.holder = -1;
  }
}

/** A few blocks are being asked for, not the list. */
const isProbe = ({ listing }: SyncPeer): boolean => listing === undefined;
