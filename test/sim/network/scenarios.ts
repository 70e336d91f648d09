/**
 * What can happen to a gossip network, each as a function of a seed and a size. Every one of them runs under the watch (watch.ts), ends with
 * the true map at all honest nodes, and answers with what is worth printing. The tests choose seeds and sizes.
 */
import assert from 'node:assert/strict';
import type { Rng } from '../../../src/base/rng.ts';
import { encodeFeatures } from '../../../src/wire/feature_bits.ts';
import { EPOCH_SECONDS, Network, type NetworkOptions } from './network.ts';
import type { NetworkNode } from './network_node.ts';
import { deafPeer, forger, LIES, liar, replayer } from './rogues.ts';
import { type Edge, hubsAndLeaves, line, randomGraph, smallWorld, twoHalves } from './topologies.ts';
import type { WireLine } from './wire_line.ts';

export interface Size {
  readonly nodes: number;
  readonly channels: number;
  /** Seconds during which channels open and are updated. */
  readonly traffic: number;
  readonly updates: number;
}

/** Figures for people; `trace` is the same for the same seed. */
export interface Outcome {
  readonly trace: string;
  readonly [figure: string]: number | string;
}

export type Topology = 'random' | 'small_world' | 'line';

/** A message waits for the next flush of each line that it takes: at most a minute, and the way. */
const HOP_SECONDS = 62;
const HOUR = 3600;
/** Each peer that does not stream is asked for its list within an hour, where there are not too many; and once more on the next step. */
const MOST_SECONDS = 2 * HOUR;
/** Where hubs have two dozen guests each, a turn takes two hours, and what a guest knows is at most two steps away. */
const MOST_SECONDS_BY_HUBS = 4 * HOUR;

const edgesOf =
  (topology: Topology, nodes: number) =>
  (rng: Rng): Edge[] => {
    switch (topology) {
      case 'random':
        return randomGraph(rng, nodes, 4);
      case 'small_world':
        return smallWorld(rng, nodes, 2);
      case 'line':
        return line(nodes);
    }
  };

/**
 * Steps of the longest of all shortest ways that live gossip can take now, by the filters that were sent; infinite when it
 * does not get everywhere, and the rest is left to the comparison of lists.
 */
const streamingDiameter = ({ nodes, lines }: Network): number => {
  const next: number[][] = nodes.map(() => []);
  for (const dialled of lines)
    for (const { streams, local, remote } of [dialled, dialled.otherEnd])
      if (streams && local.isHonest && remote.isHonest) next[local.number]!.push(remote.number);
  let longest = 0;
  for (let from = 0; from < nodes.length; from++) {
    const steps = new Map([[from, 0]]);
    for (const [at, step] of steps) for (const to of next[at]!) if (!steps.has(to)) steps.set(to, step + 1);
    longest = Math.max(
      longest,
      steps.size < nodes.length ? Number.POSITIVE_INFINITY : Math.max(...steps.values()),
    );
  }
  return longest;
};

/** How long news may take to be everywhere. Fails when live gossip does not get there. */
const spreadSeconds = ({ watch }: Network, diameter: number): number => {
  if (!Number.isFinite(diameter)) watch.fail('live gossip does not reach every node');
  return diameter * HOP_SECONDS + 20;
};

/** Channels open for the whole of the time, and for a minute after it the last updates are made. */
const liveThrough = async (net: Network, size: Size, among?: readonly number[]): Promise<void> => {
  net.traffic({
    channels: size.channels,
    overMs: size.traffic * 1000,
    updates: size.updates,
    ...(among === undefined ? {} : { among }),
  });
  await net.run(size.traffic + 61);
};

const outcome = (net: Network, more: Readonly<Record<string, number>> = {}): Outcome => {
  const { gossipMessages, queries, mostSends, echoes, warnings } = net.watch.figures;
  const perNode = gossipMessages / net.nodes.length;
  return {
    trace: net.watch.trace,
    events: net.timeline.fired,
    messages: net.truth.messages.length,
    sentPerNode: Math.round(perNode),
    /** Sendings for each message and node; one would be a tree. */
    redundancy: Math.round((100 * perNode) / net.truth.messages.length) / 100,
    ...{ queries, mostSends, echoes, warnings },
    ...more,
  };
};

