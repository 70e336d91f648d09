/**
 * One seeker against a small crowd of peers on a pretended network, by seed: honest ones that each have part of the map, one
 * that dumps everything on the first filter and never answers scid queries, a deaf one and a liar. Every peer that
 * serves is our own QueryServer and RelayStream, so both sides of sync/ are held against each other.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NETWORKS } from '../../src/base/chain_hash.ts';
import { silentLog } from '../../src/base/log.ts';
import { MemoryMeter, silentMeter } from '../../src/base/meter.ts';
import { type Rng, seededRng } from '../../src/base/rng.ts';
import { ManualClock } from '../../src/base/time.ts';
import { MemoryStore, scidOf } from '../../src/sync/memory_store.test.support.ts';
import { QueryServer } from '../../src/sync/query_server.ts';
import { RelayStream } from '../../src/sync/relay_stream.ts';
import { Seeker } from '../../src/sync/seeker.ts';
import { isWireFault } from '../../src/wire/fault.ts';
import { encodeFeatures } from '../../src/wire/feature_bits.ts';
import { decodeMessage } from '../../src/wire/message.ts';
import { MESSAGE_TYPE } from '../../src/wire/message_types.ts';
import { encodeReplyChannelRange } from '../../src/wire/reply_channel_range.ts';
import { encodeReplyShortChannelIdsEnd } from '../../src/wire/reply_short_channel_ids_end.ts';

const network = NETWORKS.regtest;
const chain_hash = network.chainHashBytes;
const NOW = 1_700_000_000;
const CHANNELS = 400;
/** Messages on the way to the seeker before a sender has to wait. */
const IN_FLIGHT = 20;

/** The slow one sends its list in many small replies. */
type Kind = 'honest' | 'slow' | 'dumper' | 'deaf' | 'inventor' | 'breaker';

interface World {
  readonly clock: ManualClock;
  readonly rng: Rng;
  readonly client: MemoryStore;
  readonly seeker: Seeker;
  readonly meter: MemoryMeter;
  /** Bytes and messages that came, by type. */
  readonly received: Map<string, { bytes: number; messages: number }>;
}

/** The same list in replies of ten channels, blocks split as they come. */
const inPieces = (raw: Uint8Array): Uint8Array[] => {
  const reply = decodeMessage(raw);
  if (isWireFault(reply) || reply.type !== 'reply_channel_range') return [raw];
  const { first_blocknum: first, short_channel_ids: ids } = reply;
  const end = first + reply.number_of_blocks;
  const pieces: Uint8Array[] = [];
  for (let at = 0, from = first; ; at += 10) {
    const next = ids[at + 10];
    // The block of the next one may have begun in this piece: it is covered by both.
    const until = next === undefined ? end : Number(next >> 40n) + 1;
    pieces.push(
      encodeReplyChannelRange({
        ...{ chain_hash, first_blocknum: from, number_of_blocks: until - from },
        sync_complete: next === undefined,
        short_channel_ids: ids.slice(at, at + 10),
      }),
    );
    if (next === undefined) return pieces;
    from = until - 1;
  }
};

/** In order, each after a delay of its own. */
const line = (
  clock: ManualClock,
  rng: Rng,
  deliver: (raw: Uint8Array) => void,
): ((raw: Uint8Array) => void) => {
  let last = 0;
  return (raw) => {
    last = Math.max(last, clock.monotonicMs() + rng.fraction() * 80);
    clock.after(last - clock.monotonicMs(), () => deliver(raw));
  };
};

