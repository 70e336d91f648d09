/**
 * The stage of the chain tests: a Bitcoin node on regtest, the daemon as a process of its own that follows it, and peers that
 * say what they are told. Everything is asked from outside: over the wire, over the daemon's socket, on the command line.
 *
 * The node mines only when a test says so. Whoever waits until the daemon has seen a block therefore knows the height at which
 * everything after it happens, and can ask exact heights.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { DaemonStatus } from '../../src/api/daemon_status.ts';
import { callRpc } from '../../src/api/json_rpc_socket.ts';
import { compareBytes, readU16, toHex } from '../../src/base/bytes.ts';
import { NETWORKS } from '../../src/base/chain_hash.ts';
import { type ShortChannelId, scidToText } from '../../src/base/short_channel_id.ts';
import type { ChannelInfo } from '../../src/graph/views.ts';
import { encodeGossipTimestampFilter } from '../../src/wire/gossip_timestamp_filter.ts';
import { MESSAGE_TYPE } from '../../src/wire/message_types.ts';
import { encodeQueryShortChannelIds } from '../../src/wire/query_short_channel_ids.ts';
import {
  type Identity,
  makeChannel,
  makeIdentity,
  makeNode,
  makeUpdate,
  type SignedChannel,
} from '../fixtures/signed_gossip.ts';
import type { BitcoinNode, Funding } from '../interop/bitcoin/node_process.ts';
import { RawPeer } from '../interop/raw_peer.ts';
import { until } from '../interop/test_daemon.ts';
import { CliHouse, type CliProcess } from './cli_process.ts';

/** Two daemons run in one story, the first for most of it; one that hangs is ended. */
const DAEMON_PATIENCE_MS = 200_000;

const GOSSIP: readonly number[] = [
  MESSAGE_TYPE.channel_announcement,
  MESSAGE_TYPE.channel_update,
  MESSAGE_TYPE.node_announcement,
];

/** A channel whose output is in the chain, with everything that can be said of it. */
export interface FundedChannel {
  readonly scid: ShortChannelId;
  readonly signed: SignedChannel;
  readonly funding: Funding;
  /** The announcement, an update of each side, a node_announcement of each node. */
  readonly messages: readonly Uint8Array[];
}

/** Seconds; what a node signs just now. */
const justNow = (): number => Math.floor(Date.now() / 1000) - 60;

/** All that its two nodes say of a channel at this scid. makeChannel derives the same funding keys from the name as `keysOf`. */
export const signChannel = (name: string, scid: ShortChannelId, satoshis: number): SignedChannel =>
  makeChannel({ seed: name, scid, satoshis: BigInt(satoshis) });

const keysOf = (name: string): readonly [Identity, Identity] => [
  makeIdentity(`${name} funding 1`),
  makeIdentity(`${name} funding 2`),
];

export class ChainScene {
  readonly node: BitcoinNode;
  readonly #t: TestContext;
  readonly #house: CliHouse;
  #daemon: CliProcess | undefined;
  #port = 0;
  /** Asks, and announces; gets no gossip that it did not ask for. */
  #asker: RawPeer | undefined;

