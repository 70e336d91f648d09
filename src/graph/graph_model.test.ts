/** Random histories: the graph against a plain model, and a graph that lived through them against one that read the file. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FLAG_DELETED } from '../wire/store_record.ts';
import { checkCounts, Model, pictureOf, recordsOf, step, WritingStore } from './graph_model.test.support.ts';
import { NetworkGraph } from './network_graph.ts';
import { SampleStore } from './sample_records.test.support.ts';

test('B7-30, B7-34, B7-44: after any history of records the graph is what plain maps say', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150, size: 'max' }), fc.integer(), (steps, salt) => {
      const graph = new NetworkGraph({ salt });
      const model = new Model();
      const store = new SampleStore();
      for (const [index, one] of steps.entries()) {
        for (const record of recordsOf(one, store, model)) graph.apply(record);
        if (index % 10 !== 0 && index !== steps.length - 1) continue;
        const expected = model.picture();
        assert.deepEqual(pictureOf(graph), expected);
        checkCounts(graph, expected);
      }
    }),
    { numRuns: 300 },
  );
});

test('live equals replay: a graph read from the file is the graph that lived through it', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const live = new NetworkGraph({ salt: 1 });
      const store = new WritingStore();
      for (const one of steps) {
        for (const record of store.write(one)) live.apply({ ...record });
      }
      const replayed = new NetworkGraph({ salt: 2 });
      for (const record of store.records) replayed.apply(record);
      const compacted = new NetworkGraph({ salt: 3, channelsHint: 3 });
      for (const record of store.records) if ((record.flags & FLAG_DELETED) === 0) compacted.apply(record);
      assert.deepEqual(pictureOf(replayed), pictureOf(live));
      assert.deepEqual(pictureOf(compacted), pictureOf(live));
    }),
    { numRuns: 200 },
  );
});
