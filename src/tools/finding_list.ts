/**
 * FindingList: what a tool keeps of the findings of an audit: all of them counted, the first of them listed.
 *
 * check and repair hand in findings as they come. Those of ignored ids are forgotten at once. Memory: `max` findings, and
 * one for each severity and id.
 */
import type { Finding, FindingId, Severity } from '../store/finding.ts';

export const SEVERITIES: readonly Severity[] = ['info', 'warn', 'error'];

export interface FindingGroup {
  readonly id: FindingId;
  /** The worst of the group. */
  readonly severity: Severity;
  readonly count: number;
  /** The one with the lowest offset. */
  readonly first: Finding;
  /** By offset; fewer than `count` where not all are listed. */
  readonly listed: readonly Finding[];
}

interface Tally {
  severity: Severity;
  count: number;
  first: Finding;
}

const isWorse = (left: Severity, right: Severity): boolean =>
  SEVERITIES.indexOf(left) > SEVERITIES.indexOf(right);

export class FindingList {
  readonly severities: Record<Severity, number> = { info: 0, warn: 0, error: 0 };
  /** Findings that writing a new file would put right. */
  repairable = 0;
  readonly #max: number;
  readonly #ignored: ReadonlySet<string>;
  readonly #listed: Finding[] = [];
  readonly #tallies = new Map<FindingId, Tally>();

  constructor(max: number, ignored: ReadonlySet<string> = new Set()) {
    this.#max = max;
    this.#ignored = ignored;
  }

  /** False if the finding is of an ignored id. */
  add(finding: Finding): boolean {
    const { id, severity, fix } = finding;
    if (this.#ignored.has(id)) return false;
    this.severities[severity]++;
    if (severity !== 'info' && fix !== 'keep' && fix !== 'none') this.repairable++;
    const tally = this.#tallies.get(id);
    if (tally === undefined) this.#tallies.set(id, { severity, count: 1, first: finding });
    else {
      tally.count++;
      if (isWorse(severity, tally.severity)) tally.severity = severity;
      const better = isWorse(severity, tally.first.severity);
      if (better || (severity === tally.first.severity && finding.offset < tally.first.offset))
        tally.first = finding;
    }
    if (this.#listed.length < this.#max) this.#listed.push(finding);
    return true;
  }

  get total(): number {
    return this.severities.info + this.severities.warn + this.severities.error;
  }

  get counts(): Readonly<Partial<Record<FindingId, number>>> {
    return Object.fromEntries([...this.#tallies].map(([id, { count }]) => [id, count]));
  }

  /** By offset. */
  get listed(): readonly Finding[] {
    return [...this.#listed].sort((left, right) => left.offset - right.offset);
  }

  atLeast(severity: Severity): number {
    const from = SEVERITIES.indexOf(severity);
    return SEVERITIES.slice(from).reduce((sum, each) => sum + this.severities[each], 0);
  }

  /** The worst first, and those of one severity by their first place. */
  groups(): readonly FindingGroup[] {
    const { listed } = this;
    return [...this.#tallies]
      .map(([id, tally]) => ({ id, ...tally, listed: listed.filter((finding) => finding.id === id) }))
      .sort(
        (left, right) =>
          SEVERITIES.indexOf(right.severity) - SEVERITIES.indexOf(left.severity) ||
          left.first.offset - right.first.offset,
      );
  }
}
