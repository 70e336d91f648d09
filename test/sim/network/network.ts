/**
 * A simulated network of nodes by seed: one timeline, lines between the nodes that drop and are dialled again, owners who announce
 * channels and update them, a chain that grows, and the watch over it all.
 *
 * A scenario builds one, lets time run, and asks for convergence: every honest node has exactly the map that is true.
 */
import { nodeIdAt } from '../../../src/base/node_id.ts';
import { type Rng, seededRng } from '../../../src/base/rng.ts';
import { type UnixSeconds, unixSeconds } from '../../../src/base/time.ts';
import { NetworkNode } from './network_node.ts';
import { Timeline } from './timeline.ts';
import type { Edge } from './topologies.ts';
import { type TrueChannel, type TrueMessage, Truth } from './truth.ts';
import { Watch } from './watch.ts';
import { type Endpoint, type LineQuality, WireLine } from './wire_line.ts';

/** What all right clocks say when the simulation starts. */
export const EPOCH_SECONDS = 1_700_000_000;
/** Mean time until a line that dropped is dialled again. */
const REDIAL_MS = 12_500;
const LOOK_EVERY_TICKS = 10;

export interface NetworkOptions {
  readonly seed: number;
  /** Honest nodes, numbered from 0. */
  readonly nodes: number;
  /** Others that may be added, numbered after them. */
  readonly rogues?: number;
  readonly edges: (rng: Rng) => readonly Edge[];
  readonly quality?: Partial<LineQuality>;
  /** Part of the time for which each line is down. */
  readonly downtime?: number;
  readonly skewMs?: (node: number) => number;
  readonly features?: (node: number) => Uint8Array | undefined;
  readonly chainTrouble?: number;
}

export interface TrafficOptions {
  readonly channels: number;
  /** Milliseconds from now during which the channels open and are updated. */
  readonly overMs: number;
  /** Updates of each side after the first. */
  readonly updates: number;
  /** Nodes that may have channels; all honest ones if not given. */
  readonly among?: readonly number[];
}

interface Dialled {
  readonly edge: Edge;
  line: WireLine | undefined;
  dialAtMs: number;
  isBlocked: boolean;
}

const GOOD_LINE: LineQuality = { latencyMs: 20, jitterMs: 80, bytesPerSecond: 125_000, gossipLoss: 0 };

export class Network {
  readonly seed: number;
  readonly rng: Rng;
  readonly timeline = new Timeline();
  readonly truth: Truth;
  readonly watch: Watch;
  readonly nodes: NetworkNode[] = [];
  readonly #options: NetworkOptions;
  readonly #ends = new Map<number, Endpoint>();
  readonly #dialled: Dialled[] = [];
  readonly #quality: LineQuality;
  #ticks = 0;
  /** Where the last comparison found something. */
  #lastDifferent = 0;

  constructor(options: NetworkOptions) {
    this.#options = options;
    const { seed, nodes } = options;
    this.seed = seed;
    this.rng = seededRng(seed);
    this.truth = new Truth(seed, nodes + (options.rogues ?? 0));
    const byNumber = new Map<number, NetworkNode>();
    this.watch = new Watch(seed, this.truth, this.timeline, byNumber);
    this.#quality = { ...GOOD_LINE, ...options.quality };
    for (let number = 0; number < nodes; number++) {
      const features = options.features?.(number);
      const node = new NetworkNode({
        ...{ number, seed, truth: this.truth, timeline: this.timeline, watch: this.watch },
        epochMs: EPOCH_SECONDS * 1000,
        skewMs: options.skewMs?.(number) ?? 0,
        chainTrouble: options.chainTrouble ?? 0,
        ...(features === undefined ? {} : { features }),
      });
      byNumber.set(number, node);
      this.nodes.push(node);
      this.#ends.set(number, node);
    }
    for (const edge of options.edges(this.rng)) this.connect(edge);
    for (const node of this.nodes) node.start();
    this.#tick();
  }

  /** Seconds by a right clock. */
  get nowSeconds(): UnixSeconds {
    return unixSeconds(EPOCH_SECONDS + Math.floor(this.timeline.nowMs / 1000));
  }

  get lines(): WireLine[] {
    return this.#dialled.flatMap(({ line }) => (line === undefined ? [] : [line]));
  }

  nodeIdOf(number: number): ReturnType<typeof nodeIdAt> {
    return nodeIdAt(this.truth.nodeKey(number));
  }

  addRogue(rogue: Endpoint): void {
    this.#ends.set(rogue.number, rogue);
  }

