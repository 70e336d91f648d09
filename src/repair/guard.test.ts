import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import {
  append,
  cut,
  flipBit,
  goodStore,
  rec,
  withFlags,
  withVersion,
  zeros,
} from '../store/damaged_stores.test.support.ts';
import { MemoryFolder } from '../store/memory_folder.test.support.ts';
import { updateOf } from '../store/store_samples.test.support.ts';
import { storeFormat } from '../store/versions.ts';
import { encodeEnded } from '../wire/gossip_store_messages.ts';
import { FLAG_COMPLETED, FLAG_DELETED } from '../wire/store_record.ts';
import { backUp } from './backup.ts';
import { diskWith, HastyClock, jobOn, STORE } from './backup_bench.test.support.ts';
import { newestGood } from './backup_ring.ts';
import { FULL_PASS_MS, Guard, type GuardEvent, type GuardWorld } from './guard.ts';
import type { DiskFigures } from './guard_judge.ts';
import {
  AlertBoard,
  type AlertContent,
  GrowthWindow,
  MAX_SAMPLES,
  MIN_WINDOW_MS,
  secondsUntilFull,
} from './guard_state.ts';
import { quietTask } from './task.ts';

const MINUTE_MS = 60_000;
const format16 = storeFormat(16)!;
const roomy: DiskFigures = {
  free_bytes: 500e9,
  total_bytes: 1000e9,
  free_inodes: 1e6,
  total_inodes: 2e6,
};

/** A guard on a simulated disk, with everything it told. */
const post = (folder: MemoryFolder, changes: Partial<GuardWorld> = {}, clock = new HastyClock()) => {
  const events: GuardEvent[] = [];
  const disk = { ...roomy };
  const guard = new Guard({
    folder,
    name: STORE,
    path: `/ln/${STORE}`,
    clock,
    newTask: () => quietTask,
    disk: () => disk,
    modifiedMs: () => undefined,
    backups: undefined,
    onEvent: (event) => events.push(event),
    ...changes,
  });
  /** `id raised` and the like, of what happened since the last call. */
  const told = (): string[] =>
    events.splice(0).map((event) => (event.event === 'alert' ? `${event.id} ${event.state}` : event.event));
  const round = async (patient = true): Promise<string[]> => {
    await guard.round(patient);
    clock.manual.advance(MINUTE_MS);
    return told();
  };
  return { guard, clock, disk, round, events };
};

const ringFor = (folder: MemoryFolder, to: MemoryFolder, clock: HastyClock, everyMs = 30 * MINUTE_MS) => ({
  path: '/backups',
  everyMs,
  newestGood: () => newestGood(to, STORE)?.manifest,
  take: () => backUp(jobOn(folder, to, clock)),
});

test('a sound store that grows is nothing to report, and each round reads only what is new', async () => {
  const { bytes, records } = goodStore(16, 8);
  const half = records[20]!.position;
  const folder = diskWith(cut(bytes, half));
  const { guard, round } = post(folder);
  assert.deepEqual(await round(), []);
  assert.deepEqual([guard.status().store?.records, guard.status().store?.readable_bytes], [20, half]);
  folder.open(STORE, 'write').write(bytes.subarray(half), half);
  assert.deepEqual(await round(), []);
  const { store, state } = guard.status();
  assert.deepEqual(
    [store?.records, store?.channels, store?.readable_bytes, state],
    [records.length, 8, bytes.length, 'ok'],
  );
});

test('nothing is ever written to the store or its folder', async () => {
  const folder = diskWith(zeros(goodStore(16, 5).bytes, 900, 300));
  const { round } = post(folder);
  await round();
  await round();
  assert.equal(folder.operations, 0);
});

