/**
 * Judges channel_announcement (BOLT 7; requirements B7-02 to B7-09, B7-48): cheap checks, four signatures, depth, funding output.
 *
 * From the moment an announcement passes the cheap checks until its verdict it is a `PendingChannel`. When it is accepted the
 * store has it, the graph has it, and `accepted` tells ingest to let in what waited for it. With a backend that cannot verify
 * outputs a channel is accepted on its signatures, with 0 satoshis, which marks it unverified.
 * An announcement of a known channel that names other nodes goes to node_conflicts.ts.
 * Bounds: see pending_channels.ts and funding_check.ts; at most 2,000 entries wait for depth, 500 of one origin, six hours at most
 * (17 blocks take three on average); at most a million channels in the graph, twenty times today's network, some 250 MB.
 */
import { bytesEqual, compareBytes, own, readU32 } from '../base/bytes.ts';
import { NODE_ID_BYTES } from '../base/node_id.ts';
import { scidBlock } from '../base/short_channel_id.ts';
import type { UtxoResult } from '../chain/utxo_lookup.ts';
import { fundingScriptPubkey } from '../crypto/funding_script.ts';
import type { CheckOutcome } from '../crypto/signature_check.ts';
import {
  channelAnnouncementBitcoinKey1At,
  channelAnnouncementBitcoinKey2At,
  channelAnnouncementChainHashAt,
  channelAnnouncementNodeId1At,
  channelAnnouncementNodeId2At,
  channelAnnouncementScidHi,
  channelAnnouncementScidLo,
  checkChannelAnnouncement,
} from '../wire/channel_announcement.ts';
import type { StoreOffset } from '../wire/store_record.ts';
import type { Desk } from './desk.ts';
import { FundingCheck } from './funding_check.ts';
import { LINT_BEFORE_DEPTH, lintChannelAnnouncement } from './lint.ts';
import type { NodeConflicts } from './node_conflicts.ts';
import { PendingChannel, type PendingChannels } from './pending_channels.ts';
import type { Done } from './ports.ts';
import { MADE_UP_OUTPUT_COST, SPENT_OUTPUT_COST } from './useless_budget.ts';
import { ACCEPT, badAnnouncement, HOLD, IGNORE, type Verdict, WARN } from './verdict.ts';

export const MAX_CHANNELS = 1_000_000;
export const MAX_EARLY_ANNOUNCEMENTS = 2000;
export const MAX_EARLY_PER_ORIGIN = 500;
/** B7-07: above the tip by more than this, an announcement is not kept at all (CLN's limit). */
export const EARLY_BLOCKS = 12;
export const EARLY_EXPIRY_MS = 6 * 3_600_000;
export const EARLY_RECHECK_MS = 30_000;

const scidOf = (raw: Uint8Array): [number, number] => [
  channelAnnouncementScidHi(raw, 0),
  channelAnnouncementScidLo(raw, 0),
];

/** What a refusal over the script is remembered with: other keys may still be right. Never 0. */
const keysMark = (raw: Uint8Array): number => {
  const key1At = channelAnnouncementBitcoinKey1At(raw, 0);
  return (readU32(raw, key1At + 29) ^ readU32(raw, key1At + NODE_ID_BYTES + 29)) >>> 0 || 1;
};

export interface ChannelJudgeOptions {
  readonly desk: Desk;
  readonly pending: PendingChannels;
  readonly acceptUnverified: boolean;
  /** Looks at announcements of known channels; undefined: nobody does. */
  readonly conflicts: NodeConflicts | undefined;
  /** The channel is in the store and in the graph; its verdict is given. */
  readonly accepted: (entry: PendingChannel) => void;
}

export class ChannelJudge {
  readonly #desk: Desk;
  readonly #pending: PendingChannels;
  readonly #acceptUnverified: boolean;
  readonly #conflicts: NodeConflicts | undefined;
  readonly #accepted: (entry: PendingChannel) => void;
  readonly #funding: FundingCheck;
  readonly #early = new Set<PendingChannel>();
  #cancelRecheck: (() => void) | undefined;

