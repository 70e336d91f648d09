/**
 * Runs the tests: installs and compiles what is missing, then `node --test` over the compiled test files, two at a time. The unit
 * tests of a room under src/ share a process, because starting one costs more than most of them do.
 *
 *   node scripts/test.mjs [--long] [--only PREFIX]... [--name PATTERN]
 *
 * --long also runs files called *.long.test.ts; --only keeps files whose path starts with the prefix (test/interop,
 * src/wire); --name keeps tests whose title matches. Ends with the runner's code; no file left to run is a failure.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { setup } from './setup.mjs';

const CONCURRENCY = 2;
/** A file that takes longer hangs: it is ended and named, and the others go on. The slowest take under a minute, or ten with --long. */
const FILE_TIMEOUT_MS = 240_000;
const LONG_FILE_TIMEOUT_MS = 3_600_000;
const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Paths like `src/wire/init.test.js`, relative to dist. */
const testFiles = (folder) => {
  const path = join(root, 'dist', folder);
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
    const name = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return testFiles(name);
    return name.endsWith('.test.js') ? [name] : [];
  });
};

const readArguments = () => {
  try {
    return parseArgs({
      options: {
        long: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true, default: [] },
        name: { type: 'string' },
      },
    }).values;
  } catch (error) {
    process.stderr.write(
      `${error.message}\nusage: node scripts/test.mjs [--long] [--only PREFIX] [--name PATTERN]\n`,
    );
    process.exit(2);
  }
};

const wanted = ({ long, only }) => {
  // People complete paths with a leading ./ or the .ts ending.
  const prefixes = only.map((prefix) => prefix.replace(/^\.\//, '').replace(/\.ts$/, ''));
  return ['src', 'test', 'scripts']
    .flatMap(testFiles)
    .filter((file) => long || !file.endsWith('.long.test.js'))
    .filter((file) => prefixes.length === 0 || prefixes.some((prefix) => file.startsWith(prefix)))
    .sort();
};

/** Files under src/ as one file for each room, the rest as they are. Answers with paths relative to the project. */
const joined = (files) => {
  const folder = join(root, 'dist', 'rooms');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const rooms = new Map();
  const alone = [];
  for (const file of files) {
    const room = /^src\/([^/]+)\//.exec(file)?.[1];
    if (room === undefined || file.endsWith('.long.test.js')) alone.push(join('dist', file));
    else rooms.set(room, [...(rooms.get(room) ?? []), file]);
  }
  const written = [...rooms].map(([room, members]) => {
    const imports = members.map((file) => `import '../${file}';\n`).join('');
    writeFileSync(join(folder, `${room}.test.js`), imports);
    return join('dist', 'rooms', `${room}.test.js`);
  });
  return [...written, ...alone];
};

const main = () => {
  const options = readArguments();
  setup();
  const started = performance.now();
  const files = wanted(options);
  if (files.length === 0) {
    process.stderr.write(
      `no test file under dist/ starts with ${options.only.join(', ') || 'src/, test/ or scripts/'}\n`,
    );
    process.exit(1);
  }
  const { status, signal } = spawnSync(
    process.execPath,
    [
      '--test',
      `--test-concurrency=${CONCURRENCY}`,
      `--test-timeout=${options.long ? LONG_FILE_TIMEOUT_MS : FILE_TIMEOUT_MS}`,
      `--test-reporter=${pathToFileURL(join(root, 'scripts', 'test_reporter.mjs'))}`,
      '--test-reporter-destination=stdout',
      ...(options.name === undefined ? [] : [`--test-name-pattern=${options.name}`]),
      ...joined(files),
    ],
    { cwd: root, stdio: 'inherit', env: { ...process.env, NODE_ENV: 'test' } },
  );
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(`${files.length} files in ${seconds} s\n`);
  if (signal !== null) process.stderr.write(`the test runner was ended by ${signal}\n`);
  process.exit(status ?? 1);
};

main();
