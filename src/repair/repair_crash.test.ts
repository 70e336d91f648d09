/**
 * A repair on a disk that stops, fills up or fails at every single operation: the store itself is as it was, or, after a
 * repair in place, wholly replaced with a way back; and what has a name is complete.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { bytesEqual } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import { seededRng } from '../base/rng.ts';
import { ManualClock } from '../base/time.ts';
import { goodStore, noise } from '../store/damaged_stores.test.support.ts';
import type { FaultyCall, MemoryFolder } from '../store/memory_folder.test.support.ts';
import { folderWith, namesIn, OUTPUT, repairIn, STORE } from './repair_bench.test.support.ts';
import { quietTask } from './task.ts';
import { readJournal, undoRepair } from './undo_journal.ts';

const store = goodStore(16, 6);
const damaged = noise(store.bytes, store.records[9]!.position + 20, 60, seededRng(2));
const CALLS: readonly FaultyCall[] = ['write', 'dataSync', 'rename', 'syncDirectory', 'create'];
/** Far more operations than a repair has. */
const MANY = 200;

const isTemporary = (name: string): boolean => /\.repair-[0-9a-f]{16}\.tmp$/.test(name);
const journalIn = (folder: MemoryFolder): string | undefined =>
  namesIn(folder).find((name) => name.includes('.undo-'));

const refused = async (work: Promise<unknown>): Promise<void> => {
  await assert.rejects(work, (error) => error instanceof OperationalError);
};

/** Runs it with the process ending in operation k, for every k; hands over each disk that a power cut could leave then. */
const everyCrash = async (
  prepare: () => Promise<MemoryFolder> | MemoryFolder,
  work: (folder: MemoryFolder) => Promise<unknown>,
  look: (folder: MemoryFolder, k: number) => Promise<void> | void,
): Promise<number> => {
  for (let k = 0; k < MANY; k++) {
    const folder = await prepare();
    folder.stopAfter(k, 13);
    let whole = true;
    try {
      await work(folder);
    } catch (error) {
      assert.ok(error instanceof OperationalError);
      whole = false;
    }
    for (let names = 0; names <= folder.unsyncedNames; names++) {
      for (const fate of [() => 0, ({ length }: { length: number }) => length]) {
        await look(folder.crash({ names, fate }), k);
      }
    }
    if (whole) return k;
  }
  throw new Error('it never finished');
};

const good = async (inPlace: boolean): Promise<Uint8Array> => {
  const folder = folderWith(damaged);
  await repairIn(folder, { inPlace });
  return folder.contents(inPlace ? STORE : OUTPUT);
};

test('crash at every operation of a repair into a new file: the source is untouched, the output absent or complete', async () => {
  const wanted = await good(false);
  const operations = await everyCrash(
    () => folderWith(damaged),
    (folder) => repairIn(folder),
    (disk, k) => {
      assert.ok(bytesEqual(disk.contents(STORE), damaged), `operation ${k}`);
      if (disk.exists(OUTPUT)) assert.ok(bytesEqual(disk.contents(OUTPUT), wanted), `operation ${k}`);
    },
  );
  assert.ok(operations > 8);
});

test('crash at every operation of a repair in place: the name leads to the old file or the new one, and undo works', async () => {
  const wanted = await good(true);
  const seen = new Set<string>();
  await everyCrash(
    () => folderWith(damaged),
    (folder) => repairIn(folder, { inPlace: true }),
    async (disk, k) => {
      const present = disk.contents(STORE);
      const isOld = bytesEqual(present, damaged);
      seen.add(isOld ? 'old' : 'new');
      assert.ok(isOld || bytesEqual(present, wanted), `operation ${k}`);
      const journal = journalIn(disk);
      if (isOld && journal === undefined) return;
      if (!isOld) assert.ok(journal !== undefined, `operation ${k}: replaced without a journal`);
      let content: ReturnType<typeof readJournal>;
      try {
        content = readJournal(disk, journal!);
      } catch (error) {
        // It was not durable yet; then nothing has been replaced.
        assert.ok(error instanceof OperationalError && isOld);
        return;
      }
      await undoRepair(disk, content, false, new ManualClock(), quietTask);
      assert.ok(bytesEqual(disk.contents(STORE), damaged), `operation ${k}: undone`);
    },
  );
  assert.deepEqual([...seen].sort(), ['new', 'old']);
});

