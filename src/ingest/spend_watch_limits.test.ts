/** What happens when a reorganisation, or a lying backend, puts more channels in doubt than there is room for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { credulousChecker, House, settled } from '../../test/fixtures/ingest_house.ts';
import { makeChannel } from '../../test/fixtures/signed_gossip.ts';
import { own, writeU32 } from '../base/bytes.ts';
import { scidFromParts, scidHi, scidLo } from '../base/short_channel_id.ts';
import type { UtxoResult } from '../chain/utxo_lookup.ts';
import { channelAnnouncementNodeId1At } from '../wire/channel_announcement.ts';
import { MAX_QUESTIONS } from './chain_questions.ts';
import { MAX_ABSENT } from './departures.ts';
import { MAX_DOUBTS } from './spend_watch.ts';

const BLOCK = 100;
const BATCH = 2000;
const template = makeChannel({ seed: 'many' });

/** Announcements that differ in nothing but the short_channel_id: for a checker that believes all. */
const announcement = (index: number): Uint8Array => {
  const raw = own(template.raw);
  const scid = scidFromParts(BLOCK, index, 0);
  const at = channelAnnouncementNodeId1At(raw, 0) - 8;
  writeU32(raw, at, scidHi(scid));
  writeU32(raw, at + 4, scidLo(scid));
  return raw;
};

test('MAX_DOUBTS, MAX_QUESTIONS, MAX_ABSENT: what does not fit is counted, and a round over the map makes it good', async () => {
  let answer: UtxoResult = { found: 'unspent', script: template.script, satoshis: 5n };
  let lookups = 0;
  const house = new House({
    checker: credulousChecker,
    blockHeight: () => BLOCK + 10,
    roundMs: 1000,
    utxo: {
      name: 'counting',
      verifies: true,
      lookup: () => {
        lookups++;
        return Promise.resolve(answer);
      },
    },
  });
  const { ingest, graph, meter, clock } = house;
  const channels = MAX_DOUBTS + 10;
  for (let from = 0; from < channels; from += BATCH) {
    for (let index = from; index < Math.min(channels, from + BATCH); index++)
      ingest.offer(announcement(index), 0);
    for (let turn = 0; graph.channelCount < Math.min(channels, from + BATCH) && turn < 500; turn++)
      await settled();
  }
  assert.equal(graph.channelCount, channels);
  const watching = ingest.watchChain({ hasBlocks: true, salt: 1 });
  for (let turn = 0; turn < 5; turn++) {
    clock.advance(0);
    await settled();
  }
  for (let turn = 0; clock.pending > 0 && turn < 1000; turn++) {
    clock.advance(0);
    await settled();
  }
  await watching;
  assert.equal(ingest.chainStatus().indexed_channels, channels);
  house.seen.length = 0;
  lookups = 0;
  answer = { found: 'none', why: 'no_transaction' };
  ingest.blockDisconnected({ height: BLOCK, hash: '' });
  assert.equal(meter.get('gossipd_chain_questions_full_total', 'doubts'), 10);
  ingest.chainSettled({ height: BLOCK + 10, hash: '' });
  assert.ok(ingest.chainStatus().questions_waiting <= MAX_QUESTIONS);
  assert.equal(ingest.chainStatus().round_total, channels);
  for (let turn = 0; ingest.chainStatus().questions_waiting > 0 && turn < 20_000; turn++) await settled();
  assert.equal(lookups, MAX_DOUBTS);
  assert.equal(graph.dyingCount, MAX_DOUBTS);
  for (let second = 0; second < 2000 && graph.dyingCount < channels; second++) {
    clock.advance(1000);
    await settled();
  }
  assert.equal(graph.dyingCount, channels, 'the round found the rest');
  lookups = 0;
  ingest.chainSettled({ height: BLOCK + 11, hash: '' });
  for (let turn = 0; ingest.chainStatus().questions_waiting > 0 && turn < 20_000; turn++) await settled();
  assert.equal(lookups, MAX_ABSENT, 'so many may come back with each block');
  ingest.close();
});
