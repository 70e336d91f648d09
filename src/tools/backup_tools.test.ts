import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { preen } from '../repair/preen.ts';
import { quietTask } from '../repair/task.ts';
import {
  append,
  cut,
  flipBit,
  goodStore,
  insert,
  rec,
  withFlags,
  withLength,
  withVersion,
  zeros,
} from '../store/damaged_stores.test.support.ts';
import { storeFormat } from '../store/versions.ts';
import { encodeEnded } from '../wire/gossip_store_messages.ts';
import { AlertCommand } from './alert_command.ts';
import { guardPlace } from './guard.ts';
import { stepsFor } from './preen.ts';

const base = mkdtempSync(join(tmpdir(), 'gossipd-backup-'));
after(() => rmSync(base, { recursive: true, force: true }));
let folders = 0;

const MAIN = new URL('../main.js', import.meta.url).href;

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

const start = (args: readonly string[]): { child: ChildProcess; ended: Promise<Ran>; out: () => string } => {
  const child = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `import { main } from ${JSON.stringify(MAIN)}; await main(process.argv.slice(1));`,
    '--',
    ...args,
  ]);
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    out += piece;
  });
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    err += piece;
  });
  const ended = new Promise<Ran>((resolve) => {
    child.once('close', (code) => resolve({ code, out, err }));
  });
  return { child, ended, out: () => out };
};

const gossipd = (...args: readonly string[]): Promise<Ran> => start(args).ended;

/** A folder like CLN's, with this store, and one for backups. */
const node = (bytes: Uint8Array = goodStore(16, 8).bytes) => {
  const folder = join(base, String(folders++));
  mkdirSync(folder);
  const store = join(folder, 'gossip_store');
  writeFileSync(store, bytes);
  return { folder, store, ring: join(folder, 'ring') };
};

const bytesOf = (path: string): Uint8Array => new Uint8Array(readFileSync(path));
const backupsIn = (ring: string): string[] =>
  readdirSync(ring)
    .filter((name) => /\.bak(\.gz)?$/.test(name))
    .sort();
const format16 = storeFormat(16)!;
const LAST_LINE = /No funds are in this file: .*\n$/;

