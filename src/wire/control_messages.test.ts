/**
 * What every control message must keep to, told once for all of them: it survives encoding and decoding, each truncation is
 * too_short, its extension is a TLV stream, and its byte fields are views of what was received.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { concatBytes, fromHex, readU16 } from '../base/bytes.ts';
import { scidFromBigint } from '../base/short_channel_id.ts';
import { parseAddress } from './address_descriptor.ts';
import { decodeAnnouncementSignatures, encodeAnnouncementSignatures } from './announcement_signatures.ts';
import { decodeError, encodeError } from './error.ts';
import { type Decoded, isWireFault } from './fault.ts';
import { decodeGossipTimestampFilter, encodeGossipTimestampFilter } from './gossip_timestamp_filter.ts';
import { decodeInit, encodeInit, type Init } from './init.ts';
import { decodeMessage } from './message.ts';
import { MESSAGE_TYPE, type MessageTypeName } from './message_types.ts';
import { decodePing, encodePing } from './ping.ts';
import { decodePong, encodePong } from './pong.ts';
import { decodeQueryChannelRange, encodeQueryChannelRange } from './query_channel_range.ts';
import {
  decodeQueryShortChannelIds,
  encodeQueryShortChannelIds,
  type QueryShortChannelIds,
} from './query_short_channel_ids.ts';
import {
  decodeReplyChannelRange,
  encodeReplyChannelRange,
  type ReplyChannelRange,
} from './reply_channel_range.ts';
import {
  decodeReplyShortChannelIdsEnd,
  encodeReplyShortChannelIdsEnd,
} from './reply_short_channel_ids_end.ts';
import { decodeWarning, encodeWarning } from './warning.ts';

const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffffffff);
const chain_hash = bytes(32);
const notice = fc.record({ channel_id: bytes(32), data: fc.uint8Array({ maxLength: 300 }) });

const features = fc.uint8Array({ maxLength: 12 }).filter((map) => map[0] !== 0);
const addresses = ['1.2.3.4:9735', '[2001:db8::7]:1', `${'z'.repeat(56)}.onion:9`, 'n.example:65535'];
const init: fc.Arbitrary<Init> = fc.record(
  {
    features,
    networks: fc.array(bytes(32), { maxLength: 4 }),
    remote_addr: fc.constantFrom(...addresses.map((text) => parseAddress(text)!)),
  },
  { requiredKeys: ['features'] },
);

const scids = fc.bigUint64Array({ maxLength: 30 });
const query: fc.Arbitrary<QueryShortChannelIds> = scids.chain((short_channel_ids) => {
  const exact = { minLength: short_channel_ids.length, maxLength: short_channel_ids.length };
  const small = fc.uint8Array({ ...exact, max: 252 });
  const wide = fc.array(fc.nat(1000), exact).filter((flags) => flags.some((flag) => flag > 252));
  return fc.record(
    {
      chain_hash,
      short_channel_ids: fc.constant(short_channel_ids),
      query_flags: short_channel_ids.length === 0 ? small : fc.oneof(small, wide),
    },
    { requiredKeys: ['chain_hash', 'short_channel_ids'] },
  );
});
const reply: fc.Arbitrary<ReplyChannelRange> = scids.chain((short_channel_ids) => {
  const exact = { minLength: short_channel_ids.length * 2, maxLength: short_channel_ids.length * 2 };
  return fc.record(
    {
      chain_hash,
      first_blocknum: u32,
      number_of_blocks: u32,
      sync_complete: fc.boolean(),
      short_channel_ids: fc.constant(short_channel_ids),
      timestamps: fc.uint32Array(exact),
      checksums: fc.uint32Array(exact),
    },
    {
      requiredKeys: [
        'chain_hash',
        'first_blocknum',
        'number_of_blocks',
        'sync_complete',
        'short_channel_ids',
      ],
    },
  );
});

interface Subject {
  readonly name: MessageTypeName;
  /** Encodes a random message. */
  readonly raw: fc.Arbitrary<Uint8Array>;
  readonly decode: (raw: Uint8Array) => Decoded<object>;
  readonly survives: () => void;
}

const subject = <Message extends object>(
  name: MessageTypeName,
  arbitrary: fc.Arbitrary<Message>,
  encode: (message: Message) => Uint8Array,
  decode: (raw: Uint8Array) => Decoded<Message>,
): Subject => ({
  name,
  raw: arbitrary.map(encode),
  decode,
  survives: () =>
    fc.assert(
      fc.property(arbitrary, (message) => {
        const raw = encode(message);
        assert.equal(readU16(raw, 0), MESSAGE_TYPE[name]);
        const decoded = decode(raw);
        assert.deepEqual(decoded, { ...message });
        assert.ok(!isWireFault(decoded));
        assert.deepEqual(encode(decoded), raw);
        assert.deepEqual(decodeMessage(raw), { type: name, ...message });
      }),
    ),
});

