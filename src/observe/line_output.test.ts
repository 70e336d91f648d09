import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openLineOutput, writeAllSync } from './line_output.ts';

const recorded = (isTerminal: boolean) => {
  const writes: string[] = [];
  return {
    writes,
    output: openLineOutput({ isTerminal, columns: () => 80, write: (text) => writes.push(text) }),
  };
};

test('without a terminal there are lines and no status', () => {
  const { writes, output } = recorded(false);
  output.status('50 %');
  output.line('one');
  output.status(undefined);
  assert.deepEqual(writes, ['one\n']);
});

test('on a terminal a line clears the status, prints, and draws the status again', () => {
  const { writes, output } = recorded(true);
  output.line('one');
  output.status('50 %');
  output.line('two');
  output.status('50 %');
  output.status(undefined);
  output.line('three');
  assert.deepEqual(writes, ['one\n', '\r\u001b[2K50 %', '\r\u001b[2Ktwo\n50 %', '\r\u001b[2K', 'three\n']);
});

test('a write is complete when it returns', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gossipd-output-'));
  const file = openSync(join(folder, 'out'), 'w');
  assert.equal(writeAllSync(file, 'één lijn\n'.repeat(10_000)), true);
  closeSync(file);
  assert.equal(readFileSync(join(folder, 'out'), 'utf8'), 'één lijn\n'.repeat(10_000));
  rmSync(folder, { recursive: true });
});

test('a reader that is gone loses the text and nothing else', () => {
  // A closed descriptor fails like a pipe without a reader: an error other than EAGAIN.
  const file = openSync('/dev/null', 'r');
  assert.equal(writeAllSync(file, 'lost'), false);
  closeSync(file);
});

test('a megabyte goes through a pipe to a reader that takes its time', () => {
  const script = `import { writeAllSync } from ${JSON.stringify(new URL('./line_output.js', import.meta.url).href)};
    process.exitCode = writeAllSync(1, 'x'.repeat(1_000_000)) ? 0 : 1;`;
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    maxBuffer: 2_000_000,
  });
  assert.equal(status, 0);
  assert.equal(stdout.length, 1_000_000);
});