// Most of their time is spent waiting for processes.
describe('the tools as a user runs them', { concurrency: 4 }, () => {
  test('backup, loss, restore: as a user would do it', async () => {
    const { folder, store, ring } = node();
    const first = await gossipd('backup', store, '--to', ring);
    assert.equal(first.code, 0, first.err);
    assert.match(first.out, /version 16, \d+ records, 8 channels, \d+ bytes, verified\./);
    assert.match(first.out, LAST_LINE);
    const packed = await gossipd('backup', folder, '--to', ring, '--compress', '--json');
    const told = JSON.parse(packed.out) as { path: string; good: boolean; channels: number };
    assert.deepEqual([packed.code, told.good, told.channels], [0, true, 8]);
    assert.equal(statSync(told.path).mode & 0o777, 0o600);
    rmSync(store);
    const restored = await gossipd('restore', ring, '--to', folder);
    assert.equal(restored.code, 0, restored.err);
    assert.match(restored.out, /Next: start the node/);
    assert.deepEqual(bytesOf(store).slice(47), goodStore(16, 8).bytes.slice(47));
    const older = await gossipd('restore', told.path, '--to', store, '--to-version', 'v25.09', '--json');
    const document = JSON.parse(older.out) as { version: number; kept_as: string; complete: boolean };
    assert.deepEqual([older.code, document.version, document.complete], [0, 14, true]);
    assert.equal(bytesOf(store)[0], 14);
    assert.ok(existsSync(join(folder, document.kept_as)));
  });

  test('a damaged source ends with 4 and says what to do; a wrong flag with 16; nothing to back up with 8', async () => {
    const { bytes } = goodStore(16, 8);
    const { store, ring } = node(cut(bytes, bytes.length - 3));
    const damaged = await gossipd('backup', store, '--to', ring);
    assert.equal(damaged.code, 4);
    assert.match(
      damaged.out,
      /1 damaged range .*\nIt does not take the place of a good backup\.\nNext: gossipd check /,
    );
    const restored = await gossipd('restore', ring, '--to', store);
    assert.equal(restored.code, 4);
    assert.match(restored.out, /no complete backup/);
    assert.equal((await gossipd('backup', store)).code, 16);
    assert.equal((await gossipd('backup', join(base, 'nowhere'), '--to', ring)).code, 8);
    assert.equal((await gossipd('restore', join(base, 'nowhere'), '--to', store)).code, 8);
    assert.equal((await gossipd('restore', ring, '--to', store, '--to-version', '9')).code, 16);
  });

  test('restore refuses a store that a process has open', {
    skip: !existsSync('/proc/self/fd'),
  }, async () => {
    const { store, ring } = node();
    await gossipd('backup', store, '--to', ring);
    const descriptor = openSync(store, 'r');
    try {
      const before = bytesOf(store);
      const { code, err } = await gossipd('restore', ring, '--to', store);
      assert.equal(code, 8);
      assert.match(err, new RegExp(`is open in process ${process.pid} .*\\n {2}Next: Stop lightningd`));
      assert.deepEqual(bytesOf(store), before);
    } finally {
      closeSync(descriptor);
    }
  });

  test('a backup in which a byte has changed is refused, and the store stays', async () => {
    const { store, ring } = node();
    await gossipd('backup', store, '--to', ring);
    const [name = ''] = backupsIn(ring);
    writeFileSync(join(ring, name), flipBit(bytesOf(join(ring, name)), 700, 1));
    const before = bytesOf(store);
    const { code, err } = await gossipd('restore', ring, '--to', store);
    assert.equal(code, 8);
    assert.match(err, /wrong checksum.*the store was left as it is/);
    assert.deepEqual(bytesOf(store), before);
  });

  test('guard --once tells a sound store from a damaged one, and keeps a backup and a status', async () => {
    const { folder, store, ring } = node();
    const status = join(folder, 'status.json');
    const sound = await gossipd('guard', store, '--once', '--backup-dir', ring, '--status-file', status);
    assert.equal(sound.code, 0, sound.out + sound.err);
    assert.match(sound.out, LAST_LINE);
    assert.equal(backupsIn(ring).length, 1);
    assert.equal((JSON.parse(readFileSync(status, 'utf8')) as { state: string }).state, 'ok');
    const { bytes, records } = goodStore(16, 8);
    writeFileSync(store, zeros(bytes, records[20]!.position, 400));
    const bad = await gossipd('guard', store, '--once', '--json');
    assert.equal(bad.code, 4);
    const document = JSON.parse(bad.out) as { state: string; alerts: { id: string }[] };
    assert.deepEqual([document.state, document.alerts.map(({ id }) => id)], ['critical', ['damage']]);
    rmSync(store);
    assert.equal((await gossipd('guard', store, '--once', '--quiet')).code, 8);
  });

  test('guard runs until stopped, tells each alert once, and runs the command with it', async () => {
    const { folder, store } = node();
    const heard = join(folder, 'heard');
    const { child, ended, out } = start([
      ...['guard', store, '--json', '--interval', '1s', '--on-alert', `cat >> '${heard}'`],
      ...['--status-file', join(folder, 'status')],
    ]);
    const until = async (wanted: RegExp): Promise<void> => {
      for (let wait = 0; wait < 200 && !wanted.test(out()); wait++) await sleep(50);
      assert.match(out(), wanted);
    };
    const { bytes, records } = goodStore(16, 8);
    const put = (content: Uint8Array): void => {
      writeFileSync(`${store}.new`, content);
      renameSync(`${store}.new`, store);
    };
    for (let wait = 0; wait < 400 && !existsSync(join(folder, 'status')); wait++) await sleep(25);
    put(zeros(bytes, records[20]!.position, 400));
    await until(/"state":"raised"/);
    put(bytes);
    await until(/"state":"resolved"/);
    child.kill('SIGTERM');
    const { code } = await ended;
    assert.equal(code, 0);
    const alerts = out()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: string; id?: string; state?: string })
      .filter(({ id }) => id === 'damage');
    assert.deepEqual(
      alerts.map(({ state }) => state),
      ['raised', 'resolved'],
    );
    assert.equal(readFileSync(heard, 'utf8').trim().split('\n').length, 2);
  });

  const marker = rec(format16, encodeEnded(47n, new Uint8Array(32)));
  const { bytes: GOOD, records: RECORDS } = goodStore(16, 8);
  const at = RECORDS[20]!;
  const announcement = RECORDS.find(({ type }) => type === 256)!;
  const twice = GOOD.slice(
    announcement.position,
    announcement.position + (announcement.end - announcement.position) + 22,
  );
  const DAMAGE: readonly (readonly [string, Uint8Array])[] = [
    ['a torn tail', cut(GOOD, GOOD.length - 7)],
    ['a record that was not completed', withFlags(GOOD, RECORDS.at(-1)!.position, 0)],
    ['a wrong checksum', zeros(GOOD, at.position + 40, 9)],
    ['a wrong length', withLength(GOOD, at.position, at.length + 9)],
    ['an end marker', append(GOOD, marker)],
    ['a hole of zeros', zeros(GOOD, at.position, 300)],
    ['zeros at the end', append(GOOD, new Uint8Array(4096))],
    ['an announcement twice', append(GOOD, twice)],
    ['version byte 0', withVersion(GOOD, 0)],
    ['an unknown record', insert(GOOD, at.position, rec(format16, Uint8Array.of(0x10, 0xff, 1, 2)))],
  ];

  const preened = (folder: string, ring?: string) => {
    const place = guardPlace(join(folder, 'gossip_store'), () => assert.fail('given'));
    const options = { json: false, quiet: false, strict: false, backupDir: ring, toolVersion: 'test' };
    return preen(stepsFor(place, options, quietTask));
  };

  for (const [name, bytes] of DAMAGE)
    test(`preen puts ${name} right, keeps the file before with a way back, and then finds nothing`, async () => {
      const { folder, store } = node(bytes);
      const { action, message, kept_as } = await preened(folder);
      assert.equal(action, 'repaired');
      assert.match(message, /was repaired \(GS-.*\): \d+ records kept, \d+ lost\.$/);
      assert.deepEqual(bytesOf(join(folder, kept_as ?? '')), bytes);
      assert.ok(readdirSync(folder).some((entry) => entry.startsWith('gossip_store.undo-')));
      assert.equal((await preened(folder)).action, 'sound');
      assert.equal(bytesOf(store)[0], 16);
    });

  test('a backup folder that is not there, or cannot be read, does not keep preen from repairing', async () => {
    for (const ring of [join(base, 'nowhere'), node().store]) {
      const { folder } = node(cut(GOOD, GOOD.length - 7));
      assert.equal((await preened(folder, ring)).action, 'repaired');
    }
  });

  test('preen keeps a version 14 store a version 14 store', async () => {
    const old = goodStore(14, 8);
    const { folder, store } = node(cut(old.bytes, old.bytes.length - 4));
    assert.equal((await preened(folder)).action, 'repaired');
    assert.equal(bytesOf(store)[0], 14);
  });

  test('a node that is repaired at every start keeps the files of the last four repairs', async () => {
    const { folder, store } = node();
    for (let round = 0; round < 6; round++) {
      writeFileSync(store, cut(GOOD, GOOD.length - 7 - round));
      assert.equal((await preened(folder)).action, 'repaired');
    }
    const kept = readdirSync(folder).filter((entry) => /\.(?:bak|undo)-/.test(entry));
    assert.equal(kept.length, 8);
  });

  test('guard --preen says in one line what it did, and ends with 1', async () => {
    const { store } = node(DAMAGE[1]?.[1]);
    const { code, out } = await gossipd('guard', '--preen', store);
    assert.equal(code, 1);
    assert.equal(out.trim().split('\n').length, 1);
    assert.match(out, LAST_LINE);
  });

  test('guard --preen takes what the store has lost from the newest good backup', async () => {
    const { store, ring } = node();
    await gossipd('backup', store, '--to', ring);
    writeFileSync(store, zeros(GOOD, at.position + 40, 9));
    const { code, out } = await gossipd('guard', '--preen', store, '--backup-dir', ring, '--json');
    const told = JSON.parse(out) as {
      action: string;
      records_kept: number;
      records_from_backup: number;
    };
    assert.equal((code ?? 8) & ~64, 1);
    assert.deepEqual(
      [told.action, told.records_kept, told.records_from_backup],
      ['repaired', RECORDS.length - 1, 1],
    );
  });

  test('guard --preen restores where nothing can be read, and never blocks the start', async () => {
    const { folder, store, ring } = node();
    await gossipd('backup', store, '--to', ring);
    const junk = new Uint8Array(5000).fill(0xee);
    writeFileSync(store, junk);
    const alone = await gossipd('guard', '--preen', store);
    assert.equal(alone.code, 0);
    assert.match(
      alone.err,
      /^gossipd: warning: .* was left as it is: it holds no record.* No funds are in this file/,
    );
    assert.deepEqual(bytesOf(store), junk);
    assert.equal((await gossipd('guard', '--preen', store, '--strict')).code, 8);
    const restored = await gossipd('guard', '--preen', store, '--backup-dir', ring);
    assert.equal(restored.code, 1);
    assert.match(restored.out, /was replaced by the backup .* with 8 channels/);
    writeFileSync(store, new Uint8Array(0));
    const empty = await gossipd('guard', '--preen', store);
    assert.equal(empty.code, 1);
    assert.ok(!existsSync(store));
    const absent = await gossipd('guard', '--preen', store);
    assert.equal(absent.code, 0);
    assert.match(absent.out, /is not there yet/);
    assert.ok(readdirSync(folder).length > 1);
  });

  test('guard --preen leaves a store alone that a process has open', {
    skip: !existsSync('/proc/self/fd'),
  }, async () => {
    const bytes = cut(GOOD, GOOD.length - 7);
    const { store } = node(bytes);
    const descriptor = openSync(store, 'r');
    try {
      const { code, err } = await gossipd('guard', '--preen', store, '--strict');
      assert.equal(code, 8);
      assert.match(err, /somebody has it open/);
      assert.deepEqual(bytesOf(store), bytes);
    } finally {
      closeSync(descriptor);
    }
  });

  const alertEvent = (message: string) =>
    ({
      event: 'alert',
      state: 'raised',
      id: 'inodes',
      severity: 'warning',
      time: '',
      since: '',
      hint: '',
      message,
    }) as const;

  test('the alert command gets each alert in turn; one that fails or hangs is ended and told', async () => {
    const file = join(base, 'alerts');
    writeFileSync(file, '');
    const failures: string[] = [];
    const tell = (message: string): number => failures.push(message);
    const good = new AlertCommand(`cat >> '${file}'`, tell);
    for (const message of ['one', 'two', 'three']) good.push(alertEvent(message));
    await good.idle();
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as { message: string }).message),
      ['one', 'two', 'three'],
    );
    const failing = new AlertCommand('exit 3', tell);
    failing.push(alertEvent('x'));
    await failing.idle();
    const hanging = new AlertCommand('sleep 60', tell, 100);
    hanging.push(alertEvent('x'));
    await hanging.idle();
    assert.deepEqual(failures, [
      'the alert command ended with 3',
      'the alert command took longer than 0.1 s and was ended',
    ]);
    const flooded = new AlertCommand('true', tell);
    for (let number = 0; number < 70; number++) flooded.push(alertEvent('x'));
    assert.equal(flooded.dropped, 70 - 65);
    await flooded.idle();
  });

  test('backups while a process appends are whole', async () => {
    const { bytes, records } = goodStore(16, 400);
    const half = records[records.length >> 1]!.position;
    const { store, ring } = node(cut(bytes, half));
    const running = start(['backup', store, '--to', ring, '--json']);
    let position = half;
    while (running.child.exitCode === null && position < bytes.length) {
      appendFileSync(store, bytes.subarray(position, position + 1777));
      position = Math.min(bytes.length, position + 1777);
      await sleep(1);
    }
    appendFileSync(store, bytes.subarray(position));
    const { code, out } = await running.ended;
    const told = JSON.parse(out) as { path: string; missing: { ranges: number } };
    assert.deepEqual([code, told.missing.ranges], [0, 0], out);
    const copied = bytesOf(told.path);
    assert.ok(copied.length >= half);
    assert.deepEqual(copied, bytes.slice(0, copied.length));
  });
});
