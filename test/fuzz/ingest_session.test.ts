/**
 * Sessions of honest peers and forgers against one Ingest, at random: good, stale, forged, broken and reordered messages from
 * several origins, answers of the signature checker out of order, a chain that goes away, a store that takes nothing, pruning,
 * spends, and time. After each stretch: nothing unverified is in the store, the graph equals a replay of it, all bounds hold. At the
 * end every offer has had exactly one verdict, every room is empty, and the honest messages, offered again, all get in.
 *
 * The seeds are fixed; FUZZ_SEED=N starts at another one, FUZZ_RUNS=N runs more.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { own, toHex } from '../../src/base/bytes.ts';
import { silentLog } from '../../src/base/log.ts';
import { silentMeter } from '../../src/base/meter.ts';
import { type Rng, seededRng } from '../../src/base/rng.ts';
import { scidFromParts } from '../../src/base/short_channel_id.ts';
import { ManualClock } from '../../src/base/time.ts';
import { utxoNone } from '../../src/chain/utxo_none.ts';
import { doubleSha256 } from '../../src/crypto/hash.ts';
import { inlineChecker, type SignatureChecker } from '../../src/crypto/inline_checker.ts';
import { NetworkGraph } from '../../src/graph/network_graph.ts';
import { GossipStore } from '../../src/store/gossip_store.ts';
import { memoryStoreFolder } from '../../src/store/memory_folder.test.support.ts';
import {
  channelAnnouncementNodeId1At,
  channelAnnouncementScidHi,
  channelAnnouncementScidLo,
} from '../../src/wire/channel_announcement.ts';
import {
  channelUpdateDirection,
  channelUpdateScidHi,
  channelUpdateScidLo,
} from '../../src/wire/channel_update.ts';
import { nodeAnnouncementNodeIdAt } from '../../src/wire/node_announcement.ts';
import { FakeChain, House, settled } from '../fixtures/ingest_house.ts';
import {
  engine,
  flipBit,
  type Identity,
  makeChannel,
  makeIdentity,
  makeNode,
  makeUpdate,
  NOW_SECONDS,
  type SignedChannel,
} from '../fixtures/signed_gossip.ts';

const FIRST_SEED = Number(process.env['FUZZ_SEED'] ?? 1);
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 16);
const STEPS = 700;
const NODES = 8;
const CHANNELS = 14;
const ORIGINS = 5;

const below = (rng: Rng, count: number): number => Math.floor(rng.fraction() * count);
const pick = <T>(rng: Rng, list: readonly T[]): T => list[below(rng, list.length)]!;

interface Cast {
  readonly channels: readonly SignedChannel[];
  readonly nodes: readonly Identity[];
  /** What the owners of the channels and nodes really said, announcements first and updates by age. */
  readonly honest: readonly Uint8Array[];
  readonly hostile: readonly Uint8Array[];
}