/** A server with its store, connected to the seeker. Answers with how to disconnect it. */
const connect = (world: World, name: string, kind: Kind, store: MemoryStore, extended: boolean) => {
  const { clock, rng, client, seeker } = world;
  let connected = true;
  let inFlight = 0;
  let filtered = false;
  const toClient = line(clock, rng, (raw) => {
    inFlight--;
    if (!connected) return;
    const message = decodeMessage(raw);
    assert.ok(!isWireFault(message));
    const kindOfMessage = message.type === 'gossip' ? `gossip ${message.kind}` : message.type;
    const counted = world.received.get(kindOfMessage) ?? { bytes: 0, messages: 0 };
    world.received.set(kindOfMessage, {
      bytes: counted.bytes + raw.length,
      messages: counted.messages + 1,
    });
    let problem: string | undefined;
    if (message.type === 'gossip') {
      seeker.onGossip(id);
      client.accept(raw);
    } else if (message.type === 'reply_channel_range') problem = seeker.onReplyChannelRange(id, message);
    else if (message.type === 'reply_short_channel_ids_end')
      problem = seeker.onReplyShortChannelIdsEnd(id, message);
    if (kind === 'honest') assert.equal(problem, undefined);
    server.pump();
    relay.pump();
  });
  const send = (raw: Uint8Array): void => {
    for (const [index, piece] of (kind === 'slow' ? inPieces(raw) : [raw]).entries()) {
      inFlight++;
      if (index === 0) toClient(piece);
      else clock.after(index * 100, () => toClient(piece));
    }
  };
  const canSend = (): boolean => connected && inFlight < IN_FLIGHT;
  const shared = { graph: store.graph, store, network, send, canSend, log: silentLog, meter: silentMeter };
  const server = new QueryServer(shared);
  const relay = new RelayStream({
    ...shared,
    clock,
    isEcho: () => false,
    flushIntervalMs: 60_000,
    staggerMs: Math.floor(rng.fraction() * 60_000),
    relayUnverified: false,
  });
  const toServer = line(clock, rng, (raw) => {
    const message = decodeMessage(raw);
    assert.ok(!isWireFault(message));
    if (!connected || kind === 'deaf') return;
    switch (message.type) {
      case 'gossip_timestamp_filter':
        if (kind !== 'dumper') assert.equal(relay.onFilter(message), undefined);
        else if (!filtered) relay.onFilter({ ...message, first_timestamp: 0 });
        filtered = true;
        return;
      case 'query_channel_range':
        if (kind === 'inventor') {
          const invented = BigUint64Array.from({ length: 300 }, (_, index) => scidOf(2_000_000 + index));
          return send(
            encodeReplyChannelRange({
              chain_hash,
              first_blocknum: 0,
              number_of_blocks: 0xffffffff,
              sync_complete: true,
              short_channel_ids: invented,
            }),
          );
        }
        if (kind === 'breaker') {
          return send(
            encodeReplyChannelRange({
              chain_hash,
              first_blocknum: 7,
              number_of_blocks: 1,
              sync_complete: rng.fraction() < 0.5,
              short_channel_ids: BigUint64Array.of(scidOf(1_000_000)),
            }),
          );
        }
        // the seeker never has two open.
        assert.equal(server.onQueryChannelRange(message), undefined);
        return;
      case 'query_short_channel_ids':
        if (kind === 'dumper') return;
        if (kind === 'inventor')
          return send(encodeReplyShortChannelIdsEnd({ chain_hash, full_information: true }));
        //
        assert.equal(server.onQueryShortChannelIds(message), undefined);
        return;
      default:
        assert.fail(`unexpected ${message.type}`);
    }
  });
  const id: number = seeker.addPeer({
    name,
    features: encodeFeatures(extended ? [7, 11] : [7]),
    send: toServer,
  });
  return () => {
    connected = false;
    server.close();
    relay.close();
    seeker.removePeer(id);
  };
};

const run = (world: World, seconds: number, until: () => boolean = () => false): boolean => {
  for (let second = 0; second < seconds; second++) {
    world.clock.advance(1000);
    world.seeker.tick();
    if (until()) return true;
  }
  return until();
};

const build = (seed: number): World => {
  const rng = seededRng(seed);
  const clock = new ManualClock(NOW * 1000);
  const client = new MemoryStore();
  const meter = new MemoryMeter();
  const seeker = new Seeker(
    { graph: client.graph, network, clock, rng, log: silentLog, meter },
    { chunkScids: 30 },
  );
  return { clock, rng, client, seeker, meter, received: new Map() };
};

