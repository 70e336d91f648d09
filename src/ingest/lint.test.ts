import assert from 'node:assert/strict';
import { test } from 'node:test';
import { House, settled } from '../../test/fixtures/ingest_house.ts';
import {
  makeChannel,
  makeNode,
  makeUpdate,
  NOW_SECONDS,
  type NodeSpec,
  signInto,
} from '../../test/fixtures/signed_gossip.ts';
import { concatBytes, writeU64 } from '../base/bytes.ts';
import { MemoryMeter } from '../base/meter.ts';
import { seededRng } from '../base/rng.ts';
import { scidFromParts } from '../base/short_channel_id.ts';
import { aliasText, nodeAnnouncementAliasAt } from '../wire/node_announcement.ts';
import {
  LINT_CODES,
  Lint,
  type LintCode,
  lintChannelAnnouncement,
  lintChannelUpdate,
  lintNodeAnnouncement,
} from './lint.ts';

const channel = makeChannel({ seed: 1 });
const [node] = channel.nodes;

/** The codes behind the bits. */
const spelled = (broken: number): LintCode[] => {
  const lint = new Lint(new MemoryMeter());
  lint.note(broken);
  return LINT_CODES.filter((code) => lint.counts[code] === 1);
};

const ofNode = (spec: NodeSpec): LintCode[] => spelled(lintNodeAnnouncement(makeNode(node, spec)));

const ofUpdate = (change: (raw: Uint8Array) => void, satoshis = 1_000_000): LintCode[] => {
  const raw = makeUpdate(channel);
  change(raw);
  return spelled(lintChannelUpdate(raw, satoshis));
};

const ipv4 = (...bytes: readonly number[]): Uint8Array => Uint8Array.of(1, ...bytes, 0x26, 0x07);
const ipv6 = (first: number, last: number): Uint8Array => {
  const bytes = new Uint8Array(19);
  bytes.set([2, first >> 8, first & 0xff]);
  bytes.set([last, 0x26, 0x07], 16);
  return bytes;
};
const torV3 = Uint8Array.of(4, ...new Array<number>(35).fill(1), 0x26, 0x07);
const host = (...bytes: readonly number[]): Uint8Array =>
  Uint8Array.of(5, bytes.length, ...bytes, 0x26, 0x07);

test('nothing is wrong with messages that keep the rules', () => {
  assert.deepEqual(
    ofUpdate(() => {}),
    [],
  );
  const addressBytes = concatBytes(
    ipv4(1, 2, 3, 4),
    ipv4(1, 2, 3, 5),
    ipv6(0x2001, 1),
    torV3,
    host(0x61, 0x2e, 0x62),
  );
  assert.deepEqual(ofNode({ addressBytes, features: Uint8Array.of(1, 0), alias: 'größe 京 🗲' }), []);
  assert.equal(lintChannelAnnouncement(channel.raw), 0);
});

test('channel_update: unassigned bits, must_be_one, and htlc limits (B7-39)', () => {
  assert.deepEqual(
    ofUpdate((raw) => raw.fill(0, 110, 111)),
    ['must_be_one_unset'],
  );
  assert.deepEqual(
    ofUpdate((raw) => raw.fill(5, 110, 111)),
    ['message_flags_unassigned'],
  );
  assert.deepEqual(
    ofUpdate((raw) => raw.fill(0x80, 111, 112)),
    ['channel_flags_unassigned'],
  );
  assert.deepEqual(
    ofUpdate((raw) => writeU64(raw, 130, 999n)),
    ['htlc_maximum_below_minimum'],
  );
  assert.deepEqual(
    ofUpdate((raw) => writeU64(raw, 130, 1000n)),
    [],
  );
  assert.deepEqual(
    ofUpdate(() => {}, 999_999),
    ['htlc_maximum_above_capacity'],
  );
  assert.deepEqual(
    ofUpdate(() => {}, 0),
    [],
    'nobody knows the capacity',
  );
});

test('features are as short as can be (B7-14)', () => {
  const { raw } = makeChannel({ seed: 1, features: Uint8Array.of(0, 1) });
  assert.deepEqual(spelled(lintChannelAnnouncement(raw)), ['channel_features_not_minimal']);
  assert.deepEqual(ofNode({ features: Uint8Array.of(0) }), ['node_features_not_minimal']);
});

