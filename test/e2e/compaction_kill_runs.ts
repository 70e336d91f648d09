/**
 * Kills a writer that compacts its store without pause, at moments drawn from a seed, and holds what it leaves to the promises
 * of docs/crash_safety.md: it opens, everything that was durable is there, and one start puts all of it right.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readU64 } from '../../src/base/bytes.ts';
import { recordingLog } from '../../src/base/log.ts';
import { MemoryMeter } from '../../src/base/meter.ts';
import { seededRng } from '../../src/base/rng.ts';
import { systemClock } from '../../src/observe/system_clock.ts';
import { systemRng } from '../../src/observe/system_rng.ts';
import { GossipStore } from '../../src/store/gossip_store.ts';
import type { LoadReport } from '../../src/store/opening.ts';
import { nodeStoreFolder } from '../../src/store/store_file.ts';
import { MESSAGE_TYPE } from '../../src/wire/message_types.ts';
import { readAsCln } from '../conformance/cln_reader.ts';

const COMPACTING = fileURLToPath(new URL('./compacting_store.js', import.meta.url));
/** Above every timestamp of a simulated map. */
export const FIRST_ROUND_SECONDS = 3_000_000_000;
/** A round with its compaction takes some 50 ms. */
const LATEST_KILL_MS = 300;
/** Every other kill comes up to so long after a rewrite began. */
const LATEST_IN_REWRITE_MS = 15;

export interface CompactionKillReport {
  readonly seed: number;
  /** For each kill: the last round that was durable, whether a rewrite was cut off, and why the next start wrote anew. */
  readonly kills: readonly { round: number; cutOff: boolean; rewritten: string }[];
}

/** The last round that the writer called durable. @param inRewrite kill it when a rewrite has begun, and so long after */
const killOne = async (folder: string, waitMs: number, inRewrite: boolean): Promise<number> => {
  const child = spawn(process.execPath, [COMPACTING, folder], { stdio: ['pipe', 'pipe', 'pipe'] });
  let [rounds, complaint, isOver] = ['', '', false];
  const ended = once(child, 'close').finally(() => {
    isOver = true;
  });
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    rounds += piece;
  });
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    complaint += piece;
  });
  while (rounds === '' && !isOver) await sleep(1);
  if (inRewrite) {
    const temporary = join(folder, 'gossip_store.tmp');
    while (existsSync(temporary) && !isOver) await setImmediate();
    while (!existsSync(temporary) && !isOver) await setImmediate();
    const until = performance.now() + waitMs;
    while (performance.now() < until) await setImmediate();
  } else await sleep(waitMs);
  child.kill('SIGKILL');
  const [code, signal] = (await ended) as [number | null, string | null];
  assert.equal(signal, 'SIGKILL', `it ended by itself with code ${code}: ${complaint}`);
  return Number(rounds.trim().split('\n').at(-1));
};

interface Found {
  readonly report: LoadReport;
  readonly announcements: number;
  /** By what readers take for the newest of each channel and direction. */
  readonly oldestUpdate: number;
  readonly updates: number;
}

const openOnce = async (folder: string): Promise<Found> => {
  const newest = new Map<string, number>();
  let announcements = 0;
  const store = await GossipStore.open(
    {
      folder: nodeStoreFolder(folder),
      clock: systemClock(),
      rng: systemRng(),
      log: recordingLog([]),
      meter: new MemoryMeter(),
      upkeepMs: 0,
    },
    ({ type, bytes, at, timestamp }) => {
      if (type === MESSAGE_TYPE.channel_announcement) announcements++;
      if (type !== MESSAGE_TYPE.channel_update) return;
      const side = `${readU64(bytes, at + 98)}/${(bytes[at + 111] as number) & 1}`;
      newest.set(side, Math.max(newest.get(side) ?? 0, timestamp));
    },
  );
  assert.equal(store.state, 'ok');
  await store.close();
  const oldestUpdate = Math.min(...newest.values());
  return { report: store.loadReport, announcements, oldestUpdate, updates: newest.size };
};

/** Throws when a promise is broken. @param storePath a sound store to begin with */
export const compactionKillRuns = async (
  folder: string,
  storePath: string,
  kills: number,
  seed: number,
): Promise<CompactionKillReport> => {
  const rng = seededRng(seed);
  mkdirSync(folder, { recursive: true });
  copyFileSync(storePath, join(folder, 'gossip_store'));
  const { channels } = readAsCln(readFileSync(storePath));
  const sides = [...channels.values()].flatMap(({ updates }) =>
    updates.filter((offset) => offset > 0),
  ).length;
  const report: { round: number; cutOff: boolean; rewritten: string }[] = [];
  for (let kill = 0; kill < kills; kill++) {
    const round = await killOne(
      folder,
      rng.fraction() * (kill % 2 === 0 ? LATEST_IN_REWRITE_MS : LATEST_KILL_MS),
      kill % 2 === 0,
    );
    const cutOff = existsSync(join(folder, 'gossip_store.tmp'));
    const first = await openOnce(folder);
    assert.deepEqual(
      [first.announcements, first.updates],
      [channels.size, sides],
      `kill ${kill} of seed ${seed}`,
    );
    assert.ok(
      first.oldestUpdate >= FIRST_ROUND_SECONDS + round,
      `round ${round} was durable, and an update of round ${first.oldestUpdate - FIRST_ROUND_SECONDS} is the newest`,
    );
    const second = await openOnce(folder);
    const { rewritten, gapCount, restored, dropped, completedBatch } = second.report;
    assert.deepEqual(
      { rewritten, gapCount, restored, dropped, completedBatch },
      { rewritten: undefined, gapCount: 0, restored: 0, dropped: {}, completedBatch: false },
      'the second start finds nothing left to do',
    );
    assert.equal(readAsCln(readFileSync(join(folder, 'gossip_store'))).channels.size, channels.size);
    report.push({ round, cutOff, rewritten: first.report.rewritten ?? '' });
  }
  return { seed, kills: report };
};
