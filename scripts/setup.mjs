/**
 * Makes a fresh clone ready: installs the locked dependencies and compiles, each only when needed.
 *
 * Plain JavaScript without dependencies, because it runs before anything is installed. `npm start`, `npm test`
 * and bin/gossipd.mjs call it; in an installed package (no sources) it does nothing.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const STAMP = join(root, 'dist', '.stamp');

const run = (what, command, args) => {
  process.stderr.write(`gossipd: ${what}\n`);
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (result.status !== 0) {
    process.stderr.write(
      `gossipd: ${what} failed. Next: run "${command} ${args.join(' ')}" in ${root} and read its last lines.\n`,
    );
    process.exit(result.status ?? 1);
  }
};

const newestSource = (folder) =>
  readdirSync(folder, { withFileTypes: true }).reduce((newest, entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return Math.max(newest, newestSource(path));
    return entry.name.endsWith('.ts') ? Math.max(newest, statSync(path).mtimeMs) : newest;
  }, 0);

const lockDigest = () =>
  createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');

/** Installs when the lock file's digest changed since the last install here. */
const ensureInstalled = () => {
  const stamp = join(root, 'node_modules', '.gossipd-lock');
  const digest = lockDigest();
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  // No install script is needed: the native verifier is prebuilt inside its package, and has a pure fallback.
  run('installing dependencies', 'npm', [
    'ci',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]);
  writeFileSync(stamp, digest);
};

/** Compiles when a source is newer than the last successful build. */
const ensureBuilt = (force) => {
  const newest = Math.max(
    ...['src', 'test', 'bench', 'scripts']
      .filter((f) => existsSync(join(root, f)))
      .map((f) => newestSource(join(root, f))),
    statSync(join(root, 'tsconfig.json')).mtimeMs,
  );
  if (!force && existsSync(STAMP) && Number(readFileSync(STAMP, 'utf8')) >= newest) return;
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  run('compiling', 'node', [join('node_modules', 'typescript', 'bin', 'tsc'), '-p', '.']);
  mkdirSync(join(root, 'dist'), { recursive: true });
  writeFileSync(STAMP, String(newest));
};

export const setup = ({ force = false } = {}) => {
  if (!existsSync(join(root, 'src'))) return;
  ensureInstalled();
  ensureBuilt(force);
};

if (process.argv[1] === fileURLToPath(import.meta.url)) setup({ force: process.argv.includes('--force') });
