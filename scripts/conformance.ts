/**
 * Compares the ledger of specification requirements with the titles of the tests, and writes docs/conformance.md.
 *
 * A test proves a requirement by naming its id in its title. `--check` writes nothing and fails when a bound requirement has
 * no test, a test names an id that the ledger lacks, a requirement marked `later` has a test, or the document is out of
 * date. `--flip` changes `later` to `bound`, and back, in the ledger's source to what the tests say; compile after it.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LEDGER, type Requirement } from './conformance_ledger.ts';
import { isProgram, projectRoot, readSources, type SourceFile } from './project_root.ts';
import { lineOf, scanText } from './source_text.ts';

const DOCUMENT = 'docs/conformance.md';
const LEDGER_SOURCE = 'scripts/conformance_ledger.ts';

const ID = /(?<![A-Za-z0-9])(?:B1|B7|B8|B9|B10|Q|R)-\d{2}(?!\d)/g;
const TEST_CALL = /\b(?:test|it|describe|suite|t\.test)(?:\.only)?\s*\(\s*$/;
const TITLE_FIELD = /\b(?:title|name)\s*:\s*$/;
/** A cell of a table of cases: one id, or several, and nothing else. */
const ONLY_IDS = /^(?:(?:B1|B7|B8|B9|B10|Q|R)-\d{2}(?:, ?| |$))+$/;

export interface Mention {
  readonly id: string;
  readonly path: string;
  readonly line: number;
}

/**
 * Requirement ids in titles: the first argument of test, it, describe, suite and t.test, and fields called `title` or `name`,
 * and strings that are nothing but ids (cases of a table that a loop turns into tests). Ids in comments and other strings
 * do not count.
 */
export const mentionsIn = (files: readonly SourceFile[]): Mention[] =>
  files.flatMap(({ path, text }) => {
    const { code, literals } = scanText(text);
    return literals.flatMap(({ start, value }) => {
      const before = code.slice(Math.max(0, start - 200), start);
      if (!TEST_CALL.test(before) && !TITLE_FIELD.test(before) && !ONLY_IDS.test(value)) return [];
      return [...value.matchAll(ID)].map(([id]) => ({ id, path, line: lineOf(text, start) }));
    });
  });

/** What contradicts the ledger, one sentence each, ending with what to do. */
export const problems = (ledger: readonly Requirement[], mentions: readonly Mention[]): string[] => {
  const byId = new Map(ledger.map((each) => [each.id, each]));
  const tested = new Set(mentions.map((mention) => mention.id));
  const ids = ledger.map((each) => each.id);
  return [
    ...ids
      .filter((id, index) => ids.indexOf(id) !== index)
      .map((id) => `${id} is in the ledger twice: remove one`),
    ...mentions
      .filter((mention) => !byId.has(mention.id))
      .map(
        ({ id, path, line }) =>
          `${path}:${line}: ${id} is not in the ledger: correct the title or add the id`,
      ),
    ...ledger
      .filter((each) => each.state === 'bound' && !tested.has(each.id))
      .map(
        ({ id, what }) => `${id} is bound and no test names it (${what}): write the test, or mark it later`,
      ),
    ...ledger
      .filter((each) => each.state === 'later' && tested.has(each.id))
      .map(({ id }) => {
        const { path, line } = mentions.find((mention) => mention.id === id) ?? { path: '', line: 0 };
        return `${id} is marked later and is tested at ${path}:${line}: mark it bound (node dist/scripts/conformance.js --flip)`;
      }),
  ];
};

const STATE_TEXT = {
  bound: 'bound',
  later: 'not built, or not proven, yet',
  not_applicable: 'not applicable',
} as const;
const CHAPTERS: readonly (readonly [prefix: string, title: string])[] = [
  ['B8', 'BOLT 8: transport'],
  ['B1', 'BOLT 1: messages and set-up'],
  ['B7', 'BOLT 7: announcements'],
  ['Q', 'BOLT 7: queries'],
  ['R', 'BOLT 7: rebroadcasting'],
  ['B9', 'BOLT 9: features'],
  ['B10', 'BOLT 10: DNS'],
];

