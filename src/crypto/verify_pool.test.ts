import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { Bug } from '../base/errors.ts';
import { type LogLevel, recordingLog, silentLog } from '../base/log.ts';
import { MemoryMeter, silentMeter } from '../base/meter.ts';
import { seededRng } from '../base/rng.ts';
import { SLOT_JOBS, SLOTS } from './batch_ring.ts';
import { loadEngine } from './engine.ts';
import { type SignedSample, signedSample, signedSamples } from './signed_sample.test.support.ts';
import { type CheckOutcome, inlineChecker, openVerifyPool, type SignatureChecker } from './verify_pool.ts';
import { MAX_CRASHES_IN_A_ROW } from './worker_lane.ts';

const engine = loadEngine('fastest');
const poolOf = (workers: number): SignatureChecker =>
  openVerifyPool({ workers, engine: 'fastest', log: silentLog, meter: silentMeter });
const checkers: readonly (readonly [string, () => SignatureChecker])[] = [
  ['inline checker', () => inlineChecker(engine)],
  ['pool without workers', () => poolOf(0)],
  ['pool of one', () => poolOf(1)],
  ['pool of three', () => poolOf(3)],
];
const ask = (checker: SignatureChecker, sample: SignedSample): Promise<CheckOutcome> =>
  new Promise((resolve) => checker.check(sample.raw, sample.signatureCount, sample.keys, 0, resolve));
/** Samples of which every third has one bit wrong, with the answer that each deserves. */
const mixed = (seed: number, count: number): { sample: SignedSample; expected: CheckOutcome }[] =>
  signedSamples(engine, seed, count).map((sample, index) => {
    if (index % 3 !== 1) return { sample, expected: 'valid' };
    const broken = index % sample.signatureCount;
    if (index % 2 === 1) {
      sample.keys[broken * 33] = 9;
      return { sample, expected: { bad_key: broken } };
    }
    sample.raw[2 + broken * 64 + 1] = sample.raw[2 + broken * 64 + 1]! ^ 4;
    return { sample, expected: { bad_signature: broken } };
  });
const signaturesIn = (samples: readonly { sample: SignedSample }[]): number =>
  samples.reduce((sum, { sample }) => sum + sample.signatureCount, 0);

for (const [name, open] of checkers) {
  test(`${name}: every job is answered once and truly, and backlog counts signatures`, async () => {
    const checker = open();
    const jobs = mixed(21, 300);
    const answers = jobs.map(({ sample }) => ask(checker, sample));
    assert.equal(checker.backlog, signaturesIn(jobs));
    checker.flush();
    assert.deepEqual(
      await Promise.all(answers),
      jobs.map(({ expected }) => expected),
    );
    assert.equal(checker.backlog, 0);
    await checker.close();
  });

  test(`${name}: bytes are copied before check returns, and done is not called during it`, async () => {
    const checker = open();
    const { raw, keys, signatureCount } = signedSample(engine, seededRng(5), 4, 172);
    const padded = concatBytes(new Uint8Array(7), keys);
    let answered = false;
    const answer = new Promise<CheckOutcome>((resolve) => {
      checker.check(raw, signatureCount, padded, 7, (outcome) => {
        answered = true;
        resolve(outcome);
      });
    });
    assert.equal(answered, false);
    raw.fill(0);
    padded.fill(0);
    assert.equal(await answer, 'valid');
    await checker.close();
  });

  test(`${name}: the largest message with four signatures is checked`, async () => {
    const checker = open();
    const samples = [1, 2, 3, 4, 5].map((seed) => signedSample(engine, seededRng(seed), 4, 65_535 - 258));
    const last = samples[4]!;
    last.raw[65_534] = last.raw[65_534]! ^ 1;
    const answers = await Promise.all(samples.map((sample) => ask(checker, sample)));
    assert.deepEqual(answers, ['valid', 'valid', 'valid', 'valid', { bad_signature: 0 }]);
    await checker.close();
  });

  test(`${name}: a caller that breaks the contract is a Bug`, async () => {
    const checker = open();
    const keys = new Uint8Array(132);
    const done = (): void => assert.fail('nothing to answer');
    assert.throws(() => checker.check(new Uint8Array(65), 1, keys, 0, done), Bug);
    assert.throws(() => checker.check(new Uint8Array(400), 4, keys, 1, done), Bug);
    assert.throws(() => checker.check(new Uint8Array(400), 5, new Uint8Array(200), 0, done), Bug);
    assert.throws(() => checker.check(new Uint8Array(65_536), 4, keys, 0, done), Bug);
    assert.equal(checker.backlog, 0);
    await checker.close();
  });

  test(`${name}: close drops what is pending and what comes later`, async () => {
    const checker = open();
    const [sample] = signedSamples(engine, 4, 1);
    let answered = 0;
    const count = (): void => {
      answered++;
    };
    for (let job = 0; job < 50; job++) checker.check(sample!.raw, 4, sample!.keys, 0, count);
    await checker.close();
    checker.check(sample!.raw, 4, sample!.keys, 0, count);
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    assert.equal(answered, 0);
  });
}

