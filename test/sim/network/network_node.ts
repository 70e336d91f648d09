/**
 * A node of a simulated network: the rooms of a daemon, joined as daemon/compose.ts and daemon/daemon.ts join them, with the real
 * PeerSession on each line. Only what touches the machine is pretended: store, signatures, chain, connections, time.
 *
 * It can be stopped, cleanly or as by a power cut, and started again from its store.
 */
import { recordingLog } from '../../../src/base/log.ts';
import { silentMeter } from '../../../src/base/meter.ts';
import { type NodeId, nodeIdAt } from '../../../src/base/node_id.ts';
import { type Rng, seededRng } from '../../../src/base/rng.ts';
import type { UtxoLookup, UtxoResult } from '../../../src/chain/utxo_lookup.ts';
import type { SignatureChecker } from '../../../src/crypto/inline_checker.ts';
import type { Contributions } from '../../../src/daemon/compose.ts';
import { PeerSession, type SessionParts } from '../../../src/daemon/peer_session.ts';
import { NetworkGraph } from '../../../src/graph/network_graph.ts';
import { BACKLOG_PAUSE, BACKLOG_RESUME, Ingest } from '../../../src/ingest/ingest.ts';
import type { ClosedBecause, Connection, PeerMessage } from '../../../src/peer/connection.ts';
import type { GossipStore } from '../../../src/store/gossip_store.ts';
import { Seeker } from '../../../src/sync/seeker.ts';
import type { SeekerStatus } from '../../../src/sync/seeker_status.ts';
import { GOSSIPD_INIT_FEATURES } from '../../../src/wire/feature_bits.ts';
import { NodeStore } from './node_store.ts';
import { NodeClock, type Timeline } from './timeline.ts';
import { network, type TrueChannel, type TrueMessage, type Truth } from './truth.ts';
import type { Watch } from './watch.ts';
import type { Endpoint, WireLine } from './wire_line.ts';

const TICK_MS = 1000;
const PRUNE_INTERVAL_MS = 3_600_000;
/** BOLT 7: staggered broadcast. */
const FLUSH_INTERVAL_MS = 60_000;
/** Lookups are answered on a grid, so that many are answered at once. */
const LOOKUP_GRID_MS = 20;

export interface NodeOptions {
  readonly number: number;
  readonly seed: number;
  readonly truth: Truth;
  readonly timeline: Timeline;
  readonly watch: Watch;
  /** True time at the start of the simulation, milliseconds since the epoch. */
  readonly epochMs: number;
  /** How far the node's clock is ahead. */
  readonly skewMs: number;
  readonly features?: Uint8Array;
  /** Part of the lookups that the chain backend cannot answer. */
  readonly chainTrouble: number;
}

export class NetworkNode implements Endpoint {
  readonly number: number;
  readonly nodeId: NodeId;
  readonly isHonest = true;
  readonly features: Uint8Array;
  readonly store: NodeStore;
  /** Channels that it knows to be spent. */
  readonly knowsSpent = new Set<number>();
  readonly lines = new Set<WireLine>();
  /** When each true message was stored first, by its number, in simulated milliseconds. */
  readonly storedAtMs = new Map<number, number>();
  /** How often each was stored. */
  readonly timesStored = new Map<number, number>();
  isUp = false;
  clock: NodeClock;
  graph = new NetworkGraph();
  ingest!: Ingest;
  seeker!: Seeker;
  readonly #options: NodeOptions;
  readonly #rng: Rng;
  readonly #sessions = new Map<WireLine, PeerSession>();
  readonly #byOrigin = new Map<number, PeerSession>();
  #parts!: SessionParts;
  #checker!: SignatureChecker;
  #nextOrigin = 1;
  #isPaused = false;

  constructor(options: NodeOptions) {
    this.#options = options;
    this.number = options.number;
    this.nodeId = nodeIdAt(options.truth.nodeKey(options.number));
    this.features = options.features ?? GOSSIPD_INIT_FEATURES;
    this.#rng = seededRng(options.seed * 100_003 + options.number);
    this.store = new NodeStore((accepted) => {
      const message = options.watch.vouch(this, accepted);
      if (message === undefined) return undefined;
      this.storedAtMs.set(message.number, options.timeline.nowMs);
      this.timesStored.set(message.number, (this.timesStored.get(message.number) ?? 0) + 1);
      return message;
    });
    this.clock = this.#newClock();
  }

  /** Seconds by its own clock. */
  get nowSeconds(): number {
    return Math.floor(this.clock.nowMs() / 1000);
  }

  status(): SeekerStatus {
    return this.seeker.status();
  }

