import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../base/rng.ts';
import { chooseEvicted, type Resident } from './eviction.ts';
import { hostRange } from './host_range.ts';

const from = (host: string, rest: Partial<Resident> = {}): Resident => ({
  range: hostRange(host),
  since: 0,
  latencyMs: Number.POSITIVE_INFINITY,
  messagesNew: 0,
  pinned: false,
  ...rest,
});
/** An honest one of each provider network. */
const honest = (index: number, rest: Partial<Resident> = {}): Resident =>
  from(`${20 + (index >> 8)}.${index & 255}.1.1`, { since: index, ...rest });
const flooder = (index: number): Resident => from(`203.0.113.${index & 255}`, { since: 10_000 + index });

test('the last one of the most crowded network goes for somebody from elsewhere', () => {
  const residents = [
    ...Array.from({ length: 60 }, (_, index) => honest(index)),
    ...Array.from({ length: 40 }, (_, index) => flooder(index)),
  ];
  for (let secret = 0; secret < 50; secret++) {
    const gone = chooseEvicted(residents, hostRange('198.51.100.1'), secret);
    assert.ok(gone !== undefined && gone >= 60, `${gone}`);
    assert.ok(gone >= 80, 'a late one, whatever was drawn');
  }
});

test('who comes from the most crowded network gets no place of others, however often it comes', () => {
  const residents = [
    ...Array.from({ length: 60 }, (_, index) => honest(index)),
    ...Array.from({ length: 40 }, (_, index) => flooder(index)),
  ];
  for (let secret = 0; secret < 50; secret++)
    assert.equal(chooseEvicted(residents, hostRange('203.0.113.77'), secret), undefined);
});

test('an attacker with connections out of many networks cannot push out the near, the useful and the old', () => {
  const rng = seededRng(5);
  let residents = Array.from({ length: 100 }, (_, index) =>
    honest(index, {
      latencyMs: index >= 90 && index < 95 ? 5 : 200,
      messagesNew: index >= 95 ? 1_000 : 0,
    }),
  );
  const mine = new Set<Resident>();
  for (let round = 0; round < 2_000; round++) {
    const address = `${100 + Math.floor(rng.fraction() * 80)}.${Math.floor(rng.fraction() * 256)}.1.1`;
    const gone = chooseEvicted(residents, hostRange(address), 7);
    if (gone === undefined) continue;
    const next = from(address, { since: 1_000 + round, latencyMs: 50 });
    mine.add(next);
    residents = residents.map((resident, index) => (index === gone ? next : resident));
  }
  const kept = residents.filter((resident) => !mine.has(resident));
  assert.ok(kept.length >= 40, `${kept.length} of the hundred are still there`);
  const without = (why: string, is: (resident: Resident) => boolean): void =>
    assert.equal(kept.filter(is).length, 5, why);
  without('near', ({ latencyMs }) => latencyMs === 5);
  without('useful', ({ messagesNew }) => messagesNew > 0);
});

test('strangers who share one address (Tor) compete among themselves when they crowd the others out', () => {
  const residents = [
    ...Array.from({ length: 30 }, (_, index) => from('127.0.0.1', { since: 500 + index })),
    ...Array.from({ length: 10 }, (_, index) => honest(index)),
  ];
  for (const newcomer of [undefined, hostRange('198.51.100.1')]) {
    const gone = chooseEvicted(residents, newcomer, 3);
    assert.ok(gone !== undefined && gone < 30);
  }
});

test('pinned ones stay, and few ones are all protected', () => {
  const few = Array.from({ length: 3 }, (_, index) => honest(index));
  assert.equal(chooseEvicted(few, hostRange('198.51.100.1'), 1), undefined);
  assert.equal(chooseEvicted([], undefined, 1), undefined);
  const pinned = Array.from({ length: 100 }, (_, index) =>
    from('203.0.113.1', { since: index, pinned: true }),
  );
  assert.equal(chooseEvicted(pinned, hostRange('198.51.100.1'), 1), undefined);
});