test('more than every slot holds waits its turn, and one worker answers in order of submission', async () => {
  const checker = poolOf(1);
  const jobs = mixed(31, 40);
  const rounds = Math.ceil((SLOTS * SLOT_JOBS * 2) / jobs.length);
  const order: number[] = [];
  const answers: Promise<void>[] = [];
  for (let round = 0; round < rounds; round++) {
    jobs.forEach(({ sample, expected }, index) => {
      const number = round * jobs.length + index;
      answers.push(
        ask(checker, sample).then((outcome) => {
          assert.deepEqual(outcome, expected);
          order.push(number);
        }),
      );
    });
  }
  assert.equal(checker.backlog, rounds * signaturesIn(jobs));
  await Promise.all(answers);
  assert.deepEqual(
    order,
    order.map((_, index) => index),
  );
  await checker.close();
});

test('a worker that has enough to do is not told of every turn: the jobs of many turns go in few batches', async () => {
  const meter = new MemoryMeter();
  const checker = openVerifyPool({ workers: 1, engine: 'fastest', log: silentLog, meter });
  const answers: Promise<CheckOutcome>[] = [];
  // All turns are over long before a thread has started.
  for (const sample of signedSamples(engine, 8, 60)) {
    answers.push(ask(checker, sample));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok((await Promise.all(answers)).every((outcome) => outcome === 'valid'));
  const batches = meter.get('gossipd_verify_batches_total');
  assert.ok(batches >= 3 && batches <= 20, `${batches} batches for 60 jobs`);
  await checker.close();
});

test('done may submit the next check and may close the pool', async () => {
  const checker = poolOf(1);
  const [sample] = signedSamples(engine, 6, 1);
  await new Promise<void>((resolve) => {
    checker.check(sample!.raw, 4, sample!.keys, 0, () => {
      checker.check(sample!.raw, 4, sample!.keys, 0, () => {
        resolve(checker.close());
      });
    });
  });
  assert.equal(checker.backlog, 0);
});

/** Runs a script that has `pool`, `samples` and `check` in a process of its own. */
const inChild = (script: string, before = ''): { status: number | null; lines: string[]; stderr: string } => {
  const here = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);
  const source = `${before}
    const { openVerifyPool } = await import(${here('./verify_pool.js')});
    const { loadEngine } = await import(${here('./engine.js')});
    const { signedSamples } = await import(${here('./signed_sample.test.support.js')});
    const { silentLog } = await import(${here('../base/log.js')});
    const { silentMeter } = await import(${here('../base/meter.js')});
    const log = { ...silentLog, unusual: (message) => console.log('unusual: ' + message) };
    const pool = openVerifyPool({ workers: 2, engine: 'fastest', log, meter: silentMeter });
    const samples = signedSamples(loadEngine('noble'), 1, 4);
    const check = ({ raw, signatureCount, keys }, done) => pool.check(raw, signatureCount, keys, 0, done);
    ${script}`;
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status: child.status, lines: child.stdout.trim().split('\n'), stderr: child.stderr };
};

test('idle workers do not keep the process alive, pending checks do', () => {
  const { status, lines, stderr } = inChild(
    'for (const sample of samples) check(sample, (outcome) => console.log(outcome));',
  );
  assert.equal(status, 0, stderr);
  assert.deepEqual(lines, ['valid', 'valid', 'valid', 'valid']);
});

test('a done that throws is an uncaught Bug, and hurts no other job', () => {
  const { status, lines, stderr } = inChild(`
    process.on('uncaughtException', (error) => console.log('uncaught: ' + error.message));
    check(samples[0], () => { throw new Error('of the caller'); });
    for (const sample of samples) check(sample, (outcome) => console.log(outcome));`);
  assert.equal(status, 0, stderr);
  assert.deepEqual(lines.sort(), ['uncaught: of the caller', 'valid', 'valid', 'valid', 'valid']);
});

