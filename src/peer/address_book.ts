/**
 * Addresses worth dialling and what became of each: a pure table with back-off; daemon/ fills it, feeds it with what
 * the network announces (announced_addresses.ts), and persists its snapshot.
 *
 * Bound: MAX_ADDRESSES entries of about 300 bytes (300 kB). When full, the entry that failed most and is oldest makes
 * room; pinned entries (from the configuration) never do. What is learned from gossip is the network's word, not ours:
 * at most MAX_LEARNED_PER_HOUR entries, MAX_LEARNED_PER_RANGE of them from one provider's network, and none in the
 * place of one that worked.
 */
import type { NodeId } from '../base/node_id.ts';
import type { Rng } from '../base/rng.ts';
import { hostRange } from './host_range.ts';
import type { PeerAddress } from './peer_address.ts';

export const MAX_ADDRESSES = 1_000;
/** A full turn of the book takes ten hours: a burst of announcements cannot replace it. */
export const MAX_LEARNED_PER_HOUR = 100;
/** Of one IPv4 /16 or IPv6 /32 in the whole book: 3 of 200 places, so that a provider's worth of nodes is not the book. */
export const MAX_LEARNED_PER_RANGE = 15;
const HOUR_MS = 3_600_000;
/** First retry after a failure; doubled each time. */
const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MAX_MS = 3_600_000;
/** Peers that the operator named are tried again at least this often. */
const BACKOFF_PINNED_MAX_MS = 60_000;
/** An announced address takes the place of a known one after so many failures. */
const FAILURES_TO_MOVE = 3;

/** Where an address came from. */
export const ADDRESS_SOURCES = ['config', 'remembered', 'dns_seed', 'built_in', 'gossip'] as const;
export type AddressSource = (typeof ADDRESS_SOURCES)[number];

export interface BookEntry extends PeerAddress {
  readonly pinned: boolean;
  readonly source: AddressSource;
  failures: number;
  /** Milliseconds since the epoch of the last good connection; 0 = never. */
  lastGoodMs: number;
  /** Not before this time, milliseconds since the epoch. */
  notBeforeMs: number;
  /** What it contributed when it was last connected, 0 to 100 (rotation.ts). */
  useful: number;
}

/** One line of peers.json. */
export interface SavedAddress {
  readonly node_id: NodeId;
  readonly host: string;
  readonly port: number;
  readonly last_good_ms: number;
  readonly useful: number;
  readonly source: AddressSource;
}

