/**
 * Streaming: who sends live gossip (BOLT 7, gossip_timestamp_filter). All others are told to send nothing.
 *
 * The seeker tells who came and left, and calls tick(). A streaming peer that leaves is replaced at once, and every twenty minutes the
 * least useful one makes room for another; whoever begins is asked for some minutes of the past too, back to when the
 * last one stopped, so that nothing falls between two peers.
 * Bound: MAX_STREAMING_PEERS.
 */
import { nowSeconds } from '../base/time.ts';
import { FILTER_NOTHING } from './relay_stream.ts';
import { type SyncContext, sendFilter } from './seeker_options.ts';
import type { SyncPeer } from './sync_peer.ts';

/**
 * Each peer sends each message, some 103 MB a day, so ten are a gigabyte for 103 MB of news; CLN has ten. Of all messages 56 % reach nearly
 * everyone and any peer brings them; 16 % reach at most five of a thousand peers, and of these neither five nor ten random peers bring
 * more than a few. What ten do better is delay: the quickest of five is among the first sixth of those who have a message, of
 * ten among the first eleventh, which is half a minute in gossip that takes three. Half the traffic is worth that, and what no
 * streaming peer brings is found by asking the others for lists and for the newest blocks.
 */
export const MAX_STREAMING_PEERS = 5;
/** lnd's interval. */
export const ROTATE_MS = 1_200_000;
/** Live gossip is asked for from this long ago, as CLN does: it covers the flush interval and clocks that differ. */
export const LIVE_SECONDS = 600;
/** B7-42: what is older than two weeks is pruned anyway. */
export const LONGEST_ABSENCE_SECONDS = 1_209_600;

export class Streaming {
  readonly #context: SyncContext;
  #rotatedMs: number;
  /** Useful messages of each streaming peer when its term began. */
  readonly #before = new Map<number, number>();
  /** Unix seconds since when nobody streams; undefined while somebody does, and before the first. */
  #silentSince: number | undefined;

  constructor(context: SyncContext) {
    this.#context = context;
    this.#rotatedMs = context.now();
  }

  /** A peer whose init is exchanged: sends it its first filter. */
  add(peer: SyncPeer): void {
    const streaming = this.#streaming();
    if (peer.state === 'not_offering') {
      // also to those who do not offer gossip_queries.
      sendFilter(this.#context, peer, FILTER_NOTHING, 0);
    } else if (streaming.length < MAX_STREAMING_PEERS) {
      this.#start(peer, 'there is room');
    } else {
      // Those who came by themselves must not be the only ones who tell us what is new.
      const guest =
        peer.port.outbound === true ? streaming.find(({ port }) => port.outbound !== true) : undefined;
      if (guest === undefined) sendFilter(this.#context, peer, FILTER_NOTHING, 0);
      else {
        this.#stop(guest, 'a peer that we chose goes first');
        this.#start(peer, 'a peer that we chose goes first');
      }
    }
  }

  /** The peer has left. */
  removed(peer: SyncPeer): void {
    if (!peer.streaming) return;
    this.#before.delete(peer.id);
    const next = this.#candidate();
    if (next !== undefined) this.#start(next, 'another one left');
    else if (this.#streaming().length === 0) this.#silentSince = nowSeconds(this.#context.options.clock);
  }

  /** Every twenty minutes the least useful one is replaced, if there is anybody else. */
  tick(): void {
    const now = this.#context.now();
    if (now - this.#rotatedMs < ROTATE_MS) return;
    this.#rotatedMs = now;
    const next = this.#candidate();
    // Until the first sync is complete everybody keeps sending what was missed since the last run.
    if (next === undefined || !this.#context.hasSynced()) return;
    let least: SyncPeer | undefined;
    let leastGain = Number.POSITIVE_INFINITY;
    for (const peer of this.#streaming()) {
      const total = this.#contribution(peer);
      const gain = total - (this.#before.get(peer.id) ?? 0);
      this.#before.set(peer.id, total);
      // The first of equals: it has streamed for the longest time, as a map keeps the order in which peers came.
      if (gain >= leastGain || peer.state === 'full_dump') continue;
      least = peer;
      leastGain = gain;
    }
    if (least === undefined || this.#streaming().length < MAX_STREAMING_PEERS) return;
    // A peer that we chose is not replaced by one that came by itself.
    if (least.port.outbound === true && next.port.outbound !== true) return;
    this.#stop(least, 'the least useful one');
    this.#start(next, 'its turn');
    this.#context.options.meter.count('gossipd_streaming_rotations_total');
  }

  #streaming(): SyncPeer[] {
    return [...this.#context.peers.values()].filter(({ streaming }) => streaming);
  }

  /** At random, among those whom we chose if there are any. */
  #candidate(): SyncPeer | undefined {
    const idle = [...this.#context.peers.values()].filter(
      ({ streaming, state }) => !streaming && state !== 'not_offering' && state !== 'full_dump',
    );
    const chosen = idle.filter(({ port }) => port.outbound === true);
    const from = chosen.length > 0 ? chosen : idle;
    return from[Math.floor(this.#context.options.rng.fraction() * from.length)];
  }

  #contribution({ port }: SyncPeer): number {
    return this.#context.options.contribution?.(port) ?? 0;
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
