import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { concatBytes, writeU16 } from '../base/bytes.ts';
import { parseAddress } from './address_descriptor.ts';
import { type Decoded, isWireFault } from './fault.ts';
import { encodeInit } from './init.ts';
import { type ControlMessage, decodeMessage } from './message.ts';
import { MESSAGE_TYPE, messageTypeName } from './message_types.ts';
import { encodeQueryShortChannelIds } from './query_short_channel_ids.ts';
import { encodeReplyChannelRange } from './reply_channel_range.ts';
import { encodeWarning } from './warning.ts';

const ofType = (type: number, rest: Uint8Array): Uint8Array => {
  const raw = concatBytes(new Uint8Array(2), rest);
  writeU16(raw, 0, type);
  return raw;
};

const isU32 = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= 0xffffffff;

/** Every field within the range that its type promises, and every view within the message. */
const checkFields = (raw: Uint8Array, message: ControlMessage): void => {
  for (const field of Object.values(message)) {
    if (!(field instanceof Uint8Array) || field.buffer !== raw.buffer) continue;
    assert.ok(field.byteOffset >= raw.byteOffset);
    assert.ok(field.byteOffset + field.length <= raw.byteOffset + raw.length);
  }
  if ('chain_hash' in message) assert.equal(message.chain_hash.length, 32);
  if ('channel_id' in message) assert.equal(message.channel_id.length, 32);
  switch (message.type) {
    case 'init':
      for (const hash of message.networks ?? []) assert.equal(hash.length, 32);
      if (message.remote_addr !== undefined) assert.ok(message.remote_addr.port > 0);
      return;
    case 'error':
    case 'warning':
      assert.ok(message.data.length <= raw.length - 36);
      return;
    case 'ping':
      assert.ok(message.byteslen <= raw.length - 6 && message.num_pong_bytes <= 0xffff);
      return;
    case 'pong':
      assert.ok(message.byteslen <= raw.length - 4);
      return;
    case 'announcement_signatures':
      assert.equal(message.node_signature.length + message.bitcoin_signature.length, 128);
      assert.ok(message.short_channel_id >= 0n && message.short_channel_id < 1n << 64n);
      return;
    case 'query_short_channel_ids':
      assert.ok(message.short_channel_ids.length * 8 < raw.length);
      for (const flag of message.query_flags ?? []) assert.ok(Number.isSafeInteger(flag) && flag >= 0);
      if (message.query_flags) assert.equal(message.query_flags.length, message.short_channel_ids.length);
      return;
    case 'query_channel_range':
      assert.ok(isU32(message.first_blocknum) && isU32(message.number_of_blocks));
      assert.ok(Number.isSafeInteger(message.query_option ?? 0) && (message.query_option ?? 0) >= 0);
      return;
    case 'reply_channel_range':
      assert.ok(isU32(message.first_blocknum) && isU32(message.number_of_blocks));
      for (const pairs of [message.timestamps, message.checksums]) {
        if (pairs) assert.equal(pairs.length, message.short_channel_ids.length * 2);
      }
      return;
    case 'gossip_timestamp_filter':
      assert.ok(isU32(message.first_timestamp) && isU32(message.timestamp_range));
      return;
    case 'reply_short_channel_ids_end':
      assert.equal(typeof message.full_information, 'boolean');
      return;
  }
};

const check = (raw: Uint8Array, decoded: Decoded<ReturnType<typeof decodeMessage>>): void => {
  if (isWireFault(decoded)) assert.ok(decoded.offset >= 0 && decoded.offset <= raw.length);
  else if (decoded.type === 'unknown') assert.equal(decoded.number % 2, 1);
  else if (decoded.type === 'gossip') assert.ok(raw.length > 100);
  else checkFields(raw, decoded);
};

const TYPES = Object.values(MESSAGE_TYPE);

