import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { concatBytes, fromHex } from '../base/bytes.ts';
import {
  type AddressDescriptor,
  decodeAddresses,
  decodeSingleAddress,
  encodeAddress,
  formatAddress,
  parseAddress,
} from './address_descriptor.ts';

const ONION = `${'a'.repeat(55)}d.onion`;
const ONE_OF_EACH: readonly AddressDescriptor[] = [
  { kind: 'ipv4', host: '203.0.113.7', port: 9735 },
  { kind: 'ipv6', host: '2001:db8::1', port: 9735 },
  { kind: 'torv3', host: ONION, port: 1 },
  { kind: 'dns', host: 'node.example.org', port: 65535 },
];

const port = fc.integer({ min: 1, max: 65535 });
const wireBytes = fc.oneof(
  fc.uint8Array({ maxLength: 80 }),
  // Types that exist, so that random bytes get past the first one.
  fc
    .array(fc.tuple(fc.integer({ min: 0, max: 6 }), fc.uint8Array({ maxLength: 40 })), { maxLength: 5 })
    .map((parts) => concatBytes(...parts.flatMap(([type, body]) => [Uint8Array.of(type), body]))),
  fc
    .array(fc.tuple(fc.uint8Array({ minLength: 16, maxLength: 16 }), port), { maxLength: 4 })
    .map((parts) => concatBytes(...parts.map(([body, p]) => Uint8Array.of(2, ...body, p >> 8, p & 0xff)))),
);

test('descriptors of every kind survive encoding and decoding in order', () => {
  const bytes = concatBytes(...ONE_OF_EACH.map(encodeAddress));
  assert.deepEqual(decodeAddresses(bytes), { addresses: ONE_OF_EACH });
});

test('descriptors have the layout of BOLT 7', () => {
  const hex = (text: string): Uint8Array => encodeAddress(parseAddress(text)!);
  assert.deepEqual(hex('1.2.3.4:9735'), fromHex('01010203042607'));
  assert.deepEqual(hex('[::1]:9735'), fromHex(`02${'00'.repeat(15)}012607`));
  assert.deepEqual(hex('ab.c:9735'), fromHex('050461622e632607'));
  assert.deepEqual(hex(`${ONION}:9735`), fromHex(`04${'00'.repeat(34)}032607`));
});

test('B7-21 port 0 is ignored for every kind', () => {
  const zeroed = ONE_OF_EACH.map((address) => {
    const bytes = encodeAddress(address);
    bytes.fill(0, bytes.length - 2);
    return bytes;
  });
  const last = encodeAddress({ kind: 'ipv4', host: '9.9.9.9', port: 1 });
  assert.deepEqual(decodeAddresses(concatBytes(...zeroed, last)), {
    addresses: [{ kind: 'ipv4', host: '9.9.9.9', port: 1 }],
  });
});

test('B7-25 Tor v2 is ignored, what follows it is not', () => {
  const torV2 = new Uint8Array(13).fill(7);
  torV2[0] = 3;
  const dns = ONE_OF_EACH[3]!;
  assert.deepEqual(decodeAddresses(concatBytes(torV2, encodeAddress(dns))), { addresses: [dns] });
});

test('B7-19 an unknown type ends the list, what came before it counts', () => {
  const [ipv4, ipv6] = [ONE_OF_EACH[0]!, ONE_OF_EACH[1]!];
  for (const type of [0, 6, 255]) {
    const bytes = concatBytes(encodeAddress(ipv4), Uint8Array.of(type), encodeAddress(ipv6));
    assert.deepEqual(decodeAddresses(bytes), { addresses: [ipv4] });
  }
});

test('B7-20 addresses_too_short: each kind, cut at every byte', () => {
  const first = ONE_OF_EACH[0]!;
  for (const address of ONE_OF_EACH) {
    const bytes = concatBytes(encodeAddress(first), encodeAddress(address));
    for (let end = 8; end < bytes.length; end++) {
      assert.deepEqual(decodeAddresses(bytes.subarray(0, end)), {
        addresses: [first],
        problem: 'addresses_too_short',
      });
    }
  }
  assert.equal(decodeAddresses(Uint8Array.of(3, 1, 2)).problem, 'addresses_too_short');
});

test('B7-26 second_dns: host names after the first are ignored and reported', () => {
  const [first, second]: AddressDescriptor[] = ['a.example:1', 'b.example:2'].map((t) => parseAddress(t)!);
  assert.deepEqual(decodeAddresses(concatBytes(encodeAddress(first!), encodeAddress(second!))), {
    addresses: [first],
    problem: 'second_dns',
  });
});