const makeCast = (rng: Rng, seed: number): Cast => {
  const nodes = Array.from({ length: NODES }, (_, index) => makeIdentity(`fuzz node ${index}`));
  const channels: SignedChannel[] = [];
  const honest: Uint8Array[] = [];
  const hostile: Uint8Array[] = [];
  for (let index = 0; index < CHANNELS; index++) {
    const one = below(rng, NODES);
    const other = (one + 1 + below(rng, NODES - 1)) % NODES;
    const scid = scidFromParts(100 + index, below(rng, 4), index % 2);
    channels.push(makeChannel({ seed: `fuzz ${seed} ${index}`, nodes: [nodes[one]!, nodes[other]!], scid }));
  }
  const forgers = [makeIdentity('forger 1'), makeIdentity('forger 2')] as const;
  for (const [index, channel] of channels.entries()) {
    honest.push(channel.raw);
    const forged = makeChannel({ seed: `forged ${seed} ${index}`, nodes: forgers, scid: channel.scid });
    hostile.push(forged.raw, flipBit(channel.raw, below(rng, channel.raw.length), below(rng, 8)));
    for (const direction of [0, 1] as const) {
      for (let age = 3; age >= 0; age--) {
        const timestamp = NOW_SECONDS - 1000 * age - index;
        const update = makeUpdate(channel, {
          direction,
          timestamp,
          feeBaseMsat: age * 5 + below(rng, 5),
          isDisabled: age === 1,
        });
        honest.push(update);
        hostile.push(flipBit(update, 2 + below(rng, update.length - 2), below(rng, 8)));
      }
      const timestamp = NOW_SECONDS + below(rng, 3 * 86_400) - 86_400;
      hostile.push(makeUpdate(channel, { direction, timestamp, signer: forgers[0] }));
      hostile.push(makeUpdate(forged, { direction, timestamp }));
    }
  }
  for (const node of nodes) {
    for (let age = 2; age >= 0; age--) {
      const raw = makeNode(node, { timestamp: NOW_SECONDS - age * 500, alias: `age ${age}` });
      honest.push(raw);
      hostile.push(flipBit(raw, 2 + below(rng, raw.length - 2), below(rng, 8)));
    }
    hostile.push(makeNode(node, { timestamp: NOW_SECONDS + 50, signer: forgers[1] }));
  }
  hostile.push(...forgers.map((forger) => makeNode(forger, { timestamp: NOW_SECONDS })));
  return { channels, nodes, honest, hostile };
};

/** Answers when told, in any order. */
const shufflingChecker = (rng: Rng): SignatureChecker & { readonly answer: (count: number) => void } => {
  const inner = inlineChecker(engine);
  const waiting: (() => void)[] = [];
  return {
    check: (raw, count, keys, keysAt, done) => {
      inner.check(own(raw), count, own(keys), keysAt, (outcome) => waiting.push(() => done(outcome)));
    },
    get backlog() {
      return waiting.length;
    },
    flush: () => {},
    close: () => inner.close(),
    answer: (count) => {
      for (let left = Math.min(count, waiting.length); left > 0; left--) {
        const [answer] = waiting.splice(below(rng, waiting.length), 1);
        answer?.();
      }
    },
  };
};

const verifies = (raw: Uint8Array, signatureAt: number, signedFrom: number, key: Uint8Array): boolean =>
  engine.verify(raw.subarray(signatureAt, signatureAt + 64), doubleSha256(raw.subarray(signedFrom)), key);

/** Every live message's signatures, checked without any help of ingest's. */
const assertAllVerified = (messages: readonly Uint8Array[]): void => {
  const announcements = new Map<string, Uint8Array>();
  for (const raw of messages) {
    const type = (raw[0]! << 8) | raw[1]!;
    if (type === 256) {
      const keysAt = channelAnnouncementNodeId1At(raw, 0);
      for (let index = 0; index < 4; index++) {
        const key = raw.subarray(keysAt + 33 * index, keysAt + 33 * index + 33);
        assert.ok(verifies(raw, 2 + 64 * index, 258, key), 'an announcement that was not verified');
      }
      const scid = `${channelAnnouncementScidHi(raw, 0)}.${channelAnnouncementScidLo(raw, 0)}`;
      assert.ok(!announcements.has(scid), 'two live announcements of a channel');
      announcements.set(scid, raw);
    } else if (type === 257) {
      const at = nodeAnnouncementNodeIdAt(raw, 0);
      assert.ok(verifies(raw, 2, 66, raw.subarray(at, at + 33)), 'a node that was not verified');
    } else if (type === 258) {
      const announcement = announcements.get(`${channelUpdateScidHi(raw, 0)}.${channelUpdateScidLo(raw, 0)}`);
      assert.ok(announcement !== undefined, 'an update without its channel before it');
      const keyAt = channelAnnouncementNodeId1At(announcement, 0) + 33 * channelUpdateDirection(raw, 0);
      assert.ok(
        verifies(raw, 2, 66, announcement.subarray(keyAt, keyAt + 33)),
        'an update that was not verified',
      );
    }
  }
};

