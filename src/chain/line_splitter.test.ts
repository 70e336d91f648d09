import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineSplitter } from './line_splitter.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const make = (max: number): { splitter: LineSplitter; seen: string[] } => {
  const seen: string[] = [];
  const splitter = new LineSplitter(
    max,
    (line) => seen.push(line),
    () => seen.push('(overlong)'),
  );
  return { splitter, seen };
};

test('lines come whole, however they are cut', () => {
  const stream = bytes('one\n\ntwö\nthree');
  for (let size = 1; size <= stream.length; size++) {
    const { splitter, seen } = make(10);
    for (let at = 0; at < stream.length; at += size) splitter.push(stream.subarray(at, at + size));
    assert.deepEqual(seen, ['one', '', 'twö']);
    assert.equal(splitter.heldBytes, 5);
  }
});

test('a line of the limit is kept; a longer one is said once, skipped to its end, and takes no memory', () => {
  const { splitter, seen } = make(5);
  splitter.push(bytes('12345\n12345'));
  splitter.push(bytes('6'));
  splitter.push(bytes('7'.repeat(1000)));
  assert.equal(splitter.heldBytes, 0);
  splitter.push(bytes('8\nnext\n'));
  assert.deepEqual(seen, ['12345', '(overlong)', 'next']);
});
