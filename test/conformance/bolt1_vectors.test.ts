/**
 * The vectors of BOLT 1: BigSize (appendix A), TLV streams in two made-up namespaces (B), message extensions (C) and
 * signed integers (D). Each row is a fact of the specification; why it must fail is told by our fault kind.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MAX_MSAT, MAX_SAT } from '../../src/base/amount.ts';
import { fromHex, readU16, readU64, toHex } from '../../src/base/bytes.ts';
import { decodeBigSize, encodeBigSize } from '../../src/wire/bigsize.ts';
import { isWireFault, type WireFaultKind } from '../../src/wire/fault.ts';
import { decodeInit } from '../../src/wire/init.ts';
import {
  encodeSigned,
  encodeTruncated,
  readSigned,
  readTruncated,
  type SignedWidth,
} from '../../src/wire/integers.ts';
import { encodeTlvStream, readTlvStream, type TlvVisitor } from '../../src/wire/tlv.ts';

const bytesOf = (hex: string): Uint8Array => fromHex(hex.replaceAll(' ', ''))!;

describe('appendix A: BigSize', () => {
  const valid: readonly [bigint, string][] = [
    [0n, '00'],
    [252n, 'fc'],
    [253n, 'fd00fd'],
    [65535n, 'fdffff'],
    [65536n, 'fe00010000'],
    [4294967295n, 'feffffffff'],
    [4294967296n, 'ff0000000100000000'],
    [18446744073709551615n, 'ffffffffffffffffff'],
  ];
  for (const [value, hex] of valid) {
    test(`B1-09 ${hex} decodes to ${value}`, () => {
      assert.deepEqual(decodeBigSize(bytesOf(hex)), { value, width: hex.length / 2 });
    });
    test(`B1-08 ${value} encodes to ${hex}`, () => {
      assert.equal(toHex(encodeBigSize(value)), hex);
      if (value <= Number.MAX_SAFE_INTEGER) assert.equal(toHex(encodeBigSize(Number(value))), hex);
    });
  }

  const invalid: readonly [string, WireFaultKind][] = [
    ['fd00fc', 'bigsize_not_minimal'],
    ['fe0000ffff', 'bigsize_not_minimal'],
    ['ff00000000ffffffff', 'bigsize_not_minimal'],
    ['fd00', 'bigsize_truncated'],
    ['feffff', 'bigsize_truncated'],
    ['ffffffffff', 'bigsize_truncated'],
    ['', 'bigsize_truncated'],
    ['fd', 'bigsize_truncated'],
    ['fe', 'bigsize_truncated'],
    ['ff', 'bigsize_truncated'],
  ];
  for (const [hex, fault] of invalid) {
    test(`B1-09 ${fault}: '${hex}'`, () => {
      assert.deepEqual(decodeBigSize(bytesOf(hex)), { fault, type: 0, offset: 0 });
    });
  }
});

type Values = Record<string, bigint | number | string>;

interface Namespace {
  readonly known: readonly number[];
  readonly visit: (bytes: Uint8Array, values: Values) => TlvVisitor;
}

const truncated = (
  bytes: Uint8Array,
  start: number,
  end: number,
  width: 4 | 8,
  keep: (value: bigint) => void,
): WireFaultKind | undefined => {
  const value = readTruncated(bytes, start, end, width);
  if (typeof value === 'string') return value;
  keep(value);
  return undefined;
};

/** 1: tu64 amount; 2: scid; 3: point and two u64; 254: u16. */
const n1: Namespace = {
  known: [1, 2, 3, 254],
  visit: (bytes, values) => (type, start, end) => {
    const length = end - start;
    if (type === 1) return truncated(bytes, start, end, 8, (value) => (values['amount_msat'] = value));
    if (type === 2) {
      if (length !== 8) return 'tlv_bad_length';
      values['scid'] = readU64(bytes, start);
    } else if (type === 3) {
      if (length !== 49) return 'tlv_bad_length';
      // The prefix is enough to refuse the vector's point; curve arithmetic is not wire's business.
      if (bytes[start] !== 2 && bytes[start] !== 3) return 'bad_point';
      values['node_id'] = toHex(bytes, start, start + 33);
      values['amount_msat_1'] = readU64(bytes, start + 33);
      values['amount_msat_2'] = readU64(bytes, start + 41);
    } else {
      if (length !== 2) return 'tlv_bad_length';
      values['cltv_delta'] = readU16(bytes, start);
    }
    return undefined;
  },
};

/** 0: tu64 amount; 11: tu32 expiry. */
const n2: Namespace = {
  known: [0, 11],
  visit: (bytes, values) => (type, start, end) =>
    type === 0
      ? truncated(bytes, start, end, 8, (value) => (values['amount_msat'] = value))
      : truncated(bytes, start, end, 4, (value) => (values['cltv_expiry'] = value)),
};

