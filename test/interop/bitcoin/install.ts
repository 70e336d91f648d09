/**
 * Where bcoin is installed; on first use it is, from the lock file beside this one, and kept in the user's cache for the next.
 *
 * It is no dependency of the project: a hundred packages for a few tests. Its folder is named by the lock file's digest and
 * takes its name when it is complete, so that two test files that install at once do not disturb each other. Needs npm and
 * its registry once; without them the tests are skipped with what npm said.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../../scripts/project_root.ts';

/** It takes eight seconds where the registry is near. */
const INSTALL_DEADLINE_MS = 120_000;
const MANIFESTS = ['package.json', 'package-lock.json'] as const;

/** Either where it is, or why it is nowhere. */
export type Installed = { readonly folder: string } | { readonly reason: string };

const cacheFolder = (): string => {
  const configured = process.env['XDG_CACHE_HOME'];
  return join(
    configured === undefined || configured === '' ? join(homedir(), '.cache') : configured,
    'gossipd',
  );
};

/** Undefined when it went well, else what went wrong in one line. */
const npmInstall = (folder: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    const npm = spawn(
      'npm',
      // No package's script runs here: their native parts are not wanted.
      ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'],
      { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'], shell: process.platform === 'win32' },
    );
    let said = '';
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      npm.kill('SIGKILL');
    }, INSTALL_DEADLINE_MS);
    npm.stderr.setEncoding('utf8').on('data', (piece: string) => {
      said = (said + piece).slice(0, 2000);
    });
    npm.once('error', (error) => {
      clearTimeout(timer);
      resolve(`npm cannot be run (${error.message})`);
    });
    npm.once('close', (code) => {
      clearTimeout(timer);
      if (code === 0) return resolve(undefined);
      const why = isLate ? `not done in ${INSTALL_DEADLINE_MS / 1000} s` : `ended with ${code}`;
      resolve(`npm ci ${why}: ${said.trim().split('\n')[0] ?? ''}`);
    });
  });

/** Never rejects. Installs nothing that is there. */
export const installBitcoinNode = async (): Promise<Installed> => {
  let draft: string | undefined;
  try {
    const source = join(projectRoot(), 'test', 'interop', 'bitcoin');
    const digest = createHash('sha256');
    for (const name of MANIFESTS) digest.update(readFileSync(join(source, name)));
    const cache = cacheFolder();
    const folder = join(cache, `bitcoin-node-${digest.digest('hex').slice(0, 16)}`);
    if (existsSync(folder)) return { folder };
    mkdirSync(cache, { recursive: true });
    draft = mkdtempSync(`${folder}-installing-`);
    for (const name of MANIFESTS) copyFileSync(join(source, name), join(draft, name));
    const failure = await npmInstall(draft);
    if (failure !== undefined) return { reason: `bcoin cannot be installed: ${failure}` };
    try {
      renameSync(draft, folder);
    } catch (error) {
      // Somebody else was faster.
      if (!existsSync(folder)) throw error;
    }
    return { folder };
  } catch (error) {
    return { reason: `bcoin cannot be installed: ${error instanceof Error ? error.message : String(error)}` };
  } finally {
    if (draft !== undefined) rmSync(draft, { recursive: true, force: true });
  }
};
