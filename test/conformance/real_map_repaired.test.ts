/**
 * The seven ways to damage the real map on which CLN v26.06.6 loses all of its 101,616 half-channels: repaired, each keeps at
 * least 203,232 of its 203,233 records, and every one of them is byte for byte what it was.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { readU16 } from '../../src/base/bytes.ts';
import { seededRng } from '../../src/base/rng.ts';
import { ManualClock } from '../../src/base/time.ts';
import { repairStore } from '../../src/repair/repair_store.ts';
import { quietTask } from '../../src/repair/task.ts';
import { MemoryFolder } from '../../src/store/memory_folder.test.support.ts';
import { sharedData } from '../fixtures/shared_data.ts';

const RECORDS = 203_233;
const UUID_END = 47;
/** Where the file that CLN was tried on has its flipped bit. */
const BIT_AT = 19_149_897;

/** Header position of the record at or behind `from`, and of the last one. */
const places = (map: Uint8Array, from: number): readonly [at: number, last: number] => {
  let [found, last] = [0, 0];
  for (let at = 1; at < map.length; at += 12 + readU16(map, at + 2)) {
    if (found === 0 && at >= from) found = at;
    last = at;
  }
  return [found, last];
};

const changed = (map: Uint8Array, position: number, change: (byte: number) => number): Uint8Array => {
  const bytes = map.slice();
  bytes[position] = change(bytes[position]!);
  return bytes;
};

test('the seven damaged maps of mainnet keep what they have', async (t) => {
  const data = sharedData(t, 'gossip_store-2026-02-03-v16.xz');
  if (data === undefined) return;
  const map = new Uint8Array(data);
  const [middle, last] = places(map, BIT_AT);
  const zeros = new Uint8Array(map.length + 4096);
  zeros.set(map);
  const damages: readonly (readonly [string, Uint8Array, number])[] = [
    ['none', map, RECORDS],
    ['one bit in a message', changed(map, middle + 12 + 70, (byte) => byte ^ 8), RECORDS - 1],
    ['last record without COMPLETED', changed(map, last, (byte) => byte & ~0x20), RECORDS],
    ['last 50 bytes missing', map.subarray(0, map.length - 50), RECORDS - 1],
    ['one bit in a length', changed(map, middle + 3, (byte) => byte ^ 4), RECORDS],
    ['4,096 zero bytes appended', zeros, RECORDS],
    ['version byte 0', changed(map, 0, () => 0), RECORDS],
  ];
  for (const [name, damaged, least] of damages) {
    const folder = new MemoryFolder();
    folder.place('damaged', damaged);
    const { ended, written, plan } = await repairStore({
      file: folder.open('damaged', 'read'),
      judge: { level: 'order', restoreBits: name !== 'one bit in a message', ignore: new Set() },
      live: false,
      onFinding: () => {},
      version: undefined,
      place: { folder, name: 'repaired', how: { kind: 'output', force: false } },
      clock: new ManualClock(),
      rng: seededRng(1),
      task: quietTask,
    });
    assert.equal(ended, 'done', name);
    assert.equal(written?.counts.kept, least, name);
    assert.equal(written?.left, 0, name);
    assert.equal(plan?.work, name === 'none' ? 0 : 1, name);
    const repaired = folder.contents('repaired');
    // Behind a record that is gone, everything has moved up.
    const same = name === 'one bit in a message' ? middle : Math.min(map.length, repaired.length);
    const [left, right] = [repaired.subarray(UUID_END, same), map.subarray(UUID_END, same)];
    assert.equal(Buffer.compare(left, right), 0, name);
    const tail = 1_000_000;
    if (name === 'one bit in a message')
      assert.equal(Buffer.compare(repaired.subarray(-tail), map.subarray(-tail)), 0, name);
  }
});
