/**
 * The verb `run`: a daemon in the foreground with its log, its progress line and its signals, until it is told to stop.
 * simnet.ts runs the same daemon beside peers of its own making.
 */

import type { DaemonStatus } from '../api/daemon_status.ts';
import type { Log } from '../base/log.ts';
import { type ConsoleLog, consoleLog } from '../observe/console_log.ts';
import { type LineOutput, standardError } from '../observe/line_output.ts';
import { openChainBackend } from './chain_backend.ts';
import type { OpenOptions } from './compose.ts';
import type { Config } from './config.ts';
import { Daemon } from './daemon.ts';
import { SyncProgress } from './sync_progress.ts';

/** What must hold for a clean exit after a signal; then the process ends by itself (a hung disk must not keep it). */
const STOP_DEADLINE_MS = 2_000;

export interface RunOptions {
  readonly config: Config;
  readonly log: Log;
  /** Where the log's lines and the progress row go. */
  readonly output: LineOutput;
  /** Instead of the configured backend. */
  readonly openChain?: OpenOptions['openChain'];
  /** Called once, when the first sync is complete, with the seconds it took. */
  readonly onSynced?: (status: DaemonStatus, seconds: number) => void;
}

/** The log and the output that it shares with the progress row. */
export const openLog = (config: Config): { log: ConsoleLog; output: LineOutput } => {
  const output = standardError();
  return { log: consoleLog({ level: config.log_level, json: config.log_json, output }), output };
};

/** Resolves with the last status after a clean stop. Rejects with OperationalError when it cannot start. */
export const runDaemon = async ({
  config,
  log,
  output,
  openChain = (ports) => openChainBackend(config, ports),
  onSynced,
}: RunOptions): Promise<DaemonStatus> => {
  let finish: () => void = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const onSignal = (signal: NodeJS.Signals): void => {
    log.info('stopping', { signal });
    finish();
  };
  // Before anything is opened: a signal during the start ends the process as cleanly as one later.
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  const daemon = await Daemon.start({ config, log, openChain });
  if (!daemon.parts.utxo.verifies) {
    log.info(
      'no chain backend: channels are checked by their signatures only, marked unverified' +
        (config.relay_unverified ? ', and relayed because relay_unverified is set' : ', and not relayed'),
    );
  }
  const progress = new SyncProgress(daemon, log, output, showsProgress(config, output));
  progress.onFirstSync((status, seconds) => {
    onSynced?.(status, seconds);
    if (config.exit_when_synced) finish();
  });
  await finished;
  progress.stop();
  const deadline = setTimeout(() => {
    log.broken('stopping took too long; ending now. What was synced is safe', { ms: STOP_DEADLINE_MS });
    process.exit(1);
  }, STOP_DEADLINE_MS);
  const last = daemon.status();
  await daemon.stop();
  clearTimeout(deadline);
  process.off('SIGINT', onSignal);
  process.off('SIGTERM', onSignal);
  const { store } = daemon.status();
  const { path, reason, bytes, durable_bytes } = store;
  if (store.state === 'ok') log.info('stopped; the store is durable', { path, bytes: durable_bytes });
  else {
    const unwritten = daemon.parts.store.pendingBytes + bytes - durable_bytes;
    log.unusual(
      `stopped while the store could not be written: ${unwritten} bytes were not written and are fetched again from peers ` +
        'at the next start. No funds are in this file',
      { path, bytes: durable_bytes, reason },
    );
  }
  return { ...last, store };
};

const showsProgress = (config: Config, output: LineOutput): boolean =>
  config.progress === 'always' || (config.progress === 'auto' && (output.isTerminal || !config.log_json));