/** Every node is, or comes to be within ten minutes: lists are compared now and then. */
const assertSynced = async (net: Network, nodes: readonly NetworkNode[] = net.nodes): Promise<void> => {
  let left = nodes.filter((node) => node.status().state !== 'synced');
  for (let waited = 0; left.length > 0; waited += 10) {
    const [first] = left;
    if (waited > 600) net.watch.fail(`n${first?.number} is ${first?.status().state}, not synced`);
    await net.run(10);
    left = left.filter((node) => node.status().state !== 'synced');
  }
};

/** All maps say the same of themselves. */
const assertSameFigures = ({ nodes, nowSeconds }: Network): void => {
  const figures = nodes.map(({ graph }) => graph.statistics(nowSeconds));
  for (const [index, other] of figures.entries()) assert.deepEqual(other, figures[0], `n${index}`);
};

/** News comes to everybody within a minute for each step of the longest way. */
export const convergence = async (seed: number, size: Size, topology: Topology): Promise<Outcome> => {
  const net = new Network({
    ...{ seed, nodes: size.nodes, chainTrouble: 0.02 },
    edges: edgesOf(topology, size.nodes),
    // A few know no flags and checksums.
    features: (node) => (node % 5 === 3 ? encodeFeatures([7]) : undefined),
  });
  await liveThrough(net, size);
  const diameter = streamingDiameter(net);
  const took = await net.converge(spreadSeconds(net, diameter));
  await assertSynced(net);
  assertSameFigures(net);
  return outcome(net, { took, diameter });
};

/** Two halves without a way between them for two hours find together through their lists, and fetch only what is news. */
export const partition = async (seed: number, size: Size): Promise<Outcome> => {
  const half = size.nodes >> 1;
  const isBridge = ([one, other]: Edge): boolean => one < half !== other < half;
  const net = new Network({ seed, nodes: size.nodes, edges: (rng) => twoHalves(rng, size.nodes, 3, 3) });
  await liveThrough(net, size);
  await net.converge(MOST_SECONDS);
  const mapBytes = net.truth.messages.reduce((sum, { raw }) => sum + raw.length, 0);

  net.block(true, isBridge);
  const known = net.truth.messages.length;
  const news = { ...size, channels: Math.ceil(size.channels / 20), updates: 1, traffic: 2 * HOUR };
  const sides = [0, 1].map((side) =>
    net.nodes.map(({ number }) => number).filter((number) => number < half === (side === 0)),
  );
  // Updates of channels that both halves know are seen by their timestamps and checksums only.
  for (const channel of net.truth.channels.filter(({ number }) => number % 3 === 0))
    net.after(net.rng.fraction() * HOUR, () => net.updateBy(channel, channel.number % 2 === 0 ? 0 : 1));
  net.traffic({ ...news, overMs: news.traffic * 1000, among: sides[0]! });
  net.traffic({ ...news, overMs: news.traffic * 1000, among: sides[1]! });
  await net.run(news.traffic + 61);
  const newsBytes = net.truth.messages.slice(known).reduce((sum, { raw }) => sum + raw.length, 0);

  net.block(false, isBridge);
  const queriesBefore = net.watch.figures.queries;
  const took = await net.converge(MOST_SECONDS);
  await assertSynced(net);
  assertSameFigures(net);
  const bridges = net.lines.filter(({ local, remote }) => local.number < half !== remote.number < half);
  // The other end of the line has received what this one sent.
  const overBridges = bridges.map((bridge) => bridge.bytesOut + bridge.bytesIn);
  const most = Math.max(...overBridges);
  assert.ok(
    most < newsBytes * 2 + mapBytes / 2,
    `${most} bytes over a bridge for ${newsBytes} of news, ${mapBytes} of map`,
  );
  return outcome(net, {
    took,
    mapBytes,
    newsBytes,
    mostOverABridge: most,
    queriesToHeal: net.watch.figures.queries - queriesBefore,
  });
};

/** Lines that are down for a twentieth of the time, or that lose every twentieth gossip message, delay and lose nothing in the end. */
export const loss = async (seed: number, size: Size, of: 'lines' | 'messages'): Promise<Outcome> => {
  const options: NetworkOptions = { seed, nodes: size.nodes, edges: edgesOf('random', size.nodes) };
  const net = new Network(
    of === 'lines' ? { ...options, downtime: 0.05 } : { ...options, quality: { gossipLoss: 0.05 } },
  );
  await liveThrough(net, size);
  const took = await net.converge(MOST_SECONDS);
  return outcome(net, { took });
};

