import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../base/log.ts';
import { MemoryMeter } from '../base/meter.ts';
import { ManualClock } from '../base/time.ts';
import { EsploraRequests, MAX_ESPLORA_IN_FLIGHT, MAX_ESPLORA_WAITING } from './esplora_requests.ts';
import type { HttpReply, HttpRequest } from './http_port.ts';

/** Requests that wait for the test to answer them. */
class FakeHttp {
  readonly clock = new ManualClock();
  readonly meter = new MemoryMeter();
  readonly open: {
    readonly request: HttpRequest;
    readonly resolve: (reply: HttpReply) => void;
    readonly reject: (error: Error) => void;
  }[] = [];
  readonly requests = new EsploraRequests({
    url: 'https://host/api/',
    http: (request, signal) =>
      new Promise((resolve, reject) => {
        this.open.push({ request, resolve, reject });
        signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
      }),
    clock: this.clock,
    log: silentLog,
    meter: this.meter,
    patience: { timeoutMs: 5000, firstRetryMs: 100 },
  });

  get(path: string, signal = new AbortController().signal) {
    return this.requests.get(path, 10, signal);
  }

  answer(status: number, more: { retryAfterMs?: number } = {}): void {
    this.open.shift()?.resolve({ status, body: new Uint8Array(1), ...more });
  }
}

const turn = (): Promise<void> => new Promise((done) => setImmediate(done));

test('found, missing, and another status', async () => {
  const http = new FakeHttp();
  const asked = [http.get('/a'), http.get('/b'), http.get('/c')];
  await turn();
  assert.deepEqual(http.open[0]?.request, {
    method: 'GET',
    url: 'https://host/api/a',
    maxBytes: 10,
    timeoutMs: 5000,
  });
  for (const status of [200, 404, 403]) http.answer(status);
  const [found, missing, other] = await Promise.all(asked);
  assert.deepEqual(found, { kind: 'found', body: new Uint8Array(1) });
  assert.deepEqual(missing, { kind: 'missing' });
  assert.match(other?.kind === 'unavailable' ? other.reason : '', /status 403; check that the address/);
  assert.equal(http.requests.status().state, 'unavailable');
  assert.deepEqual([http.requests.status().requests, http.requests.status().failures], [3, 1]);
});

test('429: nothing is sent before Retry-After is over, and at most five minutes are waited', async () => {
  const http = new FakeHttp();
  void http.get('/a');
  await turn();
  http.answer(429, { retryAfterMs: 3000 });
  await turn();
  const next = http.get('/b');
  http.clock.advance(2999);
  await turn();
  assert.equal(http.open.length, 0);
  http.clock.advance(1);
  await turn();
  http.answer(429, { retryAfterMs: 86_400_000 });
  assert.match(JSON.stringify(await next), /asked again by itself in 300 s/);
  assert.equal(http.meter.get('gossipd_esplora_failures_total', 'busy'), 2);
  const late = http.get('/c');
  http.clock.advance(120_000);
  assert.equal((await late).kind, 'unavailable', 'a question does not wait for so long');
  await http.requests.close();
  assert.equal(http.clock.pending, 0);
});

test('failures pause with a back-off that doubles; a good answer ends it', async () => {
  const http = new FakeHttp();
  for (const pauseMs of [100, 200, 400]) {
    const asked = http.get('/a');
    await turn();
    http.open.shift()?.reject(new Error('ECONNREFUSED'));
    assert.match(JSON.stringify(await asked), /did not answer \/a: ECONNREFUSED/);
    const next = http.get('/b');
    http.clock.advance(pauseMs - 1);
    await turn();
    assert.equal(http.open.length, 0);
    http.clock.advance(1);
    await turn();
    assert.equal(http.open.length, 1);
    http.answer(pauseMs === 400 ? 200 : 403);
    await next;
  }
  const last = http.get('/a');
  await turn();
  http.answer(503);
  await last;
  const after = http.get('/b');
  http.clock.advance(100);
  await turn();
  http.answer(200);
  assert.equal((await after).kind, 'found');
  assert.equal(http.requests.status().state, 'ok');
});

test('MAX_ESPLORA_IN_FLIGHT and MAX_ESPLORA_WAITING: the next question is refused', async () => {
  const http = new FakeHttp();
  const asked = Array.from({ length: MAX_ESPLORA_IN_FLIGHT + MAX_ESPLORA_WAITING }, (_, index) =>
    http.get(`/${index}`),
  );
  assert.match(JSON.stringify(await http.get('/more')), /too many questions/);
  assert.equal(http.open.length, MAX_ESPLORA_IN_FLIGHT);
  http.answer(200);
  await turn();
  assert.equal(http.open.length, MAX_ESPLORA_IN_FLIGHT);
  await http.requests.close();
  assert.equal((await asked[0])?.kind, 'found');
  for (const reply of (await Promise.all(asked)).slice(1)) assert.equal(reply.kind, 'unavailable');
  assert.equal(http.clock.pending, 0);
});

test('one request for many who ask the same; who withdraws hears at once, the others get the answer', async () => {
  const http = new FakeHttp();
  const controller = new AbortController();
  const withdrawn = http.requests.getShared('/same', 10, controller.signal);
  const kept = http.requests.getShared('/same', 10, new AbortController().signal);
  await turn();
  controller.abort();
  assert.equal((await withdrawn).kind, 'unavailable');
  assert.equal((await http.requests.getShared('/same', 10, controller.signal)).kind, 'unavailable');
  http.answer(200);
  assert.equal((await kept).kind, 'found');
  assert.equal(http.requests.status().requests, 1);
  const anew = http.requests.getShared('/same', 10, new AbortController().signal);
  await turn();
  assert.equal(http.requests.status().requests, 2);
  await http.requests.close();
  assert.equal((await anew).kind, 'unavailable');
});
