/**
 * Who misbehaved, how much of it is still held against them, and who is banned until when. PeerSet charges it by the table in
 * misbehaviour.ts, asks before it lets in or dials, and daemon/ keeps its snapshot in peers.json.
 *
 * Points count three times: for the node id, for the address, for its neighbourhood (host_range.ts). Node ids are free,
 * so the address is what stops somebody who makes new ones; its threshold is four times as high, since a household, an
 * exit or a NAT is one address for several honest nodes. A whole /24 or /48 is banned at ten times the points of a
 * node, which one address cannot reach alone, because it is banned itself at four. Addresses that strangers share
 * (loopback, Tor, private) are never charged.
 * Points halve every HALF_LIFE_MS. A ban lasts BAN_FIRST_MS, four times as long each time, at most BAN_MAX_MS (lnd's 48
 * hours).
 * Bound: MAX_CHARGED entries of each of the three kinds; among the 16 longest untouched the least guilty makes room.
 */
import type { Meter } from '../base/meter.ts';
import { type NodeId, parseNodeId } from '../base/node_id.ts';
import type { Clock } from '../base/time.ts';
import { hostRange } from './host_range.ts';

/** Of node ids, of addresses, of neighbourhoods: 3 x 4,000 x about 250 bytes = 3 MB. */
export const MAX_CHARGED = 4_000;
export const HALF_LIFE_MS = 6 * 3_600_000;
export const BAN_FIRST_MS = 3_600_000;
export const BAN_MAX_MS = 48 * 3_600_000;
/** Points that ban. */
export const BAN_AT = { node: 100, address: 400, range: 1_000 } as const;
/** So long after its end a ban still makes the next one longer. */
const REMEMBERED_MS = 7 * 24 * 3_600_000;
/** Looked at when a table is full. */
const OLDEST_LOOKED_AT = 16;

export type BanKind = keyof typeof BAN_AT;

export interface Ban {
  readonly kind: BanKind;
  /** A node id, an address (IPv6: its /64), or a range as `203.0.113.0/24`. */
  readonly key: string;
  /** The reason that was charged last. */
  readonly reason: string;
  /** Milliseconds since the epoch. */
  readonly until_ms: number;
  /** How often it was banned, this one included. */
  readonly bans: number;
}

interface Held {
  points: number;
  /** When `points` were right. */
  atMs: number;
  untilMs: number;
  bans: number;
  reason: string;
}

const KINDS: readonly BanKind[] = ['node', 'address', 'range'];
const halved = (points: number, elapsedMs: number): number =>
  points * 0.5 ** (Math.max(0, elapsedMs) / HALF_LIFE_MS);

