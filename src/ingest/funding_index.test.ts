import assert from 'node:assert/strict';
import { test } from 'node:test';
import { House } from '../../test/fixtures/ingest_house.ts';
import { makeChannel, type SignedChannel } from '../../test/fixtures/signed_gossip.ts';
import { concatBytes } from '../base/bytes.ts';
import { scidFromParts } from '../base/short_channel_id.ts';
import { storeOffset } from '../wire/store_record.ts';
import { FundingIndex } from './funding_index.ts';

const keysOf = ({ bitcoin }: SignedChannel): Uint8Array => concatBytes(bitcoin[1].key, bitcoin[0].key);
const found = (index: FundingIndex, keys: Uint8Array): number[] => {
  const channels: number[] = [];
  index.forEachWithKeys(keys, 0, 33, (channel) => channels.push(channel));
  return channels.sort((left, right) => left - right);
};

test('channels are found by their keys in either order, after a build from the store and as they come', async () => {
  const house = new House();
  const channels = Array.from({ length: 40 }, (_, index) => makeChannel({ seed: index + 1 }));
  for (const { raw } of channels.slice(0, 30)) await house.offer(raw);
  const index = new FundingIndex(house.graph, 7);
  const building = index.build(house.log, house.clock, new AbortController().signal);
  house.clock.advance(0);
  assert.equal(await building, 0);
  for (const { raw, scidHi, scidLo } of channels.slice(30)) {
    await house.offer(raw);
    index.add(house.graph.channelIndex(scidHi, scidLo), raw);
  }
  assert.equal(index.size, 40);
  for (const channel of channels) {
    const at = house.graph.channelIndex(channel.scidHi, channel.scidLo);
    assert.deepEqual(found(index, keysOf(channel)), [at]);
    assert.deepEqual(found(index, concatBytes(channel.bitcoin[0].key, channel.bitcoin[1].key)), [at]);
  }
  assert.deepEqual(found(index, concatBytes(channels[0]!.bitcoin[0].key, channels[1]!.bitcoin[1].key)), []);
});

test('several channels with the same keys are all found; each leaves alone', async () => {
  const house = new House();
  const same = Array.from({ length: 50 }, (_, index) =>
    makeChannel({ seed: 'same', scid: scidFromParts(10, index, 0) }),
  );
  const index = new FundingIndex(house.graph, 1);
  for (const { raw, scidHi, scidLo } of same) {
    await house.offer(raw);
    index.add(house.graph.channelIndex(scidHi, scidLo), raw);
    index.add(house.graph.channelIndex(scidHi, scidLo), raw);
  }
  assert.equal(index.size, 50, 'twice is once');
  assert.equal(found(index, keysOf(same[0]!)).length, 50);
  for (let channel = 0; channel < 50; channel += 2) index.remove(channel);
  index.remove(0);
  index.remove(5000);
  assert.equal(index.size, 25);
  assert.deepEqual(
    found(index, keysOf(same[0]!)),
    Array.from({ length: 25 }, (_, half) => half * 2 + 1),
  );
});

test('a channel that has left unseen is passed over, also when its place is taken', async () => {
  const house = new House();
  const [first, second] = [makeChannel({ seed: 1 }), makeChannel({ seed: 2 })];
  await house.offer(first.raw);
  const index = new FundingIndex(house.graph, 1);
  index.add(0, first.raw);
  const loss = house.graph.relocate(() => storeOffset(0));
  assert.equal(loss.channels.length, 1);
  assert.deepEqual(found(index, keysOf(first)), []);
  await house.offer(second.raw);
  assert.equal(house.graph.channelIndex(second.scidHi, second.scidLo), 0);
  assert.deepEqual(found(index, keysOf(first)), []);
  index.add(0, second.raw);
  assert.deepEqual(found(index, keysOf(second)), [0]);
  assert.equal(index.size, 1);
});

test('it grows past its first room, and takes the memory that its file says', async () => {
  const house = new House();
  const { raw } = makeChannel({ seed: 1 });
  await house.offer(raw);
  const index = new FundingIndex(house.graph, 1);
  for (let channel = 0; channel < 5000; channel++) index.add(channel, raw);
  assert.equal(index.size, 5000);
  assert.ok(index.memoryBytes() <= 5000 * 48);
  assert.deepEqual(
    found(index, keysOf(makeChannel({ seed: 1 }))),
    [0],
    'only what the graph has there counts',
  );
});

test('an abort ends the build', async () => {
  const house = new House();
  await house.offer(makeChannel({ seed: 1 }).raw);
  const index = new FundingIndex(house.graph, 1);
  assert.equal(await index.build(house.log, house.clock, AbortSignal.abort()), 0);
  assert.equal(index.size, 0);
});
