/** `gossipd graph`: its subcommands and flags. */
import type { Command } from 'commander';
import type { Cli, Flags } from './cli.ts';
import { openStoreArgument, type StoreArgument } from './store_argument.ts';

export const addGraphCommand = (program: Command, cli: Cli): void => {
  const graph = program
    .command('graph')
    .description('ask the network map in a gossip_store; needs no daemon');
  const open = (argument: string | undefined, flags: Flags): StoreArgument =>
    openStoreArgument(cli.place(argument, flags));
  cli
    .storeCommand(
      graph.command('info').description('figures of the whole map').argument('[store]', 'file or folder'),
    )
    .action(
      cli.act(async (flags, [path]) => {
        const { graphInfo } = await import('./graph.ts');
        await graphInfo(open(path, flags), cli.wantsJson(flags));
        return 0;
      }),
    );
  cli
    .storeCommand(
      graph
        .command('channel')
        .description('one channel')
        .argument('<short_channel_id>', '539268x845x1, 539268:845:1 or the number')
        .argument('[store]', 'file or folder'),
    )
    .action(
      cli.act(async (flags, [scid, path]) => {
        const { graphChannel } = await import('./graph.ts');
        await graphChannel(open(path, flags), scid ?? '', cli.wantsJson(flags));
        return 0;
      }),
    );
  cli
    .storeCommand(
      graph
        .command('node')
        .description('one node and its channels')
        .argument('<node_id>', '66 hex characters')
        .argument('[store]', 'file or folder'),
    )
    .action(
      cli.act(async (flags, [node, path]) => {
        const { graphNode } = await import('./graph.ts');
        await graphNode(open(path, flags), node ?? '', cli.wantsJson(flags));
        return 0;
      }),
    );
};
