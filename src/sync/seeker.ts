/**
 * Seeker: brings the graph to what the peers know, keeps it there, and proves it. One for all peers.
 *
 * daemon/ adds and removes peers, hands in their replies, says when gossip came from one, and calls tick() every second. The
 * seeker sends gossip_timestamp_filter, query_channel_range and query_short_channel_ids (BOLT 7, Query Messages); what they
 * bring goes to ingest/, and the seeker sees it appear in the graph.
 * The way: live gossip first (streaming.ts); the lists of up to N_SYNC_PEERS peers (channel_lists.ts); then what is missing, in chunks,
 * spread over those who have it; who does not answer queries is asked, one at a time, to send everything (full_dump.ts). Then others
 * are asked for what we may lack all the same (probing.ts), and completeness.ts says how much of what they list we have. Peers that
 * are idle are asked for what was lost with a damaged part of the store, whatever they listed.
 * Invariants: one open query of each kind for each peer; a peer that does not offer gossip_queries is never
 * queried. Bounds: those of its parts; MAX_HOLDERS lists; one chunk for each peer.
 */
import { bytesEqual } from '../base/bytes.ts';
import { nowSeconds, type UnixSeconds } from '../base/time.ts';
import { MAX_SHORT_IDS_PER_QUERY } from '../wire/query_short_channel_ids.ts';
import type { ReplyChannelRange } from '../wire/reply_channel_range.ts';
import type { ReplyShortChannelIdsEnd } from '../wire/reply_short_channel_ids_end.ts';
import { ableSeats, askForLost } from './ask_for_lost.ts';
import { ChannelLists } from './channel_lists.ts';
import { Completeness } from './completeness.ts';
import { checkDump, startDump } from './full_dump.ts';
import type { SyncPeerPort, WarnText } from './ports.ts';
import { Probing } from './probing.ts';
import { type Missing, Refetch } from './refetch.ts';
import { ScidQueries } from './scid_queries.ts';
import type { SeekerLimits, SeekerOptions, SyncContext } from './seeker_options.ts';
import { derivedState, dumpCandidate, sourceCount } from './seeker_state.ts';
import { type SeekerState, type SeekerStatus, seekerStatus } from './seeker_status.ts';
import { Streaming } from './streaming.ts';
import * as limits from './sync_peer.ts';
import { newSyncPeer, type SyncPeer, type SyncPeerState } from './sync_peer.ts';
import { WantedPool } from './wanted_pool.ts';

export class Seeker {
  readonly #options: SeekerOptions;
  readonly #chunkScids: number;
  readonly #pool: WantedPool;
  readonly #refetch: Refetch;
  readonly #queries: ScidQueries;
  readonly #completeness: Completeness;
  readonly #streaming: Streaming;
  readonly #lists: ChannelLists;
  readonly #probing: Probing;
  readonly #context: SyncContext;
  readonly #peers = new Map<number, SyncPeer>();
  #advancing = false;
  #advanceAgain = false;
  #nextId = 1;
  #state: SeekerState = 'waiting_for_peers';
  /** Has been in state synced. */
  #syncedOnce = false;
  readonly #startedAt: UnixSeconds;
  readonly #startedMs: number;
  #fetchStartedMs = 0;
  #resolvedBefore = 0;
  /** What was lost is not back yet, and that has not been told. */
  #isRefetching = false;
  #furtherAtMs = 0;

