import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeIdentity, makeNode, type NodeSpec } from '../../test/fixtures/signed_gossip.ts';
import { concatBytes } from '../base/bytes.ts';
import { seededRng } from '../base/rng.ts';
import { type AddressDescriptor, encodeAddress } from '../wire/address_descriptor.ts';
import { encodeFeatures } from '../wire/feature_bits.ts';
import { announcedAddress, MAX_SAMPLED, sampleAnnounced } from './announced_addresses.ts';

const identity = makeIdentity('announced');
const onion = `${'a'.repeat(56)}.onion`;
const ip = (host: string): AddressDescriptor => ({ kind: 'ipv4', host, port: 9735 });
const clearnet = (host: string): boolean => !host.endsWith('.onion');
const chosen = (spec: NodeSpec, canDial: (host: string) => boolean = clearnet): string | undefined =>
  announcedAddress(makeNode(identity, spec), canDial)?.host;

test('the first address that can be dialled is taken, with the node id and the port', () => {
  const raw = makeNode(identity, { addresses: [ip('10.0.0.1'), ip('203.0.113.1'), ip('203.0.113.2')] });
  assert.deepEqual(announcedAddress(raw, clearnet), {
    ...{ node_id: identity.nodeId, host: '203.0.113.1', port: 9735 },
  });
  const six: AddressDescriptor = { kind: 'ipv6', host: '2001:db8::1', port: 9735 };
  assert.equal(chosen({ addresses: [six] }), '2001:db8::1');
});

test('an onion address is taken only where there is a way to it', () => {
  const addresses: AddressDescriptor[] = [{ kind: 'torv3', host: onion, port: 9735 }];
  assert.equal(chosen({ addresses }), undefined);
  assert.equal(
    chosen({ addresses }, () => true),
    onion,
  );
});

test('left out: unknown even features (B7-18), a second DNS name (B7-26), cut off lists (B7-20), DNS names, private addresses', () => {
  const good = { addresses: [ip('203.0.113.1')] };
  assert.equal(chosen({ ...good, features: encodeFeatures([301]) }), '203.0.113.1', 'odd ones are no demand');
  assert.equal(chosen({ ...good, features: encodeFeatures([300]) }), undefined);
  const name: AddressDescriptor = { kind: 'dns', host: 'node.example.org', port: 9735 };
  assert.equal(chosen({ addresses: [ip('203.0.113.1'), name] }), '203.0.113.1');
  assert.equal(chosen({ addresses: [ip('203.0.113.1'), name, name] }), undefined);
  assert.equal(chosen({ addresses: [name] }), undefined);
  const cut = encodeAddress(ip('203.0.113.2')).subarray(0, 5);
  assert.equal(chosen({ addressBytes: concatBytes(encodeAddress(ip('203.0.113.1')), cut) }), undefined);
  for (const host of ['10.0.0.1', '127.0.0.1', '192.168.1.1', '0.0.0.0', '169.254.1.1', '224.0.0.1'])
    assert.equal(chosen({ addresses: [ip(host)] }), undefined, host);
  assert.equal(chosen({}), undefined);
});

test('left out: port 0 (B7-21) and Tor v2 (B7-25)', () => {
  const zeroPort = encodeAddress(ip('203.0.113.1')).fill(0, 5);
  assert.equal(chosen({ addressBytes: zeroPort }), undefined);
  assert.equal(chosen({ addressBytes: Uint8Array.of(3, ...new Uint8Array(12).fill(7)) }), undefined);
});

test('bytes that are no node_announcement are left out', () => {
  const raw = makeNode(identity, { addresses: [ip('203.0.113.1')] });
  for (let length = 0; length < raw.length; length++)
    assert.equal(announcedAddress(raw.subarray(0, length), clearnet), undefined);
});

test(`bound: at most ${MAX_SAMPLED} come out of any number, each as likely as the other, one for each network`, () => {
  const template = makeNode(identity, { addresses: [ip('20.0.1.1')] });
  const at = template.length - 6;
  let reads = 0;
  const read = (index: number): Uint8Array => {
    reads++;
    template[at] = 20 + (index >> 8);
    template[at + 1] = index & 255;
    return template;
  };
  const items = Array.from({ length: 2_000 }, (_, index) => index);
  const drawn = new Map<number, number>();
  for (let seed = 1; seed <= 40; seed++) {
    const sample = sampleAnnounced(items, { rng: seededRng(seed), read, canDial: clearnet });
    assert.equal(sample.length, MAX_SAMPLED);
    assert.equal(reads, seed * MAX_SAMPLED);
    for (const { host } of sample) {
      const eighth = Math.floor(
        (((Number(host.split('.')[0]) - 20) << 8) + Number(host.split('.')[1])) / 250,
      );
      drawn.set(eighth, (drawn.get(eighth) ?? 0) + 1);
    }
  }
  // 40 draws of 256: 1,280 for each eighth, give or take 100.
  for (const [eighth, count] of drawn) assert.ok(Math.abs(count - 1_280) < 160, `${eighth}: ${count}`);
  assert.equal(drawn.size, 8);
  const options = { rng: seededRng(1), canDial: clearnet };
  assert.deepEqual(sampleAnnounced([], { ...options, read }), []);
  const same = makeNode(identity, { addresses: [ip('203.0.113.1')] });
  assert.equal(sampleAnnounced(items, { ...options, read: () => same }).length, 1);
  assert.deepEqual(sampleAnnounced(items, { ...options, read: () => undefined }), []);
});
