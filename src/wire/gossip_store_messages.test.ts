import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { MAX_SAT } from '../base/amount.ts';
import { concatBytes, fromHex, readU16, readU32, toHex, writeU16, writeU64 } from '../base/bytes.ts';
import { Bug } from '../base/errors.ts';
import { scidText } from '../base/short_channel_id.ts';
import { crc32c } from './crc32c.ts';
import {
  chanDyingDeadline,
  chanDyingScidHi,
  chanDyingScidLo,
  channelAmountSatoshis,
  checkStoreMessage,
  deleteChanScidHi,
  deleteChanScidLo,
  encodeChanDying,
  encodeChannelAmount,
  encodeDeleteChan,
  encodeEnded,
  encodeUuid,
  endedEquivalentOffset,
  endedUuidAt,
  storeUuidAt,
} from './gossip_store_messages.ts';
import { FLAG_COMPLETED, RECORD_HEADER_BYTES } from './store_record.ts';

const bytesOf = (hex: string): Uint8Array => {
  const bytes = fromHex(hex.replaceAll(' ', ''));
  assert.ok(bytes);
  return bytes;
};

const check = (message: Uint8Array): string | undefined => checkStoreMessage(message, 0, message.length);

/** Halves of 103x1x1. */
const [HI, LO] = [0x00006700, 0x00010001];
const ZERO_UUID = new Uint8Array(32);

/** Whole records as CLN v25.09.1 and later write them, with header timestamp 0. */
const RECORDS: readonly (readonly [string, Uint8Array, string])[] = [
  ['channel_amount', encodeChannelAmount(0x1000000n), '2000000a 99dc98b4 00000000 1005 0000000001000000'],
  ['delete_chan', encodeDeleteChan(HI, LO), '2000000a f39b48db 00000000 1007 0000670000010001'],
  ['chan_dying', encodeChanDying(HI, LO, 175), '2000000e 32232193 00000000 100a 0000670000010001 000000af'],
  ['uuid', encodeUuid(ZERO_UUID), `20000022 1bad8d9b 00000000 100b ${'00'.repeat(32)}`],
  [
    'ended, version 16',
    encodeEnded(47n, ZERO_UUID),
    `2000002a 3cd66c07 00000000 1009 000000000000002f ${'00'.repeat(32)}`,
  ],
  ['ended, version 15', encodeEnded(1n), '2000000a d04e81ab 00000000 1009 0000000000000001'],
];

for (const [name, message, hex] of RECORDS) {
  test(`record vector: ${name}`, () => {
    const record = bytesOf(hex);
    assert.equal(toHex(message), toHex(record, RECORD_HEADER_BYTES));
    assert.equal(readU16(record, 0), FLAG_COMPLETED);
    assert.equal(readU16(record, 2), message.length);
    assert.equal(readU32(record, 4), crc32c(readU32(record, 8), message, 0, message.length));
    assert.equal(checkStoreMessage(record, RECORD_HEADER_BYTES, readU16(record, 2)), undefined);
  });
}

test('accessors read what was encoded, unsigned, wherever the message starts', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.bigInt({ min: 0n, max: MAX_SAT }),
      fc.nat(20),
      (hi, lo, deadline, satoshis, at) => {
        const placed = (message: Uint8Array): Uint8Array => {
          assert.equal(check(message), undefined);
          return concatBytes(new Uint8Array(at).fill(0xee), message);
        };
        const amount = placed(encodeChannelAmount(satoshis));
        assert.equal(BigInt(channelAmountSatoshis(amount, at)), satoshis);
        const deleted = placed(encodeDeleteChan(hi, lo));
        assert.deepEqual([deleteChanScidHi(deleted, at), deleteChanScidLo(deleted, at)], [hi, lo]);
        const dying = placed(encodeChanDying(hi, lo, deadline));
        assert.deepEqual(
          [chanDyingScidHi(dying, at), chanDyingScidLo(dying, at), chanDyingDeadline(dying, at)],
          [hi, lo, deadline],
        );
        const ended = placed(encodeEnded(BigInt(hi) * 1000n));
        assert.equal(endedEquivalentOffset(ended, at), hi * 1000);
      },
    ),
  );
  assert.equal(
    scidText(deleteChanScidHi(encodeDeleteChan(HI, LO), 0), deleteChanScidLo(encodeDeleteChan(HI, LO), 0)),
    '103x1x1',
  );
});

test('the uuid is found in its own record and in the longer form of ended', () => {
  const uuid = Uint8Array.from({ length: 32 }, (_, index) => index);
  const own = encodeUuid(uuid);
  assert.deepEqual(own.slice(storeUuidAt(own, 0)), uuid);
  const ended = encodeEnded(47n, uuid);
  const at = endedUuidAt(ended, 0, ended.length);
  assert.ok(at !== undefined);
  assert.deepEqual(ended.slice(at), uuid);
  assert.equal(endedUuidAt(encodeEnded(47n), 0, 10), undefined);
});

