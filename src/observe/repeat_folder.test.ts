import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/time.ts';
import { FOLD_MS, MAX_KINDS, RepeatFolder } from './repeat_folder.ts';

const open = () => {
  const clock = new ManualClock();
  const printed: string[] = [];
  const folder = new RepeatFolder<string>(clock, (line, repeats) => printed.push(`${line} ${repeats}`));
  return { clock, printed, folder };
};

test('the first of a kind is printed, repeats are counted and told when the window ends', () => {
  const { clock, printed, folder } = open();
  for (let index = 0; index < 5; index++) folder.offer('a', `a${index}`);
  folder.offer('b', 'b0');
  assert.deepEqual(printed, ['a0 0', 'b0 0']);
  clock.advance(FOLD_MS);
  assert.deepEqual(printed, ['a0 0', 'b0 0', 'a4 4']);
  assert.equal(folder.size, 0);
  assert.equal(clock.pending, 0);
});

test('after the window the next one is printed again', () => {
  const { clock, printed, folder } = open();
  folder.offer('a', 'a0');
  clock.advance(FOLD_MS);
  folder.offer('a', 'a1');
  assert.deepEqual(printed, ['a0 0', 'a1 0']);
});

test('a line without repeats holds no timer', () => {
  const { clock, folder } = open();
  folder.offer('a', 'a0');
  assert.equal(clock.pending, 0);
});

test('a count is told though the timer waited for an older kind', () => {
  const { clock, printed, folder } = open();
  folder.offer('a', 'a0');
  clock.advance(4000);
  folder.offer('b', 'b0');
  folder.offer('b', 'b1');
  clock.advance(FOLD_MS);
  assert.deepEqual(printed, ['a0 0', 'b0 0', 'b1 1']);
  assert.equal(clock.pending, 0);
});

test('a full memory tells the oldest and forgets it', () => {
  const { printed, folder } = open();
  folder.offer('first', 'first');
  folder.offer('first', 'first again');
  for (let index = 0; index < MAX_KINDS * 2; index++) folder.offer(`kind ${index}`, `kind ${index}`);
  assert.equal(folder.size, MAX_KINDS);
  assert.equal(printed.filter((text) => text === 'first again 1').length, 1);
});

test('flush tells every count and leaves no timer', () => {
  const { clock, printed, folder } = open();
  for (const body of ['a', 'b', 'a', 'b', 'b']) folder.offer(body, body);
  folder.flush();
  assert.deepEqual(printed, ['a 0', 'b 0', 'a 1', 'b 2']);
  assert.equal(clock.pending, 0);
  assert.equal(folder.size, 0);
});