/** Everything a graph knows, in a form that does not depend on indices. */
const picture = (graph: NetworkGraph): string[] => {
  const lines: string[] = [];
  graph.forEachChannel((channel) => {
    const halves = ([0, 1] as const).map((side) =>
      graph.hasUpdate(channel, side)
        ? `${graph.updateTimestamp(channel, side)}@${graph.updateOffset(channel, side)}`
        : '-',
    );
    lines.push(
      `${graph.scidHi(channel)}.${graph.scidLo(channel)}@${graph.channelOffset(channel)} ${graph.channelSatoshis(channel)} ` +
        `${graph.isDying(channel)} ${graph.channelTimestamp(channel)} ${halves.join(' ')}`,
    );
  });
  graph.forEachNode((node) => {
    lines.push(
      `${graph.nodeId(node)} ${graph.nodeTimestamp(node)}@${graph.nodeOffset(node)} ${graph.nodeChannelCount(node)}`,
    );
  });
  return lines.sort();
};

interface Session {
  readonly rng: Rng;
  readonly cast: Cast;
  readonly house: House;
  readonly chain: FakeChain | undefined;
  readonly checker: ReturnType<typeof shufflingChecker>;
  /** Calls of `done` by offer. */
  readonly calls: number[];
}

const offer = ({ house, calls, rng }: Session, raw: Uint8Array): void => {
  const borrowed = own(raw);
  const index = calls.push(0) - 1;
  house.ingest.offer(borrowed, 1 + below(rng, ORIGINS), () => {
    calls[index]!++;
  });
  borrowed.fill(0xee);
};

const randomStep = async (session: Session): Promise<void> => {
  const { rng, cast, house, chain, checker } = session;
  const choice = rng.fraction();
  if (choice < 0.5) offer(session, pick(rng, cast.honest));
  else if (choice < 0.75) offer(session, pick(rng, cast.hostile));
  else if (choice < 0.78) {
    const raw = pick(rng, [...cast.honest, ...cast.hostile]);
    offer(session, raw.subarray(0, below(rng, raw.length + 1)));
  } else if (choice < 0.9) {
    await settled();
    checker.answer(1 + below(rng, 8));
    await settled();
  } else if (choice < 0.95) house.clock.advance(below(rng, 5000));
  else if (choice < 0.96) house.clock.advance(below(rng, 900_000));
  else if (choice < 0.97) house.ingest.prune();
  else if (choice < 0.975) {
    const channel = pick(rng, cast.channels);
    house.ingest.channelSpent(channel.scidHi, channel.scidLo, 1000);
  } else if (choice < 0.98) house.ingest.removeDying(1000 + below(rng, 100));
  else if (choice < 0.985) house.ingest.forgetOrigin(1 + below(rng, ORIGINS));
  else if (choice < 0.99) house.log.writable = !house.log.writable;
  else if (chain !== undefined) {
    if (rng.fraction() < 0.5) chain.isAway = !chain.isAway;
    else chain.isMute = !chain.isMute;
  }
};

const assertBounds = ({ house, calls, cast }: Session): void => {
  const held = house.ingest.occupancy();
  assert.ok(held.backlog >= 0 && held.backlog <= calls.length);
  assert.ok(held.pending_announcements <= cast.channels.length);
  assert.ok(held.pending_bytes >= 0);
  // Three for each key at most: the honest channels' two directions, the honest and the forging nodes.
  assert.ok(held.held_updates <= 3 * 2 * cast.channels.length + 200);
  assert.ok(
    calls.every((count) => count <= 1),
    'done is called at most once',
  );
};

/** Lets everything that is under way come to an end. */
const drain = async ({ house, chain, checker }: Session): Promise<void> => {
  house.log.writable = true;
  if (chain !== undefined) [chain.isAway, chain.isMute] = [false, false];
  for (let round = 0; round < 60; round++) {
    await settled();
    checker.answer(Number.POSITIVE_INFINITY);
    await settled();
    house.clock.advance(31_000);
  }
};

