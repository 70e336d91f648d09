/**
 * Seeker: brings the graph to what the peers know, and keeps it there. One for all peers.
 *
 * daemon/ adds and removes peers, hands in their replies, says when gossip came from one, and calls tick() every second. The
 * seeker sends gossip_timestamp_filter, query_channel_range and query_short_channel_ids (BOLT 7, Query Messages); what they
 * bring goes to ingest/, and the seeker sees it appear in the graph.
 * The way: live gossip first; the lists of up to N_SYNC_PEERS peers; then what is missing, in chunks, spread over those who
 * have it; who does not answer queries is asked, one at a time, to send everything. Peers that are idle are asked for what was lost
 * with a damaged part of the store, whatever they listed.
 * Invariants: one open query of each kind for each peer; a peer that does not offer gossip_queries is never
 * queried. Bounds: those of WantedPool, Refetch, RangeInquiry and ScidQueries; MAX_HOLDERS lists; one chunk for each peer.
 */
import { bytesEqual } from '../base/bytes.ts';
import type { Network } from '../base/chain_hash.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import type { Rng } from '../base/rng.ts';
import { type Clock, nowSeconds, type UnixSeconds } from '../base/time.ts';
import type { NetworkGraph } from '../graph/network_graph.ts';
import { encodeGossipTimestampFilter } from '../wire/gossip_timestamp_filter.ts';
import { encodeQueryChannelRange, QUERY_OPTION } from '../wire/query_channel_range.ts';
import { MAX_SHORT_IDS_PER_QUERY } from '../wire/query_short_channel_ids.ts';
import type { ReplyChannelRange } from '../wire/reply_channel_range.ts';
import type { ReplyShortChannelIdsEnd } from '../wire/reply_short_channel_ids_end.ts';
import { ableSeats, askForLost } from './ask_for_lost.ts';
import type { SyncPeerPort, WarnText } from './ports.ts';
import { RangeInquiry } from './range_inquiry.ts';
import { type Missing, Refetch, type RefetchOutcome } from './refetch.ts';
import { FILTER_NOTHING } from './relay_stream.ts';
import { ScidQueries } from './scid_queries.ts';
import { derivedState, dumpCandidate } from './seeker_state.ts';
import { type SeekerState, type SeekerStatus, seekerStatus } from './seeker_status.ts';
import * as limits from './sync_peer.ts';
import { newSyncPeer, type SyncPeer, type SyncPeerState } from './sync_peer.ts';
import { WantedPool } from './wanted_pool.ts';

export interface SeekerOptions {
  readonly graph: NetworkGraph;
  readonly network: Network;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly meter: Meter;
  /** Messages handed to ingest/ whose verdict is pending. */
  readonly backlog?: () => number;
  /**
   * Newest update that was stored before this start, in Unix seconds; 0 or nothing for an empty map. Until the first sync is
   * complete, live gossip is asked for from there, because peers without gossip_queries_ex cannot tell what changed since.
   */
  readonly newestStored?: number;
  /** Channels known to be spent, or refused not long ago: not asked for. */
  readonly refused?: (scidHi: number, scidLo: number) => boolean;
  /** What was to be fetched again is back, or everybody has been asked for the rest. */
  readonly onRefetched?: (outcome: RefetchOutcome) => void;
}

/** What tests and small machines make smaller. */
export interface SeekerLimits {
  /** Ids in a query; at most MAX_SHORT_IDS_PER_QUERY. */
  readonly chunkScids?: number;
  /** See MAX_WANTED and MAX_WANTED_PER_PEER. */
  readonly maxWanted?: number;
  readonly maxWantedPerPeer?: number;
  /** See MAX_REFETCH. */
  readonly maxRefetch?: number;
}

export class Seeker {
  readonly #options: SeekerOptions;
  readonly #chunkScids: number;
  readonly #pool: WantedPool;
  readonly #refetch: Refetch;
  readonly #queries: ScidQueries;
  readonly #peers = new Map<number, SyncPeer>();
  #advancing = false;
  #advanceAgain = false;
  #nextId = 1;
  #state: SeekerState = 'waiting_for_peers';
  /** Has been in state synced. */
  #syncedOnce = false;
  readonly #startedAt: UnixSeconds;
  #fetchStartedMs = 0;
  #resolvedBefore = 0;
  #rangeQueriesSent = 0;
  /** What was lost is not back yet, and that has not been told. */
  #isRefetching = false;
  #roundAtMs: number;
  #furtherAtMs = 0;
  /** The last peer whose list was asked for in a round. */
  #lastProbed = 0;

