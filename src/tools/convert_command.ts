/** `gossipd convert`: its flags. */
import type { Command } from 'commander';
import type { Cli } from './cli.ts';
import { withRepairFlags } from './repair_command.ts';

export const addConvertCommand = (program: Command, cli: Cli): void => {
  withRepairFlags(
    cli.storeCommand(
      program
        .command('convert')
        .description('write a gossip_store as the version of another CLN release, newer or older')
        .argument('[store]', 'file or folder; default: the data folder, then CLN’s')
        .requiredOption('--to <version>', '14, 15 or 16, or a release of CLN, e.g. v24.11 or v25.12'),
    ),
  )
    .addHelpText(
      'after',
      '\nDamage is repaired on the way. Exit codes as "gossipd repair --help" lists them.',
    )
    .action(
      cli.act(async (flags, [path]) => {
        const { convert } = await import('./convert.ts');
        return convert(cli, path, flags);
      }),
    );
};
