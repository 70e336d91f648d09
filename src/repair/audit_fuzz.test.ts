/** Random damage to stores of every version: an audit always ends, and its figures fit each other and the file. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../base/rng.ts';
import {
  cut,
  filled,
  flipBit,
  goodStore,
  insert,
  noise,
  removeBytes,
  zeros,
} from '../store/damaged_stores.test.support.ts';
import { auditOf } from './audit_bench.test.support.ts';

const ROUNDS = 60;

for (const version of [3, 4, 6, 7, 9, 12, 14, 15, 16]) {
  test(`version ${version}: whatever is damaged, the audit ends with figures that fit`, async () => {
    const rng = seededRng(version);
    const upTo = (limit: number): number => Math.floor(rng.fraction() * limit);
    const { bytes } = goodStore(version, 4, { withPrivate: true, withDeleted: true, withRemoved: true });
    for (let round = 0; round < ROUNDS; round++) {
      let damaged = bytes;
      for (let wounds = 1 + upTo(4); wounds > 0; wounds--) {
        const at = upTo(damaged.length);
        const length = Math.min(upTo(500), damaged.length - at);
        const recipes = [
          () => cut(damaged, at),
          () => flipBit(damaged, at, upTo(8)),
          () => zeros(damaged, at, length),
          () => filled(damaged, at, length, 0xff),
          () => noise(damaged, at, length, rng),
          () => removeBytes(damaged, at, length),
          () => insert(damaged, at, damaged.slice(upTo(damaged.length))),
        ];
        damaged = damaged.length < 2 ? damaged : (recipes[upTo(recipes.length)]?.() ?? damaged);
      }
      const { result, findings } = await auditOf(damaged);
      const where = `round ${round}`;
      assert.equal(
        findings.length,
        Object.values(result.counts).reduce((sum, count) => sum + count, 0),
        where,
      );
      assert.ok(result.records_kept >= 0 && result.records_kept <= result.records.live, where);
      assert.ok(result.records_sound >= 0 && result.records_sound <= result.records.live, where);
      assert.ok(result.bytes_lost <= damaged.length && result.dead_bytes <= damaged.length, where);
      const dropped = findings.filter(({ fix }) => fix === 'drop').map(({ offset }) => offset);
      assert.equal(new Set(dropped).size, dropped.length, `${where}: a record is dropped once`);
      for (const { offset, length } of findings) assert.ok(offset + length <= damaged.length, where);
    }
  });
}
