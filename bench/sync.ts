/**
 * Verified sync, end to end: the daemon against three peer processes over TCP, from an empty store to a complete and durable
 * map, with every signature checked. Beside it, in the same run, what the checks alone cost with the same library.
 *
 * `cpu_seconds` is the daemon's own process with all its threads, the peers apart. Run by scripts/bench; SYNC_CHANNELS sets
 * the size (default 10,000 channels in mainnet's proportions; 50808 is mainnet).
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { seededRng } from '../src/base/rng.ts';
import { loadEngine } from '../src/crypto/engine.ts';
import { doubleSha256 } from '../src/crypto/hash.ts';
import type { SimnetResult } from '../src/daemon/simnet.ts';

const ROUNDS = 3;
const CHECKS = 20_000;
const DISTINCT = 500;

export interface SyncRow {
  readonly round: number;
  readonly signatures: number;
  readonly seconds: number;
  readonly signatures_per_second: number;
  readonly cpu_seconds: number;
  /** What the same number of checks costs on one core with the same library, measured in this round. */
  readonly checks_alone_cpu_seconds: number;
  readonly cpu_ratio: number;
  readonly store_megabytes: number;
}

const median = (values: readonly number[]): number =>
  [...values].sort((left, right) => left - right)[values.length >> 1] ?? 0;

const cpuSeconds = (work: () => void): number => {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
};

/** Processor seconds of one check: hash of a message of 370 bytes, and its signature. */
const costOfCheck = (): number => {
  const engine = loadEngine('fastest');
  const rng = seededRng(1);
  const samples = Array.from({ length: DISTINCT }, () => {
    const [secret, message] = [rng.bytes(32).fill(1, 0, 1), rng.bytes(370)];
    return { message, key: engine.publicKey(secret), signature: engine.sign(doubleSha256(message), secret) };
  });
  const seconds = cpuSeconds(() => {
    for (let count = 0; count < CHECKS; count++) {
      const sample = samples[count % DISTINCT];
      if (sample === undefined || !engine.verify(sample.signature, doubleSha256(sample.message), sample.key))
        throw new Error('a good signature was refused');
    }
  });
  return seconds / CHECKS;
};

const syncOnce = (channels: string): SimnetResult => {
  const dataDir = mkdtempSync(join(tmpdir(), 'gossipd-bench-'));
  const launcher = fileURLToPath(new URL('../../bin/gossipd.mjs', import.meta.url));
  try {
    const args = [
      'simnet',
      '--channels',
      channels,
      '--once',
      '--json',
      '--data-dir',
      dataDir,
      '--log-level',
      'broken',
    ];
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [launcher, ...args, '--progress', 'never'],
      {
        encoding: 'utf8',
        maxBuffer: 16 * 1024 * 1024,
      },
    );
    if (status !== 0) throw new Error(`simnet ended with ${status}: ${stderr.slice(-500)}`);
    return JSON.parse(stdout) as SimnetResult;
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
};

/** A row for each round, and their medians last (round 0). */
export const run = (): SyncRow[] => {
  const channels = process.env['SYNC_CHANNELS'] ?? '10000';
  // Makes the map, so that no round pays for it.
  syncOnce(channels);
  const rows = Array.from({ length: ROUNDS }, (_, index): SyncRow => {
    const alone = costOfCheck();
    const result = syncOnce(channels);
    const checks = alone * result.signatures_checked;
    return {
      round: index + 1,
      signatures: result.signatures_checked,
      seconds: result.seconds,
      signatures_per_second: result.signatures_per_second,
      cpu_seconds: result.cpu_seconds,
      checks_alone_cpu_seconds: checks,
      cpu_ratio: result.cpu_seconds / checks,
      store_megabytes: result.store_bytes / 1e6,
    };
  });
  const column = (key: keyof SyncRow): number => median(rows.map((row) => row[key]));
  const medians = Object.fromEntries(
    (Object.keys(rows[0] ?? {}) as (keyof SyncRow)[]).map((key) => [key, column(key)]),
  ) as Record<keyof SyncRow, number>;
  return [...rows, { ...medians, round: 0 }];
};
