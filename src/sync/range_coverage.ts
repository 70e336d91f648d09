/**
 * RangeCoverage: for which blocks some peer has told all its channels, who, and when. Pure.
 *
 * channel_lists.ts notes each answered range; the newest word on a block counts. For people: the sync shows where it is, block by block, and
 * an answer that stopped half way is never taken for a whole one.
 * Bounds: MAX_RANGES intervals. Neighbours of one peer within half an hour are one; when there are too many, the two that are the
 * shortest together become one, with the older time: it claims less, not more.
 */

/** A whole list is one interval, and probes cut it: 64 x some 100 bytes. */
export const MAX_RANGES = 64;
const SAME_TIME_MS = 1_800_000;

export interface CoveredRange {
  /** Blocks [first, end). */
  readonly first: number;
  readonly end: number;
  /** The peer's name; `several` after neighbours were joined for want of room. */
  readonly peer: string;
  /** Monotonic. The oldest of what it was joined from. */
  readonly atMs: number;
}

export class RangeCoverage {
  #ranges: CoveredRange[] = [];

  /** Ascending, without overlaps. */
  get ranges(): readonly CoveredRange[] {
    return this.#ranges;
  }

  /** The peer has told all it has in blocks [first, end). */
  note(first: number, end: number, peer: string, atMs: number): void {
    if (end <= first) return;
    const pieces: CoveredRange[] = [];
    for (const range of this.#ranges) {
      if (range.first < first) pieces.push({ ...range, end: Math.min(range.end, first) });
      if (range.end > end) pieces.push({ ...range, first: Math.max(range.first, end) });
    }
    pieces.push({ first, end, peer, atMs });
    pieces.sort((left, right) => left.first - right.first);
    this.#ranges = [];
    for (const piece of pieces) {
      const last = this.#ranges.at(-1);
      const isOne =
        last?.end === piece.first &&
        last.peer === piece.peer &&
        Math.abs(last.atMs - piece.atMs) <= SAME_TIME_MS;
      if (isOne) this.#ranges.push(joined(this.#ranges.pop() as CoveredRange, piece));
      else this.#ranges.push(piece);
    }
    while (this.#ranges.length > MAX_RANGES) this.#joinTwo();
  }

  /** What the peer said is not believed any more. */
  forget(peer: string): void {
    this.#ranges = this.#ranges.filter((range) => range.peer !== peer);
  }

  /** Blocks in [0, end) of which nobody has told. */
  uncovered(end: number): number {
    return this.#ranges.reduce(
      (left, range) => left - Math.max(0, Math.min(range.end, end) - range.first),
      end,
    );
  }

  #joinTwo(): void {
    let best = -1;
    let shortest = Number.POSITIVE_INFINITY;
    for (let at = 0; at + 1 < this.#ranges.length; at++) {
      const [left, right] = [this.#ranges[at] as CoveredRange, this.#ranges[at + 1] as CoveredRange];
      if (left.end !== right.first || right.end - left.first >= shortest) continue;
      shortest = right.end - left.first;
      best = at;
    }
    // Islands cannot be joined without claiming what lies between: the shortest is forgotten.
    if (best === -1) {
      const lengths = this.#ranges.map(({ first, end }) => end - first);
      this.#ranges.splice(lengths.indexOf(Math.min(...lengths)), 1);
      return;
    }
    const [left, right] = [this.#ranges[best] as CoveredRange, this.#ranges[best + 1] as CoveredRange];
    this.#ranges.splice(best, 2, joined(left, right));
  }
}

const joined = (left: CoveredRange, right: CoveredRange): CoveredRange => ({
  first: left.first,
  end: right.end,
  peer: left.peer === right.peer ? left.peer : 'several',
  atMs: Math.min(left.atMs, right.atMs),
});
