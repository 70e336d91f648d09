/** `gossipd dump`: its flags. */
import type { Command } from 'commander';
import type { Cli } from './cli.ts';
import { openStoreArgument } from './store_argument.ts';

export const addDumpCommand = (program: Command, cli: Cli): void => {
  cli
    .storeCommand(
      program
        .command('dump')
        .description('every record of a gossip_store, one line each; with --json as JSON lines')
        .argument('[store]', 'file or folder; default: the data folder, then CLN’s')
        .option('--deleted', 'show records that are flagged deleted as well')
        .option('--raw', 'add each message as hex'),
    )
    .action(
      cli.act(async (flags, [path]) => {
        const { dump } = await import('./dump.ts');
        return dump(openStoreArgument(cli.place(path, flags)), {
          json: cli.wantsJson(flags),
          raw: flags['raw'] === true,
          deleted: flags['deleted'] === true,
        });
      }),
    );
};
