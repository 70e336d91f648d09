/** The tail against the store that gossipd itself writes: batches, deferred flags, compaction, restarts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../base/rng.ts';
import { type StoreOffset, storeOffset } from '../wire/store_record.ts';
import type { GossipStore } from './gossip_store.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import {
  acceptedChannel,
  acceptedNode,
  acceptedRemoval,
  acceptedUpdate,
  benchOn,
  ignore,
} from './store_samples.test.support.ts';
import { drain, tailBench } from './tail_events.test.support.ts';

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
};

test('every record of a running store is told once, across flushes, compactions and restarts', async () => {
  for (let seed = 1; seed <= 6; seed++) {
    const rng = seededRng(seed);
    const folder = new MemoryFolder();
    const bench = benchOn(folder);
    const { open, heard } = tailBench(folder, seed);
    const updates = new Map<number, StoreOffset>();
    const channels = new Map<number, StoreOffset>();
    const expected: string[] = [];
    const told: string[] = [];
    let store: GossipStore = await bench.open();
    let time = 1000;
    const tail = open();
    for (let round = 0; round < 120; round++) {
      const number = Math.floor(rng.fraction() * 8);
      const announcement = channels.get(number);
      const draw = rng.fraction();
      if (announcement === undefined) {
        channels.set(number, store.append(acceptedChannel(number), ignore));
        expected.push(`channel_announcement ${100_000 + number}x1x0 1000000`);
      } else if (draw < 0.5 && !updates.has(number)) {
        updates.set(number, store.append(acceptedUpdate(number, 0, ++time, undefined, announcement), ignore));
        expected.push(`channel_update ${100_000 + number}x1x0 0 ${time}`);
      } else if (draw < 0.7) {
        store.append(acceptedNode(round, ++time), ignore);
        expected.push(`node_announcement ${round} ${time}`);
      } else if (draw < 0.8) {
        const remove = [announcement, updates.get(number) ?? storeOffset(0)].filter((offset) => offset !== 0);
        store.append(acceptedRemoval(number, remove), ignore);
        expected.push(`channel_deleted ${100_000 + number}x1x0`);
        channels.delete(number);
        updates.delete(number);
      }
      // Every change is seen before the next: otherwise a channel may come and go unseen.
      store.flush();
      told.push(...drain(tail).map(({ text }) => text));
      bench.clock.advance(rng.fraction() < 0.3 ? 1_500 : 10);
      if (rng.fraction() < 0.1) {
        if (rng.fraction() < 0.6) {
          store.compact();
          await settle();
        }
        told.push(...drain(tail).map(({ text }) => text));
        await store.close();
        channels.clear();
        updates.clear();
        store = await bench.open((record) => {
          const { type, bytes, at, offset } = record;
          const view = new DataView(bytes.buffer, bytes.byteOffset + at);
          if (type === 256)
            channels.set((view.getUint32(260 + view.getUint16(258) + 32) >>> 8) - 100_000, offset);
          if (type === 258) updates.set((view.getUint32(98) >>> 8) - 100_000, offset);
        });
      }
      await settle();
    }
    await store.close();
    told.push(...drain(tail).map(({ text }) => text));
    assert.deepEqual(told, expected, `seed ${seed}`);
    const kinds = new Set(heard());
    assert.deepEqual([...kinds], ['file_replaced'], 'it was compacted, and nothing was damaged');
    await tail.close();
  }
});
