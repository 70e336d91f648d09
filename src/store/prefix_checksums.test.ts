import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../base/rng.ts';
import { crc32c } from '../wire/crc32c.ts';
import { fileOf } from './damaged_stores.test.support.ts';
import { FileWindow } from './file_window.ts';
import { PrefixChecksums, shiftRegister, stepRegister } from './prefix_checksums.ts';

const rng = seededRng(5);
const FILE = rng.bytes(1_500_000);

test('the checksum of any range equals the one computed over it, also after the table began anew', () => {
  const window = new FileWindow(fileOf(FILE), FILE.length, new Uint8Array(200_000));
  const prefixes = new PrefixChecksums(window);
  for (let position = 0; position < FILE.length - 65_535; position += 1 + Math.floor(rng.fraction() * 4000)) {
    window.anchor = position;
    const length = Math.floor(rng.fraction() * 65_536);
    const seed = Math.floor(rng.fraction() * 2 ** 32);
    const register = prefixes.over(~seed, position, length);
    assert.ok(register !== undefined);
    assert.equal(~register >>> 0, crc32c(seed, FILE, position, position + length), `${position}+${length}`);
  }
  assert.equal(prefixes.over(0, FILE.length - 10, 11), undefined);
});

test('moving a register on equals as many zero bytes', () => {
  for (const length of [0, 1, 2, 3, 255, 256, 1000, 65_535, 70_000]) {
    let register = 0x1234_5678;
    const shifted = shiftRegister(register, length);
    for (let count = 0; count < length; count++) register = stepRegister(register, 0);
    assert.equal(shifted, register, `${length}`);
  }
});

test('a window gives any range, forward and back, and nothing beyond its limit', () => {
  const window = new FileWindow(fileOf(FILE), 900_000, new Uint8Array(70_000));
  for (let round = 0; round < 500; round++) {
    const position = Math.floor(rng.fraction() * 950_000);
    const wanted = 1 + Math.floor(rng.fraction() * 65_569);
    window.anchor = Math.max(0, position - Math.floor(rng.fraction() * 100_000));
    const at = window.have(position, wanted);
    assert.equal(at >= 0, position + wanted <= 900_000);
    if (at < 0) continue;
    assert.deepEqual(window.bytes.subarray(at, at + wanted), FILE.subarray(position, position + wanted));
    assert.ok(window.available(position) >= wanted);
  }
});
