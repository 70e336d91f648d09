import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../base/rng.ts';
import { chooseRotated, type OutboundPeer, ROTATION_INTERVAL_MS, usefulness } from './rotation.ts';

const HOUR_MS = 3_600_000;
const peer = (rest: Partial<OutboundPeer> = {}): OutboundPeer => ({
  pinned: false,
  ageMs: HOUR_MS,
  latencyMs: 100,
  contribution: { usefulBytes: 500, offeredBytes: 1_000, messagesNew: 100 },
  ...rest,
});
const silent = { usefulBytes: 0, offeredBytes: 0, messagesNew: 0 };

test('the one that brought nothing goes, and sending much of no use does not help it', () => {
  assert.equal(chooseRotated([peer(), peer({ contribution: silent }), peer()]), 1);
  const noise = { usefulBytes: 0, offeredBytes: 1e9, messagesNew: 0 };
  assert.equal(chooseRotated([peer(), peer(), peer({ contribution: noise })]), 2);
});

test('pinned peers and young ones never go', () => {
  assert.equal(chooseRotated([peer({ pinned: true, contribution: silent })]), undefined);
  assert.equal(chooseRotated([peer({ ageMs: ROTATION_INTERVAL_MS - 1, contribution: silent })]), undefined);
  assert.equal(chooseRotated([]), undefined);
});

test('news counts by the hour, not by how long the peer has been there', () => {
  const long = peer({ ageMs: 100 * HOUR_MS, contribution: { ...silent, messagesNew: 1_000 } });
  const short = peer({ contribution: { ...silent, messagesNew: 1_000 } });
  assert.ok(usefulness(long) < usefulness(short));
});

test('answered queries and a short way break a tie; of equals the youngest goes', () => {
  const base = peer();
  const answers = peer({ contribution: { ...base.contribution, answeredQueries: true } });
  assert.equal(chooseRotated([answers, base]), 1);
  assert.equal(chooseRotated([peer({ latencyMs: 900 }), base]), 0);
  assert.equal(
    chooseRotated([peer({ ageMs: 2 * HOUR_MS, contribution: silent }), peer({ contribution: silent })]),
    1,
  );
});

test('for any figures: whoever is better in everything outlasts the other, and the value stays between 0 and 100', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const rng = seededRng(seed);
    const offeredBytes = 1 + Math.floor(rng.fraction() * 1e9);
    const worse = peer({
      ageMs: ROTATION_INTERVAL_MS + rng.fraction() * 1e9,
      latencyMs: rng.fraction() < 0.1 ? Number.POSITIVE_INFINITY : rng.fraction() * 5_000,
      contribution: {
        usefulBytes: Math.floor(rng.fraction() * 0.9 * offeredBytes),
        offeredBytes,
        messagesNew: Math.floor(rng.fraction() * 1e6),
      },
    });
    const { usefulBytes, messagesNew } = worse.contribution;
    const better = {
      ...worse,
      latencyMs: Math.min(worse.latencyMs / 2, 1e4),
      contribution: { usefulBytes: usefulBytes * 1.05, offeredBytes, messagesNew: messagesNew * 2 },
    };
    assert.equal(chooseRotated([better, worse]), 1, `seed ${seed}`);
    for (const each of [better, worse]) {
      const value = usefulness(each);
      assert.ok(value >= 0 && value <= 100, `seed ${seed}: ${value}`);
    }
  }
});
