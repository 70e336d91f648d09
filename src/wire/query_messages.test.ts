import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { concatBytes, fromHex, toHex } from '../base/bytes.ts';
import { isWireFault } from './fault.ts';
import { decodeQueryChannelRange, encodeQueryChannelRange } from './query_channel_range.ts';
import {
  decodeQueryShortChannelIds,
  encodeQueryShortChannelIds,
  MAX_SHORT_IDS_PER_QUERY,
} from './query_short_channel_ids.ts';
import { decodeReplyChannelRange, encodeReplyChannelRange, shortIdsPerReply } from './reply_channel_range.ts';
import { decodeReplyShortChannelIdsEnd } from './reply_short_channel_ids_end.ts';

const CHAIN = 'ab'.repeat(32);
const chain_hash = fromHex(CHAIN)!;
const hex = (text: string): Uint8Array => fromHex(text.replaceAll(' ', ''))!;
const faultOf = (decoded: unknown): string | undefined => (isWireFault(decoded) ? decoded.fault : undefined);

describe('query_short_channel_ids', () => {
  const query = (ids: string, tlvs = ''): unknown => {
    const length = (hex(ids).length + 0x10000).toString(16).slice(1);
    return decodeQueryShortChannelIds(hex(`0105 ${CHAIN} ${length} ${ids} ${tlvs}`));
  };
  const ONE = '00 0000000000000001';

  test('Q-03 bad_encoding: ids without an encoding byte', () => {
    assert.equal(faultOf(query('')), 'bad_encoding');
  });

  test('Q-03 an empty list of ids is well formed', () => {
    assert.deepEqual(query('00'), { chain_hash, short_channel_ids: new BigUint64Array(0) });
  });

  test('Q-03 Q-06 bad_array_length: half an id', () => {
    assert.equal(faultOf(query(`${ONE} 00000000`)), 'bad_array_length');
  });

  test('Q-05 Q-06 flags that are not one for each id, not plain or not minimal are refused', () => {
    assert.equal(faultOf(query(ONE, '01 03 00 01 01')), 'flags_count_mismatch');
    assert.equal(faultOf(query(ONE, '01 01 00')), 'flags_count_mismatch');
    assert.equal(faultOf(query(ONE, '01 00')), 'bad_encoding');
    assert.equal(faultOf(query(ONE, '01 02 01 01')), 'bad_encoding');
    assert.equal(faultOf(query(ONE, '01 04 00 fd0001')), 'bigsize_not_minimal');
  });

  test('Q-05 each flag is where its id is', () => {
    assert.deepEqual(query(`${ONE} 0000000000000002`, '01 03 00 01 1f'), {
      chain_hash,
      short_channel_ids: BigUint64Array.of(1n, 2n),
      query_flags: Uint8Array.of(1, 31),
    });
  });

  test('Q-05 the flags of the bits that are not assigned keep the lower 53', () => {
    const decoded = query(ONE, '01 0a 00 ffffe000000000001f');
    assert.deepEqual((decoded as { query_flags: number[] }).query_flags, [31]);
  });

  test('the most ids with flags that fit into a message do, one more does not', () => {
    const of = (count: number): Uint8Array =>
      encodeQueryShortChannelIds({
        chain_hash,
        short_channel_ids: new BigUint64Array(count),
        query_flags: new Uint8Array(count),
      });
    const raw = of(MAX_SHORT_IDS_PER_QUERY);
    assert.ok(raw.length <= 65535 && raw.length > 65535 - 9);
    assert.equal(faultOf(decodeQueryShortChannelIds(raw)), undefined);
    assert.throws(() => of(MAX_SHORT_IDS_PER_QUERY + 1));
  });

  test('a flag too many is our own mistake', () => {
    assert.throws(() =>
      encodeQueryShortChannelIds({
        chain_hash,
        short_channel_ids: BigUint64Array.of(1n),
        query_flags: [1, 2],
      }),
    );
  });
});

describe('reply_short_channel_ids_end', () => {
  test('Q-10 any full_information but 0 is true', () => {
    for (const [byte, full_information] of [
      ['00', false],
      ['01', true],
      ['ff', true],
    ] as const) {
      assert.deepEqual(decodeReplyShortChannelIdsEnd(hex(`0106 ${CHAIN} ${byte}`)), {
        chain_hash,
        full_information,
      });
    }
  });
});

