import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scidOf } from './memory_store.test.support.ts';
import { MAX_NODES_PER_ROUND } from './node_quest.ts';
import { PROBE_MS, TIP_PROBE_MS } from './probing.ts';
import { blocks, EXTENDED, NOW, PLAIN, seekerHouse } from './seeker_house.test.support.ts';
import type { SeekerOptions } from './seeker_options.ts';

/** Peers whose whole list, a thousand channels, is known. */
const synced = (
  names: string[],
  bits: readonly number[] = PLAIN,
  more: Partial<SeekerOptions> = {},
  seed = 1,
) => {
  const house = seekerHouse(more, {}, seed);
  for (const scid of blocks(1_000)) house.store.channel(scid, NOW);
  for (const node of [1, 2]) house.store.node(node, NOW);
  const peers = names.map((name) => house.connect(name, bits));
  for (let second = 0; second < 70 * names.length; second++) {
    for (const peer of peers) if (peer.range() !== undefined) peer.list(blocks(1_000));
    house.run(1);
  }
  assert.equal(house.seeker.status().state, 'synced');
  /** Ticks until the peers have been asked for blocks; who, and which. Nobody answers. */
  const nextProbe = (seconds: number): [string, number, number] | undefined => {
    for (let second = 0; second < seconds; second++) {
      for (const peer of peers) {
        const range = peer.range();
        if (range !== undefined) return [peer.port.name, ...range];
      }
      house.run(1);
    }
    return undefined;
  };
  const peer = (name: string) => peers.find(({ port }) => port.name === name)!;
  return { ...house, peers, peer, nextProbe };
};

test('the newest blocks are asked for every few minutes, of the peers that send no live gossip in turn', () => {
  const names = [...'abcdefghij'];
  const { nextProbe, peer, seeker } = synced(names);
  const asked: string[] = [];
  for (let round = 0; round < 4; round++) {
    const probe = nextProbe(TIP_PROBE_MS / 1000 + 1);
    assert.ok(probe !== undefined);
    const [name, first, count] = probe;
    const quiet = seeker.status().peers.filter(({ streaming }) => !streaming);
    if (first + count >= 0x1000000) {
      assert.equal(first, 1_000 - 12);
      assert.ok(quiet.some((status) => status.name === name));
      asked.push(name);
    }
    peer(name).list(
      blocks(1_000).filter((scid) => scid >> 40n >= first),
      { first_blocknum: first, number_of_blocks: count },
    );
  }
  assert.deepEqual(new Set(asked.slice(0, 2)).size, 2);
});

test('a probe that finds an unknown channel brings the sync back to fetching, and says so', () => {
  const { nextProbe, peer, seeker, lines, meter, completeness, run } = synced(['a', 'b'], PLAIN, {
    blockHeight: () => 1_010,
  });
  const [name, first, count] = nextProbe(181)!;
  assert.equal(first, 998);
  peer(name).list([scidOf(1_005)], { first_blocknum: first, number_of_blocks: count });
  assert.equal(seeker.status().state, 'fetching');
  assert.deepEqual(peer(name).query(), [[1_005, undefined]]);
  assert.deepEqual([completeness().percent, completeness().missing], [99.9, 1]);
  const line = lines.find(({ message }) => message === 'probe found channels that were missing');
  assert.deepEqual([line?.level, line?.fields?.['missing'], line?.fields?.['peer']], ['info', 1, name]);
  assert.equal(
    lines.filter(({ message }) => message === 'sync state').at(-1)?.fields?.['why'],
    'channels are missing',
  );
  peer(name).deliver([scidOf(1_005)]);
  peer(name).end();
  run(1);
  assert.deepEqual([seeker.status().state, completeness().percent], ['synced', 100]);
  assert.equal(meter.get('gossipd_probes_total', 'missing'), 1);
});

test('random blocks are asked for, so many that a reply stays small', () => {
  for (const seed of [1, 2, 3]) {
    const { nextProbe, peer } = synced(['a'], PLAIN, {}, seed);
    let found: [string, number, number] | undefined;
    for (let turn = 0; turn < 8 && found === undefined; turn++) {
      const probe = nextProbe(PROBE_MS / 1000)!;
      const [name, first, count] = probe;
      if (first !== 988) found = probe;
      peer(name).list([], { first_blocknum: first, number_of_blocks: count });
    }
    const [, first, count] = found!;
    const channels = blocks(1_000).filter((scid) => scid >> 40n >= first && scid >> 40n < first + count);
    assert.ok(channels.length > 0 && channels.length <= 512, `${channels.length} from ${first}`);
  }
});

test('(Q-11) a probe that is not answered: the peer keeps its list, and is left alone until the answer or a list comes', () => {
  const { nextProbe, peer, seeker, meter, run } = synced(['a']);
  for (const failed of [1, 2]) {
    const probe = nextProbe(PROBE_MS / 1000)!;
    run(15);
    assert.equal(meter.get('gossipd_probes_total', 'failed'), failed);
    assert.deepEqual([peer('a').status()?.state, seeker.status().completeness.percent], ['ready', 100]);
    assert.equal(nextProbe(900), undefined);
    const part = { first_blocknum: probe[1], number_of_blocks: probe[2] };
    assert.equal(peer('a').list([], part), undefined, 'late');
    assert.equal(peer('a').list([], part), 'range_without_query', 'once');
  }
});

test('every hour the oldest list is asked for again: all peers take their turn', () => {
  const names = ['a', 'b', 'c', 'd'];
  const { peers, run } = synced(names);
  const rounds: string[] = [];
  for (let second = 0; second < 4 * 3_600; second++) {
    run(1);
    for (const peer of peers) {
      const range = peer.range();
      if (range === undefined) continue;
      const [first, count] = range;
      if (count === 0xffffffff) rounds.push(peer.port.name);
      peer.list([], { first_blocknum: first, number_of_blocks: count });
      if (count === 0xffffffff) break;
    }
  }
  assert.deepEqual([...rounds].sort(), names);
});

test('nodes without an announcement are asked for by one channel each, so many at a time, until all were', () => {
  const { connect, store, run, seeker } = seekerHouse();
  const nodes = MAX_NODES_PER_ROUND + 40;
  const ids = blocks(nodes / 2);
  for (const [index, scid] of ids.entries()) store.channel(scid, NOW, [10 + index * 2, 11 + index * 2]);
  const plain = connect('plain');
  plain.list([]);
  const peer = connect('cln', EXTENDED);
  peer.list([]);
  assert.equal(seeker.status().state, 'synced');
  const counts: number[] = [];
  for (let round = 0; round < 3; round++) {
    for (let second = 0; second < PROBE_MS / 1000; second++) {
      run(1);
      for (const one of [plain, peer]) {
        const range = one.range();
        if (range !== undefined) one.list([], { first_blocknum: range[0], number_of_blocks: range[1] });
      }
    }
    const asked = peer.query()!;
    counts.push(asked.reduce((sum, [, flags]) => sum + (flags === 24 ? 2 : 1), 0));
    assert.ok(asked.every(([, flags]) => flags === 8 || flags === 16 || flags === 24));
    assert.deepEqual(
      asked.map(([block]) => block),
      asked.map(([block]) => block).sort((left, right) => left - right),
    );
    peer.end();
    assert.equal(seeker.status().state, 'synced', 'nothing is missing for that');
  }
  assert.deepEqual(counts, [128, 40, 128]);
  assert.equal(plain.query(), undefined);
});
