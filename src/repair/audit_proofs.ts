/**
 * The levels `signature` and `chain`: a second pass over the file that proves, message by message, what the first pass kept.
 *
 * audit hands in the tables of the first pass; only records that are live there and stay are looked at, so each is judged
 * once. A channel_announcement has four signatures (B7-02), an update the one of its direction’s node (B7-29), a
 * node_announcement its own (B7-16). At the level `chain` the funding output of each announcement must exist, be unspent and have the
 * script that the two bitcoin keys make. Bounds: MAX_WAITING signatures and MAX_LOOKUPS questions under way; memory does
 * not grow with the file. Outcomes may come in any order; the set of findings does not depend on it.
 */
import { bytesEqual } from '../base/bytes.ts';
import { NODE_ID_BYTES } from '../base/node_id.ts';
import { scidFromHalves } from '../base/short_channel_id.ts';
import type { UtxoLookup, UtxoResult } from '../chain/utxo_lookup.ts';
import { fundingScriptPubkey } from '../crypto/funding_script.ts';
import type { SignatureChecker } from '../crypto/inline_checker.ts';
import type { CheckOutcome } from '../crypto/signature_check.ts';
import { SalvageReader } from '../store/salvage_reader.ts';
import type { StoreFile } from '../store/store_file.ts';
import type { StoreFormat } from '../store/versions.ts';
import {
  channelAnnouncementBitcoinKey1At,
  channelAnnouncementBitcoinKey2At,
  channelAnnouncementNodeId1At,
  channelAnnouncementScidHi,
  channelAnnouncementScidLo,
} from '../wire/channel_announcement.ts';
import { channelUpdateDirection } from '../wire/channel_update.ts';
import { nodeAnnouncementNodeIdAt } from '../wire/node_announcement.ts';
import type { StoreRecord } from '../wire/store_record.ts';
import type { OrderRules } from './audit_order.ts';
import { emptyContent, type RecordContent, readContent } from './record_content.ts';
import { PIECE_BYTES, type Task } from './task.ts';

/** Signatures handed over and not answered: enough to keep every core busy, about 1 MB of copies. */
const MAX_WAITING = 8192;
const MAX_LOOKUPS = 64;

const SIGNATURE_NAMES = [
  'node_signature_1',
  'node_signature_2',
  'bitcoin_signature_1',
  'bitcoin_signature_2',
];

/** The n-th of t parts of the records; n from 1. */
export interface Subset {
  readonly part: number;
  readonly of: number;
}

export interface ProofOptions {
  readonly file: StoreFile;
  readonly format: StoreFormat;
  readonly limit: number;
  readonly restoreBits: boolean;
  readonly task: Task;
  readonly order: OrderRules;
  readonly verify: SignatureChecker;
  /** Level `chain`. */
  readonly utxo: UtxoLookup | undefined;
  readonly subset: Subset | undefined;
}

export interface ProofResult {
  readonly signatures_checked: number;
  readonly outputs_checked: number;
  /** Outputs about which the backend could not tell. */
  readonly outputs_unknown: number;
  /** Why the pass was stopped before its end. */
  readonly cancelled: 'interrupted' | 'max_duration' | undefined;
}

/** Reports what does not hold to the order rules, which leave it out. Throws what the disk throws. */
export const checkProofs = (options: ProofOptions): Promise<ProofResult> => new ProofPass(options).run();

class ProofPass {
  readonly #options: ProofOptions;
  readonly #content: RecordContent = emptyContent();
  readonly #lookups = new Set<Promise<void>>();
  readonly #aborter = new AbortController();
  #wake: (() => void) | undefined;
  #waiting = 0;
  #records = 0;
  #signatures = 0;
  #outputs = 0;
  #outputsUnknown = 0;

  constructor(options: ProofOptions) {
    this.#options = options;
  }

