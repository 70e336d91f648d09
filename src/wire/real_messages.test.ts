/**
 * The gossip codecs against messages and a store of the real network. The data is not part of the package: it lies beside
 * the repository in ../shared/data, packed with xz. Where it is absent these tests say so and are skipped.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fromHex, readU16, readU32 } from '../base/bytes.ts';
import { decodeChannelAnnouncement, encodeChannelAnnouncement } from './channel_announcement.ts';
import { CHANNEL_UPDATE_MIN_BYTES, decodeChannelUpdate, encodeChannelUpdate } from './channel_update.ts';
import { crc32c } from './crc32c.ts';
import { type Decoded, isWireFault } from './fault.ts';
import { checkStoreMessage } from './gossip_store_messages.ts';
import {
  decodeNodeAnnouncement,
  encodeNodeAnnouncement,
  nodeAnnouncementAddresses,
  nodeAnnouncementAlias,
} from './node_announcement.ts';
import { RECORD_HEADER_BYTES } from './store_record.ts';

/** The tests run from a build folder of any depth: the root is the nearest folder with a package.json. */
const repositoryRoot = (): string => {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
};

/** Unpacked content of a file of ../shared/data; undefined after marking the test as skipped. */
const sharedData = (t: TestContext, name: string): Uint8Array | undefined => {
  const path = join(repositoryRoot(), '..', 'shared', 'data', name);
  if (!existsSync(path)) {
    t.skip(`no ${path}`);
    return undefined;
  }
  if (!name.endsWith('.xz')) return readFileSync(path);
  // 64 MiB: the store unpacks to 39 MB.
  const unpacked = spawnSync('xz', ['-dc', path], { maxBuffer: 64 * 1024 * 1024 });
  if (unpacked.error !== undefined) {
    t.skip(`xz cannot be run: ${unpacked.error.message}`);
    return undefined;
  }
  return unpacked.stdout;
};

/** First column of a table, as bytes. */
const messagesOf = (table: Uint8Array): Uint8Array[] => {
  const messages: Uint8Array[] = [];
  for (const line of new TextDecoder().decode(table).split('\n')) {
    const raw = fromHex(line.split('\t')[0] ?? '');
    if (raw !== undefined && raw.length > 0) messages.push(raw);
  }
  return messages;
};

const encodedAgain = (raw: Uint8Array): Decoded<Uint8Array> => {
  switch (readU16(raw, 0)) {
    case 256: {
      const message = decodeChannelAnnouncement(raw);
      return isWireFault(message) ? message : encodeChannelAnnouncement(message);
    }
    case 257: {
      const message = decodeNodeAnnouncement(raw);
      return isWireFault(message) ? message : encodeNodeAnnouncement(message);
    }
    default: {
      const message = decodeChannelUpdate(raw);
      return isWireFault(message) ? message : encodeChannelUpdate(message);
    }
  }
};

for (const [name, atLeast] of [
  ['real-messages.tsv.xz', 4000],
  ['real-messages-bad-signature.tsv', 1],
] as const) {
  test(`every gossip message of ${name} decodes and encodes to identical bytes`, (t) => {
    const table = sharedData(t, name);
    if (table === undefined) return;
    const messages = messagesOf(table).filter((raw) => [256, 257, 258].includes(readU16(raw, 0)));
    assert.ok(messages.length >= atLeast, `${messages.length} messages`);
    for (const raw of messages) {
      const again = encodedAgain(raw);
      // Updates from before htlc_maximum_msat was required are the only ones that may not pass.
      if (readU16(raw, 0) === 258 && raw.length < CHANNEL_UPDATE_MIN_BYTES) {
        assert.ok(isWireFault(again) && again.fault === 'too_short');
      } else {
        assert.deepEqual(again, raw);
        assert.equal(checkStoreMessage(raw, 0, raw.length), undefined);
      }
      if (readU16(raw, 0) === 257) {
        assert.equal(nodeAnnouncementAddresses(raw, 0).problem, undefined);
        assert.doesNotMatch(nodeAnnouncementAlias(raw, 0), /\p{Cc}/u);
      }
    }
  });
}

test('every record of the mainnet store has the right checksum, passes the check and comes back identical', (t) => {
  const store = sharedData(t, 'gossip_store-2026-02-03-v16.xz');
  if (store === undefined) return;
  const counts = new Map<number, number>();
  let at = 1;
  while (at < store.length) {
    const length = readU16(store, at + 2);
    const from = at + RECORD_HEADER_BYTES;
    assert.equal(crc32c(readU32(store, at + 8), store, from, from + length), readU32(store, at + 4));
    assert.equal(checkStoreMessage(store, from, length), undefined, `message offset ${from}`);
    const type = readU16(store, from);
    counts.set(type, (counts.get(type) ?? 0) + 1);
    if (type < 4096) {
      const raw = store.subarray(from, from + length);
      assert.equal(Buffer.compare(encodedAgain(raw) as Uint8Array, raw), 0);
    }
    at = from + length;
  }
  assert.equal(at, store.length);
  assert.deepEqual(Object.fromEntries(counts), { 256: 50_808, 258: 101_616, 4101: 50_808, 4107: 1 });
});