const testsCell = (id: string, mentions: readonly Mention[]): string =>
  [...new Set(mentions.filter((mention) => mention.id === id).map((mention) => mention.path))]
    .sort()
    .map((path) => `[${path}](../${path})`)
    .join('<br>');

/** The whole of docs/conformance.md. */
export const documentText = (ledger: readonly Requirement[], mentions: readonly Mention[]): string => {
  const count = (state: Requirement['state']): number => ledger.filter((each) => each.state === state).length;
  const applicable = ledger.length - count('not_applicable');
  const lines = [
    '# Conformance',
    '',
    'What the Lightning specification (BOLTs of May 2026) asks of a gossip node, and which tests prove it here. Written by',
    '`node dist/scripts/conformance.js` from `scripts/conformance_ledger.ts` and the titles of the tests: do not edit.',
    '',
    `**${count('bound')} of ${applicable}** applicable requirements are bound by tests, **${count('later')}** are not built`,
    `or not proven yet, ${count('not_applicable')} do not apply.`,
  ];
  for (const [prefix, title] of CHAPTERS) {
    const rows = ledger.filter((each) => each.id.startsWith(`${prefix}-`));
    if (rows.length === 0) continue;
    lines.push('', `## ${title}`, '', '| id | what | level | tests | state |', '|---|---|---|---|---|');
    for (const { id, what, level, role, state, reason } of rows) {
      const who = role === 'any' || role === 'client' ? level : `${level}, ${role}`;
      const stateText = STATE_TEXT[state] + (reason === undefined ? '' : `: ${reason}`);
      lines.push(`| ${id} | ${what} | ${who} | ${testsCell(id, mentions)} | ${stateText} |`);
    }
  }
  return `${lines.join('\n')}\n`;
};

/** The ledger's source with each state set to what the tests say; not applicable stays. */
export const flipped = (
  source: string,
  ledger: readonly Requirement[],
  mentions: readonly Mention[],
): string => {
  const tested = new Set(mentions.map((mention) => mention.id));
  return ledger.reduce(
    (text, { id }) =>
      text.replace(
        new RegExp(`\\b(?:later|bound)(\\(\\s*'${id}')`),
        `${tested.has(id) ? 'bound' : 'later'}$1`,
      ),
    source,
  );
};

const check = (root: string, mentions: readonly Mention[]): void => {
  const found = problems(LEDGER, mentions);
  const path = join(root, DOCUMENT);
  const current = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (current !== documentText(LEDGER, mentions))
    found.push(`${DOCUMENT} is out of date: run node dist/scripts/conformance.js`);
  for (const problem of found) process.stdout.write(`conformance: ${problem}\n`);
  if (found.length === 0)
    process.stdout.write(`conformance: ${LEDGER.length} requirements, all as the ledger says\n`);
  process.exitCode = found.length === 0 ? 0 : 1;
};

const main = (): void => {
  const root = projectRoot();
  const tests = readSources(root, ['src', 'test']).filter(
    ({ path }) => path.startsWith('test/') || path.endsWith('.test.ts'),
  );
  const mentions = mentionsIn(tests);
  if (process.argv.includes('--check')) check(root, mentions);
  else if (process.argv.includes('--flip')) {
    const path = join(root, LEDGER_SOURCE);
    writeFileSync(path, flipped(readFileSync(path, 'utf8'), LEDGER, mentions));
    process.stdout.write(
      `${LEDGER_SOURCE} follows the tests: run npm run build, then node dist/scripts/conformance.js\n`,
    );
  } else {
    writeFileSync(join(root, DOCUMENT), documentText(LEDGER, mentions));
    process.stdout.write(`${DOCUMENT} written\n`);
  }
};

if (isProgram(import.meta.url)) main();
