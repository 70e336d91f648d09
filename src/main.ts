/**
 * argv -> verb. Every verb is one commander command whose action lives elsewhere; this file only parses and hands on.
 * What a verb needs is loaded when it runs: someone who asks for one channel does not wait for the daemon's modules.
 */

import { availableParallelism } from 'node:os';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type Config, loadConfig } from './daemon/config.ts';
import { systemSources } from './daemon/config_sources.ts';
import { flagRows, sampleToml } from './daemon/config_text.ts';
import { reportError } from './daemon/report_error.ts';
import type { SimnetResult } from './daemon/simnet.ts';
import { DEFAULT_CHANNELS, nodesFor } from './daemon/simnet_size.ts';
import { VERSION } from './daemon/version.ts';
import { addBackupCommand } from './tools/backup_command.ts';
import { addCheckCommand } from './tools/check_command.ts';
import type { Cli, Flags } from './tools/cli.ts';
import { addConvertCommand } from './tools/convert_command.ts';
import { addDumpCommand } from './tools/dump_command.ts';
import { addGraphCommand } from './tools/graph_command.ts';
import { addGuardCommand } from './tools/guard_command.ts';
import { printJson, printText } from './tools/output.ts';
import { addRepairCommand } from './tools/repair_command.ts';
import { addRestoreCommand } from './tools/restore_command.ts';
import { findStore } from './tools/store_argument.ts';
import { addStoreMapCommand } from './tools/store_map_command.ts';
import { addTailCommand } from './tools/tail_command.ts';
import { addUndoCommand } from './tools/undo_command.ts';

const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

/** What simnet decides by itself. */
const SIMNET_DECIDES: readonly string[] = ['network', 'peers', 'utxo', 'dns-seeds', 'outbound-peers'];

/** Adds the options of the configuration table, all or the named keys. */
const withConfig = (command: Command, only?: readonly string[], without: readonly string[] = []): Command => {
  command.option('--config <file>', 'configuration file in TOML');
  for (const { flags, description, hidden, repeatable } of flagRows()) {
    const key = flags.replace(/^--(no-)?/, '').split(' ')[0] ?? '';
    if ((only !== undefined && !only.includes(key)) || without.includes(key)) continue;
    const option = new Option(flags, description).hideHelp(hidden);
    command.addOption(repeatable ? option.argParser(collect) : option);
  }
  return command;
};

const wholeNumber =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new InvalidArgumentError(`Use a whole number from ${least} to ${most}.`);
    }
    return value;
  };

const configOf = (flags: Flags): Config => loadConfig(systemSources(flags));

/** Runs the action; whatever it throws becomes one message and an exit code. */
const act =
  (json: (flags: Flags) => boolean, action: (flags: Flags, args: readonly string[]) => Promise<number>) =>
  async (...given: unknown[]): Promise<void> => {
    // commander hands over the arguments, then the options, then the command.
    const flags = given.at(-2) as Flags;
    const args = given.slice(0, -2).filter((entry): entry is string => typeof entry === 'string');
    try {
      process.exitCode = await action(flags, args);
    } catch (error) {
      process.exitCode = reportError(error, json(flags));
    }
  };

const wantsJson = (flags: Flags): boolean => flags['json'] === true;

const run = async (flags: Flags): Promise<number> => {
  const config = configOf(flags);
  const { openLog, runDaemon } = await import('./daemon/run.ts');
  const { log, output } = openLog(config);
  const last = await runDaemon({ config, log, output });
  log.flush();
  if (config.json) await printJson(last);
  return 0;
};

const SIMNET_FLAGS = [
  'seed',
  'channels',
  'nodes',
  'simnetPeers',
  'live',
  'once',
  'keep',
  'cacheDir',
  'fromStore',
];

const simnet = async (flags: Flags): Promise<number> => {
  const own = (name: string): unknown => flags[name];
  const rest = Object.fromEntries(Object.entries(flags).filter(([name]) => !SIMNET_FLAGS.includes(name)));
  const once = own('once') === true;
  const channels = Number(own('channels'));
  const configure = (settings: { data_dir: string; peers: readonly string[] }): Config =>
    configOf({
      // Loopback peers of our own making need no byte budget; what the user gives goes before.
      bytesPerSecondIn: '0',
      bytesPerSecondOut: '0',
      ...rest,
      network: 'regtest',
      dataDir: settings.data_dir,
      peers: settings.peers.join(','),
      ...(once ? { exitWhenSynced: true } : {}),
    });
  const { openLog } = await import('./daemon/run.ts');
  const { runSimnet } = await import('./daemon/simnet.ts');
  const { log, output } = openLog(configOf({ ...rest, network: 'regtest' }));
  const fromStore = own('fromStore');
  const result = await runSimnet(
    {
      topology: {
        seed: Number(own('seed')),
        channels,
        nodes: Number(own('nodes') ?? nodesFor(channels)),
        ...(typeof fromStore === 'string' ? { fromStore } : {}),
      },
      peers: Number(own('simnetPeers')),
      livePerSecond: Number(own('live') ?? (once ? 0 : 5)),
      keep: own('keep') === true,
      cacheDir: typeof own('cacheDir') === 'string' ? String(own('cacheDir')) : undefined,
      dataDir: typeof own('dataDir') === 'string' ? String(own('dataDir')) : undefined,
      signWorkers: availableParallelism(),
    },
    { log, output, configure },
  );
  log.flush();
  if (flags['json'] === true) await printJson(result);
  else if (once) await printText(simnetText(result));
  return result.complete ? 0 : once ? 1 : 0;
};

