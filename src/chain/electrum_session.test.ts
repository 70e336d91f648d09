import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OperationalError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import { MemoryMeter } from '../base/meter.ts';
import { ManualClock } from '../base/time.ts';
import {
  type Ask,
  type ElectrumAnswer,
  ElectrumSession,
  MAX_ELECTRUM_IN_FLIGHT,
  MAX_ELECTRUM_LINE_BYTES,
  MAX_ELECTRUM_WAITING,
} from './electrum_session.ts';
import type { LineDialOptions, LineEvents } from './line_socket.ts';

const FIRST_RETRY_MS = 250;
const TIMEOUT_MS = 20_000;

/** A server in memory: sees lines, says lines. */
class FakeLines {
  readonly clock = new ManualClock();
  readonly meter = new MemoryMeter();
  readonly sent: { id: number; method: string }[] = [];
  readonly notified: string[] = [];
  events: LineEvents | undefined;
  options: LineDialOptions | undefined;
  dials = 0;
  destroyed = 0;
  isAway = false;
  greet: (ask: Ask) => Promise<string | undefined> = () => Promise.resolve(undefined);
  readonly session = new ElectrumSession({
    target: { host: 'h', port: 1, tls: undefined },
    dial: (_target, options, events) => {
      this.dials++;
      this.options = options;
      if (this.isAway)
        return Promise.reject(new OperationalError('dial_failed', 'retry', 'cannot reach h:1', 'x'));
      this.events = events;
      return Promise.resolve({
        writeLine: (line: string) => this.sent.push(JSON.parse(line)),
        destroy: () => this.destroyed++,
      });
    },
    clock: this.clock,
    log: silentLog,
    meter: this.meter,
    patience: { timeoutMs: TIMEOUT_MS, firstRetryMs: FIRST_RETRY_MS },
    greet: (ask) => this.greet(ask),
    notified: (method) => this.notified.push(method),
  });

  say(message: object | string): void {
    this.events?.onLine(typeof message === 'string' ? message : JSON.stringify(message));
  }

  ask(method: string, signal = new AbortController().signal): Promise<ElectrumAnswer> {
    return this.session.ask(method, [], signal);
  }
}

/** Lets promises that are settled be heard. */
const turn = (): Promise<void> => new Promise((done) => setImmediate(done));

const connected = async (): Promise<FakeLines> => {
  const lines = new FakeLines();
  lines.session.start();
  await turn();
  assert.equal(lines.session.status().state, 'ok');
  return lines;
};

const reasonOf = (answer: ElectrumAnswer): string => (answer.kind === 'unavailable' ? answer.reason : '');

test('questions wait for the greeting; answers find their question in any order', async () => {
  const lines = new FakeLines();
  const [first, second] = [lines.ask('early'), lines.ask('second')];
  await turn();
  lines.session.start();
  await turn();
  assert.deepEqual(
    lines.sent.map(({ method }) => method),
    ['early', 'second'],
  );
  lines.say({ id: lines.sent[1]?.id, result: 'two' });
  lines.say({ id: lines.sent[0]?.id, error: { code: 1, message: 'no' } });
  assert.deepEqual(await second, { kind: 'result', result: 'two' });
  assert.deepEqual(await first, { kind: 'refused', code: 1, message: 'no' });
  assert.equal(lines.options?.maxLineBytes, MAX_ELECTRUM_LINE_BYTES);
  await lines.session.close();
  assert.equal(lines.clock.pending, 0);
});

test('MAX_ELECTRUM_IN_FLIGHT and MAX_ELECTRUM_WAITING: the next question is refused, the others go in order', async () => {
  const lines = await connected();
  const all = MAX_ELECTRUM_IN_FLIGHT + MAX_ELECTRUM_WAITING;
  const asked = Array.from({ length: all }, (_, index) => lines.ask(`q${index}`));
  assert.match(reasonOf(await lines.ask('too many')), /too many questions/);
  assert.equal(lines.sent.length, MAX_ELECTRUM_IN_FLIGHT);
  for (let index = 0; index < all; index++) {
    lines.say({ id: lines.sent[index]?.id, result: index });
    await turn();
  }
  assert.deepEqual((await Promise.all(asked)).at(-1), { kind: 'result', result: all - 1 });
  await lines.session.close();
});

test('a silent server loses the connection; one that only owes an answer does not', async () => {
  const lines = await connected();
  const [answered, owed] = [lines.ask('a'), lines.ask('b')];
  await turn();
  lines.clock.advance(10);
  lines.say({ id: lines.sent[0]?.id, result: 1 });
  await answered;
  lines.clock.advance(TIMEOUT_MS);
  assert.match(reasonOf(await owed), /did not answer b within 20 s/);
  assert.equal(lines.session.status().state, 'ok');
  const silent = lines.ask('c');
  await turn();
  lines.clock.advance(TIMEOUT_MS);
  assert.match(reasonOf(await silent), /did not answer c/);
  assert.equal(lines.session.status().state, 'unavailable');
  assert.equal(lines.destroyed, 1);
  await lines.session.close();
});