const damages: readonly [string, (bytes: Uint8Array, at: number) => Uint8Array][] = [
  ['a wrong checksum', (bytes, at) => flipBit(flipBit(bytes, at + 30, 2), at + 31, 2)],
  ['a hole of zeros', (bytes, at) => zeros(bytes, at, 500)],
  ['a damaged header', (bytes, at) => withFlags(bytes, at, FLAG_COMPLETED | 0x0040)],
  [
    'a malformed message',
    (bytes, at) =>
      concatBytes(bytes.slice(0, at), rec(format16, Uint8Array.of(0x10, 0x07, 1)), bytes.slice(at)),
  ],
];
for (const [name, spoil] of damages) {
  test(`${name} raises damage once, and a sound file under the name resolves it once`, async () => {
    const { bytes, records } = goodStore(16, 8);
    const folder = diskWith(spoil(bytes, records[25]!.position));
    const { guard, round } = post(folder);
    assert.deepEqual(await round(), ['damage raised']);
    assert.deepEqual(await round(), []);
    assert.equal(guard.status().state, 'critical');
    assert.match(guard.board.list()[0]?.hint ?? '', /^gossipd repair /);
    folder.open('repaired', 'create').write(bytes, 0);
    folder.rename('repaired', STORE);
    assert.deepEqual(await round(), ['replaced', 'damage resolved']);
    assert.deepEqual(await round(), []);
    assert.equal(guard.status().state, 'ok');
  });
}

test('damage among old records is found by the full pass, once an hour', async () => {
  const { bytes, records } = goodStore(16, 8);
  const folder = diskWith(bytes);
  const { clock, round } = post(folder);
  await round();
  const file = folder.open(STORE, 'write');
  file.write(new Uint8Array(40), records[10]!.position + 40);
  assert.deepEqual(await round(), []);
  clock.manual.advance(FULL_PASS_MS);
  assert.deepEqual(await round(), ['damage raised']);
});

test('a header that is being rewritten while it is read is no damage', async () => {
  const { bytes, records } = goodStore(16, 8);
  const folder = diskWith(bytes);
  const file = folder.open(STORE, 'write');
  const at = records[10]!.position + 4;
  file.write(Uint8Array.of(1, 2, 3, 4), at);
  const { clock, round } = post(folder);
  clock.onWait = () => file.write(bytes.subarray(at, at + 4), at);
  assert.deepEqual(await round(), []);
});

for (const [name, tail] of [
  ['a torn record', (bytes: Uint8Array) => cut(bytes, bytes.length - 20)],
  ['zeros at the end', (bytes: Uint8Array) => append(bytes, new Uint8Array(64))],
  [
    'a record that was not completed',
    (bytes: Uint8Array) => append(bytes, rec(format16, updateOf(1, 0, 1_800_000_000), { flags: 0 })),
  ],
] as const) {
  test(`${name} is an alert after more than two rounds, and over when the file goes on`, async () => {
    const { bytes } = goodStore(16, 8);
    const folder = diskWith(tail(bytes));
    const { round } = post(folder);
    assert.deepEqual(await round(), []);
    assert.deepEqual(await round(), []);
    assert.deepEqual(await round(), ['stuck_tail raised']);
    assert.deepEqual(await round(), []);
    const more = append(bytes, rec(format16, updateOf(1, 0, 1_800_000_000)));
    folder.open(STORE, 'write').write(more, 0);
    assert.deepEqual(await round(), ['stuck_tail resolved']);
  });
  test(`${name} is an alert at once in a single round`, async () => {
    const { round } = post(diskWith(tail(goodStore(16, 8).bytes)));
    assert.deepEqual(await round(false), ['stuck_tail raised']);
  });
}

test('an end that moves on in every round is a writer at work', async () => {
  const { bytes, records } = goodStore(16, 8);
  const first = records.length - 8;
  const folder = diskWith(cut(bytes, records[first]!.position + 5));
  const { round } = post(folder);
  for (let index = first; index < records.length; index++) {
    assert.deepEqual(await round(), []);
    const upTo = Math.min(bytes.length, records[index]!.end + 5);
    folder.open(STORE, 'write').write(bytes.subarray(0, upTo), 0);
  }
});

