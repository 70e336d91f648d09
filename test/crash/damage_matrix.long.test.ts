/** The damage matrix at length: every position and bit of the first record, of one of each kind in the middle, and of the last. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeImage } from './damage_matrix_cases.ts';
import { CLASSES } from './damage_recipes.ts';

for (const [title, recipe] of CLASSES) {
  test(`at length: ${title}`, async (t) => {
    let images = 0;
    for (const version of [3, 7, 9, 10, 12, 14, 15, 16]) {
      for (const image of recipe(version, true)) {
        await judgeImage(image);
        images++;
      }
    }
    t.diagnostic(`${images} images`);
    assert.ok(images > 50);
  });
}
