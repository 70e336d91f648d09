/**
 * `gossipd check`: what is wrong with a gossip_store, and what a repair would do about it.
 *
 * Reads only, also while a node writes the file. For people: one sentence, the findings in groups, figures, one next
 * command. With --json one document, with --jsonl a line for each finding as it is found. Exit codes: exit_bits.
 */
import { writeFileSync } from 'node:fs';
import { OperationalError } from '../base/errors.ts';
import { systemRng } from '../observe/system_rng.ts';
import { type AuditResult, audit, type Level } from '../repair/audit.ts';
import { buildEvidence, PrivateRanges } from '../repair/evidence.ts';
import { type Finding, finding, type Severity } from '../store/finding.ts';
import { FIRST_RECORD_POSITION, UUID_BYTES } from '../store/format.ts';
import { readSidecar } from '../store/sidecar_reader.ts';
import type { StoreFile } from '../store/store_file.ts';
import { OLDEST_READABLE_VERSION } from '../store/versions.ts';
import { TYPE_BYTES } from '../wire/message_types.ts';
import { ignoredIds, openAuditPorts } from './check_flags.ts';
import type { Cli, Flags, StorePlace } from './cli.ts';
import { environmentOf } from './environment.ts';
import { EXIT, NO_FUNDS } from './exit_bits.ts';
import { FindingList } from './finding_list.ts';
import { figuresText, findingsText, shellWord, verdictText } from './findings_text.ts';
import { isBeingWritten } from './live_tail.ts';
import { Output, printJson, printText } from './output.ts';
import { runTask } from './run_task.ts';

const LISTED_FOR_PEOPLE = 20;
const LISTED_AS_JSON = 1000;
/** A file that is larger without one readable record is none of ours. */
const MAX_EMPTY_STORE_BYTES = 47;
const MAX_KNOWN_BYTE = 31;

const INDEX_REASONS = {
  other_file: 'the index belongs to another store',
  damaged: 'the index is damaged',
  unreadable: 'the index cannot be read',
} as const;

interface Checked {
  readonly place: StorePlace;
  readonly result: AuditResult;
  readonly list: FindingList;
  readonly exitCode: number;
  /** One command; undefined when there is nothing to do. */
  readonly next: string | undefined;
}

/** Throws OperationalError: `bad_argument`, `store_missing`, `store_unreadable`, `not_a_store`, or what the disk throws. */
export const check = async (cli: Cli, argument: string | undefined, flags: Flags): Promise<number> => {
  const isPreen = flags['preen'] === true;
  const place = isPreen ? placeIfThere(cli, argument, flags) : cli.place(argument, flags);
  if (place === undefined) {
    if (flags['quiet'] !== true)
      await printText('There is no gossip_store yet: a start makes one. Next: start the node.');
    return EXIT.clean;
  }
  const level: Level = isPreen ? 'structure' : (String(flags['level'] ?? 'order') as Level);
  const ignored = ignoredIds(flags);
  const { ports, close } = await openAuditPorts(cli, flags, level);
  const file = openForReading(place);
  try {
    return await new Check(cli, place, file, flags, ignored).run(ports);
  } finally {
    file.close();
    await close();
  }
};

const placeIfThere = (cli: Cli, argument: string | undefined, flags: Flags): StorePlace | undefined => {
  try {
    return cli.place(argument, flags);
  } catch (error) {
    if (error instanceof OperationalError && error.code === 'store_missing') return undefined;
    throw error;
  }
};

const openForReading = (place: StorePlace): StoreFile => {
  try {
    return place.open();
  } catch (error) {
    if (!(error instanceof OperationalError) || error.code !== 'store_not_writable') throw error;
    throw new OperationalError(
      'store_unreadable',
      'stop',
      `${place.path} cannot be read: permission denied`,
      `Run the check as the user that the node runs as, e.g. "sudo -u lightning gossipd check ${shellWord(place.path)}".`,
      error,
    );
  }
};

