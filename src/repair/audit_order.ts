/**
 * The rules about what may stand before what in a store, and what may stand twice (cln-gossip A.5): one announcement for a
 * channel, updates and nodes behind it, the later of two updates counts, a removed channel has no live records.
 *
 * audit hands in every live record in file order, then `settleChannels` and, once signatures and chain are judged, `settleRest`.
 * What can only be known when the whole file has been seen (a later announcement, the majority's chain) is reported by
 * the two; all else at once. A channel that is left out takes its amount and its updates with it, each a finding with
 * the same id. Memory: the tables of audit_tables; records of channels beyond their bounds are counted in `unjudged`.
 */
import { MAX_MSAT } from '../base/amount.ts';
import { readU32 } from '../base/bytes.ts';
import { NODE_ID_BYTES, nodeIdAt } from '../base/node_id.ts';
import type { Rng } from '../base/rng.ts';
import { scidText } from '../base/short_channel_id.ts';
import type { FindingId } from '../store/finding.ts';
import { FLAG_RATELIMIT, type StoreFormat } from '../store/versions.ts';
import {
  channelAnnouncementChainHashAt,
  channelAnnouncementNodeId1At,
  channelAnnouncementNodeId2At,
} from '../wire/channel_announcement.ts';
import {
  CHANNEL_UPDATE_MIN_BYTES,
  channelUpdateChainHashAt,
  channelUpdateDirection,
  channelUpdateHtlcMaximumMsat,
} from '../wire/channel_update.ts';
import { CHANNEL_AMOUNT_BYTES } from '../wire/gossip_store_messages.ts';
import { nodeAnnouncementNodeIdAt } from '../wire/node_announcement.ts';
import type { StoreRecord } from '../wire/store_record.ts';
import { Chains } from './audit_chains.ts';
import type { AuditLedger } from './audit_ledger.ts';
import {
  BAD_AMOUNT,
  ChannelColumns,
  HAS_AMOUNT,
  NodeColumns,
  type PlaceColumn,
  PRIVATE,
  SCID_BYTES,
} from './audit_tables.ts';
import type { RecordContent } from './record_content.ts';

/** Where a record lies. */
export interface RecordPlace {
  /** Header position. */
  readonly position: number;
  /** Whole record, header included. */
  readonly size: number;
  readonly recordNumber: number;
}

/** What announce() answers in place of a channel's number. */
export const DUPLICATE = -2;
export const UNJUDGED = -1;

/** Why a channel is left out, by the number in the table; 0 is not at all. */
const DROPS: readonly (FindingId | undefined)[] = [
  undefined,
  'GS-NODE-IDS',
  'GS-NO-AMOUNT',
  'GS-AMOUNT',
  'GS-FLAGS',
  'GS-WRONG-CHAIN',
  'GS-BAD-SIG',
  'GS-NOT-ON-CHAIN',
];

const MAX_MSAT_NUMBER = Number(MAX_MSAT);

export class OrderRules {
  readonly channels: ChannelColumns;
  readonly nodes: NodeColumns;
  /** Records that no rule could be applied to, because a table is full. */
  unjudged = 0;
  readonly #format: StoreFormat;
  readonly #ledger: AuditLedger;
  readonly #chains: Chains;
  /** Rate-limited copies stand beside the update that they did not replace. */
  readonly #hasRateLimited: boolean;

  constructor(format: StoreFormat, ledger: AuditLedger, rng: Rng, chainHash: Uint8Array | undefined) {
    this.#format = format;
    this.#ledger = ledger;
    this.#chains = new Chains(chainHash);
    this.#hasRateLimited = format.version >= 10 && format.version <= 13;
    this.channels = new ChannelColumns(rng);
    this.nodes = new NodeColumns(rng);
  }

  scidOf(channel: number): string {
    const { keys } = this.channels.scids;
    return scidText(readU32(keys, channel * SCID_BYTES), readU32(keys, channel * SCID_BYTES + 4));
  }

  nodeIdOf(node: number): string {
    return nodeIdAt(this.nodes.ids.keys, node * NODE_ID_BYTES);
  }

  dropReason(channel: number): FindingId | undefined {
    return DROPS[this.channels.dropped.get(channel)];
  }

