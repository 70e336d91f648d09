import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { concatBytes, fromHex, readU16, toHex } from '../base/bytes.ts';
import { type ChainHash, NETWORKS } from '../base/chain_hash.ts';
import { Bug } from '../base/errors.ts';
import { scidFromBigint, scidFromParts, scidText } from '../base/short_channel_id.ts';
import {
  CHANNEL_UPDATE_MIN_BYTES,
  CHANNEL_UPDATE_SIGNED_FROM,
  type ChannelUpdate,
  channelUpdateChainHashAt,
  channelUpdateChannelFlags,
  channelUpdateChecksum,
  channelUpdateCltvExpiryDelta,
  channelUpdateDirection,
  channelUpdateDontForward,
  channelUpdateFeeBaseMsat,
  channelUpdateFeeProportionalMillionths,
  channelUpdateHtlcMaximumMsat,
  channelUpdateHtlcMinimumMsat,
  channelUpdateIsDisabled,
  channelUpdateMessageFlags,
  channelUpdateScidHi,
  channelUpdateScidLo,
  channelUpdateTimestamp,
  checkChannelUpdate,
  decodeChannelUpdate,
  encodeChannelUpdate,
} from './channel_update.ts';
import { isWireFault } from './fault.ts';

const sample = (changes: Partial<ChannelUpdate> = {}): ChannelUpdate => ({
  signature: new Uint8Array(64).fill(9),
  chain_hash: NETWORKS.bitcoin.chain_hash,
  short_channel_id: scidFromParts(800_000, 0x89abcd, 0xfffe),
  timestamp: 0xfedcba98,
  message_flags: 1,
  channel_flags: 0,
  cltv_expiry_delta: 0x8001,
  htlc_minimum_msat: 1000n,
  fee_base_msat: 0xf0000001,
  fee_proportional_millionths: 0xf0000002,
  htlc_maximum_msat: 123_456_789_012_345n,
  tail: new Uint8Array(0),
  ...changes,
});

const u = (bits: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: 2 ** bits - 1 });
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

const updates: fc.Arbitrary<ChannelUpdate> = fc.record(
  {
    signature: fc.uint8Array({ minLength: 64, maxLength: 64 }),
    chain_hash: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => toHex(bytes) as ChainHash),
    short_channel_id: u64.map(scidFromBigint),
    timestamp: u(32),
    message_flags: u(8),
    channel_flags: u(8),
    cltv_expiry_delta: u(16),
    htlc_minimum_msat: u64,
    fee_base_msat: u(32),
    fee_proportional_millionths: u(32),
    htlc_maximum_msat: u64,
    tail: fc.uint8Array({ maxLength: 40 }),
  },
  { noNullPrototype: true },
);

const decoded = (raw: Uint8Array): ChannelUpdate => {
  const result = decodeChannelUpdate(raw);
  if (isWireFault(result)) assert.fail(`unexpected ${result.fault}`);
  return result;
};

/** Updates and checksums that CLN tests its own function with (run-crc32_of_update.c); the first is of the 130-byte form. */
const CHECKSUM_VECTORS: readonly (readonly [number, string])[] = [
  [
    0x1112fa30,
    '010276df7e70c63cc2b63ef1c062b99c6d934a80ef2fd4dae9e1d86d277f47674af3255a97fa52ade7f129263f591ed784996eba' +
      '6383135896cc117a438c8029328206226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f000067000001' +
      '00005d50f933000000900000000000000000000003e80000000a',
  ],
  [
    0xf32ce968,
    '010206737e9e18d3e4d0ab4066ccaecdcc10e648c5f1c5413f1610747e0d463fa7fa39c1b02ea2fd694275ecfefe4fe9631f24af' +
      'd182ab75b805e16cd550941f858c06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f00006d000001' +
      '00005d50f935010000300000000000000000000000640000000b00000000000186a0',
  ],
];

test('Q-16 checksum of the vectors: the type is left out like signature and timestamp', () => {
  for (const [checksum, hex] of CHECKSUM_VECTORS) {
    const raw = fromHex(hex);
    assert.ok(raw);
    assert.equal(channelUpdateChecksum(raw, 0, raw.length), checksum);
    const inside = concatBytes(new Uint8Array(3), raw, new Uint8Array(3));
    assert.equal(channelUpdateChecksum(inside, 3, raw.length), checksum);
  }
});

test('Q-16 checksum ignores signature and timestamp and nothing else', () => {
  const raw = encodeChannelUpdate(sample({ tail: Uint8Array.of(1, 2) }));
  const before = channelUpdateChecksum(raw, 0, raw.length);
  for (let index = 0; index < raw.length; index++) {
    raw[index]! ^= 0x10;
    const ignored = index < CHANNEL_UPDATE_SIGNED_FROM || (index >= 106 && index < 110);
    assert.equal(channelUpdateChecksum(raw, 0, raw.length) === before, ignored, `byte ${index}`);
    raw[index]! ^= 0x10;
  }
});

test('B7-01 the type is 258 and a message without tail has 138 bytes', () => {
  const raw = encodeChannelUpdate(sample());
  assert.equal(readU16(raw, 0), 258);
  assert.equal(raw.length, 138);
  assert.equal(CHANNEL_UPDATE_MIN_BYTES, 138);
});