  constructor(options: SeekerOptions, limitsOf: SeekerLimits = {}) {
    const { chunkScids, maxWanted, maxWantedPerPeer, maxRefetch, maxListed } = limitsOf;
    const { graph, meter } = options;
    this.#options = options;
    this.#chunkScids = Math.min(chunkScids ?? limits.CHUNK_SCIDS, MAX_SHORT_IDS_PER_QUERY);
    this.#startedAt = nowSeconds(options.clock);
    this.#startedMs = this.#now();
    const never = (): boolean => false;
    const [isRefused, isClosed] = [options.refused ?? never, options.closed ?? never];
    const refused = (scidHi: number, scidLo: number): boolean =>
      isRefused(scidHi, scidLo) || isClosed(scidHi, scidLo);
    const salt = Math.floor(options.rng.fraction() * 0x100000000) | 0;
    this.#pool = new WantedPool({
      graph,
      salt,
      refused,
      zombie: options.zombie ?? never,
      isElsewhere: (scidHi, scidLo) => this.#refetch.isUnderWay(scidHi, scidLo),
      ...(maxWanted === undefined ? {} : { maxWanted }),
      ...(maxWantedPerPeer === undefined ? {} : { maxWantedPerPeer }),
    });
    this.#refetch = new Refetch({
      graph,
      salt,
      refused,
      isListed: (scidHi, scidLo, flags) => this.#pool.isOpen(scidHi, scidLo, flags),
      recovered: (scidHi, scidLo) => this.#pool.cameElsewhere(scidHi, scidLo),
      ...(maxRefetch === undefined ? {} : { maxRefetch }),
    });
    const chainHash = options.network.chainHashBytes;
    this.#queries = new ScidQueries({ chainHash, meter, nowMs: this.#now });
    this.#completeness = new Completeness({
      ...{ graph, meter, salt, nowMs: this.#now },
      tests: {
        closed: isClosed,
        refused: isRefused,
        zombie: options.zombie ?? never,
        not_verified: options.notVerified ?? never,
      },
      ...(maxListed === undefined ? {} : { maxListed }),
    });
    this.#context = this.#makeContext(limitsOf);
    this.#lists = new ChannelLists(this.#context, this.#completeness);
    this.#streaming = new Streaming(this.#context, this.#lists);
    this.#probing = new Probing(this.#context, this.#lists);
  }

  /** The first sync is complete: what we answer to queries is up to date. */
  get hasSynced(): boolean {
    return this.#syncedOnce;
  }

  /** A peer whose init is exchanged. Sends it a filter at once. The number names it in the other calls. */
  addPeer(port: SyncPeerPort): number {
    const peer = newSyncPeer(this.#nextId++, port, this.#now());
    this.#peers.set(peer.id, peer);
    if (peer.state !== 'not_offering') {
      peer.seat = this.#refetch.takeSeat(port.outbound ?? false, this.#now());
    }
    this.#streaming.add(peer);
    this.#advance();
    return peer.id;
  }

  /** The connection is gone; what was asked of it goes back to the others. */
  removePeer(id: number): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    this.#peers.delete(id);
    this.#queries.forget(this.#refetch, peer.seat);
    this.#lists.left(peer);
    this.#queries.abandon(peer, true);
    this.#refetch.releaseSeat(peer.seat);
    this.#streaming.removed(peer);
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
    return peer === undefined ? undefined : this.#lists.onReply(peer, reply);
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
      if (peer.state === 'full_dump') checkDump(this.#context, peer);
      else this.#lists.check(peer);
    }
    this.#lists.tick();
    this.#streaming.tick();
    if (this.#probing.isRoundDue()) {
      this.#pool.forgetGivenUp();
      this.#refetch.forgetGivenUp();
      this.#probing.startRound();
    }
    if (this.#state === 'synced' && !this.#isBusy()) this.#probing.tick();
    this.#pool.sweep(limits.SWEEP_ENTRIES);
    this.#refetch.sweep(ableSeats(this.#peers.values(), this.#queries));
    this.#advance();
    this.#completeness.tick();
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
      completeness: this.#completeness,
      coverage: this.#lists.coverage,
      blockHeight: this.#options.blockHeight?.(),
      nowMs: this.#now(),
      knownChannels: this.#options.graph.channelCount,
      startedAt: this.#startedAt,
      queriesSent: this.#lists.sent + this.#queries.sent,
      refetchLeft: this.#refetch.left,
      fetchedInFetch: this.#pool.resolved - this.#resolvedBefore,
      fetchMs: this.#now() - this.#fetchStartedMs,
    });
  }

  readonly #now = (): number => this.#options.clock.monotonicMs();
  readonly #backlog = (): number => this.#options.backlog?.() ?? 0;
  readonly #isBusy = (): boolean => this.#backlog() > limits.BUSY_BACKLOG;

  #makeContext(limitsOf: SeekerLimits): SyncContext {
    return {
      options: this.#options,
      limits: limitsOf,
      peers: this.#peers,
      pool: this.#pool,
      queries: this.#queries,
      now: this.#now,
      hasSynced: () => this.#syncedOnce,
      isBusy: this.#isBusy,
      warn: (reason) => this.#warn(reason),
      setPeerState: (peer, next, why) => this.#setPeerState(peer, next, why),
      setIdle: (peer, why) => this.#setIdle(peer, why),
      advance: () => this.#advance(),
    };
  }

  #warn(reason: string): WarnText {
    this.#options.meter.count('gossipd_bad_replies_total', reason);
    return reason;
  }

  #setState(next: SeekerState, why: string): void {
    if (this.#state === next) return;
    const { log, graph } = this.#options;
    log.debug('sync state', { from: this.#state, to: next, why });
    if (next === 'fetching') {
      this.#fetchStartedMs = this.#now();
      this.#resolvedBefore = this.#pool.resolved;
    }
    this.#state = next;
    if (next !== 'synced' || this.#syncedOnce) return;
    this.#syncedOnce = true;
    const { percent, missing } = this.#completeness.status();
    const seconds = Math.round((this.#now() - this.#startedMs) / 1000);
    log.info('synced', { channels: graph.channelCount, seconds, percent, missing });
  }

  #setPeerState(peer: SyncPeer, next: SyncPeerState, why: string): void {
    if (peer.state === next) return;
    this.#options.log.debug('sync peer', { peer: peer.port.name, from: peer.state, to: next, why });
    peer.state = next;
  }

  #setIdle(peer: SyncPeer, why: string): void {
    if (peer.owesEnd) this.#setPeerState(peer, 'silent_on_queries', why);
    else this.#setPeerState(peer, peer.inquiry === undefined ? 'ready' : 'range_paused', why);
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
    const fetching = this.#pool.open + this.#pool.arriving > 0;
    const isUseful = (peer: SyncPeer): boolean => this.#isUseful(peer);
    const chosen = [...this.#peers.values()].filter(({ port }) => port.outbound === true);
    let sources = sourceCount(this.#peers.values(), fetching, isUseful);
    // Those who came by themselves, and first, must not take the places of those that we chose.
    let chosenSources = sourceCount(chosen, fetching, isUseful);
    const now = this.#now();
    const chosenFirst = [...this.#peers.values()].sort(
      (left, right) => Number(right.port.outbound ?? false) - Number(left.port.outbound ?? false),
    );
    for (const peer of chosenFirst) {
      if (peer.state === 'range_paused' && this.#pool.hasRoom(peer.holder)) this.#lists.goOn(peer);
      const isNew = peer.state === 'waiting';
      // It went on with the list of another one: what is before that, only the other one has told.
      const hasMore = peer.state === 'ready' && peer.listFrom > 0;
      if (!isNew && !hasMore) continue;
      const isChosen = peer.port.outbound === true;
      if (isNew && (isChosen ? chosenSources : sources) < limits.N_SYNC_PEERS) {
        if (!this.#lists.start(peer, 'new peer')) return;
        this.#furtherAtMs = now;
        sources++;
        if (isChosen) chosenSources++;
      } else if (this.#state === 'synced' && now - this.#furtherAtMs >= limits.FURTHER_PEER_MS) {
        this.#furtherAtMs = now;
        this.#lists.start(peer, isNew ? 'further peer' : 'the rest of its list', true);
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
    if (candidate !== undefined) startDump(this.#context, candidate);
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

  /**
   * A list is compared once more before the first sync counts as complete: that of a peer that went on with another one's, or any when
   * channels came by live gossip before they were asked for, lest an update or a node is missing.
   */
  #confirms(): boolean {
    if (this.#syncedOnce) return false;
    const ready = [...this.#peers.values()].filter(({ state }) => state === 'ready');
    const isAnyDue = this.#pool.overtaken > 0;
    this.#pool.overtaken = 0;
    const peer = ready.find(({ listFrom }) => listFrom > 0) ?? (isAnyDue ? ready[0] : undefined);
    if (peer === undefined || !this.#lists.start(peer, 'confirming', true)) return false;
    this.#setState('asking_ranges', 'a list is compared once more');
    return true;
  }
}