const SUBJECTS: readonly Subject[] = [
  subject('init', init, encodeInit, decodeInit),
  subject('error', notice, encodeError, decodeError),
  subject('warning', notice, encodeWarning, decodeWarning),
  subject('ping', fc.record({ num_pong_bytes: u16, byteslen: fc.nat(500) }), encodePing, decodePing),
  subject('pong', fc.record({ byteslen: fc.nat(500) }), encodePong, decodePong),
  subject(
    'announcement_signatures',
    fc.record({
      channel_id: bytes(32),
      short_channel_id: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map(scidFromBigint),
      node_signature: bytes(64),
      bitcoin_signature: bytes(64),
    }),
    encodeAnnouncementSignatures,
    decodeAnnouncementSignatures,
  ),
  subject('query_short_channel_ids', query, encodeQueryShortChannelIds, decodeQueryShortChannelIds),
  subject(
    'reply_short_channel_ids_end',
    fc.record({ chain_hash, full_information: fc.boolean() }),
    encodeReplyShortChannelIdsEnd,
    decodeReplyShortChannelIdsEnd,
  ),
  subject(
    'query_channel_range',
    fc.record(
      {
        chain_hash,
        first_blocknum: u32,
        number_of_blocks: u32,
        query_option: fc.nat(Number.MAX_SAFE_INTEGER),
      },
      { requiredKeys: ['chain_hash', 'first_blocknum', 'number_of_blocks'] },
    ),
    encodeQueryChannelRange,
    decodeQueryChannelRange,
  ),
  subject('reply_channel_range', reply, encodeReplyChannelRange, decodeReplyChannelRange),
  subject(
    'gossip_timestamp_filter',
    fc.record({ chain_hash, first_timestamp: u32, timestamp_range: u32 }),
    encodeGossipTimestampFilter,
    decodeGossipTimestampFilter,
  ),
];

const faultOf = (decoded: unknown): string | undefined => (isWireFault(decoded) ? decoded.fault : undefined);
const hex = (text: string): Uint8Array => fromHex(text)!;

for (const { name, raw, decode, survives } of SUBJECTS) {
  describe(name, () => {
    test('survives encoding and decoding, alone and through decodeMessage', survives);

    test('B1-05 too_short at every length below that of its fields', () => {
      fc.assert(
        fc.property(raw, (message) => {
          // Every truncation either fails or lost whole optional records from the end.
          for (let length = 2; length < message.length; length++) {
            const decoded = decode(message.subarray(0, length));
            if (!isWireFault(decoded)) continue;
            assert.equal(decoded.type, MESSAGE_TYPE[name]);
            assert.ok(decoded.offset >= 0 && decoded.offset <= length);
          }
          assert.equal(faultOf(decode(message.subarray(0, 2))), 'too_short');
        }),
        { numRuns: 20 },
      );
    });

    test('B1-06 B1-10 an extension may hold unknown odd records, and is refused when invalid', () => {
      fc.assert(
        fc.property(raw, (message) => {
          // Records come after any of the message's own: their types are higher.
          assert.deepEqual(decode(concatBytes(message, hex('c9012acb0104'))), decode(message));
          assert.equal(faultOf(decode(concatBytes(message, hex('ca012a')))), 'tlv_unknown_even');
          assert.equal(faultOf(decode(concatBytes(message, hex('c9012ac900')))), 'tlv_not_increasing');
          assert.equal(faultOf(decode(concatBytes(message, hex('c9022a')))), 'tlv_truncated');
          assert.equal(faultOf(decode(concatBytes(message, hex('fd00c900')))), 'bigsize_not_minimal');
          assert.equal(faultOf(decode(concatBytes(message, hex('c9')))), 'bigsize_truncated');
        }),
        { numRuns: 20 },
      );
    });

    test('byte fields of fixed length are views of what was received', () => {
      const [message] = fc.sample(raw, { numRuns: 1, seed: 7 });
      const decoded = decode(message!);
      for (const field of ['chain_hash', 'channel_id', 'data', 'node_signature']) {
        const value = (decoded as Record<string, unknown>)[field];
        if (value instanceof Uint8Array) assert.equal(value.buffer, message!.buffer);
      }
      assert.equal(faultOf(decoded), undefined);
    });
  });
}

test('B1-02 B1-07 there is an encoder for no other control message than these, and all of their TLV types are odd', () => {
  const control = Object.keys(MESSAGE_TYPE).filter(
    (name) => !['channel_announcement', 'node_announcement', 'channel_update'].includes(name),
  );
  assert.deepEqual(SUBJECTS.map(({ name }) => name).sort(), control.sort());
  // The longest form of each message with TLVs: what follows the fixed part may only have odd types.
  const own: readonly [Uint8Array, number][] = [
    [
      encodeInit({
        features: hex(''),
        networks: [new Uint8Array(32)],
        remote_addr: parseAddress('1.2.3.4:5')!,
      }),
      6,
    ],
    [
      encodeQueryShortChannelIds({
        chain_hash: new Uint8Array(32),
        short_channel_ids: BigUint64Array.of(1n),
        query_flags: [1],
      }),
      45,
    ],
    [
      encodeQueryChannelRange({
        chain_hash: new Uint8Array(32),
        first_blocknum: 0,
        number_of_blocks: 1,
        query_option: 3,
      }),
      42,
    ],
    [
      encodeReplyChannelRange({
        chain_hash: new Uint8Array(32),
        first_blocknum: 0,
        number_of_blocks: 1,
        sync_complete: true,
        short_channel_ids: BigUint64Array.of(1n),
        timestamps: Uint32Array.of(1, 2),
        checksums: Uint32Array.of(3, 4),
      }),
      54,
    ],
  ];
  for (const [message, tlvsAt] of own) {
    const types: number[] = [];
    for (let at = tlvsAt; at < message.length; at += 2 + message[at + 1]!) types.push(message[at]!);
    assert.ok(types.length > 0 && types.every((type) => type % 2 === 1));
  }
});
