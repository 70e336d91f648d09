import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromHex } from '../base/bytes.ts';
import { checkExtension, encodeTlvStream, NO_TLVS, readTlvStream, type TlvRecord } from './tlv.ts';

const recordsOf = (type: fc.Arbitrary<bigint>): fc.Arbitrary<TlvRecord[]> =>
  fc
    .uniqueArray(type, { maxLength: 6 })
    .chain((types) =>
      fc.tuple(
        ...[...types]
          .sort((left, right) => (left < right ? -1 : 1))
          .map((each) => fc.record({ type: fc.constant(each), value: fc.uint8Array({ maxLength: 300 }) })),
      ),
    );

test('B1-08 a stream that we write is read back record by record', () => {
  fc.assert(
    fc.property(recordsOf(fc.nat(70000).map(BigInt)), fc.nat(5), (records, at) => {
      const stream = encodeTlvStream(records);
      const bytes = new Uint8Array(at + stream.length);
      bytes.set(stream, at);
      const seen: TlvRecord[] = [];
      const known = records.map(({ type }) => Number(type));
      const fault = readTlvStream(bytes, at, known, (type, start, end) => {
        seen.push({ type: BigInt(type), value: bytes.slice(start, end) });
        return undefined;
      });
      assert.equal(fault, undefined);
      assert.deepEqual(
        seen,
        records.map((record) => ({ ...record })),
      );
    }),
  );
});

test('B1-10 unknown odd records of any 64-bit type are skipped', () => {
  const odd = fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }).map((half) => half * 2n + 1n);
  fc.assert(
    fc.property(recordsOf(odd), (records) => {
      assert.equal(readTlvStream(encodeTlvStream(records), 0, NO_TLVS), undefined);
    }),
  );
});

test('B1-09 types above 2^53 are compared exactly', () => {
  const [low, high] = [(1n << 60n) + 1n, (1n << 60n) + 3n];
  const value = new Uint8Array(0);
  const stream = encodeTlvStream([
    { type: low, value },
    { type: high, value },
  ]);
  assert.equal(readTlvStream(stream, 0, NO_TLVS), undefined);
  const swapped = new Uint8Array([...stream.subarray(10), ...stream.subarray(0, 10)]);
  assert.equal(readTlvStream(swapped, 0, NO_TLVS)?.fault, 'tlv_not_increasing');
});

test('B1-09 tlv_truncated: a length of 2^64-1 ends in a fault', () => {
  const bytes = fromHex('01ffffffffffffffffff00')!;
  assert.deepEqual(readTlvStream(bytes, 0, [1]), { fault: 'tlv_truncated', type: 1, offset: 1 });
});

test('a fault of a known record is reported where its value starts, with the type of the message when given', () => {
  const bytes = fromHex('0102aaaa')!;
  const visit = (): 'tlv_bad_length' => 'tlv_bad_length';
  assert.deepEqual(readTlvStream(bytes, 0, [1], visit), { fault: 'tlv_bad_length', type: 1, offset: 2 });
  assert.deepEqual(readTlvStream(bytes, 0, [1], visit, 16), {
    fault: 'tlv_bad_length',
    type: 16,
    offset: 2,
  });
});

test('B1-09 no bytes stream is read past its end, and every fault points into it', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const fault = readTlvStream(bytes, 0, [1, 2, 3], (_type, start, end) => {
        assert.ok(start <= end && end <= bytes.length);
        return undefined;
      });
      if (fault !== undefined) assert.ok(fault.offset >= 0 && fault.offset <= bytes.length);
    }),
    { numRuns: 1000 },
  );
});

test('B1-06 an extension without known records is read as a stream', () => {
  assert.equal(checkExtension(fromHex('ffff0100')!, 2, 19), undefined);
  assert.equal(checkExtension(fromHex('ffff')!, 2, 19), undefined);
  assert.deepEqual(checkExtension(fromHex('ffff0200')!, 2, 19), {
    fault: 'tlv_unknown_even',
    type: 19,
    offset: 2,
  });
});

test('B1-08 writing types that do not increase is our own mistake', () => {
  const value = new Uint8Array(0);
  assert.throws(() =>
    encodeTlvStream([
      { type: 3, value },
      { type: 1n, value },
    ]),
  );
  assert.throws(() =>
    encodeTlvStream([
      { type: 3, value },
      { type: 3, value },
    ]),
  );
});