/** Whom every node chose first answers nothing at all. */
export const deafPeers = async (seed: number, size: Size): Promise<Outcome> => {
  const deaf = Math.ceil(size.nodes / 4);
  const net = new Network({
    ...{ seed, nodes: size.nodes, rogues: deaf },
    edges: (rng) => [
      ...Array.from(
        { length: 2 * size.nodes },
        (_, at): Edge => [at >> 1, size.nodes + ((at * 7) % deaf)],
      ).filter(
        (edge, at, all) => all.findIndex(([one, other]) => one === edge[0] && other === edge[1]) === at,
      ),
      ...randomGraph(rng, size.nodes, 3),
    ],
  });
  for (let number = 0; number < deaf; number++) net.addRogue(deafPeer(net, size.nodes + number));
  await liveThrough(net, size);
  const diameter = streamingDiameter(net);
  const took = await net.converge(spreadSeconds(net, diameter));
  await assertSynced(net);
  return outcome(net, { took, diameter });
};

/** Most nodes dial three of a few hubs, and nobody dials them: their news is found in their lists, as nobody can stream from so many. */
export const hubs = async (seed: number, size: Size): Promise<Outcome> => {
  const net = new Network({ seed, nodes: size.nodes, edges: (rng) => hubsAndLeaves(rng, size.nodes, 8, 3) });
  await liveThrough(net, size);
  const took = await net.converge(MOST_SECONDS_BY_HUBS);
  await assertSynced(net);
  return outcome(net, { took });
};

/** A channel that an honest peer has had for so long, over a connection as old, is in the figure of completeness or in the map. */
const CLAIM_SECONDS = 180;

/** Nobody says that nothing is missing while an honest peer has what it lacks. */
const watchClaims = (net: Network): { claims: number } => {
  const seen = { claims: 0 };
  const isOld = (other: WireLine): boolean => net.timeline.nowMs - other.since > CLAIM_SECONDS * 1000;
  const check = (): void => {
    for (const node of net.nodes) {
      if (!node.isUp || !claimsAll(node)) continue;
      seen.claims++;
      for (const other of node.lines) {
        const peer = net.nodes[other.remote.number];
        if (peer === undefined || !isOld(other)) continue;
        for (const { number, announcement, spentAt } of net.truth.channels) {
          const since = peer.storedAtMs.get(announcement.number);
          if (spentAt !== undefined || since === undefined || node.store.has(announcement)) continue;
          if (net.timeline.nowMs - since > CLAIM_SECONDS * 1000)
            net.watch.fail(`n${node.number} says 100 % without channel ${number}, which n${peer.number} has`);
        }
      }
    }
    net.after(10, check);
  };
  check();
  return seen;
};

interface Figure {
  readonly completeness?: { readonly percent?: number | undefined };
}

/** Whether its status says that every channel of its peers is there. */
const claimsAll = (node: NetworkNode): boolean => {
  const status: Figure & { readonly complete: boolean; readonly percent: number } = node.status();
  if (status.completeness !== undefined) return status.completeness.percent === 100;
  return status.complete && status.percent === 100;
};

/** Newcomers who chose two liars first, and know one or two honest nodes, come to the whole map. */
export const liars = async (seed: number, size: Size): Promise<Outcome> => {
  const old = Math.ceil(size.nodes / 3);
  const newcomers = size.nodes - old;
  const count = LIES.length + 1;
  const net = new Network({
    ...{ seed, nodes: size.nodes, rogues: count },
    edges: (rng) => randomGraph(rng, old, 3),
  });
  for (const [index, lie] of LIES.entries()) net.addRogue(liar(net, size.nodes + index, lie));
  net.addRogue(forger(net, size.nodes + LIES.length));
  const claims = watchClaims(net);
  await liveThrough(
    net,
    size,
    Array.from({ length: old }, (_, node) => node),
  );
  await net.converge(MOST_SECONDS, ({ number }) => number < old);
  for (let index = 0; index < newcomers; index++) {
    const node = old + index;
    for (const bad of [0, 1, 3]) net.connect([node, size.nodes + ((index + bad + seed) % count)]);
    net.after(10, () => {
      net.connect([node, index % old]);
      net.connect([
        node,
        (index + 1 + seed) % old === index % old ? (index + 1) % old : (index + 1 + seed) % old,
      ]);
    });
  }
  await net.run(20);
  const took = await net.converge(MOST_SECONDS);
  await net.run(1200);
  return outcome(net, { took, ...claims });
};