  async run(): Promise<ProofResult> {
    const { file, format, limit, restoreBits, task } = this.#options;
    const reader = new SalvageReader(file, { format, limit, restoreBits });
    let breathed = 0;
    let cancelled: ProofResult['cancelled'];
    for (;;) {
      const step = reader.next();
      if (step === 'end') break;
      cancelled = task.cancelled();
      if (cancelled !== undefined) break;
      if (step === 'live') this.#judge(reader.record, reader.position);
      if (this.#waiting > MAX_WAITING) await this.#answers(MAX_WAITING / 2);
      if (this.#lookups.size > MAX_LOOKUPS) await Promise.race(this.#lookups);
      if (reader.end - breathed >= PIECE_BYTES / 8) {
        task.progress('proving', reader.end, limit);
        await task.breathe(reader.end - breathed);
        breathed = reader.end;
      }
    }
    this.#options.verify.flush();
    await this.#answers(0);
    if (cancelled !== undefined) this.#aborter.abort();
    await Promise.all(this.#lookups);
    return {
      signatures_checked: this.#signatures,
      outputs_checked: this.#outputs,
      outputs_unknown: this.#outputsUnknown,
      cancelled,
    };
  }

  #judge(record: StoreRecord, position: number): void {
    const content = this.#content;
    readContent(record, content);
    switch (content.kind) {
      case 'announcement':
        this.#announcement(record, position);
        return;
      case 'update':
        this.#update(record, position);
        return;
      case 'node':
        this.#node(record, position);
        return;
      case 'amount':
      case 'delete_chan':
      case 'chan_dying':
      case 'ended':
      case 'uuid':
      case 'private_channel':
      case 'private_update':
      case 'other':
        return;
    }
  }

  #announcement(record: StoreRecord, position: number): void {
    const { order } = this.#options;
    const { bytes } = record;
    const { at, scidAt } = this.#content;
    const channel = order.channels.scids.find(bytes, scidAt);
    if (channel < 0 || order.channels.announcement.at(channel) !== position) return;
    const reason = order.dropReason(channel);
    // What this pass itself leaves out does not count: the findings must not depend on which answer comes first.
    if (reason !== undefined && reason !== 'GS-BAD-SIG' && reason !== 'GS-NOT-ON-CHAIN') return;
    if (!this.#isInSubset()) return;
    const { utxo } = this.#options;
    const keysAt = channelAnnouncementNodeId1At(bytes, at);
    const bad = (why: string): void =>
      order.dropChannel(channel, 'GS-BAD-SIG', `of this channel_announcement, ${why}`);
    if (utxo === undefined) {
      this.#check(record, 4, bytes, keysAt, bad);
      return;
    }
    const script = fundingScriptPubkey(
      bytes,
      channelAnnouncementBitcoinKey1At(bytes, at),
      channelAnnouncementBitcoinKey2At(bytes, at),
    );
    const scid = scidFromHalves(channelAnnouncementScidHi(bytes, at), channelAnnouncementScidLo(bytes, at));
    // Only after its signatures, so that what is wrong with both has one id whichever answer comes first.
    this.#check(record, 4, bytes, keysAt, bad, () => {
      const lookup = utxo.lookup(scid, this.#aborter.signal).then((result) => {
        this.#lookups.delete(lookup);
        this.#funding(channel, script, result);
      });
      this.#lookups.add(lookup);
    });
  }

  #funding(channel: number, script: Uint8Array, result: UtxoResult): void {
    const { order } = this.#options;
    switch (result.found) {
      case 'unavailable':
        this.#outputsUnknown++;
        return;
      case 'none':
        this.#outputs++;
        order.dropChannel(channel, 'GS-NOT-ON-CHAIN', 'its funding output does not exist, or is spent');
        return;
      case 'unspent':
        this.#outputs++;
        if (bytesEqual(script, result.script)) return;
        order.dropChannel(channel, 'GS-NOT-ON-CHAIN', 'its funding output belongs to other keys');
        return;
    }
  }

  #update(record: StoreRecord, position: number): void {
    const { order } = this.#options;
    const { bytes } = record;
    const channel = order.channels.scids.find(bytes, this.#content.scidAt);
    if (channel < 0) return;
    const direction = channelUpdateDirection(bytes, this.#content.at);
    if (order.channels.updates[direction].at(channel) !== position) return;
    const node = order.channels[direction === 0 ? 'node1' : 'node2'].get(channel) - 1;
    // Without its announcement nobody can tell whose signature it should be.
    if (node < 0 || order.channels.announcement.at(channel) === 0 || !this.#isInSubset()) return;
    this.#check(record, 1, order.nodes.ids.keys, node * NODE_ID_BYTES, (why) =>
      order.dropUpdateOf(channel, direction, 'GS-BAD-SIG', `of this channel_update, ${why}`),
    );
  }

  #node(record: StoreRecord, position: number): void {
    const { order } = this.#options;
    const keyAt = nodeAnnouncementNodeIdAt(record.bytes, this.#content.at);
    const node = order.nodes.ids.find(record.bytes, keyAt);
    if (node < 0 || order.nodes.announcement.at(node) !== position || !this.#isInSubset()) return;
    this.#check(record, 1, record.bytes, keyAt, (why) =>
      order.dropNode(node, 'GS-BAD-SIG', `of this node_announcement, ${why}`),
    );
  }

  #isInSubset(): boolean {
    const { subset } = this.#options;
    return subset === undefined || this.#records++ % subset.of === subset.part - 1;
  }

  #check(
    record: StoreRecord,
    count: number,
    keys: Uint8Array,
    keysAt: number,
    bad: (why: string) => void,
    good?: () => void,
  ): void {
    const { at, length } = this.#content;
    this.#waiting += count;
    this.#signatures += count;
    this.#options.verify.check(record.bytes.subarray(at, at + length), count, keys, keysAt, (outcome) => {
      this.#waiting -= count;
      if (outcome !== 'valid') bad(outcomeText(outcome, count));
      else good?.();
      this.#wake?.();
    });
  }

  /** Resolves when no more than `left` signatures are under way. */
  async #answers(left: number): Promise<void> {
    while (this.#waiting > left) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#wake = undefined;
  }
}

const outcomeText = (outcome: Exclude<CheckOutcome, 'valid'>, count: number): string => {
  if ('bad_key' in outcome) return 'a key is no point of the curve';
  const name = count === 1 ? 'the signature' : SIGNATURE_NAMES[outcome.bad_signature];
  return `${name} is wrong`;
};