test('an end marker in the file that has the name is an alert; in one that lost it, it is not', async () => {
  const { bytes } = goodStore(16, 8);
  const marked = append(bytes, rec(format16, encodeEnded(47n, new Uint8Array(32))));
  const folder = diskWith(marked);
  const { round } = post(folder);
  assert.deepEqual(await round(), ['ended raised']);
  folder.open('next', 'create').write(bytes, 0);
  folder.rename('next', STORE);
  assert.deepEqual(await round(), ['replaced', 'ended resolved']);
  const moving = diskWith(marked);
  const other = post(moving);
  // The name changes hands while the guard waits before it believes the marker.
  other.clock.onWait = () => {
    if (!moving.exists('next')) moving.open('next', 'create').write(bytes, 0);
    if (moving.contents(STORE).length !== bytes.length) moving.rename('next', STORE);
  };
  assert.deepEqual(await other.round(), []);
  assert.deepEqual(await other.round(), ['replaced']);
});

test('a store that vanishes, cannot be read, is empty or no store is an alert until it is back', async () => {
  const { bytes } = goodStore(16, 4);
  const folder = diskWith(bytes);
  const { round } = post(folder);
  await round();
  folder.remove(STORE);
  assert.deepEqual(await round(), ['missing raised']);
  assert.deepEqual(await round(), []);
  folder.place(STORE, bytes);
  assert.deepEqual(await round(), ['replaced', 'missing resolved']);
  folder.fail('read', 'disk_error', 50);
  folder.place(STORE, bytes);
  assert.deepEqual(await round(), ['replaced', 'unreadable raised']);
  folder.heal();
  assert.deepEqual(await round(), ['unreadable resolved']);
  folder.place(STORE, new Uint8Array(0));
  assert.deepEqual(await round(), ['replaced', 'not_a_store raised']);
  folder.place(STORE, bytes);
  assert.deepEqual(await round(), ['replaced', 'not_a_store resolved']);
});

test('a file that is cut while it is in use is an alert', async () => {
  const { bytes, records } = goodStore(16, 4);
  const folder = diskWith(bytes);
  let size = bytes.length;
  const truncating = {
    path: folder.path,
    exists: folder.exists,
    identity: folder.identity,
    open: (name: string) => {
      const file = folder.open(name, 'read');
      return {
        ...file,
        size: () => size,
        read: (buffer: Uint8Array, start: number, length: number, position: number) =>
          file.read(buffer, start, Math.max(0, Math.min(length, size - position)), position),
      };
    },
  };
  const { round } = post(folder, { folder: { ...truncating } as never });
  await round();
  size = records.at(-1)!.position;
  assert.deepEqual(await round(), ['truncated raised']);
  assert.deepEqual(await round(), []);
  size = bytes.length;
  assert.deepEqual(await round(), ['truncated resolved']);
});

test('a new store with less than half the channels is an alert until they are back', async () => {
  const folder = diskWith(goodStore(16, 10).bytes);
  const { round } = post(folder);
  await round();
  folder.place(STORE, goodStore(16, 4).bytes);
  assert.deepEqual(await round(), ['replaced', 'shrunk raised']);
  folder.place(STORE, goodStore(16, 6).bytes);
  assert.deepEqual(await round(), ['replaced', 'shrunk resolved']);
});

test('a .corrupt file is an alert when it appears, not when it is old news', async () => {
  const folder = diskWith();
  folder.place(`${STORE}.corrupt`, new Uint8Array(10));
  const old = post(folder, { modifiedMs: () => 1_600_000_000_000 });
  assert.deepEqual(await old.round(), []);
  folder.place(`${STORE}.corrupt`, new Uint8Array(20));
  assert.deepEqual(await old.round(), ['corrupt_file raised']);
  assert.deepEqual(await old.round(), []);
  folder.remove(`${STORE}.corrupt`);
  assert.deepEqual(await old.round(), ['corrupt_file resolved']);
  folder.place(`${STORE}.corrupt`, new Uint8Array(20));
  const fresh = post(folder, { modifiedMs: () => 1_700_000_000_000 - 3_600_000 });
  assert.deepEqual(await fresh.round(), ['corrupt_file raised']);
});

