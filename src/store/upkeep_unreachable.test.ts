/** The mode of the folder was changed while the store was open: it could be written on, but nobody would find it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { OperationalError } from '../base/errors.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import { acceptedChannel, benchOn, ignore } from './store_samples.test.support.ts';

test('a store that cannot be reached by its name is degraded, and has a new file once it can', async () => {
  const folder = new MemoryFolder();
  let isShut = false;
  const refuse =
    <A extends readonly unknown[], R>(call: (...given: A) => R) =>
    (...given: A): R => {
      if (isShut)
        throw new OperationalError('store_not_writable', 'stop', 'not permitted (EACCES)', 'Change it back.');
      return call(...given);
    };
  Object.assign(folder, { identity: refuse(folder.identity), open: refuse(folder.open) });
  const { clock, open } = benchOn(folder, { upkeepMs: 1000 });
  const store = await open();
  const run = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 250) {
      clock.advance(250);
      for (let turn = 0; turn < 40; turn++) await Promise.resolve();
    }
  };
  isShut = true;
  await run(1000);
  assert.equal(store.state, 'degraded');
  assert.match(store.stateReason ?? '', /cannot be reached by its name \(not permitted/);
  const offset = store.append(acceptedChannel(1), ignore);
  assert.ok(offset > 0);
  isShut = false;
  await run(5000);
  assert.deepEqual([store.state, store.generation], ['ok', 1]);
  await store.sync();
  assert.equal(store.durableBytes, store.publishedBytes);
  await store.close();
});
