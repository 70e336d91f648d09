/**
 * Judges channel_announcement (BOLT 7; requirements B7-02 to B7-09, B7-48): cheap checks, four signatures, depth, funding output.
 *
 * From the moment an announcement passes the cheap checks until its verdict it is a `PendingChannel`. When it is accepted the
 * store has it, the graph has it, and `accepted` tells ingest to let in what waited for it. With a backend that cannot verify
 * outputs a channel is accepted on its signatures, with 0 satoshis, which marks it unverified.
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
import type { Desk } from './desk.ts';
import { FundingCheck } from './funding_check.ts';
import { PendingChannel, type PendingChannels } from './pending_channels.ts';
import type { Done } from './ports.ts';
import { ACCEPT, CLOSE, HOLD, IGNORE, type ReasonCode, type Verdict, WARN } from './verdict.ts';

export const MAX_CHANNELS = 1_000_000;
export const MAX_EARLY_ANNOUNCEMENTS = 2000;
export const MAX_EARLY_PER_ORIGIN = 500;
/** B7-07: above the tip by more than this, an announcement is not kept at all (CLN's limit). */
export const EARLY_BLOCKS = 12;
export const EARLY_EXPIRY_MS = 6 * 3_600_000;
export const EARLY_RECHECK_MS = 30_000;

/** By index of the signature, which is that of its key. */
const SIGNATURE_REASONS: readonly ReasonCode[] = [
  'bad_node_signature_1',
  'bad_node_signature_2',
  'bad_bitcoin_signature_1',
  'bad_bitcoin_signature_2',
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
  /** The channel is in the store and in the graph; its verdict is given. */
  readonly accepted: (entry: PendingChannel) => void;
}

export class ChannelJudge {
  readonly #desk: Desk;
  readonly #pending: PendingChannels;
  readonly #acceptUnverified: boolean;
  readonly #accepted: (entry: PendingChannel) => void;
  readonly #funding: FundingCheck;
  readonly #early = new Set<PendingChannel>();
  #cancelRecheck: (() => void) | undefined;

  constructor(options: ChannelJudgeOptions) {
    this.#desk = options.desk;
    this.#pending = options.pending;
    this.#acceptUnverified = options.acceptUnverified;
    this.#accepted = options.accepted;
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
    const refusal = this.#cheapRefusal(raw);
    if (refusal !== undefined) {
      desk.settle(refusal, raw, origin, done);
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

  close(): void {
    this.#cancelRecheck?.();
    this.#funding.close();
  }

  #cheapRefusal(raw: Uint8Array): Verdict | undefined {
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
    if (refused === 0 || (refused !== undefined && refused === keysMark(raw))) return IGNORE.recently_refused;
    // B7-03: equal ids would be a channel with itself.
    const node1At = channelAnnouncementNodeId1At(raw, 0);
    const node2At = channelAnnouncementNodeId2At(raw, 0);
    if (compareBytes(raw, node1At, raw, node2At, NODE_ID_BYTES) >= 0) return WARN.node_ids_not_ordered;
    // B7-48: a second announcement says nothing new.
    if (graph.channelIndex(scidHi, scidLo) >= 0) return IGNORE.known;
    // B7-07: too far above the tip to wait for.
    const height = blockHeight?.();
    if (height !== undefined && scidBlock(scidHi) > height + EARLY_BLOCKS) return IGNORE.not_buried;
    return undefined;
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
    if ('bad_signature' in outcome) {
      this.#refuse(entry, CLOSE[SIGNATURE_REASONS[outcome.bad_signature] ?? 'bad_signature']);
    } else {
      this.#refuse(entry, outcome.bad_key < 2 ? CLOSE.bad_node_id : CLOSE.bad_bitcoin_key);
    }
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
      const now = clock.monotonicMs();
      for (const entry of this.#early) {
        const isBuried = this.#isBuried(entry);
        if (!isBuried && entry.earlyUntilMs > now) continue;
        this.#early.delete(entry);
        if (isBuried) this.#fund(entry);
        else this.#refuse(entry, IGNORE.not_buried);
      }
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
      case 'none':
        this.#desk.refused.remember(scidHi, scidLo);
        this.#refuse(entry, IGNORE.output_not_found);
        return;
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
        this.#refuse(entry, WARN.funding_script_mismatch);
        return;
      }
    }
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
    if (desk.refused.find(scidHi, scidLo) === 0) {
      this.#refuse(entry, IGNORE.recently_refused);
      return;
    }
    if (graph.channelCount >= MAX_CHANNELS) {
      this.#refuse(entry, IGNORE.room_full);
      return;
    }
    const offset = desk.commit({ kind: 'channel_announcement', raw, satoshis });
    if (offset === undefined) {
      this.#refuse(entry, IGNORE.overloaded);
      return;
    }
    entry.state = 'accepted';
    entry.removalsAtAccept = desk.removals;
    const { rival } = entry;
    const done = this.#leave(entry);
    desk.settle(ACCEPT, raw, origin, done, offset);
    this.#accepted(entry);
    if (rival !== undefined) desk.settle(IGNORE.known, rival.raw, rival.origin, undefined);
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
