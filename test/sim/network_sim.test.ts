/**
 * A gossip network of some dozen nodes in a box, by seed; see network/README.md. The nodes' rooms are the shipped ones; the network, the
 * chain, the clocks and the signatures are pretended. network_sim.long.test.ts does the same with hundreds.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Outcome, Size } from './network/scenarios.ts';
import * as scenarios from './network/scenarios.ts';

const SMALL: Size = { nodes: 16, channels: 24, traffic: 300, updates: 2 };
/** For what takes hours after the traffic: time costs a tick for each second and node. */
const TINY: Size = { nodes: 10, channels: 30, traffic: 300, updates: 1 };

const scenario = (title: string, seeds: readonly number[], run: (seed: number) => Promise<Outcome>): void => {
  for (const seed of seeds)
    test(`seed ${seed}: ${title}`, async (context) => {
      context.diagnostic(JSON.stringify(await run(seed)));
    });
};

scenario('forty nodes at random come to the same map, within a minute for each step', [1], (seed) =>
  scenarios.convergence(seed, { ...SMALL, nodes: 40 }, 'random'),
);
scenario('so do fewer', [2], (seed) => scenarios.convergence(seed, SMALL, 'random'));
scenario('so does a small world', [3], (seed) => scenarios.convergence(seed, SMALL, 'small_world'));
scenario('so does a line of nodes', [4], (seed) => scenarios.convergence(seed, SMALL, 'line'));
scenario(
  'two halves that were apart for two hours fetch the news, and only the news (Q-02, Q-11)',
  [5],
  (seed) => scenarios.partition(seed, TINY),
);
scenario('lines that are down for 5 % of the time lose nothing in the end', [6], (seed) =>
  scenarios.loss(seed, SMALL, 'lines'),
);
scenario('5 % of all gossip messages vanish, and nothing is missing in the end', [7], (seed) =>
  scenarios.loss(seed, SMALL, 'messages'),
);
scenario('peers that answer nothing hold nobody up', [18], (seed) => scenarios.deafPeers(seed, SMALL));
// Once a node to whom nobody listened kept its news for three quarters of an hour.
scenario('nor do they keep live gossip from getting everywhere', [8], (seed) =>
  scenarios.deafPeers(seed, SMALL),
);
scenario('what guests of a few hubs know is found in their lists', [60], (seed) =>
  scenarios.hubs(seed, { nodes: 60, channels: 50, traffic: 900, updates: 3 }),
);
scenario('newcomers among liars come to the whole map, and claim no more than they have', [9], (seed) =>
  scenarios.liars(seed, SMALL),
);
scenario('old gossip that is sent again and again is not stored and goes no further (B7-33)', [10], (seed) =>
  scenarios.replays(seed, SMALL),
);
scenario('wrong clocks delay, and the far future is not believed (B7-35)', [11], (seed) =>
  scenarios.clockSkew(seed, TINY, false),
);
scenario('nodes that stop, or crash, and start from their stores catch up', [12], (seed) =>
  scenarios.churn(seed, SMALL),
);

test('what a peer has told, be it old news to us, goes back to it by no filter', async () => {
  for (const seed of [50]) {
    const { echoes, redundancy } = await scenarios.convergence(seed, SMALL, 'random');
    // Of some 11,000 messages; where only news was noted, more than 6,000 of 17,000. A copy that comes during the check is not noted.
    assert.ok(Number(echoes) <= 20, `seed ${seed}: ${echoes}`);
    // Eight connections for each node: every one carries a message once, in one direction.
    assert.ok(Number(redundancy) <= 4.1, `seed ${seed}: ${redundancy}`);
  }
});

test('one seed is one story: the same events in the same order, and another seed is another', async () => {
  const size = { nodes: 8, channels: 8, traffic: 120, updates: 1 };
  const traces: string[] = [];
  for (const seed of [13, 13, 14]) traces.push((await scenarios.churn(seed, size)).trace);
  assert.equal(traces[0], traces[1]);
  assert.notEqual(traces[0], traces[2]);
});
