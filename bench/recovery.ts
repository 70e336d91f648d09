/**
 * What damage costs in time: checking, repairing, loading a damaged store, leaving dead records behind.
 *
 * On a map of mainnet's size; the damaged one has fifty holes of up to 4 KiB. The verbs are timed as processes, start included.
 * A plain read of the file and a copy with fsync are measured in the same run, to compare with. Run by scripts/bench.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, copyFileSync, fsyncSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { seededRng } from '../src/base/rng.ts';
import { nodeStoreFolder } from '../src/store/store_file.ts';
import { ignore, median, open, prepareMap, withFolder } from './mainnet_map.ts';

const ROUNDS = 7;
const HOLES = 50;
const MAX_HOLE_BYTES = 4096;

interface Row {
  readonly measure: string;
  /** Median. */
  readonly milliseconds: number;
}

const main = join(dirname(fileURLToPath(import.meta.url)), '..', 'src', 'main.js');

/** A verb as a process of its own; its exit code must be one of those expected. */
const verb = (args: readonly string[], expected: readonly number[]): void => {
  const script = `const { main } = await import(${JSON.stringify(main)}); await main(process.argv.slice(1));`;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script, ...args]);
  if (!expected.includes(status ?? -1)) throw new Error(`${args[0]} ended with ${status}: ${stderr}`);
};

const withHoles = (bytes: Uint8Array): Uint8Array => {
  const draw = seededRng(5).fraction;
  const damaged = bytes.slice();
  for (let hole = 0; hole < HOLES; hole++) {
    const length = 1 + Math.floor(draw() * MAX_HOLE_BYTES);
    const at = 47 + Math.floor(draw() * (bytes.length - 47 - length));
    damaged.fill(hole & 0xff, at, at + length);
  }
  return damaged;
};

const benchVerbs = async (path: string): Promise<Row[]> => {
  const sound = join(path, 'gossip_store');
  const damaged = join(path, 'damaged');
  const output = join(path, 'output');
  const timed = async (measure: string, work: () => void): Promise<Row> => ({
    measure,
    milliseconds: await median(ROUNDS, work),
  });
  return [
    await timed('node alone, doing nothing', () => void spawnSync(process.execPath, ['-e', ''])),
    await timed('reading the file', () => void readFileSync(sound)),
    await timed('copying the file, with fsync', () => {
      copyFileSync(sound, output);
      const fd = openSync(output, 'r+');
      fsyncSync(fd);
      closeSync(fd);
    }),
    await timed('gossipd check --level crc', () => verb(['check', sound, '--quiet', '--level', 'crc'], [0])),
    await timed('gossipd check', () => verb(['check', sound, '--quiet'], [0])),
    await timed(`gossipd check, ${HOLES} holes`, () => verb(['check', damaged, '--quiet'], [4])),
    await timed(`gossipd repair --output, ${HOLES} holes`, () => {
      rmSync(output, { force: true });
      verb(['repair', damaged, '--quiet', '--output', output], [65]);
    }),
    await timed('gossipd backup, verified', () =>
      verb(['backup', sound, '--quiet', '--to', join(path, 'b')], [0]),
    ),
  ];
};

const benchStore = async (path: string): Promise<Row[]> => {
  const folder = nodeStoreFolder(path);
  const sound = readFileSync(join(path, 'gossip_store'));
  const damaged = readFileSync(join(path, 'damaged'));
  const load = await median(ROUNDS, async () => (await open(folder)).close());
  const salvage = await median(ROUNDS, async () => {
    writeFileSync(join(path, 'gossip_store'), damaged);
    await (await open(folder)).close();
  });
  const write = await median(ROUNDS, () => writeFileSync(join(path, 'gossip_store'), damaged));
  writeFileSync(join(path, 'gossip_store'), sound);
  const store = await open(folder, ignore);
  const compact = await median(ROUNDS, async () => {
    const { generation } = store;
    store.compact();
    while (store.generation === generation) await new Promise((resolve) => setImmediate(resolve));
    await store.sync();
  });
  await store.close();
  return [
    { measure: 'load, sound', milliseconds: load },
    { measure: `load, ${HOLES} holes, with a durable successor of the file`, milliseconds: salvage - write },
    { measure: 'compaction of a running store, durable', milliseconds: compact },
  ];
};

export const run = (): Promise<Row[]> =>
  withFolder(async (path) => {
    await prepareMap(path);
    writeFileSync(join(path, 'damaged'), withHoles(readFileSync(join(path, 'gossip_store'))));
    return [...(await benchVerbs(path)), ...(await benchStore(path))];
  });
