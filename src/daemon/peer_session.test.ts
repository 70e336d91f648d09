import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NETWORKS } from '../base/chain_hash.ts';
import { silentLog } from '../base/log.ts';
import { seededRng } from '../base/rng.ts';
import { utxoNone } from '../chain/utxo_none.ts';
import { inlineChecker } from '../crypto/inline_checker.ts';
import { NetworkGraph } from '../graph/network_graph.ts';
import { Ingest } from '../ingest/ingest.ts';
import { CLOSE, HOLD, IGNORE, type Verdict, WARN } from '../ingest/verdict.ts';
import type { Connection, PeerMessage } from '../peer/connection.ts';
import { engine, Rig } from '../peer/scripted_peer.test.support.ts';
import { GossipStore } from '../store/gossip_store.ts';
import { memoryStoreFolder } from '../store/memory_folder.test.support.ts';
import { Seeker } from '../sync/seeker.ts';
import { isWireFault } from '../wire/fault.ts';
import { encodeGossipTimestampFilter } from '../wire/gossip_timestamp_filter.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { encodeQueryChannelRange } from '../wire/query_channel_range.ts';
import { encodeReplyChannelRange } from '../wire/reply_channel_range.ts';
import { encodeReplyShortChannelIdsEnd } from '../wire/reply_short_channel_ids_end.ts';
import { decodeWarning } from '../wire/warning.ts';
import { PeerSession } from './peer_session.ts';

const chain_hash = NETWORKS.regtest.chainHashBytes;

/** A session on an open connection, with real rooms behind it, and an ingest that gives the verdicts of the test. */
const openSession = async (verdicts: readonly Verdict[] = []) => {
  let session: PeerSession | undefined;
  const rig = Rig.open({
    onGossip: (_connection, raw) => session?.onGossip(raw),
    onMessage: (_connection, message) => session?.onMessage(message),
    onWritable: () => session?.pump(),
  });
  const { clock, meter, connection } = rig;
  const graph = new NetworkGraph();
  const rng = seededRng(5);
  const network = NETWORKS.regtest;
  const common = { graph, network, clock, log: silentLog, meter };
  const store = await GossipStore.open(
    { folder: memoryStoreFolder(), clock, rng, log: silentLog, meter, lock: false },
    () => {},
  );
  const ingest = new Ingest({ ...common, store, checker: inlineChecker(engine), utxo: utxoNone });
  const left = [...verdicts];
  const offered: number[] = [];
  const forgotten: number[] = [];
  const charged: string[] = [];
  ingest.offer = (raw, origin, done) => {
    offered.push(origin, raw.length);
    const next = left.shift();
    if (next !== undefined) done?.(next);
  };
  ingest.forgetOrigin = (origin) => forgotten.push(origin);
  const seeker = new Seeker({ ...common, rng });
  session = new PeerSession(
    connection,
    7,
    {
      ...{ ...common, store, ingest, seeker, rng, utxo: utxoNone },
      contributions: new WeakMap(),
      charge: (_charged, reason) => charged.push(reason),
    },
    { flushIntervalMs: 1_000, relayUnverified: false },
  );
  rig.run();
  return { rig, session, seeker, offered, forgotten, charged };
};

const update = (): Uint8Array => {
  const raw = new Uint8Array(138);
  raw.set([1, 2]);
  return raw;
};
const warnings = (rig: Rig): string[] =>
  rig.peer.of(MESSAGE_TYPE.warning).map((raw) => {
    const warning = decodeWarning(raw);
    assert.ok(!isWireFault(warning));
    return new TextDecoder().decode(warning.data);
  });
const after = async (...verdicts: readonly Verdict[]): Promise<Rig> => (await chargedAfter(...verdicts)).rig;
const chargedAfter = async (...verdicts: readonly Verdict[]): Promise<{ rig: Rig; charged: string[] }> => {
  const { rig, charged } = await openSession(verdicts);
  for (const _verdict of verdicts) rig.peer.send(update());
  rig.run();
  return { rig, charged };
};

