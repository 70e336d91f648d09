import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { concatBytes, readU16, toHex } from '../base/bytes.ts';
import { type ChainHash, NETWORKS } from '../base/chain_hash.ts';
import { Bug } from '../base/errors.ts';
import type { NodeId } from '../base/node_id.ts';
import { scidFromBigint, scidFromParts, scidText } from '../base/short_channel_id.ts';
import {
  CHANNEL_ANNOUNCEMENT_MIN_BYTES,
  CHANNEL_ANNOUNCEMENT_SIGNED_FROM,
  type ChannelAnnouncement,
  channelAnnouncementBitcoinKey1At,
  channelAnnouncementBitcoinKey2At,
  channelAnnouncementChainHashAt,
  channelAnnouncementFeatureBytes,
  channelAnnouncementNodeId1At,
  channelAnnouncementNodeId2At,
  channelAnnouncementScidHi,
  channelAnnouncementScidLo,
  checkChannelAnnouncement,
  decodeChannelAnnouncement,
  encodeChannelAnnouncement,
} from './channel_announcement.ts';
import { isWireFault } from './fault.ts';

const hexOf = (first: string, byte: string): string => first + byte.repeat(32);

const sample = (changes: Partial<ChannelAnnouncement> = {}): ChannelAnnouncement => ({
  node_signature_1: new Uint8Array(64).fill(1),
  node_signature_2: new Uint8Array(64).fill(2),
  bitcoin_signature_1: new Uint8Array(64).fill(3),
  bitcoin_signature_2: new Uint8Array(64).fill(4),
  features: new Uint8Array(0),
  chain_hash: NETWORKS.bitcoin.chain_hash,
  short_channel_id: scidFromParts(539268, 845, 1),
  node_id_1: hexOf('02', '11') as NodeId,
  node_id_2: hexOf('03', '22') as NodeId,
  bitcoin_key_1: hexOf('02', '33'),
  bitcoin_key_2: hexOf('03', '44'),
  tail: new Uint8Array(0),
  ...changes,
});

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const hex = (length: number) => bytesOf(length).map((bytes) => toHex(bytes));

const announcements: fc.Arbitrary<ChannelAnnouncement> = fc.record(
  {
    node_signature_1: bytesOf(64),
    node_signature_2: bytesOf(64),
    bitcoin_signature_1: bytesOf(64),
    bitcoin_signature_2: bytesOf(64),
    features: fc.uint8Array({ maxLength: 300 }),
    chain_hash: hex(32).map((text) => text as ChainHash),
    short_channel_id: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map(scidFromBigint),
    node_id_1: hex(33).map((text) => text as NodeId),
    node_id_2: hex(33).map((text) => text as NodeId),
    bitcoin_key_1: hex(33),
    bitcoin_key_2: hex(33),
    tail: fc.uint8Array({ maxLength: 40 }),
  },
  { noNullPrototype: true },
);

const decoded = (raw: Uint8Array): ChannelAnnouncement => {
  const result = decodeChannelAnnouncement(raw);
  if (isWireFault(result)) assert.fail(`unexpected ${result.fault}`);
  return result;
};

test('B7-01 the type is 256 and a message without features has 432 bytes', () => {
  const raw = encodeChannelAnnouncement(sample());
  assert.equal(readU16(raw, 0), 256);
  assert.equal(raw.length, 432);
  assert.equal(CHANNEL_ANNOUNCEMENT_MIN_BYTES, 432);
});

test('accessors find every field behind features, wherever the message starts', () => {
  for (const features of [new Uint8Array(0), Uint8Array.of(0x80), new Uint8Array(300).fill(0x55)]) {
    const message = encodeChannelAnnouncement(sample({ features }));
    const at = 5;
    const bytes = concatBytes(new Uint8Array(at).fill(0xee), message, new Uint8Array(7).fill(0xee));
    assert.equal(checkChannelAnnouncement(bytes, at, message.length), undefined);
    assert.equal(channelAnnouncementFeatureBytes(bytes, at), features.length);
    const chainHashAt = channelAnnouncementChainHashAt(bytes, at);
    assert.equal(toHex(bytes, chainHashAt, chainHashAt + 32), NETWORKS.bitcoin.chain_hash);
    assert.equal(
      scidText(channelAnnouncementScidHi(bytes, at), channelAnnouncementScidLo(bytes, at)),
      '539268x845x1',
    );
    const keys = [
      channelAnnouncementNodeId1At(bytes, at),
      channelAnnouncementNodeId2At(bytes, at),
      channelAnnouncementBitcoinKey1At(bytes, at),
      channelAnnouncementBitcoinKey2At(bytes, at),
    ];
    assert.deepEqual(
      keys.map((key) => toHex(bytes, key, key + 33)),
      [hexOf('02', '11'), hexOf('03', '22'), hexOf('02', '33'), hexOf('03', '44')],
    );
    assert.deepEqual(
      keys.map((key) => key - keys[0]!),
      [0, 33, 66, 99],
    );
  }
});

