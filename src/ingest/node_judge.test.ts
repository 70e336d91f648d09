import assert from 'node:assert/strict';
import { test } from 'node:test';
import { House, heldChecker, settled } from '../../test/fixtures/ingest_house.ts';
import {
  engine,
  flipBit,
  makeChannel,
  makeIdentity,
  makeNode,
  NOW_SECONDS,
  signInto,
} from '../../test/fixtures/signed_gossip.ts';
import { concatBytes } from '../base/bytes.ts';
import { encodeAddress } from '../wire/address_descriptor.ts';
import { NODE_ANNOUNCEMENT_SIGNED_FROM, nodeAnnouncementNodeIdAt } from '../wire/node_announcement.ts';
import { MAX_HELD_NODES } from './node_judge.ts';
import { HELD_EXPIRY_MS } from './waiting_room.ts';

const channel = makeChannel({ seed: 1 });
const [node] = channel.nodes;
const DAY = 86_400;

const houseWithChannel = async (): Promise<House> => {
  const house = new House();
  await house.offer(channel.raw);
  house.takeSeen();
  return house;
};

test('accepted: newer than the last, of a node with a channel, and it replaces the last (B7-22, B7-23)', async () => {
  const house = await houseWithChannel();
  assert.equal(await house.offer(makeNode(node, { timestamp: 1_000_000 })), 'accept accepted');
  const newer = makeNode(node, { alias: 'later', features: Uint8Array.of(0x80), tail: Uint8Array.of(7) });
  assert.equal(await house.offer(newer), 'accept accepted', 'a tail is signed and kept (B7-49)');
  assert.deepEqual(house.log.messages(257), [newer]);
  assert.equal(house.graph.nodeAnnouncementCount, 1);
});

test('malformed: cut off, or an address descriptor that runs past its end (B7-01, B7-20)', async () => {
  const house = await houseWithChannel();
  assert.equal(await house.offer(makeNode(node).subarray(0, 141)), 'warn malformed');
  assert.equal(
    await house.offer(makeNode(node, { addressBytes: Uint8Array.of(1, 127, 0) })),
    'warn malformed',
  );
});

test('second_dns: two host names are not to be forwarded, so not stored (B7-26)', async () => {
  const house = await houseWithChannel();
  const dns = (host: string): Uint8Array => encodeAddress({ kind: 'dns', host, port: 9735 });
  const addressBytes = concatBytes(dns('a.example'), dns('b.example'));
  assert.equal(await house.offer(makeNode(node, { addressBytes })), 'ignore second_dns');
  assert.equal(await house.offer(makeNode(node, { addressBytes: dns('a.example') })), 'accept accepted');
});

test('zero_timestamp: no announcement carries timestamp 0 (B7-27)', async () => {
  const house = await houseWithChannel();
  assert.equal(await house.offer(makeNode(node, { timestamp: 0 })), 'warn zero_timestamp');
});

test('too_far_in_future: more than a day ahead could never be replaced (B7-22)', async () => {
  const house = await houseWithChannel();
  assert.equal(
    await house.offer(makeNode(node, { timestamp: NOW_SECONDS + DAY + 1 })),
    'ignore too_far_in_future',
  );
  assert.equal(await house.offer(makeNode(node, { timestamp: NOW_SECONDS + DAY })), 'accept accepted');
});

test('same_timestamp, stale_timestamp: not newer, so not checked (B7-22)', async () => {
  const house = await houseWithChannel();
  const announcement = makeNode(node);
  await house.offer(announcement);
  const checked = house.ingest.signaturesChecked;
  assert.equal(await house.offer(announcement, 2), 'ignore same_timestamp');
  assert.equal(await house.offer(makeNode(node, { timestamp: 5 })), 'ignore stale_timestamp');
  assert.equal(house.ingest.signaturesChecked, checked);
});

test('bad_signature: not signed by the node itself (B7-16)', async () => {
  const house = await houseWithChannel();
  const bad = makeNode(node, { signer: makeIdentity('stranger') });
  assert.equal(await house.offer(bad), 'close bad_signature');
  assert.equal(await house.offer(flipBit(makeNode(node), 120)), 'close bad_signature');
  assert.equal(await house.offer(bad, 2), 'warn recently_refused');
  assert.equal(house.log.messages(257).length, 0);
});

test('bad_node_id: the key is no point (B7-17)', async () => {
  // Such a node cannot be in the graph, but a pending announcement may name it.
  const house = new House({ checker: heldChecker() });
  const spoiled = channel.raw.slice();
  const keyAt = spoiled.length - 4 * 33;
  do spoiled[keyAt + 32] = ((spoiled[keyAt + 32] as number) + 1) & 0xff;
  while (engine.isPoint(spoiled.subarray(keyAt, keyAt + 33)));
  void house.offer(spoiled);
  const announcement = makeNode(node);
  announcement.set(spoiled.subarray(keyAt, keyAt + 33), nodeAnnouncementNodeIdAt(announcement, 0));
  signInto(announcement, NODE_ANNOUNCEMENT_SIGNED_FROM, 2, node.secret);
  const checker = heldChecker();
  const judged = new House({ checker });
  void judged.offer(spoiled);
  void judged.offer(announcement);
  await checker.release();
  assert.deepEqual(judged.takeSeen().sort(), ['close bad_node_id', 'close bad_node_id']);
});