/** A channel_announcement of two different nodes; node ids at 300 and 333. */
const announcement = (): Uint8Array => {
  const bytes = new Uint8Array(432);
  writeU16(bytes, 0, 256);
  bytes[300] = 2;
  bytes[333] = 3;
  return bytes;
};

const ofType = (type: number, length: number): Uint8Array => {
  const bytes = new Uint8Array(length);
  writeU16(bytes, 0, type);
  return bytes;
};

test('too_short: every type at every length below its own', () => {
  const shortest: readonly (readonly [number, number])[] = [
    [256, 432],
    [257, 142],
    [258, 138],
    [4101, 10],
    [4103, 10],
    [4105, 10],
    [4106, 14],
    [4107, 34],
  ];
  for (const [type, minimum] of shortest) {
    for (let length = 2; length < minimum; length++) {
      assert.equal(check(ofType(type, length)), 'too_short', `type ${type} length ${length}`);
    }
    const bytes = type === 256 ? announcement() : ofType(type, minimum);
    assert.equal(check(bytes), undefined, `type ${type} length ${minimum}`);
  }
  assert.equal(checkStoreMessage(announcement(), 0, 0), 'too_short');
  assert.equal(checkStoreMessage(announcement(), 0, 1), 'too_short');
});

test('too_short: fields past the end of the message, though the file goes on', () => {
  const long = announcement();
  long[259] = 1;
  assert.equal(checkStoreMessage(concatBytes(long, new Uint8Array(500)), 0, 432), 'too_short');
  const node = ofType(257, 142);
  node[67] = 0xff;
  assert.equal(checkStoreMessage(concatBytes(node, new Uint8Array(500)), 0, 142), 'too_short');
  assert.equal(checkStoreMessage(ofType(258, 500), 0, 130), 'too_short');
});

test('same_node_ids: a channel of a node with itself', () => {
  const bytes = announcement();
  assert.equal(check(bytes), undefined);
  bytes[333] = 2;
  assert.equal(check(bytes), 'same_node_ids');
  bytes[365] = 1;
  assert.equal(check(bytes), undefined);
});

test('node ids in the wrong order are no fault of the record (stores of older releases hold some)', () => {
  const bytes = announcement();
  bytes[300] = 3;
  bytes[333] = 2;
  assert.equal(check(bytes), undefined);
});

test('amount_out_of_range: amounts above 21 million bitcoin, 2^64 / 1000 satoshi and up among them', () => {
  const limit = (1n << 64n) / 1000n;
  const cases: readonly (readonly [bigint, string | undefined])[] = [
    [0n, undefined],
    [1n, undefined],
    [MAX_SAT, undefined],
    [MAX_SAT + 1n, 'amount_out_of_range'],
    [limit, 'amount_out_of_range'],
    [limit + 1n, 'amount_out_of_range'],
    [(1n << 64n) - 1n, 'amount_out_of_range'],
  ];
  for (const [satoshis, expected] of cases) {
    const bytes = ofType(4101, 10);
    writeU64(bytes, 2, satoshis);
    assert.equal(check(bytes), expected, `${satoshis} sat`);
  }
});

test('bad_array_length: store messages longer than their type allows', () => {
  for (const [type, length] of [
    [4101, 11],
    [4106, 15],
    [4107, 35],
    [4105, 43],
  ] as const) {
    assert.equal(check(ofType(type, length)), 'bad_array_length', `type ${type}`);
  }
  for (let length = 11; length < 42; length++) assert.equal(check(ofType(4105, length)), 'too_short');
  assert.equal(check(ofType(4105, 42)), undefined);
  assert.equal(check(ofType(4103, 11)), undefined);
});

test('unknown_record_type: every other number, obsolete ones and those of peers included', () => {
  const known = new Set([256, 257, 258, 4101, 4103, 4105, 4106, 4107]);
  for (let type = 0; type < 65536; type++) {
    if (!known.has(type)) assert.equal(check(ofType(type, 600)), 'unknown_record_type', `type ${type}`);
  }
});

test('any bytes get an answer', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(256, 257, 258, 4101, 4102, 4103, 4104, 4105, 4106, 4107),
      fc.uint8Array({ maxLength: 600 }),
      (type, body) => {
        const bytes = concatBytes(ofType(type, 2), body);
        const answer = check(bytes);
        assert.ok(answer === undefined || typeof answer === 'string');
        if (bytes.length < 10) assert.notEqual(answer, undefined);
      },
    ),
    { numRuns: 500 },
  );
});

test('what a caller of ours must not write is a Bug', () => {
  assert.throws(() => encodeChannelAmount(MAX_SAT + 1n), Bug);
  assert.throws(() => encodeChannelAmount(-1n), Bug);
  assert.throws(() => encodeUuid(new Uint8Array(31)), Bug);
  assert.throws(() => encodeEnded(1n, new Uint8Array(33)), Bug);
});