test('B7-24 host names that could not be names are dropped', () => {
  for (const host of ['', 'a b', '<b>', 'é.org', 'a\nb', '127.0.0.1', 'x.onion', '::1', 'a..b', '.a', '7']) {
    const name = Uint8Array.from(host, (character) => character.charCodeAt(0));
    const bytes = Uint8Array.of(5, name.length, ...name, 0x26, 0x07);
    assert.deepEqual(decodeAddresses(bytes), { addresses: [] }, host);
  }
});

test('the longest host name fits', () => {
  const host = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(63)}`;
  const address: AddressDescriptor = { kind: 'dns', host, port: 9735 };
  assert.deepEqual(decodeAddresses(encodeAddress(address)), { addresses: [address] });
  assert.equal(parseAddress(`${host}.e:1`), undefined);
});

test('whatever decodes is well formed: it encodes, decodes and reads from its text to the same', () => {
  fc.assert(
    fc.property(wireBytes, (bytes) => {
      const { addresses } = decodeAddresses(bytes);
      assert.deepEqual(decodeAddresses(concatBytes(...addresses.map(encodeAddress))), { addresses });
      for (const address of addresses) {
        assert.ok(address.port > 0 && address.port <= 65535);
        assert.deepEqual(parseAddress(formatAddress(address)), address);
        assert.deepEqual(decodeSingleAddress(encodeAddress(address)), address);
      }
    }),
    { numRuns: 1000 },
  );
});

test('IPv6 is written as RFC 5952 says and read in other spellings', () => {
  const cases: readonly [string, string][] = [
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['1:0:0:2:0:0:3:4', '1::2:0:0:3:4'],
    ['::ffff:1.2.3.4', '::ffff:102:304'],
    ['1::', '1::'],
    ['0001:0002::', '1:2::'],
  ];
  for (const [given, host] of cases) {
    assert.deepEqual(parseAddress(`[${given}]:1`), { kind: 'ipv6', host, port: 1 });
    assert.deepEqual(parseAddress(given, 9735), { kind: 'ipv6', host, port: 9735 });
  }
});

test('text that is no address is refused', () => {
  const bad = [
    '',
    ':',
    'host',
    'host:',
    'host:0',
    'host:65536',
    'host:1x',
    '1.2.3:4',
    '256.1.1.1:1',
    '01.2.3.4:1',
    '[1.2.3.4]:1',
    '[host]:1',
    '[::1:1',
    '::1:1]',
    '[1:2]:1',
    '[1:::2]:1',
    '[1::2::3]:1',
    '[12345::]:1',
    '[1:2:3:4:5:6:7:8:9]:1',
    '[1:2:3:4:5:6:7:8::]:1',
    '[1.2.3.4::]:1',
    'a b:1',
    `${'a'.repeat(57)}.onion:1`,
    'short.onion:1',
    '::1',
    '[::1]',
    'a:1:2',
  ];
  for (const text of bad) assert.equal(parseAddress(text), undefined, text);
});

test('a default port stands in for a missing one only', () => {
  assert.deepEqual(parseAddress('node.example', 9735), { kind: 'dns', host: 'node.example', port: 9735 });
  assert.deepEqual(parseAddress('node.example:1', 9735), { kind: 'dns', host: 'node.example', port: 1 });
  assert.deepEqual(parseAddress(' [::1] ', 9735), { kind: 'ipv6', host: '::1', port: 9735 });
  assert.equal(parseAddress(`${ONION.toUpperCase()}:5`)?.host, ONION);
});

test('a single descriptor may have no byte too few or too many', () => {
  for (const address of ONE_OF_EACH) {
    const bytes = encodeAddress(address);
    assert.deepEqual(decodeSingleAddress(bytes), address);
    assert.equal(decodeSingleAddress(bytes.subarray(0, -1)), 'bad_length');
    assert.equal(decodeSingleAddress(concatBytes(bytes, Uint8Array.of(0))), 'bad_length');
  }
  assert.equal(decodeSingleAddress(new Uint8Array(0)), 'bad_length');
  assert.equal(decodeSingleAddress(Uint8Array.of(5)), 'bad_length');
  assert.equal(decodeSingleAddress(Uint8Array.of(99, 1, 2)), undefined);
});

test('an address that is not of its kind is our own mistake', () => {
  for (const kind of ['ipv4', 'ipv6', 'torv3', 'dns'] as const) {
    assert.throws(() => encodeAddress({ kind, host: 'no address!', port: 1 }));
  }
  assert.throws(() => encodeAddress({ kind: 'ipv4', host: '1.2.3.4', port: 0 }));
});
