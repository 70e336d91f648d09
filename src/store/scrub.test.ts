import assert from 'node:assert/strict';
import test from 'node:test';
import { fileOf, flipBit, goodStore, withVersion } from './damaged_stores.test.support.ts';
import { Scrub } from './scrub.ts';
import { storeFormat } from './versions.ts';

const format = storeFormat(16)!;
const { bytes, records } = goodStore(16, 3);
/** What a pass over the file finds, and whether it came to its end. */
const pass = (file: Uint8Array): { bad: number | undefined; passes: number } => {
  const scrub = new Scrub();
  const store = { file: fileOf(file), format, publishedBytes: file.length };
  let bad: number | undefined;
  for (let step = 0; step < 100 && bad === undefined && scrub.passes === 0; step++)
    bad = scrub.step(store, 64);
  return { bad, passes: scrub.passes };
};

test('a sound file is read to its end', () => {
  assert.deepEqual(pass(bytes), { bad: undefined, passes: 1 });
});

test('a flipped bit in a message is found at its record', () => {
  const { position } = records.at(-1)!;
  assert.deepEqual(pass(flipBit(bytes, position + 20, 3)), { bad: position, passes: 0 });
});

test('a damaged version byte is found at the start of a pass: no checksum covers it, and every reader begins with it', () => {
  assert.deepEqual(pass(withVersion(bytes, 0)), { bad: 0, passes: 0 });
});
