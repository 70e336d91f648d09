/**
 * Probing: what keeps a synced map honest (BOLT 7, query_channel_range).
 *
 * Once an hour the whole list of another peer, one after the other until all have been asked; every ten minutes a few blocks chosen at random, of
 * a random peer, and some nodes without an announcement; every few minutes the newest blocks, of a peer that sends us no live
 * gossip, because 7.8 % of all messages reach a node by one peer only. What is missing goes to the pool, and the sync fetches it.
 * The seeker calls tick() once a second. Bounds: a probe is of some PROBE_CHANNELS channels; one is under way with a peer at a time.
 */
import { scidBlock } from '../base/short_channel_id.ts';
import type { ChannelLists } from './channel_lists.ts';
import { NodeQuest } from './node_quest.ts';
import { BLOCKS_END } from './range_inquiry.ts';
import type { SyncContext } from './seeker_options.ts';
import { ROUND_MS, type SyncPeer } from './sync_peer.ts';

/** A random range of blocks, and nodes, so often: within a day 144 ranges are three quarters of today's 50,808 channels, by chance. */
export const PROBE_MS = 600_000;
/** The newest blocks so often: a block comes every ten minutes. */
export const TIP_PROBE_MS = 180_000;
/** Channels of a random range: 12 kB of answer with timestamps and checksums, in one reply. */
const PROBE_CHANNELS = 500;
/** A range has at most so many blocks, where there are few channels. */
const MAX_PROBE_BLOCKS = 65_536;
/** A channel is announced six blocks deep; as many again for what was late. */
const TIP_BLOCKS = 12;

export class Probing {
  readonly #context: SyncContext;
  readonly #lists: ChannelLists;
  readonly #nodes: NodeQuest;
  #roundMs: number;
  #probeMs: number;
  #tipMs: number;
  #lastProbed = 0;

  constructor(context: SyncContext, lists: ChannelLists) {
    this.#context = context;
    this.#lists = lists;
    this.#nodes = new NodeQuest(context.options.graph);
    this.#roundMs = this.#probeMs = this.#tipMs = context.now();
  }

  /** True when a round begins: whatever was given up gets another chance. */
  isRoundDue(): boolean {
    const now = this.#context.now();
    if (now - this.#roundMs < ROUND_MS) return false;
    this.#roundMs = now;
    return true;
  }

  /** The whole list of the peer whose list is the oldest: so all take their turn. */
  startRound(): void {
    const able = [...this.#context.peers.values()].filter(isAbleToList);
    const oldest = Math.min(...able.map(({ listAskedMs }) => listAskedMs));
    const peer = this.#random(able.filter(({ listAskedMs }) => listAskedMs === oldest));
    if (peer !== undefined) this.#lists.start(peer, 'hourly round', true);
  }

  /** Once a second, while everything that is listed is known. */
  tick(): void {
    const now = this.#context.now();
    if (now - this.#tipMs >= TIP_PROBE_MS) {
      this.#tipMs = now;
      this.#probeTip();
    }
    if (now - this.#probeMs >= PROBE_MS) {
      this.#probeMs = now;
      this.#probeAnywhere();
      this.#askForNodes();
    }
  }

  #probeTip(): void {
    const peers = this.#probable();
    // Those who stream have told us already.
    const others = peers.filter(({ streaming }) => !streaming);
    const from = others.length > 0 ? others : peers;
    const oldest = Math.min(...from.map(({ probedMs }) => probedMs));
    const peer = this.#random(from.filter(({ probedMs }) => probedMs === oldest));
    const tip = this.#tip();
    if (peer === undefined || tip === undefined) return;
    this.#lists.probe(peer, Math.max(0, tip - TIP_BLOCKS), BLOCKS_END, 'newest blocks');
  }

  #probeAnywhere(): void {
    const peers = this.#probable();
    const others = peers.filter(({ id }) => id !== this.#lastProbed);
    const peer = this.#random(others.length > 0 ? others : peers);
    const range = this.#randomRange();
    if (peer === undefined || range === undefined) return;
    this.#lastProbed = peer.id;
    this.#lists.probe(peer, range.first, range.stop, 'random blocks');
  }

  #askForNodes(): void {
    const { queries } = this.#context;
    const able = [...this.#context.peers.values()].filter(
      (peer) => peer.extended && (peer.state === 'ready' || peer.state === 'probing') && queries.isFree(peer),
    );
    const peer = this.#random(able);
    if (peer === undefined) return;
    const entries = this.#nodes.next();
    if (entries.length === 0) return;
    this.#context.options.log.debug('nodes asked for', { peer: peer.port.name, channels: entries.length });
    queries.ask(peer, this.#nodes, -1, entries);
  }

  /** Peers of whom a few blocks can be asked now: their list is known, and no answer is owed. */
  #probable(): SyncPeer[] {
    return [...this.#context.peers.values()].filter(
      ({ state, holder, inquiry, probesFailed }) =>
        state === 'ready' && holder !== -1 && inquiry === undefined && probesFailed === 0,
    );
  }

  /** From a random channel on, so that every channel is as likely as the other, and as many blocks as hold enough of them. */
  #randomRange(): { readonly first: number; readonly stop: number } | undefined {
    const { graph, rng } = this.#context.options;
    let left = Math.floor(rng.fraction() * graph.channelCount);
    let first = -1;
    graph.forEachChannel((channel) => {
      if (left-- === 0) first = scidBlock(graph.scidHi(channel));
    });
    if (first === -1) return undefined;
    // Somewhat before it: what we lack may be there just as well.
    const [before, most] = [Math.floor(rng.fraction() * TIP_BLOCKS), first + MAX_PROBE_BLOCKS];
    let count = 0;
    let stop = most;
    graph.channelsInBlocks(first, MAX_PROBE_BLOCKS, (channel) => {
      if (++count === PROBE_CHANNELS) stop = scidBlock(graph.scidHi(channel)) + 1;
    });
    return { first: Math.max(0, first - before), stop: Math.min(stop, most, BLOCKS_END) };
  }

  /**
   * Undefined without a channel and without a chain. Where no chain is known, a channel that was made up can lead it astray: the random
   * ranges and the hourly lists do not depend on it.
   */
  #tip(): number | undefined {
    const { graph, blockHeight } = this.#context.options;
    let tip = blockHeight?.();
    if (tip !== undefined) return tip;
    graph.forEachChannel((channel) => {
      tip = Math.max(tip ?? 0, scidBlock(graph.scidHi(channel)));
    });
    return tip;
  }

  #random(peers: readonly SyncPeer[]): SyncPeer | undefined {
    return peers[Math.floor(this.#context.options.rng.fraction() * peers.length)];
  }
}

/**
 * Who may be asked for its whole list again. Not who answers no scid query (LDK 0.1): what only such a peer lists could be had by a dump
 * alone, every hour for a handful of channels.
 */
const isAbleToList = ({ state, owesEnd }: SyncPeer): boolean => {
  switch (state) {
    case 'waiting':
    case 'ready':
    case 'range_failed':
    case 'dumped':
      return !owesEnd;
    case 'silent_on_queries':
    case 'not_offering':
    case 'asking_range':
    case 'draining':
    case 'range_paused':
    case 'probing':
    case 'fetching':
    case 'full_dump':
      return false;
  }
};
