/** A graph that was saved and restored is the graph that it was, goes on like it, and nothing else is ever restored. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { writeU32 } from '../base/bytes.ts';
import { crc32c } from '../wire/crc32c.ts';
import { type StoreRecord, storeOffset } from '../wire/store_record.ts';
import { applyRecord } from './apply_record.ts';
import { checkCounts, Model, pictureOf, recordsOf, type Step, step } from './graph_model.test.support.ts';
import { emptyState } from './graph_state.ts';
import { NetworkGraph } from './network_graph.ts';
import { SampleStore } from './sample_records.test.support.ts';
import {
  MAX_TIE_BYTES,
  restoreSnapshot,
  SNAPSHOT_HEADER_BYTES,
  STATE_ANOMALIES,
  STATE_NUMBERS,
  writeSnapshot,
} from './snapshot.ts';

const TIE = 'the store as it was';

/** A file in memory. */
class Bytes {
  #bytes: Uint8Array;

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.#bytes = bytes;
  }
  get content(): Uint8Array {
    return this.#bytes;
  }
  readonly size = (): number => this.#bytes.length;
  readonly read = (buffer: Uint8Array, start: number, length: number, position: number): number => {
    const piece = this.#bytes.subarray(position, position + length);
    buffer.set(piece, start);
    return piece.length;
  };
  readonly write = (bytes: Uint8Array, position: number): void => {
    if (position + bytes.length > this.#bytes.length) {
      const longer = new Uint8Array(position + bytes.length);
      longer.set(this.#bytes);
      this.#bytes = longer;
    }
    this.#bytes.set(bytes, position);
  };
}

const saved = (graph: NetworkGraph, tie = TIE): Uint8Array => {
  const file = new Bytes();
  graph.save(tie, file);
  return file.content;
};

const restored = (bytes: Uint8Array, tie = TIE): NetworkGraph | undefined => {
  const graph = new NetworkGraph({ salt: 77 });
  return graph.restore(tie, new Bytes(bytes)) ? graph : undefined;
};

const history = (steps: readonly Step[], store: SampleStore): StoreRecord[] => {
  const model = new Model();
  return steps.flatMap((one) => recordsOf(one, store, model));
};

const smallGraph = (): NetworkGraph => {
  const graph = new NetworkGraph({ salt: 3 });
  const steps = fc.sample(step, { numRuns: 60, seed: 5 });
  for (const record of history(steps, new SampleStore())) graph.apply(record);
  assert.ok(graph.channelCount > 2 && graph.nodeAnnouncementCount > 0);
  return graph;
};

test('property: saved and restored after any history it is the same graph, and goes on as the same', () => {
  const steps = (maxLength: number) => fc.array(step, { maxLength, size: 'max' });
  fc.assert(
    fc.property(
      ...([
        steps(120),
        steps(60),
        fc.integer(),
        fc.boolean(),
        fc.array(fc.nat(5), { minLength: 50, maxLength: 50 }),
      ] as const),
      (before, after, salt, asksForOrder, fates) => {
        const live = new NetworkGraph({ salt });
        const store = new SampleStore();
        for (const record of history(before, store)) live.apply(record);
        if (asksForOrder) live.channelsInBlocks(0, 1, () => {});
        const bytes = saved(live);
        const again = restored(bytes);
        assert.ok(again !== undefined);
        // Every column, index, list of free slots and count: the bytes say it all.
        assert.deepEqual(saved(again), bytes);
        assert.deepEqual(again.anomalies, live.anomalies);
        const same = (): void => {
          const picture = pictureOf(live);
          assert.deepEqual(pictureOf(again), picture);
          checkCounts(again, picture);
          assert.equal(again.newestUpdate(), again.statistics().newest_update);
        };
        same();
        for (const record of history(after, store)) {
          live.apply({ ...record });
          again.apply({ ...record });
        }
        same();
        const translate = (offset: number) =>
          storeOffset(fates[offset % fates.length] === 0 ? 0 : offset + 1000);
        assert.deepEqual(again.relocate(translate), live.relocate(translate));
        same();
        assert.deepEqual(saved(again), saved(live));
      },
    ),
    { numRuns: 200 },
  );
});

test('an empty graph is restored as an empty graph', () => {
  const graph = restored(saved(new NetworkGraph()));
  assert.deepEqual([graph?.channelCount, graph?.nodeCount, graph?.newestUpdate()], [0, 0, 0]);
});