const assertEmpty = ({ house, calls }: Session): void => {
  assert.deepEqual(
    { ...house.ingest.occupancy(), refused_scids: 0 },
    {
      backlog: 0,
      pending_announcements: 0,
      pending_bytes: 0,
      early_announcements: 0,
      lookups_in_flight: 0,
      held_updates: 0,
      held_nodes: 0,
      refused_scids: 0,
    },
  );
  assert.ok(
    calls.every((count) => count === 1),
    'done is called exactly once for each offer',
  );
};

/** Whatever was tried before: when the honest speak again they are heard. Needs a chain that knows the owners. */
const assertHonestPrevail = async (session: Session): Promise<void> => {
  const { house, cast, checker } = session;
  house.clock.advance(3 * 3_600_000);
  // What was said to be spent was not, after all: its blocks are gone.
  house.ingest.closed.forgetFrom(0);
  for (const raw of cast.honest) {
    offer(session, raw);
    await settled();
    checker.answer(Number.POSITIVE_INFINITY);
    await settled();
  }
  await drain(session);
  const { graph } = house;
  for (const [index, channel] of cast.channels.entries()) {
    const known = graph.channelIndex(channel.scidHi, channel.scidLo);
    assert.ok(known >= 0, `channel ${index}`);
    assert.equal(graph.channelSatoshis(known), Number(channel.satoshis));
    if (graph.isDying(known)) continue;
    for (const side of [0, 1] as const) assert.equal(graph.updateTimestamp(known, side), NOW_SECONDS - index);
  }
  for (const node of cast.nodes) {
    const known = graph.nodeIndex(node.key, 0);
    if (known >= 0) assert.equal(graph.nodeTimestamp(known), NOW_SECONDS);
  }
};

const openStore = async (rng: Rng, clock: ManualClock) => {
  const options = { folder: memoryStoreFolder(), clock, rng, log: silentLog, meter: silentMeter };
  const store = await GossipStore.open(options, () => {});
  return { options, store };
};

for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
  const hasChain = seed % 4 !== 0;
  const isRealStore = seed % 2 === 0;
  test(`a random session leaves store, graph and rooms in order (seed ${seed}${hasChain ? '' : ', no chain'}${isRealStore ? ', real store' : ''})`, async () => {
    const rng = seededRng(seed);
    const cast = makeCast(rng, seed);
    const chain = hasChain ? new FakeChain() : undefined;
    for (const channel of cast.channels) chain?.add(channel);
    const checker = shufflingChecker(rng);
    const clock = new ManualClock();
    const opened = isRealStore ? await openStore(rng, clock) : undefined;
    const world = { utxo: chain ?? utxoNone, checker, clock };
    const house = new House(opened === undefined ? world : { ...world, store: opened.store });
    const log = opened === undefined ? house.log : undefined;
    const session: Session = { rng, cast, house, chain, checker, calls: [] };

    for (let step = 0; step < STEPS; step++) {
      await randomStep(session);
      if (step % 100 !== 99) continue;
      assertBounds(session);
      if (log === undefined) continue;
      assertAllVerified(log.live().map((record) => record.bytes));
      assert.deepEqual(picture(house.replayed()), picture(house.graph));
    }
    await drain(session);
    assertEmpty(session);
    if (chain !== undefined) await assertHonestPrevail(session);
    assertEmpty(session);
    house.ingest.close();

    const messages: Uint8Array[] = [];
    const replayed = new NetworkGraph();
    if (opened === undefined) {
      for (const record of log?.live() ?? []) {
        messages.push(record.bytes);
        replayed.apply(record);
      }
    } else {
      await opened.store.close();
      const again = await GossipStore.open(opened.options, (record) => {
        messages.push(own(record.bytes.subarray(record.at, record.at + record.length)));
        replayed.apply(record);
      });
      await again.close();
    }
    assert.ok(messages.length > 0, 'a session that stores nothing tests nothing');
    assertAllVerified(messages);
    assert.deepEqual(picture(replayed), picture(house.graph), toHex(Uint8Array.of(seed)));
  });
}
