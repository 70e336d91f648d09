/**
 * The ten messages of BOLT 7's bolt07/extended-queries.json. Five are plain: they decode to the values told there and encode
 * to the same bytes. Five use zlib (encoding 1), which has since been forbidden: they are refused as bad_encoding.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fromHex, toHex } from '../../src/base/bytes.ts';
import { parseScid } from '../../src/base/short_channel_id.ts';
import { isWireFault } from '../../src/wire/fault.ts';
import { decodeMessage } from '../../src/wire/message.ts';
import { encodeQueryChannelRange } from '../../src/wire/query_channel_range.ts';
import { encodeQueryShortChannelIds } from '../../src/wire/query_short_channel_ids.ts';
import { encodeReplyChannelRange } from '../../src/wire/reply_channel_range.ts';

const CHAIN = '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206';
const chain_hash = fromHex(CHAIN)!;
const scids = (...texts: string[]): BigUint64Array => BigUint64Array.from(texts, (text) => parseScid(text)!);

const plain: readonly [string, object][] = [
  [
    `0107${CHAIN}000186a0000005dc`,
    { type: 'query_channel_range', chain_hash, first_blocknum: 100000, number_of_blocks: 1500 },
  ],
  [
    `0107${CHAIN}000088b800000064010103`,
    {
      type: 'query_channel_range',
      chain_hash,
      first_blocknum: 35000,
      number_of_blocks: 100,
      query_option: 3,
    },
  ],
  [
    `0108${CHAIN}000b8a06000005dc01001900000000000000008e0000000000003c69000000000045a6c4`,
    {
      type: 'reply_channel_range',
      chain_hash,
      first_blocknum: 756230,
      number_of_blocks: 1500,
      sync_complete: true,
      short_channel_ids: scids('0x0x142', '0x0x15465', '0x69x42692'),
    },
  ],
  [
    `0108${CHAIN}0001ddde000005dc01001900000000000000304300000000000778d6000000000046e1c1` +
      '011900000282c1000e77c5000778ad00490ab00000b57800955bff' +
      '031800000457000008ae00000d050000115c000015b300001a0a',
    {
      type: 'reply_channel_range',
      chain_hash,
      first_blocknum: 122334,
      number_of_blocks: 1500,
      sync_complete: true,
      short_channel_ids: scids('0x0x12355', '0x7x30934', '0x70x57793'),
      timestamps: Uint32Array.of(164545, 948165, 489645, 4786864, 46456, 9788415),
      checksums: Uint32Array.of(1111, 2222, 3333, 4444, 5555, 6666),
    },
  ],
  [
    `0105${CHAIN}001900000000000000008e0000000000003c69000000000045a6c4`,
    {
      type: 'query_short_channel_ids',
      chain_hash,
      short_channel_ids: scids('0x0x142', '0x0x15465', '0x69x42692'),
    },
  ],
];

const zlib: readonly [string, string][] = [
  ['ids of a reply', `0108${CHAIN}000006400000006e01001601789c636000833e08659309a65878be010010a9023a`],
  [
    'ids and timestamps of a reply',
    `0108${CHAIN}0001ddde000005dc01001801789c63600001036730c55e710d4cbb3d3c080017c303b1` +
      '012201789c63606a3ac8c0577e9481bd622d8327d7060686ad150c53a3ff0300554707db' +
      '031800000457000008ae00000d050000115c000015b300001a0a',
  ],
  ['ids of a query', `0105${CHAIN}001801789c63600001c12b608a69e73e30edbaec0800203b040e`],
  [
    'flags of a query',
    `0105${CHAIN}0019000000000000002fc80000000000003cc4000000000045a6c4010c01789c6364620100000e0008`,
  ],
  [
    'ids and flags of a query',
    `0105${CHAIN}001801789c63600001f30a30c5b0cd144cb92e3b020017c6034a010c01789c6364620100000e0008`,
  ],
];

describe('extended queries', () => {
  for (const [hex, expected] of plain) {
    test(`Q-03 Q-13 Q-15 decodes and re-encodes ${hex.slice(0, 4)}…${hex.slice(68, 100)}`, () => {
      const decoded = decodeMessage(fromHex(hex)!);
      assert.deepEqual(decoded, expected);
      assert.ok(!isWireFault(decoded));
      if (decoded.type === 'query_channel_range') assert.equal(toHex(encodeQueryChannelRange(decoded)), hex);
      else if (decoded.type === 'reply_channel_range') {
        assert.equal(toHex(encodeReplyChannelRange(decoded)), hex);
      } else if (decoded.type === 'query_short_channel_ids') {
        assert.equal(toHex(encodeQueryShortChannelIds(decoded)), hex);
      } else assert.fail('a message of another type');
    });
  }
  for (const [what, hex] of zlib) {
    test(`Q-03 Q-06 bad_encoding: zlib in the ${what}`, () => {
      const decoded = decodeMessage(fromHex(hex)!);
      assert.equal(isWireFault(decoded) && decoded.fault, 'bad_encoding');
    });
  }
});
