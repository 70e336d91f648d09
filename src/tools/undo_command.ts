/** `gossipd undo`: its flags. */
import type { Command } from 'commander';
import type { Cli } from './cli.ts';
import { withTaskFlags } from './run_task.ts';

export const addUndoCommand = (program: Command, cli: Cli): void => {
  withTaskFlags(
    program
      .command('undo')
      .description('give a store that was repaired in place its old content back, bit for bit')
      .argument('<journal>', 'the .undo-….json file that the repair wrote beside the store')
      .option('--force', 'also if the store has been written to since')
      .option('--json', 'print one JSON document'),
  ).action(
    cli.act(async (flags, [path]) => {
      const { undo } = await import('./undo.ts');
      return undo(path ?? '', flags, cli.wantsJson(flags));
    }),
  );
};