export class AddressBook {
  readonly #entries = new Map<NodeId, BookEntry>();
  readonly #rng: Rng;
  /** Times of what was learned within the last hour. */
  #learned: number[] = [];

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Entries of each source. */
  counts(): Readonly<Record<AddressSource, number>> {
    const counts = { config: 0, remembered: 0, dns_seed: 0, built_in: 0, gossip: 0 };
    for (const { source } of this.#entries.values()) counts[source]++;
    return counts;
  }

  isPinned(node: NodeId): boolean {
    return this.#entries.get(node)?.pinned ?? false;
  }

  /** Adds or updates the address of a node; a pinned one stays pinned. */
  add(address: PeerAddress, pinned = false, source: AddressSource = pinned ? 'config' : 'built_in'): void {
    const before = this.#entries.get(address.node_id);
    if (before !== undefined) {
      if (before.pinned && !pinned) return;
      if (before.host === address.host && before.port === address.port && before.pinned === pinned) return;
    } else if (this.#entries.size >= MAX_ADDRESSES && !this.#makeRoom(true)) return;
    this.#put(address, pinned, source, before);
  }

  /** Adds one that worked before a restart, with what was known of it. */
  remember({ node_id, host, port, last_good_ms, useful, source }: SavedAddress): void {
    if (this.#entries.has(node_id)) return;
    this.add({ node_id, host, port }, false, source === 'config' ? 'remembered' : source);
    const entry = this.#entries.get(node_id);
    if (entry === undefined) return;
    entry.lastGoodMs = last_good_ms;
    entry.useful = useful;
  }

  /** Takes addresses that nodes announced themselves, as far as the bounds allow; returns how many were new. */
  learn(addresses: readonly PeerAddress[], nowMs: number): number {
    this.#learned = this.#learned.filter((atMs) => nowMs - atMs < HOUR_MS && atMs <= nowMs);
    const crowd = new Map<string, number>();
    for (const { host, source } of this.#entries.values()) {
      const wide = hostRange(host)?.wide;
      if (source === 'gossip' && wide !== undefined) crowd.set(wide, (crowd.get(wide) ?? 0) + 1);
    }
    let added = 0;
    for (const address of addresses) {
      if (this.#learned.length >= MAX_LEARNED_PER_HOUR) break;
      const wide = hostRange(address.host)?.wide;
      if (wide === undefined || (crowd.get(wide) ?? 0) >= MAX_LEARNED_PER_RANGE) continue;
      const before = this.#entries.get(address.node_id);
      if (before !== undefined) {
        const same = before.host === address.host && before.port === address.port;
        if (same || before.pinned || before.failures < FAILURES_TO_MOVE) continue;
      } else if (this.#entries.size >= MAX_ADDRESSES && !this.#makeRoom(false)) break;
      this.#put(address, false, 'gossip', before);
      crowd.set(wide, (crowd.get(wide) ?? 0) + 1);
      this.#learned.push(nowMs);
      added++;
    }
    return added;
  }

  /** Entries that may be dialled now: pinned first, then those that worked and were of use, otherwise in random order. */
  due(nowMs: number): BookEntry[] {
    const ready = [...this.#entries.values()].filter((entry) => entry.notBeforeMs <= nowMs);
    const rank = new Map(ready.map((entry) => [entry, this.#rng.fraction()]));
    const score = (entry: BookEntry): number =>
      (entry.pinned ? 5 : 0) +
      (entry.lastGoodMs > 0 ? 2 : 0) +
      entry.useful / 100 -
      Math.min(entry.failures, 10) +
      (rank.get(entry) ?? 0);
    return ready.sort((left, right) => score(right) - score(left));
  }

  /** All entries, in no order; borrowed. */
  entries(): Iterable<Readonly<BookEntry>> {
    return this.#entries.values();
  }

  succeeded(node: NodeId, nowMs: number): void {
    const entry = this.#entries.get(node);
    if (entry === undefined) return;
    entry.failures = 0;
    entry.lastGoodMs = nowMs;
    entry.notBeforeMs = nowMs + BACKOFF_FIRST_MS;
  }

  /** Doubles the wait, with jitter of half to one and a half, so that peers are not all dialled in step. */
  failed(node: NodeId, nowMs: number): void {
    const entry = this.#entries.get(node);
    if (entry === undefined) return;
    const most = entry.pinned ? BACKOFF_PINNED_MAX_MS : BACKOFF_MAX_MS;
    const wait = Math.min(BACKOFF_FIRST_MS * 2 ** Math.min(entry.failures, 20), most);
    entry.failures++;
    entry.notBeforeMs = nowMs + wait * (0.5 + this.#rng.fraction());
  }

  /** It gave its place to another: not dialled for a while, which is no failure. */
  rest(node: NodeId, nowMs: number, forMs: number): void {
    const entry = this.#entries.get(node);
    if (entry !== undefined) entry.notBeforeMs = Math.max(entry.notBeforeMs, nowMs + forMs);
  }

  /** @param useful 0 to 100, what it contributed */
  rate(node: NodeId, useful: number): void {
    const entry = this.#entries.get(node);
    if (entry !== undefined) entry.useful = Math.max(0, Math.min(100, useful));
  }

  /** Entries worth keeping over a restart: those that worked once, newest first. */
  snapshot(): SavedAddress[] {
    return [...this.#entries.values()]
      .filter((entry) => entry.lastGoodMs > 0)
      .sort((left, right) => right.lastGoodMs - left.lastGoodMs)
      .map(({ node_id, host, port, lastGoodMs, useful, source }) => ({
        ...{ node_id, host, port, source },
        last_good_ms: lastGoodMs,
        useful: Math.round(useful),
      }));
  }

  #put(address: PeerAddress, pinned: boolean, source: AddressSource, before: BookEntry | undefined): void {
    const { node_id, host, port } = address;
    this.#entries.set(node_id, {
      ...{ node_id, host, port, pinned, source },
      failures: 0,
      lastGoodMs: before?.lastGoodMs ?? 0,
      notBeforeMs: 0,
      useful: before?.useful ?? 0,
    });
  }

  /** @param mayForgetGood whether one that worked once may go */
  #makeRoom(mayForgetGood: boolean): boolean {
    let worst: BookEntry | undefined;
    for (const entry of this.#entries.values()) {
      if (entry.pinned || (!mayForgetGood && entry.lastGoodMs > 0)) continue;
      const worse =
        worst === undefined ||
        entry.failures > worst.failures ||
        (entry.failures === worst.failures && entry.lastGoodMs < worst.lastGoodMs);
      if (worse) worst = entry;
    }
    return worst !== undefined && this.#entries.delete(worst.node_id);
  }
}
