/** repair, convert and undo as a person types them: what is said, what is left on the disk, and the exit codes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { concatBytes } from '../../src/base/bytes.ts';
import { seededRng } from '../../src/base/rng.ts';
import { encodeUtxoTable } from '../../src/chain/utxo_table.ts';
import { goodStore, noise, zeros } from '../../src/store/damaged_stores.test.support.ts';
import { encodeRecord } from '../../src/store/format.ts';
import { encodeChannelAmount, encodeUuid } from '../../src/wire/gossip_store_messages.ts';
import { makeChannel, makeUpdate } from '../fixtures/signed_gossip.ts';
import { CliHouse } from './cli_process.ts';

const house = new CliHouse('repair');
after(() => house.close());

const store = goodStore(16, 8);
const bad = store.records[10]!;
const damaged = noise(store.bytes, bad.position + 20, 60, seededRng(2));
const NO_FUNDS = /No funds are in this file/;

/** A folder of its own with a store in it. */
let folders = 0;
const placeStore = (bytes: Uint8Array): string => {
  const folder = house.path(`folder${folders++}`);
  mkdirSync(folder);
  const path = join(folder, 'gossip_store');
  writeFileSync(path, bytes);
  return path;
};
const inFolder = (path: string): string[] => readdirSync(join(path, '..')).sort();
const same = (path: string, bytes: Uint8Array): boolean => Buffer.compare(readFileSync(path), bytes) === 0;

test('without --output it is a dry run: the plan, the exact loss, one next command, exit code 4', async () => {
  const path = placeStore(damaged);
  const { code, out, err } = await house.run(['repair', path]);
  assert.deepEqual([code, err], [4, '']);
  assert.match(out, /GS-CRC/);
  assert.match(out, /keeps 48 of 49 records; loses 1: at [\d,]+, record 10 /);
  assert.match(out, /^Next: gossipd repair \S+ --output \S+$/m);
  assert.match(out, NO_FUNDS);
  assert.deepEqual(inFolder(path), ['gossip_store']);
  assert.ok(same(path, damaged));
});

test('--output: a new file that check finds in order; what was lost is set aside; exit code 65', async () => {
  const path = placeStore(damaged);
  const output = join(path, '..', 'new store');
  chmodSync(path, 0o640);
  const { code, out } = await house.run(['repair', path, '--output', output]);
  assert.equal(code, 65);
  assert.match(out, /Kept 48 of 49 records; lost 1: /);
  assert.match(out, /is kept in \S+new store\.quarantine-\S+\.json/);
  assert.match(out, /^Next, with the node stopped: mv '.*new store' \S+gossip_store$/m);
  assert.ok(same(path, damaged));
  assert.equal(statSync(output).mode % 0o1000, 0o640);
  assert.equal((await house.run(['check', output, '--quiet'])).code, 0);
  assert.equal(inFolder(path).length, 4);
});

test('--json: one document, nothing else; the same figures', async () => {
  const path = placeStore(damaged);
  const output = `${path}.new`;
  const { code, out, err } = await house.run(['repair', path, '--output', output, '--json']);
  const document = JSON.parse(out);
  assert.equal(err, '');
  assert.deepEqual([document.exit_code, code], [65, 65]);
  assert.deepEqual([document.path, document.output, document.dry_run], [path, output, false]);
  assert.deepEqual([document.version_from, document.version_to], [16, 16]);
  assert.deepEqual([document.records_kept, document.records_lost, document.moved], [48, 1, 0]);
  assert.equal(document.bytes_lost, bad.end - bad.position);
  assert.equal(document.verified, true);
  assert.equal(document.undo, null);
  assert.ok(existsSync(document.quarantine));
  const [finding] = document.findings;
  assert.deepEqual([finding.id, finding.offset, finding.fix], ['GS-CRC', bad.position, 'quarantine']);
  const dry = JSON.parse((await house.run(['repair', path, '--json'])).out);
  assert.deepEqual([dry.records_kept, dry.exit_code, dry.output, dry.verified], [48, 4, null, false]);
  assert.match(dry.next, /^gossipd repair /);
});

test('--jsonl: a line for each finding, then the summary; --quiet: the exit code alone', async () => {
  const path = placeStore(damaged);
  const lines = (await house.run(['repair', path, '--jsonl'])).out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual([lines.length, lines[0].id, lines[1].summary.records_kept], [2, 'GS-CRC', 48]);
  assert.deepEqual(await house.run(['repair', path, '--quiet']), { code: 4, signal: null, out: '', err: '' });
});

test('a sound store is copied, exit code 0; zeros cost no bytes, exit code 1', async () => {
  const path = placeStore(store.bytes);
  const { code, out } = await house.run(['repair', path, '--output', `${path}.copy`]);
  assert.equal(code, 0);
  assert.match(out, /Nothing was wrong: copied/);
  assert.ok(same(`${path}.copy`, store.bytes));
  const holed = placeStore(zeros(store.bytes, bad.position, bad.end - bad.position));
  assert.equal((await house.run(['repair', holed, '--output', `${holed}.new`, '--quiet'])).code, 1);
});