test('no random bytes of any type make decodeMessage throw or give a field out of range', () => {
  const type = fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...TYPES) },
    { weight: 1, arbitrary: fc.nat(0xffff) },
  );
  fc.assert(
    fc.property(type, fc.uint8Array({ maxLength: 500 }), (number, rest) => {
      // In a larger array, so that reading past the end finds something.
      const raw = concatBytes(ofType(number, rest), new Uint8Array(64).fill(0xfd)).subarray(
        0,
        2 + rest.length,
      );
      check(raw, decodeMessage(raw));
    }),
    { numRuns: 5000 },
  );
});

test('no flipped bits of a good message make decodeMessage throw or give a field out of range', () => {
  const chain_hash = new Uint8Array(32).fill(1);
  const seeds = [
    encodeInit({
      features: Uint8Array.of(0x8a, 0x80),
      networks: [chain_hash, chain_hash],
      remote_addr: parseAddress('node.example:9735')!,
    }),
    encodeWarning({ channel_id: chain_hash, data: new Uint8Array(20) }),
    encodeQueryShortChannelIds({
      chain_hash,
      short_channel_ids: BigUint64Array.of(5n, 6n, 7n),
      query_flags: [1, 300, 31],
    }),
    encodeReplyChannelRange({
      chain_hash,
      first_blocknum: 1,
      number_of_blocks: 2,
      sync_complete: true,
      short_channel_ids: BigUint64Array.of(5n, 6n),
      timestamps: Uint32Array.of(1, 2, 3, 4),
      checksums: Uint32Array.of(1, 2, 3, 4),
    }),
  ];
  for (const seed of seeds) {
    for (let bit = 0; bit < seed.length * 8; bit++) {
      const raw = Uint8Array.from(seed);
      raw[bit >> 3] = raw[bit >> 3]! ^ (1 << (bit & 7));
      check(raw, decodeMessage(raw));
    }
  }
  fc.assert(
    fc.property(
      fc.constantFrom(...seeds),
      fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      fc.nat(400),
      (seed, changes, length) => {
        const raw = Uint8Array.from(seed);
        for (const [at, value] of changes) raw[at % raw.length] = value;
        const cut = raw.subarray(0, 2 + (length % (raw.length - 1)));
        check(cut, decodeMessage(cut));
        check(raw, decodeMessage(raw));
      },
    ),
    { numRuns: 2000 },
  );
});

test('B1-03 unknown odd types are told by their number, whatever they hold', () => {
  for (const number of [3, 7, 9, 133, 267, 32769, 65535]) {
    assert.deepEqual(decodeMessage(ofType(number, Uint8Array.of(1, 2))), { type: 'unknown', number });
  }
});

test('B1-04 unknown_even_type: each even type that is not ours', () => {
  for (let number = 0; number < 65536; number += 2) {
    if (messageTypeName(number) !== 'unknown_even') continue;
    assert.deepEqual(decodeMessage(ofType(number, new Uint8Array(0))), {
      fault: 'unknown_even_type',
      type: number,
      offset: 0,
    });
  }
});

test('B1-05 too_short: every known type without its fields, and less than a type', () => {
  for (const type of TYPES) {
    const decoded = decodeMessage(ofType(type, new Uint8Array(0)));
    assert.equal(isWireFault(decoded) && decoded.fault, 'too_short', messageTypeName(type));
    assert.equal(isWireFault(decoded) && decoded.type, type);
  }
  for (const length of [0, 1]) {
    assert.deepEqual(decodeMessage(new Uint8Array(length)), { fault: 'too_short', type: 0, offset: length });
  }
});

test('B7-01 well-formed gossip is told by its kind, without an object of its own', () => {
  for (const kind of [256, 258] as const) {
    const raw = ofType(kind, new Uint8Array(430));
    assert.deepEqual(decodeMessage(raw), { type: 'gossip', kind });
    assert.equal(decodeMessage(raw), decodeMessage(raw));
  }
});
