import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeChain, House, heldChecker, settled } from '../../test/fixtures/ingest_house.ts';
import {
  engine,
  flipBit,
  type Identity,
  makeChannel,
  makeIdentity,
  makeNode,
  makeUpdate,
  type SignedChannel,
  signInto,
} from '../../test/fixtures/signed_gossip.ts';
import { NETWORKS } from '../base/chain_hash.ts';
import { silentLog } from '../base/log.ts';
import { silentMeter } from '../base/meter.ts';
import { scidFromParts } from '../base/short_channel_id.ts';
import { ManualClock } from '../base/time.ts';
import { utxoNone } from '../chain/utxo_none.ts';
import { inlineChecker } from '../crypto/inline_checker.ts';
import { BLACKLIST_MS, Blacklist, MAX_BLACKLISTED_NODES } from './blacklist.ts';
import { Ingest } from './ingest.ts';

/** The same seed gives the same funding keys; the nodes are others. */
const claim = (...names: readonly [string, string]): SignedChannel =>
  makeChannel({ seed: 7, nodes: [makeIdentity(names[0]), makeIdentity(names[1])] });

const first = claim('a', 'b');
const second = claim('c', 'd');
const TWO_HOURS_MS = 2 * 3_600_000;

const isKnown = (house: House, { key }: Identity): boolean => house.graph.nodeIndex(key, 0) >= 0;

test('blacklisted_node: two nodes more claim the output with its own keys; all four are listed, their channels go (B7-10, B7-11)', async () => {
  const house = new House();
  const elsewhere = makeChannel({
    seed: 8,
    scid: scidFromParts(90, 1, 0),
    nodes: [first.nodes[0], makeIdentity('friend')],
  });
  const others = makeChannel({ seed: 9, scid: scidFromParts(91, 1, 0) });
  for (const { raw } of [first, elsewhere, others]) assert.equal(await house.offer(raw), 'accept accepted');
  await house.offer(makeNode(first.nodes[0]));
  await house.offer(makeUpdate(elsewhere));
  house.takeSeen();

  assert.equal(await house.offer(second.raw, 3), 'ignore blacklisted_node');
  assert.equal(house.graph.channelCount, 1, 'the channel itself, and every other of the four');
  assert.equal(house.ingest.manners().blacklisted_nodes, 4);
  assert.equal(house.meter.get('gossipd_blacklisting_conflicts_total'), 1);
  for (const node of [...first.nodes, makeIdentity('friend')]) assert.equal(isKnown(house, node), false);
  assert.deepEqual(house.replayed().channelCount, 1, 'for readers of the file as well');
  assert.ok(isKnown(house, others.nodes[0]));

  house.clock.advance(TWO_HOURS_MS);
  for (const raw of [first.raw, second.raw, elsewhere.raw, makeNode(second.nodes[0])]) {
    assert.equal(await house.offer(raw, 4), 'ignore blacklisted_node');
  }
  house.clock.advance(BLACKLIST_MS);
  assert.equal(await house.offer(elsewhere.raw, 4), 'accept accepted', 'for two days');
  assert.equal(house.ingest.manners().blacklisted_nodes, 0);
});

test('known: an announcement with other funding keys proves nothing, whoever signed it (B7-11)', async () => {
  const house = new House();
  await house.offer(first.raw);
  const thief = makeChannel({ seed: 'thief', scid: first.scid, nodes: [...second.nodes] });
  const checked = house.ingest.signaturesChecked;
  assert.equal(await house.offer(thief.raw, 2), 'ignore known');
  assert.equal(house.ingest.signaturesChecked, checked);
  assert.equal(house.graph.channelCount, 1);
});

test('bad_bitcoin_signature_2: whoever has one of the two funding keys cannot prove it alone (B7-11)', async () => {
  const house = new House();
  await house.offer(first.raw);
  const alone = second.raw.slice();
  signInto(alone, 258, 2 + 64 * 3, makeIdentity('not the other owner').secret);
  assert.equal(await house.offer(alone, 2), 'close bad_bitcoin_signature_2');
  assert.equal(await house.offer(alone, 3), 'warn recently_refused');
  assert.equal(await house.offer(flipBit(second.raw, 2 + 40), 2), 'close bad_node_signature_1');
  assert.equal(house.ingest.manners().blacklisted_nodes, 0);
  assert.equal(house.graph.channelCount, 1);
});

