import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OperationalError } from '../base/errors.ts';
import { isHarmful, type PreenSteps, preen } from './preen.ts';

const refused = (code: string) => async (): Promise<never> => {
  throw new OperationalError(code, 'stop', `the ${code} story`, 'Do it.');
};

/** Steps that find a damaged store and put it right, each of them counted. */
const stepsWith = (changes: Partial<PreenSteps>): { steps: PreenSteps; taken: string[] } => {
  const taken: string[] = [];
  const steps: PreenSteps = {
    path: '/ln/gossip_store',
    size: () => 1000,
    requireUnused: async () => {},
    check: async () => ({ harmful: { 'GS-CRC': 2 }, channels: 5, records: 30, version: 16 }),
    repair: async () => ({
      records_kept: 28,
      records_lost: 2,
      bytes_lost: 300,
      records_from_backup: 0,
      kept_as: 'old',
    }),
    restore: async () => ({ file: 'b.bak', channels: 5 }),
    setAside: async () => 'aside',
    ...changes,
  };
  const counted =
    <T>(name: string, step: () => Promise<T>) =>
    (): Promise<T> => {
      taken.push(name);
      return step();
    };
  return {
    steps: {
      ...steps,
      check: counted('check', steps.check),
      repair: (version) => counted('repair', () => steps.repair(version))(),
      restore: counted('restore', steps.restore),
      setAside: counted('setAside', steps.setAside),
    },
    taken,
  };
};

const outcomeOf = async (changes: Partial<PreenSteps>) => {
  const { steps, taken } = stepsWith(changes);
  const outcome = await preen(steps);
  assert.match(outcome.message, /^\/ln\/gossip_store .*\.$/);
  return { ...outcome, taken: taken.join(' ') };
};

test('a damaged store is repaired, and the sentence says what was kept', async () => {
  const { action, message, records_lost, kept_as, taken } = await outcomeOf({});
  assert.deepEqual([action, records_lost, kept_as, taken], ['repaired', 2, 'old', 'check repair']);
  assert.equal(message, '/ln/gossip_store was repaired (GS-CRC ×2): 28 records kept, 2 lost.');
});

test('a sound store is left alone', async () => {
  const { action, taken } = await outcomeOf({
    check: async () => ({ harmful: {}, channels: 5, records: 30, version: 16 }),
  });
  assert.deepEqual([action, taken], ['sound', 'check']);
});

test('a store that is not there is none of its business', async () => {
  const { action, taken } = await outcomeOf({ size: () => undefined });
  assert.deepEqual([action, taken], ['absent', '']);
});

test('a store that somebody has open is left alone', async () => {
  const { action, failures, taken } = await outcomeOf({ requireUnused: refused('store_in_use') });
  assert.deepEqual([action, taken], ['left', '']);
  assert.deepEqual(failures, ['somebody has it open: the store_in_use story']);
});

test('where the repair fails, the newest good backup takes its place', async () => {
  const { action, message, taken } = await outcomeOf({ repair: refused('disk_full') });
  assert.deepEqual([action, taken], ['restored', 'check repair restore']);
  assert.match(message, /backup b\.bak with 5 channels, because repairing it: the disk_full story/);
});

test('where nothing helps, the file is left alone and every reason is told', async () => {
  const { action, failures } = await outcomeOf({
    repair: refused('disk_full'),
    restore: refused('backup_missing'),
  });
  assert.equal(action, 'left');
  assert.equal(failures.length, 2);
  for (const changes of [
    {
      size: () => {
        throw new OperationalError('disk_error', 'degrade', 'no', 'x');
      },
    },
    { check: refused('disk_error') },
    { check: async () => 'cancelled' as const },
    { repair: async () => 'cancelled' as const },
    { repair: async () => undefined, restore: async () => undefined },
    { repair: refused('disk_full'), restore: async () => 'cancelled' as const },
  ])
    assert.equal((await outcomeOf(changes)).action, 'left');
});

test('what is no store is restored or left, never repaired', async () => {
  const check = async () => 'not_a_store' as const;
  assert.equal((await outcomeOf({ check })).taken, 'check restore');
  const { action, taken } = await outcomeOf({ check, restore: async () => undefined });
  assert.deepEqual([action, taken], ['left', 'check restore']);
});

test('an empty file gives way to a backup or to nothing: CLN aborts on it', async () => {
  const restored = await outcomeOf({ size: () => 0 });
  assert.deepEqual([restored.action, restored.taken], ['restored', 'restore']);
  const aside = await outcomeOf({ size: () => 0, restore: async () => undefined });
  assert.deepEqual([aside.action, aside.kept_as], ['set_aside', 'aside']);
  const left = await outcomeOf({
    size: () => 0,
    restore: async () => undefined,
    setAside: refused('disk_error'),
  });
  assert.equal(left.action, 'left');
});

test('a bug is not taken for a failing disk', async () => {
  const check = async (): Promise<never> => {
    throw new TypeError('a bug');
  };
  await assert.rejects(preen(stepsWith({ check }).steps), TypeError);
});

test('only errors are harmful', () => {
  assert.deepEqual((['info', 'warn', 'error'] as const).map(isHarmful), [false, false, true]);
});