test('an alias is UTF-8, filled up with zeros (B7-27)', () => {
  const withAlias = (...bytes: readonly number[]): LintCode[] => {
    const raw = makeNode(node, { alias: '' });
    raw.set(bytes, nodeAnnouncementAliasAt(raw, 0));
    return spelled(lintNodeAnnouncement(raw));
  };
  assert.deepEqual(withAlias(0x61, 0, 0x62), ['alias_not_padded']);
  for (const bad of [
    [0xff],
    [0xc0, 0x80],
    [0xe0, 0x80, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
    [0xc3],
  ]) {
    assert.deepEqual(withAlias(...bad), ['alias_not_utf8'], `${bad}`);
  }
});

test('an alias counts as UTF-8 exactly when a strict decoder takes it (B7-27, seed 3)', () => {
  const rng = seededRng(3);
  const strict = new TextDecoder('utf-8', { fatal: true });
  const raw = makeNode(node, { alias: '' });
  const at = nodeAnnouncementAliasAt(raw, 0);
  // Bytes on the edges of the ranges, so that good sequences are not rare.
  const edges = [
    0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xef, 0xf0,
    0xf1, 0xf4, 0xf5,
  ];
  let good = 0;
  for (let round = 0; round < 20_000; round++) {
    const length = 1 + Math.floor(rng.fraction() * 4);
    raw.fill(0, at, at + 32);
    for (let index = 0; index < length; index++) {
      raw[at + index] = edges[Math.floor(rng.fraction() * edges.length)]!;
    }
    let isGood = true;
    try {
      strict.decode(raw.subarray(at, at + length));
      good++;
    } catch {
      isGood = false;
    }
    assert.equal(
      spelled(lintNodeAnnouncement(raw)).length === 0,
      isGood,
      aliasText(raw.subarray(at, at + length)),
    );
  }
  assert.ok(good > 500);
});

test('address descriptors: order, repeats, types, ports and ranges (B7-21, B7-25, B7-27, B7-28)', () => {
  const cases: readonly (readonly [Uint8Array, readonly LintCode[]])[] = [
    [concatBytes(torV3, ipv4(1, 2, 3, 4)), ['addresses_not_ascending']],
    [concatBytes(ipv4(1, 2, 3, 4), ipv4(1, 2, 3, 4)), ['address_repeated']],
    [Uint8Array.of(1, 1, 2, 3, 4, 0, 0), ['address_port_zero']],
    [Uint8Array.of(0), ['address_type_zero']],
    [Uint8Array.of(3, ...new Array<number>(12).fill(9)), ['address_tor_v2']],
    [host(0xc3, 0xa4), ['host_name_not_ascii']],
    [Uint8Array.of(9, 1, 2), []],
    ...[
      ipv4(10, 0, 0, 1),
      ipv4(0, 1, 1, 1),
      ipv4(127, 0, 0, 1),
      ipv4(192, 168, 1, 1),
      ipv4(172, 31, 0, 1),
    ].map((address) => [address, ['address_not_routable'] as const] as const),
    ...[ipv4(100, 64, 0, 1), ipv4(169, 254, 0, 1), ipv4(239, 1, 1, 1)].map(
      (address) => [address, ['address_not_routable'] as const] as const,
    ),
    ...[ipv6(0, 1), ipv6(0, 0), ipv6(0xfd00, 1), ipv6(0xfe80, 1), ipv6(0xff02, 1)].map(
      (address) => [address, ['address_not_routable'] as const] as const,
    ),
    ...[ipv4(100, 128, 0, 1), ipv4(172, 32, 0, 1), ipv4(192, 169, 1, 1), ipv4(169, 1, 1, 1), ipv6(0, 2)].map(
      (address) => [address, []] as const,
    ),
  ];
  for (const [addressBytes, codes] of cases) {
    assert.deepEqual(ofNode({ addressBytes }), codes, Buffer.from(addressBytes).toString('hex'));
  }
});

test('what is accepted is counted by code, and accepted all the same (B7-08, B7-28, B7-39)', async () => {
  let height = 100;
  const house = new House({ blockHeight: () => height });
  const young = makeChannel({ seed: 2, scid: scidFromParts(98, 1, 0), features: Uint8Array.of(0) });
  assert.equal(await house.offer(young.raw), 'hold not_buried');
  height = 103;
  house.clock.advance(30_000);
  await settled();
  assert.equal(house.graph.channelCount, 1);
  const raw = makeUpdate(young);
  raw[111] = 0x40;
  signInto(raw, 66, 2, young.nodes[0].secret);
  assert.equal(await house.offer(raw), 'accept accepted');
  const claims = makeNode(young.nodes[0], { addressBytes: ipv4(10, 0, 0, 1) });
  assert.equal(await house.offer(claims), 'accept accepted');
  const hidden = makeUpdate(young, { dontForward: true, timestamp: NOW_SECONDS });
  assert.equal(await house.offer(hidden), 'ignore dont_forward');
  const counts = house.ingest.lintCounts();
  assert.deepEqual(
    LINT_CODES.filter((code) => counts[code] > 0),
    [
      'announced_before_depth',
      'channel_features_not_minimal',
      'channel_flags_unassigned',
      'dont_forward_on_public_channel',
      'address_not_routable',
    ],
  );
  assert.equal(house.meter.get('gossipd_lint_total', 'address_not_routable'), 1);
});
