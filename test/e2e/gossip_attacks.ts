/** Hostile peers whose weapon is gossip itself; see attacks.ts. */
import { setTimeout as sleep } from 'node:timers/promises';
import { own, readU16, writeU32 } from '../../src/base/bytes.ts';
import { scidFromParts } from '../../src/base/short_channel_id.ts';
import { UPDATE_PACE } from '../../src/ingest/origin_budget.ts';
import { signUpdate } from '../../src/simnet/sign_map.ts';
import { MESSAGE_TYPE } from '../../src/wire/message_types.ts';
import { makeChannel, makeIdentity, makeNode, makeUpdate } from '../fixtures/signed_gossip.ts';
import {
  type Attack,
  chain_hash,
  closed,
  closesFor,
  inGroups,
  message,
  nowSeconds,
  range,
  verdict,
} from './attack.ts';
import { HostilePeer } from './hostile_peer.ts';

const UNKNOWN_UPDATES = 100_000;
/** So many from one connection: more than it may waste, so that it is closed. */
const UPDATES_PER_PEER = 12_500;
const garbageUpdate = (number: number): Uint8Array => {
  const raw = message(MESSAGE_TYPE.channel_update, 138);
  raw.fill(0x55, 2, 66);
  raw.set(chain_hash, 66);
  writeU32(raw, 98, 0x0a000000 + number);
  writeU32(raw, 106, nowSeconds() - 60);
  raw[110] = 1;
  raw[111] = number & 1;
  return raw;
};
const unknownUpdates: Attack = {
  name: '100,000 channel_updates of channels that do not exist',
  run: (target) =>
    inGroups(range(UNKNOWN_UPDATES / UPDATES_PER_PEER), async (part) => {
      const peer = await HostilePeer.open(target);
      await peer.flood(UPDATES_PER_PEER, (index) => garbageUpdate(part * UPDATES_PER_PEER + index));
      await peer.closed;
    }),
  expects: {
    [verdict('held_for_channel')]: 20_000,
    [verdict('budget_exceeded')]: 8,
    [closed('broke_gossip_rules')]: 8,
  },
  ends: ['broke_gossip_rules: budget_exceeded'],
};

const ORPHANS = 12_500;
const orphanNodes: Attack = {
  name: 'node_announcements of nodes that do not exist, two connections',
  run: (target) =>
    inGroups([1, 2], async (part) => {
      const sample = makeNode(makeIdentity('orphan'), { timestamp: nowSeconds() - 60 });
      const peer = await HostilePeer.open(target);
      await peer.flood(ORPHANS, (index) => {
        const raw = own(sample);
        // Within the node id, behind the byte that says which half of the curve.
        writeU32(raw, 80, part * ORPHANS + index);
        return raw;
      });
      await peer.closed;
    }),
  expects: { [verdict('held_for_announcement')]: 2_000, [verdict('budget_exceeded')]: 2 },
  ends: ['broke_gossip_rules: budget_exceeded'],
};

const BAD_SIGNATURES = 20;
const badSignatures: Attack = {
  name: 'bad signatures of channels and nodes that are known, by sixty node ids from one address that strangers share',
  run: async (target, known) => {
    const spoil = (raw: Uint8Array, at: number, salt: number): Uint8Array => {
      const bad = own(raw);
      bad[at] = (bad[at] as number) ^ (1 + salt);
      return bad;
    };
    // Newer than the map, and each another one.
    const since = nowSeconds() - 500;
    const newer = (raw: Uint8Array, at: number, salt: number): Uint8Array => {
      const bad = own(raw);
      writeU32(bad, at, since + salt);
      return bad;
    };
    // The features' length stands in front of the timestamp of a node_announcement.
    const nodeTimestampAt = 68 + readU16(known.node, 66);
    await inGroups(range(BAD_SIGNATURES), async (salt) => {
      const fresh = makeChannel({ seed: `forged ${salt}`, scid: scidFromParts(77, salt, 0) });
      await closesFor(target, spoil(fresh.raw, 40, salt));
      await closesFor(target, newer(known.update, 106, salt));
      await closesFor(target, newer(known.node, nodeTimestampAt, salt));
    });
  },
  expects: {
    [verdict('bad_node_signature_1')]: BAD_SIGNATURES,
    [verdict('bad_signature')]: 2 * BAD_SIGNATURES,
    [closed('broke_gossip_rules')]: 3 * BAD_SIGNATURES,
  },
  ends: ['broke_gossip_rules: bad_node_signature_1', 'broke_gossip_rules: bad_signature'],
};

/** Of 25 points each: the fourth bans. */
const STRIKES = 4;
const fourStrikes: Attack = {
  name: 'one node id with four bad signatures, over four connections, and once more',
  run: async (target, known) => {
    const since = nowSeconds() - 700;
    for (const strike of range(STRIKES + 1)) {
      const bad = own(known.update);
      writeU32(bad, 106, since + 150 + strike);
      const peer = await HostilePeer.open(target, { as: 'four strikes' });
      // The last connection is closed when its key is known.
      peer.send(bad);
      await peer.closed;
    }
  },
  expects: { [verdict('bad_signature')]: STRIKES, [closed('banned')]: 2 },
  ends: ['broke_gossip_rules: bad_signature', 'banned: bad_signature', 'banned'],
};

