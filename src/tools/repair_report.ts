/**
 * What a repair has to say: as one JSON document, as sentences for people, as an exit code.
 */
import { join } from 'node:path';
import { OperationalError } from '../base/errors.ts';
import type { Level } from '../repair/audit.ts';
import type { RepairPlan } from '../repair/plan.ts';
import type { RepairResult } from '../repair/repair_store.ts';
import type { Finding } from '../store/finding.ts';
import { readVersion } from '../store/scan.ts';
import type { StoreFile } from '../store/store_file.ts';
import { OLDEST_READABLE_VERSION } from '../store/versions.ts';
import { EXIT, NO_FUNDS } from './exit_bits.ts';
import type { FindingList } from './finding_list.ts';
import {
  counted,
  findingsText,
  findingText,
  grouped,
  recordsInAll,
  shellWord,
  verdictText,
} from './findings_text.ts';

export interface RepairReport {
  readonly result: RepairResult;
  readonly level: Level;
  readonly list: FindingList;
  readonly path: string;
  /** Undefined for a dry run. */
  readonly output: string | undefined;
  /** Where quarantine, backup and journal are. */
  readonly folder: string | undefined;
  readonly isInPlace: boolean;
  readonly replacedHolders: number;
  /** That the disk refused to read. */
  readonly unreadableBytes: number;
}

/** Losses that are named one by one. */
const NAMED_LOSSES = 5;

export const notAStore = (path: string, file: StoreFile): OperationalError => {
  const byte = readVersion(file);
  if (byte !== undefined && byte > 0 && byte < OLDEST_READABLE_VERSION) {
    return new OperationalError(
      'store_version_unsupported',
      'stop',
      `${path} has version ${byte}, which no release since 2018 reads`,
      'Move it aside and start the node: it fetches the map again from its peers, and no funds are in it.',
    );
  }
  return new OperationalError(
    'not_a_store',
    'stop',
    `${path} is not a gossip_store: no record can be recognised in it`,
    'Name the gossip_store itself; CLN keeps it in its network folder, e.g. ~/.lightning/bitcoin/gossip_store.',
  );
};

/** Sum of bits, see EXIT. */
export const reportExitCode = ({ result, replacedHolders, unreadableBytes }: RepairReport): number => {
  const { ended, plan, written } = result;
  if (ended === 'cancelled' || plan === undefined) return EXIT.cancelled;
  if (written === undefined)
    return plan.work + plan.unfixable > 0 || result.in_backup > 0 ? EXIT.left : EXIT.clean;
  return (
    (plan.work > 0 || written.from_backup > 0 ? EXIT.corrected : 0) |
    (replacedHolders > 0 ? EXIT.reopen : 0) |
    (written.left + plan.unfixable > 0 ? EXIT.left : 0) |
    (plan.audit.bytes_lost + unreadableBytes > 0 ? EXIT.lost : 0)
  );
};

/** Of the records that there were: kept, and so on. Before anything is written it is what the audit expects. */
const figuresOf = ({ plan, written }: RepairResult) => {
  const counts = written?.counts;
  return {
    records_kept: counts?.kept ?? (plan === undefined ? 0 : plan.audit.records_kept + plan.kept_by_ignore),
    records_lost: plan?.audit.records_lost ?? 0,
    bytes_lost: plan?.audit.bytes_lost ?? 0,
    records_dropped: counts?.dropped ?? plan?.drops.size ?? 0,
    deleted_left_out: counts?.dead ?? plan?.audit.records.deleted ?? 0,
    private_left_out: counts?.private ?? 0,
    obsolete_left_out: counts?.obsolete ?? 0,
    amounts_added: counts?.amounts_added ?? plan?.amounts.size ?? 0,
    moved: counts?.moved ?? plan?.moves.froms.length ?? 0,
  };
};

const nextOf = (report: RepairReport): string | undefined => {
  const { result, path, output, isInPlace, level } = report;
  const store = shellWord(path);
  const withLevel = level === 'order' ? '' : ` --level ${level}`;
  if (result.plan === undefined) return `gossipd repair ${store}${withLevel}`;
  if (result.written === undefined) {
    const isInOrder = reportExitCode(report) === EXIT.clean || isInPlace;
    return isInOrder
      ? undefined
      : `gossipd repair ${store}${withLevel} --output ${shellWord(`${path}.repaired`)}`;
  }
  if (isInPlace) return result.undo === undefined ? undefined : `gossipd check ${store}`;
  return `mv ${shellWord(output ?? '')} ${store}`;
};

/** @param withFindings false where each has been printed already */
export const reportDocument = (report: RepairReport, withFindings: boolean): object => {
  const { result, level, list, path, output, folder } = report;
  const { plan, format, written } = result;
  const beside = (name: string | undefined): string | null =>
    name === undefined || folder === undefined ? null : join(folder, name);
  return {
    path,
    output: written === undefined ? null : (output ?? null),
    dry_run: output === undefined,
    cancelled: result.ended === 'cancelled',
    level,
    version_from: plan?.audit.version_byte ?? null,
    version_to: format?.version ?? null,
    ...figuresOf(result),
    unreadable_bytes: report.unreadableBytes,
    from_backup: written?.from_backup ?? result.in_backup,
    quarantine: beside(result.quarantine),
    backup: beside(result.backup_name),
    undo: beside(result.undo),
    verified: written === undefined ? false : written.left === 0,
    counts: list.counts,
    severities: list.severities,
    findings_total: list.total,
    ...(withFindings ? { findings: list.listed } : {}),
    exit_code: reportExitCode(report),
    next: nextOf(report) ?? null,
  };
};