test('known: the same nodes again, and a channel that is dying (B7-48)', async () => {
  const house = new House();
  await house.offer(first.raw);
  const longer = makeChannel({ seed: 7, nodes: [...first.nodes], tail: Uint8Array.of(1) });
  assert.equal(await house.offer(longer.raw), 'ignore known');
  house.ingest.channelSpent(first.scidHi, first.scidLo, 5);
  assert.equal(await house.offer(second.raw), 'ignore known');
});

test('blacklisted_node: the proof may have waited while the first announcement was under check (B7-11)', async () => {
  const chain = new FakeChain();
  chain.add(first);
  const checker = heldChecker();
  const house = new House({ utxo: chain, checker });
  void house.offer(first.raw);
  assert.equal(await house.offer(second.raw, 2), 'hold already_pending');
  await checker.release();
  await checker.release();
  assert.deepEqual(house.takeSeen(), ['hold already_pending', 'accept accepted', 'ignore blacklisted_node']);
  assert.equal(house.graph.channelCount, 0);
});

test('blacklisted_node: what was under check when its node was listed is not accepted (B7-10)', async () => {
  const checker = heldChecker();
  const house = new House({ checker });
  void house.offer(first.raw);
  await checker.release();
  const elsewhere = makeChannel({ seed: 8, scid: scidFromParts(90, 1, 0), nodes: [...second.nodes] });
  void house.offer(second.raw);
  void house.offer(elsewhere.raw);
  house.takeSeen();
  await checker.release();
  assert.deepEqual(house.takeSeen(), ['ignore blacklisted_node', 'ignore blacklisted_node']);
  assert.equal(house.graph.channelCount, 0);
});

test('a proof whose channel has left while it was checked is judged like any announcement', async () => {
  const checker = heldChecker();
  const house = new House({ checker });
  void house.offer(first.raw);
  await checker.release();
  void house.offer(second.raw);
  await settled();
  house.ingest.channelSpent(first.scidHi, first.scidLo, 0);
  house.ingest.removeDying(72);
  house.takeSeen();
  await checker.release();
  assert.deepEqual(house.takeSeen(), ['ignore recently_refused']);
  assert.equal(house.ingest.manners().blacklisted_nodes, 0);
  assert.equal(house.ingest.backlog, 0);
});

test('channels of listed nodes that the store would not let go are removed with the next pruning (B7-11)', async () => {
  const checker = heldChecker();
  const house = new House({ checker });
  void house.offer(first.raw);
  await checker.release();
  void house.offer(second.raw);
  house.log.writable = true;
  await settled();
  house.log.writable = false;
  await checker.release();
  assert.equal(house.ingest.manners().blacklisted_nodes, 4);
  assert.equal(house.graph.channelCount, 1);
  house.log.writable = true;
  assert.equal(house.ingest.prune(), 1);
  assert.equal(house.graph.channelCount, 0);
});

test('the blacklist can be switched off', async () => {
  const house = new House();
  const ingest = new Ingest(
    {
      graph: house.graph,
      store: house.log,
      checker: inlineChecker(engine),
      utxo: utxoNone,
      network: NETWORKS.regtest,
      clock: house.clock,
      log: silentLog,
      meter: silentMeter,
    },
    { blacklist: false },
  );
  for (const raw of [first.raw, second.raw]) ingest.offer(raw, 1);
  await settled();
  ingest.offer(second.raw, 1);
  await settled();
  assert.equal(ingest.counts().accepted, 1);
  assert.equal(ingest.counts().known, 2);
  assert.equal(house.graph.channelCount, 1);
  ingest.close();
});

test('the blacklist is bounded: the oldest node is forgiven early, and a node that is listed again stays longer', () => {
  const clock = new ManualClock();
  const blacklist = new Blacklist(clock);
  const ids = Array.from({ length: MAX_BLACKLISTED_NODES + 1 }, (_, index) => {
    const id = new Uint8Array(33).fill(2);
    new DataView(id.buffer).setUint32(1, index);
    return id;
  });
  for (const id of ids) blacklist.add(id, 0);
  assert.equal(blacklist.size, MAX_BLACKLISTED_NODES);
  assert.equal(blacklist.has(ids[0]!, 0), false);
  clock.advance(BLACKLIST_MS - 1);
  blacklist.add(ids[1]!, 0);
  clock.advance(1);
  assert.equal(blacklist.has(ids[2]!, 0), false);
  assert.equal(blacklist.has(ids[1]!, 0), true);
  assert.equal(blacklist.size, 1);
});
