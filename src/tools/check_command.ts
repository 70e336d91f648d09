/** `gossipd check`: its flags. */
import { type Command, Option } from 'commander';
import type { Cli } from './cli.ts';
import { withTaskFlags } from './run_task.ts';

const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

const MORE = `
Exit codes, added up: 0 sound, 4 findings of --fail-on or worse, 8 the file cannot be read, 16 wrong usage, 32 stopped before the end.
Nothing is ever written to the store, and a node may be running.`;

export const addCheckCommand = (program: Command, cli: Cli): void => {
  withTaskFlags(
    cli.storeCommand(
      program
        .command('check')
        .description('look for damage in a gossip_store, and say what a repair would do; writes nothing')
        .argument('[store]', 'file or folder; default: the data folder, then CLN’s')
        .addOption(
          new Option('--level <level>', 'how deep to look; each level includes those before it')
            .choices(['crc', 'structure', 'order', 'signature', 'chain'])
            .default('order'),
        )
        .option('--jsonl', 'one finding per line as it is found, then one line with the figures')
        .option(
          '--ignore <id>',
          'leave out findings of this id, e.g. GS-DEAD-WEIGHT; may be repeated',
          collect,
        )
        .addOption(
          new Option('--fail-on <severity>', 'the least severity that makes the exit code 4')
            .choices(['info', 'warn', 'error'])
            .default('warn'),
        )
        .option(
          '--max-findings <number>',
          'list at most so many; all are counted (default: 20, with --json 1000)',
          cli.wholeNumber(0, 1_000_000),
        )
        .option('--subset <n/t>', 'check only the n-th of t parts of the signatures, e.g. 1/7')
        .option('--utxo <backend>', 'chain backend for the level chain, as in "gossipd run --help"')
        .option(
          '--redact <file>',
          'write a report without private channels to this new file, to show to others',
        )
        .option(
          '--preen',
          'one line and a quick look, for ExecStartPre: 0 when a start is safe, 4 otherwise',
        ),
    ),
  )
    .addHelpText('after', MORE)
    .action(
      cli.act(async (flags, [path]) => {
        const { check } = await import('./check.ts');
        return check(cli, path, flags);
      }),
    );
};
