import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { seededRng } from '../base/rng.ts';
import { encodeEmptyStore, encodeRecord } from './format.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import { nodeOf } from './store_samples.test.support.ts';
import { formatToken, parseToken, type TailToken } from './tail_cursor.ts';
import { drain, tailBench } from './tail_events.test.support.ts';

const NAME = 'gossip_store';
const STATE = 'tail.state';
const store = (nodes: number): Uint8Array =>
  concatBytes(
    encodeEmptyStore(new Uint8Array(32)),
    ...Array.from({ length: nodes }, (_, number) => encodeRecord(5, nodeOf(number, 5))),
  );

/** A store of six, of which four were told in two parts, and the state of the tail that did. */
const told = async (): Promise<{ folder: MemoryFolder; state: Uint8Array; cursor: string }> => {
  const folder = new MemoryFolder();
  folder.place(NAME, store(2));
  const { open } = tailBench(folder);
  const tail = open({ state: { folder, name: STATE } });
  drain(tail);
  await tail.persist();
  folder.open(NAME, 'write').write(store(4), 0);
  const last = drain(tail).at(-1)!;
  tail.markDelivered();
  await tail.persist();
  folder.open(NAME, 'write').write(store(6), 0);
  return { folder, state: folder.contents(STATE), cursor: last.cursor };
};

test('a state with any one bit wrong is either recognised as damaged, or says the same, or is only older', async () => {
  const { state } = await told();
  const folder = new MemoryFolder();
  folder.place(NAME, store(6));
  const { open, heard } = tailBench(folder);
  let damaged = 0;
  for (let at = 0; at < state.length; at++) {
    const spoilt = state.slice();
    spoilt[at]! ^= 1 << (at % 8);
    folder.place(STATE, spoilt);
    const events = drain(open({ state: { folder, name: STATE } })).length;
    const isDamaged = heard().includes('state_damaged');
    if (isDamaged) damaged++;
    // Starting over tells six; an end that cannot be read is taken for one that was cut off by a power cut.
    assert.ok(
      isDamaged ? events === 6 : events === 2 || events === 4 || events === 6,
      `byte ${at}: ${events}`,
    );
  }
  assert.ok(damaged > state.length / 2);
});

test('a state that is cut off anywhere never makes a tail lose an event', async () => {
  const { state } = await told();
  const folder = new MemoryFolder();
  folder.place(NAME, store(6));
  const { open } = tailBench(folder);
  for (let length = 0; length <= state.length; length++) {
    folder.place(STATE, state.slice(0, length));
    assert.ok(drain(open({ state: { folder, name: STATE } })).length >= 2);
  }
});

test('a state that lost its end to a power cut: the cursor is still exact while the store is the same', async () => {
  const { folder, state, cursor } = await told();
  const { open } = tailBench(folder);
  for (let cut = 1; cut < 400; cut += 7) {
    folder.place(STATE, state.slice(0, state.length - cut));
    assert.equal(drain(open({ state: { folder, name: STATE }, cursor })).length, 2, `cut by ${cut}`);
  }
});

test('a killed process leaves a state from which nothing is lost, at every operation of the disk', async () => {
  for (let operations = 0; operations < 40; operations++) {
    const folder = new MemoryFolder();
    folder.place(NAME, store(2));
    const { open, clock } = tailBench(folder);
    const tail = open({ state: { folder, name: STATE } });
    const taken = new Set<string>();
    folder.stopAfter(operations, operations % 7);
    for (let nodes = 2; nodes < 12; nodes++) {
      const events = drain(tail);
      await tail.persist();
      if (folder.stopped) break;
      for (const { text } of events) taken.add(text);
      tail.markDelivered();
      await tail.persist();
      clock.advance(600);
      folder.place(NAME, store(nodes + 1));
    }
    await tail.close();
    folder.restart();
    folder.place(NAME, store(12));
    const after = drain(open({ state: { folder, name: STATE } }));
    for (const { text } of after) taken.add(text);
    assert.equal(taken.size, 12, `stopped after ${operations}`);
  }
});

test('tokens are read back as they were given, and nothing else is', () => {
  const rng = seededRng(3);
  for (let round = 0; round < 500; round++) {
    const number = (below: number): number => Math.floor(rng.fraction() * below);
    const token: TailToken = {
      stream: number(2 ** 32)
        .toString(16)
        .padStart(8, '0'),
      sequence: 1 + number(2 ** 50),
      head: rng.fraction() < 0.1 ? '' : `${'0123456789abcdef'.slice(number(8))}0123456789abcdef`.slice(0, 16),
      position: 1 + number(2 ** 52),
      anchor: { position: number(2 ** 52), length: number(65_536), content: number(2 ** 32) },
      comparing: rng.fraction() < 0.5,
    };
    const text = formatToken(token);
    assert.deepEqual(parseToken(text), token);
    const at = number(text.length);
    const other = text.slice(0, at) + (text[at] === '7' ? '8' : '7') + text.slice(at + 1);
    assert.equal(parseToken(other), undefined);
    assert.equal(parseToken(text.slice(0, -1)), undefined);
  }
});
