/**
 * Holds the sources to the house rules of layers_table.ts: floors, purity, the mint, no barrels, no default exports, file and
 * function lengths, banned words. Prints each finding as `file:line: what: rule` and ends with 1 when a rule is broken;
 * warnings are printed and do not fail.
 *
 * judge() is pure, so that a test can hand it a bad file for every rule. Tests beside the code may import any room and touch
 * the machine; they may import test/fixtures/ and test/contract/, and nothing else from outside src/, and the rules about text hold for them too.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path/posix';
import {
  BANNED_WORDS,
  LIMITS,
  MACHINE_NAMES,
  MAY_TOUCH_THE_MACHINE,
  MINT,
  PACKAGES,
  PURE_BUILT_INS,
  ROOMS,
} from './layers_table.ts';
import { isProgram, projectRoot, readSources, type SourceFile } from './project_root.ts';
import { functionSpans, type Import, importsOf, lineOf, opaqueImports, scanText } from './source_text.ts';

export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly level: 'error' | 'warning';
  /** The offending text. */
  readonly what: string;
  /** The rule in one sentence. */
  readonly rule: string;
}

interface Subject extends SourceFile {
  /** Relative to src/, without the ending: `wire/init`. */
  readonly name: string;
  readonly room: string;
  readonly isTest: boolean;
  readonly code: string;
  readonly add: (line: number, what: string, rule: string, level?: 'warning') => void;
}

const withoutEnding = (path: string): string => path.replace(/\.ts$/, '');
/** A test, or what several tests of a folder share: `a.test.ts`, `samples.test.support.ts`. Neither is published. */
const TEST_NAME = /\.test(?:\.support)?$/;

const roomOf = (name: string): string => name.split('/')[0] ?? name;
const isIn = (name: string, places: readonly string[]): boolean =>
  places.some((place) => (place.endsWith('/') ? name.startsWith(place) : name === place));

const describeRoom = (room: string): string => {
  const names = (ROOMS[room]?.mayImport ?? []).map((allowed) => {
    const files = allowed.files === undefined ? '' : ` (${allowed.files.join(', ')})`;
    return allowed.folder + files + (allowed.typesOnly === true ? ' (types)' : '');
  });
  return `${room} (floor ${ROOMS[room]?.floor}) may import only ${['base', ...names].join(', ')}`;
};

const judgeFloor = (subject: Subject, target: string, found: Import): void => {
  const from = subject.room;
  const to = roomOf(target);
  if (from === to || to === 'base') return;
  const allowed = ROOMS[from]?.mayImport.filter((each) => each.folder === to) ?? [];
  const fits = allowed.some(
    (each) =>
      (each.files === undefined || each.files.some((file) => target === `${to}/${file}`)) &&
      (each.typesOnly !== true || found.typesOnly),
  );
  if (!fits) subject.add(found.line, found.specifier, describeRoom(from));
};

