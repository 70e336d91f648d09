/** Makes the folders that the daemon writes to, with an error that tells the operator what to do. */
import { accessSync, constants, mkdirSync } from 'node:fs';
import { OperationalError } from '../base/errors.ts';

/** For its owner only. Throws OperationalError `data_dir_failed` when it cannot be made or written to. */
export const makeDataFolder = (path: string): void => {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new OperationalError(
      'data_dir_failed',
      'stop',
      `cannot write to the folder ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
      'Name a folder that this user may write to with --data-dir DIR (simnet: also --cache-dir DIR).',
      cause,
    );
  }
};
