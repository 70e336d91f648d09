/** `gossipd convert`: a repair whose point is the version of the result. */
import { usageError } from './check_flags.ts';
import type { Cli, Flags } from './cli.ts';
import { repair } from './repair.ts';

export const convert = async (cli: Cli, path: string | undefined, flags: Flags): Promise<number> => {
  if (flags['output'] === undefined)
    throw usageError('convert writes a new file, and none is named', 'Add --output FILE.');
  return repair(cli, path, flags);
};
