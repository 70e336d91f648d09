import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { concatBytes, readU16, toHex } from '../base/bytes.ts';
import { Bug } from '../base/errors.ts';
import type { NodeId } from '../base/node_id.ts';
import { isWireFault } from './fault.ts';
import {
  aliasText,
  checkNodeAnnouncement,
  decodeNodeAnnouncement,
  encodeNodeAnnouncement,
  NODE_ANNOUNCEMENT_MIN_BYTES,
  NODE_ANNOUNCEMENT_SIGNED_FROM,
  type NodeAnnouncement,
  type NodeAnnouncementFields,
  nodeAnnouncementAddressBytes,
  nodeAnnouncementAddresses,
  nodeAnnouncementAddressesAt,
  nodeAnnouncementAlias,
  nodeAnnouncementColor,
  nodeAnnouncementFeatureBytes,
  nodeAnnouncementNodeIdAt,
  nodeAnnouncementTimestamp,
} from './node_announcement.ts';

const NODE_ID = `02${'ab'.repeat(32)}` as NodeId;

const alias = (text: string): Uint8Array => {
  const bytes = new Uint8Array(32);
  bytes.set(new TextEncoder().encode(text).subarray(0, 32));
  return bytes;
};

const sample = (changes: Partial<NodeAnnouncementFields> = {}): NodeAnnouncementFields => ({
  signature: new Uint8Array(64).fill(7),
  features: new Uint8Array(0),
  timestamp: 0xfedcba98,
  node_id: NODE_ID,
  rgb_color: Uint8Array.of(0x02, 0xbf, 0x81),
  alias: alias('SILENTBOB'),
  addressBytes: new Uint8Array(0),
  tail: new Uint8Array(0),
  ...changes,
});

const announcements: fc.Arbitrary<NodeAnnouncementFields> = fc.record(
  {
    signature: fc.uint8Array({ minLength: 64, maxLength: 64 }),
    features: fc.uint8Array({ maxLength: 300 }),
    timestamp: fc.integer({ min: 0, max: 0xffffffff }),
    node_id: fc.uint8Array({ minLength: 33, maxLength: 33 }).map((bytes) => toHex(bytes) as NodeId),
    rgb_color: fc.uint8Array({ minLength: 3, maxLength: 3 }),
    alias: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    addressBytes: fc.uint8Array({ maxLength: 300 }),
    tail: fc.uint8Array({ maxLength: 40 }),
  },
  { noNullPrototype: true },
);

const decoded = (raw: Uint8Array): NodeAnnouncement => {
  const result = decodeNodeAnnouncement(raw);
  if (isWireFault(result)) assert.fail(`unexpected ${result.fault}`);
  return result;
};

/** 127.0.0.1:9735, then an IPv6 descriptor cut short. */
const IPV4 = Uint8Array.of(1, 127, 0, 0, 1, 0x26, 0x07);
const IPV6_CUT = Uint8Array.of(2, 0, 0, 0);

test('B7-01 the type is 257 and the shortest message has 142 bytes', () => {
  const raw = encodeNodeAnnouncement(sample());
  assert.equal(readU16(raw, 0), 257);
  assert.equal(raw.length, 142);
  assert.equal(NODE_ANNOUNCEMENT_MIN_BYTES, 142);
  assert.equal(NODE_ANNOUNCEMENT_SIGNED_FROM, 66);
});