const simnetText = (result: SimnetResult): string =>
  `${result.channels} channels, ${result.nodes} nodes, ${result.signatures_checked} signatures checked, ` +
  `${result.rejected} refused, ${result.seconds} s, ${result.store}`;

const simnetCommand = (command: Command): Command =>
  withConfig(
    command
      .option(
        '--seed <number>',
        'what the network is made from: the same seed, the same network',
        wholeNumber(0, 0xffffffff),
        1,
      )
      .option('--channels <number>', 'how many channels it has', wholeNumber(1, 10_000_000), DEFAULT_CHANNELS)
      .option(
        '--nodes <number>',
        'how many nodes it has (default: in proportion, 17324 for 50808 channels)',
        wholeNumber(2, 10_000_000),
      )
      .option('--from-store <file>', 'take the topology of this gossip_store instead')
      .option(
        '--simnet-peers <number>',
        'peers that serve it, each a process of its own',
        wholeNumber(1, 16),
        3,
      )
      .option(
        '--live <per-second>',
        'live updates a second (default: 5; with --once: 0)',
        wholeNumber(0, 10_000),
      )
      .option('--once', 'stop after the first complete sync')
      .option('--keep', 'go on with what the last run stored')
      .option('--cache-dir <folder>', 'where signed maps are kept (default: $XDG_CACHE_HOME/gossipd/simnet)'),
    undefined,
    SIMNET_DECIDES,
  )
    .addHelpText(
      'after',
      '\nEach run starts with an empty store, except after a run that was interrupted before its first sync was complete\n' +
        '(it goes on), with --keep, or with a --data-dir of your own.',
    )
    .action(act(wantsJson, simnet));

/** What the tools look at: they work with a data folder, or with a file alone. */
const storeConfig = (flags: Flags): Pick<Config, 'data_dir' | 'network'> =>
  configOf({ dataDir: flags['dataDir'], network: flags['network'], config: flags['config'] });

const cli: Cli = {
  storeCommand: (command) => withConfig(command, ['data-dir', 'network', 'json']),
  act: (action) => act(wantsJson, action),
  place: (argument, flags) => {
    const { data_dir, network } = storeConfig(flags);
    return findStore(argument, data_dir, network);
  },
  network: (flags) => storeConfig(flags).network,
  chain: async (flags) => {
    const { openQuietChainBackend } = await import('./daemon/chain_backend.ts');
    const { network, config, utxo } = flags;
    return openQuietChainBackend(configOf({ network, config, utxo }));
  },
  version: VERSION,
  wantsJson,
  wholeNumber,
};

const addTools = (program: Command): void => {
  withConfig(program.command('status').description('what a running daemon is doing'), [
    'data-dir',
    'network',
    'json',
    'rpc-socket',
  ]).action(
    act(wantsJson, async (flags) => {
      const { status } = await import('./tools/status.ts');
      await status(configOf(flags).rpc_socket, wantsJson(flags));
      return 0;
    }),
  );
  addBackupCommand(program, cli);
  addCheckCommand(program, cli);
  addConvertCommand(program, cli);
  addDumpCommand(program, cli);
  addGraphCommand(program, cli);
  addGuardCommand(program, cli);
  addRepairCommand(program, cli);
  addRestoreCommand(program, cli);
  addStoreMapCommand(program, cli);
  addTailCommand(program, cli);
  addUndoCommand(program, cli);
  withConfig(
    program.command('config').description('print a configuration file with every key explained'),
    [],
  ).action(
    act(wantsJson, async () => {
      await printText(sampleToml().trimEnd());
      return 0;
    }),
  );
};

const buildProgram = (): Command => {
  const program = new Command('gossipd')
    .description('The Lightning gossip daemon that its own file cannot kill. It holds no funds.')
    .version(VERSION)
    .showHelpAfterError('Next: add --help to see what this verb takes.')
    .showSuggestionAfterError()
    // Help and version end with 0; a wrong command line with 16, as e2fsck. Verbs that are added later inherit it.
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 16));
  withConfig(
    program.command('run').description('a gossip node: sync, verify, store, relay and answer, until stopped'),
  ).action(act(wantsJson, run));
  simnetCommand(
    program
      .command('simnet')
      .description('a network in a box: the daemon against signed peers on this machine, offline'),
  );
  addTools(program);
  return program;
};

/** `start` is `run` when a network is named, `simnet` otherwise, so that `npm start` works on a machine without network. */
const resolveStart = (argv: readonly string[]): string[] => {
  if (argv[0] !== 'start') return [...argv];
  const rest = argv.slice(1);
  const namesNetwork = rest.some((argument) => argument === '--network' || argument.startsWith('--network='));
  return [namesNetwork ? 'run' : 'simnet', ...rest];
};

/** @param argv without the program's own name */
export const main = async (argv: readonly string[]): Promise<void> => {
  await buildProgram().parseAsync(resolveStart(argv), { from: 'user' });
};
