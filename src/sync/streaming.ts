/**
 * Streaming: who sends live gossip (BOLT 7, gossip_timestamp_filter). All others are told to send nothing, and are compared by their lists.
 *
 * The seeker tells who came and left, and calls tick(). A streaming peer that leaves is replaced at once, one that is mute as soon as there is
 * another, and every twenty minutes the least useful one makes room; whoever begins is asked for some minutes of the past too, back to
 * when the last one stopped, so that nothing falls between two peers. Once synced one of them is asked for two hours.
 * Some places are kept for guests, peers that came by themselves: a node that can only dial is a guest everywhere, and what it alone
 * knows would stay with it. For the same reason everybody who does not stream is asked for the whole list in turn.
 * Bounds: MAX_STREAMING_PEERS; one list each LIST_MS, one of each peer in ROUND_MS.
 */
import { nowSeconds } from '../base/time.ts';
import type { ChannelLists } from './channel_lists.ts';
import { FILTER_NOTHING } from './relay_stream.ts';
import { type SyncContext, sendFilter } from './seeker_options.ts';
import { ROUND_MS, type SyncPeer } from './sync_peer.ts';

/**
 * Each peer sends each message, some 103 MB a day, so eight are 0.8 GB for 103 MB of news; CLN has ten. In simulated networks of 16 nodes, a
 * quarter of the peers deaf, five streams without a place for guests left nodes to whom nobody listened, and their news was everywhere
 * after 15 to 75 minutes; eight with three places, after 20 to 60 seconds. 300 nodes with eight peers each: 80 seconds, and each message was
 * sent to each node 3.98 times; ten streams 70 seconds and 4.00 times. Six with three places do as well mostly, and leave one in
 * some dozen networks without a way.
 *
 * To listen to all others in turn, each for two minutes and back to the last turn, costs as much as streaming from all of them at
 * once, whatever the pace: what was missed is sent again (4.36 times instead of 4.02), and a node with a hundred guests takes
 * 10 GB a day. Above a dozen peers lists are cheaper.
 */
export const MAX_STREAMING_PEERS = 8;
/** Places that peers which we chose leave to those that came by themselves, if there are any; no more, as long as we have chosen enough. */
export const GUEST_PLACES = 3;
/** lnd's interval. */
export const ROTATE_MS = 1_200_000;
/** Live gossip is asked for from this long ago, as CLN does: it covers the flush interval and clocks that differ. */
export const LIVE_SECONDS = 600;
/**
 * And from so long ago of one peer, once. A filter goes by the timestamps of messages: a node whose clock is an hour ahead asks for what
 * is yet to come, and what a node an hour behind has signed is too old for all others, until their filters are an hour old. Two
 * hours of news are 8.6 MB: for one peer at each start, not for the 72 that begin each day, and not before the first sync
 * is complete, when updates of unknown channels are of no use.
 */
export const FAR_SECONDS = 7_200;
/**
 * Whoever does not stream is asked for the whole list, one peer so often: 1.2 MB with timestamps and checksums of 50,000 channels, as much
 * as 17 minutes of live gossip, so 0.35 GB a day at most, and a peer is asked once in ROUND_MS. In a simulated network of eight hubs with 25
 * guests each, what one guest knew was everywhere after two and a half hours; with a list each hour, after more than twelve.
 */
export const LIST_MS = 300_000;
/** B7-42: what is older than two weeks is pruned anyway. */
export const LONGEST_ABSENCE_SECONDS = 1_209_600;

export class Streaming {
  readonly #context: SyncContext;
  readonly #lists: Pick<ChannelLists, 'start'>;
  #rotatedMs: number;
  #listedMs: number;
  /** One peer was asked for FAR_SECONDS. */
  #hasReachedBack = false;
  /** Useful messages of each streaming peer when its term began. */
  readonly #before = new Map<number, number>();
  /** Unix seconds since when nobody streams; undefined while somebody does, and before the first. */
  #silentSince: number | undefined;

