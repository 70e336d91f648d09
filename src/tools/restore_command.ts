/** `gossipd restore`: its flags. */
import type { Command } from 'commander';
import type { Cli } from './cli.ts';
import { withTaskFlags } from './run_task.ts';

export const addRestoreCommand = (program: Command, cli: Cli): void => {
  withTaskFlags(
    program
      .command('restore')
      .description('put a verified backup in the place of a gossip_store; the node must be stopped')
      .argument('<backup>', 'a backup, or the folder of backups: then the newest good one')
      .requiredOption('--to <store>', 'the file to replace, or its folder')
      .option(
        '--to-version <version>',
        'write version 14, 15 or 16, or the one that this CLN release reads, e.g. v25.12',
      )
      .option('--json', 'print one JSON document'),
  ).action(
    cli.act(async (flags, [path]) => {
      const { restore } = await import('./restore.ts');
      return restore(path ?? '', flags, {
        to: String(flags['to']),
        version: flags['toVersion'] === undefined ? undefined : String(flags['toVersion']),
        json: cli.wantsJson(flags),
        quiet: flags['quiet'] === true,
      });
    }),
  );
};