test('never over the source, nor over an existing file, nor into nothing; --force replaces', async () => {
  const path = placeStore(damaged);
  const other = `${path}.other`;
  writeFileSync(other, 'precious');
  for (const [args, says] of [
    [['--output', path], /is the store itself/],
    [
      ['--output', join(path, '..', '..', path.split('/').at(-2)!, 'gossip_store'), '--force'],
      /is the store itself/,
    ],
    [['--output', other], /exists already/],
    [['--output', join(path, '..')], /is a folder/],
    [['--output', join(path, 'x', 'y')], /there is no folder/],
    [['--output', other, '--in-place'], /exclude each other/],
    [['--to', '13', '--output', `${path}.13`], /no version that can be written/],
    [['--ignore', 'GS-NONSENSE'], /there is no such finding/],
    [['--from-backup', path, '--output', `${path}.2`], /is the store itself/],
  ] as const) {
    const { code, err, out } = await house.run(['repair', path, ...args]);
    assert.deepEqual([code, out], [16, ''], args.join(' '));
    assert.match(err, says);
    assert.match(err, /Next: /);
  }
  assert.equal(readFileSync(other, 'utf8'), 'precious');
  assert.equal((await house.run(['repair', path, '--output', other, '--force', '--quiet'])).code, 65);
  assert.ok(readFileSync(other).length > 1000);
  assert.equal((await house.run(['repair', path, '--level', 'crc'])).code, 16);
});

test('--in-place, then undo: the old file is back bit for bit, and undoing twice does nothing', async () => {
  const path = placeStore(damaged);
  const { code, out } = await house.run(['repair', path, '--in-place']);
  assert.equal(code, 65);
  const journal = /gossipd undo (\S+)/.exec(out)![1]!;
  const content = JSON.parse(readFileSync(journal, 'utf8'));
  assert.deepEqual([content.name, content.before.bytes], ['gossip_store', damaged.length]);
  assert.equal((await house.run(['check', path, '--quiet'])).code, 0);
  assert.ok(same(join(path, '..', content.backup), damaged));
  const undone = await house.run(['undo', journal]);
  assert.equal(undone.code, 0);
  assert.match(undone.out, /bit for bit/);
  assert.match(undone.out, NO_FUNDS);
  assert.ok(same(path, damaged));
  const again = JSON.parse((await house.run(['undo', journal, '--json'])).out);
  assert.deepEqual([again.outcome, again.displaced, again.exit_code], ['already', null, 0]);
});

test('undo refuses what is no journal, and a store that was changed since unless forced', async () => {
  const path = placeStore(damaged);
  assert.equal((await house.run(['undo', path])).code, 16);
  assert.equal((await house.run(['undo', `${path}.none`])).code, 16);
  const { undo } = JSON.parse((await house.run(['repair', path, '--in-place', '--json'])).out);
  writeFileSync(path, 'something else');
  const refused = await house.run(['undo', undo]);
  assert.equal(refused.code, 8);
  assert.match(refused.err, /something has written to it since\n {2}Next: /);
  const forced = JSON.parse((await house.run(['undo', undo, '--force', '--json'])).out);
  assert.equal(readFileSync(forced.displaced, 'utf8'), 'something else');
  assert.ok(same(path, damaged));
});

test('--in-place and undo refuse while a process has the store open; check and --output do not', {
  skip: !existsSync('/proc/self/fd') && 'no /proc here',
}, async () => {
  const path = placeStore(damaged);
  const holder = spawn('tail', ['-f', path], { stdio: 'ignore' });
  try {
    while (
      !readdirSync(`/proc/${holder.pid}`).includes('fd') ||
      readFileSync(`/proc/${holder.pid}/comm`, 'utf8') !== 'tail\n'
    )
      await sleep(10);
    await sleep(50);
    const { code, err } = await house.run(['repair', path, '--in-place']);
    assert.equal(code, 8);
    assert.match(
      err,
      new RegExp(`is open in process ${holder.pid} \\(tail\\), so it was not replaced\n {2}Next: `),
    );
    assert.ok(same(path, damaged));
    assert.deepEqual(inFolder(path), ['gossip_store']);
    assert.equal((await house.run(['repair', path, '--output', `${path}.new`, '--quiet'])).code, 65);
    // Who reads a file that is replaced must be told.
    const other = placeStore(damaged);
    assert.equal((await house.run(['repair', other, '--output', path, '--force', '--quiet'])).code, 67);
  } finally {
    holder.kill('SIGKILL');
  }
});

