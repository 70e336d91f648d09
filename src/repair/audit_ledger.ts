/**
 * The findings of one audit as they are made: counted by id, handed on at once, never kept.
 *
 * The rules of audit_structure, audit_order and audit_proofs report here; whoever started the audit lists, caps and shows
 * them. `dropped` counts live records that a repair leaves out; each is reported as dropped once, so that what a repair
 * keeps is the live records less this number.
 */
import {
  type Finding,
  type FindingDetails,
  type FindingId,
  finding,
  type Severity,
} from '../store/finding.ts';

export class AuditLedger {
  readonly counts: Partial<Record<FindingId, number>> = {};
  readonly severities: Record<Severity, number> = { info: 0, warn: 0, error: 0 };
  /** Live records that a repair leaves out. */
  dropped = 0;
  readonly #onFinding: (finding: Finding) => void;

  constructor(onFinding: (finding: Finding) => void) {
    this.#onFinding = onFinding;
  }

  /** @param length of the whole record, header included */
  report(id: FindingId, offset: number, length: number, details: FindingDetails = {}): void {
    const made = finding(id, offset, length, details);
    this.counts[id] = (this.counts[id] ?? 0) + 1;
    this.severities[made.severity]++;
    this.#onFinding(made);
  }

  /** Reports a live record that a repair leaves out. */
  drop(id: FindingId, offset: number, length: number, details: FindingDetails = {}): void {
    this.dropped++;
    this.report(id, offset, length, { ...details, fix: 'drop' });
  }
}
