/**
 * How many gossip signatures per second: on the caller's thread by each engine, and by the pool with one and two workers.
 *
 * Jobs are channel_announcements of 430 bytes with four signatures, all good, which is the whole work. Reports wall-clock
 * rates and rates per second of processor time (all threads), the median of several rounds, which take turns so that
 * another load on the machine meets all of them. Run by scripts/bench, or alone: node dist/bench/verify.js
 */
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { assert } from '../src/base/errors.ts';
import { silentLog } from '../src/base/log.ts';
import { silentMeter } from '../src/base/meter.ts';
import { seededRng } from '../src/base/rng.ts';
import { loadEngine } from '../src/crypto/engine.ts';
import { type SignedSample, signedSample } from '../src/crypto/signed_sample.test.support.ts';
import { inlineChecker, openVerifyPool, type SignatureChecker } from '../src/crypto/verify_pool.ts';

const ROUNDS = 5;
const ROUND_MS = 1_500;
const SAMPLES = 256;
/** Signatures kept in flight, as ingest/ would with a full socket. */
const BACKLOG = 4_096;

export interface VerifyRow {
  readonly way: string;
  readonly engine: string;
  readonly signatures_per_second: number;
  readonly signatures_per_cpu_second: number;
}

interface Way {
  readonly way: string;
  readonly engine: string;
  readonly checker: SignatureChecker;
  readonly perSecond: number[];
  readonly perCpuSecond: number[];
}

const median = (values: readonly number[]): number =>
  [...values].sort((left, right) => left - right)[values.length >> 1] ?? 0;

/** Keeps up to BACKLOG signatures in flight until the time is up; resolves when all are answered. */
const drive = (checker: SignatureChecker, samples: readonly SignedSample[], ms: number): Promise<number> =>
  new Promise((resolve) => {
    const end = performance.now() + ms;
    let submitted = 0;
    let answered = 0;
    const submit = (): void => {
      while (checker.backlog < BACKLOG) {
        const sample = samples[submitted % samples.length];
        assert(sample !== undefined, 'samples are there');
        submitted += 4;
        checker.check(sample.raw, 4, sample.keys, 0, (outcome) => {
          assert(outcome === 'valid', 'every sample is good');
          answered += 4;
          const over = performance.now() >= end;
          if (!over && checker.backlog <= BACKLOG / 2) submit();
          else if (over && answered === submitted) resolve(answered);
        });
      }
    };
    submit();
  });

const measure = async (way: Way, samples: readonly SignedSample[]): Promise<void> => {
  const cpuFrom = process.cpuUsage();
  const from = performance.now();
  const signatures = await drive(way.checker, samples, ROUND_MS);
  const cpu = process.cpuUsage(cpuFrom);
  way.perSecond.push((signatures / (performance.now() - from)) * 1e3);
  way.perCpuSecond.push((signatures / (cpu.user + cpu.system)) * 1e6);
};

export const run = async (): Promise<VerifyRow[]> => {
  const native = loadEngine('fastest');
  const rng = seededRng(1);
  const samples = Array.from({ length: SAMPLES }, () => signedSample(native, rng, 4, 172));
  const pool = (workers: number): SignatureChecker =>
    openVerifyPool({ workers, engine: 'fastest', log: silentLog, meter: silentMeter });
  const way = (name: string, engine: string, checker: SignatureChecker): Way => ({
    way: name,
    engine,
    checker,
    perSecond: [],
    perCpuSecond: [],
  });
  const ways = [
    way('inline', 'noble', inlineChecker(loadEngine('noble'))),
    way('inline', native.name, inlineChecker(native)),
    way('pool, 1 worker', native.name, pool(1)),
    way('pool, 2 workers', native.name, pool(2)),
  ];
  for (const each of ways) await drive(each.checker, samples, 300);
  for (let round = 0; round < ROUNDS; round++) for (const each of ways) await measure(each, samples);
  for (const each of ways) await each.checker.close();
  return ways.map((each) => ({
    way: each.way,
    engine: each.engine,
    signatures_per_second: Math.round(median(each.perSecond)),
    signatures_per_cpu_second: Math.round(median(each.perCpuSecond)),
  }));
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const rows = await run();
  console.table(rows);
  const machine = `${cpus()[0]?.model ?? 'unknown'} x ${cpus().length}`;
  console.log(JSON.stringify({ bench: 'verify', machine, node: process.version, rows }));
}
