/**
 * Remembers channels that were pruned for silence, so that peers' lists do not make us fetch them again and again (B7-42).
 *
 * A zombie comes back on proof that its nodes live: a channel_update not older than two weeks, signed by a node that was silent.
 * BOLT 7 prunes when either side is silent; so, as for LND, only a side that was silent can bring the channel back: were the other
 * side's word enough, a channel with one dead end would return at once. Where both were silent either may speak first. The nodes' keys
 * are kept for that check, because the announcement is gone. One that arrives meanwhile is parked here for a while, so that
 * whoever sends announcement and update, in this order, needs to be asked only once.
 * Bounds: MAX_ZOMBIES in two generations, of some 250 bytes (66 of keys, the array around them, table slots): 12.5 MB; MAX_PARKED
 * announcements of at most MAX_PARKED_BYTES together. When full: the older half, the oldest parked one goes.
 */
import { own } from '../base/bytes.ts';
import { NODE_ID_BYTES } from '../base/node_id.ts';
import { ScidTable } from './scid_table.ts';

/** All of today's network. */
export const MAX_ZOMBIES = 50_000;
export const MAX_PARKED = 1000;
/** Twice what a thousand usual ones take. */
export const MAX_PARKED_BYTES = 1024 * 1024;

export interface Zombie {
  /** 33 bytes of node_id_1, 33 of node_id_2. */
  readonly keys: Uint8Array;
  /** Bit 0: node 1 was silent; bit 1: node 2. */
  readonly silent: number;
}

export interface ParkedAnnouncement {
  /** Owned. */
  readonly raw: Uint8Array;
  readonly origin: number;
}

export class ZombieMemory {
  readonly #maxYoung: number;
  #young = new ScidTable<Zombie>();
  #old = new ScidTable<Zombie>();
  /** By scid, oldest first. */
  readonly #parked = new Map<string, ParkedAnnouncement>();
  #parkedBytes = 0;

  /** @param max see MAX_ZOMBIES; smaller in tests */
  constructor(max = MAX_ZOMBIES) {
    this.#maxYoung = max / 2;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get parked(): number {
    return this.#parked.size;
  }

  /** @param key1 @param key2 33 bytes; borrowed */
  remember(scidHi: number, scidLo: number, key1: Uint8Array, key2: Uint8Array, silent: number): void {
    if (this.#young.size >= this.#maxYoung) {
      this.#old = this.#young;
      this.#young = new ScidTable<Zombie>();
    }
    const keys = new Uint8Array(2 * NODE_ID_BYTES);
    keys.set(key1);
    keys.set(key2, NODE_ID_BYTES);
    this.#old.delete(scidHi, scidLo);
    this.#young.set(scidHi, scidLo, { keys, silent });
  }

  find(scidHi: number, scidLo: number): Zombie | undefined {
    if (this.#young.size === 0 && this.#old.size === 0) return undefined;
    return this.#young.get(scidHi, scidLo) ?? this.#old.get(scidHi, scidLo);
  }

  /** It lives, or its output is spent. Answers with the announcement that was parked. */
  forget(scidHi: number, scidLo: number): ParkedAnnouncement | undefined {
    this.#young.delete(scidHi, scidLo);
    this.#old.delete(scidHi, scidLo);
    const key = `${scidHi}.${scidLo}`;
    const parked = this.#parked.get(key);
    if (parked !== undefined) this.#drop(key, parked);
    return parked;
  }

  /** Keeps an announcement until its channel proves to live. One for each zombie: the latest. @param raw borrowed */
  park(scidHi: number, scidLo: number, raw: Uint8Array, origin: number): void {
    const key = `${scidHi}.${scidLo}`;
    const before = this.#parked.get(key);
    if (before !== undefined) this.#drop(key, before);
    this.#parked.set(key, { raw: own(raw), origin });
    this.#parkedBytes += raw.length;
    for (const [oldest, parked] of this.#parked) {
      if (this.#parked.size <= MAX_PARKED && this.#parkedBytes <= MAX_PARKED_BYTES) break;
      this.#drop(oldest, parked);
    }
  }

  #drop(key: string, parked: ParkedAnnouncement): void {
    this.#parked.delete(key);
    this.#parkedBytes -= parked.raw.length;
  }
}