/** A store with those channels of the map that `has` picks, two nodes for each. */
const part = (has: (index: number) => boolean): MemoryStore => {
  const store = new MemoryStore();
  for (let index = 0; index < CHANNELS; index++) {
    if (!has(index)) continue;
    store.channel(scidOf(100 + (index >> 1), index & 1), NOW - 5_000 - index, [
      index % 50,
      50 + (index % 70),
    ]);
  }
  for (let node = 0; node < 120; node++)
    if (store.graph.nodeCount > 0 && hasNode(store, node)) store.node(node, NOW - 900);
  return store;
};

const hasNode = (store: MemoryStore, node: number): boolean => {
  let found = false;
  store.graph.forEachChannel((channel) => {
    found ||= [0, 1].some((side) => {
      const bytes = store.graph.nodeIdBytes(store.graph.channelNode(channel, side === 0 ? 0 : 1));
      return bytes[4] === node;
    });
  });
  return found;
};

for (let seed = 1; seed <= 12; seed++) {
  test(`Q-02 Q-07 Q-12 seed ${seed}: the whole map arrives, though peers are deaf, lie, leave and have only parts`, () => {
    const world = build(seed);
    const { rng, client, seeker, clock } = world;
    const owner = Array.from({ length: CHANNELS }, () => Math.floor(rng.fraction() * 3));
    const stores = [0, 1, 2].map((mine) => part((index) => owner[index] === mine || rng.fraction() < 0.5));
    const kinds: [Kind, MemoryStore][] = [
      ['deaf', stores[0]!],
      [seed % 2 === 0 ? 'inventor' : 'breaker', stores[1]!],
      ...stores.map((store): [Kind, MemoryStore] => ['honest', store]),
    ];
    // In an order of its own for each seed.
    for (let index = kinds.length - 1; index > 0; index--) {
      const other = Math.floor(rng.fraction() * (index + 1));
      [kinds[index], kinds[other]] = [kinds[other]!, kinds[index]!];
    }
    const leaves = kinds.map(([kind, store], index) =>
      connect(world, `${kind} ${index}`, kind, store, rng.fraction() < 0.5),
    );
    // One honest peer drops out in the middle of things and comes back.
    run(world, 1);
    const leaver = kinds.findIndex(([kind]) => kind === 'honest');
    leaves[leaver]!();
    connect(world, 'returned', 'honest', kinds[leaver]![1], true);
    const whole = (): boolean => client.graph.channelCount === CHANNELS && seeker.status().state === 'synced';
    assert.ok(run(world, 900, whole), JSON.stringify(seeker.status()));
    assert.equal(client.graph.halfChannelCount, CHANNELS * 2);
    assert.equal(client.graph.nodeAnnouncementCount, 120);
    const status = seeker.status();
    assert.deepEqual([status.complete, status.percent], [true, 100]);
    // What was made up is all that is missing of what peers list.
    assert.equal(status.completeness.known, CHANNELS);
    assert.equal(status.completeness.missing, status.givenUp);
    // Live gossip reaches the seeker within a flush of any honest peer.
    stores[0]!.channel(scidOf(5000), Math.floor(clock.nowMs() / 1000), [1, 2]);
    assert.ok(run(world, 125, () => client.graph.channelCount === CHANNELS + 1));
  });
}

test('a peer that dumps on the first filter and ignores scid queries is enough', () => {
  const world = build(99);
  connect(
    world,
    'dumper',
    'dumper',
    part(() => true),
    false,
  );
  const done = run(world, 300, () => world.seeker.status().state === 'synced');
  assert.ok(done, JSON.stringify(world.seeker.status()));
  assert.equal(world.client.graph.channelCount, CHANNELS);
});

test('inventors are seen through: what they made up is given up, and the rest arrives', () => {
  const world = build(100);
  connect(world, 'inventor', 'inventor', new MemoryStore(), true);
  connect(
    world,
    'honest',
    'honest',
    part(() => true),
    true,
  );
  const done = run(world, 60, () => world.seeker.status().state === 'synced');
  assert.ok(done, JSON.stringify(world.seeker.status()));
  assert.deepEqual([world.client.graph.channelCount, world.seeker.status().givenUp], [CHANNELS, 300]);
});