test('accessors find every field behind features, wherever the message starts', () => {
  for (const features of [new Uint8Array(0), Uint8Array.of(0x80), new Uint8Array(300).fill(0x55)]) {
    const message = encodeNodeAnnouncement(sample({ features, addressBytes: IPV4 }));
    const at = 6;
    const bytes = concatBytes(new Uint8Array(at).fill(0xee), message, new Uint8Array(7).fill(0xee));
    assert.equal(checkNodeAnnouncement(bytes, at, message.length), undefined);
    assert.equal(nodeAnnouncementFeatureBytes(bytes, at), features.length);
    assert.equal(nodeAnnouncementTimestamp(bytes, at), 0xfedcba98);
    const nodeIdAt = nodeAnnouncementNodeIdAt(bytes, at);
    assert.equal(toHex(bytes, nodeIdAt, nodeIdAt + 33), NODE_ID);
    assert.equal(nodeAnnouncementColor(bytes, at), '02bf81');
    assert.equal(nodeAnnouncementAlias(bytes, at), 'SILENTBOB');
    assert.equal(nodeAnnouncementAddressBytes(bytes, at), 7);
    assert.equal(bytes[nodeAnnouncementAddressesAt(bytes, at)], 1);
    assert.deepEqual(nodeAnnouncementAddresses(bytes, at), {
      addresses: [{ kind: 'ipv4', host: '127.0.0.1', port: 9735 }],
    });
  }
});

test('too_short at every length below the whole message', () => {
  const raw = encodeNodeAnnouncement(sample({ features: Uint8Array.of(1, 2, 3), addressBytes: IPV4 }));
  for (let length = 0; length < raw.length; length++) {
    const cut = raw.slice(0, length);
    assert.equal(checkNodeAnnouncement(cut, 0, length), 'too_short', `length ${length}`);
    assert.deepEqual(decodeNodeAnnouncement(cut), { fault: 'too_short', type: 257, offset: length });
  }
  assert.equal(checkNodeAnnouncement(raw, 0, raw.length), undefined);
});

test('too_short when feature or address length points past the end, though more bytes follow in the array', () => {
  for (const lengthAt of [66, 140]) {
    for (const value of [
      [0, 1],
      [0xff, 0xff],
    ]) {
      const message = encodeNodeAnnouncement(sample());
      message.set(value, lengthAt);
      const bytes = concatBytes(message, new Uint8Array(100));
      assert.equal(checkNodeAnnouncement(bytes, 0, message.length), 'too_short');
    }
  }
});

test('B7-20 a descriptor that runs past the addresses is named, those before it are kept', () => {
  const raw = encodeNodeAnnouncement(sample({ addressBytes: concatBytes(IPV4, IPV6_CUT) }));
  assert.equal(checkNodeAnnouncement(raw, 0, raw.length), undefined);
  assert.equal(nodeAnnouncementAddresses(raw, 0).problem, 'addresses_too_short');
  assert.deepEqual(decoded(raw).addresses, [{ kind: 'ipv4', host: '127.0.0.1', port: 9735 }]);
  assert.deepEqual(encodeNodeAnnouncement(decoded(raw)), raw);
});

test('B7-19 an unknown descriptor ends the list without a fault', () => {
  const addressBytes = concatBytes(IPV4, Uint8Array.of(0xfe, 1, 2), IPV4);
  const raw = encodeNodeAnnouncement(sample({ addressBytes }));
  assert.equal(nodeAnnouncementAddresses(raw, 0).problem, undefined);
  assert.equal(decoded(raw).addresses.length, 1);
  assert.deepEqual(encodeNodeAnnouncement(decoded(raw)), raw);
});

test('B7-49 bytes past the last field are accepted, kept and encoded again, and are no addresses', () => {
  const raw = encodeNodeAnnouncement(sample({ addressBytes: IPV4, tail: IPV4 }));
  assert.equal(checkNodeAnnouncement(raw, 0, raw.length), undefined);
  assert.deepEqual(decoded(raw).tail, IPV4);
  assert.equal(decoded(raw).addresses.length, 1);
  assert.equal(nodeAnnouncementAddresses(raw, 0).addresses.length, 1);
  assert.deepEqual(encodeNodeAnnouncement(decoded(raw)), raw);
});

test('B7-24 an alias is shown without its zeros, other scripts and emoji intact', () => {
  assert.equal(aliasText(alias('')), '');
  assert.equal(aliasText(alias('ACINQ')), 'ACINQ');
  assert.equal(aliasText(alias('зап 日本 ⚡🚀')), 'зап 日本 ⚡🚀');
  assert.equal(aliasText(alias('12345678901234567890123456789012')), '12345678901234567890123456789012');
  assert.equal(aliasText(alias('a b')), 'a b');
});

