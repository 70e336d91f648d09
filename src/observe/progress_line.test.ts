import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/time.ts';
import { openLineOutput } from './line_output.ts';
import {
  DRAW_INTERVAL_MS,
  durationText,
  PLAIN_INTERVAL_MS,
  ProgressLine,
  progressRow,
  progressText,
} from './progress_line.ts';

const open = (isTerminal: boolean) => {
  const writes: string[] = [];
  const clock = new ManualClock();
  const output = openLineOutput({ isTerminal, columns: () => 100, write: (text) => writes.push(text) });
  return {
    writes,
    clock,
    output,
    progress: new ProgressLine({ output, clock, label: 'sync', unit: 'channels' }),
  };
};

test('without a terminal a plain line is printed at most every five seconds', () => {
  const { writes, clock, progress } = open(false);
  for (let ms = 0; ms <= 20_000; ms += 100) {
    progress.update(ms, 40_000);
    clock.advance(100);
  }
  assert.equal(writes.length, 1 + 20_000 / PLAIN_INTERVAL_MS);
  assert.equal(writes[0], 'sync: 0 %, 0 of 40,000 channels\n');
  assert.equal(writes[2], 'sync: 25 %, 10,000 of 40,000 channels, 1,000/s, 30 s left\n');
  for (const write of writes) assert.ok(!write.includes('\r') && !write.includes('\u001b'));
});

test('on a terminal one row is drawn again, not faster than ten times a second', () => {
  const { writes, clock, progress } = open(true);
  for (let step = 0; step < 1000; step++) {
    progress.update(step * 10, 10_000);
    clock.advance(1);
  }
  assert.ok(writes.length <= 1 + 1000 / DRAW_INTERVAL_MS);
  assert.ok(writes.at(-1)!.startsWith('\r\u001b[2K['));
  assert.match(
    writes.at(-1)!.slice('\r\u001b[2K'.length),
    /^\[#+-*\] sync: 90 %, 9,000 of 10,000 channels, [\d,]+\/s, 1 s left$/,
  );
  for (const write of writes) assert.doesNotMatch(write, /\n/);
});

test('a log line clears the row and draws it again', () => {
  const { writes, output, progress } = open(true);
  progress.update(5, 10);
  const row = writes[0]!.slice('\r\u001b[2K'.length);
  output.line('12:00:00.000 peer: hello');
  assert.equal(writes[1], `\r\u001b[2K12:00:00.000 peer: hello\n${row}`);
});

test('the end takes the row away and leaves the last state as a line; later updates do nothing', () => {
  const { writes, progress } = open(true);
  progress.update(5, 10);
  progress.update(10, 10);
  progress.end();
  progress.end();
  progress.update(3, 10);
  assert.deepEqual(writes.slice(1), ['\r\u001b[2K', 'sync: 100 %, 10 of 10 channels\n']);
});

test('a task that ended before it began shows nothing', () => {
  const { writes, progress } = open(false);
  progress.end();
  assert.deepEqual(writes, []);
});

test('without a total there is a count and no bar', () => {
  const state = { label: 'load', unit: 'records', done: 1234, total: undefined, rate: 3.25 };
  assert.equal(progressRow(state, 80), 'load: 1,234 records, 3.3/s');
});

test('a total of zero, more done than the total, and a fallen count are survived', () => {
  const state = { label: 'a', unit: 'b', done: 0, total: 0, rate: 0 };
  assert.equal(progressText(state), 'a: 0 of 0 b');
  assert.equal(
    progressRow({ ...state, done: 30, total: 10 }, 60),
    `[${'#'.repeat(30)}] a: 100 %, 30 of 10 b`,
  );
  const { writes, clock, progress } = open(false);
  progress.update(100, 200);
  clock.advance(PLAIN_INTERVAL_MS);
  progress.update(50, 200);
  assert.equal(writes[1], 'sync: 25 %, 50 of 200 channels\n');
});

test('the row is never as wide as the terminal', () => {
  const state = { label: 'sync', unit: 'channels', done: 26_000, total: 50_000, rate: 1300 };
  for (let columns = 10; columns < 140; columns++)
    assert.ok(progressRow(state, columns).length < columns, String(columns));
});

test('labels cannot move the cursor', () => {
  assert.equal(
    progressText({ label: 'a\u001b[2J', unit: 'b', done: 1, total: undefined, rate: 0 }),
    'a\\x1b[2J: 1 b',
  );
});

test('the rate follows a change of pace', () => {
  const { writes, clock, progress } = open(false);
  let done = 0;
  const pace = (perSecond: number, seconds: number): void => {
    for (let tenth = 0; tenth < seconds * 10; tenth++) {
      done += perSecond / 10;
      clock.advance(100);
      progress.update(done, 1_000_000);
    }
  };
  pace(1000, 10);
  assert.match(writes.at(-1)!, / (?:1,000|999)\/s/);
  pace(100, 60);
  assert.match(writes.at(-1)!, / 100\/s/);
});

test('what was done before the first update does not count as pace', () => {
  const { writes, clock, progress } = open(false);
  progress.update(50_000, 100_000);
  clock.advance(PLAIN_INTERVAL_MS);
  progress.update(50_500, 100_000);
  assert.match(writes[1]!, / 100\/s, /);
});

test('durations are read easily', () => {
  assert.deepEqual([0.2, 59, 61, 3599, 3600, 7500].map(durationText), [
    '1 s',
    '59 s',
    '1 min 1 s',
    '59 min 59 s',
    '1 h 0 min',
    '2 h 5 min',
  ]);
});