  constructor(options: ChannelJudgeOptions) {
    this.#desk = options.desk;
    this.#pending = options.pending;
    this.#acceptUnverified = options.acceptUnverified;
    this.#accepted = options.accepted;
    this.#conflicts = options.conflicts;
    this.#funding = new FundingCheck({
      utxo: options.desk.ports.utxo,
      clock: options.desk.ports.clock,
      answered: (entry, result) => this.#lookedUp(entry, result),
      delayed: (entry) => this.#hold(entry, HOLD.chain_unavailable),
    });
  }

  /** Announcements that wait for depth. */
  get early(): number {
    return this.#early.size;
  }

  get lookupsInFlight(): number {
    return this.#funding.inFlight;
  }

  /** @param isOwned the bytes are ours to keep; else they are borrowed */
  judge(raw: Uint8Array, origin: number, done: Done | undefined, isOwned: boolean): void {
    const desk = this.#desk;
    const refusal = this.#cheapRefusal(raw, origin);
    if (refusal !== undefined) {
      // B7-11
      if (refusal === IGNORE.zombie_channel) desk.zombies.park(...scidOf(raw), raw, origin);
      if (refusal === IGNORE.known && this.#conflicts?.meet(raw, origin, done, isOwned) === true) return;
      desk.settle(refusal, raw, origin, done, refusal === IGNORE.known ? this.#storedAt(raw) : undefined);
      return;
    }
    const pending = this.#pending.find(channelAnnouncementScidHi(raw, 0), channelAnnouncementScidLo(raw, 0));
    if (pending !== undefined) {
      this.#meetPending(pending, raw, origin, done);
      return;
    }
    const noWork = this.#reasonNotToCheck(raw, origin);
    if (noWork !== undefined) {
      desk.settle(noWork, raw, origin, done);
      return;
    }

    const entry = new PendingChannel(isOwned ? raw : own(raw), origin, done);
    this.#pending.add(entry);
    desk.begin(entry.raw.length);
    // B7-02: four signatures; the four keys lie in the same order as they do.
    const keysAt = channelAnnouncementNodeId1At(entry.raw, 0);
    desk.ports.checker.check(entry.raw, 4, entry.raw, keysAt, (outcome) => this.#checked(entry, outcome));
  }

  /** B7-07: looks again at those that wait for depth, as the chain has grown. */
  recheckEarly(): void {
    const now = this.#desk.ports.clock.monotonicMs();
    for (const entry of this.#early) {
      const isBuried = this.#isBuried(entry);
      if (!isBuried && entry.earlyUntilMs > now) continue;
      this.#early.delete(entry);
      if (isBuried) this.#fund(entry);
      else this.#refuse(entry, IGNORE.not_buried);
    }
  }

  close(): void {
    this.#cancelRecheck?.();
    this.#funding.close();
  }

  #cheapRefusal(raw: Uint8Array, origin: number): Verdict | undefined {
    const { graph, network, blockHeight } = this.#desk.ports;
    // B7-01, B7-49: all fields are there; what follows them is kept.
    if (checkChannelAnnouncement(raw, 0, raw.length) !== undefined) return WARN.malformed;
    // B7-06
    const chainHashAt = channelAnnouncementChainHashAt(raw, 0);
    if (compareBytes(raw, chainHashAt, network.chainHashBytes, 0, 32) !== 0) return IGNORE.unknown_chain;

    const scidHi = channelAnnouncementScidHi(raw, 0);
    const scidLo = channelAnnouncementScidLo(raw, 0);
    // B7-05: its output was looked for and not found, or its keys did not fit, or the channel has left.
    const refused = this.#desk.refused.find(scidHi, scidLo);
    if (refused !== undefined && refused === keysMark(raw)) return IGNORE.recently_refused;
    if (this.#desk.isRefused(scidHi, scidLo)) return IGNORE.recently_refused;
    // B7-03: equal ids would be a channel with itself.
    const node1At = channelAnnouncementNodeId1At(raw, 0);
    const node2At = channelAnnouncementNodeId2At(raw, 0);
    if (compareBytes(raw, node1At, raw, node2At, NODE_ID_BYTES) >= 0) return WARN.node_ids_not_ordered;
    // B7-10
    const { blacklist } = this.#desk;
    if (blacklist.has(raw, node1At) || blacklist.has(raw, node2At)) return IGNORE.blacklisted_node;
    // B7-48: a second announcement says nothing new.
    if (graph.channelIndex(scidHi, scidLo) >= 0) return IGNORE.known;
    // B7-07: too far above the tip to wait for.
    const height = blockHeight?.();
    if (height !== undefined && scidBlock(scidHi) > height + EARLY_BLOCKS) return IGNORE.not_buried;
    // B7-42: pruned for silence, and nothing has shown since that it lives.
    const isZombie = origin !== 0 && this.#desk.zombies.find(scidHi, scidLo) !== undefined;
    return isZombie ? IGNORE.zombie_channel : undefined;
  }

  /** Where the announcement of a known channel is: whoever sends one needs ours no more. */
  #storedAt(raw: Uint8Array): StoreOffset {
    const { graph } = this.#desk.ports;
    return graph.channelOffset(graph.channelIndex(...scidOf(raw)));
  }

  /** What stands against the cost of four signature checks. */
  #reasonNotToCheck(raw: Uint8Array, origin: number): Verdict | undefined {
    const desk = this.#desk;
    const { graph, utxo } = desk.ports;
    if (!utxo.verifies && !this.#acceptUnverified) return IGNORE.chain_unavailable;
    if (desk.budget.isSpent(origin)) return IGNORE.budget_exceeded;
    if (graph.channelCount >= MAX_CHANNELS || !this.#pending.canAdd(raw.length)) return IGNORE.room_full;
    if (!desk.canStore || !desk.hasRoom(raw.length)) return IGNORE.overloaded;
    if (desk.wasBad(raw)) return WARN.recently_refused;
    return undefined;
  }

  /** One announcement of a scid is worked on at a time; one other is kept in case the first is refused. */
  #meetPending(entry: PendingChannel, raw: Uint8Array, origin: number, done: Done | undefined): void {
    const desk = this.#desk;
    const isSame =
      bytesEqual(entry.raw, raw) || (entry.rival !== undefined && bytesEqual(entry.rival.raw, raw));
    if (isSame || entry.rival !== undefined || !this.#pending.canAttach(raw.length)) {
      desk.settle(IGNORE.already_pending, raw, origin, done);
      return;
    }
    const rival = { raw: own(raw), origin };
    this.#pending.attachRival(entry, rival);
    desk.settle(HOLD.already_pending, rival.raw, origin, done);
  }

  #checked(entry: PendingChannel, outcome: CheckOutcome): void {
    const desk = this.#desk;
    if (desk.isClosed) return;
    desk.signaturesChecked += 4;
    if (outcome === 'valid') {
      this.#waitForDepth(entry);
      return;
    }
    // B7-09
    desk.rememberBad(entry.raw);
    this.#refuse(entry, badAnnouncement(outcome));
  }

  #isBuried(entry: PendingChannel): boolean {
    const { blockHeight, network } = this.#desk.ports;
    const height = blockHeight?.();
    return height === undefined || scidBlock(entry.scidHi) + network.announcementDepth - 1 <= height;
  }

  /** B7-07: with good signatures it may wait for its sixth confirmation. */
  #waitForDepth(entry: PendingChannel): void {
    if (this.#isBuried(entry)) {
      this.#fund(entry);
      return;
    }
    let ofOrigin = 0;
    for (const other of this.#early) if (other.origin === entry.origin) ofOrigin++;
    if (this.#early.size >= MAX_EARLY_ANNOUNCEMENTS || ofOrigin >= MAX_EARLY_PER_ORIGIN) {
      this.#refuse(entry, IGNORE.room_full);
      return;
    }
    entry.state = 'early';
    entry.earlyUntilMs = this.#desk.ports.clock.monotonicMs() + EARLY_EXPIRY_MS;
    this.#early.add(entry);
    this.#armRecheck();
    this.#hold(entry, HOLD.not_buried);
  }

  #armRecheck(): void {
    if (this.#cancelRecheck !== undefined || this.#early.size === 0 || this.#desk.isClosed) return;
    const { clock } = this.#desk.ports;
    this.#cancelRecheck = clock.after(EARLY_RECHECK_MS, () => {
      this.#cancelRecheck = undefined;
      this.recheckEarly();
      this.#armRecheck();
    });
  }

  /** B7-05: the output must be there, unspent, and pay to the two keys. */
  #fund(entry: PendingChannel): void {
    if (!this.#desk.ports.utxo.verifies) {
      this.#accept(entry, 0n);
      return;
    }
    entry.state = 'funding';
    this.#funding.ask(entry);
  }

  #lookedUp(entry: PendingChannel, result: UtxoResult): void {
    const { raw, scidHi, scidLo } = entry;
    switch (result.found) {
      case 'unavailable':
        this.#refuse(entry, IGNORE.chain_unavailable);
        return;
      case 'none': {
        const isMadeUp = result.why === 'no_transaction' || result.why === 'no_output';
        const cost = isMadeUp ? MADE_UP_OUTPUT_COST : SPENT_OUTPUT_COST;
        // B7-07: the block is yet to come, for this backend at least.
        const isEarly = result.why === 'no_block';
        if (!isEarly) this.#rememberAbsent(scidHi, scidLo, result.spentAtHeight);
        const reason = isEarly ? IGNORE.not_buried : IGNORE.output_not_found;
        this.#refuse(entry, this.#desk.charged(reason, entry.origin, cost));
        return;
      }
      case 'unspent': {
        const expected = fundingScriptPubkey(
          raw,
          channelAnnouncementBitcoinKey1At(raw, 0),
          channelAnnouncementBitcoinKey2At(raw, 0),
        );
        if (bytesEqual(expected, result.script)) {
          this.#accept(entry, result.satoshis);
          return;
        }
        // Whoever signed with other keys may still own the output: only these keys are refused.
        this.#desk.refused.remember(scidHi, scidLo, keysMark(raw));
        this.#refuse(
          entry,
          this.#desk.charged(WARN.funding_script_mismatch, entry.origin, MADE_UP_OUTPUT_COST),
        );
        return;
      }
    }
  }

  /** B7-05. A reorganisation can make it untrue, so a known height is worth more than a time. */
  #rememberAbsent(scidHi: number, scidLo: number, spentAtHeight: number | undefined): void {
    const { closed, refused, ports } = this.#desk;
    const height = spentAtHeight ?? ports.blockHeight?.();
    if (height === undefined) refused.remember(scidHi, scidLo);
    else closed.remember(scidHi, scidLo, height);
  }

  /** Decides again, as time has passed, and lets the channel in. */
  #accept(entry: PendingChannel, satoshis: bigint): void {
    const desk = this.#desk;
    const { graph } = desk.ports;
    const { raw, origin, scidHi, scidLo } = entry;
    if (graph.channelIndex(scidHi, scidLo) >= 0) {
      this.#refuse(entry, IGNORE.known);
      return;
    }
    if (desk.isRefused(scidHi, scidLo)) {
      this.#refuse(entry, IGNORE.recently_refused);
      return;
    }
    if (graph.channelCount >= MAX_CHANNELS) {
      this.#refuse(entry, IGNORE.room_full);
      return;
    }
    const node1At = channelAnnouncementNodeId1At(raw, 0);
    if (desk.blacklist.has(raw, node1At) || desk.blacklist.has(raw, node1At + NODE_ID_BYTES)) {
      this.#refuse(entry, IGNORE.blacklisted_node);
      return;
    }
    const offset = desk.commit({ kind: 'channel_announcement', raw, satoshis });
    if (offset === undefined) {
      this.#refuse(entry, IGNORE.overloaded);
      return;
    }
    entry.state = 'accepted';
    entry.removalsAtAccept = desk.removals;
    // B7-08, B7-14
    desk.lint.note(lintChannelAnnouncement(raw) | (entry.earlyUntilMs > 0 ? LINT_BEFORE_DEPTH : 0));
    const { rival } = entry;
    const done = this.#leave(entry);
    desk.settle(ACCEPT, raw, origin, done, offset);
    this.#accepted(entry);
    if (rival !== undefined) this.judge(rival.raw, rival.origin, undefined, true);
  }

  #refuse(entry: PendingChannel, verdict: Verdict): void {
    const desk = this.#desk;
    entry.state = 'refused';
    const { rival, updates } = entry;
    const done = this.#leave(entry);
    desk.settle(verdict, entry.raw, entry.origin, done);
    // Their signatures fit the keys of this announcement only.
    for (const update of updates) {
      if (update !== undefined) desk.settle(IGNORE.unknown_channel, update.raw, update.origin, undefined);
    }
    if (rival !== undefined) this.judge(rival.raw, rival.origin, undefined, true);
  }

  /** Takes the entry out; returns its callback if that is still to be called. */
  #leave(entry: PendingChannel): Done | undefined {
    this.#pending.remove(entry);
    if (entry.isInBacklog) this.#desk.end(entry.raw.length);
    return entry.done;
  }

  /** Gives the offer its verdict for now, so that its peer can go on. Once for each announcement. */
  #hold(entry: PendingChannel, verdict: Verdict): void {
    if (!entry.isInBacklog) return;
    this.#desk.end(entry.raw.length);
    entry.isInBacklog = false;
    const { done } = entry;
    entry.done = undefined;
    this.#desk.settle(verdict, entry.raw, entry.origin, done);
  }
}
