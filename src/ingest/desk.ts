/**
 * The desk that the three judges of ingest/ share: it gives verdicts and counts them, knows what is under check, remembers
 * what was refused, and is the only place that mints `Accepted` and hands it to the store.
 *
 * Bounds: at most 16,384 messages and 64 MiB of them under check (a message has at most 64 KiB; a full first sync runs at
 * some 430 bytes each, 7 MB); above that offers are `overloaded`. Peers are expected to stop reading at BACKLOG_PAUSE, well below.
 */
import { readU32 } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import { sha256 } from '../crypto/hash.ts';
import { type AcceptedContent, mintAccepted } from '../store/accepted.ts';
import type { StoreOffset, StoreRecord } from '../wire/store_record.ts';
import { Blacklist } from './blacklist.ts';
import { ClosedMemory } from './closed_memory.ts';
import { Contributions } from './contributions.ts';
import { Lint } from './lint.ts';
import type { Done, IngestPorts, VerdictListener } from './ports.ts';
import { RefusedMemory } from './refused_memory.ts';
import { UselessBudget } from './useless_budget.ts';
import { CLOSE, REASON_CODES, type ReasonCode, type Verdict } from './verdict.ts';
import { ZombieMemory } from './zombie_memory.ts';

/** Offers without a verdict at which peer/ stops reading, and at which it goes on. */
export const BACKLOG_PAUSE = 4096;
export const BACKLOG_RESUME = 1024;
/** Four times the pause, because what every peer has already buffered still arrives. */
export const MAX_BACKLOG_MESSAGES = 16_384;
export const MAX_BACKLOG_BYTES = 64 * 1024 * 1024;

export class Desk {
  readonly ports: IngestPorts;
  readonly budget: UselessBudget;
  /** short_channel_ids without a usable output: mark 0 refuses all, another mark only the announcement with those keys. */
  readonly refused: RefusedMemory;
  /** short_channel_ids whose output is known to be spent or never to have been; for longer than `refused`. */
  readonly closed = new ClosedMemory();
  /** Channels that were pruned for silence. */
  readonly zombies = new ZombieMemory();
  readonly counts: Record<ReasonCode, number>;
  readonly contributions = new Contributions();
  readonly blacklist: Blacklist;
  readonly lint: Lint;
  signaturesChecked = 0;
  /** Grows with every channel that leaves the graph: a channel found before is still the same one while this stands still. */
  removals = 0;
  isClosed = false;
  onVerdict: VerdictListener | undefined;
  #backlog = 0;
  #backlogBytes = 0;
  /** First 64 bits of the hash of messages with bad signatures. */
  readonly #badMessages: RefusedMemory;
  readonly #apply: (record: StoreRecord) => void;

  constructor(ports: IngestPorts) {
    this.ports = ports;
    this.budget = new UselessBudget(ports.clock);
    this.refused = new RefusedMemory(ports.clock);
    this.#badMessages = new RefusedMemory(ports.clock);
    this.blacklist = new Blacklist(ports.clock);
    this.lint = new Lint(ports.meter);
    this.counts = Object.fromEntries(REASON_CODES.map((reason) => [reason, 0])) as Record<ReasonCode, number>;
    this.#apply = (record) => ports.graph.apply(record);
  }

  get backlog(): number {
    return this.#backlog;
  }

  get canStore(): boolean {
    return this.ports.store.writable !== false;
  }

  /** Q-04, B7-05: its output was looked for in vain, or is spent, or it has left: nothing of it is worth a check. */
  isRefused(scidHi: number, scidLo: number): boolean {
    return this.refused.find(scidHi, scidLo) === 0 || this.closed.has(scidHi, scidLo);
  }

  /** Gives a verdict. A broken rule costs the origin one unit of its budget; when that is spent it is told to go. */
  settle(
    given: Verdict,
    raw: Uint8Array,
    origin: number,
    done: Done | undefined,
    offset?: StoreOffset | undefined,
  ): void {
    const isBroken = given.action === 'warn' || given.action === 'close';
    const verdict = isBroken && !this.budget.charge(origin) ? CLOSE.budget_exceeded : given;
    this.counts[verdict.reason]++;
    this.ports.meter.count('gossipd_gossip_verdicts_total', verdict.reason);
    this.contributions.settled(verdict, origin, raw.length);
    this.onVerdict?.(verdict, raw, origin, offset);
    done?.(verdict);
  }

  /** What a verdict becomes that costs its origin more than nothing: when the budget does not suffice the origin is told to go. */
  charged(given: Verdict, origin: number, cost: number): Verdict {
    return this.budget.charge(origin, cost) ? given : CLOSE.budget_exceeded;
  }

  /** Whether one more message of this size may go under check. */
  hasRoom(bytes: number): boolean {
    return this.#backlog < MAX_BACKLOG_MESSAGES && this.#backlogBytes + bytes <= MAX_BACKLOG_BYTES;
  }

  begin(bytes: number): void {
    this.#backlog++;
    this.#backlogBytes += bytes;
  }

  end(bytes: number): void {
    this.#backlog--;
    this.#backlogBytes -= bytes;
  }

  /** True if exactly these bytes were found badly signed before; costs a hash only once something has been. */
  wasBad(raw: Uint8Array): boolean {
    if (this.#badMessages.size === 0) return false;
    const digest = sha256(raw);
    return this.#badMessages.find(readU32(digest, 0), readU32(digest, 4)) !== undefined;
  }

  rememberBad(raw: Uint8Array): void {
    const digest = sha256(raw);
    this.#badMessages.remember(readU32(digest, 0), readU32(digest, 4));
  }

  /** Stores and applies; undefined when the store takes nothing now. */
  commit(content: AcceptedContent): StoreOffset | undefined {
    if (!this.canStore) return undefined;
    try {
      const offset = this.ports.store.append(mintAccepted(content), this.#apply);
      return offset === 0 ? undefined : offset;
    } catch (error) {
      // The store logs and degrades by itself; here the message is merely not accepted.
      if (error instanceof OperationalError) return undefined;
      throw error;
    }
  }
}
