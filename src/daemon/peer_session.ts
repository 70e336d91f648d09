/**
 * What one connection means for gossip: joins the rooms that do not know each other. Gossip from the peer goes to ingest/,
 * its queries to a QueryServer, its filter to a RelayStream, its replies to the Seeker; verdicts come back as warnings.
 */

import type { Network } from '../base/chain_hash.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import type { Rng } from '../base/rng.ts';
import type { Clock } from '../base/time.ts';
import type { UtxoLookup } from '../chain/utxo_lookup.ts';
import type { NetworkGraph } from '../graph/network_graph.ts';
import type { Ingest } from '../ingest/ingest.ts';
import type { ReasonCode, Verdict } from '../ingest/verdict.ts';
import type { Connection, PeerMessage } from '../peer/connection.ts';
import type { Contribution } from '../peer/rotation.ts';
import type { GossipStore } from '../store/gossip_store.ts';
import type { SyncPeerPort } from '../sync/ports.ts';
import { QueryBudget } from '../sync/query_budget.ts';
import { QueryServer } from '../sync/query_server.ts';
import { RelayStream } from '../sync/relay_stream.ts';
import type { Seeker } from '../sync/seeker.ts';
import type { StoreOffset } from '../wire/store_record.ts';
import type { Contributions } from './compose.ts';
import { RecentOffsets } from './recent_offsets.ts';

export interface SessionParts {
  readonly graph: NetworkGraph;
  readonly store: GossipStore;
  readonly ingest: Ingest;
  readonly seeker: Seeker;
  readonly network: Network;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly meter: Meter;
  readonly utxo: UtxoLookup;
  readonly contributions: Contributions;
  /** Charges a connection for a broken rule; it may be closed by that. */
  readonly charge: (connection: Connection, reason: ReasonCode) => void;
}

export interface SessionOptions {
  readonly flushIntervalMs: number;
  readonly relayUnverified: boolean;
}

export class PeerSession {
  readonly connection: Connection;
  /** Small number that names this session in ingest/. */
  readonly origin: number;
  readonly #parts: SessionParts;
  readonly #seekerId: number;
  readonly #has = new RecentOffsets();
  readonly #queries: QueryServer;
  readonly #relay: RelayStream;
  readonly #onVerdict: (verdict: Verdict) => void;
  readonly #port: SyncPeerPort;

  constructor(connection: Connection, origin: number, parts: SessionParts, options: SessionOptions) {
    this.connection = connection;
    this.origin = origin;
    this.#parts = parts;
    const send = (raw: Uint8Array): void => connection.send(raw);
    const canSend = (): boolean => connection.canSend();
    const { graph, store, network, clock, log, meter, seeker, utxo } = parts;
    this.#queries = new QueryServer({
      graph,
      store,
      network,
      send,
      canSend,
      log,
      meter,
      serveUnverified: options.relayUnverified,
      budget: new QueryBudget({ clock, meter }),
      isUpToDate: () => seeker.hasSynced && (utxo.verifies || options.relayUnverified),
    });
    this.#relay = new RelayStream({
      graph,
      store,
      network,
      send,
      canSend,
      clock,
      log,
      meter,
      isEcho: (offset) => this.#has.has(offset),
      flushIntervalMs: options.flushIntervalMs,
      // Peers are served at different moments of the interval, so that one flush does not follow another.
      staggerMs: Math.floor(parts.rng.fraction() * options.flushIntervalMs),
      relayUnverified: options.relayUnverified,
    });
    this.#port = {
      name: connection.name,
      outbound: connection.outbound,
      features: connection.init?.features ?? new Uint8Array(0),
      send,
    };
    parts.contributions.set(this.#port, () => parts.ingest.contributionOf(origin).accepted);
    this.#seekerId = seeker.addPeer(this.#port);
    this.#onVerdict = (verdict) => this.#act(verdict);
  }

  onGossip(raw: Uint8Array): void {
    this.#parts.seeker.onGossip(this.#seekerId);
    this.#parts.ingest.offer(raw, this.origin, this.#onVerdict);
  }

  onMessage(message: PeerMessage): void {
    const { seeker } = this.#parts;
    switch (message.type) {
      case 'query_short_channel_ids':
        return this.#warnIf(this.#queries.onQueryShortChannelIds(message));
      case 'query_channel_range':
        return this.#warnIf(this.#queries.onQueryChannelRange(message));
      case 'gossip_timestamp_filter':
        return this.#warnIf(this.#relay.onFilter(message));
      case 'reply_channel_range':
        return this.#warnIf(seeker.onReplyChannelRange(this.#seekerId, message));
      case 'reply_short_channel_ids_end':
        return this.#warnIf(seeker.onReplyShortChannelIdsEnd(this.#seekerId, message));
      case 'announcement_signatures':
        // B7-46: we have no channels, so every one of them is for an unknown channel.
        return this.connection.warn('announcement_signatures for an unknown channel');
      case 'init':
      case 'ping':
      case 'pong':
      case 'error':
      case 'warning':
        return;
    }
  }

  /** What its gossip was good for so far. */
  contribution(): Contribution {
    const { offered_bytes, useful_bytes, accepted } = this.#parts.ingest.contributionOf(this.origin);
    return { offeredBytes: offered_bytes, usefulBytes: useful_bytes, messagesNew: accepted };
  }

  /** The record at `offset` came from this peer. */
  noteHas(offset: StoreOffset): void {
    this.#has.add(offset);
  }

  /** The store has a new file: offsets that are kept here are translated; 0 stands for a record that is not in it. */
  relocate(translate: (offset: StoreOffset) => StoreOffset): void {
    this.#has.relocate(translate);
  }

  /** Goes on with whatever waited for room. Answers to queries come before live gossip. */
  pump(): void {
    this.#queries.pump();
    if (!this.#queries.busy) this.#relay.pump();
  }

  close(): void {
    this.#queries.close();
    this.#relay.close();
    this.#parts.seeker.removePeer(this.#seekerId);
    this.#parts.ingest.forgetOrigin(this.origin);
  }

  #warnIf(problem: string | undefined): void {
    if (problem !== undefined) this.connection.warn(problem);
  }

  #act(verdict: Verdict): void {
    switch (verdict.action) {
      case 'warn':
        this.connection.warn(verdict.reason);
        return this.#parts.charge(this.connection, verdict.reason);
      case 'close':
        this.connection.warn(verdict.reason);
        this.#parts.charge(this.connection, verdict.reason);
        return this.connection.close('broke_gossip_rules', verdict.reason);
      case 'accept':
      case 'ignore':
      case 'hold':
        return;
    }
  }
}
