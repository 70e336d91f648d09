/**
 * A bounded room for messages that came before what they need: updates before their channel, nodes before any channel of theirs.
 *
 * The judges put copies in under a key and take them out when the key's channel or node is accepted. What is in here may
 * be forged, so a forger must not be able to displace: a key keeps up to three messages, one per origin; an origin keeps at most
 * a quarter of the room, in messages and in bytes; the oldest leaves when the room is full; everybody leaves after ten minutes.
 * A message whose signature has been checked displaces older ones of its key.
 */
import { bytesEqual } from '../base/bytes.ts';
import type { Clock } from '../base/time.ts';

export const HELD_EXPIRY_MS = 600_000;
export const MAX_HELD_PER_KEY = 3;
/** An origin's part of the room: one in so many. */
const ORIGIN_SHARE = 4;

export interface Held {
  readonly key: string;
  /** Owned. */
  readonly raw: Uint8Array;
  readonly origin: number;
  /** The message's own, Unix seconds. */
  readonly timestamp: number;
  /** Its signature is known to be good, whatever happens outside. */
  isVerified: boolean;
  dueMs: number;
}

export type Departure = 'expired' | 'evicted' | 'superseded';
export type Admission = 'held' | 'duplicate' | 'older' | 'full';

export interface WaitingRoomOptions {
  readonly clock: Clock;
  readonly maxEntries: number;
  readonly maxBytes: number;
  /** Told of everyone that leaves without having been taken. */
  readonly left: (held: Held, why: Departure) => void;
}

export class WaitingRoom {
  readonly #options: WaitingRoomOptions;
  readonly #byKey = new Map<string, Held[]>();
  /** In order of arrival, oldest first. */
  readonly #byAge = new Set<Held>();
  readonly #origins = new Map<number, { entries: number; bytes: number }>();
  #bytes = 0;
  #cancelTimer: (() => void) | undefined;

  constructor(options: WaitingRoomOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byAge.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @param raw owned by the room from here on */
  put(key: string, raw: Uint8Array, origin: number, timestamp: number, isVerified: boolean): Admission {
    const refusal = this.#meet(key, raw, origin, timestamp, isVerified);
    if (refusal !== undefined) return refusal;
    if (this.#isOverShare(origin, raw.length)) return 'full';
    while (
      this.#byAge.size >= this.#options.maxEntries ||
      this.#bytes + raw.length > this.#options.maxBytes
    ) {
      const [oldest] = this.#byAge;
      if (oldest === undefined) return 'full';
      this.#leave(oldest, 'evicted');
    }
    const dueMs = this.#options.clock.monotonicMs() + HELD_EXPIRY_MS;
    const held: Held = { key, raw, origin, timestamp, isVerified, dueMs };
    const sameKey = this.#byKey.get(key);
    if (sameKey === undefined) this.#byKey.set(key, [held]);
    else sameKey.push(held);
    this.#byAge.add(held);
    this.#bytes += raw.length;
    const share = this.#origins.get(origin) ?? { entries: 0, bytes: 0 };
    share.entries++;
    share.bytes += raw.length;
    this.#origins.set(origin, share);
    this.#arm();
    return 'held';
  }

  /** Everyone under the key, newest timestamp first; they are no longer in the room. */
  take(key: string): Held[] {
    const taken = this.#byKey.get(key);
    if (taken === undefined) return [];
    const copy = [...taken];
    for (const held of copy) this.#forget(held);
    return copy.sort((left, right) => right.timestamp - left.timestamp);
  }

  close(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  /** Compares the newcomer with those under its key; undefined when it may come in. */
  #meet(
    key: string,
    raw: Uint8Array,
    origin: number,
    timestamp: number,
    isVerified: boolean,
  ): Admission | undefined {
    const sameKey = this.#byKey.get(key);
    if (sameKey === undefined) return undefined;
    for (const held of [...sameKey]) {
      if (bytesEqual(held.raw, raw)) {
        held.isVerified ||= isVerified;
        return 'duplicate';
      }
      if (held.isVerified && held.timestamp >= timestamp) return 'older';
      if (isVerified && held.timestamp <= timestamp) this.#leave(held, 'superseded');
      else if (held.origin === origin && !held.isVerified && !isVerified) {
        if (held.timestamp >= timestamp) return 'older';
        this.#leave(held, 'superseded');
      }
    }
    return sameKey.length >= MAX_HELD_PER_KEY ? 'full' : undefined;
  }

  #isOverShare(origin: number, bytes: number): boolean {
    const share = this.#origins.get(origin);
    if (share === undefined || origin === 0) return false;
    const { maxEntries, maxBytes } = this.#options;
    return share.entries * ORIGIN_SHARE >= maxEntries || (share.bytes + bytes) * ORIGIN_SHARE > maxBytes;
  }

  #leave(held: Held, why: Departure): void {
    this.#forget(held);
    this.#options.left(held, why);
  }

  #forget(held: Held): void {
    this.#byAge.delete(held);
    this.#bytes -= held.raw.length;
    const sameKey = this.#byKey.get(held.key);
    if (sameKey !== undefined) {
      sameKey.splice(sameKey.indexOf(held), 1);
      if (sameKey.length === 0) this.#byKey.delete(held.key);
    }
    const share = this.#origins.get(held.origin);
    if (share === undefined) return;
    share.entries--;
    share.bytes -= held.raw.length;
    if (share.entries === 0) this.#origins.delete(held.origin);
  }

  /** One timer for the room, set to the oldest's due time. */
  #arm(): void {
    if (this.#cancelTimer !== undefined) return;
    const [oldest] = this.#byAge;
    if (oldest === undefined) return;
    const { clock } = this.#options;
    this.#cancelTimer = clock.after(Math.max(0, oldest.dueMs - clock.monotonicMs()), () => {
      this.#cancelTimer = undefined;
      const now = clock.monotonicMs();
      for (const held of this.#byAge) {
        if (held.dueMs > now) break;
        this.#leave(held, 'expired');
      }
      this.#arm();
    });
  }
}
