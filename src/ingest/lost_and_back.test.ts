/**
 * A part of the store's file was damaged, the store went on in a new file without it, and peers send again what was lost.
 *
 * The fear: ingest takes what comes back for known, for too old, or for signed by the wrong key, and the hole stays.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { House, heldChecker } from '../../test/fixtures/ingest_house.ts';
import {
  makeChannel,
  makeIdentity,
  makeNode,
  makeUpdate,
  NOW_SECONDS,
} from '../../test/fixtures/signed_gossip.ts';
import type { NetworkGraph } from '../graph/network_graph.ts';
import { QUERY_FLAG } from '../wire/query_short_channel_ids.ts';
import type { StoreOffset } from '../wire/store_record.ts';

const [alice, bob, carol] = [makeIdentity('alice'), makeIdentity('bob'), makeIdentity('carol')];
const first = makeChannel({ seed: 1, nodes: [alice, bob] });
const second = makeChannel({ seed: 2, nodes: [bob, carol] });
const updates = [first, second].flatMap((channel) => [
  makeUpdate(channel, { direction: 0, timestamp: NOW_SECONDS - 1_000_000 }),
  makeUpdate(channel, { direction: 1, timestamp: NOW_SECONDS - 900_000 }),
]);
const nodes = [alice, bob, carol].map((node) => makeNode(node));
const everything = [first.raw, nodes[0]!, nodes[1]!, second.raw, nodes[2]!, ...updates];

const house = async (checker?: ReturnType<typeof heldChecker>): Promise<House> => {
  const built = new House(checker === undefined ? {} : { checker });
  for (const raw of everything) {
    await built.offer(raw);
    await checker?.release();
    assert.deepEqual(built.takeSeen(), ['accept accepted']);
  }
  return built;
};

const lose = ({ log, graph, ingest }: House, ...offsets: readonly StoreOffset[]) => {
  const loss = graph.relocate(log.lose(...offsets));
  log.drop(loss.orphans);
  ingest.channelsLost();
  return loss.channels;
};

const counts = (graph: NetworkGraph): number[] => [
  graph.channelCount,
  graph.halfChannelCount,
  graph.nodeCount,
  graph.nodeAnnouncementCount,
];

const isWhole = ({ graph, log }: House): void => {
  assert.deepEqual(counts(graph), [2, 4, 3, 3]);
  assert.equal(log.live().length, 11);
};

const offsetOf = ({ log }: House, raw: Uint8Array): StoreOffset =>
  log.records.find(({ bytes }) => Buffer.compare(bytes, raw) === 0)!.offset;

test('accepted: an update that was lost comes back with the timestamp that it always had (B7-34)', async () => {
  const built = await house();
  assert.equal(await built.offer(updates[0]!), 'ignore known');
  const missing = lose(built, offsetOf(built, updates[0]!));
  assert.deepEqual(
    missing.map(({ flags }) => flags),
    [QUERY_FLAG.channel_update_1],
  );
  assert.equal(await built.offer(updates[1]!), 'ignore known', 'the other side is there still');
  assert.equal(await built.offer(updates[0]!), 'accept accepted');
  assert.equal(await built.offer(updates[0]!), 'ignore known');
  isWhole(built);
});

test('accepted: a channel that was lost comes back with its updates and nodes, in any order', async () => {
  const built = await house();
  const missing = lose(built, offsetOf(built, first.raw));
  // Bob's announcement stood behind this channel only: a reader of the new file would step over it.
  assert.deepEqual(
    missing.map(({ flags }) => flags),
    [1 | 2 | 4 | (first.nodes[0] === alice ? 8 : 16), second.nodes[0] === bob ? 8 : 16],
  );
  assert.deepEqual(counts(built.graph), [1, 2, 2, 1]);
  assert.equal(await built.offer(updates[1]!), 'hold held_for_channel');
  assert.equal(await built.offer(nodes[0]!), 'hold held_for_announcement');
  assert.equal(await built.offer(nodes[1]!), 'accept accepted');
  assert.equal(await built.offer(first.raw), 'accept accepted');
  assert.equal(await built.offer(updates[0]!), 'accept accepted');
  isWhole(built);
  const replayed = built.replayed();
  assert.deepEqual(counts(replayed), counts(built.graph));
});

test('accepted: a node_announcement that was lost comes back with its old timestamp (B7-22)', async () => {
  const built = await house();
  assert.equal(await built.offer(nodes[2]!), 'ignore same_timestamp');
  lose(built, offsetOf(built, nodes[2]!));
  assert.equal(await built.offer(nodes[2]!), 'accept accepted');
  isWhole(built);
});

test('everything lost comes back', async () => {
  const built = await house();
  lose(built, ...built.log.records.map(({ offset }) => offset));
  assert.deepEqual(counts(built.graph), [0, 0, 0, 0]);
  for (const raw of everything) assert.equal(await built.offer(raw), 'accept accepted');
  isWhole(built);
});

test('bad_signature: an update under check while its channel is lost is judged by the keys of who comes in its place (B7-29)', async () => {
  // Nothing binds a short_channel_id to two nodes when no chain backend is asked: another announcement of it may be first to come back.
  const checker = heldChecker();
  const built = await house(checker);
  const newer = makeUpdate(first, { direction: 0, timestamp: NOW_SECONDS - 10 });
  await built.offer(newer);
  lose(built, offsetOf(built, first.raw));
  await built.offer(makeChannel({ seed: 'other', scid: first.scid }).raw);
  await checker.releaseLast();
  assert.deepEqual(built.takeSeen(), ['accept accepted']);
  await checker.release();
  await checker.release();
  assert.deepEqual(built.takeSeen(), ['close bad_signature']);
  const channel = built.graph.channelIndex(first.scidHi, first.scidLo);
  assert.equal(built.graph.hasUpdate(channel, 0), false);
});
