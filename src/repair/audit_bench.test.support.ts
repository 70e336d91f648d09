/** Audits of stores in memory for tests, and stores from lists of messages, so that a test can say what stands where. */
import { concatBytes } from '../base/bytes.ts';
import { seededRng } from '../base/rng.ts';
import { fileOf, type RecordFields, rec } from '../store/damaged_stores.test.support.ts';
import type { Finding } from '../store/finding.ts';
import { type StoreFormat, storeFormat } from '../store/versions.ts';
import { type AuditOptions, type AuditResult, audit } from './audit.ts';
import { quietTask } from './task.ts';

export interface Audited {
  readonly result: AuditResult;
  readonly findings: readonly Finding[];
  /** `ID@offset fix` of each, by offset. */
  readonly shown: readonly string[];
}

export const auditOf = async (bytes: Uint8Array, options: Partial<AuditOptions> = {}): Promise<Audited> => {
  const findings: Finding[] = [];
  const result = await audit({
    file: fileOf(bytes),
    level: 'order',
    task: quietTask,
    rng: seededRng(7),
    restoreBits: true,
    live: false,
    onFinding: (finding) => findings.push(finding),
    ...options,
  });
  findings.sort((left, right) => left.offset - right.offset);
  return { result, findings, shown: findings.map(({ id, offset, fix }) => `${id}@${offset} ${fix}`) };
};

export const formatOf = (version: number): StoreFormat => {
  const format = storeFormat(version);
  if (format === undefined) throw new Error(`no version ${version}`);
  return format;
};

export interface Built {
  readonly bytes: Uint8Array;
  /** Header positions, and behind them the size of the file. */
  readonly at: readonly number[];
}

/** A store of these messages, in this order. */
export const storeOf = (
  version: number,
  messages: readonly (Uint8Array | readonly [Uint8Array, RecordFields])[],
): Built => {
  const format = formatOf(version);
  const at = [1];
  const parts: Uint8Array[] = [Uint8Array.of(version)];
  for (const entry of messages) {
    const [message, fields] = entry instanceof Uint8Array ? [entry, {}] : entry;
    const record = rec(format, message, fields);
    parts.push(record);
    at.push((at.at(-1) ?? 0) + record.length);
  }
  return { bytes: concatBytes(...parts), at };
};