test('gossip goes to ingest under the number of the session', async () => {
  const { rig, offered } = await openSession();
  rig.peer.send(update());
  rig.run();
  assert.deepEqual(offered, [7, 138]);
});

test('verdicts accept, ignore and hold say nothing to the peer', async () => {
  const rig = await after(
    { action: 'accept', reason: 'accepted' },
    IGNORE.known,
    IGNORE.budget_exceeded,
    HOLD.held_for_channel,
  );
  assert.deepEqual(warnings(rig), []);
  assert.equal(rig.because, undefined);
});

test('only broken rules are charged', async () => {
  const { charged } = await chargedAfter(
    IGNORE.known,
    HOLD.held_for_channel,
    WARN.malformed,
    CLOSE.bad_signature,
  );
  assert.deepEqual(charged, ['malformed', 'bad_signature']);
});

test('verdict warn: the peer is told the reason and stays', async () => {
  const rig = await after(WARN.malformed, WARN.zero_timestamp);
  assert.deepEqual(warnings(rig), ['malformed', 'zero_timestamp']);
  assert.equal(rig.because, undefined);
});

test('verdict close (broke_gossip_rules): the peer is told the reason and leaves', async () => {
  const rig = await after(CLOSE.bad_signature);
  assert.deepEqual(warnings(rig), ['bad_signature']);
  assert.deepEqual(rig.closed, [{ because: 'broke_gossip_rules', detail: 'bad_signature' }]);
});

test('a new peer is asked for gossip at once (B7, gossip_timestamp_filter)', async () => {
  const { rig } = await openSession();
  assert.equal(rig.peer.of(MESSAGE_TYPE.gossip_timestamp_filter).length, 1);
});

test('replies that nobody asked for, and queries that break the rules, are warned about', async () => {
  const empty = new BigUint64Array(0);
  const { rig, seeker } = await openSession();
  // The seeker's own query is open: answer it, so that the next reply is one too many.
  assert.equal(seeker.status().peers.length, 1);
  const reply = encodeReplyChannelRange({
    chain_hash,
    first_blocknum: 0,
    number_of_blocks: 0xffffffff,
    sync_complete: true,
    short_channel_ids: empty,
  });
  rig.peer.send(reply, reply);
  rig.peer.send(encodeReplyShortChannelIdsEnd({ chain_hash, full_information: true }));
  rig.peer.send(encodeQueryChannelRange({ chain_hash, first_blocknum: 1, number_of_blocks: 0 }));
  rig.peer.send(
    encodeGossipTimestampFilter({
      chain_hash: NETWORKS.bitcoin.chainHashBytes,
      first_timestamp: 0,
      timestamp_range: 1,
    }),
  );
  rig.run();
  assert.deepEqual(warnings(rig), [
    'range_without_query',
    'end_without_query',
    'query_channel_range for no blocks',
    'gossip_timestamp_filter for a chain that is not kept here',
  ]);
  assert.equal(rig.because, undefined);
});

test('B7-46 announcement_signatures are for channels that we do not have', async () => {
  const { rig, session } = await openSession();
  const message: PeerMessage = {
    type: 'announcement_signatures',
    channel_id: new Uint8Array(32),
    short_channel_id: 1n as never,
    node_signature: new Uint8Array(64),
    bitcoin_signature: new Uint8Array(64),
  };
  session.onMessage(message);
  rig.run();
  assert.deepEqual(warnings(rig), ['announcement_signatures for an unknown channel']);
});

test('close forgets the peer everywhere', async () => {
  const { rig, session, seeker, forgotten } = await openSession();
  const connection: Connection = session.connection;
  session.close();
  assert.equal(seeker.status().peers.length, 0);
  assert.deepEqual(forgotten, [7]);
  connection.close('shutdown');
  rig.run();
  // What is left are the timers of the store, none of the session.
  session.pump();
  assert.equal(rig.because, 'shutdown');
});