test('undo restores bit for bit, and so it does when it is interrupted at any operation and run again', async () => {
  const prepared = async (): Promise<MemoryFolder> => {
    const folder = folderWith(damaged);
    await repairIn(folder, { inPlace: true });
    return folder;
  };
  const repaired = (await prepared()).contents(STORE);
  const run = (folder: MemoryFolder) =>
    undoRepair(folder, readJournal(folder, journalIn(folder)!), false, new ManualClock(), quietTask);
  await everyCrash(prepared, run, async (disk, k) => {
    const before = disk.contents(STORE);
    assert.ok(bytesEqual(before, damaged) || bytesEqual(before, repaired), `operation ${k}`);
    const { outcome } = await run(disk);
    assert.equal(outcome, bytesEqual(before, damaged) ? 'already' : 'restored');
    assert.ok(bytesEqual(disk.contents(STORE), damaged), `operation ${k}`);
  });
});

for (const inPlace of [false, true]) {
  const where = inPlace ? 'in place' : 'into a new file';
  for (const call of CALLS) {
    test(`ENOSPC and EIO in any ${call} of a repair ${where}: refused, and nothing is left behind`, async () => {
      let refusals = 0;
      for (const code of ['disk_full', 'disk_error'] as const) {
        for (let skip = 0; ; skip++) {
          const folder = folderWith(damaged);
          failAfter(folder, call, skip, code);
          let failed = false;
          try {
            await repairIn(folder, { inPlace });
          } catch (error) {
            assert.ok(error instanceof OperationalError && error.code === code, String(error));
            failed = true;
          }
          if (!failed) break;
          refusals++;
          assert.deepEqual(namesIn(folder), [STORE], `${code} in ${call} number ${skip + 1}`);
          assert.ok(bytesEqual(folder.contents(STORE), damaged));
        }
      }
      // A new file gets its name by a link.
      assert.ok(refusals > 0 || (call === 'rename' && !inPlace));
    });
  }
}

/** Lets `skip` calls pass, and fails the next one. */
const failAfter = (
  folder: MemoryFolder,
  call: FaultyCall,
  skip: number,
  code: 'disk_full' | 'disk_error',
): void => {
  let passed = 0;
  const arm = (): void => {
    if (passed++ === skip) folder.fail(call, code, 1);
  };
  const patched = folder as unknown as Record<string, unknown>;
  const before = (name: string): void => {
    const original = patched[name] as (...args: readonly unknown[]) => unknown;
    patched[name] = (...args: readonly unknown[]) => {
      arm();
      return original(...args);
    };
  };
  if (call === 'rename') before('rename');
  else if (call === 'syncDirectory') before('sync');
  else {
    const { open } = folder;
    patched['open'] = (...[name, mode]: Parameters<typeof open>) => {
      if (call === 'create' && mode === 'create') arm();
      const file = open(name, mode);
      return {
        ...file,
        write: (...args: Parameters<typeof file.write>) => {
          if (call === 'write') arm();
          file.write(...args);
        },
        dataSync: () => {
          if (call === 'dataSync') arm();
          return file.dataSync();
        },
      };
    };
  }
};

test('a full disk: any room from none to enough leaves all or nothing', async () => {
  const wanted = await good(false);
  for (let room = 0; room < 2 * wanted.length; room += 97) {
    const folder = folderWith(damaged);
    folder.capacityBytes = damaged.length + room;
    try {
      await repairIn(folder);
      assert.ok(bytesEqual(folder.contents(OUTPUT), wanted));
    } catch (error) {
      assert.ok(error instanceof OperationalError && error.code === 'disk_full');
      assert.deepEqual(namesIn(folder), [STORE]);
    }
  }
});

test('a repair in place refuses when less than 2.2 times the size of the store is free', async () => {
  const folder = folderWith(damaged);
  folder.capacityBytes = Math.floor(damaged.length * 3.1);
  await refused(repairIn(folder, { inPlace: true }));
  assert.deepEqual(namesIn(folder), [STORE]);
  folder.capacityBytes = Math.ceil(damaged.length * 3.3);
  assert.equal((await repairIn(folder, { inPlace: true })).ended, 'done');
});

