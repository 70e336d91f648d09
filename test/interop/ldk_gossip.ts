/**
 * LDK's gossip rooms (NetworkGraph and P2PGossipSync of rust-lightning, compiled to WASM) behind three small calls: judge a
 * message, count, list. Used by the LDK process, and in the test's own process as a second opinion on verdicts.
 *
 * The WASM build has no clock, so it does not compare timestamps with the present, and it has no chain backend.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as ldk from 'lightningdevkit';
import { concatBytes, readU16, toHex } from '../../src/base/bytes.ts';
import { MESSAGE_TYPE } from '../../src/wire/message_types.ts';

let loading: Promise<string> | undefined;

/** Initialises the WASM library, once for the process; resolves with the line in which it names its version. */
export const loadLdk = (): Promise<string> => {
  loading ??= (async () => {
    const path = fileURLToPath(new URL('liblightningjs.wasm', import.meta.resolve('lightningdevkit')));
    // It greets on standard output, which is not its own here.
    const { log } = console;
    let greeting = '';
    console.log = (line: unknown) => {
      greeting = String(line);
    };
    try {
      await ldk.initializeWasmFromBinary(readFileSync(path));
    } finally {
      console.log = log;
    }
    return greeting;
  })();
  return loading;
};

/** Lines of LDK's log go to standard error when INTEROP_LOG is set. */
export const ldkLogger = (): ldk.Logger =>
  ldk.Logger.new_impl({
    log: (record) => {
      if (process.env['INTEROP_LOG'] === undefined) return;
      process.stderr.write(`ldk ${ldk.Level[record.get_level()]} ${record.get_args()}\n`);
    },
  });

/** What LDK makes of one message. */
export interface LdkVerdict {
  readonly accepted: boolean;
  /** Its words, or the kind of its decoding error. */
  readonly error: string;
  readonly action: 'none' | 'decode_error' | 'ignore' | 'warn' | 'disconnect';
}

const ACCEPTED: LdkVerdict = { accepted: true, error: '', action: 'none' };

const actionOf = (action: ldk.ErrorAction): LdkVerdict['action'] => {
  if (action instanceof ldk.ErrorAction_SendWarningMessage) return 'warn';
  if (action instanceof ldk.ErrorAction_DisconnectPeer) return 'disconnect';
  if (action instanceof ldk.ErrorAction_DisconnectPeerWithWarning) return 'disconnect';
  if (action instanceof ldk.ErrorAction_SendErrorMessage) return 'warn';
  return 'ignore';
};

const judged = (result: ldk.Result_boolLightningErrorZ): LdkVerdict => {
  if (result instanceof ldk.Result_boolLightningErrorZ_OK) return ACCEPTED;
  const { err } = result as ldk.Result_boolLightningErrorZ_Err;
  return { accepted: false, error: err.get_err(), action: actionOf(err.get_action()) };
};

const undecodable = (kind: object): LdkVerdict => ({
  accepted: false,
  error: kind.constructor.name,
  action: 'decode_error',
});

/** Types that LDK writes without the two bytes of type, and their numbers. */
const withType = (type: number, body: Uint8Array): string =>
  toHex(concatBytes(Uint8Array.of(type >> 8, type & 0xff), body));

export class LdkGossip {
  readonly route: ldk.RoutingMessageHandler;
  readonly #graph: ldk.NetworkGraph;

  /** `loadLdk` must have resolved. */
  constructor(logger: ldk.Logger) {
    this.#graph = ldk.NetworkGraph.constructor_new(ldk.Network.LDKNetwork_Regtest, logger);
    const noChain = ldk.Option_UtxoLookupZ.constructor_none();
    this.route = ldk.P2PGossipSync.constructor_new(this.#graph, noChain, logger).as_RoutingMessageHandler();
  }

  /** Decodes the message and hands it to the gossip handler. */
  offer(raw: Uint8Array): LdkVerdict {
    const body = raw.slice(2);
    switch (readU16(raw, 0)) {
      case MESSAGE_TYPE.channel_announcement: {
        const read = ldk.ChannelAnnouncement.constructor_read(body);
        return read instanceof ldk.Result_ChannelAnnouncementDecodeErrorZ_OK
          ? judged(this.route.handle_channel_announcement(null, read.res))
          : undecodable((read as ldk.Result_ChannelAnnouncementDecodeErrorZ_Err).err);
      }
      case MESSAGE_TYPE.channel_update: {
        const read = ldk.ChannelUpdate.constructor_read(body);
        return read instanceof ldk.Result_ChannelUpdateDecodeErrorZ_OK
          ? judged(this.route.handle_channel_update(null, read.res))
          : undecodable((read as ldk.Result_ChannelUpdateDecodeErrorZ_Err).err);
      }
      case MESSAGE_TYPE.node_announcement: {
        const read = ldk.NodeAnnouncement.constructor_read(body);
        return read instanceof ldk.Result_NodeAnnouncementDecodeErrorZ_OK
          ? judged(this.route.handle_node_announcement(null, read.res))
          : undecodable((read as ldk.Result_NodeAnnouncementDecodeErrorZ_Err).err);
      }
      default:
        return { accepted: false, error: 'not gossip', action: 'decode_error' };
    }
  }

  counts(): { channels: number; updates: number; node_announcements: number } {
    const found = { channels: 0, updates: 0, node_announcements: 0 };
    this.#visit(
      (channel) => {
        found.channels++;
        for (const half of [channel.get_one_to_two(), channel.get_two_to_one()]) if (half) found.updates++;
      },
      () => found.node_announcements++,
    );
    return found;
  }

  /** Every message of the graph, as LDK writes it again. */
  messages(): string[] {
    const found: string[] = [];
    this.#visit(
      (channel) => {
        found.push(withType(MESSAGE_TYPE.channel_announcement, channel.get_announcement_message().write()));
        for (const half of [channel.get_one_to_two(), channel.get_two_to_one()]) {
          if (half) found.push(withType(MESSAGE_TYPE.channel_update, half.get_last_update_message().write()));
        }
      },
      (node) => found.push(withType(MESSAGE_TYPE.node_announcement, node.announcement_message().write())),
    );
    return found;
  }

  #visit(
    onChannel: (channel: ldk.ChannelInfo) => void,
    onNode: (node: ldk.NodeAnnouncementInfo) => void,
  ): void {
    // Holds the graph's lock until it is freed.
    const view = this.#graph.read_only();
    try {
      for (const scid of view.list_channels()) onChannel(view.channel(scid));
      for (const id of view.list_nodes()) {
        const announced = view.node(id).get_announcement_info();
        if (announced instanceof ldk.Option_NodeAnnouncementInfoZ_Some) onNode(announced.some);
      }
    } finally {
      view.free();
    }
  }
}
