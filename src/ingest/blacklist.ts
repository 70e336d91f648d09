/**
 * Nodes that claimed one funding output under different identities (B7-10, B7-11): for two days nothing of theirs is taken.
 *
 * channel_judge puts four nodes in when it has two announcements of one channel with different node ids and the same two
 * funding keys, all signatures of both good. Only the owners of the output together can sign that, and each named node has
 * signed too, so nobody can have another node listed. Kept in memory only: a restart forgives.
 * Bound: 4,096 nodes, each 33 bytes, a table slot and some 120 bytes of objects: 1 MB. When full the oldest is forgiven early.
 */
import { own, toHex } from '../base/bytes.ts';
import { NODE_ID_BYTES } from '../base/node_id.ts';
import type { Clock } from '../base/time.ts';
import { NodeTable } from './node_table.ts';

export const MAX_BLACKLISTED_NODES = 4096;
/** As long as LND bans a peer. */
export const BLACKLIST_MS = 172_800_000;

export class Blacklist {
  readonly #clock: Clock;
  /** By node, monotonic time of the end. */
  readonly #until = new NodeTable<number>();
  /** Hex of the node to its id, in order of their ends. */
  readonly #inOrder = new Map<string, Uint8Array>();
  /** Nodes ever listed. */
  added = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#until.size;
  }

  /** @param at index of the 33 bytes */
  has(bytes: Uint8Array, at: number): boolean {
    if (this.#until.size === 0) return false;
    const until = this.#until.get(bytes, at);
    if (until === undefined) return false;
    if (until > this.#clock.monotonicMs()) return true;
    this.#expire();
    return false;
  }

  /** The listed ids, 33 bytes each; borrowed. */
  forEach(visit: (nodeId: Uint8Array) => void): void {
    this.#expire();
    for (const id of this.#inOrder.values()) visit(id);
  }

  /** Copies the id. Listed again, the time starts anew. */
  add(bytes: Uint8Array, at: number): void {
    this.#expire();
    const id = own(bytes.subarray(at, at + NODE_ID_BYTES));
    const name = toHex(id);
    // Goes to the end of the order.
    if (!this.#inOrder.delete(name) && this.#inOrder.size >= MAX_BLACKLISTED_NODES) this.#dropOldest();
    this.#inOrder.set(name, id);
    this.#until.set(id, 0, this.#clock.monotonicMs() + BLACKLIST_MS);
    this.added++;
  }

  #expire(): void {
    const now = this.#clock.monotonicMs();
    for (const id of this.#inOrder.values()) {
      if ((this.#until.get(id, 0) ?? 0) > now) return;
      this.#dropOldest();
    }
  }

  #dropOldest(): void {
    for (const [name, id] of this.#inOrder) {
      this.#inOrder.delete(name);
      this.#until.delete(id, 0);
      return;
    }
  }
}
