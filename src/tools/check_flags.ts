/**
 * What `check` and `repair` need for an audit, from their flags: level, chain, thread pool and chain backend.
 *
 * The ports are opened here and closed by who asked for them. Wrong combinations are OperationalErrors `bad_argument`.
 */
import { availableParallelism } from 'node:os';
import { NETWORKS } from '../base/chain_hash.ts';
import { OperationalError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import { silentMeter } from '../base/meter.ts';
import type { AuditOptions, Level } from '../repair/audit.ts';
import type { Subset } from '../repair/audit_proofs.ts';
import { FINDING_KINDS } from '../store/finding.ts';
import type { Cli, Flags } from './cli.ts';

export const usageError = (what: string, next: string): OperationalError =>
  new OperationalError('bad_argument', 'stop', what, next);

/** Level, and what it needs beyond the file. */
export interface AuditPorts {
  readonly ports: Pick<AuditOptions, 'level' | 'chainHash' | 'verify' | 'utxo' | 'subset'>;
  /** Ends the threads. */
  readonly close: () => Promise<void>;
}

/** Ids of `--ignore`; in lower case too. */
export const ignoredIds = (flags: Flags): ReadonlySet<string> => {
  const given = (flags['ignore'] as readonly string[] | undefined) ?? [];
  const ids = given.map((id) => id.toUpperCase());
  const unknown = ids.find((id) => !(id in FINDING_KINDS));
  if (unknown === undefined) return new Set(ids);
  throw usageError(
    `--ignore ${unknown}: there is no such finding`,
    'Use an id as "gossipd check" prints it, e.g. GS-DEAD-WEIGHT.',
  );
};

const subsetOf = (value: unknown, level: Level): Subset | undefined => {
  if (value === undefined) return undefined;
  const [, part, of] = /^(\d{1,6})\/(\d{1,6})$/.exec(String(value)) ?? [];
  const subset = { part: Number(part), of: Number(of) };
  if (part === undefined || subset.part < 1 || subset.part > subset.of)
    throw usageError(`--subset "${String(value)}" is no part of a whole`, 'Write it like 1/7, up to 7/7.');
  if (level !== 'signature' && level !== 'chain')
    throw usageError(
      '--subset is for the levels signature and chain',
      'Add --level signature, or leave --subset out.',
    );
  return subset;
};

/** Opens threads and chain backend where the level needs them. */
export const openAuditPorts = async (cli: Cli, flags: Flags, level: Level): Promise<AuditPorts> => {
  const subset = subsetOf(flags['subset'], level);
  const network = flags['network'] === undefined ? undefined : cli.network(flags);
  const chain = Object.values(NETWORKS).find(({ name }) => name === network);
  const common = {
    level,
    ...(chain === undefined ? {} : { chainHash: chain.chainHashBytes }),
    ...(subset === undefined ? {} : { subset }),
  };
  if (level !== 'signature' && level !== 'chain') return { ports: common, close: () => Promise.resolve() };
  const backend = level === 'chain' ? await cli.chain(flags) : undefined;
  const utxo = backend?.lookup;
  if (utxo?.verifies === false)
    throw usageError(
      '--level chain needs a chain backend, and none is configured',
      'Add --utxo bitcoind:http://HOST:PORT or another backend, or use --level signature.',
    );
  const { openVerifyPool } = await import('../crypto/verify_pool.ts');
  const verify = openVerifyPool({
    workers: availableParallelism(),
    engine: 'fastest',
    log: silentLog,
    meter: silentMeter,
  });
  return {
    ports: { ...common, verify, ...(utxo === undefined ? {} : { utxo }) },
    close: async () => {
      await verify.close();
      await backend?.close();
    },
  };
};
