/** The same bytes mean the same to LDK and to us: it reads what we encode, we read what it encodes, field by field. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import * as ldk from 'lightningdevkit';
import { concatBytes, fromHex, toHex } from '../../src/base/bytes.ts';
import { NETWORKS } from '../../src/base/chain_hash.ts';
import { seededRng } from '../../src/base/rng.ts';
import { encodeAddress } from '../../src/wire/address_descriptor.ts';
import { decodeChannelAnnouncement } from '../../src/wire/channel_announcement.ts';
import { decodeChannelUpdate } from '../../src/wire/channel_update.ts';
import { type Decoded, isWireFault } from '../../src/wire/fault.ts';
import { GOSSIPD_INIT_FEATURES } from '../../src/wire/feature_bits.ts';
import {
  decodeGossipTimestampFilter,
  encodeGossipTimestampFilter,
} from '../../src/wire/gossip_timestamp_filter.ts';
import { decodeInit, encodeInit } from '../../src/wire/init.ts';
import { MESSAGE_TYPE } from '../../src/wire/message_types.ts';
import { decodeNodeAnnouncement } from '../../src/wire/node_announcement.ts';
import { decodePing, encodePing } from '../../src/wire/ping.ts';
import { decodePong, encodePong } from '../../src/wire/pong.ts';
import { decodeQueryChannelRange, encodeQueryChannelRange } from '../../src/wire/query_channel_range.ts';
import {
  decodeQueryShortChannelIds,
  encodeQueryShortChannelIds,
} from '../../src/wire/query_short_channel_ids.ts';
import { decodeReplyChannelRange, encodeReplyChannelRange } from '../../src/wire/reply_channel_range.ts';
import {
  decodeReplyShortChannelIdsEnd,
  encodeReplyShortChannelIdsEnd,
} from '../../src/wire/reply_short_channel_ids_end.ts';
import { decodeWarning, encodeWarning } from '../../src/wire/warning.ts';
import { makeChannel, makeIdentity, makeNode, makeUpdate } from '../fixtures/signed_gossip.ts';
import { loadLdk } from './ldk_gossip.ts';

before(() => loadLdk());

const chain_hash = NETWORKS.regtest.chainHashBytes;
const rng = seededRng(20);

/** LDK's readers and writers leave out the type. */
const body = (raw: Uint8Array): Uint8Array => raw.slice(2);
const withType = (type: number, written: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(type >> 8, type & 0xff), written);

const decoded = <T>(value: Decoded<T>): T => {
  assert.ok(!isWireFault(value), isWireFault(value) ? value.fault : '');
  return value as T;
};

/** What LDK read, or a failed test. */
const read = <T>(result: { is_ok(): boolean }): T => {
  assert.ok(result.is_ok(), 'LDK cannot read it');
  return (result as unknown as { res: T }).res;
};

const hexOf = (id: ldk.NodeId): string => toHex(id.as_slice());

test('channel_announcement: LDK reads the fields that we read, and writes the bytes that we have', () => {
  for (let seed = 0; seed < 10; seed++) {
    const { raw } = makeChannel({ seed, features: rng.bytes(seed), tail: rng.bytes(3 * seed) });
    const theirs = read<ldk.ChannelAnnouncement>(ldk.ChannelAnnouncement.constructor_read(body(raw)));
    assert.deepEqual(withType(MESSAGE_TYPE.channel_announcement, theirs.write()), raw);
    const ours = decoded(decodeChannelAnnouncement(raw));
    const contents = theirs.get_contents();
    assert.deepEqual(
      {
        signatures: [
          theirs.get_node_signature_1(),
          theirs.get_node_signature_2(),
          theirs.get_bitcoin_signature_1(),
          theirs.get_bitcoin_signature_2(),
        ].map((signature) => toHex(signature)),
        features: toHex(contents.get_features().write()),
        chain_hash: toHex(contents.get_chain_hash()),
        short_channel_id: contents.get_short_channel_id(),
        keys: [
          contents.get_node_id_1(),
          contents.get_node_id_2(),
          contents.get_bitcoin_key_1(),
          contents.get_bitcoin_key_2(),
        ].map(hexOf),
        tail: toHex(contents.get_excess_data()),
      },
      {
        signatures: [
          ours.node_signature_1,
          ours.node_signature_2,
          ours.bitcoin_signature_1,
          ours.bitcoin_signature_2,
        ].map((signature) => toHex(signature)),
        features: toHex(concatBytes(Uint8Array.of(0, ours.features.length), ours.features)),
        chain_hash: ours.chain_hash,
        short_channel_id: ours.short_channel_id,
        keys: [ours.node_id_1, ours.node_id_2, ours.bitcoin_key_1, ours.bitcoin_key_2],
        tail: toHex(ours.tail),
      },
    );
  }
});