  /** The channel's number, DUPLICATE when it has a live announcement with its amount already, UNJUDGED when the table is full. */
  announce(record: StoreRecord, content: RecordContent, place: RecordPlace): number {
    const { channels } = this;
    const { bytes } = record;
    const channel = this.#channel(bytes, content);
    if (channel < 0) return UNJUDGED;
    if (channels.announcement.at(channel) !== 0 && channels.dropped.get(channel) === 0) {
      if ((channels.state.get(channel) & HAS_AMOUNT) !== 0) return DUPLICATE;
      // A copy without its amount must not cost the one that has it.
      this.#dropAnnouncement(
        channel,
        'GS-DUP-ANN',
        'it has no amount, and its channel is announced again behind it',
      );
    }
    channels.announcement.set(channel, place.position, place.size, place.recordNumber);
    channels.dropped.set(channel, 0);
    channels.state.set(channel, content.hasAmount ? HAS_AMOUNT : 0);
    channels.node1.set(
      channel,
      this.nodes.ids.add(bytes, channelAnnouncementNodeId1At(bytes, content.at)) + 1,
    );
    channels.node2.set(
      channel,
      this.nodes.ids.add(bytes, channelAnnouncementNodeId2At(bytes, content.at)) + 1,
    );
    channels.chain.set(
      channel,
      this.#chains.numberOf(bytes, channelAnnouncementChainHashAt(bytes, content.at)),
    );
    return channel;
  }

  /** The announcement's amount is behind it; or what is there cannot be one. */
  amountSeen(channel: number, good: boolean): void {
    if (channel >= 0) this.channels.state.set(channel, good ? HAS_AMOUNT : BAD_AMOUNT);
  }

  /** The announcement itself was refused, so the channel's updates have nothing to stand behind. */
  refuse(record: StoreRecord, scidAt: number): void {
    const channel = this.channels.scids.add(record.bytes, scidAt);
    if (channel < 0 || this.channels.announcement.at(channel) !== 0) return;
    this.channels.dropped.set(channel, DROPS.indexOf('GS-NODE-IDS'));
  }

  update(record: StoreRecord, content: RecordContent, place: RecordPlace): void {
    const { bytes } = record;
    const channel = this.#channel(bytes, content);
    if (channel < 0 || this.#isRateLimited(record)) return;
    const direction = channelUpdateDirection(bytes, content.at);
    const column = this.channels.updates[direction];
    if (column.at(channel) !== 0) {
      this.#ledger.drop('GS-DUP-UPDATE', column.at(channel), column.length[channel] as number, {
        record_no: column.recordNumber[channel],
        type: 'channel_update',
        short_channel_id: this.scidOf(channel),
        reason: `the update of direction ${direction} at ${place.position} replaces it`,
      });
    }
    column.set(channel, place.position, place.size, place.recordNumber);
    this.channels.updateChain[direction].set(
      channel,
      this.#chains.numberOf(bytes, channelUpdateChainHashAt(bytes, content.at)),
    );
    const hasMaximum = content.length >= CHANNEL_UPDATE_MIN_BYTES;
    this.channels.htlcMaximum[direction].set(
      channel,
      hasMaximum ? channelUpdateHtlcMaximumMsat(bytes, content.at) : 0,
    );
  }

  node(record: StoreRecord, content: RecordContent, place: RecordPlace): void {
    const node = this.nodes.ids.add(record.bytes, nodeAnnouncementNodeIdAt(record.bytes, content.at));
    if (node < 0) this.unjudged++;
    if (node < 0 || this.#isRateLimited(record)) return;
    const column = this.nodes.announcement;
    if (column.at(node) !== 0) {
      this.#ledger.drop('GS-DUP-NODE', column.at(node), column.length[node] as number, {
        record_no: column.recordNumber[node],
        type: 'node_announcement',
        node_id: this.nodeIdOf(node),
        reason: `the node_announcement at ${place.position} replaces it`,
      });
    }
    column.set(node, place.position, place.size, place.recordNumber);
  }

  privateChannel(record: StoreRecord, content: RecordContent): void {
    if (content.scidAt < 0) return;
    const channel = this.#channel(record.bytes, content);
    if (channel < 0 || this.channels.announcement.at(channel) !== 0) return;
    const { bytes } = record;
    const { channels, nodes } = this;
    channels.state.set(channel, PRIVATE);
    if (content.scidAt === content.at + 2) {
      // local_add_channel names the other node only.
      channels.node1.set(channel, nodes.ids.add(bytes, content.scidAt + 8) + 1);
      channels.node2.set(channel, 0);
      return;
    }
    channels.node1.set(channel, nodes.ids.add(bytes, channelAnnouncementNodeId1At(bytes, content.at)) + 1);
    channels.node2.set(channel, nodes.ids.add(bytes, channelAnnouncementNodeId2At(bytes, content.at)) + 1);
  }

  /** A tombstone: what is live of the channel before it should not be. */
  remove(record: StoreRecord, content: RecordContent, place: RecordPlace): void {
    const channel = this.channels.scids.find(record.bytes, content.scidAt);
    if (channel < 0) return;
    const reason = `the delete_chan at ${place.position} removes its channel`;
    if (this.channels.announcement.at(channel) !== 0 && this.channels.dropped.get(channel) === 0)
      this.#dropAnnouncement(channel, 'GS-REMOVED', reason);
    for (const column of this.channels.updates) {
      if (column.at(channel) !== 0) this.#dropUpdate(channel, column, 'GS-REMOVED', reason, 'warn');
      column.clear(channel);
    }
    this.channels.announcement.clear(channel);
    this.channels.state.set(channel, 0);
    this.channels.dropped.set(channel, 0);
  }

  /** Leaves the channel out. @param reason about the announcement; the id's own words unless given */
  dropChannel(channel: number, id: FindingId, reason?: string): void {
    if (this.channels.dropped.get(channel) !== 0) return;
    this.#dropAnnouncement(channel, id, reason);
    this.channels.dropped.set(channel, DROPS.indexOf(id));
  }

  /** Leaves an update out. */
  dropUpdateOf(channel: number, direction: 0 | 1, id: FindingId, reason: string): void {
    const column = this.channels.updates[direction];
    this.#dropUpdate(channel, column, id, reason);
    column.clear(channel);
  }

  /** Leaves a node_announcement out. */
  dropNode(node: number, id: FindingId, reason: string): void {
    const column = this.nodes.announcement;
    this.#ledger.drop(id, column.at(node), column.length[node] as number, this.#nodeDetails(node, reason));
    column.clear(node);
  }

  /** Amounts and chains, once every record has been seen. */
  settleChannels(): void {
    const { channels } = this;
    for (let channel = 0; channel < channels.scids.count; channel++) {
      if (this.isLive(channel)) this.#chains.count(channels.chain.get(channel));
    }
    const wanted = this.#chains.wanted();
    for (let channel = 0; channel < channels.scids.count; channel++) {
      if (!this.isLive(channel)) continue;
      if ((channels.state.get(channel) & HAS_AMOUNT) === 0) this.#settleAmount(channel);
      if (wanted !== 0 && channels.chain.get(channel) !== wanted) this.dropChannel(channel, 'GS-WRONG-CHAIN');
      for (const direction of [0, 1] as const) {
        if (wanted === 0 || channels.updates[direction].at(channel) === 0) continue;
        if (channels.updateChain[direction].get(channel) === wanted) continue;
        this.dropUpdateOf(channel, direction, 'GS-WRONG-CHAIN', 'a channel_update of another chain');
      }
    }
  }

  /** Updates and nodes against the channels that stay. The last thing. */
  settleRest(): void {
    const { channels, nodes } = this;
    for (let channel = 0; channel < channels.scids.count; channel++) {
      for (const column of channels.updates) this.#settleUpdate(channel, column);
      const known = this.isLive(channel) || (channels.state.get(channel) & PRIVATE) !== 0;
      if (!known) continue;
      // A private channel's record is not remembered; it counts as standing before everything.
      const position = this.isLive(channel) ? channels.announcement.at(channel) : 1;
      for (const column of [channels.node1, channels.node2]) {
        const node = column.get(channel) - 1;
        if (node < 0) continue;
        const first = nodes.firstChannel.get(node);
        if (first === 0 || position < first) nodes.firstChannel.set(node, position);
      }
    }
    for (let node = 0; node < nodes.ids.count; node++) this.#settleNode(node);
  }

  /** Has an announcement that stays. */
  isLive(channel: number): boolean {
    return this.channels.announcement.at(channel) !== 0 && this.channels.dropped.get(channel) === 0;
  }

  /** What is live, as far as has been seen. Nodes are those of live channels. */
  figures(): { channels: number; half_channels: number; nodes: number } {
    const { channels, nodes } = this;
    let [live, half] = [0, 0];
    const seen = new Uint8Array(nodes.ids.count + 1);
    for (let channel = 0; channel < channels.scids.count; channel++) {
      if (!this.isLive(channel)) continue;
      live++;
      for (const column of channels.updates) if (column.at(channel) !== 0) half++;
      seen[channels.node1.get(channel)] = 1;
      seen[channels.node2.get(channel)] = 1;
    }
    seen[0] = 0;
    return { channels: live, half_channels: half, nodes: seen.reduce((sum, one) => sum + one, 0) };
  }

  #settleAmount(channel: number): void {
    const { channels } = this;
    const id = (channels.state.get(channel) & BAD_AMOUNT) === 0 ? 'GS-NO-AMOUNT' : 'GS-AMOUNT';
    const maximum = Math.max(
      ...channels.htlcMaximum.map((column, direction) => {
        const value = channels.updates[direction as 0 | 1].at(channel) === 0 ? 0 : column.get(channel);
        return value <= MAX_MSAT_NUMBER ? value : 0;
      }),
    );
    if (maximum === 0) {
      this.dropChannel(
        channel,
        id,
        'a channel_announcement without an amount, and no update to take one from',
      );
      return;
    }
    const satoshis = Math.ceil(maximum / 1000);
    const column = channels.announcement;
    this.#ledger.report(id, column.at(channel), column.length[channel] as number, {
      ...this.#announcementDetails(channel),
      reason: `a channel_announcement without its amount; its updates show that it holds ${satoshis} satoshi or more`,
      fix: 'add_amount',
      satoshis,
    });
  }

  #settleUpdate(channel: number, column: PlaceColumn): void {
    const position = column.at(channel);
    if (position === 0) return;
    const { channels } = this;
    const dropped = this.dropReason(channel);
    if (dropped !== undefined) {
      this.#dropUpdate(channel, column, dropped, 'an update of a channel that is left out', 'info');
      column.clear(channel);
      return;
    }
    const announced = channels.announcement.at(channel);
    if (announced === 0 && (channels.state.get(channel) & PRIVATE) !== 0) return;
    if (announced !== 0 && announced < position) return;
    const details = this.#updateDetails(channel, column);
    this.#ledger.report(
      'GS-ORPHAN-UPDATE',
      position,
      column.length[channel] as number,
      // Nothing can be done about one whose channel is not there, and readers step over it.
      announced === 0
        ? { ...details, severity: 'info' }
        : { ...details, reason: `its channel is announced only behind it, at ${announced}`, fix: 'move' },
    );
  }

  #settleNode(node: number): void {
    const column = this.nodes.announcement;
    const position = column.at(node);
    const first = this.nodes.firstChannel.get(node);
    // Equal only at position 1, which stands for a private channel: see settleRest.
    if (position === 0 || (first !== 0 && first <= position)) return;
    this.#ledger.report(
      first === 0 ? 'GS-ORPHAN-NODE' : 'GS-NODE-ORDER',
      position,
      column.length[node] as number,
      this.#nodeDetails(
        node,
        first === 0 ? undefined : `its first channel comes only behind it, at ${first}`,
      ),
    );
  }

  #dropAnnouncement(channel: number, id: FindingId, reason: string | undefined): void {
    const column = this.channels.announcement;
    const position = column.at(channel);
    const size = column.length[channel] as number;
    const details = this.#announcementDetails(channel);
    this.#ledger.drop(id, position, size, { ...details, reason });
    if ((this.channels.state.get(channel) & HAS_AMOUNT) === 0 || this.#format.wrapsMessages) return;
    this.#ledger.drop(id, position + size, this.#format.headerBytes + CHANNEL_AMOUNT_BYTES, {
      ...details,
      record_no: details.record_no + 1,
      type: 'channel_amount',
      reason: 'the amount of a channel that is left out',
      severity: 'info',
    });
  }

  #dropUpdate(
    channel: number,
    column: PlaceColumn,
    id: FindingId,
    reason: string,
    severity?: 'info' | 'warn',
  ): void {
    this.#ledger.drop(id, column.at(channel), column.length[channel] as number, {
      ...this.#updateDetails(channel, column),
      reason,
      severity,
    });
  }

  #announcementDetails(channel: number) {
    return {
      record_no: this.channels.announcement.recordNumber[channel] as number,
      type: 'channel_announcement',
      short_channel_id: this.scidOf(channel),
    };
  }

  #updateDetails(channel: number, column: PlaceColumn) {
    return {
      record_no: column.recordNumber[channel],
      type: 'channel_update',
      short_channel_id: this.scidOf(channel),
    };
  }

  #nodeDetails(node: number, reason: string | undefined) {
    return {
      record_no: this.nodes.announcement.recordNumber[node],
      type: 'node_announcement',
      node_id: this.nodeIdOf(node),
      reason,
    };
  }

  #channel(bytes: Uint8Array, content: RecordContent): number {
    const channel = this.channels.scids.add(bytes, content.scidAt);
    if (channel < 0) this.unjudged++;
    return channel;
  }

  #isRateLimited(record: StoreRecord): boolean {
    return this.#hasRateLimited && (record.flags & FLAG_RATELIMIT) !== 0;
  }
}