test('dead weight is an alert by its share, where CLN does not compact while it runs', async () => {
  const dead = rec(storeFormat(14)!, new Uint8Array(60_000).fill(1), { flags: FLAG_DELETED });
  const weight = concatBytes(...Array.from({ length: 200 }, () => dead));
  const folder = diskWith(append(goodStore(14, 3).bytes, weight));
  const { guard, round } = post(folder);
  assert.deepEqual(await round(), ['dead_weight raised']);
  assert.match(guard.board.list()[0]?.message ?? '', /12 MB, 100 % of them dead/);
  const small = post(diskWith(append(goodStore(14, 3).bytes, weight.slice(0, dead.length * 20))));
  assert.deepEqual(await small.round(), []);
});

test('a version byte that is wrong is still read as what it is', async () => {
  const { guard, round } = post(diskWith(withVersion(goodStore(16, 4).bytes, 0)));
  await round();
  assert.equal(guard.status().store?.channels, 4);
});

test('low space, few inodes and a disk that fills are alerts with hysteresis', async () => {
  const { disk, round, guard } = post(diskWith());
  await round();
  Object.assign(disk, { free_bytes: 900e6 });
  assert.deepEqual(await round(), ['disk_space raised']);
  assert.equal(guard.board.list()[0]?.severity, 'warning');
  Object.assign(disk, { free_bytes: 50e6 });
  assert.deepEqual(await round(), []);
  assert.equal(guard.board.list()[0]?.severity, 'critical');
  Object.assign(disk, { free_bytes: 1.1e9 });
  assert.deepEqual(await round(), [], 'above the limit, but not by enough');
  Object.assign(disk, { free_bytes: 500e9, free_inodes: 999 });
  assert.deepEqual(await round(), ['disk_space resolved', 'inodes raised']);
  Object.assign(disk, { free_inodes: 1100 });
  assert.deepEqual(await round(), []);
  Object.assign(disk, { free_inodes: 0, total_inodes: 0 });
  assert.deepEqual(await round(), ['inodes resolved'], 'a file system that does not count them');
});

test('a disk that fills at its present rate within a day is an alert, with the time of the end', async () => {
  const { disk, round, guard } = post(diskWith());
  const told: string[] = [];
  for (let minute = 0; minute < 12; minute++) {
    disk.free_bytes = 500e9 - minute * 1e9;
    told.push(...(await round()));
  }
  assert.deepEqual(told, ['disk_forecast raised']);
  const status = guard.status();
  // 489 GB left at 1 GB a minute.
  assert.equal(status.disk?.full_in_seconds, 489 * 60);
  assert.equal(Date.parse(status.disk?.full_at ?? '') - Date.parse(status.time), 489 * 60_000);
});

test('backups are taken when due and when the store has changed', async () => {
  const { bytes } = goodStore(16, 8);
  const folder = diskWith(bytes);
  const to = new MemoryFolder();
  const clock = new HastyClock();
  const { guard, round } = post(folder, { backups: ringFor(folder, to, clock) }, clock);
  const advance = (ms: number): void => clock.manual.advance(ms);
  assert.deepEqual(await round(), ['backup']);
  assert.equal(guard.status().newest_backup?.channels, 8);
  advance(40 * MINUTE_MS);
  assert.deepEqual(await round(), [], 'unchanged');
  folder.open(STORE, 'write').write(rec(format16, updateOf(1, 0, 1_800_000_000)), bytes.length);
  assert.deepEqual(await round(), ['backup']);
  folder.open(STORE, 'write').write(rec(format16, updateOf(1, 0, 1_800_000_001)), bytes.length + 150);
  assert.deepEqual(await round(), [], 'changed, but not due');
  advance(30 * MINUTE_MS);
  assert.deepEqual(await round(), ['backup']);
  const later = post(folder, { backups: ringFor(folder, to, clock) }, clock);
  assert.deepEqual(await later.round(), [], 'a guard that starts anew goes on with the ring');
});