for (const seed of [31, 32, 33, 34]) {
  test(`seed ${seed}: a sync whose only peer leaves in the middle of its list goes on from there with the next one`, () => {
    const world = build(seed);
    const { client, seeker } = world;
    const whole = part(() => true);
    const leave = connect(world, 'first', 'slow', whole, seed % 2 === 0);
    const reached = (): number => seeker.status().peers[0]?.listing?.reached ?? 0;
    for (let step = 0; step < 400 && reached() < 150 + (seed % 4) * 20; step++) world.clock.advance(10);
    assert.ok(reached() > 100 && reached() < 300, `${reached()}`);
    const from = reached();
    leave();
    assert.deepEqual([seeker.status().completeness.percent, seeker.status().complete], [undefined, false]);
    run(world, 20);
    connect(world, 'second', 'slow', whole, seed % 3 === 0);
    const ranges = () => seeker.status().ranges.map(({ first, end, peer }) => [first, end, peer]);
    assert.ok(run(world, 300, () => seeker.status().state === 'fetching'));
    assert.deepEqual(ranges(), [
      [0, from, 'first'],
      [from, 0x1000000, 'second'],
    ]);
    const done = run(world, 300, () => seeker.status().state === 'synced');
    assert.ok(done, JSON.stringify(seeker.status()));
    assert.deepEqual([client.graph.channelCount, client.graph.halfChannelCount], [CHANNELS, CHANNELS * 2]);
    assert.deepEqual([seeker.status().completeness.percent, seeker.status().completeness.lists], [100, 1]);
    // It was asked for its own whole list before that was said.
    assert.deepEqual(ranges(), [[0, 0x1000000, 'second']]);
  });
}

test('(Q-05, Q-07) with query_flags each node announcement comes once, without them many times; the rest is the same', () => {
  const costs = [true, false].map((extended) => {
    const world = build(77);
    connect(
      world,
      'peer',
      'honest',
      part(() => true),
      extended,
    );
    const done = run(world, 300, () => world.seeker.status().state === 'synced');
    assert.ok(done, JSON.stringify(world.seeker.status()));
    assert.equal(world.client.graph.nodeAnnouncementCount, 120);
    const { received } = world;
    const total = [...received.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    const of = (kind: number) => received.get(`gossip ${kind}`)?.messages ?? 0;
    return {
      nodes: of(MESSAGE_TYPE.node_announcement),
      channels: of(MESSAGE_TYPE.channel_announcement),
      updates: of(MESSAGE_TYPE.channel_update),
      total,
    };
  });
  const [flagged, plain] = [costs[0]!, costs[1]!];
  assert.deepEqual(flagged, { nodes: 120, channels: CHANNELS, updates: CHANNELS * 2, total: flagged.total });
  assert.deepEqual([plain.channels, plain.updates], [CHANNELS, CHANNELS * 2]);
  assert.ok(plain.nodes > 4 * flagged.nodes, `${plain.nodes} node announcements`);
  assert.ok(flagged.total < 0.8 * plain.total, `${flagged.total} of ${plain.total} bytes`);
});

test('a channel that no live gossip brings is found by asking for the newest blocks, long before the hourly comparison', () => {
  const world = build(55);
  const all = part(() => true);
  connect(world, 'first', 'honest', all, true);
  assert.ok(run(world, 60, () => world.seeker.status().state === 'synced'));
  // A second one, whose list is known as well, learns of a channel whose update is too old for its live gossip.
  const other = part(() => true);
  connect(world, 'other', 'honest', other, true);
  run(world, 130);
  other.announce(scidOf(301));
  other.update(scidOf(301), 0, NOW - 900_000);
  const found = run(world, 600, () => world.client.graph.channelCount === CHANNELS + 1);
  assert.ok(found, JSON.stringify(world.seeker.status()));
  assert.ok(world.meter.get('gossipd_probes_total', 'missing') >= 1);
});