test('B7-24 control, format, bidirectional, separator and private characters of an alias become U+FFFD', () => {
  const hostile = [0x00, 0x07, 0x08, 0x0a, 0x0d, 0x1b, 0x7f, 0x85, 0x9b, 0xad, 0x061c, 0x115f, 0x1160].concat(
    [0x200b, 0x200d, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202e, 0x2060, 0x2066, 0x2069, 0x3164],
    [0xe000, 0xfeff, 0xffa0, 0xfff9, 0xe0001, 0xe0041, 0xf0000],
  );
  for (const point of hostile) {
    const character = String.fromCodePoint(point);
    assert.equal(aliasText(alias(`${character}x`)), '\ufffdx', `first: U+${point.toString(16)}`);
    assert.equal(aliasText(alias(`a${character}b`)), 'a\ufffdb', `inside: U+${point.toString(16)}`);
  }
  assert.equal(aliasText(alias('\u001b[2J\u001b]0;x\u0007')), '\ufffd[2J\ufffd]0;x\ufffd');
});

test('B7-24 invalid UTF-8 in an alias becomes U+FFFD', () => {
  const cases: readonly (readonly [readonly number[], string])[] = [
    [[0x61, 0xff, 0x62], 'a\ufffdb'],
    [[0xc0, 0x80, 0x62], '\ufffd\ufffdb'],
    [[0xed, 0xa0, 0x80, 0x62], '\ufffd\ufffd\ufffdb'],
    [[0x61, 0xe2, 0x82], 'a\ufffd'],
  ];
  for (const [bytes, text] of cases) {
    const padded = new Uint8Array(32);
    padded.set(bytes);
    assert.equal(aliasText(padded), text);
  }
});

test('B7-24 whatever the 32 bytes are, the shown alias is short, well formed and free of controls', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const text = nodeAnnouncementAlias(encodeNodeAnnouncement(sample({ alias: bytes })), 0);
      assert.ok(text.length <= 32);
      assert.doesNotMatch(text, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
    }),
    { numRuns: 500 },
  );
});

test('decoding gives copies: later changes of the received bytes do not show', () => {
  const fields = sample({ features: Uint8Array.of(8), addressBytes: IPV4, tail: Uint8Array.of(9) });
  const original = encodeNodeAnnouncement(fields);
  for (const raw of [original.slice(), Buffer.from(original)]) {
    const message = decoded(raw);
    raw.fill(0);
    assert.deepEqual(encodeNodeAnnouncement(message), original);
  }
});

test('encode and decode are inverse for any fields', () => {
  fc.assert(
    fc.property(announcements, (fields) => {
      const raw = encodeNodeAnnouncement(fields);
      const { addresses, ...rest } = decoded(raw);
      assert.deepEqual(rest, fields);
      assert.ok(addresses.length <= fields.addressBytes.length / 7);
      assert.deepEqual(encodeNodeAnnouncement(decoded(raw)), raw);
    }),
  );
});

test('any bytes either fault or come back identical', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(40), (bytes, features) => {
      bytes.set([1, 1].slice(0, bytes.length));
      if (bytes.length > 67) bytes.set([0, features], 66);
      if (bytes.length > 142 + features) bytes[140 + features] = 0;
      const message = decodeNodeAnnouncement(bytes);
      if (isWireFault(message)) assert.equal(message.fault, 'too_short');
      else assert.deepEqual(encodeNodeAnnouncement(message), bytes);
    }),
    { numRuns: 500 },
  );
});

test('a field of ours with the wrong length is a Bug', () => {
  assert.throws(() => encodeNodeAnnouncement(sample({ alias: new Uint8Array(31) })), Bug);
  assert.throws(() => encodeNodeAnnouncement(sample({ rgb_color: new Uint8Array(4) })), Bug);
  assert.throws(() => encodeNodeAnnouncement(sample({ addressBytes: new Uint8Array(65536) })), Bug);
  assert.throws(() => encodeNodeAnnouncement(sample({ features: new Uint8Array(65536) })), Bug);
});