test('without a native module the pool runs on noble and says so once', () => {
  const { status, lines, stderr } = inChild(
    `console.log(pool.engineName);
    for (const sample of samples) check(sample, (outcome) => console.log(outcome));`,
    `import Module from 'node:module';
    const load = Module._load;
    Module._load = function (name, ...rest) {
      if (name.startsWith('secp256k1')) throw new Error('no build for this machine');
      return load.call(this, name, ...rest);
    };`,
  );
  assert.equal(status, 0, stderr);
  assert.match(lines[0]!, /^unusual: no native secp256k1/);
  assert.deepEqual(lines.slice(1), ['noble', 'valid', 'valid', 'valid', 'valid']);
});

// Workers that die: a thread around the real loop, whose engine throws at a marked signature.
const MARK = 0xee;
const dyingWorker = (diesWhile: string): URL => {
  const file = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href);
  return new URL(
    `data:text/javascript,${encodeURIComponent(`
    import { parentPort, workerData } from 'node:worker_threads';
    import { loadEngine } from ${file('./engine.js')};
    import { answerBatches } from ${file('./verify_loop.js')};
    const engine = loadEngine('fastest');
    const restarts = workerData.restarts;
    const verify = (signature, hash, key) => {
      if (signature[0] === ${MARK} && (${diesWhile})) throw new Error('marked to die');
      return engine.verify(signature, hash, key);
    };
    answerBatches(workerData.shared, workerData.firstSlot, { ...engine, verify }, (slot) => parentPort.postMessage(slot));`)}`,
  );
};
const markedJobs = (): { sample: SignedSample; expected: CheckOutcome }[] => {
  const jobs = mixed(41, 60);
  const { sample } = jobs[30]!;
  sample.raw[2] = MARK;
  jobs[30] = { sample, expected: { bad_signature: 0 } };
  return jobs;
};
const withDyingWorkers = async (
  diesWhile: string,
): Promise<{ lines: { level: LogLevel; message: string }[]; meter: MemoryMeter }> => {
  const lines: { level: LogLevel; message: string }[] = [];
  const meter = new MemoryMeter();
  const pool = openVerifyPool(
    { workers: 2, engine: 'fastest', log: recordingLog(lines), meter },
    dyingWorker(diesWhile),
  );
  const jobs = markedJobs();
  const rounds = [0, 1].map(() => Promise.all(jobs.map(({ sample }) => ask(pool, sample))));
  for (const answers of rounds) {
    assert.deepEqual(
      await answers,
      jobs.map(({ expected }) => expected),
    );
  }
  assert.equal(pool.backlog, 0);
  await pool.close();
  return { lines, meter };
};

test('the batches of a worker that dies are done again by another (broken line, counted)', async () => {
  const { lines, meter } = await withDyingWorkers('restarts === 0');
  assert.ok(meter.get('gossipd_verify_worker_crashes_total') >= 1);
  assert.equal(meter.get('gossipd_verify_rescued_jobs_total'), 0);
  assert.ok(lines.every(({ level, message }) => level === 'broken' && /done again/.test(message)));
});

test('a batch that ends two workers is checked on the main thread, with the true outcome', async () => {
  const { lines, meter } = await withDyingWorkers('true');
  assert.ok(meter.get('gossipd_verify_worker_crashes_total') >= 2);
  assert.ok(meter.get('gossipd_verify_rescued_jobs_total') >= 60);
  assert.ok(lines.some(({ message }) => /ended two verification workers/.test(message)));
});

test('workers that never start are given up, and everything is checked on the main thread', async () => {
  const meter = new MemoryMeter();
  const pool = openVerifyPool(
    { workers: 2, engine: 'fastest', log: silentLog, meter },
    new URL('data:text/javascript,throw new Error("no start")'),
  );
  const jobs = mixed(51, 90);
  const outcomes = jobs.map(({ expected }) => expected);
  assert.deepEqual(await Promise.all(jobs.map(({ sample }) => ask(pool, sample))), outcomes);
  // The suspected batches are answered after two crashes each; the third comes by itself.
  const crashes = (): number => meter.get('gossipd_verify_worker_crashes_total');
  while (crashes() < 2 * MAX_CRASHES_IN_A_ROW) await new Promise((resolve) => setImmediate(resolve));
  // Later jobs find no worker at all.
  assert.deepEqual(await Promise.all(jobs.map(({ sample }) => ask(pool, sample))), outcomes);
  assert.equal(pool.backlog, 0);
  assert.equal(crashes(), 2 * MAX_CRASHES_IN_A_ROW, 'and no more are started');
  await pool.close();
});