test('accessors read every field, unsigned, wherever the message starts', () => {
  const at = 9;
  const bytes = concatBytes(new Uint8Array(at).fill(0xee), encodeChannelUpdate(sample()));
  const chainHashAt = channelUpdateChainHashAt(bytes, at);
  assert.equal(toHex(bytes, chainHashAt, chainHashAt + 32), NETWORKS.bitcoin.chain_hash);
  const text = scidText(channelUpdateScidHi(bytes, at), channelUpdateScidLo(bytes, at));
  assert.equal(text, `800000x${0x89abcd}x65534`);
  assert.equal(channelUpdateTimestamp(bytes, at), 0xfedcba98);
  assert.equal(channelUpdateMessageFlags(bytes, at), 1);
  assert.equal(channelUpdateChannelFlags(bytes, at), 0);
  assert.equal(channelUpdateCltvExpiryDelta(bytes, at), 0x8001);
  assert.equal(channelUpdateHtlcMinimumMsat(bytes, at), 1000);
  assert.equal(channelUpdateFeeBaseMsat(bytes, at), 0xf0000001);
  assert.equal(channelUpdateFeeProportionalMillionths(bytes, at), 0xf0000002);
  assert.equal(channelUpdateHtlcMaximumMsat(bytes, at), 123_456_789_012_345);
});

test('B7-29 direction is bit 0 of channel_flags, disable is bit 1, whatever the other bits are', () => {
  for (let channel_flags = 0; channel_flags < 256; channel_flags++) {
    const raw = encodeChannelUpdate(sample({ channel_flags }));
    assert.equal(channelUpdateDirection(raw, 0), channel_flags % 2);
    assert.equal(channelUpdateIsDisabled(raw, 0), Math.floor(channel_flags / 2) % 2 === 1);
  }
});

test('B7-38 dont_forward is bit 1 of message_flags', () => {
  for (let message_flags = 0; message_flags < 256; message_flags++) {
    const raw = encodeChannelUpdate(sample({ message_flags }));
    assert.equal(channelUpdateDontForward(raw, 0), Math.floor(message_flags / 2) % 2 === 1);
  }
});

test('too_short below 138 bytes, the form without htlc_maximum_msat among them', () => {
  const raw = encodeChannelUpdate(sample());
  for (let length = 0; length < 138; length++) {
    assert.equal(checkChannelUpdate(raw, 0, length), 'too_short');
    assert.deepEqual(decodeChannelUpdate(raw.slice(0, length)), {
      fault: 'too_short',
      type: 258,
      offset: length,
    });
  }
  assert.equal(checkChannelUpdate(raw, 0, 138), undefined);
});

test('B7-49 bytes past the last field are accepted, kept and encoded again', () => {
  const tail = Uint8Array.of(0xfe, 0, 1);
  const raw = encodeChannelUpdate(sample({ tail }));
  assert.equal(checkChannelUpdate(raw, 0, raw.length), undefined);
  assert.deepEqual(decoded(raw).tail, tail);
  assert.deepEqual(encodeChannelUpdate(decoded(raw)), raw);
});

test('amounts above 2^53 are rounded by accessors and exact when decoded', () => {
  const raw = encodeChannelUpdate(
    sample({ htlc_maximum_msat: (1n << 64n) - 1n, htlc_minimum_msat: 1n << 63n }),
  );
  assert.equal(channelUpdateHtlcMaximumMsat(raw, 0), 2 ** 64);
  assert.equal(channelUpdateHtlcMinimumMsat(raw, 0), 2 ** 63);
  assert.equal(decoded(raw).htlc_maximum_msat, (1n << 64n) - 1n);
});

test('decoding gives copies: later changes of the received bytes do not show', () => {
  const original = encodeChannelUpdate(sample({ tail: Uint8Array.of(5) }));
  for (const raw of [original.slice(), Buffer.from(original)]) {
    const message = decoded(raw);
    raw.fill(0);
    assert.deepEqual(encodeChannelUpdate(message), original);
  }
});

test('encode and decode are inverse for any fields', () => {
  fc.assert(
    fc.property(updates, (fields) => {
      const raw = encodeChannelUpdate(fields);
      assert.deepEqual(decoded(raw), fields);
      assert.equal(channelUpdateTimestamp(raw, 0), fields.timestamp);
      assert.equal(channelUpdateHtlcMinimumMsat(raw, 0), Number(fields.htlc_minimum_msat));
    }),
  );
});

test('any bytes either fault or come back identical', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 100, maxLength: 200 }), (bytes) => {
      bytes.set([1, 2]);
      const message = decodeChannelUpdate(bytes);
      if (isWireFault(message)) assert.ok(bytes.length < 138);
      else assert.deepEqual(encodeChannelUpdate(message), bytes);
    }),
  );
});

test('a field of ours with the wrong length is a Bug', () => {
  assert.throws(() => encodeChannelUpdate(sample({ signature: new Uint8Array(65) })), Bug);
  assert.throws(() => encodeChannelUpdate(sample({ chain_hash: '00' as ChainHash })), Bug);
});