/** Old gossip, sent again and again, is nobody's news: nothing of it is stored, and what is not stored is not sent. */
export const replays = async (seed: number, size: Size): Promise<Outcome> => {
  const count = Math.ceil(size.nodes / 5);
  const net = new Network({
    ...{ seed, nodes: size.nodes, rogues: count },
    edges: (rng) => [
      ...randomGraph(rng, size.nodes, 3),
      ...Array.from({ length: size.nodes }, (_, node): Edge => [node, size.nodes + (node % count)]),
    ],
  });
  for (let number = 0; number < count; number++) net.addRogue(replayer(net, size.nodes + number));
  await liveThrough(net, size);
  const spent = net.truth.channels.filter(({ number }) => number % 4 === 0);
  for (const channel of spent) net.spend(channel);
  net.mine(1);
  await net.run(120);
  net.mine(80);
  await net.run(60);
  const took = await net.converge(MOST_SECONDS);
  const before = { ...net.watch.figures };
  await net.run(400);
  const { stored, gossipMessages } = net.watch.figures;
  assert.equal(stored, before.stored, 'old gossip is not accepted');
  const sent = gossipMessages - before.gossipMessages;
  // Filters and lists are renewed now and then.
  assert.ok(sent < before.gossipMessages / 10, `${sent} messages sent when there was no news`);
  await net.converge(0);
  return outcome(net, { took, spent: spent.length });
};

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Nodes of the clock scenario by number: how far their clocks are ahead. */
const SKEWS = [72 * HOUR_MS, HOUR_MS, -HOUR_MS, 2 * MINUTE_MS, -2 * MINUTE_MS];

/** Clocks that are off by minutes or an hour delay; one that is three days ahead is not believed, and does no harm. */
export const clockSkew = async (seed: number, size: Size, isPatient: boolean): Promise<Outcome> => {
  const net = new Network({
    ...{ seed, nodes: size.nodes },
    edges: edgesOf('random', size.nodes),
    skewMs: (node) => SKEWS[node] ?? 0,
  });
  await liveThrough(net, size);
  const isNear = (number: number): boolean => Math.abs(SKEWS[number] ?? 0) <= 2 * MINUTE_MS;
  const tookNear = await net.converge(MOST_SECONDS, ({ number }) => isNear(number), isNear);
  // Filters go by the timestamps of messages: whoever is an hour off asks for, and says, what only the hourly lists bring.
  const all = isPatient ? () => true : isNear;
  const took = await net.converge((isPatient ? 24 : 3) * HOUR, ({ number }) => number !== 0, all);
  const far = EPOCH_SECONDS + 2 * 86_400;
  const fromAfar = net.truth.messages.filter(({ timestamp }) => timestamp > far);
  assert.ok(fromAfar.length > 0, 'the node three days ahead has said something');
  for (const node of net.nodes.slice(1))
    for (const message of fromAfar)
      assert.ok(!node.store.has(message), `n${node.number} believes the far future`);
  await assertSynced(net, net.nodes.slice(1));
  return outcome(net, { tookNear, took });
};

/** Nodes go and come back from their stores all the time, some with the newest records lost. */
export const churn = async (seed: number, size: Size): Promise<Outcome> => {
  const net = new Network({ seed, nodes: size.nodes, edges: edgesOf('random', size.nodes) });
  const { rng } = net;
  let restarts = 0;
  const untilMs = (size.traffic + 60) * 1000;
  const restartOne = (): void => {
    if (net.timeline.nowMs > untilMs) return;
    const node = net.nodes[Math.floor(rng.fraction() * size.nodes)]!;
    if (node.isUp) {
      restarts++;
      node.stop(rng.fraction() < 0.5 ? 0 : Math.floor(rng.fraction() * 20));
      net.after(5 + rng.fraction() * 90, () => net.restart(node));
    }
    net.after((1.5 - rng.fraction()) * (400 / size.nodes), restartOne);
  };
  net.after(30, restartOne);
  await liveThrough(net, size);
  await net.run(200);
  const took = await net.converge(MOST_SECONDS);
  return outcome(net, { took, restarts });
};