test('an objection in the last instant keeps the old file, and nothing else', async () => {
  const folder = folderWith(damaged);
  const objection = (): OperationalError =>
    new OperationalError('store_in_use', 'stop', 'it is open', 'Stop it.');
  await refused(repairIn(folder, { inPlace: true, objection }));
  assert.deepEqual(namesIn(folder), [STORE]);
  assert.ok(bytesEqual(folder.contents(STORE), damaged));
});

test('cancelled at any moment: nothing half done is left', async () => {
  let done = 0;
  for (const inPlace of [false, true]) {
    for (let after = 0; ; after++) {
      let asked = 0;
      const folder = folderWith(damaged);
      const task = { ...quietTask, cancelled: () => (asked++ >= after ? 'interrupted' : undefined) } as const;
      const { ended } = await repairIn(folder, { inPlace, task });
      if (ended === 'done') {
        done++;
        break;
      }
      assert.equal(ended, 'cancelled');
      assert.deepEqual(namesIn(folder), [STORE], `asked ${asked} times`);
      assert.ok(bytesEqual(folder.contents(STORE), damaged));
    }
  }
  assert.equal(done, 2);
});

test('an output that exists is left as it is; with force it is replaced', async () => {
  const folder = folderWith(damaged);
  const precious = Uint8Array.of(1, 2, 3);
  folder.place(OUTPUT, precious);
  await refused(repairIn(folder));
  assert.ok(bytesEqual(folder.contents(OUTPUT), precious));
  assert.equal(namesIn(folder).some(isTemporary), false);
  assert.equal((await repairIn(folder, { force: true })).ended, 'done');
  assert.ok(!bytesEqual(folder.contents(OUTPUT), precious));
});

test('a repair in place of a sound store changes nothing', async () => {
  const folder = folderWith(store.bytes);
  const { ended, written } = await repairIn(folder, { inPlace: true });
  assert.deepEqual([ended, written, folder.operations], ['done', undefined, 0]);
});

test('undo refuses a store that was written to since, and a backup that is not what it was; force keeps the present one', async () => {
  const folder = folderWith(damaged);
  const { undo, backup_name } = await repairIn(folder, { inPlace: true });
  const journal = readJournal(folder, undo!);
  const clock = new ManualClock();
  const repaired = folder.contents(STORE);
  folder.open(STORE, 'write').write(Uint8Array.of(1), repaired.length);
  const changed = folder.contents(STORE);
  await refused(undoRepair(folder, journal, false, clock, quietTask));
  assert.ok(bytesEqual(folder.contents(STORE), changed));
  const { outcome, displaced } = await undoRepair(folder, journal, true, clock, quietTask);
  assert.equal(outcome, 'restored');
  assert.ok(bytesEqual(folder.contents(STORE), damaged));
  assert.ok(bytesEqual(folder.contents(displaced!), changed));

  const other = folderWith(damaged);
  await repairIn(other, { inPlace: true });
  other.open(backup_name!, 'write').write(Uint8Array.of(0xff, 0xff, 0xff), 100);
  await refused(undoRepair(other, journal, true, clock, quietTask));
  assert.ok(bytesEqual(other.contents(STORE), repaired));
});

test('a journal is read as hostile input', () => {
  const folder = folderWith(damaged);
  const file = { bytes: 1, sha256: '0'.repeat(64), version: 16 };
  const sound = {
    gossipd_undo: 1,
    time: 't',
    tool_version: '1',
    folder: '/',
    name: 'a',
    backup: 'b',
    before: file,
    after: file,
  };
  const read = (value: unknown) => {
    folder.place('j', new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value)));
    return readJournal(folder, 'j');
  };
  assert.equal(read(sound).name, 'a');
  for (const bad of [
    '',
    '{',
    'null',
    '[]',
    { ...sound, gossipd_undo: 2 },
    { ...sound, name: '../a' },
    { ...sound, name: '/etc/passwd' },
    { ...sound, backup: '..' },
    { ...sound, backup: 'a' },
    { ...sound, name: 7 },
    { ...sound, before: { ...file, sha256: 'x' } },
    { ...sound, after: undefined },
    'x'.repeat(70_000),
  ]) {
    assert.throws(
      () => read(bad),
      (error) => error instanceof OperationalError && error.code === 'bad_argument',
    );
  }
});