test('channel_update: LDK reads the fields that we read, and writes the bytes that we have', () => {
  for (let seed = 0; seed < 10; seed++) {
    const channel = makeChannel({ seed, satoshis: BigInt(seed + 1) * 123_456_789n });
    const raw = makeUpdate(channel, {
      direction: seed % 2 === 0 ? 0 : 1,
      isDisabled: seed % 3 === 0,
      timestamp: 1_600_000_000 + seed,
      feeBaseMsat: 0xffffffff - seed,
      tail: rng.bytes(seed),
    });
    const theirs = read<ldk.ChannelUpdate>(ldk.ChannelUpdate.constructor_read(body(raw)));
    assert.deepEqual(withType(MESSAGE_TYPE.channel_update, theirs.write()), raw);
    const contents = theirs.get_contents();
    const { signature, tail, ...ours } = decoded(decodeChannelUpdate(raw));
    assert.deepEqual(
      [toHex(theirs.get_signature()), toHex(contents.get_excess_data())],
      [toHex(signature), toHex(tail)],
    );
    assert.deepEqual(
      {
        chain_hash: toHex(contents.get_chain_hash()),
        short_channel_id: contents.get_short_channel_id(),
        timestamp: contents.get_timestamp(),
        message_flags: contents.get_message_flags(),
        channel_flags: contents.get_channel_flags(),
        cltv_expiry_delta: contents.get_cltv_expiry_delta(),
        htlc_minimum_msat: contents.get_htlc_minimum_msat(),
        // The binding hands u32 over as i32.
        fee_base_msat: contents.get_fee_base_msat() >>> 0,
        fee_proportional_millionths: contents.get_fee_proportional_millionths(),
        htlc_maximum_msat: contents.get_htlc_maximum_msat(),
      },
      { ...ours },
    );
  }
});

test('node_announcement: LDK reads the fields and addresses that we read, and writes the bytes that we have', () => {
  const raw = makeNode(makeIdentity('codec'), {
    alias: 'ünïcode ⚡ alias',
    features: fromHex('0200000080')!,
    addresses: [
      { kind: 'ipv4', host: '198.51.100.7', port: 9735 },
      { kind: 'ipv6', host: '2001:db8::7', port: 9736 },
      { kind: 'torv3', host: `${'a'.repeat(56)}.onion`, port: 9737 },
      { kind: 'dns', host: 'gossip.example', port: 9738 },
    ],
    tail: rng.bytes(12),
  });
  const theirs = read<ldk.NodeAnnouncement>(ldk.NodeAnnouncement.constructor_read(body(raw)));
  assert.deepEqual(withType(MESSAGE_TYPE.node_announcement, theirs.write()), raw);
  const ours = decoded(decodeNodeAnnouncement(raw));
  const contents = theirs.get_contents();
  assert.deepEqual(
    [
      toHex(theirs.get_signature()),
      toHex(contents.get_features().write()),
      contents.get_timestamp(),
      hexOf(contents.get_node_id()),
      toHex(contents.get_rgb()),
      toHex(contents.get_alias().get_a()),
      toHex(contents.get_excess_data()),
      contents.get_addresses().map((address) => toHex(address.write())),
    ],
    [
      toHex(ours.signature),
      toHex(concatBytes(Uint8Array.of(0, ours.features.length), ours.features)),
      ours.timestamp,
      ours.node_id,
      toHex(ours.rgb_color),
      toHex(ours.alias),
      toHex(ours.tail),
      ours.addresses.map((address) => toHex(encodeAddress(address))),
    ],
  );
});

test('B1-16 B1-17 B1-18 init: LDK reads our features, networks and the address that we see; we read its own', () => {
  const raw = encodeInit({
    features: GOSSIPD_INIT_FEATURES,
    networks: [chain_hash, NETWORKS.bitcoin.chainHashBytes],
    remote_addr: { kind: 'ipv4', host: '198.51.100.7', port: 9735 },
  });
  const theirs = read<ldk.Init>(ldk.Init.constructor_read(body(raw)));
  const networks = theirs.get_networks() as ldk.Option_CVec_ThirtyTwoBytesZZ_Some;
  const address = theirs.get_remote_network_address() as ldk.Option_SocketAddressZ_Some;
  assert.equal(toHex(theirs.get_features().write().slice(2)), toHex(GOSSIPD_INIT_FEATURES));
  assert.deepEqual(networks.some, [chain_hash, NETWORKS.bitcoin.chainHashBytes]);
  assert.equal(address.some.to_str(), '198.51.100.7:9735');
  const back = decoded(decodeInit(withType(MESSAGE_TYPE.init, theirs.write())));
  assert.deepEqual(back, decoded(decodeInit(raw)));
});