test('an idle connection is pinged, and lost when the ping stays without answer', async () => {
  const lines = await connected();
  lines.clock.advance(60_000);
  await turn();
  assert.equal(lines.sent[0]?.method, 'server.ping');
  lines.say({ id: lines.sent[0]?.id, result: null });
  lines.clock.advance(60_000);
  await turn();
  lines.clock.advance(60_000);
  await turn();
  assert.equal(lines.destroyed, 1);
  await lines.session.close();
});

test('tries again with a back-off that doubles up to a minute, answers at once meanwhile, and starts anew after a steady time', async () => {
  const lines = new FakeLines();
  lines.isAway = true;
  lines.session.start();
  await turn();
  for (let waitMs = FIRST_RETRY_MS; waitMs < 200_000; waitMs *= 2) {
    const dials = lines.dials;
    assert.match(reasonOf(await lines.ask('x')), /cannot reach h:1; it is tried again by itself/);
    lines.clock.advance(Math.min(waitMs, 60_000) - 1);
    assert.equal(lines.dials, dials);
    lines.clock.advance(1);
    assert.equal(lines.dials, dials + 1);
    await turn();
  }
  lines.isAway = false;
  lines.clock.advance(60_000);
  await turn();
  assert.deepEqual([lines.session.status().state, lines.session.status().reason], ['ok', '']);
  lines.clock.advance(30_000);
  lines.events?.onClose('gone');
  const dials = lines.dials;
  lines.clock.advance(FIRST_RETRY_MS);
  assert.equal(lines.dials, dials + 1);
  await turn();
  await lines.session.close();
  assert.equal(lines.clock.pending, 0);
});

test('a greeting that fails ends the connection with its reason', async () => {
  const lines = new FakeLines();
  lines.greet = async (ask) => ((await ask('server.version', [])).kind === 'refused' ? 'too old' : undefined);
  lines.session.start();
  await turn();
  lines.say({ id: lines.sent[0]?.id, error: 'unsupported protocol version' });
  await turn();
  assert.match(
    lines.session.status().reason,
    /^Electrum server tcp:\/\/h:1: too old; it is tried again by itself\.$/,
  );
  assert.equal(lines.destroyed, 1);
  await lines.session.close();
});

test('busy: a pause that doubles, and other questions wait for its end', async () => {
  const lines = await connected();
  const busy = lines.ask('a');
  await turn();
  lines.say({ id: lines.sent[0]?.id, error: { code: -101, message: 'excessive resource usage' } });
  assert.match(reasonOf(await busy), /says that it is busy/);
  const next = lines.ask('b');
  await turn();
  assert.equal(lines.sent.length, 1);
  lines.clock.advance(FIRST_RETRY_MS);
  await turn();
  assert.equal(lines.sent.length, 2);
  lines.say({ id: lines.sent[1]?.id, error: { code: -102, message: 'busy' } });
  await next;
  const last = lines.ask('c');
  await turn();
  lines.clock.advance(FIRST_RETRY_MS);
  await turn();
  assert.equal(lines.sent.length, 2);
  lines.clock.advance(FIRST_RETRY_MS);
  await turn();
  assert.equal(lines.sent.length, 3);
  await lines.session.close();
  assert.equal((await last).kind, 'unavailable');
  assert.equal(lines.meter.get('gossipd_electrum_failures_total', 'busy'), 2);
});

test('an overlong answer fails the open questions and leaves the connection', async () => {
  const lines = await connected();
  const asked = lines.ask('blockchain.scripthash.get_history');
  await turn();
  lines.events?.onOverlong();
  assert.match(reasonOf(await asked), /longer than/);
  assert.equal(lines.session.status().state, 'ok');
  lines.say({ id: lines.sent[0]?.id, result: 'late' });
  assert.equal(lines.meter.get('gossipd_electrum_failures_total', 'unasked'), 1);
  await lines.session.close();
});

test('notifications are handed on, unknown ids and other messages are dropped, garbage ends the connection', async () => {
  const lines = await connected();
  lines.say({ method: 'blockchain.headers.subscribe', params: [] });
  lines.say({ id: 77, result: 1 });
  lines.say({ hello: 1 });
  assert.deepEqual(lines.notified, ['blockchain.headers.subscribe']);
  assert.equal(lines.session.status().state, 'ok');
  lines.say('garbage');
  assert.equal(lines.session.status().state, 'unavailable');
  lines.say({ method: 'of the old connection', params: [] });
  assert.equal(lines.notified.length, 1);
  await lines.session.close();
});

test('a withdrawn question ends at once; close answers what is open and dials no more', async () => {
  const lines = await connected();
  const controller = new AbortController();
  const [withdrawn, open] = [lines.ask('a', controller.signal), lines.ask('b')];
  await turn();
  controller.abort();
  assert.match(reasonOf(await withdrawn), /withdrawn/);
  await lines.session.close();
  assert.match(reasonOf(await open), /closed/);
  assert.match(reasonOf(await lines.ask('c')), /closed/);
  assert.equal(lines.clock.pending, 0);
  assert.equal(lines.dials, 1);
});