test('--in-place refuses while a gossipd holds the lock', async () => {
  const path = placeStore(damaged);
  const locker = spawn('flock', ['-x', `${path}.lock`, 'sleep', '60'], { stdio: 'ignore' });
  try {
    while (!existsSync(`${path}.lock`)) await sleep(10);
    await sleep(50);
    const { code, err } = await house.run(['repair', path, '--in-place']);
    assert.equal(code, 8);
    assert.match(err, /is writing this store/);
    assert.ok(same(path, damaged));
  } finally {
    locker.kill('SIGTERM');
  }
});

test('--max-duration: stopped before the end, nothing written, exit code 32', async () => {
  const path = placeStore(damaged);
  for (const how of [['--output', `${path}.new`], ['--in-place']]) {
    const { code, out } = await house.run(['repair', path, ...how, '--max-duration', '0']);
    assert.equal(code, 32);
    assert.match(out, /nothing was written/);
  }
  assert.deepEqual(
    inFolder(path).filter((name) => !name.endsWith('.lock')),
    ['gossip_store'],
  );
});

test('--from-backup: lost records come back, from a compressed backup as well', async () => {
  const path = placeStore(damaged);
  const [plain, packed] = [house.path('plain.bak'), house.path('packed.bak.gz')];
  writeFileSync(plain, goodStore(14, 8).bytes);
  writeFileSync(packed, gzipSync(store.bytes));
  for (const backup of [plain, packed]) {
    const { out } = await house.run([
      'repair',
      path,
      '--from-backup',
      backup,
      '--output',
      `${backup}.out`,
      '--json',
    ]);
    assert.equal(JSON.parse(out).from_backup, 1, out);
    assert.equal(statSync(`${backup}.out`).size, store.bytes.length);
  }
  writeFileSync(packed, gzipSync(store.bytes).subarray(0, 900));
  assert.equal((await house.run(['repair', path, '--from-backup', packed])).code, 8);
  assert.equal((await house.run(['repair', path, '--from-backup', house.path('nothing')])).code, 8);
});

test('convert: by version or by release of CLN, with what is not carried over', async () => {
  const path = placeStore(goodStore(9, 4, { withPrivate: true }).bytes);
  for (const [to, version] of [
    ['v24.11', 14],
    ['15', 15],
    ['v26.06.6', 16],
  ] as const) {
    const output = `${path}.${to}`;
    const { code, out } = await house.run(['convert', path, '--to', to, '--output', output]);
    assert.equal(code, 0);
    assert.equal(readFileSync(output)[0], version);
    assert.match(out, /does not carry over 2 records of private channels/);
    assert.match(out, new RegExp(`version ${version} instead of 9`));
  }
  for (const args of [[path], [path, '--to', '16'], [path, '--to', 'v23.11', '--output', `${path}.x`]])
    assert.equal((await house.run(['convert', ...args])).code, 16);
});

test('what is no store is named so, exit code 8', async () => {
  const { code, err } = await house.run([
    'repair',
    placeStore(new TextEncoder().encode('hello '.repeat(500))),
    '--output',
    house.path('no'),
  ]);
  assert.equal(code, 8);
  assert.match(err, /is not a gossip_store/);
  assert.equal(existsSync(house.path('no')), false);
});

test('--level signature and chain: what fails is left out, and the result passes the same level', async () => {
  const [channel, gone] = [makeChannel({ seed: 1 }), makeChannel({ seed: 2 })];
  const forged = makeUpdate(channel, { direction: 1 });
  forged[130]! ^= 1;
  const messages = [
    ...[
      encodeUuid(new Uint8Array(32)),
      channel.raw,
      encodeChannelAmount(1_000_000n),
      makeUpdate(channel),
      forged,
    ],
    ...[gone.raw, encodeChannelAmount(1_000_000n), makeUpdate(gone)],
  ];
  const path = placeStore(
    concatBytes(Uint8Array.of(16), ...messages.map((message) => encodeRecord(0, message))),
  );
  const repair = async (...args: readonly string[]) =>
    JSON.parse((await house.run(['repair', path, '--json', '--output', `${path}.${args[1]}`, ...args])).out);
  const signed = await repair('--level', 'signature');
  assert.deepEqual([signed.records_kept, signed.records_dropped, signed.exit_code], [7, 1, 1]);
  assert.deepEqual([signed.counts, signed.verified], [{ 'GS-BAD-SIG': 1 }, true]);
  const table = house.path('utxo.table');
  const { scid, script } = channel;
  writeFileSync(table, encodeUtxoTable([{ scid, satoshis: 1_000_000n, script }]));
  const chained = await repair('--level', 'chain', '--utxo', `table:${table}`);
  assert.deepEqual([chained.records_kept, chained.verified, chained.exit_code], [4, true, 1]);
  assert.ok(chained.counts['GS-NOT-ON-CHAIN'] >= 1);
});