  start(): void {
    const { truth, watch } = this.#options;
    const rng = this.#rng;
    this.clock = this.#newClock();
    const { clock } = this;
    const graph = new NetworkGraph({ salt: Math.floor(rng.fraction() * 0x100000000) });
    this.graph = graph;
    this.store.load((record) => graph.apply(record));
    this.#checker = truth.checker(clock, rng);
    const meter = silentMeter;
    const log = {
      ...recordingLog([]),
      broken: (message: string) => watch.fail(`n${this.number} logs broken: ${message}`),
      unusual: (message: string) => watch.fail(`n${this.number} logs unusual: ${message}`),
    };
    const quiet = { ...log, trace: () => {}, debug: () => {}, info: () => {}, part: () => quiet };
    const common = { graph, network, clock, log: quiet, meter };
    const ingest = new Ingest({
      ...common,
      store: this.store,
      checker: this.#checker,
      utxo: this.#chain(),
      blockHeight: () => truth.height,
    });
    const contributions: Contributions = new WeakMap();
    const utxo = this.#chain();
    const seeker = new Seeker({
      ...common,
      rng,
      backlog: () => ingest.backlog,
      refused: (scidHi, scidLo) => ingest.isRefused(scidHi, scidLo),
      closed: (scidHi, scidLo) => ingest.closed.has(scidHi, scidLo),
      zombie: (scidHi, scidLo) => ingest.isZombie(scidHi, scidLo),
      contribution: (port) => contributions.get(port)?.() ?? 0,
      newestStored: graph.newestUpdate(),
      blockHeight: () => truth.height,
    });
    this.ingest = ingest;
    this.seeker = seeker;
    // A session reads the store by cursor and by offset only.
    const store = this.store as unknown as GossipStore;
    this.#parts = {
      ...{ ...common, store, ingest, seeker, rng, utxo, contributions },
      // Broken rules are seen by the watch; nobody is banned here.
      charge: () => {},
    };
    ingest.onVerdict = (_verdict, _raw, origin, offset) => {
      if (offset !== undefined) this.#byOrigin.get(origin)?.noteHas(offset);
      if (this.#isPaused && ingest.backlog < BACKLOG_RESUME) {
        this.#isPaused = false;
        for (const line of this.#sessions.keys()) line.resumeReading('backlog');
      }
    };
    this.isUp = true;
    for (const channel of truth.channels) this.sawSpent(channel);
    ingest.prune();
    clock.after(Math.floor(rng.fraction() * TICK_MS), () => this.#tick());
    this.#every(PRUNE_INTERVAL_MS, () => ingest.prune());
  }

  /** Ends everything but the store. @param lostRecords how many of its newest records were not durable yet */
  stop(lostRecords = 0): void {
    this.isUp = false;
    for (const line of [...this.lines]) line.cut();
    this.clock.stop();
    this.ingest.close();
    void this.#checker.close();
    if (lostRecords > 0) this.store.crash(lostRecords);
  }

  /** Our own message: from nobody. */
  offer(message: TrueMessage): void {
    if (this.isUp) this.ingest.offer(message.raw, 0);
  }

  /** A block with the spend of the channel, if it is spent, and those that made it old, if they are there. */
  sawSpent(channel: TrueChannel): void {
    if (!this.isUp || channel.spentAt === undefined) return;
    if (!this.knowsSpent.has(channel.number)) {
      this.ingest.channelSpent(channel.scidHi, channel.scidLo, channel.spentAt);
      this.knowsSpent.add(channel.number);
    }
    this.ingest.removeDying(this.#options.truth.height);
  }

  onReady(line: WireLine): void {
    this.lines.add(line);
    const origin = this.#nextOrigin++;
    const session = new PeerSession(line as unknown as Connection, origin, this.#parts, {
      flushIntervalMs: FLUSH_INTERVAL_MS,
      relayUnverified: false,
    });
    this.#sessions.set(line, session);
    this.#byOrigin.set(origin, session);
    if (this.#isPaused) line.pauseReading('backlog');
  }

  onGossip(line: WireLine, raw: Uint8Array): void {
    this.#sessions.get(line)?.onGossip(raw);
    if (this.#isPaused || this.ingest.backlog <= BACKLOG_PAUSE) return;
    this.#isPaused = true;
    for (const other of this.#sessions.keys()) other.pauseReading('backlog');
  }

  onMessage(line: WireLine, message: PeerMessage): void {
    this.#sessions.get(line)?.onMessage(message);
  }

  onWritable(line: WireLine): void {
    this.#sessions.get(line)?.pump();
  }

  onClosed(line: WireLine, because: ClosedBecause): void {
    this.lines.delete(line);
    const session = this.#sessions.get(line);
    if (session === undefined) return;
    this.#sessions.delete(line);
    this.#byOrigin.delete(session.origin);
    session.close();
    if (line.remote.isHonest && because === 'broke_gossip_rules')
      this.#options.watch.fail(`${line.name} closes on an honest node`);
  }

  #newClock(): NodeClock {
    const { timeline, epochMs, skewMs } = this.#options;
    return new NodeClock(timeline, epochMs + skewMs);
  }

  #tick(): void {
    this.seeker.tick();
    for (const session of this.#sessions.values()) session.pump();
    this.clock.after(TICK_MS, () => this.#tick());
  }

  #every(intervalMs: number, work: () => void): void {
    this.clock.after(intervalMs, () => {
      work();
      this.#every(intervalMs, work);
    });
  }

  /** The true chain, behind a backend that takes its time and is away at times. */
  #chain(): UtxoLookup {
    const { truth, timeline, chainTrouble } = this.#options;
    const { clock } = this;
    const rng = this.#rng;
    return {
      name: 'simulated',
      verifies: true,
      lookup: (scid) =>
        new Promise<UtxoResult>((resolve) => {
          const onGrid = Math.ceil((clock.monotonicMs() + 5 + rng.fraction() * 100) / LOOKUP_GRID_MS);
          const isAway = rng.fraction() < chainTrouble;
          clock.after(onGrid * LOOKUP_GRID_MS - clock.monotonicMs(), () => {
            timeline.hasSettled = true;
            const channel = truth.channelAt(scid);
            if (isAway) resolve({ found: 'unavailable' });
            else if (channel === undefined) resolve({ found: 'none', why: 'no_transaction' });
            else if (channel.spentAt !== undefined)
              resolve({ found: 'none', why: 'spent', spentAtHeight: channel.spentAt });
            else resolve({ found: 'unspent', script: channel.script, satoshis: channel.satoshis });
          });
        }),
    };
  }
}
