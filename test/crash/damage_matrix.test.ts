/**
 * The damage matrix: what is left of a store after every kind of damage in the failure catalogue (cln-gossip, section E), at three
 * doors: the daemon's load, the audit, and a repair.
 *
 * The generic classes go over the first record, one of each kind in the middle, and the last, on versions 3, 7, 9, 10, 12, 14, 15
 * and 16; here in samples, in damage_matrix.long.test at every position and bit. damage_matrix_cases says what is demanded;
 * damage_catalogue has the recipes by id, and says where those are tested that are no matter of bytes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CATALOGUE, ELSEWHERE } from './damage_catalogue.ts';
import { judgeImage } from './damage_matrix_cases.ts';
import { CLASSES } from './damage_recipes.ts';

const CLASS_VERSIONS = [3, 7, 9, 10, 12, 14, 15, 16];
/** Versions without amounts of their own, or without end markers. */
const isEmptyFor = (title: string, version: number): boolean =>
  (version === 3 && title.startsWith('class 6')) || (version < 9 && title.startsWith('class 8'));

/** Of the images of a class each version takes every fourth one, and the next version the ones behind those. */
const SHARE = 4;

for (const [title, recipe] of CLASSES) {
  for (const [turn, version] of CLASS_VERSIONS.filter((each) => !isEmptyFor(title, each)).entries()) {
    test(`${title}, version ${version}`, async () => {
      let images = 0;
      for (const image of recipe(version, false)) {
        if ((images + turn) % SHARE === 0) await judgeImage(image);
        images++;
      }
      assert.ok(images >= 8, `${images} images`);
    });
  }
}

for (const { id, versions, images } of CATALOGUE) {
  test(id, async () => {
    let count = 0;
    for (const version of versions) {
      for (const image of images(version)) {
        await judgeImage(image);
        count++;
      }
    }
    assert.ok(count >= versions.length);
  });
}

test('every entry of the catalogue that concerns a store is here, or is said to be elsewhere', () => {
  // Of readers of CLN only; E-51 is about queries on the wire.
  const notOurs = [13, 17, 29, 31, 51];
  const named = new Set([
    ...CATALOGUE.flatMap(({ id }) => id.match(/E-\d\d/g) ?? []),
    ...Object.keys(ELSEWHERE),
  ]);
  for (let number = 1; number <= 50; number++) {
    const id = `E-${String(number).padStart(2, '0')}`;
    assert.equal(named.has(id), !notOurs.includes(number), id);
  }
});
