/**
 * Gossip networks of three hundred nodes, and many seeds of smaller ones; see network/README.md. The large ones take a
 * minute or two each, all together half an hour.
 */
import { test } from 'node:test';
import type { Outcome, Size } from './network/scenarios.ts';
import * as scenarios from './network/scenarios.ts';

const LARGE: Size = { nodes: 300, channels: 100, traffic: 3600, updates: 3 };
/** For what takes hours after the traffic. */
const WIDE: Size = { nodes: 300, channels: 60, traffic: 900, updates: 1 };
const MIDDLE: Size = { nodes: 30, channels: 60, traffic: 1800, updates: 3 };

type Run = (seed: number, size: Size) => Promise<Outcome>;

const SCENARIOS: readonly (readonly [title: string, run: Run, large: Size])[] = [
  ['a random graph converges', (seed, size) => scenarios.convergence(seed, size, 'random'), LARGE],
  ['a small world converges', (seed, size) => scenarios.convergence(seed, size, 'small_world'), LARGE],
  ['a line converges', (seed, size) => scenarios.convergence(seed, size, 'line'), WIDE],
  ['two halves heal', scenarios.partition, WIDE],
  ['lines drop', (seed, size) => scenarios.loss(seed, size, 'lines'), WIDE],
  ['messages vanish', (seed, size) => scenarios.loss(seed, size, 'messages'), WIDE],
  ['peers are deaf', scenarios.deafPeers, WIDE],
  ['a few hubs have most nodes as guests', scenarios.hubs, { ...MIDDLE, nodes: 60 }],
  ['peers lie', scenarios.liars, WIDE],
  ['old gossip is replayed', scenarios.replays, WIDE],
  ['clocks are wrong', (seed, size) => scenarios.clockSkew(seed, size, false), WIDE],
  ['nodes restart', scenarios.churn, WIDE],
];

const runOne = (title: string, seed: number, run: Run, size: Size): void => {
  test(`${size.nodes} nodes, seed ${seed}: ${title}`, async (context) => {
    context.diagnostic(JSON.stringify(await run(seed, size)));
  });
};

for (const [at, [title, run]] of SCENARIOS.entries())
  for (let seed = 100 * (at + 1); seed < 100 * (at + 1) + 5; seed++) runOne(title, seed, run, MIDDLE);

// Hours pass until the messages of a node whose clock is an hour off are everywhere.
runOne(
  'clocks are wrong, and everything arrives in the end',
  2000,
  (seed, size) => scenarios.clockSkew(seed, size, true),
  MIDDLE,
);

for (const [at, [title, run, large]] of SCENARIOS.entries()) runOne(title, 3000 + at, run, large);