const decode = (namespace: Namespace, bytes: Uint8Array): Values | WireFaultKind => {
  const values: Values = {};
  return readTlvStream(bytes, 0, namespace.known, namespace.visit(bytes, values))?.fault ?? values;
};

const NAMESPACES = { n1, n2 };
const POINT = '023da092f6980e58d2c037173180e9a465476026ee50f96695963e8efe436f54eb';

const failures: readonly [readonly ('n1' | 'n2')[], string, WireFaultKind][] = [
  [['n1', 'n2'], 'fd', 'bigsize_truncated'],
  [['n1', 'n2'], 'fd01', 'bigsize_truncated'],
  [['n1', 'n2'], 'fd0001 00', 'bigsize_not_minimal'],
  [['n1', 'n2'], 'fd0101', 'bigsize_truncated'],
  [['n1', 'n2'], '0f fd', 'bigsize_truncated'],
  [['n1', 'n2'], '0f fd26', 'bigsize_truncated'],
  [['n1', 'n2'], '0f fd2602', 'tlv_truncated'],
  [['n1', 'n2'], '0f fd0001 00', 'bigsize_not_minimal'],
  [['n1', 'n2'], `0f fd0201 ${'00'.repeat(258)}`, 'tlv_truncated'],
  [['n1', 'n2'], '12 00', 'tlv_unknown_even'],
  [['n1', 'n2'], 'fd0102 00', 'tlv_unknown_even'],
  [['n1', 'n2'], 'fe01000002 00', 'tlv_unknown_even'],
  [['n1', 'n2'], 'ff0100000000000002 00', 'tlv_unknown_even'],
  [['n1'], '01 09 ffffffffffffffffff', 'tlv_bad_length'],
  [['n1'], '01 01 00', 'truncated_integer_not_minimal'],
  [['n1'], '01 02 0001', 'truncated_integer_not_minimal'],
  [['n1'], '01 03 000100', 'truncated_integer_not_minimal'],
  [['n1'], '01 04 00010000', 'truncated_integer_not_minimal'],
  [['n1'], '01 05 0001000000', 'truncated_integer_not_minimal'],
  [['n1'], '01 06 000100000000', 'truncated_integer_not_minimal'],
  [['n1'], '01 07 00010000000000', 'truncated_integer_not_minimal'],
  [['n1'], '01 08 0001000000000000', 'truncated_integer_not_minimal'],
  [['n1'], '02 07 01010101010101', 'tlv_bad_length'],
  [['n1'], '02 09 010101010101010101', 'tlv_bad_length'],
  [['n1'], `03 21 ${POINT}`, 'tlv_bad_length'],
  [['n1'], `03 29 ${POINT} 0000000000000001`, 'tlv_bad_length'],
  [['n1'], `03 30 ${POINT} 0000000000000001 00000000000001`, 'tlv_bad_length'],
  [['n1'], `03 31 04${POINT.slice(2)} 0000000000000001 0000000000000002`, 'bad_point'],
  [['n1'], `03 32 ${POINT} 0000000000000001 000000000000000001`, 'tlv_bad_length'],
  [['n1'], 'fd00fe 00', 'tlv_bad_length'],
  [['n1'], 'fd00fe 01 01', 'tlv_bad_length'],
  [['n1'], 'fd00fe 03 010101', 'tlv_bad_length'],
  [['n1'], '00 00', 'tlv_unknown_even'],
  // Streams whose records are each valid.
  [['n1'], '02 08 0000000000000226 01 01 2a', 'tlv_not_increasing'],
  [['n1'], '02 08 0000000000000231 02 08 0000000000000451', 'tlv_not_increasing'],
  [['n1'], '1f 00 0f 01 2a', 'tlv_not_increasing'],
  [['n1'], '1f 00 1f 01 2a', 'tlv_not_increasing'],
  [['n2'], 'ffffffffffffffffff 00 00 00', 'tlv_not_increasing'],
];

const successes: readonly [readonly ('n1' | 'n2')[], string, Values][] = [
  [['n1', 'n2'], '', {}],
  [['n1', 'n2'], '21 00', {}],
  [['n1', 'n2'], 'fd0201 00', {}],
  [['n1', 'n2'], 'fd00fd 00', {}],
  [['n1', 'n2'], 'fd00ff 00', {}],
  [['n1', 'n2'], 'fe02000001 00', {}],
  [['n1', 'n2'], 'ff0200000000000001 00', {}],
  [['n1'], '01 00', { amount_msat: 0n }],
  [['n1'], '01 01 01', { amount_msat: 1n }],
  [['n1'], '01 02 0100', { amount_msat: 256n }],
  [['n1'], '01 03 010000', { amount_msat: 65536n }],
  [['n1'], '01 04 01000000', { amount_msat: 16777216n }],
  [['n1'], '01 05 0100000000', { amount_msat: 4294967296n }],
  [['n1'], '01 06 010000000000', { amount_msat: 1099511627776n }],
  [['n1'], '01 07 01000000000000', { amount_msat: 281474976710656n }],
  [['n1'], '01 08 0100000000000000', { amount_msat: 72057594037927936n }],
  [['n1'], '02 08 0000000000000226', { scid: 550n }],
  [
    ['n1'],
    `03 31 ${POINT} 0000000000000001 0000000000000002`,
    { node_id: POINT, amount_msat_1: 1n, amount_msat_2: 2n },
  ],
  [['n1'], 'fd00fe 02 0226', { cltv_delta: 550 }],
];