describe('query_channel_range', () => {
  const range = (tlvs: string): unknown =>
    decodeQueryChannelRange(hex(`0107 ${CHAIN} 00000001 ffffffff ${tlvs}`));

  test('Q-15 query_option is one minimal BigSize', () => {
    assert.deepEqual(range('01 01 03'), {
      chain_hash,
      first_blocknum: 1,
      number_of_blocks: 0xffffffff,
      query_option: 3,
    });
    assert.equal(faultOf(range('01 00')), 'bigsize_truncated');
    assert.equal(faultOf(range('01 02 03 00')), 'tlv_bad_length');
    assert.equal(faultOf(range('01 03 fd0003')), 'bigsize_not_minimal');
  });

  test('Q-15 wide options keep the lower bits exactly', () => {
    assert.equal((range('01 09 ff8000000000000003') as { query_option: number }).query_option, 3);
  });

  test('numbers are unsigned on the way out', () => {
    const raw = encodeQueryChannelRange({ chain_hash, first_blocknum: 0xfffffffe, number_of_blocks: 1 });
    assert.equal(toHex(raw), `0107${CHAIN}fffffffe00000001`);
  });
});

describe('reply_channel_range', () => {
  const fields = {
    chain_hash,
    first_blocknum: 700000,
    number_of_blocks: 10,
    sync_complete: false,
    short_channel_ids: BigUint64Array.of(1n, 2n),
  };
  const raw = encodeReplyChannelRange(fields);

  test('Q-15 timestamps and checksums must be two for each id', () => {
    const pairs = (count: number): string => '00000001'.repeat(count);
    const decode = (tlvs: string): unknown => decodeReplyChannelRange(concatBytes(raw, hex(tlvs)));
    assert.equal(faultOf(decode(`01 11 00 ${pairs(4)}`)), undefined);
    assert.equal(faultOf(decode(`01 09 00 ${pairs(2)}`)), 'flags_count_mismatch');
    assert.equal(faultOf(decode(`01 0d 00 ${pairs(3)}`)), 'bad_array_length');
    assert.equal(faultOf(decode(`01 11 01 ${pairs(4)}`)), 'bad_encoding');
    assert.equal(faultOf(decode('01 00')), 'bad_encoding');
    assert.equal(faultOf(decode(`03 10 ${pairs(4)}`)), undefined);
    assert.equal(faultOf(decode(`03 18 ${pairs(6)}`)), 'flags_count_mismatch');
    assert.equal(faultOf(decode(`03 11 00 ${pairs(4)}`)), 'bad_array_length');
  });

  test('Q-13 any sync_complete but 0 is true', () => {
    const changed = Uint8Array.from(raw);
    assert.deepEqual(decodeReplyChannelRange(changed), fields);
    changed[42] = 7;
    assert.deepEqual(decodeReplyChannelRange(changed), { ...fields, sync_complete: true });
  });

  test('Q-14 the most ids that fit into a message do, one more does not', () => {
    for (const [withTimestamps, withChecksums] of [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ] as const) {
      const of = (count: number): Uint8Array =>
        encodeReplyChannelRange({
          ...fields,
          short_channel_ids: new BigUint64Array(count),
          ...(withTimestamps ? { timestamps: new Uint32Array(count * 2) } : {}),
          ...(withChecksums ? { checksums: new Uint32Array(count * 2) } : {}),
        });
      const most = shortIdsPerReply(withTimestamps, withChecksums);
      assert.equal(faultOf(decodeReplyChannelRange(of(most))), undefined);
      assert.throws(() => of(most + 1));
    }
    assert.equal(shortIdsPerReply(false, false), 8186);
    assert.equal(shortIdsPerReply(true, true), 2728);
  });

  test('pairs that do not match the ids are our own mistake', () => {
    assert.throws(() => encodeReplyChannelRange({ ...fields, timestamps: Uint32Array.of(1, 2) }));
    assert.throws(() => encodeReplyChannelRange({ ...fields, checksums: Uint32Array.of(1, 2, 3) }));
  });
});
