/**
 * Peers that keep no rules: the deaf, who take everything and answer nothing; liars, who answer range queries falsely, each in his own
 * way; forgers, who send what nobody signed; and those who send old gossip over and over.
 *
 * They know the truth, as a liar does. Whoever they talk to dials them, so that they count as chosen peers.
 */
import { NETWORKS } from '../../../src/base/chain_hash.ts';
import type { PeerMessage } from '../../../src/peer/connection.ts';
import { encodeFeatures } from '../../../src/wire/feature_bits.ts';
import type { QueryChannelRange } from '../../../src/wire/query_channel_range.ts';
import { encodeReplyChannelRange } from '../../../src/wire/reply_channel_range.ts';
import { encodeReplyShortChannelIdsEnd } from '../../../src/wire/reply_short_channel_ids_end.ts';
import type { Network } from './network.ts';
import { network as regtest, type TrueChannel } from './truth.ts';
import type { Endpoint, WireLine } from './wire_line.ts';

/** What a liar says about its channels. */
export const LIES = ['omits', 'invents', 'ends_early', 'covers_wrongly', 'other_chain', 'empty'] as const;
export type Lie = (typeof LIES)[number];

const INVENTED = 200;
const REPLAY_EVERY_SECONDS = 5;
const REPLAYED_AT_ONCE = 10;

interface Manners {
  readonly onMessage?: (line: WireLine, message: PeerMessage) => void;
  readonly onReady?: (line: WireLine) => void;
}

/** Somebody who does nothing but what `manners` say. */
const rogue = (network: Network, number: number, manners: Manners = {}): Endpoint => ({
  number,
  nodeId: network.nodeIdOf(number),
  isHonest: false,
  features: encodeFeatures([7, 11]),
  onReady: (line) => manners.onReady?.(line),
  onGossip: () => {},
  onMessage: (line, message) => manners.onMessage?.(line, message),
  onWritable: () => {},
  onClosed: () => {},
});

/** Takes everything, answers nothing. */
export const deafPeer = (network: Network, number: number): Endpoint => rogue(network, number);

const scidsOf = (channels: readonly TrueChannel[]): BigUint64Array =>
  BigUint64Array.from(channels, ({ scid }) => scid);

const timestampsOf = (channels: readonly TrueChannel[], aheadSeconds: number): Uint32Array =>
  Uint32Array.from(
    channels.flatMap(({ updates }) =>
      updates.map((side) => (side.length === 0 ? 0 : side.at(-1)!.timestamp + aheadSeconds)),
    ),
  );

interface Told {
  readonly channels: readonly TrueChannel[];
  readonly first?: number;
  readonly blocks?: number;
  readonly isLast?: boolean;
  readonly aheadSeconds?: number;
  readonly invented?: BigUint64Array;
}

const tell = (
  line: WireLine,
  query: QueryChannelRange,
  told: Told,
  chain_hash = regtest.chainHashBytes,
): void => {
  const { channels, invented = new BigUint64Array(0) } = told;
  const timestamps = timestampsOf(channels, told.aheadSeconds ?? 0);
  const all = new Uint32Array(timestamps.length + 2 * invented.length).fill(1_700_000_000);
  all.set(timestamps);
  line.send(
    encodeReplyChannelRange({
      chain_hash,
      first_blocknum: told.first ?? query.first_blocknum,
      number_of_blocks: told.blocks ?? query.number_of_blocks,
      sync_complete: told.isLast ?? true,
      short_channel_ids: BigUint64Array.of(...scidsOf(channels), ...invented),
      timestamps: all,
    }),
  );
};

const lieAbout = (network: Network, lie: Lie, line: WireLine, query: QueryChannelRange): void => {
  const end = query.first_blocknum + query.number_of_blocks;
  const asked = network.truth.channels.filter(({ scidHi }) => {
    const block = scidHi >>> 8;
    return block >= query.first_blocknum && block < end;
  });
  switch (lie) {
    case 'omits':
      return tell(line, query, { channels: asked.filter(({ number }) => number % 2 === 0) });
    case 'invents': {
      const invented = BigUint64Array.from(
        { length: INVENTED },
        (_, index) => (BigInt(60_000 + index) << 40n) | 0x10000n,
      );
      const isThere = query.first_blocknum <= 60_000 && end > 60_000 + INVENTED;
      // What is there seems to have newer updates besides.
      return tell(line, query, { channels: asked, aheadSeconds: 500, ...(isThere ? { invented } : {}) });
    }
    case 'ends_early': {
      const blocks = Math.max(1, Math.floor(query.number_of_blocks / 3));
      return tell(line, query, { channels: asked.slice(0, Math.floor(asked.length / 3)), blocks });
    }
    case 'covers_wrongly':
      return tell(line, query, {
        channels: asked.slice(0, 3),
        first: 7,
        blocks: 1,
        isLast: network.rng.fraction() < 0.5,
      });
    case 'other_chain':
      return tell(line, query, { channels: asked }, NETWORKS.bitcoin.chainHashBytes);
    case 'empty':
      return tell(line, query, { channels: [] });
  }
};

/** Answers range queries falsely, and scid queries with nothing. */
export const liar = (network: Network, number: number, lie: Lie): Endpoint =>
  rogue(network, number, {
    onMessage: (line, message) => {
      if (message.type === 'query_channel_range') lieAbout(network, lie, line, message);
      if (message.type === 'query_short_channel_ids')
        line.send(
          encodeReplyShortChannelIdsEnd({ chain_hash: regtest.chainHashBytes, full_information: true }),
        );
    },
  });

/** Sends something every few seconds for as long as a line is there. */
const talker = (network: Network, number: number, say: (line: WireLine) => void): Endpoint =>
  rogue(network, number, {
    onReady: (line) => {
      const again = (): void => {
        if (line.phase === 'closed') return;
        say(line);
        network.after(REPLAY_EVERY_SECONDS, again);
      };
      network.after(REPLAY_EVERY_SECONDS, again);
    },
  });

/** Sends whatever was ever said, long replaced and long closed things included. */
export const replayer = (network: Network, number: number): Endpoint =>
  talker(network, number, (line) => {
    const { messages } = network.truth;
    for (let sent = 0; sent < REPLAYED_AT_ONCE && messages.length > 0; sent++)
      line.send(messages[Math.floor(network.rng.fraction() * messages.length)]!.raw);
  });

/** Sends updates of other people's channels that it signed itself, and true ones with a bit changed. */
export const forger = (network: Network, number: number): Endpoint =>
  talker(network, number, (line) => {
    const { truth, rng } = network;
    const channel = truth.channels[Math.floor(rng.fraction() * truth.channels.length)];
    if (channel === undefined) return;
    line.send(truth.makeUpdate(channel, 0, network.nowSeconds + 100, 7, number));
    const changed = channel.announcement.raw.slice();
    changed[300] = (changed[300] as number) ^ 1;
    line.send(changed);
  });
