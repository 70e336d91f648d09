import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NETWORKS } from '../base/chain_hash.ts';
import { silentLog } from '../base/log.ts';
import { silentMeter } from '../base/meter.ts';
import { ManualClock } from '../base/time.ts';
import { MemoryStore, scidOf } from './memory_store.test.support.ts';
import { QueryBudget, type QueryBudgetOptions } from './query_budget.ts';
import { QueryServer } from './query_server.ts';

const network = NETWORKS.regtest;

const serving = (store: MemoryStore, budget: QueryBudget) => {
  const sent: Uint8Array[] = [];
  const server = new QueryServer({
    ...{ graph: store.graph, store, network, budget, log: silentLog, meter: silentMeter },
    send: (raw) => sent.push(raw),
    canSend: () => true,
  });
  const types = (): number[] => sent.map((raw) => (raw[0]! << 8) | raw[1]!);
  const askScids = (scids: bigint[]) =>
    server.onQueryShortChannelIds({
      chain_hash: network.chainHashBytes,
      short_channel_ids: BigUint64Array.from(scids),
    });
  return { server, sent, types, askScids };
};

const budgetOf = (clock: ManualClock, more: Partial<QueryBudgetOptions> = {}): QueryBudget =>
  new QueryBudget({ clock, meter: silentMeter, ...more });

test('a peer that asks for the same channels again and again is answered slower and slower, and always', () => {
  // An lnd node let queries and live gossip share one limit: a peer that asked without end held up everybody's updates.
  const clock = new ManualClock();
  const store = new MemoryStore();
  for (let block = 1; block <= 100; block++) store.channel(scidOf(block), 5);
  const ids = Array.from({ length: 100 }, (_, index) => scidOf(index + 1));
  const budget = budgetOf(clock, { burstBytes: 200_000, bytesPerSecond: 10_000 });
  const { askScids, server, sent, types } = serving(store, budget);
  const bytes = (): number => sent.reduce((sum, raw) => sum + raw.length, 0);
  assert.equal(askScids(ids), undefined);
  assert.equal(types().at(-1), 262, 'the first sync goes at full speed');
  const whole = bytes();
  const seconds: number[] = [];
  for (let turn = 0; turn < 6; turn++) {
    assert.equal(askScids(ids), undefined, 'never refused');
    let waited = 0;
    for (; types().at(-1) !== 262 && waited < 1_000; waited++) clock.advance(1_000);
    seconds.push(waited);
    sent.length = 0;
  }
  assert.equal(seconds[0], 0);
  assert.ok(seconds[5]! >= Math.floor(whole / 10_000) - 2, `${seconds}`);
  assert.equal(server.busy, false);
  server.close();
  assert.equal(clock.pending, 0);
});

test('while an answer waits for its budget, live gossip does not wait for the answer', () => {
  const clock = new ManualClock();
  const store = new MemoryStore();
  for (let block = 1; block <= 20; block++) store.channel(scidOf(block), 5);
  const budget = budgetOf(clock, { burstBytes: 1_000, bytesPerSecond: 1_000 });
  const { askScids, server, sent } = serving(store, budget);
  askScids(Array.from({ length: 20 }, (_, index) => scidOf(index + 1)));
  const [before, isBusy] = [sent.length, server.busy];
  assert.deepEqual([before > 0 && before < 60, isBusy], [true, false]);
  clock.advance(60_000);
  assert.equal(sent.length, 61);
  // Not even a query for what is not there is free of charge.
  budget.spend(1_000);
  const { left } = budget;
  askScids(Array.from({ length: 20 }, (_, index) => scidOf(9_000 + index)));
  assert.ok(budget.left < left - 300);
  server.close();
  assert.equal(clock.pending, 0);
});

test('a budget fills up again, to its burst and no further', () => {
  const clock = new ManualClock();
  const budget = budgetOf(clock, { burstBytes: 100, bytesPerSecond: 10 });
  budget.spend(150);
  assert.equal(budget.left, -50);
  let opened = 0;
  assert.equal(
    budget.isOpen(() => opened++),
    false,
  );
  assert.equal(
    budget.isOpen(() => opened++),
    false,
  );
  clock.advance(5_000);
  assert.equal(opened, 0);
  clock.advance(2_000);
  assert.equal(opened, 1);
  assert.equal(
    budget.isOpen(() => opened++),
    true,
  );
  clock.advance(60_000);
  assert.equal(budget.left, 100);
  assert.equal(clock.pending, 0);
});
