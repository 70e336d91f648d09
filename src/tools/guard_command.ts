/** `gossipd guard`: its flags. */
import type { Command } from 'commander';
import { DEFAULT_KEEP, MAX_KEEP } from './backup_command.ts';
import type { Cli } from './cli.ts';
import { withTaskFlags } from './run_task.ts';

const text = (value: unknown): string | undefined => (value === undefined ? undefined : String(value));

export const addGuardCommand = (program: Command, cli: Cli): void => {
  withTaskFlags(
    cli.storeCommand(
      program
        .command('guard')
        .description(
          'watch the gossip_store of a running CLN node, keep good backups, and say when something is wrong',
        )
        .argument('[store]', 'file or folder; default: the data folder, then CLN’s')
        .option('--interval <time>', 'between two rounds', '60s')
        .option('--backup-dir <folder>', 'keep good backups here')
        .option('--backup-every <time>', 'between two backups, when the store has changed', '30m')
        .option('--keep <number>', 'good backups that stay', cli.wholeNumber(1, MAX_KEEP), DEFAULT_KEEP)
        .option('--compress', 'write backups as gzip')
        .option('--status-file <file>', 'keep the state here as JSON, for monitoring')
        .option(
          '--on-alert <command>',
          'run this in a shell for each alert, which it gets as JSON on its input',
        )
        .option('--once', 'one round; the exit code says what was found')
        .option(
          '--preen',
          'before lightningd starts: put right what would make it drop the map or crash, then exit',
        )
        .option('--strict', 'with --preen: exit with an error when it could not be put right'),
    ),
  )
    .addHelpText(
      'after',
      '\n--io-limit is 20M a second unless given. As a service: see contrib/systemd in the package.',
    )
    .action(
      cli.act(async (flags, [path]) => {
        const { guard, guardPlace } = await import('./guard.ts');
        const json = cli.wantsJson(flags);
        const backupDir = text(flags['backupDir']);
        const place = guardPlace(path, () => cli.place(path, flags));
        if (flags['preen'] === true) {
          const { preenStore } = await import('./preen.ts');
          return preenStore(place, flags, {
            json,
            backupDir,
            strict: flags['strict'] === true,
            quiet: flags['quiet'] === true,
            toolVersion: cli.version,
          });
        }
        return guard(place, flags, {
          json,
          backupDir,
          quiet: flags['quiet'] === true,
          keep: Number(flags['keep']),
          compress: flags['compress'] === true,
          interval: String(flags['interval']),
          backupEvery: String(flags['backupEvery']),
          statusFile: text(flags['statusFile']),
          onAlert: text(flags['onAlert']),
          once: flags['once'] === true,
        });
      }),
    );
};
