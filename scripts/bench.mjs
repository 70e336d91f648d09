/**
 * Runs the benchmarks: installs and compiles what is missing, then each dist/bench/*.js that exports `run()`, one process
 * each, one after the other, and prints what they return as tables.
 *
 *   node scripts/bench.mjs [NAME]... [--save]
 *
 * --save also writes bench/results/<time>.json with machine, Node version and commit. A benchmark returns a plain object or a
 * list of them; it prints nothing. Numbers are for people to compare: nothing here passes or fails on them.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync, writeSync } from 'node:fs';
import { arch, cpus, platform, release, totalmem } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { setup } from './setup.mjs';

const self = fileURLToPath(import.meta.url);
const root = dirname(dirname(self));
const folder = join(root, 'dist', 'bench');
/** The child hands its result to the parent on this descriptor, so that it may print what it likes. */
const RESULT_FD = 3;

const asJson = (value) =>
  JSON.stringify(value, (_key, each) => (typeof each === 'bigint' ? each.toString() : each), 2);

/** In the child: runs one file; ends with 77 when it is no benchmark. */
const runOne = async (file) => {
  const loaded = await import(pathToFileURL(file).href);
  if (typeof loaded.run !== 'function') process.exit(77);
  const text = asJson((await loaded.run()) ?? null);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) at += writeSync(RESULT_FD, bytes, at);
  process.exit(0);
};

const inChild = (file) => {
  const started = performance.now();
  const { status, output } = spawnSync(process.execPath, ['--expose-gc', self, '--one', file], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  });
  const seconds = Number(((performance.now() - started) / 1000).toFixed(2));
  if (status === 77) return undefined;
  const name = basename(file, '.js');
  if (status !== 0) return { name, seconds, failed: `ended with ${status}` };
  return { name, seconds, result: JSON.parse(output[RESULT_FD].toString('utf8')) };
};

const cell = (value) => {
  if (value === undefined || value === null) return '';
  if (typeof value === 'number')
    return Number.isInteger(value) || Math.abs(value) >= 1000
      ? Math.round(value).toLocaleString('en-US')
      : value.toPrecision(3);
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
};

/** Rows of cells with padded columns; numbers to the right. */
const table = (rows) => {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = rows.map((row) => columns.map((column) => cell(row[column])));
  const widths = columns.map((column, at) => Math.max(column.length, ...cells.map((row) => row[at].length)));
  const numeric = columns.map((column) =>
    rows.every((row) => row[column] === undefined || typeof row[column] === 'number'),
  );
  const line = (row) =>
    `  ${row.map((text, at) => (numeric[at] ? text.padStart(widths[at]) : text.padEnd(widths[at]))).join('  ')}`;
  return [line(columns), ...cells.map(line)].map((text) => text.trimEnd()).join('\n');
};

const isRecord = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

const shown = (result) => {
  if (Array.isArray(result) && result.length > 0 && result.every(isRecord)) return table(result);
  if (isRecord(result))
    return table(Object.entries(result).map(([measure, value]) => ({ measure, value: cell(value) })));
  return `  ${cell(result)}`;
};

const git = (...args) => {
  const { status, stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
};

const machine = () => ({
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: cpus().length,
  memory_bytes: totalmem(),
  system: `${platform()} ${release()} ${arch()}`,
  node: process.version,
  commit: git('rev-parse', 'HEAD') ?? 'unknown',
  uncommitted_changes: (git('status', '--porcelain') ?? '') !== '',
});

const chosenFiles = (names) => {
  const found = existsSync(folder)
    ? readdirSync(folder).filter((name) => name.endsWith('.js') && !name.endsWith('.test.js'))
    : [];
  const wanted = names.map((name) => `${basename(name).replace(/\.(?:ts|js)$/, '')}.js`);
  const missing = wanted.filter((name) => !found.includes(name));
  if (missing.length > 0) {
    process.stderr.write(
      `no such benchmark: ${missing.join(', ')}; there are: ${found.join(', ') || 'none'}\n`,
    );
    process.exit(2);
  }
  return (wanted.length === 0 ? found.sort() : wanted).map((name) => join(folder, name));
};

const save = (about, results) => {
  const target = join(root, 'bench', 'results');
  mkdirSync(target, { recursive: true });
  const at = new Date().toISOString();
  const path = join(target, `${at.replaceAll(':', '-')}.json`);
  writeFileSync(path, `${asJson({ at, ...about, results })}\n`);
  process.stdout.write(`saved ${path}\n`);
};

const main = () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { save: { type: 'boolean', default: false } },
  });
  setup();
  const about = machine();
  process.stdout.write(`${about.cpu}, ${about.cores} cores, ${about.system}, node ${about.node}\n`);
  const results = [];
  for (const file of chosenFiles(positionals)) {
    const outcome = inChild(file);
    if (outcome === undefined) continue;
    results.push(outcome);
    process.stdout.write(
      `\n${outcome.name} (${outcome.seconds} s)\n${outcome.failed === undefined ? shown(outcome.result) : `  FAILED: ${outcome.failed}`}\n`,
    );
  }
  if (values.save) save(about, results);
  process.exit(results.some((outcome) => outcome.failed !== undefined) ? 1 : 0);
};

if (process.argv[2] === '--one') await runOne(process.argv[3]);
else main();
