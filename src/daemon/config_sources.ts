/**
 * Gathers what config.ts needs from the machine: environment, home folder, cores, and the configuration file.
 *
 * The file is `--config FILE`, else `$GOSSIPD_CONFIG`, else `gossipd/gossipd.toml` in `$XDG_CONFIG_HOME` or `~/.config`. One that
 * was named must exist; the last one may be missing.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism, homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { OperationalError } from '../base/errors.ts';
import type { ConfigSources } from './config.ts';

/** A configuration is a few kilobytes; anything larger is another file. */
const MAX_FILE_BYTES = 1_048_576;

const isMissing = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT';

const unreadable = (path: string, why: string, cause?: unknown): OperationalError =>
  new OperationalError(
    'bad_config',
    'stop',
    `cannot read the configuration file ${path}: ${why}`,
    'Check the path after --config or in GOSSIPD_CONFIG, or leave it out.',
    cause,
  );

const readFile = (path: string, mustExist: boolean): ConfigSources['file'] => {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if (!mustExist && isMissing(error)) return undefined;
    throw unreadable(path, error instanceof Error ? error.message : String(error), error);
  }
  if (bytes.length > MAX_FILE_BYTES) throw unreadable(path, `${bytes.length} bytes is no configuration`);
  return { path, text: new TextDecoder().decode(bytes) };
};

/**
 * Sources of the running process. Throws OperationalError `bad_config` when a file that was named cannot be read.
 * @param flags options from the command line, as commander gives them
 */
export const systemSources = (
  flags: ConfigSources['flags'],
  env: ConfigSources['env'] = process.env,
): ConfigSources => {
  const cwd = process.cwd();
  const home = homedir();
  const named = typeof flags['config'] === 'string' ? flags['config'] : env['GOSSIPD_CONFIG'];
  const folder =
    (env['XDG_CONFIG_HOME'] ?? '') === '' ? join(home, '.config') : (env['XDG_CONFIG_HOME'] ?? '');
  const wasNamed = named !== undefined && named !== '';
  const file = readFile(wasNamed ? resolve(cwd, named) : join(folder, 'gossipd', 'gossipd.toml'), wasNamed);
  return { flags, env, cores: availableParallelism(), home, cwd, ...(file === undefined ? {} : { file }) };
};