  /** From now on the first keeps a connection to the second. */
  connect(edge: Edge): void {
    this.#dialled.push({
      edge,
      line: undefined,
      dialAtMs: this.timeline.nowMs + Math.floor(this.rng.fraction() * 3000),
      isBlocked: false,
    });
  }

  /** Cuts every line of these edges and keeps them cut, or lets them be dialled again. */
  block(isBlocked: boolean, which: (edge: Edge) => boolean): void {
    for (const dialled of this.#dialled) {
      if (!which(dialled.edge)) continue;
      dialled.isBlocked = isBlocked;
      if (isBlocked) dialled.line?.cut();
      dialled.dialAtMs = this.timeline.nowMs + Math.floor(this.rng.fraction() * 3000);
    }
  }

  run(seconds: number): Promise<void> {
    return this.timeline.run(seconds * 1000);
  }

  after(seconds: number, work: () => void): void {
    this.timeline.after(seconds * 1000, work);
  }

  /** Blocks are found, and every node sees them some seconds later. */
  mine(blocks: number): void {
    this.truth.height += blocks;
    for (const node of this.nodes)
      this.after(this.rng.fraction() * 20, () => {
        for (const channel of this.truth.channels) node.sawSpent(channel);
      });
  }

  /** The next block spends the channel. */
  spend(channel: TrueChannel): void {
    channel.spentAt = this.truth.height + 1;
  }

  /** Owners open channels, update them and announce themselves over a time. */
  traffic(options: TrafficOptions): void {
    const { rng } = this;
    const among = options.among ?? this.nodes.map(({ number }) => number);
    const someone = (): number => among[Math.floor(rng.fraction() * among.length)]!;
    for (let opened = 0; opened < options.channels; opened++) {
      let [one, other] = [someone(), someone()];
      while (other === one) other = someone();
      this.timeline.after(rng.fraction() * options.overMs * 0.5, () => {
        const channel = this.truth.openChannel(one, other);
        for (const owner of channel.nodes) this.#offer(owner, () => channel.announcement);
        for (const direction of [0, 1] as const) {
          const owner = channel.nodes[direction];
          this.after(1 + rng.fraction() * 20, () => this.updateBy(channel, direction));
          this.after(25, () => {
            if (this.truth.nodes[owner]!.length === 0) this.announceNode(owner);
          });
          for (let more = 0; more < options.updates; more++) {
            const part = (more + rng.fraction()) / options.updates;
            this.timeline.after(60_000 + options.overMs * 0.5 * part, () =>
              this.updateBy(channel, direction),
            );
          }
        }
      });
    }
  }

  /** The owner of the side updates it, unless the channel is spent by then. */
  updateBy(channel: TrueChannel, direction: 0 | 1): void {
    if (channel.spentAt !== undefined) return;
    const owner = channel.nodes[direction];
    this.#offer(owner, (node) => this.truth.update(channel, direction, node.nowSeconds));
  }

  announceNode(number: number): void {
    this.#offer(number, (node) => this.truth.announceNode(number, node.nowSeconds));
  }

  /** A node that was stopped comes back from its store. Its own messages it knows in any case. */
  restart(node: NetworkNode): void {
    node.start();
    const own = this.truth.nodes[node.number]!.slice(-1);
    for (const { nodes, spentAt, announcement, updates } of this.truth.channels) {
      if (spentAt !== undefined || !nodes.includes(node.number)) continue;
      node.offer(announcement);
      for (const message of updates[nodes[0] === node.number ? 0 : 1].slice(-1)) node.offer(message);
    }
    for (const message of own) node.offer(message);
  }

  /**
   * Runs until every node that is meant has the true map; fails after `seconds`. Answers with how many it took.
   *
   * @param isOwner whose messages count; everybody's if not given
   */
  async converge(
    seconds: number,
    isMeant: (node: NetworkNode) => boolean = () => true,
    isOwner: (owner: number) => boolean = () => true,
  ): Promise<number> {
    const startMs = this.timeline.nowMs;
    const meant = this.nodes.filter(isMeant);
    for (;;) {
      const found = this.#firstDifference(meant, isOwner);
      const took = (this.timeline.nowMs - startMs) / 1000;
      if (found === undefined) return took;
      if (took >= seconds) this.watch.fail(`not converged after ${took} s: ${found}`);
      await this.run(10);
    }
  }

  /** How the node's map differs from the true one; nothing when it does not. */
  differences({ graph }: NetworkNode, isOwner: (owner: number) => boolean = () => true): string[] {
    const found: string[] = [];
    const { truth } = this;
    const latest = this.nowSeconds + 86_400;
    const differs = (what: string, has: number, should: number): void => {
      if (has !== should) found.push(`${what}: ${has} for ${should}`);
    };
    const announced = new Set<number>();
    let [open, halves] = [0, 0];
    for (const channel of truth.channels) {
      const index = graph.channelIndex(channel.scidHi, channel.scidLo);
      if (channel.spentAt !== undefined) {
        if (truth.height >= channel.spentAt + 72) differs(`spent channel ${channel.number}`, index, -1);
        continue;
      }
      open++;
      if (index < 0) {
        found.push(`channel ${channel.number} is missing`);
        continue;
      }
      for (const direction of [0, 1] as const) {
        if (!isOwner(channel.nodes[direction])) continue;
        const should = newestUntil(channel.updates[direction], latest);
        if (should > 0) halves++;
        const has = graph.hasUpdate(index, direction) ? graph.updateTimestamp(index, direction) : 0;
        differs(`channel ${channel.number}/${direction}`, has, should);
        announced.add(channel.nodes[direction]);
      }
    }
    let nodes = 0;
    for (const number of announced) {
      const index = graph.nodeIndex(truth.nodeKey(number), 0);
      const should = newestUntil(truth.nodes[number]!, latest);
      if (should > 0) nodes++;
      differs(
        `node n${number}`,
        index >= 0 && graph.hasNodeAnnouncement(index) ? graph.nodeTimestamp(index) : 0,
        should,
      );
    }
    // Of whom nobody speaks, nothing may be known either.
    if (graph.dyingCount === 0 && found.length === 0 && this.nodes.every(({ number }) => isOwner(number))) {
      differs('channels', graph.channelCount, open);
      differs('half channels', graph.halfChannelCount, halves);
      differs('node announcements', graph.nodeAnnouncementCount, nodes);
    }
    return found;
  }

  #firstDifference(meant: readonly NetworkNode[], isOwner: (owner: number) => boolean): string | undefined {
    for (let step = 0; step < meant.length; step++) {
      const at = (this.#lastDifferent + step) % meant.length;
      const node = meant[at]!;
      const found = node.isUp ? this.differences(node, isOwner) : ['is down'];
      if (found.length === 0) continue;
      this.#lastDifferent = at;
      return `n${node.number} (${node.lines.size} lines): ${found.length} differences, ${found.slice(0, 3).join('; ')}`;
    }
    return undefined;
  }

  /** Has a message signed and offered as soon as its owner is up. */
  #offer(owner: number, make: (node: NetworkNode) => TrueMessage): void {
    const node = this.nodes[owner]!;
    if (node.isUp) node.offer(make(node));
    else this.after(10, () => this.#offer(owner, make));
  }

  #tick(): void {
    this.#dial();
    if (this.#ticks++ % LOOK_EVERY_TICKS === 0)
      for (const node of this.nodes) if (node.isUp) this.watch.look(node);
    this.timeline.after(1000, () => this.#tick());
  }

  #dial(): void {
    const { timeline, rng } = this;
    const downtime = this.#options.downtime ?? 0;
    const drops = downtime === 0 ? 0 : ((downtime / (1 - downtime)) * 1000) / REDIAL_MS;
    for (const dialled of this.#dialled) {
      const { edge, line } = dialled;
      if (line !== undefined && drops > 0 && rng.fraction() < drops) line.cut();
      if (line?.phase === 'closed') {
        dialled.line = undefined;
        dialled.dialAtMs = timeline.nowMs + Math.floor(REDIAL_MS * (0.4 + 1.2 * rng.fraction()));
      }
      if (dialled.line !== undefined || dialled.isBlocked || dialled.dialAtMs > timeline.nowMs) continue;
      const [near, far] = [this.#endUp(edge[0]), this.#endUp(edge[1])];
      if (near === undefined || far === undefined) continue;
      this.watch.note(5, near.number, far.number);
      dialled.line = WireLine.join(near, far, { timeline, rng, watch: this.watch, quality: this.#quality });
    }
  }

  #endUp(number: number): Endpoint | undefined {
    const node = this.nodes[number];
    return node === undefined || node.isUp ? this.#ends.get(number) : undefined;
  }
}

const newestUntil = (messages: readonly TrueMessage[], latest: number): number => {
  for (let at = messages.length - 1; at >= 0; at--)
    if (messages[at]!.timestamp <= latest) return messages[at]!.timestamp;
  return 0;
};
