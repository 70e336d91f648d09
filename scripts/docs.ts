/**
 * Writes the documents that are made from data: docs/configuration.md from the configuration table, docs/findings.md from the
 * list of findings. `--check` writes nothing
 * and fails when one is out of date. A new generated document is one line in DOCUMENTS. docs/limits.md is written by hand; the
 * check fails when it leaves out an exported maximum of a room that peers, files or clients can feed.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { configurationDocument } from '../src/daemon/config_text.ts';
import { findingsDocument } from '../src/store/findings_document.ts';
import { isProgram, projectRoot } from './project_root.ts';

export interface GeneratedDocument {
  /** Relative to the root. */
  readonly path: string;
  readonly text: () => string;
}

export const DOCUMENTS: readonly GeneratedDocument[] = [
  { path: 'docs/configuration.md', text: configurationDocument },
  { path: 'docs/findings.md', text: findingsDocument },
];

/** Paths of documents that are missing or differ from what would be written. */
export const outOfDate = (root: string, documents: readonly GeneratedDocument[]): string[] =>
  documents
    .filter(({ path, text }) => {
      const file = join(root, path);
      return !existsSync(file) || readFileSync(file, 'utf8') !== text();
    })
    .map(({ path }) => path);

/** Writes every document, making folders that are missing. */
export const writeDocuments = (root: string, documents: readonly GeneratedDocument[]): void => {
  for (const { path, text } of documents) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text());
  }
};

/** Rooms whose exported maxima docs/limits.md must name. */
const LIMITED_ROOMS: readonly string[] = ['api', 'daemon', 'ingest', 'noise', 'peer', 'store', 'sync'];

/** Names of exported `MAX_…` constants in a source. */
export const maximaIn = (source: string): string[] =>
  [...source.matchAll(/^export const (MAX_[A-Z_0-9]+)\b/gm)].map((match) => match[1] ?? '');

/** Maxima in the sources that the text does not name in backticks. */
export const unnamedMaxima = (sources: readonly string[], text: string): string[] =>
  [...new Set(sources.flatMap(maximaIn))].filter((name) => !text.includes(`\`${name}\``));

const missingLimits = (root: string): string[] => {
  const sources = LIMITED_ROOMS.flatMap((room) =>
    readdirSync(join(root, 'src', room))
      .filter((name) => name.endsWith('.ts') && !name.includes('.test.'))
      .map((name) => readFileSync(join(root, 'src', room, name), 'utf8')),
  );
  return unnamedMaxima(sources, readFileSync(join(root, 'docs', 'limits.md'), 'utf8'));
};

const main = (): void => {
  const root = projectRoot();
  if (process.argv.includes('--check')) {
    const stale = outOfDate(root, DOCUMENTS);
    for (const path of stale)
      process.stdout.write(`docs: ${path} is out of date: run node dist/scripts/docs.js\n`);
    const missing = missingLimits(root);
    for (const name of missing) process.stdout.write(`docs: docs/limits.md does not name ${name}\n`);
    if (stale.length + missing.length === 0) process.stdout.write(`docs: ${DOCUMENTS.length} up to date\n`);
    process.exitCode = stale.length + missing.length === 0 ? 0 : 1;
  } else {
    writeDocuments(root, DOCUMENTS);
    for (const { path } of DOCUMENTS) process.stdout.write(`${path} written\n`);
  }
};

if (isProgram(import.meta.url)) main();
