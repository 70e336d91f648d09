import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NETWORKS } from '../base/chain_hash.ts';
import { silentLog } from '../base/log.ts';
import { silentMeter } from '../base/meter.ts';
import { seededRng } from '../base/rng.ts';
import { ManualClock } from '../base/time.ts';
import { encodeFeatures } from '../wire/feature_bits.ts';
import { decodeMessage } from '../wire/message.ts';
import { MemoryStore } from './memory_store.test.support.ts';
import { Seeker } from './seeker.ts';

const NOW = 1_700_000_000;

const firstAskedFor = (newestStored: number | undefined): number => {
  const asked: number[] = [];
  const seeker = new Seeker({
    graph: new MemoryStore().graph,
    network: NETWORKS.regtest,
    clock: new ManualClock(NOW * 1000),
    rng: seededRng(1),
    log: silentLog,
    meter: silentMeter,
    ...(newestStored === undefined ? {} : { newestStored }),
  });
  seeker.addPeer({
    name: 'peer',
    features: encodeFeatures([7]),
    send: (raw) => {
      const message = decodeMessage(raw);
      if ('type' in message && message.type === 'gossip_timestamp_filter')
        asked.push(message.first_timestamp);
    },
  });
  assert.equal(asked.length, 1);
  return asked[0]!;
};

test('after an absence, live gossip is asked for from the newest update that was stored', () => {
  // A daemon that slept for a day missed updates of channels that it knows. A peer without gossip_queries_ex lists scids
  // only, so nothing told the daemon what had changed: it asked for the last ten minutes and kept day-old policies.
  assert.equal(firstAskedFor(NOW - 86_400), NOW - 86_400 - 600);
});

test('an empty map asks for the last ten minutes, a very old one for two weeks, a clock that went back for no future', () => {
  assert.equal(firstAskedFor(undefined), NOW - 600);
  assert.equal(firstAskedFor(0), NOW - 600);
  assert.equal(firstAskedFor(NOW - 90 * 86_400), NOW - 1_209_600);
  assert.equal(firstAskedFor(NOW + 5_000), NOW - 600);
});

test('the lists of peers that we chose are asked for before those of peers that came by themselves', () => {
  // Three silent strangers could each hold one of the three places for 15 seconds before an honest peer was asked.
  const asked: string[] = [];
  const clock = new ManualClock(NOW * 1000);
  const seeker = new Seeker({
    graph: new MemoryStore().graph,
    network: NETWORKS.regtest,
    clock,
    rng: seededRng(1),
    log: silentLog,
    meter: silentMeter,
  });
  const add = (name: string, outbound: boolean): number =>
    seeker.addPeer({
      name,
      outbound,
      features: encodeFeatures([7]),
      send: (raw) => {
        const message = decodeMessage(raw);
        if ('type' in message && message.type === 'query_channel_range') asked.push(name);
      },
    });
  const strangers = ['a', 'b', 'c', 'd'].map((name) => add(name, false));
  assert.deepEqual(asked, ['a', 'b', 'c']);
  // They came first; the places of those that we chose are others.
  add('chosen', true);
  assert.deepEqual(asked, ['a', 'b', 'c', 'chosen']);
  seeker.removePeer(strangers[0]!);
  assert.deepEqual(asked, ['a', 'b', 'c', 'chosen'], 'the stranger that waits takes none of them');
});
