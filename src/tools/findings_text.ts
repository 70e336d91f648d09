/**
 * Findings as people read them: one sentence that says how it stands, the findings in groups, and commands that can be pasted.
 *
 * check and repair hand in their FindingList and the audit's figures. Nothing is printed here.
 */
import type { AuditResult } from '../repair/audit.ts';
import { FINDING_KINDS, type Finding, type FindingKind } from '../store/finding.ts';
import type { FindingGroup, FindingList } from './finding_list.ts';

/** `203,233` */
export const grouped = (value: number): string => value.toLocaleString('en-US');

/** `1 record`, `2 records`. */
export const counted = (value: number, one: string, many = `${one}s`): string =>
  `${grouped(value)} ${value === 1 ? one : many}`;

/** An argument that a shell takes as one word. */
export const shellWord = (text: string): string =>
  /^[\w@%+=:,./~-]+$/.test(text) && !text.startsWith('-') ? text : `'${text.replaceAll("'", "'\\''")}'`;

/** `at 3,044, record 7 (channel_update 103x1x0): the checksum of a channel_update is wrong` */
export const findingText = (finding: Finding): string => {
  const { offset, record_no, type, short_channel_id, node_id, reason } = finding;
  const subject = [type, short_channel_id, node_id].filter((part) => part !== undefined).join(' ');
  const number = record_no === undefined ? '' : `, record ${grouped(record_no)}`;
  return `at ${grouped(offset)}${number}${subject === '' ? '' : ` (${subject})`}: ${reason}`;
};

const groupText = ({ id, severity, count, listed }: FindingGroup): string => {
  const kind: FindingKind = FINDING_KINDS[id];
  const lines = [`${id}  ${severity}, ${counted(count, 'place')}: ${kind.means}`];
  for (const finding of listed) lines.push(`  ${findingText(finding)}`);
  if (listed.length > 0 && count > listed.length)
    lines.push(`  … and ${grouped(count - listed.length)} more`);
  lines.push(
    `  ${kind.hint}${kind.fixed_in === undefined ? '' : ` If CLN wrote it: CLN ${kind.fixed_in} and later no longer do.`}`,
  );
  return lines.join('\n');
};

/** Every group, a blank line between them; empty when there is nothing. */
export const findingsText = (list: FindingList): string => list.groups().map(groupText).join('\n\n');

/** Records that are there or certainly were. */
export const recordsInAll = ({ records, records_lost }: AuditResult): number =>
  records.live + records.malformed + records_lost;

const soundText = (result: AuditResult): string => {
  const all = recordsInAll(result);
  if (result.records_sound === all) return `all ${counted(all, 'record')} are sound`;
  return `${grouped(result.records_sound)} of ${counted(all, 'record')} are sound`;
};

/** One sentence. */
export const verdictText = (path: string, result: AuditResult, list: FindingList): string => {
  const start =
    result.cancelled === undefined
      ? path
      : `Stopped ${result.cancelled === 'interrupted' ? 'by you' : 'by --max-duration'} before the end, so this is only a part: ${path}`;
  const groups = list.groups();
  const worst = groups.filter(({ severity }) => severity === groups[0]?.severity);
  const first = worst
    .map((group) => group.first)
    .reduce(
      (least: Finding | undefined, finding) =>
        least === undefined || finding.offset < least.offset ? finding : least,
      undefined,
    );
  if (first === undefined || first.severity === 'info') {
    const version = result.version === undefined ? '' : `, version ${result.version}`;
    const figures = `${counted(result.records.live, 'record')}, ${counted(result.channels, 'channel')}${version}`;
    return result.cancelled === undefined
      ? `${start} is sound: ${figures}.`
      : `${start} shows no damage so far.`;
  }
  const more = list.severities[first.severity] - 1;
  const elsewhere = more === 0 ? '' : `, and ${counted(more, 'more place')}`;
  const place = `at offset ${first.offset}${elsewhere}: ${first.reason}`;
  return first.severity === 'error'
    ? `${start} is damaged ${place}; ${soundText(result)}.`
    : `${start} can be read, but is not in order ${place}; ${soundText(result)}.`;
};

/** Lines about what is in the file and what a repair would keep. */
export const figuresText = (result: AuditResult, list: FindingList): string => {
  const { records, bytes, version } = result;
  const lines = [
    `${counted(records.live, 'live record')}, ${grouped(records.deleted)} deleted, in ${counted(bytes, 'byte')}; version ${version ?? 'unknown'}`,
    `${counted(result.channels, 'channel')}, ${counted(result.half_channels, 'update')}${result.nodes === 0 ? '' : `, ${counted(result.nodes, 'node')}`}`,
  ];
  if (result.signatures_checked > 0) lines.push(`${counted(result.signatures_checked, 'signature')} checked`);
  if (result.outputs_checked + result.outputs_unknown > 0) {
    const unknown =
      result.outputs_unknown === 0 ? '' : `, ${grouped(result.outputs_unknown)} unknown to the chain backend`;
    lines.push(`${counted(result.outputs_checked, 'funding output')} checked${unknown}`);
  }
  if (result.records_unjudged > 0)
    lines.push(
      `the order of ${counted(result.records_unjudged, 'record')} was not checked: too many channels`,
    );
  if (list.repairable > 0 && result.cancelled === undefined) {
    lines.push(
      `a repair keeps ${counted(result.records_kept, 'record')}, cannot save ${grouped(result.records_lost)}, and sets ${counted(result.bytes_lost, 'unreadable byte')} aside`,
    );
  }
  return lines.join('\n');
};
