import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, toHex } from '../base/bytes.ts';
import { NETWORKS } from '../base/chain_hash.ts';
import { isWireFault } from './fault.ts';
import { GOSSIPD_INIT_FEATURES } from './feature_bits.ts';
import { decodeInit, encodeInit, type Init } from './init.ts';

const decode = (hex: string): Init => {
  const decoded = decodeInit(fromHex(hex.replaceAll(' ', ''))!);
  assert.ok(!isWireFault(decoded), JSON.stringify(decoded));
  return decoded;
};
const faultOf = (hex: string): string | undefined => {
  const decoded = decodeInit(fromHex(hex.replaceAll(' ', ''))!);
  return isWireFault(decoded) ? decoded.fault : undefined;
};
const CHAIN = '11'.repeat(32);

test('B1-18 the two feature maps are combined at their low ends, whichever is longer', () => {
  assert.equal(toHex(decode('0010 0002 0102 0001 80').features), '0182');
  assert.equal(toHex(decode('0010 0001 80 0002 0102').features), '0182');
  assert.equal(toHex(decode('0010 0002 2200 0000').features), '2200');
  assert.equal(toHex(decode('0010 0000 0001 80').features), '80');
});

test('B1-18 combining leaves what was received as it was', () => {
  const raw = fromHex('0010000101000102')!;
  assert.deepEqual(decodeInit(raw), { features: Uint8Array.of(3) });
  assert.equal(toHex(raw), '0010000101000102');
});

test('B1-15 globalfeatures stay empty and features lose leading zero bytes', () => {
  assert.equal(toHex(encodeInit({ features: fromHex('0000a280')! })), '001000000002a280');
  assert.equal(toHex(encodeInit({ features: new Uint8Array(3) })), '001000000000');
});

test('B1-16 networks are written and read in order', () => {
  const networks = [NETWORKS.bitcoin.chainHashBytes, NETWORKS.signet.chainHashBytes];
  const raw = encodeInit({ features: GOSSIPD_INIT_FEATURES, networks });
  assert.deepEqual(decodeInit(raw), { features: GOSSIPD_INIT_FEATURES, networks });
});

test('B1-20 an empty list of networks is not the same as none', () => {
  assert.deepEqual(decode('0010 0000 0000 01 00').networks, []);
  assert.equal(decode('0010 0000 0000').networks, undefined);
});

test('tlv_bad_length: networks that are no whole number of hashes (B1-10)', () => {
  assert.equal(faultOf(`0010 0000 0000 01 1f ${CHAIN.slice(2)}`), 'tlv_bad_length');
  assert.equal(faultOf(`0010 0000 0000 01 21 ${CHAIN}00`), 'tlv_bad_length');
});

test('B1-17 B1-22 remote_addr is one address descriptor', () => {
  assert.deepEqual(decode('0010 0000 0000 03 07 01 01020304 2607').remote_addr, {
    kind: 'ipv4',
    host: '1.2.3.4',
    port: 9735,
  });
  for (const value of ['00', '06 01 01020304 26', '08 01 01020304 2607 00', '02 05 09']) {
    assert.equal(faultOf(`0010 0000 0000 03 ${value}`), 'tlv_bad_length', value);
  }
});

test('B1-17 a remote_addr of unknown type or with port 0 is left out', () => {
  assert.deepEqual(decode('0010 0000 0000 03 02 09 00'), { features: new Uint8Array(0) });
  assert.deepEqual(decode('0010 0000 0000 03 07 01 01020304 0000'), { features: new Uint8Array(0) });
});

test('too_short: a map longer than the message (B1-05)', () => {
  for (const hex of ['0010', '001000', '0010 0001', '0010 ffff 00', '0010 0000', '0010 0000 0001']) {
    assert.equal(faultOf(hex), 'too_short', hex);
  }
});

test('a chain_hash of another length is our own mistake', () => {
  assert.throws(() => encodeInit({ features: new Uint8Array(0), networks: [new Uint8Array(31)] }));
});