test('restoring replaces what the graph held before', () => {
  const graph = smallGraph();
  const bytes = saved(new NetworkGraph({ salt: 4 }));
  assert.ok(graph.restore(TIE, new Bytes(bytes)));
  assert.equal(graph.channelCount, 0);
  assert.deepEqual(saved(graph), bytes);
});

test('every number and every anomaly of a graph is part of its snapshot', () => {
  const state = emptyState({});
  const numbers = Object.entries(state).filter(([, value]) => typeof value === 'number');
  assert.deepEqual(numbers.map(([name]) => name).sort(), [...STATE_NUMBERS].sort());
  assert.deepEqual(Object.keys(state.anomalies).sort(), [...STATE_ANOMALIES].sort());
  const records = history(fc.sample(step, { numRuns: 40, seed: 9 }), new SampleStore());
  for (const record of records) applyRecord(state, record);
  const file = new Bytes();
  writeSnapshot(state, TIE, file);
  const other = emptyState({ salt: 8 });
  assert.ok(restoreSnapshot(other, TIE, file));
  for (const name of STATE_NUMBERS) assert.equal(other[name], state[name], name);
  assert.deepEqual(other.tables, state.tables);
  assert.deepEqual([other.deadlines, other.dyingOffsets], [state.deadlines, state.dyingOffsets]);
});

test('any flipped bit and any cut is refused, and the graph stays what it is', () => {
  const sound = saved(smallGraph());
  const graph = new NetworkGraph();
  const file = new Bytes(sound.slice());
  const isRefused = (source: Bytes): boolean => !graph.restore(TIE, source) && graph.channelCount === 0;
  for (let bit = 0; bit < sound.length * 8; bit++) {
    file.content[bit >> 3]! ^= 1 << (bit & 7);
    assert.ok(isRefused(file), `bit ${bit}`);
    file.content[bit >> 3]! ^= 1 << (bit & 7);
  }
  for (let size = 0; size < sound.length; size++)
    assert.ok(isRefused(new Bytes(sound.subarray(0, size))), `cut at ${size}`);
  for (const more of [1, 8, 512]) {
    const longer = new Uint8Array(sound.length + more);
    longer.set(sound);
    assert.ok(isRefused(new Bytes(longer)));
  }
  for (let at = 0; at < sound.length; at += 512) {
    if (sound.subarray(at, at + 512).every((byte) => byte === 0)) continue;
    assert.ok(isRefused(new Bytes(sound.slice().fill(0, at, at + 512))), `zeros at ${at}`);
  }
  assert.ok(graph.restore(TIE, file));
});

test('a snapshot of another tie, format or machine is none', () => {
  const bytes = saved(smallGraph());
  for (const tie of ['', TIE.slice(1), `${TIE} `, TIE.toUpperCase(), 'x'.repeat(MAX_TIE_BYTES)])
    assert.equal(restored(bytes, tie), undefined);
  const withWord = (word: number, change: (value: number) => number): Uint8Array => {
    const copy = bytes.slice();
    const words = new Uint32Array(copy.buffer);
    words[word] = change(words[word]!);
    words[1] = crc32c(0, copy, 8, SNAPSHOT_HEADER_BYTES);
    return copy;
  };
  assert.notEqual(restored(withWord(2, (format) => format)), undefined);
  assert.equal(restored(withWord(2, (format) => format + 1)), undefined);
  const swapped = (magic: number): number => {
    const four = new Uint8Array(4);
    writeU32(four, 0, magic);
    return new Uint32Array(four.buffer)[0]!;
  };
  assert.equal(restored(withWord(0, swapped)), undefined);
});

test('a header with a right checksum that says what cannot be is refused, without room being made for it', () => {
  const bytes = saved(smallGraph());
  const countsAt = 32 / 8;
  const lengthsAt = countsAt + STATE_NUMBERS.length + STATE_ANOMALIES.length;
  const channelEnd = countsAt + STATE_NUMBERS.indexOf('channelEnd');
  const places = [channelEnd, channelEnd + 2, ...Array.from({ length: 6 }, (_, index) => lengthsAt + index)];
  for (const place of places) {
    for (const value of [-1, 0.5, 2 ** 26, 2 ** 40, 1e300, Number.NaN, Number.POSITIVE_INFINITY]) {
      const copy = bytes.slice();
      new Float64Array(copy.buffer)[place] = value;
      new Uint32Array(copy.buffer)[1] = crc32c(0, copy, 8, SNAPSHOT_HEADER_BYTES);
      assert.equal(restored(copy), undefined, `${value} at ${place}`);
    }
  }
});