describe('appendix B: TLV streams', () => {
  for (const [names, hex, fault] of failures) {
    for (const name of names) {
      test(`B1-09 B1-10 ${fault}: ${name} ${hex.slice(0, 60)}`, () => {
        assert.equal(decode(NAMESPACES[name], bytesOf(hex)), fault);
      });
    }
  }
  for (const [names, hex, values] of successes) {
    for (const name of names) {
      test(`B1-09 B1-10 ${name} accepts '${hex}'`, () => {
        assert.deepEqual(decode(NAMESPACES[name], bytesOf(hex)), values);
      });
    }
  }

  test('B1-09 a valid stream followed by an invalid one is invalid', () => {
    let pairs = 0;
    for (const [validIn, valid] of successes) {
      for (const [invalidIn, invalid] of failures) {
        for (const name of validIn.filter((entry) => invalidIn.includes(entry))) {
          assert.equal(typeof decode(NAMESPACES[name], bytesOf(valid + invalid)), 'string', valid + invalid);
          pairs++;
        }
      }
    }
    assert.ok(pairs > 500);
  });

  test('B1-09 two valid streams follow each other exactly when types increase', () => {
    const typeOf = (hex: string): bigint => {
      const decoded = decodeBigSize(bytesOf(hex));
      assert.ok(!isWireFault(decoded));
      return decoded.value;
    };
    const records = successes.filter(([, hex]) => hex !== '');
    for (const [firstIn, first] of records) {
      for (const [secondIn, second] of records) {
        for (const name of firstIn.filter((entry) => secondIn.includes(entry))) {
          const result = decode(NAMESPACES[name], bytesOf(first + second));
          if (typeOf(second) > typeOf(first)) assert.equal(typeof result, 'object');
          else assert.equal(result, 'tlv_not_increasing');
        }
      }
    }
  });

  test('B1-08 B1-11 writing the values of the valid streams gives the same bytes', () => {
    for (const [, hex, values] of successes.filter(([, , { amount_msat }]) => amount_msat !== undefined)) {
      const value = encodeTruncated(values['amount_msat'] as bigint);
      assert.equal(toHex(encodeTlvStream([{ type: 1, value }])), hex.replaceAll(' ', ''));
    }
  });
});

describe('appendix C: message extension', () => {
  const cases: readonly [string, WireFaultKind | undefined][] = [
    ['001000000000', undefined],
    ['001000000000c9012acb0104', undefined],
    ['00100000000001', 'bigsize_truncated'],
    ['001000000000ca012a', 'tlv_unknown_even'],
    ['001000000000c90101c90102', 'tlv_not_increasing'],
  ];
  for (const [hex, fault] of cases) {
    test(`B1-06 init ${hex}: ${fault ?? 'valid'}`, () => {
      const decoded = decodeInit(bytesOf(hex));
      if (fault === undefined) assert.deepEqual(decoded, { features: new Uint8Array(0) });
      else assert.equal(isWireFault(decoded) && decoded.fault, fault);
    });
  }
});

describe('appendix D: signed integers', () => {
  const cases: readonly [bigint, string][] = [
    [0n, '00'],
    [42n, '2a'],
    [-42n, 'd6'],
    [127n, '7f'],
    [-128n, '80'],
    [128n, '0080'],
    [-129n, 'ff7f'],
    [15000n, '3a98'],
    [-15000n, 'c568'],
    [32767n, '7fff'],
    [-32768n, '8000'],
    [32768n, '00008000'],
    [-32769n, 'ffff7fff'],
    [21000000n, '01406f40'],
    [-21000000n, 'febf90c0'],
    [2147483647n, '7fffffff'],
    [-2147483648n, '80000000'],
    [2147483648n, '0000000080000000'],
    [-2147483649n, 'ffffffff7fffffff'],
    [500000000000n, '000000746a528800'],
    [-500000000000n, 'ffffff8b95ad7800'],
    [9223372036854775807n, '7fffffffffffffff'],
    [-9223372036854775808n, '8000000000000000'],
  ];
  for (const [value, hex] of cases) {
    test(`B1-28 ${value} is ${hex}`, () => {
      assert.equal(toHex(encodeSigned(value)), hex);
      assert.equal(readSigned(bytesOf(hex), 0, (hex.length / 2) as SignedWidth), value);
    });
  }
});

test('B1-12 amounts are bounded by 21 million bitcoin', () => {
  assert.equal(MAX_SAT, 0x000775f05a074000n);
  assert.equal(MAX_MSAT, 0x1d24b2dfac520000n);
});
