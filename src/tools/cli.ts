/**
 * Cli: what main.ts hands to a verb's `add…Command`, so that each verb keeps its flags beside its work.
 *
 * A `<verb>_command.ts` imports nothing heavy: the work is loaded by `await import()` when the verb runs, so that a person
 * who asks for help does not wait for all verbs.
 */
import type { Command } from 'commander';
import type { ChainBackend } from '../chain/block_source.ts';
import type { StoreFile, StoreFolder } from '../store/store_file.ts';

export type Flags = Readonly<Record<string, unknown>>;

/** A store that a verb was asked to work on. */
export interface StorePlace {
  /** For messages to people. */
  readonly path: string;
  /** Path of the folder. */
  readonly directory: string;
  /** File name in the folder. */
  readonly name: string;
  readonly folder: StoreFolder;
  /** Opens for reading. Throws OperationalError. */
  readonly open: () => StoreFile;
}

export interface Cli {
  /** Adds --data-dir, --network, --config and --json, which `place` and `network` look at. */
  readonly storeCommand: (command: Command) => Command;
  /** Makes an action: what it returns is the exit code; what it throws is told to the person and becomes one. */
  readonly act: (
    action: (flags: Flags, args: readonly string[]) => Promise<number>,
  ) => (...given: unknown[]) => Promise<void>;
  /** The argument (file or folder), else the data folder's store, else CLN's. Throws OperationalError `store_missing`. */
  readonly place: (argument: string | undefined, flags: Flags) => StorePlace;
  /** The configured chain, `bitcoin` unless given. */
  readonly network: (flags: Flags) => string;
  /** The chain backend: that of `--utxo`, else the configured one; whoever opens it closes it. Throws OperationalError `bad_config`. */
  readonly chain: (flags: Flags) => Promise<ChainBackend>;
  /** Of this program. */
  readonly version: string;
  readonly wantsJson: (flags: Flags) => boolean;
  /** Parser for commander: a whole number within bounds. */
  readonly wholeNumber: (least: number, most: number) => (text: string) => number;
}
