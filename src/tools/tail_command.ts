/** `gossipd tail`: its flags. */
import { type Command, Option } from 'commander';
import type { Cli } from './cli.ts';

const MORE = `
Events: channel_announcement (with its satoshis), channel_update, node_announcement, channel_dying, channel_deleted. Each is told
once, across deletions, compaction, renaming and restarts of the node. Works beside a running node, and never writes to the store.

With --state FILE a tail that is started again goes on where the last one stopped; with --cursor TOKEN as well, exactly behind the
event that has this token in its "cursor" field, even after a kill. Without a state, a cursor holds while the store is the same
file; behind a compaction everything is told again, and a line on standard error says so.`;

export const addTailCommand = (program: Command, cli: Cli): void => {
  cli
    .storeCommand(
      program
        .command('tail')
        .description('what happens in a gossip_store, live, each event exactly once')
        .argument('[store]', 'file or folder; default: the data folder, then CLN’s'),
    )
    .addOption(
      new Option('--from <place>', 'begin with all that is in the file, or with what comes now')
        .choices(['start', 'end'])
        .default('end'),
    )
    .option('--types <list>', 'only these events, separated by commas')
    .option('--raw', 'add each message as hex')
    .option('--text', 'lines for people even when standard output is no terminal')
    .option('--once', 'stop when everything is read')
    .option(
      '--poll <ms>',
      'look at the file at least so often, in milliseconds (default: 250)',
      cli.wholeNumber(1, 3_600_000),
    )
    .option('--state <file>', 'keep in this file what was told; one tail at a time')
    .option('--cursor <token>', 'go on behind the event with this cursor')
    .option('--max-events <number>', 'stop after so many events', cli.wholeNumber(1, 2_147_483_647))
    .option('--max-duration <time>', 'stop after this long, e.g. 90s or 5m')
    .addHelpText('after', MORE)
    .action(
      cli.act(async (flags, [path]) => {
        const { tail, tailOptions } = await import('./tail.ts');
        return tail(() => cli.place(path, flags), path, tailOptions(flags, cli.wantsJson(flags)));
      }),
    );
};
