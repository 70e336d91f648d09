/** Random damage of every kind: what is intact stays, what comes out is in order, and repairing it again changes nothing. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { bytesEqual, concatBytes, toHex } from '../base/bytes.ts';
import { seededRng } from '../base/rng.ts';
import {
  flipBit,
  goodAnnouncement,
  goodNode,
  goodStore,
  goodUpdate,
  insert,
  noise,
  rec,
  removeBytes,
  zeros,
} from '../store/damaged_stores.test.support.ts';
import { encodeChannelAmount } from '../wire/gossip_store_messages.ts';
import { repaired, wrongsOf } from './repair_bench.test.support.ts';

test('a repaired store is sound: repairing it again changes nothing', async () => {
  const rng = seededRng(11);
  const store = goodStore(16, 12, { withDeleted: true });
  for (let round = 0; round < 60; round++) {
    let bytes = store.bytes;
    for (let hit = 0; hit < 4; hit++) {
      const at = 1 + Math.floor(rng.fraction() * (bytes.length - 600));
      const size = 1 + Math.floor(rng.fraction() * 500);
      const kind = Math.floor(rng.fraction() * 5);
      if (kind === 0) bytes = noise(bytes, at, size, rng);
      else if (kind === 1) bytes = zeros(bytes, at, size);
      else if (kind === 2) bytes = removeBytes(bytes, at, size);
      else if (kind === 3) bytes = insert(bytes, at, bytes.slice(at, at + size));
      else bytes = flipBit(bytes, at, size % 8);
    }
    const once = await repaired(bytes);
    const again = await repaired(once.output);
    assert.ok(bytesEqual(again.output, once.output), `round ${round}`);
    const keepers = await wrongsOf(once.output);
    for (const id of Object.keys(keepers)) assert.match(id, /^GS-ORPHAN-(?:UPDATE|NODE)$/, `round ${round}`);
  }
});

test('what is intact is kept: every whole record outside the damage is in the result, or explained by a finding', async () => {
  const store = goodStore(16, 10);
  const rng = seededRng(12);
  for (let round = 0; round < 60; round++) {
    const at = 47 + Math.floor(rng.fraction() * (store.bytes.length - 700));
    const size = 1 + Math.floor(rng.fraction() * 600);
    const damaged = noise(store.bytes, at, size, rng);
    const { messages, findings } = await repaired(damaged);
    const found = new Set(messages);
    for (const record of store.records) {
      if (record.type === 4107 || (record.position < at + size && record.end > at)) continue;
      const explained = findings.some(({ offset, fix }) => fix === 'drop' && offset === record.position);
      assert.ok(
        found.has(toHex(record.bytes)) || explained,
        `round ${round}: ${record.type} at ${record.position}`,
      );
    }
  }
});

test('the order of the new file obeys what CLN’s strict reader wants, whatever the damage', async () => {
  const { bytes, format } = goodStore(16, 3);
  const pieces = concatBytes(
    rec(format, goodUpdate(7, 1, 5), { timestamp: 5 }),
    rec(format, goodAnnouncement(7)),
    rec(format, goodNode(3, 9), { timestamp: 9 }),
    rec(format, goodAnnouncement(8)),
    rec(format, encodeChannelAmount(1n)),
    rec(format, encodeChannelAmount(2n)),
  );
  const { messages } = await repaired(insert(bytes, 47, pieces));
  const known = new Set<string>();
  messages.forEach((hex, index) => {
    if (!hex.startsWith('0100')) return;
    assert.ok(!known.has(hex), 'announced twice');
    known.add(hex);
    assert.ok(messages[index + 1]?.startsWith('1005'), 'an announcement without its amount');
  });
});
