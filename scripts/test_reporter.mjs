/**
 * A reporter for `node --test` that keeps quiet: failures with their cause, what the failing file wrote to standard error,
 * skips with their reason, the slowest files, and the closing `# tests N`, `# pass N`, `# fail N` lines. Plain JavaScript: node
 * loads it by path.
 */
import { relative } from 'node:path';
import { inspect } from 'node:util';

/** Output of a file is kept for the case that it fails: the last 16 KiB of each. */
const MAX_KEPT_CHARACTERS = 16_384;

/** So that the time limit of the whole run does not creep up unseen. */
const SLOWEST_SHOWN = 8;

const SUMMARY = /^(?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

const indent = (text) => text.replace(/^/gm, '    ');

/** The error that the test threw; node wraps it in one of its own. */
const causeOf = (error) => {
  const cause = error?.cause ?? error;
  return cause instanceof Error || typeof cause === 'object' ? inspect(cause, { depth: 4 }) : String(cause);
};

const slowest = (seconds) =>
  [...seconds]
    .sort(([, left], [, right]) => right - left)
    .slice(0, SLOWEST_SHOWN)
    .map(([file, took]) => `${file.replace(/^dist\//, '').replace(/\.test\.js$/, '')} ${took.toFixed(0)}`)
    .join(', ');

/** A parent only repeats that a child failed. */
const isEcho = (error) => error?.failureType === 'subtestsFailed';

// biome-ignore lint/style/noDefaultExport: node --test takes a reporter by its default export.
export default async function* quietReporter(events) {
  const written = new Map();
  const seconds = new Map();
  for await (const { type, data } of events) {
    const file = data.file === undefined ? '' : relative(process.cwd(), data.file);
    if ((type === 'test:pass' || type === 'test:fail') && data.nesting === 0 && file !== '') {
      seconds.set(file, (seconds.get(file) ?? 0) + (data.details?.duration_ms ?? 0) / 1000);
    }
    if (type === 'test:stderr' || type === 'test:stdout') {
      written.set(file, ((written.get(file) ?? '') + data.message).slice(-MAX_KEPT_CHARACTERS));
    } else if (type === 'test:fail') {
      if (data.todo !== undefined || isEcho(data.details?.error)) continue;
      const line = data.line === undefined ? '' : `:${data.line}`;
      yield `\nFAILED ${file}${line}: ${data.name}\n${indent(causeOf(data.details?.error))}\n`;
      if (written.has(file)) yield `  ${file} wrote:\n${indent(written.get(file).trimEnd())}\n`;
      written.delete(file);
    } else if (type === 'test:pass' && data.skip !== undefined) {
      const reason = typeof data.skip === 'string' ? data.skip : 'no reason given';
      yield `skipped ${file}: ${data.name}: ${reason}\n`;
    } else if (type === 'test:diagnostic' && data.nesting === 0 && SUMMARY.test(data.message)) {
      if (seconds.size > 1) yield `slowest files, in seconds: ${slowest(seconds)}\n`;
      seconds.clear();
      yield `# ${data.message}\n`;
    }
  }
}
