import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeId } from '../base/node_id.ts';
import { seededRng } from '../base/rng.ts';
import { AddressBook, MAX_ADDRESSES, MAX_LEARNED_PER_HOUR, MAX_LEARNED_PER_RANGE } from './address_book.ts';

const id = (index: number): NodeId => `02${index.toString(16).padStart(64, '0')}` as NodeId;
const at = (index: number) => ({ node_id: id(index), host: '192.0.2.1', port: 9735 });

test('failures wait longer each time, with jitter, a success starts over', () => {
  const book = new AddressBook(seededRng(1));
  book.add(at(1));
  let now = 0;
  const waits = Array.from({ length: 6 }, () => {
    book.failed(id(1), now);
    const wait = book.due(Number.MAX_SAFE_INTEGER)[0]!.notBeforeMs - now;
    now += wait;
    return wait;
  });
  for (const [index, wait] of waits.entries())
    assert.ok(wait >= 500 * 2 ** index && wait <= 1500 * 2 ** index, `${index}: ${wait}`);
  book.succeeded(id(1), now);
  book.failed(id(1), now);
  assert.ok(book.due(Number.MAX_SAFE_INTEGER)[0]!.notBeforeMs - now <= 1500);
});

test('pinned addresses come first and wait at most a minute and a half', () => {
  const book = new AddressBook(seededRng(1));
  for (let index = 0; index < 50; index++) book.add(at(index));
  book.add(at(7), true);
  assert.equal(book.due(0)[0]!.node_id, id(7));
  for (let index = 0; index < 30; index++) book.failed(id(7), 0);
  assert.ok(book.due(90_000).some((entry) => entry.node_id === id(7)));
});

test('bound: a full book makes room by its worst entry and never by a pinned one', () => {
  const book = new AddressBook(seededRng(1));
  book.add(at(0), true);
  for (let index = 1; index < MAX_ADDRESSES; index++) book.add(at(index));
  for (let index = 0; index < 5; index++) book.failed(id(0), 0);
  book.failed(id(1), 0);
  book.add(at(5000));
  assert.equal(book.size, MAX_ADDRESSES);
  const left = new Set(book.due(Number.MAX_SAFE_INTEGER).map((entry) => entry.node_id));
  assert.ok(left.has(id(0)) && left.has(id(5000)) && !left.has(id(1)));
});

test('only addresses that worked once are kept over a restart', () => {
  const book = new AddressBook(seededRng(1));
  book.add(at(1));
  book.add(at(2));
  book.succeeded(id(2), 1000);
  book.rate(id(2), 41.6);
  assert.deepEqual(book.snapshot(), [{ ...at(2), last_good_ms: 1000, useful: 42, source: 'built_in' }]);
});

const far = (index: number) => ({
  node_id: id(index),
  host: `${20 + (index >> 8)}.${index & 255}.1.1`,
  port: 9735,
});
const HOUR_MS = 3_600_000;

test(`bound: at most ${MAX_LEARNED_PER_HOUR} announced addresses are learned in an hour`, () => {
  const book = new AddressBook(seededRng(1));
  const addresses = Array.from({ length: 500 }, (_, index) => far(index));
  assert.equal(book.learn(addresses, 0), MAX_LEARNED_PER_HOUR);
  assert.equal(book.learn(addresses, HOUR_MS - 1), 0);
  assert.equal(book.learn(addresses, HOUR_MS), MAX_LEARNED_PER_HOUR);
  assert.equal(book.size, 2 * MAX_LEARNED_PER_HOUR);
  assert.equal(book.counts().gossip, 2 * MAX_LEARNED_PER_HOUR);
});

test(`bound: at most ${MAX_LEARNED_PER_RANGE} of one provider's network, and none without a public address`, () => {
  const book = new AddressBook(seededRng(1));
  const crowd = Array.from({ length: 50 }, (_, index) => ({ ...at(index), host: `203.0.${index}.1` }));
  assert.equal(book.learn(crowd, 0), MAX_LEARNED_PER_RANGE);
  assert.equal(book.learn([{ ...at(900), host: '10.0.0.1' }], 0), 0);
});

test('bound: what is learned takes no place of one that worked, of a pinned one, or of an address that still works', () => {
  const book = new AddressBook(seededRng(1));
  book.add(at(0), true);
  for (let index = 1; index < MAX_ADDRESSES; index++) {
    book.add(at(index));
    book.succeeded(id(index), 1);
  }
  assert.equal(book.learn([far(5_000), { ...far(0), node_id: id(0) }, { ...far(1), node_id: id(1) }], 0), 0);
  for (let index = 0; index < 3; index++) book.failed(id(1), 0);
  assert.equal(book.learn([{ ...far(1), node_id: id(1) }], 0), 1, 'it has moved');
  assert.equal(book.size, MAX_ADDRESSES);
});

test('of those that worked the useful ones come first, and who rests is not dialled and has not failed', () => {
  const book = new AddressBook(seededRng(1));
  let [better, rounds] = [0, 0];
  for (const index of [1, 2]) {
    book.remember({ ...at(index), last_good_ms: 5, useful: index === 2 ? 100 : 0, source: 'gossip' });
  }
  for (; rounds < 200; rounds++) if (book.due(0)[0]?.node_id === id(2)) better++;
  assert.ok(better === rounds, `${better}`);
  book.rest(id(2), 0, HOUR_MS);
  assert.deepEqual(
    book.due(HOUR_MS - 1).map(({ node_id }) => node_id),
    [id(1)],
  );
  assert.ok(book.due(HOUR_MS).every(({ failures }) => failures === 0));
});
