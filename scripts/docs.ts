/**
 * Writes the documents that are made from data: docs/configuration.md from the configuration table. `--check` writes nothing
 * and fails when one is out of date. A new generated document is one line in DOCUMENTS.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { configurationDocument } from '../src/daemon/config_text.ts';
import { isProgram, projectRoot } from './project_root.ts';

export interface GeneratedDocument {
  /** Relative to the root. */
  readonly path: string;
  readonly text: () => string;
}

export const DOCUMENTS: readonly GeneratedDocument[] = [
  { path: 'docs/configuration.md', text: configurationDocument },
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

const main = (): void => {
  const root = projectRoot();
  if (process.argv.includes('--check')) {
    const stale = outOfDate(root, DOCUMENTS);
    for (const path of stale)
      process.stdout.write(`docs: ${path} is out of date: run node dist/scripts/docs.js\n`);
    if (stale.length === 0) process.stdout.write(`docs: ${DOCUMENTS.length} up to date\n`);
    process.exitCode = stale.length === 0 ? 0 : 1;
  } else {
    writeDocuments(root, DOCUMENTS);
    for (const { path } of DOCUMENTS) process.stdout.write(`${path} written\n`);
  }
};

if (isProgram(import.meta.url)) main();
