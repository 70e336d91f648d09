import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OperationalError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import { MemoryMeter } from '../base/meter.ts';
import { ManualClock } from '../base/time.ts';
import { onAbort } from './abort_fan.ts';
import { BackendHealth } from './backend_health.ts';
import { isFault } from './chain_fault.ts';
import { HttpExchange, hostOf, quoted, readJson } from './http_exchange.ts';
import type { Http, HttpReply } from './http_port.ts';

const never = new AbortController().signal;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const reply = (status: number, retryAfterMs?: number): HttpReply => ({
  status,
  body: new Uint8Array(0),
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
});

const bench = (http: Http) => {
  const [clock, meter] = [new ManualClock(), new MemoryMeter()];
  const health = new BackendHealth('test', silentLog, meter);
  const exchange = new HttpExchange({
    http,
    clock,
    health,
    service: 'bitcoind at h:1',
    patience: { timeoutMs: 1000, firstRetryMs: 100, tries: 3 },
    maxInFlight: 2,
  });
  const get = (signal = never) =>
    exchange.ask(
      (either) => exchange.send({ method: 'GET', url: 'http://h:1/', maxBytes: 10 }, either),
      signal,
    );
  return { clock, meter, health, exchange, get };
};

test('a passing fault is tried three times, with pauses of 100 and 400 ms, and then given up', async () => {
  let tries = 0;
  const { get, clock, health } = bench(async () => {
    tries++;
    return reply(503);
  });
  const answer = get();
  for (const [pause, expected] of [
    [0, 1],
    [99, 1],
    [1, 2],
    [399, 2],
    [1, 3],
  ] as const) {
    clock.advance(pause);
    await turn();
    assert.equal(tries, expected);
  }
  const fault = await answer;
  assert.ok(isFault(fault) && fault.fault === 'overloaded');
  assert.deepEqual(health.status(), { state: 'unavailable', reason: fault.reason, requests: 3, failures: 1 });
});

test('retry-after is waited for, but never longer than five seconds', async () => {
  const replies = [reply(429, 2000), reply(503, 3_600_000), reply(200)];
  const { get, clock } = bench(async () => replies.shift()!);
  const answer = get();
  await turn();
  clock.advance(1999);
  await turn();
  assert.equal(replies.length, 2);
  clock.advance(1);
  await turn();
  assert.equal(replies.length, 1);
  clock.advance(5000);
  assert.equal(isFault(await answer), false);
});

test('a fault that does not pass is not tried again: timeout, too_long, forbidden', async () => {
  const faults = { http_timeout: 'timeout', http_too_long: 'too_long' };
  for (const [code, fault] of Object.entries(faults)) {
    const { get, health } = bench(() => Promise.reject(new OperationalError(code, 'retry', 'x', 'y')));
    const answer = await get();
    assert.ok(isFault(answer) && answer.fault === fault);
    assert.equal(health.status().requests, 1);
  }
  const { get } = bench(async () => reply(403));
  const answer = await get();
  assert.ok(isFault(answer) && answer.fault === 'forbidden');
});

test('no more than maxInFlight requests are under way, and one that is withdrawn while it waits makes no request', async () => {
  const open: ((answer: HttpReply) => void)[] = [];
  const { get, health } = bench(() => new Promise((resolve) => open.push(resolve)));
  const withdrawn = new AbortController();
  const asked = [get(), get(), get(withdrawn.signal), get()];
  await turn();
  assert.equal(open.length, 2);
  withdrawn.abort();
  const answer = await asked[2]!;
  assert.ok(isFault(answer) && answer.fault === 'aborted');
  open.shift()!(reply(200));
  await turn();
  assert.equal(health.status().requests, 3);
  for (const finish of open) finish(reply(200));
  await Promise.all(asked);
  assert.equal(health.status().failures, 0);
});

test('close() ends requests, pauses and queues as closed, and leaves no timer', async () => {
  const { get, exchange, clock } = bench(
    (_, signal) =>
      new Promise((_, reject) => {
        onAbort(signal, () => reject(new OperationalError('http_aborted', 'retry', 'x', 'y')));
      }),
  );
  const asked = [get(), get(), get()];
  await turn();
  exchange.close();
  asked.push(get());
  for (const answer of await Promise.all(asked)) assert.ok(isFault(answer) && answer.fault === 'closed');
  assert.equal(clock.pending, 0);

  const pausing = bench(async () => reply(503));
  const answer = pausing.get();
  await turn();
  assert.equal(pausing.clock.pending, 1);
  pausing.exchange.close();
  const fault = await answer;
  assert.ok(isFault(fault) && fault.fault === 'closed');
  assert.equal(pausing.clock.pending, 0);
});

test('text of a service is shown as one short line, URLs without credentials, JSON that is none is undefined', () => {
  assert.equal(quoted('a\n\u001b[31mb\u0000'), 'a [31mb');
  assert.equal(quoted('x'.repeat(500)).length, 120);
  assert.equal(hostOf('http://user:secret@host:8332/'), 'host:8332');
  assert.equal(readJson(new TextEncoder().encode('{"a":')), undefined);
  assert.deepEqual(readJson(new TextEncoder().encode('{"a":1}')), { a: 1 });
});

test('hundreds may listen to one signal; each hears once, and not after it has gone', () => {
  const controller = new AbortController();
  const heard: number[] = [];
  const leave = Array.from({ length: 300 }, (_, index) =>
    onAbort(controller.signal, () => heard.push(index)),
  );
  leave[7]!();
  controller.abort();
  assert.equal(heard.length, 299);
  assert.equal(heard.includes(7), false);
  onAbort(controller.signal, () => heard.push(-1));
  assert.equal(heard.at(-1), -1);
});