  constructor(context: SyncContext, lists: Pick<ChannelLists, 'start'>) {
    this.#context = context;
    this.#lists = lists;
    this.#rotatedMs = this.#listedMs = context.now();
  }

  /** A peer whose init is exchanged: sends it its first filter. */
  add(peer: SyncPeer): void {
    const streaming = this.#streaming();
    if (peer.state === 'not_offering') {
      // also to those who do not offer gossip_queries.
      sendFilter(this.#context, peer, FILTER_NOTHING, 0);
      return;
    }
    if (streaming.length < MAX_STREAMING_PEERS) {
      this.#start(peer, 'there is room');
      return;
    }
    const guests = streaming.filter(isGuest);
    // Guests must not be the only ones who tell us what is new, and must be heard.
    const [leaving, why] = isGuest(peer)
      ? [guests.length < GUEST_PLACES ? streaming.findLast(isChosen) : undefined, 'a place for guests']
      : [guests.length > GUEST_PLACES ? guests[0] : undefined, 'a peer that we chose goes first'];
    if (leaving === undefined) sendFilter(this.#context, peer, FILTER_NOTHING, 0);
    else this.#replace(leaving, peer, why);
  }

  /** The peer has left. */
  removed(peer: SyncPeer): void {
    if (!peer.streaming) return;
    this.#before.delete(peer.id);
    const streaming = this.#streaming();
    const guests = streaming.filter(isGuest).length;
    const isForGuest =
      guests < GUEST_PLACES && streaming.length - guests >= MAX_STREAMING_PEERS - GUEST_PLACES;
    const idle = this.#idle();
    const next =
      this.#random(idle.filter(isForGuest ? isGuest : isChosen)) ??
      this.#random(idle.filter(isForGuest ? isChosen : isGuest));
    if (next !== undefined) this.#start(next, 'another one left');
    else if (streaming.length === 0) this.#silentSince = nowSeconds(this.#context.options.clock);
  }

  /** Once a second: the mute and, now and then, the least useful one are replaced, if there is anybody else. */
  tick(): void {
    const now = this.#context.now();
    this.#replaceMute();
    if (this.#context.hasSynced()) {
      this.#reachBack();
      this.#listInTurn(now);
    }
    if (now - this.#rotatedMs < ROTATE_MS) return;
    this.#rotatedMs = now;
    // Until the first sync is complete everybody keeps sending what was missed since the last run.
    if (this.#context.hasSynced()) this.#rotate();
  }

  #rotate(): void {
    const streaming = this.#streaming();
    const idle = this.#idle();
    let least: SyncPeer | undefined;
    let leastGain = Number.POSITIVE_INFINITY;
    for (const peer of streaming) {
      const total = this.#contribution(peer);
      const gain = total - (this.#before.get(peer.id) ?? 0);
      this.#before.set(peer.id, total);
      // The first of equals: it has streamed for the longest time, as a map keeps the order in which peers came.
      if (gain >= leastGain || peer.state === 'full_dump') continue;
      // A peer that we chose is not replaced by one that came by itself, nor a guest in one of their places by another.
      if (!idle.some((other) => isGuest(other) === isGuest(peer))) continue;
      least = peer;
      leastGain = gain;
    }
    if (least === undefined || streaming.length < MAX_STREAMING_PEERS) return;
    const next = this.#random(idle.filter((other) => isGuest(other) === isGuest(least)));
    if (next === undefined) return;
    this.#replace(least, next, 'the least useful one');
    this.#context.options.meter.count('gossipd_streaming_rotations_total');
  }

  /** Who answers no query and has never sent anything will hardly send news; a place is worth more to anybody else. */
  #replaceMute(): void {
    const mute = this.#streaming().find(isMute);
    if (mute === undefined) return;
    const idle = this.#idle().filter((peer) => !isMute(peer));
    const next = this.#random(idle.filter((peer) => isGuest(peer) === isGuest(mute))) ?? this.#random(idle);
    if (next === undefined) return;
    this.#replace(mute, next, 'mute');
    this.#context.options.meter.count('gossipd_streaming_mute_total');
  }

  #reachBack(): void {
    if (this.#hasReachedBack || this.#context.isBusy()) return;
    const streaming = this.#streaming().filter((peer) => !isMute(peer) && peer.state !== 'full_dump');
    const peer = streaming.find(isChosen) ?? streaming[0];
    if (peer === undefined) return;
    this.#hasReachedBack = true;
    const first = nowSeconds(this.#context.options.clock) - FAR_SECONDS;
    sendFilter(this.#context, peer, first, 0xffffffff);
    this.#context.options.log.debug('live gossip from long ago', { peer: peer.port.name, from: first });
  }

  /** The list of whoever was asked the longest time ago. */
  #listInTurn(now: number): void {
    if (now - this.#listedMs < LIST_MS || this.#context.isBusy()) return;
    let oldest: SyncPeer | undefined;
    for (const peer of this.#context.peers.values()) {
      if (peer.state === 'asking_range' || peer.state === 'draining') return;
      const isFree = peer.state === 'ready' && peer.inquiry === undefined && !peer.owesEnd;
      if (peer.streaming || !isFree || now - peer.listAskedMs < ROUND_MS) continue;
      if (oldest === undefined || peer.listAskedMs < oldest.listAskedMs) oldest = peer;
    }
    if (oldest === undefined) return;
    this.#listedMs = now;
    this.#lists.start(oldest, 'sends no live gossip', true);
  }

  #streaming(): SyncPeer[] {
    return [...this.#context.peers.values()].filter(({ streaming }) => streaming);
  }

  /** Who could stream and does not. */
  #idle(): SyncPeer[] {
    return [...this.#context.peers.values()].filter(
      ({ streaming, state }) => !streaming && state !== 'not_offering' && state !== 'full_dump',
    );
  }

  #random(peers: readonly SyncPeer[]): SyncPeer | undefined {
    return peers[Math.floor(this.#context.options.rng.fraction() * peers.length)];
  }

  #contribution({ port }: SyncPeer): number {
    return this.#context.options.contribution?.(port) ?? 0;
  }

  #replace(leaving: SyncPeer, next: SyncPeer, why: string): void {
    this.#stop(leaving, why);
    this.#start(next, why);
  }

  #start(peer: SyncPeer, why: string): void {
    const { log, meter } = this.#context.options;
    const first = this.#liveFrom();
    this.#silentSince = undefined;
    peer.streaming = true;
    this.#before.set(peer.id, this.#contribution(peer));
    sendFilter(this.#context, peer, first, 0xffffffff);
    log.debug('live gossip starts', { peer: peer.port.name, from: first, why });
    meter.gauge('gossipd_streaming_peers', this.#streaming().length);
  }

  #stop(peer: SyncPeer, why: string): void {
    peer.streaming = false;
    this.#before.delete(peer.id);
    sendFilter(this.#context, peer, FILTER_NOTHING, 0);
    this.#context.options.log.debug('live gossip stops', { peer: peer.port.name, why });
  }

  #liveFrom(): number {
    const { clock, newestStored } = this.#context.options;
    const now = nowSeconds(clock);
    const stored = this.#context.hasSynced() ? 0 : (newestStored ?? 0);
    const since = Math.min(stored === 0 ? now : stored, this.#silentSince ?? now, now);
    return Math.max(now - LONGEST_ABSENCE_SECONDS, since - LIVE_SECONDS);
  }
}

/** It came by itself. */
const isGuest = ({ port }: SyncPeer): boolean => port.outbound !== true;
const isChosen = (peer: SyncPeer): boolean => !isGuest(peer);
const isMute = ({ state, sentGossip }: SyncPeer): boolean =>
  (state === 'range_failed' || state === 'silent_on_queries' || state === 'dumped') && !sentGossip;