  constructor(options: SeekerOptions, limitsOf: SeekerLimits = {}) {
    const { chunkScids, maxWanted, maxWantedPerPeer, maxRefetch } = limitsOf;
    this.#options = options;
    this.#chunkScids = Math.min(chunkScids ?? limits.CHUNK_SCIDS, MAX_SHORT_IDS_PER_QUERY);
    this.#startedAt = nowSeconds(options.clock);
    this.#roundAtMs = options.clock.monotonicMs();
    const refused = options.refused ?? (() => false);
    const salt = Math.floor(options.rng.fraction() * 0x100000000) | 0;
    this.#pool = new WantedPool({
      graph: options.graph,
      salt,
      refused,
      isElsewhere: (scidHi, scidLo) => this.#refetch.isUnderWay(scidHi, scidLo),
      ...(maxWanted === undefined ? {} : { maxWanted }),
      ...(maxWantedPerPeer === undefined ? {} : { maxWantedPerPeer }),
    });
    this.#refetch = new Refetch({
      graph: options.graph,
      salt,
      refused,
      isListed: (scidHi, scidLo, flags) => this.#pool.isOpen(scidHi, scidLo, flags),
      recovered: (scidHi, scidLo) => this.#pool.cameElsewhere(scidHi, scidLo),
      ...(maxRefetch === undefined ? {} : { maxRefetch }),
    });
    this.#queries = new ScidQueries({
      chainHash: options.network.chainHashBytes,
      meter: options.meter,
      nowMs: this.#now,
    });
  }

  /** A peer whose init is exchanged. Sends it a filter at once. The number names it in the other calls. */
  addPeer(port: SyncPeerPort): number {
    const peer = newSyncPeer(this.#nextId++, port, this.#now());
    this.#peers.set(peer.id, peer);
    if (peer.state !== 'not_offering') {
      peer.seat = this.#refetch.takeSeat(port.outbound ?? false, this.#now());
    }
    const streaming = [...this.#peers.values()].filter((other) => other.streaming).length;
    if (peer.state !== 'not_offering' && streaming < limits.MAX_STREAMING_PEERS) this.#stream(peer);
    // also to those who do not offer gossip_queries.
    else this.#sendFilter(peer, FILTER_NOTHING, 0);
    this.#advance();
    return peer.id;
  }

  /** The connection is gone; what was asked of it goes back to the others. */
  removePeer(id: number): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    this.#peers.delete(id);
    this.#queries.forget(this.#refetch, peer.seat);
    this.#releaseHolder(peer);
    this.#queries.abandon(peer, true);
    this.#refetch.releaseSeat(peer.seat);
    if (peer.streaming) {
      const next = [...this.#peers.values()].find(
        (other) => !other.streaming && other.state !== 'not_offering',
      );
      if (next !== undefined) this.#stream(next);
    }
    this.#advance();
  }

  /** A gossip message arrived from this peer. */
  onGossip(id: number): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    peer.heardMs = this.#now();
    peer.sentGossip = true;
  }

  /** BOLT 7, reply_channel_range. */
  onReplyChannelRange(id: number, reply: ReplyChannelRange): WarnText | undefined {
    const peer = this.#peers.get(id);
    if (peer === undefined) return undefined;
    const { inquiry } = peer;
    const asked = peer.state === 'asking_range' || peer.state === 'draining';
    if (inquiry === undefined || !asked) return this.#warn('range_without_query');
    if (!bytesEqual(reply.chain_hash, this.#options.network.chainHashBytes))
      return this.#warn('range_other_chain');
    peer.heardMs = peer.rangeHeardMs = this.#now();
    if (peer.state === 'draining') {
      if (reply.sync_complete) this.#askRange(peer, inquiry);
      return undefined;
    }
    const step = inquiry.judge(reply);
    if (step.fault !== undefined) {
      inquiry.failQuery();
      const warning = this.#warn(step.fault);
      if (step.fault === 'too_many_scids') {
        this.#failRange(peer, step.fault);
        return warning;
      }
      // Counted, but no warning yet: it is asked again in smaller ranges, as CLN 26.06 may split long answers wrongly.
      this.#setPeerState(peer, 'draining', step.fault);
      if (reply.sync_complete) this.#askRange(peer, inquiry);
      return peer.inquiry === undefined ? warning : undefined;
    }
    if (step.use) {
      const now = nowSeconds(this.#options.clock);
      const claimed = this.#pool.claim(peer.holder, reply, {
        // Without flags a node costs a whole channel: only the first sync, which may go on where another one was cut off, asks.
        withNodes: peer.extended || !this.#syncedOnce,
        nowSeconds: now,
      });
      if (claimed) peer.has += reply.short_channel_ids.length;
      else {
        inquiry.postpone(reply);
        this.#options.meter.count('gossipd_wanted_full_total');
      }
    }
    if (step.over) this.#finishRangeQuery(peer, inquiry);
    return undefined;
  }

  /** BOLT 7, reply_short_channel_ids_end. */
  onReplyShortChannelIdsEnd(id: number, end: ReplyShortChannelIdsEnd): WarnText | undefined {
    const peer = this.#peers.get(id);
    if (peer === undefined) return undefined;
    if (!bytesEqual(end.chain_hash, this.#options.network.chainHashBytes))
      return this.#warn('end_other_chain');
    if (this.#queries.ended(peer)) {
      if (peer.state === 'fetching') this.#setIdle(peer, 'end of query');
    } else {
      if (!peer.owesEnd) return this.#warn('end_without_query');
      // Late, but it does answer.
      peer.owesEnd = false;
      if (peer.state === 'silent_on_queries') this.#setIdle(peer, 'late end');
    }
    this.#advance();
    return undefined;
  }

  /**
   * What was lost with a damaged part of the store is asked for again, of whoever is idle, until the graph has it. Kept while there
   * are no peers; what does not fit, or what nobody has, is left to the hourly comparison of lists.
   */
  refetch(lost: readonly Missing[]): void {
    if (lost.length === 0) return;
    this.#isRefetching = true;
    this.#refetch.add(lost, this.#now());
    this.#advance();
  }

  /** Once a second: time limits, and what they lead to. */
  tick(): void {
    const now = this.#now();
    for (const peer of this.#peers.values()) {
      // While ingest cannot keep up, daemon/ stops reading: silence then says nothing about the peer.
      if (this.#isBusy()) peer.heardMs = peer.rangeHeardMs = now;
      this.#checkChunk(peer);
      this.#checkPeer(peer, now);
    }
    if (now - this.#roundAtMs >= limits.ROUND_MS) this.#startRound(now);
    this.#pool.sweep(limits.SWEEP_ENTRIES);
    this.#refetch.sweep(ableSeats(this.#peers.values(), this.#queries));
    this.#advance();
    this.#options.meter.gauge('gossipd_wanted_channels', this.#pool.open + this.#pool.arriving);
    this.#options.meter.gauge('gossipd_given_up_channels', this.#pool.givenUp);
    this.#refetch.measure(this.#options.meter);
  }

  /** Plain data for people and progress lines. */
  status(): SeekerStatus {
    return seekerStatus({
      state: this.#state,
      syncedOnce: this.#syncedOnce,
      peers: this.#peers.values(),
      pool: this.#pool,
      knownChannels: this.#options.graph.channelCount,
      startedAt: this.#startedAt,
      queriesSent: this.#rangeQueriesSent + this.#queries.sent,
      refetchLeft: this.#refetch.left,
      fetchedInFetch: this.#pool.resolved - this.#resolvedBefore,
      fetchMs: this.#now() - this.#fetchStartedMs,
    });
  }

  readonly #now = (): number => this.#options.clock.monotonicMs();
  readonly #backlog = (): number => this.#options.backlog?.() ?? 0;
  readonly #isBusy = (): boolean => this.#backlog() > limits.BUSY_BACKLOG;

  #warn(reason: string): WarnText {
    this.#options.meter.count('gossipd_bad_replies_total', reason);
    return reason;
  }

  #setState(next: SeekerState, why: string): void {
    if (this.#state === next) return;
    this.#options.log.debug('sync state', { from: this.#state, to: next, why });
    if (next === 'fetching') {
      this.#fetchStartedMs = this.#now();
      this.#resolvedBefore = this.#pool.resolved;
    }
    this.#state = next;
    this.#syncedOnce ||= next === 'synced';
  }

  #setPeerState(peer: SyncPeer, next: SyncPeerState, why: string): void {
    if (peer.state === next) return;
    this.#options.log.debug('sync peer', { peer: peer.port.name, from: peer.state, to: next, why });
    peer.state = next;
  }

  /** Nothing is asked of the peer now, though the rest of its list may be. */
  #setIdle(peer: SyncPeer, why: string): void {
    if (peer.owesEnd) this.#setPeerState(peer, 'silent_on_queries', why);
    else this.#setPeerState(peer, peer.inquiry === undefined ? 'ready' : 'range_paused', why);
  }

  #releaseHolder(peer: SyncPeer): void {
    if (peer.holder === -1) return;
    this.#queries.forget(this.#pool, peer.holder);
    this.#pool.releaseHolder(peer.holder);
    peer.holder = -1;
  }

  #sendFilter(peer: SyncPeer, first_timestamp: number, timestamp_range: number): void {
    const chain_hash = this.#options.network.chainHashBytes;
    peer.port.send(encodeGossipTimestampFilter({ chain_hash, first_timestamp, timestamp_range }));
  }

  #liveFrom(): number {
    const now = nowSeconds(this.#options.clock);
    const stored = this.#syncedOnce ? 0 : (this.#options.newestStored ?? 0);
    if (stored === 0) return now - limits.LIVE_SECONDS;
    return Math.max(now - limits.LONGEST_ABSENCE_SECONDS, Math.min(now, stored) - limits.LIVE_SECONDS);
  }

  #stream(peer: SyncPeer): void {
    peer.streaming = true;
    this.#sendFilter(peer, this.#liveFrom(), 0xffffffff);
  }

  /** Asks the peer for its list from the start. False when as many lists as possible are open already. */
  #startRange(peer: SyncPeer, why: string): boolean {
    if (peer.holder === -1) peer.holder = this.#pool.takeHolder();
    if (peer.holder === -1) return false;
    this.#pool.forgetClaims(peer.holder);
    peer.has = 0;
    peer.inquiry = new RangeInquiry();
    peer.rangeStartedMs = this.#now();
    this.#lastProbed = peer.id;
    this.#setPeerState(peer, 'asking_range', why);
    this.#askRange(peer, peer.inquiry);
    return true;
  }

  #askRange(peer: SyncPeer, inquiry: RangeInquiry): void {
    const query = inquiry.next();
    if (query === 'failed') {
      this.#failRange(peer, 'too many broken replies');
      return;
    }
    if (query === 'complete') {
      this.#completeRange(peer);
      return;
    }
    peer.heardMs = peer.rangeHeardMs = this.#now();
    this.#setPeerState(peer, 'asking_range', 'next range');
    this.#rangeQueriesSent++;
    peer.port.send(
      encodeQueryChannelRange({
        chain_hash: this.#options.network.chainHashBytes,
        first_blocknum: query.first,
        number_of_blocks: query.count,
        // lnd gives timestamps without offering gossip_queries_ex; who does not know the field ignores it.
        query_option: QUERY_OPTION.timestamps | (peer.extended ? QUERY_OPTION.checksums : 0),
      }),
    );
  }

  #finishRangeQuery(peer: SyncPeer, inquiry: RangeInquiry): void {
    if (inquiry.finishQuery()) this.#setIdle(peer, 'no room for its list');
    else this.#askRange(peer, inquiry);
    this.#advance();
  }

  #completeRange(peer: SyncPeer): void {
    peer.inquiry = undefined;
    peer.rangeComplete = true;
    this.#setIdle(peer, 'list is complete');
    this.#advance();
  }

  /** What it said so far is not believed, and it is not asked again before the next round. */
  #failRange(peer: SyncPeer, why: string): void {
    peer.inquiry = undefined;
    peer.rangeComplete = false;
    peer.has = 0;
    this.#releaseHolder(peer);
    this.#options.meter.count('gossipd_range_failed_total');
    this.#setPeerState(peer, 'range_failed', why);
    this.#advance();
  }

  #checkPeer(peer: SyncPeer, now: number): void {
    switch (peer.state) {
      case 'asking_range':
        this.#checkRange(peer, now);
        return;
      case 'draining':
        if (peer.inquiry !== undefined && now - peer.rangeHeardMs >= limits.DRAIN_MS) {
          this.#askRange(peer, peer.inquiry);
        }
        return;
      case 'full_dump':
        this.#checkDump(peer, now);
        return;
      case 'not_offering':
      case 'waiting':
      case 'fetching':
      case 'range_paused':
      case 'range_failed':
      case 'ready':
      case 'silent_on_queries':
      case 'dumped':
        return;
    }
  }

  #checkRange(peer: SyncPeer, now: number): void {
    const { inquiry } = peer;
    if (inquiry === undefined) return;
    const silent = now - peer.heardMs >= limits.SILENCE_MS || now - peer.rangeHeardMs >= limits.FRUITLESS_MS;
    if (now - peer.rangeStartedMs >= limits.RANGE_LIMIT_MS) this.#failRange(peer, 'takes too long');
    else if (!silent) return;
    // Peers from before sync_complete had its meaning never set it; all blocks are there.
    else if (inquiry.covered) this.#finishRangeQuery(peer, inquiry);
    else this.#failRange(peer, 'does not answer');
  }

  /** Marks the peer silent when it sends nothing, or nothing of what it was asked for. */
  #checkChunk(peer: SyncPeer): void {
    if (!this.#queries.isSilent(peer, this.#isBusy())) return;
    peer.owesEnd = true;
    this.#options.meter.count('gossipd_silent_peers_total');
    this.#queries.abandon(peer, false);
    const { state } = peer;
    const isIdle = state === 'ready' || state === 'range_paused';
    // What was asked of it besides, such as its list, may come all the same.
    if (isIdle || state === 'fetching') this.#setPeerState(peer, 'silent_on_queries', 'no end of query');
  }

  /** A dump is over when the peer falls quiet, or when what it sends is not new any more. */
  #checkDump(peer: SyncPeer, now: number): void {
    let over = now - peer.heardMs >= limits.SILENCE_MS;
    if (!over && now - peer.dumpCheckedMs >= limits.FRUITLESS_MS) {
      const { channelCount, nodeAnnouncementCount } = this.#options.graph;
      const known = channelCount + nodeAnnouncementCount;
      over = known <= peer.dumpKnown && !this.#isBusy();
      peer.dumpCheckedMs = now;
      peer.dumpKnown = known;
    }
    if (!over) return;
    this.#setPeerState(peer, 'dumped', 'nothing new any more');
    if (!peer.streaming) this.#sendFilter(peer, FILTER_NOTHING, 0);
  }

  #startDump(peer: SyncPeer): void {
    peer.heardMs = peer.dumpCheckedMs = this.#now();
    peer.dumpKnown = this.#options.graph.channelCount + this.#options.graph.nodeAnnouncementCount;
    this.#options.meter.count('gossipd_full_dumps_total');
    this.#setPeerState(peer, 'full_dump', 'queries bring nothing');
    this.#sendFilter(peer, 0, 0xffffffff);
  }

  /** Every hour: another peer's list, and another chance for what was given up. */
  #startRound(now: number): void {
    this.#roundAtMs = now;
    this.#pool.forgetGivenUp();
    this.#refetch.forgetGivenUp();
    const able = [...this.#peers.values()].filter(
      ({ state, owesEnd }) =>
        !owesEnd &&
        (state === 'waiting' || state === 'ready' || state === 'range_failed' || state === 'dumped'),
    );
    const others = able.filter(({ id }) => id !== this.#lastProbed);
    const choice = others.length > 0 ? others : able;
    const peer = choice[Math.floor(this.#options.rng.fraction() * choice.length)];
    if (peer !== undefined) this.#startRange(peer, 'hourly round');
  }

  /** Does whatever can be done now. Called after every event. */
  #advance(): void {
    this.#advanceAgain = true;
    // A peer that answers inside send() calls back in here.
    if (this.#advancing) return;
    this.#advancing = true;
    while (this.#advanceAgain) {
      this.#advanceAgain = false;
      this.#startRanges();
      this.#queries.settle(this.#backlog() === 0);
      this.#askForChunks();
      this.#askForLost();
      this.#askForDump();
      this.#deriveState();
    }
    this.#advancing = false;
    if (!this.#isRefetching || !this.#refetch.isDone) return;
    this.#isRefetching = false;
    this.#options.onRefetched?.(this.#refetch.outcome());
  }

  /** Its list is complete, and something of it is known. */
  #isUseful({ rangeComplete, holder, has }: SyncPeer): boolean {
    return rangeComplete && holder !== -1 && has > this.#pool.missing(holder);
  }

  #startRanges(): void {
    let sources = 0;
    const fetching = this.#pool.open + this.#pool.arriving > 0;
    for (const peer of this.#peers.values()) {
      const { state } = peer;
      const busy = state === 'asking_range' || state === 'draining' || state === 'range_paused';
      const usable = state === 'ready' || state === 'fetching';
      // Empty and invented lists leave the place to the next peer.
      if (busy || (usable && (this.#isUseful(peer) || (fetching && peer.has > 0)))) sources++;
    }
    const now = this.#now();
    const chosenFirst = [...this.#peers.values()].sort(
      (left, right) => Number(right.port.outbound ?? false) - Number(left.port.outbound ?? false),
    );
    for (const peer of chosenFirst) {
      if (peer.state === 'range_paused' && peer.inquiry !== undefined && this.#pool.hasRoom(peer.holder)) {
        this.#askRange(peer, peer.inquiry);
      }
      if (peer.state !== 'waiting') continue;
      if (sources < limits.N_SYNC_PEERS) {
        if (!this.#startRange(peer, 'new peer')) return;
        this.#furtherAtMs = now;
        sources++;
      } else if (this.#state === 'synced' && now - this.#furtherAtMs >= limits.FURTHER_PEER_MS) {
        this.#furtherAtMs = now;
        this.#startRange(peer, 'further peer');
        return;
      }
    }
  }

  #askForChunks(): void {
    if (this.#pool.waiting === 0 || this.#backlog() > limits.BACKLOG_LIMIT) return;
    for (const peer of this.#peers.values()) {
      const idle = peer.state === 'ready' || peer.state === 'range_paused';
      if (!idle || !this.#queries.isFree(peer)) continue;
      const slots = this.#pool.pick(peer.holder, this.#chunkScids);
      if (slots.length === 0) continue;
      this.#setPeerState(peer, 'fetching', `${slots.length} channels`);
      this.#queries.ask(peer, this.#pool, peer.holder, slots);
    }
  }

  #askForLost(): void {
    // A first sync keeps ingest busy, and goes first.
    if (this.#refetch.waiting === 0 || this.#isBusy()) return;
    askForLost([...this.#peers.values()], this.#refetch, this.#queries, this.#now());
  }

  /** When queries lead nowhere: asks one peer for everything it has, then the next, then gives up until the next round. */
  #askForDump(): void {
    const found = dumpCandidate(this.#peers.values(), (peer) => this.#isUseful(peer));
    if (found === 'busy') return;
    const { known, candidate } = found;
    if (this.#queries.settling > 0 || this.#backlog() > limits.BACKLOG_LIMIT) return;
    if (known && this.#pool.waiting === 0) return;
    if (candidate !== undefined) this.#startDump(candidate);
    else if (known) this.#pool.giveUpWaiting();
  }

  #deriveState(): void {
    const { state, why } = derivedState(this.#peers.values(), {
      open: this.#pool.open,
      arriving: this.#pool.arriving,
      backlog: this.#backlog(),
      wasSynced: this.#state === 'synced',
      syncedOnce: this.#syncedOnce,
      isUseful: (peer) => this.#isUseful(peer),
    });
    if (state !== 'synced' || !this.#confirms()) this.#setState(state, why);
  }

  /** Channels came by live gossip before they were asked for: a list is compared once more, lest an update or a node is missing. */
  #confirms(): boolean {
    if (this.#syncedOnce || this.#pool.overtaken === 0) return false;
    this.#pool.overtaken = 0;
    const peer = [...this.#peers.values()].find(({ state }) => state === 'ready');
    if (peer === undefined || !this.#startRange(peer, 'confirming')) return false;
    this.#setState('asking_ranges', 'a list is compared once more');
    return true;
  }
}