test('query_channel_range, query_short_channel_ids and gossip_timestamp_filter are the same bytes to LDK and to us', () => {
  for (let round = 0; round < 20; round++) {
    const [first, count] = [Math.floor(rng.fraction() * 0xffffffff), Math.floor(rng.fraction() * 0xffffffff)];
    const range = encodeQueryChannelRange({ chain_hash, first_blocknum: first, number_of_blocks: count });
    const theirRange = ldk.QueryChannelRange.constructor_new(chain_hash, first, count);
    assert.deepEqual(withType(MESSAGE_TYPE.query_channel_range, theirRange.write()), range);
    const ourRange = decoded(decodeQueryChannelRange(range));
    assert.deepEqual([ourRange.first_blocknum, ourRange.number_of_blocks], [first, count]);

    const filter = encodeGossipTimestampFilter({
      chain_hash,
      first_timestamp: first,
      timestamp_range: count,
    });
    const theirFilter = ldk.GossipTimestampFilter.constructor_new(chain_hash, first, count);
    assert.deepEqual(withType(MESSAGE_TYPE.gossip_timestamp_filter, theirFilter.write()), filter);
    assert.equal(decoded(decodeGossipTimestampFilter(filter)).first_timestamp, first);

    const short_channel_ids = someScids(round * 7);
    const query = encodeQueryShortChannelIds({ chain_hash, short_channel_ids });
    const theirQuery = ldk.QueryShortChannelIds.constructor_new(chain_hash, [...short_channel_ids]);
    assert.deepEqual(withType(MESSAGE_TYPE.query_short_channel_ids, theirQuery.write()), query);
    assert.deepEqual(decoded(decodeQueryShortChannelIds(query)).short_channel_ids, short_channel_ids);
  }
});

test('reply_channel_range and reply_short_channel_ids_end are the same bytes to LDK and to us', () => {
  for (let round = 0; round < 20; round++) {
    const fields = {
      chain_hash,
      first_blocknum: round * 1000,
      number_of_blocks: 1000,
      sync_complete: round % 2 === 0,
      short_channel_ids: someScids(round * 11),
    };
    const raw = encodeReplyChannelRange(fields);
    const theirs = ldk.ReplyChannelRange.constructor_new(
      chain_hash,
      fields.first_blocknum,
      fields.number_of_blocks,
      fields.sync_complete,
      [...fields.short_channel_ids],
    );
    assert.deepEqual(withType(MESSAGE_TYPE.reply_channel_range, theirs.write()), raw);
    assert.deepEqual({ ...decoded(decodeReplyChannelRange(raw)) }, fields);

    const end = encodeReplyShortChannelIdsEnd({ chain_hash, full_information: fields.sync_complete });
    const theirEnd = ldk.ReplyShortChannelIdsEnd.constructor_new(chain_hash, fields.sync_complete);
    assert.deepEqual(withType(MESSAGE_TYPE.reply_short_channel_ids_end, theirEnd.write()), end);
    assert.equal(decoded(decodeReplyShortChannelIdsEnd(end)).full_information, fields.sync_complete);
  }
});

test('Q-15 LDK leaves out the timestamps and checksums of our reply_channel_range and reads the rest', () => {
  const short_channel_ids = someScids(9);
  const timestamps = Uint32Array.from({ length: 18 }, (_, index) => 1_700_000_000 + index);
  const raw = encodeReplyChannelRange({
    chain_hash,
    first_blocknum: 1,
    number_of_blocks: 2,
    sync_complete: true,
    short_channel_ids,
    timestamps,
    checksums: timestamps,
  });
  const theirs = read<ldk.ReplyChannelRange>(ldk.ReplyChannelRange.constructor_read(body(raw)));
  assert.deepEqual(theirs.get_short_channel_ids(), [...short_channel_ids]);
  // The binding gives C's 1 for true.
  assert.ok(theirs.get_sync_complete());
});

test('ping, pong and warning are the same bytes to LDK and to us', () => {
  const ping = encodePing({ num_pong_bytes: 77, byteslen: 5 });
  assert.deepEqual(withType(MESSAGE_TYPE.ping, ldk.Ping.constructor_new(77, 5).write()), ping);
  assert.equal(decoded(decodePing(ping)).num_pong_bytes, 77);
  const pong = encodePong({ byteslen: 77 });
  assert.deepEqual(withType(MESSAGE_TYPE.pong, ldk.Pong.constructor_new(77).write()), pong);
  assert.equal(decoded(decodePong(pong)).byteslen, 77);
  const text = 'what was that';
  const warning = encodeWarning({
    channel_id: new Uint8Array(32).fill(3),
    data: new TextEncoder().encode(text),
  });
  const theirs = read<ldk.WarningMessage>(ldk.WarningMessage.constructor_read(body(warning)));
  assert.equal(theirs.get_data(), text);
  assert.deepEqual(withType(MESSAGE_TYPE.warning, theirs.write()), warning);
  assert.equal(new TextDecoder().decode(decoded(decodeWarning(warning)).data), text);
});

/** Ascending and unique. */
function someScids(count: number): BigUint64Array {
  const scids = new Set<bigint>();
  while (scids.size < count) {
    const block = BigInt(Math.floor(rng.fraction() * 0xffffff));
    scids.add((block << 40n) | BigInt(Math.floor(rng.fraction() * 0xffffffff)));
  }
  return BigUint64Array.from([...scids].sort((left, right) => (left < right ? -1 : 1)));
}
