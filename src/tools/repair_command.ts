/** `gossipd repair`: its flags. */
import { type Command, Option } from 'commander';
import type { Cli } from './cli.ts';
import { withTaskFlags } from './run_task.ts';

const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

const MORE = `
Without --output and --in-place nothing is written: the plan and the exact loss are shown.

Exit codes, added up: 0 nothing was wrong, 1 corrected, 2 somebody still reads the file that was replaced, 4 something is left
to do, 8 refused by the disk or because the store is in use, 16 wrong usage, 32 stopped before the end, 64 bytes could not be saved.`;

/** Flags that `repair` and `convert` share. */
export const withRepairFlags = (command: Command): Command =>
  withTaskFlags(
    command
      .option('--output <file>', 'write the result to this new file')
      .option('--force', 'with --output: replace a file that exists')
      .addOption(
        new Option('--level <level>', 'how deep to judge; what fails is left out')
          .choices(['order', 'signature', 'chain'])
          .default('order'),
      )
      .option('--utxo <backend>', 'chain backend for the level chain, as in "gossipd run --help"')
      .option(
        '--no-restore-bits',
        'set records with a single flipped bit aside instead of putting the bit right',
      )
      .option('--jsonl', 'one finding per line as it is found, then one line with the outcome')
      .option('--ignore <id>', 'keep what findings of this id are about; may be repeated', collect),
  );

export const addRepairCommand = (program: Command, cli: Cli): void => {
  withRepairFlags(
    cli.storeCommand(
      program
        .command('repair')
        .description('make a sound gossip_store from a damaged one; a dry run unless told where to write')
        .argument('[store]', 'file or folder; default: the data folder, then CLN’s')
        .option(
          '--in-place',
          'replace the store; the old file stays beside it, with a journal for "gossipd undo"',
        )
        .option('--to <version>', 'write version 14, 15 or 16, or what a release of CLN reads, e.g. v25.12')
        .option('--from-backup <file>', 'take records that the store has lost from this store or backup'),
    ),
  )
    .addHelpText('after', MORE)
    .action(
      cli.act(async (flags, [path]) => {
        const { repair } = await import('./repair.ts');
        return repair(cli, path, flags);
      }),
    );
};
