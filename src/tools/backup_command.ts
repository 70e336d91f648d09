/** `gossipd backup`: its flags. */
import type { Command } from 'commander';
import type { Cli } from './cli.ts';
import { withTaskFlags } from './run_task.ts';

export const DEFAULT_KEEP = 5;
export const MAX_KEEP = 1000;

export const addBackupCommand = (program: Command, cli: Cli): void => {
  withTaskFlags(
    cli.storeCommand(
      program
        .command('backup')
        .description('a consistent, verified copy of a gossip_store, also while a node writes to it')
        .argument('[store]', 'file or folder; default: the data folder, then CLN’s')
        .requiredOption('--to <folder>', 'where backups are kept; made if it is not there')
        .option('--keep <number>', 'good backups that stay', cli.wholeNumber(1, MAX_KEEP), DEFAULT_KEEP)
        .option('--compress', 'write gzip, about a third smaller or more')
        .option('--include-private', 'copy records of private channels too (versions up to 12)'),
    ),
  ).action(
    cli.act(async (flags, [path]) => {
      const { backup } = await import('./backup.ts');
      return backup(cli.place(path, flags), flags, {
        to: String(flags['to']),
        keep: Number(flags['keep']),
        compress: flags['compress'] === true,
        includePrivate: flags['includePrivate'] === true,
        json: cli.wantsJson(flags),
        quiet: flags['quiet'] === true,
      });
    }),
  );
};