const isLoss = ({ fix, id }: Finding): boolean => fix === 'quarantine' && id !== 'GS-ZERO-HOLE';

const lossText = (plan: RepairPlan, list: FindingList, verb: string): string => {
  const lost = plan.audit.records_lost;
  const named = list.listed.filter(isLoss).slice(0, NAMED_LOSSES).map(findingText);
  const what = named.length === 0 ? '' : `: ${named.join('; ')}`;
  if (lost > 0) return `${verb} ${grouped(lost)}${what}`;
  return plan.audit.bytes_lost > 0
    ? `${verb} none that can be told, but ${counted(plan.audit.bytes_lost, 'byte')} could not be read${what}`
    : `${verb} none`;
};

/** The exact loss, in one sentence. */
const balanceText = ({ result, list }: RepairReport, plan: RepairPlan): string => {
  const figures = figuresOf(result);
  const all = recordsInAll(plan.audit);
  const [keeps, loses] = result.written === undefined ? ['A repair keeps', 'loses'] : ['Kept', 'lost'];
  return `${keeps} ${grouped(figures.records_kept)} of ${counted(all, 'record')}; ${lossText(plan, list, loses)}.`;
};

const changesText = (report: RepairReport): string[] => {
  const { result } = report;
  const figures = figuresOf(result);
  const fromBackup = result.written?.from_backup ?? result.in_backup;
  const parts = [
    figures.records_dropped > 0
      ? `leaves out ${counted(figures.records_dropped, 'record')} without a meaning or that readers stop at`
      : '',
    figures.deleted_left_out > 0 ? `leaves out ${counted(figures.deleted_left_out, 'deleted record')}` : '',
    figures.private_left_out > 0
      ? `does not carry over ${counted(figures.private_left_out, 'record')} of private channels, which this version does not store`
      : '',
    figures.obsolete_left_out > 0
      ? `does not carry over ${counted(figures.obsolete_left_out, 'record')} that later versions do not have`
      : '',
    figures.amounts_added > 0 ? `adds ${counted(figures.amounts_added, 'amount')}` : '',
    figures.moved > 0 ? `moves ${counted(figures.moved, 'record')} to where its order is right` : '',
    fromBackup > 0 ? `takes ${counted(fromBackup, 'record')} from the backup` : '',
  ].filter((part) => part !== '');
  return parts.length === 0 ? [] : [`It ${parts.join(', ')}.`];
};

const versionsText = ({ result }: RepairReport): string => {
  const [from, to] = [result.plan?.audit.version_byte, result.format?.version];
  return from === to ? '' : `, version ${to} instead of ${from ?? 'none'}`;
};

const outcomeText = (report: RepairReport, plan: RepairPlan): string[] => {
  const { result, path, output, folder, isInPlace, replacedHolders } = report;
  const { written } = result;
  if (written === undefined)
    return isInPlace ? ['Nothing needs to be repaired: the file was left as it is.'] : [];
  const fault = plan.work === 0 && written.from_backup === 0;
  const size = `${counted(written.bytes, 'byte')}${versionsText(report)}`;
  const lines = isInPlace
    ? [
        `${path} is now the repaired file (${size}).`,
        `The old one is ${join(folder ?? '', result.backup_name ?? '')}; to go back: gossipd undo ${shellWord(join(folder ?? '', result.undo ?? ''))}`,
      ]
    : [
        `${fault ? 'Nothing was wrong: copied' : 'Written'} to ${output} (${size}); the store itself was not touched.`,
      ];
  if (result.quarantine !== undefined)
    lines.push(`What could not be read is kept in ${join(folder ?? '', result.quarantine)}.`);
  if (written.left > 0)
    lines.push(
      `${counted(written.left, 'thing')} could not be put right: gossipd check ${shellWord(output ?? path)}`,
    );
  else lines.push('The result was checked from its first byte to its last and is in order.');
  if (replacedHolders > 0)
    lines.push(
      `${counted(replacedHolders, 'process', 'processes')} still read the file that was replaced: restart the node.`,
    );
  return lines;
};

const nextText = (report: RepairReport): string => {
  const next = nextOf(report);
  if (next === undefined) return 'Next: nothing to do.';
  return next.startsWith('mv ') ? `Next, with the node stopped: ${next}` : `Next: ${next}`;
};

export const reportText = (report: RepairReport): string => {
  const { result, path, list } = report;
  const { plan } = result;
  if (plan === undefined)
    return [
      `Stopped before the end: nothing was written, and ${path} is as it was.`,
      nextText(report),
      NO_FUNDS,
    ].join('\n');
  const findings = findingsText(list);
  return [
    verdictText(path, plan.audit, list),
    ...(findings === '' ? [] : ['', findings, '']),
    ...(list.total === 0 && result.in_backup === 0 ? [] : [balanceText(report, plan)]),
    ...changesText(report),
    ...(report.unreadableBytes === 0
      ? []
      : [
          `The disk could not read ${counted(report.unreadableBytes, 'byte')} of it: look at dmesg, and replace the disk.`,
        ]),
    ...outcomeText(report, plan),
    nextText(report),
    NO_FUNDS,
  ].join('\n');
};
