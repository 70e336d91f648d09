/**
 * A Lightning node of other people's making, as a process of its own: LDK's PeerManager, P2PGossipSync and Node socket layer.
 * Started by ldk_process.ts with its settings as one JSON argument; ldk_protocol.ts says what it can be asked.
 *
 * Ends when its standard input ends, so that it never outlives its test, however that one died.
 */
import type { AddressInfo, Server } from 'node:net';
import { createInterface } from 'node:readline';
import * as ldk from 'lightningdevkit';
import { NodeLDKNet } from 'lightningdevkit-node-net';
import { fromHex, toHex } from '../../src/base/bytes.ts';
import { LdkGossip, ldkLogger, loadLdk } from './ldk_gossip.ts';
import type { LdkLine, LdkQuestions, LdkReady, LdkSettings, LdkVerb } from './ldk_protocol.ts';

/**
 * LDK goes on with a backfill only when something calls it; between the last channel and the first node nothing does but its
 * timer of ten seconds. Applications call it this often or more.
 */
const PROCESS_INTERVAL_MS = 100;

const say = (line: LdkLine | LdkReady): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};
// Whatever the library prints (a panic, for one) must not be taken for an answer.
console.log = console.error;

const bytesOf = (hex: string): Uint8Array => {
  const bytes = fromHex(hex);
  if (bytes === undefined) throw new Error(`not hex: ${hex.slice(0, 80)}`);
  return bytes;
};

const settings = JSON.parse(process.argv[2] ?? '') as LdkSettings;
const version = await loadLdk();
const logger = ldkLogger();
const gossip = new LdkGossip(logger);
const secret = new Uint8Array(32).fill(settings.identity);
const signer = ldk.KeysManager.constructor_new(secret, 1n, 1).as_NodeSigner();
const ignoring = ldk.IgnoringMessageHandler.constructor_new();
const peers = ldk.PeerManager.constructor_new(
  ldk.ErroringMessageHandler.constructor_new().as_ChannelMessageHandler(),
  gossip.route,
  ignoring.as_OnionMessageHandler(),
  ignoring.as_CustomMessageHandler(),
  Math.floor(Date.now() / 1000),
  crypto.getRandomValues(new Uint8Array(32)),
  logger,
  signer,
);
const net = new NodeLDKNet(peers);
const processing = setInterval(() => net.process_events(), PROCESS_INTERVAL_MS);

type Answers = {
  [Verb in LdkVerb]: (takes: LdkQuestions[Verb]['takes']) => Promise<LdkQuestions[Verb]['gives']>;
};

const answers: Answers = {
  listen: async () => {
    await net.bind_listener('127.0.0.1', 0);
    // The class keeps its listeners to itself, and does not tell which port it got.
    const [server] = net['servers'] as readonly Server[];
    return { port: (server?.address() as AddressInfo).port };
  },
  dial: async ({ port, node_id }) => {
    await net.connect_peer('127.0.0.1', port, bytesOf(node_id));
    return {};
  },
  offer: async ({ messages }) => ({ verdicts: messages.map((hex) => gossip.offer(bytesOf(hex))) }),
  counts: async () => ({
    ...gossip.counts(),
    peers: peers.list_peers().map((peer) => toHex(peer.get_counterparty_node_id())),
  }),
  messages: async () => ({ messages: gossip.messages() }),
};

const answer = async ({ id, verb, takes }: { id: number; verb: LdkVerb; takes: never }): Promise<void> => {
  try {
    say({ id, answer: await answers[verb](takes) });
  } catch (error) {
    say({ id, error: error instanceof Error ? error.message : String(error) });
  }
};

const input = createInterface({ input: process.stdin });
input.on('line', (line) => void answer(JSON.parse(line)));
input.on('close', () => {
  clearInterval(processing);
  net.stop();
  process.exit(0);
});
// Ctrl-C reaches the whole group; the test decides when this process ends.
process.on('SIGINT', () => {});

const nodeId = signer.get_node_id(ldk.Recipient.LDKRecipient_Node) as ldk.Result_PublicKeyNoneZ_OK;
say({ node_id: toHex(nodeId.res), version });
