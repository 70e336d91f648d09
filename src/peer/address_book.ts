/**
 * Addresses worth dialling and what became of each: a pure table with back-off; daemon/ persists its snapshot.
 *
 * Bound: MAX_ADDRESSES entries of about 200 bytes (200 kB). When full, the entry that failed most and is oldest makes room;
 * pinned entries (from the configuration) never do.
 */
import type { NodeId } from '../base/node_id.ts';
import type { Rng } from '../base/rng.ts';
import type { PeerAddress } from './peer_address.ts';

export const MAX_ADDRESSES = 1_000;
/** First retry after a failure; doubled each time. */
const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MAX_MS = 3_600_000;
/** Peers that the operator named are tried again at least this often. */
const BACKOFF_PINNED_MAX_MS = 60_000;

export interface BookEntry extends PeerAddress {
  readonly pinned: boolean;
  failures: number;
  /** Milliseconds since the epoch of the last good connection; 0 = never. */
  lastGoodMs: number;
  /** Not before this time, milliseconds since the epoch. */
  notBeforeMs: number;
}

export class AddressBook {
  readonly #entries = new Map<NodeId, BookEntry>();
  readonly #rng: Rng;

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Adds or updates the address of a node; a pinned one stays pinned. */
  add(address: PeerAddress, pinned = false): void {
    const before = this.#entries.get(address.node_id);
    if (before !== undefined) {
      if (before.pinned && !pinned) return;
      if (before.host === address.host && before.port === address.port && before.pinned === pinned) return;
    } else if (this.#entries.size >= MAX_ADDRESSES && !this.#makeRoom()) return;
    this.#entries.set(address.node_id, {
      node_id: address.node_id,
      host: address.host,
      port: address.port,
      pinned,
      failures: 0,
      lastGoodMs: before?.lastGoodMs ?? 0,
      notBeforeMs: 0,
    });
  }

  /** Entries that may be dialled now: pinned first, then those that worked before, otherwise in random order. */
  due(nowMs: number): BookEntry[] {
    const ready = [...this.#entries.values()].filter((entry) => entry.notBeforeMs <= nowMs);
    const rank = new Map(ready.map((entry) => [entry, this.#rng.fraction()]));
    const score = (entry: BookEntry): number =>
      (entry.pinned ? 4 : 0) +
      (entry.lastGoodMs > 0 ? 2 : 0) -
      Math.min(entry.failures, 10) +
      (rank.get(entry) ?? 0);
    return ready.sort((left, right) => score(right) - score(left));
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

  /** Entries worth keeping over a restart: those that worked once, newest first. */
  snapshot(): { node_id: NodeId; host: string; port: number; last_good_ms: number }[] {
    return [...this.#entries.values()]
      .filter((entry) => entry.lastGoodMs > 0)
      .sort((left, right) => right.lastGoodMs - left.lastGoodMs)
      .map(({ node_id, host, port, lastGoodMs }) => ({ node_id, host, port, last_good_ms: lastGoodMs }));
  }

  #makeRoom(): boolean {
    let worst: BookEntry | undefined;
    for (const entry of this.#entries.values()) {
      if (entry.pinned) continue;
      const worse =
        worst === undefined ||
        entry.failures > worst.failures ||
        (entry.failures === worst.failures && entry.lastGoodMs < worst.lastGoodMs);
      if (worse) worst = entry;
    }
    return worst !== undefined && this.#entries.delete(worst.node_id);
  }
}