export class BanList {
  readonly #clock: Clock;
  readonly #meter: Meter;
  /** In the order of their last charge. */
  readonly #tables: Readonly<Record<BanKind, Map<string, Held>>> = {
    node: new Map(),
    address: new Map(),
    range: new Map(),
  };

  constructor({ clock, meter }: { readonly clock: Clock; readonly meter: Meter }) {
    this.#clock = clock;
    this.#meter = meter;
  }

  /** Entries of all kinds. */
  get size(): number {
    return KINDS.reduce((sum, kind) => sum + this.#tables[kind].size, 0);
  }

  /**
   * Adds points to whoever is known: the node id once its key is proven, the address unless strangers share it.
   * @param host as the socket has it @param reason one of misbehaviour.ts, for status
   */
  charge(nodeId: NodeId | undefined, host: string, points: number, reason: string): 'ok' | 'banned' {
    const keys = this.#keysOf(nodeId, host);
    if (points > 0) {
      this.#meter.count('gossipd_misbehaviour_points_total', reason, points);
      // What a banned address still does over connections that it has counts no more against its neighbours.
      const barred = keys.some(([kind, key]) => kind === 'address' && this.#banned(kind, key));
      for (const [kind, key] of keys) if (!barred || kind === 'node') this.#add(kind, key, points, reason);
    }
    return keys.some(([kind, key]) => this.#banned(kind, key)) ? 'banned' : 'ok';
  }

  isNodeBanned(nodeId: NodeId): boolean {
    return this.#banned('node', nodeId);
  }

  /** Whether the address or its neighbourhood is. */
  isHostBanned(host: string): boolean {
    return this.#keysOf(undefined, host).some(([kind, key]) => this.#banned(kind, key));
  }

  /** Bans in force, the longest first. */
  list(): Ban[] {
    const now = this.#clock.nowMs();
    return KINDS.flatMap((kind) =>
      [...this.#tables[kind]]
        .filter(([, record]) => record.untilMs > now)
        .map(([key, { reason, untilMs, bans }]) => ({ kind, key, reason, until_ms: untilMs, bans })),
    ).sort((left, right) => right.until_ms - left.until_ms);
  }

  /** Forgets everything about a node id, an address or a range as `list` names it; false when nothing was known. */
  unban(key: string): boolean {
    return KINDS.map((kind) => this.#tables[kind].delete(key)).includes(true);
  }

  /** Bans in force and those that still count for the next one. */
  snapshot(): Ban[] {
    const now = this.#clock.nowMs();
    return KINDS.flatMap((kind) =>
      [...this.#tables[kind]]
        .filter(([, record]) => record.bans > 0 && record.untilMs + REMEMBERED_MS > now)
        .map(([key, { reason, untilMs, bans }]) => ({ kind, key, reason, until_ms: untilMs, bans })),
    );
  }

  /** Takes what `snapshot` gave, as read from a file: entries that are none are left out, times too far off are cut. */
  restore(entries: readonly unknown[]): void {
    const now = this.#clock.nowMs();
    for (const entry of entries.slice(0, KINDS.length * MAX_CHARGED)) {
      const ban = banOf(entry);
      if (ban === undefined || ban.until_ms + REMEMBERED_MS <= now) continue;
      this.#makeRoom(this.#tables[ban.kind]);
      this.#tables[ban.kind].set(ban.key, {
        points: 0,
        atMs: now,
        untilMs: Math.min(ban.until_ms, now + BAN_MAX_MS),
        bans: ban.bans,
        reason: ban.reason,
      });
    }
  }

  #keysOf(nodeId: NodeId | undefined, host: string): readonly (readonly [BanKind, string])[] {
    const range = hostRange(host);
    return [
      ...(nodeId === undefined ? [] : [['node', nodeId] as const]),
      ...(range === undefined ? [] : [['address', range.address] as const, ['range', range.near] as const]),
    ];
  }

  #banned(kind: BanKind, key: string): boolean {
    return (this.#tables[kind].get(key)?.untilMs ?? 0) > this.#clock.nowMs();
  }

  #add(kind: BanKind, key: string, points: number, reason: string): void {
    const table = this.#tables[kind];
    const now = this.#clock.nowMs();
    const record = table.get(key) ?? { points: 0, atMs: now, untilMs: 0, bans: 0, reason };
    // While it is banned nothing more is held against it: connections that end late must not lengthen a ban.
    if (record.untilMs > now) return;
    if (record.bans > 0 && record.untilMs + REMEMBERED_MS <= now) record.bans = 0;
    record.points = halved(record.points, now - record.atMs) + points;
    record.atMs = now;
    record.reason = reason;
    // To the nearest point: milliseconds of halving between four times 25 must not ask for a fifth time.
    if (Math.round(record.points) >= BAN_AT[kind]) {
      record.untilMs = now + Math.min(BAN_FIRST_MS * 4 ** Math.min(record.bans, 10), BAN_MAX_MS);
      record.bans++;
      record.points = 0;
      this.#meter.count('gossipd_bans_total', kind);
    }
    if (!table.delete(key)) this.#makeRoom(table);
    table.set(key, record);
  }

  #makeRoom(table: Map<string, Held>): void {
    if (table.size < MAX_CHARGED) return;
    const now = this.#clock.nowMs();
    let least: string | undefined;
    let leastGuilt = Number.POSITIVE_INFINITY;
    let looked = 0;
    for (const [key, { points, atMs, untilMs, bans }] of table) {
      if (looked++ >= OLDEST_LOOKED_AT) break;
      const guilt = Math.max(0, untilMs - now) + bans * 1_000 + halved(points, now - atMs);
      if (guilt >= leastGuilt) continue;
      leastGuilt = guilt;
      least = key;
    }
    if (least === undefined) return;
    table.delete(least);
    this.#meter.count('gossipd_bans_forgotten_total');
  }
}

/** Longest key of a file that is believed: a node id has 66 characters, an onion name with its mark 67. */
const MAX_KEY_CHARACTERS = 300;

const banOf = (entry: unknown): Ban | undefined => {
  if (typeof entry !== 'object' || entry === null) return undefined;
  const { kind, key, reason, until_ms, bans } = entry as Readonly<Record<string, unknown>>;
  const known = KINDS.find((each) => each === kind);
  if (known === undefined || typeof key !== 'string' || key === '' || key.length > MAX_KEY_CHARACTERS)
    return undefined;
  if (known === 'node' && parseNodeId(key) === undefined) return undefined;
  if (typeof until_ms !== 'number' || !Number.isFinite(until_ms)) return undefined;
  if (typeof bans !== 'number' || !Number.isInteger(bans) || bans < 1) return undefined;
  return { kind: known, key, reason: typeof reason === 'string' ? reason.slice(0, 64) : '', until_ms, bans };
};
