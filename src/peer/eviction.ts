/**
 * Who has to go when every inbound place is taken and somebody new stands at the door: a pure decision, after Bitcoin Core's.
 *
 * Protected are, one rule after the other, those that are best by something that an attacker can hardly have in
 * quantity: places on the net that it does not own (drawn by a secret), a short way to us, messages that nobody told us
 * before, time. Each rule takes an eighth of the places, PROTECTED_MOST at most; the oldest half of the rest is
 * protected by its age. Of those left, the one that came last in the most crowded provider network goes, but only for
 * somebody from a less crowded one: so nobody can push out others by coming more often, and many connections out of one
 * network only compete with each other.
 */
import type { HostRange } from './host_range.ts';

/** By each rule; Bitcoin Core protects four or eight out of 125. */
const PROTECTED_MOST = 8;
const PROTECTED_SHARE = 1 / 8;

export interface Resident {
  /** Undefined for addresses that strangers share: all of those count as one network. */
  readonly range: HostRange | undefined;
  /** Monotonic milliseconds. */
  readonly since: number;
  /** Best answer to a ping in milliseconds; infinite when there was none yet. */
  readonly latencyMs: number;
  /** Messages of theirs that were new to us. */
  readonly messagesNew: number;
  /** Never evicted. */
  readonly pinned: boolean;
}

const SHARED = 'shared';
export const networkOf = (range: HostRange | undefined): string => range?.wide ?? SHARED;

/** A number that only who knows the secret can tell. FNV-1a is enough: its results are never shown. */
const draw = (text: string, secret: number): number => {
  let hash = (0x811c9dc5 ^ secret) >>> 0;
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0;
};

const withoutBest = <R>(left: readonly R[], count: number, better: (one: R, other: R) => number): R[] =>
  [...left].sort(better).slice(count);

/**
 * Index of the one that goes, or undefined when the newcomer has to.
 * @param residents inbound connections @param newcomer where it comes from @param secret any number, the same for a run
 */
export const chooseEvicted = (
  residents: readonly Resident[],
  newcomer: HostRange | undefined,
  secret: number,
): number | undefined => {
  const crowd = new Map<string, number>();
  for (const { range } of residents) {
    const network = networkOf(range);
    crowd.set(network, (crowd.get(network) ?? 0) + 1);
  }
  const each = Math.min(PROTECTED_MOST, Math.ceil(residents.length * PROTECTED_SHARE));
  type Place = { readonly index: number; readonly who: Resident };
  let left: Place[] = residents.map((who, index) => ({ index, who })).filter(({ who }) => !who.pinned);
  const drawn = ({ who }: Place): number => draw(who.range?.near ?? SHARED, secret);
  left = withoutBest(
    left,
    each,
    (one, other) => drawn(one) - drawn(other) || one.who.since - other.who.since,
  );
  // Infinite minus infinite is no number: compare first.
  left = withoutBest(left, each, ({ who: one }, { who: other }) =>
    one.latencyMs === other.latencyMs ? one.since - other.since : one.latencyMs - other.latencyMs,
  );
  left = withoutBest(
    left,
    each,
    ({ who: one }, { who: other }) => other.messagesNew - one.messagesNew || one.since - other.since,
  );
  left = withoutBest(left, Math.ceil(left.length / 2), (one, other) => one.who.since - other.who.since);
  const size = ({ who }: Place): number => crowd.get(networkOf(who.range)) ?? 0;
  let worst: Place | undefined;
  for (const place of left) {
    if (worst === undefined || size(place) > size(worst)) worst = place;
    else if (size(place) === size(worst) && place.who.since >= worst.who.since) worst = place;
  }
  if (worst === undefined) return undefined;
  const comesFrom = networkOf(newcomer);
  // Strangers who share one address are many people: among themselves the last one makes room.
  const sameShared = newcomer === undefined && worst.who.range === undefined;
  return sameShared || size(worst) > (crowd.get(comesFrom) ?? 0) ? worst.index : undefined;
};
