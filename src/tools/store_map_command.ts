/** `gossipd store-map`: its flags. */
import type { Command } from 'commander';
import {
  DEFAULT_COLUMNS,
  DEFAULT_ROWS,
  LEAST_COLUMNS,
  LEAST_ROWS,
  MOST_COLUMNS,
  MOST_ROWS,
} from '../repair/picture_size.ts';
import type { Cli } from './cli.ts';
import { withTaskFlags } from './run_task.ts';

export const addStoreMapCommand = (program: Command, cli: Cli): void => {
  withTaskFlags(
    cli.storeCommand(
      program
        .command('store-map')
        .description('a picture of a gossip_store: what is where in the file, and where it is damaged')
        .argument('[store]', 'file or folder; default: the data folder, then CLN’s')
        .option(
          '--columns <number>',
          'cells in a row',
          cli.wholeNumber(LEAST_COLUMNS, MOST_COLUMNS),
          DEFAULT_COLUMNS,
        )
        .option('--rows <number>', 'rows, at most', cli.wholeNumber(LEAST_ROWS, MOST_ROWS), DEFAULT_ROWS)
        .option('--svg <file>', 'write the picture to this file as SVG as well'),
    ),
  ).action(
    cli.act(async (flags, [path]) => {
      const { storeMap } = await import('./store_map.ts');
      return storeMap(cli.place(path, flags), flags, {
        columns: Number(flags['columns']),
        rows: Number(flags['rows']),
        svg: typeof flags['svg'] === 'string' ? flags['svg'] : undefined,
        json: cli.wantsJson(flags),
        quiet: flags['quiet'] === true,
      });
    }),
  );
};
