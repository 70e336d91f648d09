import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bug, OperationalError } from '../base/errors.ts';
import { seededRng } from '../base/rng.ts';
import { scidFromBigint, scidFromParts } from '../base/short_channel_id.ts';
import { utxoNone } from './utxo_none.ts';
import { encodeUtxoTable, openUtxoTable, type UtxoTableEntry } from './utxo_table.ts';

const signal = new AbortController().signal;

const entries = (count: number): UtxoTableEntry[] => {
  const rng = seededRng(count);
  return Array.from({ length: count }, (_, index) => {
    const script = new Uint8Array(34);
    script.set([0x00, 0x20]);
    script.set(rng.bytes(32), 2);
    // Full 64-bit range, in no order.
    const scid = scidFromBigint((BigInt(Math.floor(rng.fraction() * 2 ** 32)) << 32n) | BigInt(index));
    return { scid, satoshis: BigInt(index) * 1_000_000_007n, script };
  });
};

test('a table finds each of its outputs, with script and value, and nothing else', async () => {
  for (const count of [0, 1, 2, 3, 500]) {
    const table = entries(count);
    const lookup = openUtxoTable(encodeUtxoTable(table));
    for (const { scid, satoshis, script } of table) {
      assert.deepEqual(await lookup.lookup(scid, signal), { found: 'unspent', script, satoshis });
      assert.deepEqual(await lookup.lookup(scidFromBigint(scid ^ (1n << 20n)), signal), { found: 'none' });
    }
    assert.deepEqual(await lookup.lookup(scidFromParts(1, 2, 3), signal), { found: 'none' });
  }
});

test('scids with the highest bit set are ordered as unsigned numbers', async () => {
  const [first, second] = entries(2);
  const low = { ...first!, scid: scidFromBigint(1n) };
  const high = { ...second!, scid: scidFromBigint(0xffff_ffff_ffff_fffen) };
  const lookup = openUtxoTable(encodeUtxoTable([high, low]));
  assert.equal((await lookup.lookup(high.scid, signal)).found, 'unspent');
  assert.equal((await lookup.lookup(low.scid, signal)).found, 'unspent');
});

test('an image with a wrong magic, a cut record or a wrong order is refused', () => {
  const image = encodeUtxoTable(entries(3));
  const isDamage = (error: unknown): boolean =>
    error instanceof OperationalError && error.code === 'utxo_table_damaged';
  assert.throws(() => openUtxoTable(new Uint8Array(0)), isDamage);
  assert.throws(() => openUtxoTable(image.subarray(0, image.length - 1)), isDamage);
  const wrongMagic = Uint8Array.from(image);
  wrongMagic[3] = 0x32;
  assert.throws(() => openUtxoTable(wrongMagic), isDamage);
  const swapped = Uint8Array.from(image);
  swapped.copyWithin(4, 52, 100);
  assert.throws(() => openUtxoTable(swapped), isDamage);
});

test('a table of our own with a doubled scid or a foreign script is a bug', () => {
  const [entry] = entries(1);
  assert.throws(() => encodeUtxoTable([entry!, entry!]), Bug);
  assert.throws(() => encodeUtxoTable([{ ...entry!, script: new Uint8Array(22) }]), Bug);
});

test('an aborted lookup is unavailable', async () => {
  const [entry] = entries(1);
  const lookup = openUtxoTable(encodeUtxoTable([entry!]));
  assert.deepEqual(await lookup.lookup(entry!.scid, AbortSignal.abort()), { found: 'unavailable' });
});

test('the backend none verifies nothing and claims nothing', async () => {
  assert.equal(utxoNone.verifies, false);
  assert.deepEqual(await utxoNone.lookup(scidFromParts(1, 2, 3), signal), { found: 'unavailable' });
});
