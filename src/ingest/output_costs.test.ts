/** What an announcement without its output costs whoever brought it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { credulousChecker, House, settled } from '../../test/fixtures/ingest_house.ts';
import { makeChannel } from '../../test/fixtures/signed_gossip.ts';
import { own, writeU32 } from '../base/bytes.ts';
import { scidFromParts, scidHi, scidLo } from '../base/short_channel_id.ts';
import type { UtxoResult } from '../chain/utxo_lookup.ts';
import { MADE_UP_OUTPUT_COST, SPENT_OUTPUT_COST, USELESS_BURST_MESSAGES } from './useless_budget.ts';

const template = makeChannel({ seed: 1 });

/** Copies of one announcement with other short_channel_ids; the checker of these tests believes their signatures. */
const announcements = (count: number, from = 1): Uint8Array[] =>
  Array.from({ length: count }, (_, index) => {
    const scid = scidFromParts(200 + from, index + 1, 0);
    const raw = own(template.raw);
    writeU32(raw, 292, scidHi(scid));
    writeU32(raw, 296, scidLo(scid));
    return raw;
  });

const houseAnswering = (answer: UtxoResult): House => {
  return new House({
    checker: credulousChecker,
    utxo: { name: 'fake', verifies: true, lookup: () => Promise.resolve(answer) },
  });
};

const offerAll = async (house: House, count: number, origin: number, from = 1): Promise<void> => {
  for (const raw of announcements(count, from)) house.ingest.offer(raw, origin);
  for (let turn = 0; turn < 40; turn++) await settled();
};

test('output_not_found: whoever floods with made-up announcements is closed, and others are not', async () => {
  const house = houseAnswering({ found: 'none', why: 'no_transaction' });
  const allowed = USELESS_BURST_MESSAGES / MADE_UP_OUTPUT_COST;
  await offerAll(house, allowed, 1);
  assert.equal(house.ingest.counts().output_not_found, allowed);
  assert.deepEqual(new Set(house.takeSeen()), new Set(['ignore output_not_found']));
  // Ten units come back, a fifth of what the next one costs.
  house.clock.advance(60);
  await offerAll(house, 1, 1, 2);
  assert.deepEqual(house.takeSeen(), ['close budget_exceeded']);
  await offerAll(house, 1, 2, 3);
  assert.deepEqual(house.takeSeen(), ['ignore output_not_found']);
});

test('funding_script_mismatch: costs as much as an output that never was', async () => {
  const house = houseAnswering({ found: 'unspent', script: new Uint8Array(34), satoshis: 5n });
  await offerAll(house, USELESS_BURST_MESSAGES / MADE_UP_OUTPUT_COST, 1);
  const { funding_script_mismatch, budget_exceeded } = house.ingest.counts();
  assert.ok(funding_script_mismatch >= 190, 'each costs one more, as every broken rule');
  assert.equal(funding_script_mismatch + budget_exceeded, 200);
  assert.ok(budget_exceeded > 0);
});

test('output_not_found: an honest peer with channels that were closed in the last two weeks is heard', async () => {
  const house = houseAnswering({ found: 'none', why: 'spent' });
  await offerAll(house, 2800, 1);
  assert.equal(house.ingest.counts().output_not_found, 2800);
  assert.equal(house.ingest.counts().budget_exceeded, 0);
  assert.ok(2800 * SPENT_OUTPUT_COST < USELESS_BURST_MESSAGES);
});

test('output_not_found, not_buried: a backend that is behind, or cannot tell why, makes nobody a forger', async () => {
  for (const answer of [{ found: 'none', why: 'no_block' }, { found: 'none' }] as const) {
    const house = houseAnswering(answer);
    await offerAll(house, 1000, 1);
    const { output_not_found, not_buried, budget_exceeded } = house.ingest.counts();
    assert.equal(output_not_found + not_buried, 1000);
    assert.equal(budget_exceeded, 0);
  }
});

test('a peer whose announcements are all good pays nothing', async () => {
  const house = houseAnswering({ found: 'unspent', script: template.script, satoshis: 5n });
  await offerAll(house, 300, 1);
  assert.equal(house.ingest.counts().accepted, 300);
});
