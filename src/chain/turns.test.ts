import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/time.ts';
import { Turns } from './turns.ts';

const never = (): AbortSignal => new AbortController().signal;
const make = (clock: ManualClock): Turns =>
  new Turns({ clock, maxInFlight: 2, maxWaiting: 3, maxWaitMs: 1000 });

test('two at once, three wait in order, the next is refused', async () => {
  const turns = make(new ManualClock());
  const came: number[] = [];
  assert.equal(await turns.take(never()), undefined);
  assert.equal(await turns.take(never()), undefined);
  const waiting = [1, 2, 3].map((index) => turns.take(never()).then(() => came.push(index)));
  assert.equal(turns.waiting, 3);
  assert.match((await turns.take(never())) ?? '', /too many questions/);
  for (let left = 0; left < 3; left++) turns.done();
  await Promise.all(waiting);
  assert.deepEqual(came, [1, 2, 3]);
  assert.equal(turns.inFlight, 2);
});

test('a turn that does not come in time, or is withdrawn, is refused and leaves nothing', async () => {
  const clock = new ManualClock();
  const turns = make(clock);
  turns.hold();
  const controller = new AbortController();
  const [late, withdrawn] = [turns.take(never()), turns.take(controller.signal)];
  controller.abort();
  assert.match((await withdrawn) ?? '', /withdrawn/);
  assert.match((await turns.take(controller.signal)) ?? '', /withdrawn/);
  clock.advance(1000);
  assert.match((await late) ?? '', /too busy/);
  assert.equal(turns.waiting, 0);
  assert.equal(clock.pending, 0);
});

test('held turns come on release; refused ones hear the reason until then', async () => {
  const clock = new ManualClock();
  const turns = make(clock);
  turns.hold();
  const waiting = turns.take(never());
  turns.refuse('away');
  assert.equal(await waiting, 'away');
  assert.equal(await turns.take(never()), 'away');
  turns.hold();
  const next = turns.take(never());
  turns.release();
  assert.equal(await next, undefined);
  assert.equal(clock.pending, 0);
});

test('a pause holds everyone for its time; a shorter one does not end it', async () => {
  const clock = new ManualClock();
  const turns = make(clock);
  turns.pause(500);
  turns.pause(100);
  let came = false;
  const waiting = turns.take(never()).then(() => {
    came = true;
  });
  clock.advance(499);
  await Promise.resolve();
  assert.equal(came, false);
  clock.advance(1);
  await waiting;
  assert.equal(clock.pending, 0);
});

test('after the end nothing comes again and no timer is left', async () => {
  const clock = new ManualClock();
  const turns = make(clock);
  turns.pause(500);
  const waiting = turns.take(never());
  turns.end('closed');
  turns.release();
  assert.equal(await waiting, 'closed');
  assert.equal(await turns.take(never()), 'closed');
  assert.equal(clock.pending, 0);
});