class Check {
  readonly #cli: Cli;
  readonly #place: StorePlace;
  readonly #file: StoreFile;
  readonly #flags: Flags;
  readonly #list: FindingList;
  readonly #privateRanges = new PrivateRanges();
  readonly #isQuiet: boolean;
  readonly #isPreen: boolean;
  /** Of --jsonl. */
  readonly #lines: Output | undefined;

  constructor(cli: Cli, place: StorePlace, file: StoreFile, flags: Flags, ignored: ReadonlySet<string>) {
    this.#cli = cli;
    this.#place = place;
    this.#file = file;
    this.#flags = flags;
    this.#isQuiet = flags['quiet'] === true;
    this.#isPreen = flags['preen'] === true;
    this.#lines = flags['jsonl'] === true && !this.#isQuiet ? new Output() : undefined;
    const wantsAll = cli.wantsJson(flags) || flags['redact'] !== undefined;
    const max = flags['maxFindings'] ?? (wantsAll ? LISTED_AS_JSON : LISTED_FOR_PEOPLE);
    this.#list = new FindingList(Number(max), ignored);
  }

  async run(ports: Awaited<ReturnType<typeof openAuditPorts>>['ports']): Promise<number> {
    const file = this.#file;
    const before = file.size();
    const result = await runTask(this.#flags, (task) =>
      audit({
        ...ports,
        file,
        task: { ...task, breathe: (bytes) => this.#breathe(task.breathe(bytes)) },
        rng: systemRng(),
        restoreBits: true,
        onFinding: (found) => this.#onFinding(found),
        live: () => isBeingWritten(file, this.#place.path, before),
      }),
    );
    this.#requireStore(result);
    if (!this.#isPreen && ports.level !== 'crc') this.#checkIndex(result);
    this.#redact(result);
    const exitCode = this.#exitCode(result);
    const next = this.#next(result, ports.level);
    await this.#print({ place: this.#place, result, list: this.#list, exitCode, next });
    return exitCode;
  }

  #onFinding(found: Finding): void {
    this.#privateRanges.add(found);
    if (this.#list.add(found)) this.#lines?.line(JSON.stringify(found));
  }

  async #breathe(breath: Promise<void>): Promise<void> {
    await breath;
    await this.#lines?.drain();
  }

  /** The file NAME.index, with which a daemon starts faster. */
  #checkIndex({ format, version_byte, cancelled }: AuditResult): void {
    if (format?.hasUuid !== true || version_byte === undefined || cancelled !== undefined) return;
    const uuid = new Uint8Array(UUID_BYTES);
    const at = FIRST_RECORD_POSITION + format.headerBytes + TYPE_BYTES;
    if (this.#file.read(uuid, 0, UUID_BYTES, at) < UUID_BYTES) return;
    const { folder, name } = this.#place;
    const read = readSidecar(folder, name, uuid, version_byte);
    if ('sidecar' in read) {
      if (read.sidecar.coveredTo <= this.#file.size()) return;
      this.#onFinding(finding('GS-INDEX', 0, 0, { reason: 'the index covers more than the store holds' }));
    } else if (read.reason !== 'missing') {
      this.#onFinding(finding('GS-INDEX', 0, 0, { reason: INDEX_REASONS[read.reason] }));
    }
  }

  /** Throws OperationalError when what was read is no gossip_store, or one that nobody can read any more. */
  #requireStore(result: AuditResult): void {
    const { path } = this.#place;
    const { format, version_byte: byte, records, records_lost, bytes, counts, cancelled } = result;
    if (byte === undefined || cancelled !== undefined) return;
    const hint =
      'Name the gossip_store itself; CLN keeps it in its network folder, e.g. ~/.lightning/bitcoin/gossip_store.';
    if (format === undefined && byte > 0 && byte < OLDEST_READABLE_VERSION) {
      throw new OperationalError(
        'store_version_unsupported',
        'stop',
        `${path} has version ${byte}, which no release since 2018 reads`,
        'Move it aside and start the node: it fetches the map again from its peers, and no funds are in it.',
      );
    }
    const none = records.live + records.deleted + records.malformed + records_lost === 0;
    const strange = none && bytes > MAX_EMPTY_STORE_BYTES && counts['GS-GARBAGE'] !== undefined;
    if (format !== undefined && !strange) return;
    const first = byte > MAX_KNOWN_BYTE ? `its first byte, ${byte}, is no version that there is, and ` : '';
    throw new OperationalError(
      'not_a_store',
      'stop',
      `${path} is not a gossip_store: ${first}no record can be recognised in it`,
      hint,
    );
  }

  #exitCode(result: AuditResult): number {
    const failOn = this.#isPreen ? 'error' : (String(this.#flags['failOn'] ?? 'warn') as Severity);
    const left = this.#list.atLeast(failOn) > 0 ? EXIT.left : 0;
    return left | (result.cancelled === undefined ? 0 : EXIT.cancelled);
  }

  #next(result: AuditResult, level: Level): string | undefined {
    const path = shellWord(this.#place.path);
    const withLevel = level === 'signature' || level === 'chain' ? ` --level ${level}` : '';
    if (result.cancelled !== undefined) return `gossipd check ${path}${withLevel}`;
    return this.#list.repairable > 0 ? `gossipd repair ${path}${withLevel}` : undefined;
  }

  #redact(result: AuditResult): void {
    const target = this.#flags['redact'];
    if (target === undefined) return;
    const evidence = buildEvidence({
      file: this.#file,
      result,
      findings: this.#list.listed,
      privateRanges: this.#privateRanges,
      environment: environmentOf(this.#cli.version, this.#place.path),
    });
    try {
      // Never over something that is there: the store itself might be named by mistake.
      writeFileSync(String(target), `${JSON.stringify(evidence, undefined, 2)}\n`, {
        flag: 'wx',
        mode: 0o600,
      });
    } catch (error) {
      const why = error instanceof Error && 'code' in error ? String(error.code) : String(error);
      throw new OperationalError(
        'report_not_written',
        'stop',
        `the report ${String(target)} could not be written: ${why}`,
        'Name a file that does not exist yet, in a folder that you may write to.',
        error,
      );
    }
  }

  async #print(checked: Checked): Promise<void> {
    if (this.#isQuiet) return;
    const { result, list } = checked;
    if (this.#lines !== undefined) {
      this.#lines.line(JSON.stringify({ summary: documentOf(checked, false) }));
      await this.#lines.drain();
    } else if (this.#cli.wantsJson(this.#flags)) await printJson(documentOf(checked, true));
    else if (this.#isPreen) {
      const next = checked.next === undefined ? '' : ` Next: ${checked.next}`;
      await printText(`${verdictText(this.#place.path, result, list)}${next}`);
    } else await printText(peopleText(checked, this.#flags['redact']));
  }
}

const documentOf = ({ place, result, list, exitCode, next }: Checked, withFindings: boolean): object => {
  const { format: _format, counts: _counts, severities: _severities, cancelled, ...figures } = result;
  return {
    path: place.path,
    verdict: list.repairable + list.severities.warn + list.severities.error > 0 ? 'problems' : 'clean',
    ...figures,
    partial: cancelled ?? false,
    counts: list.counts,
    severities: list.severities,
    findings_total: list.total,
    ...(withFindings ? { findings: list.listed } : {}),
    exit_code: exitCode,
    next: next ?? null,
  };
};

const peopleText = ({ place, result, list, next }: Checked, redacted: unknown): string => {
  const findings = findingsText(list);
  return [
    verdictText(place.path, result, list),
    ...(findings === '' ? [] : ['', findings, '']),
    figuresText(result, list),
    ...(redacted === undefined ? [] : [`The report is in ${String(redacted)}.`]),
    `Next: ${next ?? 'nothing to do.'}`,
    NO_FUNDS,
  ].join('\n');
};