/** An output that never was costs 50 of the 10,000 that one connection may waste: 200 go unpunished. */
const INVENTED_UNPUNISHED = 200;
/** What was wasted is forgiven at 167 a second, so that a slow machine needs some more: a minute's worth. */
const INVENTED_PER_PEER = 400;
/** Of 10 points each: the tenth bans. */
const INVENTORS = 10;
const inventedChannels: Attack = {
  name: 'really signed announcements of channels that never were, with their updates, by one node id, connection after connection',
  run: async (target) => {
    const invent = (part: number, index: number): Uint8Array[] => {
      const scid = scidFromParts(88, part, index);
      // Every tenth as large as a message can be.
      const tail = new Uint8Array(index % 10 === 0 ? 65_000 : 0);
      const channel = makeChannel({ seed: `invented ${part} ${index}`, scid, tail });
      return [channel.raw, makeUpdate(channel, { timestamp: nowSeconds() - 9 })];
    };
    for (const part of range(INVENTORS)) {
      const peer = await HostilePeer.open(target, { as: 'inventor' });
      for (let index = 0; index < INVENTED_PER_PEER && !peer.isClosed; index++) {
        peer.send(...invent(part, index));
        // Signing is work: the others get their turn.
        if (index % 20 === 0) await sleep(0);
      }
      await peer.closed;
    }
    await (await HostilePeer.open(target, { as: 'inventor' })).closed;
  },
  expects: {
    [verdict('output_not_found')]: INVENTORS * INVENTED_UNPUNISHED,
    [verdict('budget_exceeded')]: INVENTORS,
    [closed('banned')]: 2,
  },
  ends: ['broke_gossip_rules: budget_exceeded', 'banned: budget_exceeded', 'banned'],
};

const REPLAYED = 10_000;
const replays: Attack = {
  name: 'known gossip again and again, and updates older than the stored one',
  run: async (target, known) => {
    const older = own(known.update);
    const peer = await HostilePeer.open(target);
    await peer.flood(4 * REPLAYED, (index) => {
      writeU32(older, 106, nowSeconds() - 10 * 86_400 + index);
      return [known.announcement, known.update, known.node, own(older)][index % 4] as Uint8Array;
    });
    await peer.leave();
  },
  expects: { [verdict('known')]: 2 * REPLAYED, [verdict('stale_timestamp')]: REPLAYED },
  ends: ['socket_closed'],
};

const TALK = 60;
/** What a channel direction has at once. */
const TALK_AT_ONCE = UPDATE_PACE.burst;
const talkative: Attack = {
  name: 'really signed updates of one channel direction, more than it may have in an hour',
  run: async (target, { map }) => {
    // Not one of the first, of which others send what is older.
    const channel = range(100).findIndex((each) => each >= 60 && map.topology.hasUpdate[2 * each] === 1);
    const since = nowSeconds() - 500;
    const peer = await HostilePeer.open(target);
    for (const index of range(TALK)) {
      peer.send(signUpdate(map, channel, 0, { timestamp: since + index, feePpm: 5_000 + index }));
      // One after the other, so that each is newer than what is stored or waits.
      await sleep(5);
    }
    await peer.leave();
  },
  // The newest waits for its token, those between are left out, and nobody is blamed for passing them on.
  expects: { [verdict('accepted')]: TALK_AT_ONCE, [verdict('origin_budget')]: TALK - TALK_AT_ONCE },
  ends: ['socket_closed'],
};

const backwards: Attack = {
  name: 'gossip of another chain, with no time, and with ids in the wrong order',
  run: async (target, known) => {
    const foreign = own(known.announcement);
    foreign[260] = (foreign[260] as number) ^ 1;
    const timeless = own(known.update);
    writeU32(timeless, 106, 0);
    const misordered = makeChannel({
      seed: 'misordered',
      scid: scidFromParts(99, 1, 0),
      isMisordered: true,
    }).raw;
    const peer = await HostilePeer.open(target);
    // Light reasons of two points each: it takes fifty.
    await peer.flood(11_000, (index) => [misordered, timeless, foreign][index % 3]!);
    await peer.closed;
  },
  expects: {
    [verdict('node_ids_not_ordered')]: 20,
    [verdict('zero_timestamp')]: 20,
    [verdict('unknown_chain')]: 20,
  },
  ends: ['banned: node_ids_not_ordered', 'banned: zero_timestamp'],
};

export const GOSSIP_ATTACKS: readonly Attack[] = [
  unknownUpdates,
  orphanNodes,
  badSignatures,
  fourStrikes,
  inventedChannels,
  replays,
  talkative,
  backwards,
];