test('a backup that fails or is suspect is an alert once; what it knows of the ring tells a shrunken store', async () => {
  const folder = diskWith(goodStore(16, 10).bytes);
  const to = new MemoryFolder();
  const clock = new HastyClock();
  const ring = ringFor(folder, to, clock, MINUTE_MS);
  const { round } = post(folder, { backups: ring });
  to.fail('write', 'disk_full', 2);
  assert.deepEqual(await round(), ['backup_failed raised']);
  assert.deepEqual(await round(), []);
  assert.deepEqual(await round(), ['backup', 'backup_failed resolved']);
  folder.place(STORE, goodStore(16, 3).bytes);
  clock.manual.advance(MINUTE_MS);
  const fresh = post(folder, { backups: ring });
  assert.deepEqual(await fresh.round(), ['shrunk raised']);
  fresh.clock.manual.advance(10 * MINUTE_MS);
  assert.deepEqual(await fresh.round(), ['backup', 'backup_suspect raised']);
  assert.equal(fresh.guard.status().newest_backup?.channels, 10, 'the good one is still the newest');
});

test('a bug in a port is not taken for a failing disk', async () => {
  const { round } = post(diskWith(), {
    disk: () => {
      throw new TypeError('a bug');
    },
  });
  await assert.rejects(round(), TypeError);
  const refusing = post(diskWith(), {
    disk: () => {
      throw new OperationalError('disk_error', 'degrade', 'refused', 'dmesg');
    },
  });
  assert.deepEqual(await refusing.round(), []);
  assert.equal(refusing.guard.status().disk, null);
});

test('an alert is raised once and resolved once, and keeps the time when it was raised', () => {
  const board = new AlertBoard();
  const content = (message: string): AlertContent => ({ severity: 'warning', message, hint: 'Do it.' });
  assert.equal(board.set('inodes', undefined, 0), undefined);
  assert.equal(board.set('inodes', content('one'), 1000)?.state, 'raised');
  assert.equal(board.set('inodes', content('two'), 2000), undefined);
  assert.deepEqual(board.list(), [{ id: 'inodes', since: '1970-01-01T00:00:01.000Z', ...content('two') }]);
  const resolved = board.set('inodes', undefined, 3000);
  assert.deepEqual([resolved?.state, resolved?.since], ['resolved', '1970-01-01T00:00:01.000Z']);
  assert.equal(board.set('inodes', undefined, 4000), undefined);
  assert.equal(board.worst, 'ok');
});

test('growth is a rate over a bounded window, unknown while the window is short', () => {
  const window = new GrowthWindow();
  assert.equal(window.rate, undefined);
  window.add(0, 1000);
  window.add(MIN_WINDOW_MS - 1, 2000);
  assert.equal(window.rate, undefined);
  window.add(MIN_WINDOW_MS, 7000);
  assert.equal(window.rate, 6000 / (MIN_WINDOW_MS / 1000));
  for (let sample = 1; sample <= MAX_SAMPLES; sample++) window.add(MIN_WINDOW_MS + sample * 60_000, 7000);
  assert.equal(window.rate, 0, 'what grew has left the window');
  window.reset();
  assert.equal(window.rate, undefined);
});

test('the forecast takes the faster of the store and the disk', () => {
  assert.equal(secondsUntilFull(1000, undefined, undefined), undefined);
  assert.equal(secondsUntilFull(1000, -5, 5), undefined, 'nothing grows');
  assert.equal(secondsUntilFull(1000, 10, undefined), 100);
  assert.equal(secondsUntilFull(1000, 10, -20), 50);
  assert.equal(secondsUntilFull(0, 10, -20), 0);
});