const judgeRelative = (subject: Subject, found: Import): void => {
  const target = join(subject.path, '..', found.specifier);
  if (!found.specifier.endsWith('.ts'))
    subject.add(found.line, found.specifier, 'a relative import names the file with its .ts ending');
  if (subject.isTest && /^test\/(?:fixtures|contract)\//.test(target)) return;
  if (!target.startsWith('src/')) {
    subject.add(
      found.line,
      found.specifier,
      'src/ imports nothing from outside src/ (test/, bench/, scripts/)',
    );
    return;
  }
  const name = withoutEnding(target.slice('src/'.length));
  if (name.endsWith('/index'))
    subject.add(
      found.line,
      found.specifier,
      'inside the project import the file itself, not the published index',
    );
  if (!subject.isTest && TEST_NAME.test(name))
    subject.add(found.line, found.specifier, 'code does not import tests');
  if (!subject.isTest) judgeFloor(subject, name, found);
};

const judgePackage = (subject: Subject, found: Import): void => {
  if (subject.isTest) return;
  const { specifier, line } = found;
  if (specifier.startsWith('node:')) {
    const pure = PURE_BUILT_INS.find((each) => each.name === specifier);
    if (!isIn(subject.name, [...MAY_TOUCH_THE_MACHINE, ...(pure?.where ?? [])]))
      subject.add(line, specifier, 'only the files named in scripts/layers_table.ts may use Node built-ins');
    return;
  }
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  const where = PACKAGES[name];
  if (where === undefined)
    subject.add(
      line,
      specifier,
      'a runtime dependency is listed in scripts/layers_table.ts and docs/decisions/',
    );
  else if (!isIn(subject.name, where))
    subject.add(line, specifier, `the package ${name} belongs to ${where.join(', ')}`);
};

/** What a file exports that is its own: a declaration, not a list of names. */
const OWN_EXPORT =
  /\bexport\s+(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:const|let|function|class|interface|type\s+\w|enum)\b/;

/**
 * A file may pass on names of its own folder beside what it declares, as when it was split; a file that only passes on, or
 * passes on everything or another folder's names, is a barrel.
 */
const judgeReexport = (subject: Subject, found: Import): void => {
  const isNeighbour = /^\.\/[^/]+$/.test(found.specifier);
  if (!isNeighbour || found.everything || !OWN_EXPORT.test(subject.code))
    subject.add(found.line, found.specifier, 'only an index.ts that package.json publishes may be a barrel');
};

const judgeImports = (subject: Subject, published: readonly string[]): void => {
  const scanned = scanText(subject.text);
  for (const found of importsOf(subject.text, scanned)) {
    if (found.form === 'export' && !published.includes(subject.path)) judgeReexport(subject, found);
    if (found.specifier.startsWith('.')) judgeRelative(subject, found);
    else judgePackage(subject, found);
  }
  if (!subject.isTest)
    for (const line of opaqueImports(subject.text, scanned))
      subject.add(line, 'import(…)', 'import() takes one plain string, so that the walls can be checked');
};

const judgeCode = (subject: Subject): void => {
  const each = (pattern: RegExp, rule: (match: string) => string): void => {
    for (const match of subject.code.matchAll(pattern))
      subject.add(lineOf(subject.code, match.index), match[0].trim(), rule(match[0]));
  };
  if (!subject.isTest && !isIn(subject.name, MAY_TOUCH_THE_MACHINE))
    for (const { pattern, instead } of MACHINE_NAMES)
      each(pattern, () => `pure code takes ${instead} instead of reaching for the machine`);
  if (!subject.isTest && !isIn(subject.name, MINT.where))
    each(
      new RegExp(`\\b${MINT.name}\\b`, 'g'),
      () => 'only ingest/ vouches for messages: it alone mints Accepted',
    );
  each(/\bexport\s+default\b|\bas\s+default\b/g, () => 'exports have names; there are no default exports');
};

const judgeLengths = (subject: Subject): void => {
  const lines = subject.text.split('\n').length - (subject.text.endsWith('\n') ? 1 : 0);
  if (lines > LIMITS.fileLinesFail)
    subject.add(lines, `${lines} lines`, `a file has at most ${LIMITS.fileLinesFail} lines`);
  else if (lines > LIMITS.fileLinesWarn)
    subject.add(lines, `${lines} lines`, `a file stays under ${LIMITS.fileLinesWarn} lines`, 'warning');
  if (subject.isTest) return;
  for (const span of functionSpans(subject.text))
    if (span.lines > LIMITS.functionLinesWarn)
      subject.add(
        span.line,
        `${span.lines} lines`,
        `a function stays under ${LIMITS.functionLinesWarn} lines`,
        'warning',
      );
};

/**
 * Judges files of src/.
 * @param published paths of the index.ts files that package.json exports, e.g. `src/wire/index.ts`
 */
export const judge = (files: readonly SourceFile[], published: readonly string[]): Finding[] => {
  const findings: Finding[] = [];
  for (const file of files) {
    const name = withoutEnding(file.path.slice('src/'.length));
    const subject: Subject = {
      ...file,
      name,
      room: roomOf(name),
      isTest: TEST_NAME.test(name),
      code: scanText(file.text).code,
      add: (line, what, rule, level) => {
        findings.push({ path: file.path, line, level: level ?? 'error', what, rule });
      },
    };
    if (ROOMS[subject.room] === undefined)
      subject.add(1, subject.room, 'every folder of src/ has its floor in scripts/layers_table.ts');
    if (name.endsWith('/index') && !published.includes(file.path))
      subject.add(1, 'index.ts', 'there are no barrels but the index.ts files that package.json publishes');
    judgeImports(subject, published);
    judgeCode(subject);
    judgeLengths(subject);
    for (const match of file.text.matchAll(BANNED_WORDS))
      subject.add(lineOf(file.text, match.index), match[0], 'unfinished work is not marked in the code');
  }
  return findings;
};

/** `src/wire/init.ts:12: error: ../peer/x.ts: wire (floor 1) may import only base`. */
export const findingText = (finding: Finding): string =>
  `${finding.path}:${finding.line}: ${finding.level}: ${finding.what}: ${finding.rule}`;

/** Sources behind the subpaths of package.json: `./dist/src/wire/index.js` is `src/wire/index.ts`. */
export const publishedIndexes = (packageJson: string): string[] => {
  const { exports = {} } = JSON.parse(packageJson) as { exports?: Record<string, unknown> };
  return Object.values(exports)
    .filter((target): target is string => typeof target === 'string' && target.endsWith('/index.js'))
    .map((target) => target.replace(/^\.\/dist\//, '').replace(/\.js$/, '.ts'));
};

const main = (): void => {
  const root = projectRoot();
  const files = readSources(root, ['src']);
  const findings = judge(files, publishedIndexes(readFileSync(join(root, 'package.json'), 'utf8')));
  for (const finding of findings) process.stdout.write(`${findingText(finding)}\n`);
  const errors = findings.filter((finding) => finding.level === 'error').length;
  process.stdout.write(
    `layers: ${files.length} files, ${errors} errors, ${findings.length - errors} warnings\n`,
  );
  process.exitCode = errors === 0 ? 0 : 1;
};

if (isProgram(import.meta.url)) main();
