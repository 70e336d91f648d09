/** `gossipd tail` as a shell sees it: a process of its own, on a file that is written to meanwhile. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { concatBytes, toHex } from '../base/bytes.ts';
import { encodeEmptyStore, encodeRecord } from '../store/format.ts';
import { announcementOf, nodeOf, updateOf } from '../store/store_samples.test.support.ts';
import { encodeChannelAmount } from '../wire/gossip_store_messages.ts';

const folder = mkdtempSync(join(tmpdir(), 'gossipd-tail-'));
after(() => rmSync(folder, { recursive: true, force: true }));

let names = 0;
const newPath = (): string => join(folder, `store${names++}`);
const HEAD = encodeEmptyStore(new Uint8Array(32).fill(7));
const node = (number: number): Uint8Array => encodeRecord(5, nodeOf(number, 5));
const channel = concatBytes(
  encodeRecord(0, announcementOf(1)),
  encodeRecord(0, encodeChannelAmount(5_000n)),
  encodeRecord(9, updateOf(1, 0, 9)),
);
const storeOf = (...parts: Uint8Array[]): string => {
  const path = newPath();
  writeFileSync(path, concatBytes(HEAD, ...parts));
  return path;
};

interface Row {
  readonly event: string;
  readonly cursor: string;
  readonly offset: number;
  readonly node_id?: string;
  readonly [field: string]: unknown;
}

/** A running `gossipd tail`. */
class Running {
  readonly child: ChildProcess;
  out = '';
  err = '';
  readonly #waiting: (() => void)[] = [];

  constructor(...args: readonly string[]) {
    const main = new URL('../main.js', import.meta.url).href;
    const source = `(await import(${JSON.stringify(main)})).main(['tail', ...process.argv.slice(1)])`;
    this.child = spawn(process.execPath, ['--input-type=module', '-e', source, '--', ...args]);
    this.child.stdout!.setEncoding('utf8').on('data', (piece: string) => this.#hear(piece, ''));
    this.child.stderr!.setEncoding('utf8').on('data', (piece: string) => this.#hear('', piece));
    this.child.once('close', () => this.#hear('', ''));
  }

  #hear(out: string, err: string): void {
    this.out += out;
    this.err += err;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      assert.equal(this.child.exitCode, null, `ended early: ${this.err}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async lines(count: number): Promise<Row[]> {
    await this.until(() => this.out.split('\n').length > count);
    return this.rows;
  }

  get rows(): Row[] {
    return this.out
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Row);
  }

  async end(signal?: NodeJS.Signals): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const closed = once(this.child, 'close');
      if (signal !== undefined) this.child.kill(signal);
      await closed;
    }
    return this.child.exitCode;
  }
}

test('--once --from start prints what is there as JSON lines, with the fields of the messages, and ends with 0', async () => {
  const path = storeOf(channel, node(3));
  const run = new Running(path, '--once', '--from', 'start', '--raw');
  assert.equal(await run.end(), 0);
  assert.equal(run.err, '');
  const bytes = readFileSync(path);
  const rows = run.rows;
  assert.deepEqual(
    rows.map(({ event }) => event),
    ['channel_announcement', 'channel_update', 'node_announcement'],
  );
  for (const { offset, raw } of rows) {
    assert.equal(raw, toHex(bytes, offset, offset + String(raw).length / 2));
  }
  const [announcement, update, announced] = rows as [Row, Row, Row];
  assert.deepEqual(
    [announcement['short_channel_id'], announcement['satoshis'], announcement['generation']],
    ['100001x1x0', 5_000, 0],
  );
  assert.equal(announcement['uuid'], '07'.repeat(32));
  assert.deepEqual(
    [update['timestamp'], update['direction'], update['htlc_maximum_msat'], update['channel_flags']],
    [9, 0, 1_000_000, 0],
  );
  assert.deepEqual(
    [announced['alias'], announced['rgb_color'], announced['addresses']],
    ['aaaaa', '010203', []],
  );
});

test('follows appends and a replacement of the file, prints lines for people with --text, ends with 0 on SIGINT', async () => {
  const path = storeOf(node(1));
  const run = new Running(path, '--text', '--from', 'start');
  await run.until(() => run.out.includes('node_announcement'));
  appendFileSync(path, channel);
  await run.until(() => run.out.includes('channel_update'));
  writeFileSync(`${path}.new`, concatBytes(encodeEmptyStore(new Uint8Array(32)), channel, node(1), node(2)));
  renameSync(`${path}.new`, path);
  await run.until(() => run.out.split('\n').length > 4);
  assert.equal(await run.end('SIGINT'), 0);
  assert.deepEqual(
    run.out.split('\n').map((line) => line.split(' ')[2]),
    ['node_announcement', 'channel_announcement', 'channel_update', 'node_announcement', undefined],
  );
  assert.match(run.err, /another file took its place \(version 16\)/);
});

test('killed with SIGKILL and started with the last cursor it repeats nothing and loses nothing', async () => {
  const path = storeOf(...Array.from({ length: 40 }, (_, number) => node(number)));
  const state = newPath();
  const taken: Row[] = [];
  for (let round = 0; round < 4; round++) {
    const cursor = taken.at(-1)?.cursor;
    const run = new Running(
      path,
      ...['--state', state, '--from', 'start'],
      ...(cursor === undefined ? [] : ['--cursor', cursor]),
    );
    const rows = await run.lines(round === 0 ? 20 : 1);
    await run.end('SIGKILL');
    // The consumer had taken only some of what was printed.
    taken.push(...rows.slice(0, round === 0 ? 15 : 7));
    const next = concatBytes(
      encodeEmptyStore(new Uint8Array(32).fill(round)),
      ...Array.from({ length: 40 + round * 3 }, (_, number) => node(number)),
    );
    writeFileSync(`${path}.new`, next);
    renameSync(`${path}.new`, path);
  }
  const last = new Running(path, '--state', state, '--cursor', taken.at(-1)!.cursor, '--once');
  assert.equal(await last.end(), 0);
  taken.push(...last.rows);
  const ids = taken.map((row) => row.node_id);
  assert.equal(new Set(ids).size, ids.length);
  assert.equal(ids.length, 49);
});

test('waits for a file that does not exist yet; --max-events and --types bound what is printed', async () => {
  const path = newPath();
  const run = new Running(
    path,
    '--types',
    'channel_update,node_announcement',
    '--max-events',
    '2',
    '--poll',
    '20',
  );
  await run.until(() => run.err.includes('not there yet'));
  writeFileSync(`${path}.new`, concatBytes(HEAD, channel, node(1), node(2)));
  renameSync(`${path}.new`, path);
  assert.equal(await run.end(), 0);
  assert.deepEqual(
    run.rows.map(({ event }) => event),
    ['channel_update', 'node_announcement'],
  );
});

test('a reader that leaves ends it quietly; wrong arguments are told with what to do', async () => {
  const path = storeOf(...Array.from({ length: 3_000 }, (_, number) => node(number)));
  const run = new Running(path, '--from', 'start');
  await run.lines(1);
  run.child.stdout!.destroy();
  assert.deepEqual([await run.end(), run.err], [0, '']);
  for (const [args, message] of [
    [['--cursor', 'none'], /not one that this program gave/],
    [['--types', 'channels'], /"channels" is no event\n {2}Next: Events are channel_announcement, /],
    [['--state', join(folder, 'nowhere', 'state')], /there is no folder .*nowhere/],
  ] as const) {
    const wrong = new Running(path, '--once', ...args);
    assert.equal(await wrong.end(), 16);
    assert.match(wrong.err, message);
  }
});