  constructor(t: TestContext, node: BitcoinNode) {
    this.#t = t;
    this.node = node;
    this.#house = new CliHouse('chain');
    t.after(() => this.#house.close());
  }

  /** What the daemon has written so far, for a test that fails. */
  get daemonLog(): string {
    return this.#daemon?.err ?? '';
  }

  async startDaemon(): Promise<void> {
    const daemon = this.#house.start(
      [
        ...['run', '--network', 'regtest', '--data-dir', this.#house.path('data'), '--listen', '127.0.0.1:0'],
        ...['--utxo', this.node.backend, '--chain-poll-s', '1', '--no-dns-seeds', '--outbound-peers', '0'],
        ...['--flush-interval-ms', '200', '--sync-interval-ms', '20', '--log-level', 'debug'],
      ],
      { patienceMs: DAEMON_PATIENCE_MS },
    );
    this.#daemon = daemon;
    const [, port] = await daemon.says(/listening host=127\.0\.0\.1 port=(\d+)/);
    this.#port = Number(port);
    await until('the socket answers', async () => (await this.#tryStatus()) !== undefined);
    this.#asker = await this.dial(21);
  }

  async stopDaemon(): Promise<void> {
    this.#daemon?.kill('SIGTERM');
    const ended = await this.#daemon?.ended;
    assert.equal(ended?.code, 0, ended?.err);
  }

  async dial(identity: number): Promise<RawPeer> {
    const { node_id } = await this.status();
    return RawPeer.dial(this.#t, { port: this.#port, nodeId: node_id, identity });
  }

  async status(): Promise<DaemonStatus> {
    const status = await this.#tryStatus();
    if (status === undefined) throw new Error(`the daemon does not answer:\n${this.daemonLog}`);
    return status;
  }

  async #tryStatus(): Promise<DaemonStatus | undefined> {
    try {
      return (await callRpc(this.#house.path('data', 'gossipd.sock'), 'status')) as DaemonStatus;
    } catch {
      return undefined;
    }
  }

  /** Height of the last block that the daemon has taken in. */
  async height(): Promise<number | undefined> {
    return (await this.status()).chain.height ?? undefined;
  }

  /** Waits until the daemon stands where the node stands, and says where that is. */
  async atTip(): Promise<number> {
    await until(
      `the daemon sees block ${this.node.height}`,
      async () => (await this.height()) === this.node.height,
      () => this.height(),
    );
    return this.node.height;
  }

  /** Funds channels, all in one block. */
  async fund(
    ...specs: readonly { readonly name: string; readonly satoshis: number; readonly output?: 0 | 1 }[]
  ): Promise<FundedChannel[]> {
    const fundings: Funding[] = [];
    for (const { name, ...spec } of specs)
      fundings.push(await this.node.fund({ keys: keysOf(name), ...spec }));
    const scids = await this.node.confirm(...fundings);
    return specs.map(({ name, satoshis }, index) => {
      const [scid, funding] = [scids[index]!, fundings[index]!];
      const signed = signChannel(name, scid, satoshis);
      const timestamp = justNow();
      const messages = [
        signed.raw,
        ...([0, 1] as const).map((direction) => makeUpdate(signed, { direction, timestamp })),
        ...signed.nodes.map((node) => makeNode(node, { timestamp, alias: name })),
      ];
      return { scid, signed, funding, messages };
    });
  }

  /** Says it to the daemon, as a peer of its. */
  announce(...messages: readonly Uint8Array[]): void {
    for (const raw of messages) this.#asker!.send(raw);
  }

  /** Whether the daemon answers a query_short_channel_ids for the channel with its announcement. */
  async serves({ scid, signed }: FundedChannel): Promise<boolean> {
    const peer = this.#asker!;
    const from = peer.received.length;
    peer.send(
      encodeQueryShortChannelIds({
        chain_hash: NETWORKS.regtest.chainHashBytes,
        short_channel_ids: BigUint64Array.of(scid),
      }),
    );
    const ofType = (type: number): Uint8Array[] =>
      peer.received.slice(from).filter((raw) => readU16(raw, 0) === type);
    await until(
      'the query is answered',
      () => ofType(MESSAGE_TYPE.reply_short_channel_ids_end).length > 0 || peer.closed,
    );
    assert.equal(peer.closed, false, 'the daemon has closed the connection');
    const announcements = ofType(MESSAGE_TYPE.channel_announcement);
    for (const raw of announcements) assert.deepEqual(raw, signed.raw);
    return announcements.length > 0;
  }

  untilServed(what: string, channel: FundedChannel): Promise<void> {
    return until(`${what}: ${scidToText(channel.scid)} is served`, () => this.serves(channel));
  }

  untilNotServed(what: string, channel: FundedChannel): Promise<void> {
    return until(
      `${what}: ${scidToText(channel.scid)} is not served`,
      async () => !(await this.serves(channel)),
    );
  }

  /** What `gossipd graph channel` says; undefined when it says that there is no such channel. */
  async inFile({ scid }: FundedChannel): Promise<ChannelInfo | undefined> {
    const { code, out, err } = await this.#house.run([
      ...['graph', 'channel', scidToText(scid), this.#house.path('data', 'gossip_store'), '--json'],
    ]);
    if (code === 0) return JSON.parse(out) as ChannelInfo;
    assert.match(out + err, /not_found|is not in this map/);
    return undefined;
  }

  /** Waits until the file says so: what the daemon knows is on disk some milliseconds later. */
  async untilInFile(
    what: string,
    channel: FundedChannel,
    holds: (info: ChannelInfo | undefined) => boolean,
  ): Promise<void> {
    await until(
      `${what}: ${scidToText(channel.scid)} in the file`,
      async () => holds(await this.inFile(channel)),
      () => this.inFile(channel),
    );
  }

  /** How often a verdict was given, until it is at least so often. */
  untilVerdicts(reason: string, count: number): Promise<void> {
    const given = async (): Promise<number> => (await this.status()).verdicts[reason] ?? 0;
    return until(`${count} times ${reason}`, async () => (await given()) >= count, given);
  }
}

/** Asks for all gossip, old and new. */
export const listenToAll = (peer: RawPeer): void =>
  peer.send(
    encodeGossipTimestampFilter({
      chain_hash: NETWORKS.regtest.chainHashBytes,
      first_timestamp: 0,
      timestamp_range: 0xffffffff,
    }),
  );

/** Hex of all gossip that came, each once, sorted. */
export const heardBy = (peer: RawPeer): string[] =>
  [
    ...new Set(peer.received.filter((raw) => GOSSIP.includes(readU16(raw, 0))).map((raw) => toHex(raw))),
  ].sort();

export const hexOf = (...channels: readonly FundedChannel[]): string[] =>
  channels.flatMap(({ messages }) => messages.map((raw) => toHex(raw))).sort();

/** Whether the announcement was heard. */
export const hasHeard = (peer: RawPeer, raw: Uint8Array): boolean =>
  peer.received.some(
    (heard) => heard.length === raw.length && compareBytes(heard, 0, raw, 0, raw.length) === 0,
  );