test('B7-02 the four signatures are contiguous before the signed part', () => {
  const raw = encodeChannelAnnouncement(sample());
  const signatures = raw.subarray(2, CHANNEL_ANNOUNCEMENT_SIGNED_FROM);
  assert.equal(signatures.length, 4 * 64);
  assert.deepEqual(
    [0, 64, 128, 192].map((from) => signatures[from]),
    [1, 2, 3, 4],
  );
  assert.equal(CHANNEL_ANNOUNCEMENT_SIGNED_FROM, 258);
});

test('B7-49 bytes past the last field are accepted, kept and encoded again', () => {
  const tail = Uint8Array.of(0xde, 0xad, 0xbe, 0xef);
  const raw = encodeChannelAnnouncement(sample({ tail }));
  assert.equal(checkChannelAnnouncement(raw, 0, raw.length), undefined);
  assert.deepEqual(decoded(raw).tail, tail);
  assert.deepEqual(encodeChannelAnnouncement(decoded(raw)), raw);
});

test('too_short at every length below the whole message', () => {
  const raw = encodeChannelAnnouncement(sample({ features: Uint8Array.of(1, 2, 3) }));
  for (let length = 0; length < raw.length; length++) {
    const cut = raw.slice(0, length);
    assert.equal(checkChannelAnnouncement(cut, 0, length), 'too_short', `length ${length}`);
    assert.deepEqual(decodeChannelAnnouncement(cut), { fault: 'too_short', type: 256, offset: length });
  }
  assert.equal(checkChannelAnnouncement(raw, 0, raw.length), undefined);
});

test('too_short when the feature length points past the end, though more bytes follow in the array', () => {
  const message = encodeChannelAnnouncement(sample());
  message[259] = 1;
  const bytes = concatBytes(message, new Uint8Array(100));
  assert.equal(checkChannelAnnouncement(bytes, 0, message.length), 'too_short');
  message[258] = 0xff;
  message[259] = 0xff;
  assert.equal(checkChannelAnnouncement(message, 0, message.length), 'too_short');
});

test('decoding gives copies: later changes of the received bytes do not show', () => {
  const original = encodeChannelAnnouncement(sample({ features: Uint8Array.of(8), tail: Uint8Array.of(9) }));
  for (const raw of [original.slice(), Buffer.from(original)]) {
    const message = decoded(raw);
    raw.fill(0);
    assert.deepEqual(encodeChannelAnnouncement(message), original);
  }
});

test('encode and decode are inverse for any fields', () => {
  fc.assert(
    fc.property(announcements, (fields) => {
      const raw = encodeChannelAnnouncement(fields);
      assert.equal(raw.length, 432 + fields.features.length + fields.tail.length);
      assert.deepEqual(decoded(raw), fields);
    }),
  );
});

test('any bytes either fault or come back identical', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 700 }), fc.boolean(), (bytes, smallFeatures) => {
      bytes.set([1, 0].slice(0, bytes.length));
      if (smallFeatures && bytes.length > 259) bytes[258] = 0;
      const message = decodeChannelAnnouncement(bytes);
      if (isWireFault(message)) assert.equal(message.fault, 'too_short');
      else assert.deepEqual(encodeChannelAnnouncement(message), bytes);
    }),
    { numRuns: 500 },
  );
});

test('a field of ours with the wrong length is a Bug', () => {
  assert.throws(() => encodeChannelAnnouncement(sample({ node_signature_2: new Uint8Array(63) })), Bug);
  assert.throws(() => encodeChannelAnnouncement(sample({ node_id_1: '02' as NodeId })), Bug);
  assert.throws(() => encodeChannelAnnouncement(sample({ bitcoin_key_2: 'zz'.repeat(33) })), Bug);
  assert.throws(() => encodeChannelAnnouncement(sample({ features: new Uint8Array(65536) })), Bug);
});
