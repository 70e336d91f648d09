/** What the copier guarantees whatever it is told to do: the plan here is wrong on purpose. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { concatBytes, toHex, writeU64 } from '../base/bytes.ts';
import { seededRng } from '../base/rng.ts';
import {
  fileOf,
  type GoodRecord,
  goodAnnouncement,
  goodStore,
  goodUpdate,
  rec,
} from '../store/damaged_stores.test.support.ts';
import { MemoryFolder } from '../store/memory_folder.test.support.ts';
import { encodeChannelAmount } from '../wire/gossip_store_messages.ts';
import { type Moves, noMoves, planRepair } from './plan.ts';
import { PositionMap, PositionSet } from './positions.ts';
import { type CopyCounts, RecordCopier } from './record_copier.ts';
import { RecordSink } from './record_sink.ts';
import { messagesIn, messagesOf } from './repair_bench.test.support.ts';
import { quietTask } from './task.ts';

const store = goodStore(16, 3, { withoutNodes: true });
const nth = (type: number, index: number): GoodRecord =>
  store.records.filter((record) => record.type === type)[index]!;
const all = messagesIn(store);
const without = (...records: readonly GoodRecord[]): string[] =>
  all.filter((hex) => !records.some(({ bytes }) => toHex(bytes) === hex));

const copy = async (plan: {
  readonly drops?: readonly GoodRecord[];
  readonly moves?: readonly (readonly [from: GoodRecord, target: GoodRecord])[];
  readonly amounts?: readonly (readonly [GoodRecord, number])[];
}): Promise<{ readonly messages: string[]; readonly counts: CopyCounts }> => {
  const drops = new PositionSet();
  for (const { position } of plan.drops ?? []) drops.add(position);
  drops.seal();
  const amounts = new PositionMap();
  for (const [{ position }, satoshis] of plan.amounts ?? []) amounts.set(position, satoshis);
  amounts.seal();
  let moves: Moves = noMoves();
  if (plan.moves !== undefined) {
    const moved = new PositionSet();
    for (const [{ position }] of plan.moves) moved.add(position);
    moved.seal();
    moves = {
      froms: Float64Array.from(plan.moves, ([from]) => from.position),
      targets: Float64Array.from(plan.moves, ([, target]) => target.position),
      moved,
    };
  }
  const folder = new MemoryFolder();
  const file = folder.open('out', 'create');
  const sink = new RecordSink(file, store.format, new Uint8Array(32));
  const { format, bytes } = store;
  const source = { file: fileOf(bytes), format, bytes: bytes.length, restoreBits: false };
  const copier = new RecordCopier({ source, drops, amounts, moves }, sink);
  assert.equal(await copier.run(quietTask, 'writing'), true);
  sink.flush();
  return { messages: messagesOf(folder.contents('out')), counts: copier.counts };
};

test('an announcement and its amount go together, whichever of them is to be left out', async () => {
  const pair = [nth(256, 1), nth(4101, 1)] as const;
  for (const one of pair) {
    const { messages, counts } = await copy({ drops: [one] });
    assert.deepEqual(messages, without(...pair));
    assert.equal(counts.dropped, 2);
  }
});

test('an amount from elsewhere takes the place of the one that is there', async () => {
  const { messages, counts } = await copy({ amounts: [[nth(256, 1), 77]] });
  const at = messages.indexOf(toHex(nth(256, 1).bytes));
  assert.equal(messages[at + 1], toHex(encodeChannelAmount(77n)));
  assert.equal(messages.length, all.length);
  assert.deepEqual([counts.amounts_added, counts.dropped], [1, 1]);
});

test('what moves is written once, behind its target; not at all when either is left out', async () => {
  const [early, target] = [nth(258, 0), nth(256, 2)];
  const moved = await copy({ moves: [[early, target]] });
  const expected = without(early);
  expected.splice(expected.indexOf(toHex(nth(4101, 2).bytes)) + 1, 0, toHex(early.bytes));
  assert.deepEqual(moved.messages, expected);
  assert.deepEqual([moved.counts.moved, moved.counts.kept], [1, store.records.length]);
  const noTarget = await copy({ moves: [[early, target]], drops: [target] });
  assert.deepEqual(noTarget.messages, without(early, target, nth(4101, 2)));
  const neither = await copy({ moves: [[early, target]], drops: [early] });
  assert.deepEqual(neither.messages, without(early));
  assert.equal(neither.counts.dropped, 1);
});

test('an amount that the audit did not tell is taken from the updates, rounded up, and never more than there is', async () => {
  for (const [msat, satoshis] of [
    [1_000_000_001n, 1_000_001],
    [1_000_000_000n, 1_000_000],
    [(1n << 64n) - 1n, 2_100_000_000_000_000],
  ] as const) {
    const update = goodUpdate(5, 1, 9);
    writeU64(update, 130, msat);
    const { format, bytes } = goodStore(16, 2);
    const lone = rec(format, goodAnnouncement(5));
    const plan = await planRepair({
      file: fileOf(concatBytes(bytes, lone, rec(format, goodUpdate(5, 0, 9)), rec(format, update))),
      // At this level an announcement is judged before its updates are seen.
      level: 'structure',
      restoreBits: false,
      ignore: new Set(),
      live: false,
      rng: seededRng(1),
      task: quietTask,
      onFinding: () => {},
    });
    assert.ok(typeof plan === 'object');
    assert.equal(plan.amounts.get(bytes.length), satoshis);
  }
});