test('already_pending: the same announcement from others while it is checked', async () => {
  const checker = heldChecker();
  const house = new House({ checker });
  void house.offer(channel.raw);
  await checker.release();
  const announcement = makeNode(node);
  void house.offer(announcement, 1);
  assert.equal(await house.offer(announcement, 2), 'ignore already_pending');
  await checker.release();
  assert.deepEqual(house.log.messages(257), [announcement]);
});

test('stale_timestamp: of two under check at once the newer wins (B7-22)', async () => {
  const checker = heldChecker();
  const house = new House({ checker });
  void house.offer(channel.raw);
  await checker.release();
  house.takeSeen();
  const newer = makeNode(node);
  void house.offer(newer);
  void house.offer(makeNode(node, { timestamp: 5 }));
  await checker.release();
  assert.deepEqual(house.takeSeen(), ['accept accepted', 'ignore stale_timestamp']);
  assert.deepEqual(house.log.messages(257), [newer]);
});

test('held_for_announcement: before any channel of its node, judged when one is accepted (B7-22)', async () => {
  const house = new House();
  const announcements = channel.nodes.map((each) => makeNode(each));
  for (const raw of announcements) assert.equal(await house.offer(raw), 'hold held_for_announcement');
  assert.equal(house.ingest.signaturesChecked, 0);
  assert.equal(await house.offer(announcements[0]!, 2), 'ignore already_pending');
  await house.offer(channel.raw);
  assert.deepEqual(house.log.messages(257), announcements);
  assert.equal(house.ingest.occupancy().held_nodes, 0);
});

test('held_for_announcement: checked while a channel of its node is pending, stored after that without another check', async () => {
  const checker = heldChecker();
  const house = new House({ checker });
  void house.offer(channel.raw);
  void house.offer(makeNode(node));
  await settled();
  assert.equal(checker.backlog, 2);
  // The node's signature is answered first.
  const [channelAnswer] = [house.ingest.backlog];
  assert.equal(channelAnswer, 2);
  await checker.release(1);
  await checker.release();
  assert.equal(house.ingest.signaturesChecked, 5);
  assert.deepEqual(house.takeSeen(), ['accept accepted', 'accept accepted']);
});

test('held_for_announcement: a checked announcement outlives the refusal of the channel it came with', async () => {
  const checker = heldChecker();
  const house = new House({ checker });
  void house.offer(flipBit(channel.raw, 50));
  void house.offer(makeNode(node));
  await checker.release();
  assert.deepEqual(house.takeSeen(), ['close bad_node_signature_1', 'hold held_for_announcement']);
  void house.offer(channel.raw);
  await checker.release();
  assert.deepEqual(house.takeSeen(), ['accept accepted', 'accept accepted']);
  assert.equal(house.ingest.signaturesChecked, 9);
});

test('held_for_announcement: a good signature costs its origin no budget', async () => {
  const checker = heldChecker();
  const house = new House({ checker });
  void house.offer(flipBit(channel.raw, 50), 2);
  void house.offer(makeNode(node), 1);
  for (let index = 0; index < 10_000; index++) house.ingest.offer(Uint8Array.of(1, 0, 0), 1);
  house.takeSeen();
  await checker.release();
  assert.deepEqual(house.takeSeen(), ['close bad_node_signature_1', 'hold held_for_announcement']);
});

test('budget_exceeded: ten thousand announcements of unknown nodes in a minute, and the origin is closed', async () => {
  const house = new House();
  const raw = makeNode(node);
  for (let count = 0; count < 10_000; count++) house.ingest.offer(raw, 1);
  assert.equal(house.ingest.counts().budget_exceeded, 0);
  assert.equal(await house.offer(raw, 1), 'close budget_exceeded');
  assert.equal(await house.offer(raw, 2), 'ignore already_pending');
});

test('unknown_node: a node without a channel leaves after ten minutes (B7-22)', async () => {
  const house = new House();
  await house.offer(makeNode(node));
  house.takeSeen();
  house.clock.advance(HELD_EXPIRY_MS);
  assert.deepEqual(house.takeSeen(), ['ignore unknown_node']);
});

test('room_full: the room for nodes is bounded and shared', () => {
  const house = new House();
  const template = makeNode(node);
  const keyAt = nodeAnnouncementNodeIdAt(template, 0);
  for (let index = 1; index <= MAX_HELD_NODES / 4 + 7; index++) {
    const raw = template.slice();
    new DataView(raw.buffer).setUint32(keyAt + 1, index);
    house.ingest.offer(raw, 1);
  }
  assert.equal(house.ingest.counts().held_for_announcement, MAX_HELD_NODES / 4);
  assert.equal(house.ingest.counts().room_full, 7);
});
