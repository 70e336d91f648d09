import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, toHex } from '../base/bytes.ts';
import { type LogLevel, recordingLog } from '../base/log.ts';
import { MemoryMeter } from '../base/meter.ts';
import { ManualClock } from '../base/time.ts';
import { MAX_ZMQ_FRAME_BYTES, openZmqBlocks, readZmqAddress, type ZmqSocket } from './zmq_blocks.ts';

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const frame = (flags: number, body: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(flags, body.length), body);
const greeting = (mechanism = 'NULL', major = 3): Uint8Array => {
  const bytes = new Uint8Array(64);
  bytes.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, major, 1]);
  bytes.set(ascii(mechanism), 12);
  return bytes;
};
const READY = frame(
  4,
  concatBytes(ascii('\x05READY\x0bSocket-Type'), Uint8Array.of(0, 0, 0, 3), ascii('PUB')),
);
const message = (topic: string, body = new Uint8Array(32)): Uint8Array =>
  concatBytes(frame(1, ascii(topic)), frame(1, body), frame(0, new Uint8Array(4)));

class FakeLine implements ZmqSocket {
  written: Uint8Array = new Uint8Array(0);
  isDestroyed = false;
  #events: Parameters<ZmqSocket['start']>[0] | undefined;
  readonly start: ZmqSocket['start'] = (events) => {
    this.#events = events;
  };
  readonly write = (bytes: Uint8Array): void => {
    this.written = concatBytes(this.written, bytes);
  };
  readonly destroy = (): void => {
    this.isDestroyed = true;
  };
  say(...parts: readonly Uint8Array[]): void {
    this.#events?.onData(concatBytes(...parts));
  }
  break(reason = 'closed by the other side'): void {
    this.#events?.onClose(reason);
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const bench = async () => {
  const lines: FakeLine[] = [];
  const logged: { level: LogLevel; message: string }[] = [];
  const [clock, meter] = [new ManualClock(), new MemoryMeter()];
  let isRefused = false;
  const dial = async (): Promise<ZmqSocket> => {
    if (isRefused) throw new Error('connection refused');
    const line = new FakeLine();
    lines.push(line);
    return line;
  };
  const push = openZmqBlocks({ host: 'h', port: 1, dial, clock, log: recordingLog(logged), meter });
  let tips = 0;
  const stop = push.onTip(() => tips++);
  await turn();
  return {
    ...{ push, lines, logged, clock, meter, stop },
    tips: () => tips,
    last: () => lines.at(-1)!,
    refuse: (yes: boolean) => {
      isRefused = yes;
    },
    advance: async (ms: number) => {
      clock.advance(ms);
      await turn();
    },
  };
};

test('the subscriber greets as ZMTP 3.0 without mechanism, is ready as SUB, and then subscribes to hashblock', async () => {
  const { last, push } = await bench();
  const greeted = last().written;
  assert.equal(toHex(greeted, 0, 12), 'ff00000000000000007f0300');
  assert.deepEqual(greeted.subarray(12, 33), concatBytes(ascii('NULL'), new Uint8Array(17)));
  assert.deepEqual(
    greeted.subarray(64),
    frame(4, concatBytes(ascii('\x05READY\x0bSocket-Type'), Uint8Array.of(0, 0, 0, 3), ascii('SUB'))),
  );
  last().say(greeting(), READY);
  assert.deepEqual(
    last().written.subarray(greeted.length),
    frame(0, concatBytes(Uint8Array.of(1), ascii('hashblock'))),
  );
  await push.close();
});

test('a tip is told after the handshake and at each hashblock, in any split of the bytes, and for no other topic', async () => {
  const all = concatBytes(
    greeting(),
    READY,
    message('hashtx'),
    message('hashblock'),
    message('hashblocks'),
    message('hashblock'),
  );
  for (const size of [1, 3, 64, 1000]) {
    const { last, tips, push, meter } = await bench();
    for (let at = 0; at < all.length; at += size) last().say(all.subarray(at, at + size));
    assert.equal(tips(), 3, `in parts of ${size}`);
    assert.equal(meter.get('gossipd_chain_pushed_tips_total'), 2);
    await push.close();
  }
});

test('long frames are read, commands between messages are passed over, a hash of another length is none', async () => {
  const { last, tips, push } = await bench();
  last().say(greeting(), READY);
  last().say(frame(4, ascii('\x04PING')), message('hashblock', new Uint8Array(31)));
  assert.equal(tips(), 1);
  const long = concatBytes(Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0, 32), new Uint8Array(32));
  last().say(frame(1, ascii('hashblock')), long, frame(0, new Uint8Array(4)));
  assert.equal(tips(), 2);
  await push.close();
});

test('a publisher that says something else is dropped, and dialled again', async () => {
  const hostile: Record<string, readonly Uint8Array[]> = {
    http: [ascii('HTTP/1.1 400 Bad Request\r\n'.padEnd(70))],
    'ZMTP 2': [greeting('NULL', 2)],
    CURVE: [greeting('CURVE')],
    error: [greeting(), frame(4, ascii('\x05ERROR\x00'))],
    'unknown flags': [greeting(), READY, Uint8Array.of(0x80, 0)],
    'a message first': [greeting(), message('hashblock')],
    'a huge frame': [greeting(), READY, Uint8Array.of(2, 0, 0, 0, 0, 0x40, 0, 0, 0)],
    'a frame beyond all': [greeting(), READY, Uint8Array.of(2).fill(2), new Uint8Array(8).fill(0xff)],
    'one byte too much': [
      greeting(),
      READY,
      Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 2, 1),
      new Uint8Array(MAX_ZMQ_FRAME_BYTES + 1),
    ],
  };
  for (const [name, parts] of Object.entries(hostile)) {
    const { lines, advance, push, meter } = await bench();
    lines[0]!.say(...parts);
    assert.equal(lines[0]!.isDestroyed, true, name);
    // What still arrives changes nothing.
    lines[0]!.say(message('hashblock'));
    lines[0]!.break();
    assert.equal(meter.get('gossipd_chain_push_lost_total'), 1, name);
    await advance(500);
    assert.equal(lines.length, 2, name);
    await push.close();
  }
});

test('pauses grow while the publisher is away, one line tells of it and one of the return', async () => {
  const { lines, refuse, advance, push, logged, last, tips, meter } = await bench();
  last().say(greeting(), READY);
  refuse(true);
  last().break();
  await advance(500);
  await advance(999);
  assert.equal(meter.get('gossipd_chain_push_lost_total'), 2);
  await advance(1);
  assert.equal(meter.get('gossipd_chain_push_lost_total'), 3);
  for (let round = 0; round < 20; round++) await advance(60_000);
  refuse(false);
  await advance(60_000);
  assert.equal(lines.length, 2);
  const before = tips();
  last().say(greeting(), READY);
  assert.equal(tips(), before + 1, 'blocks may have come meanwhile');
  assert.deepEqual(
    logged.map(({ level }) => level),
    ['unusual', 'info'],
  );
  await push.close();
});

test('a publisher that never finishes its handshake is dropped after ten seconds', async () => {
  const { lines, advance, push } = await bench();
  lines[0]!.say(greeting().subarray(0, 63));
  await advance(9999);
  assert.equal(lines[0]!.isDestroyed, false);
  await advance(1);
  assert.equal(lines[0]!.isDestroyed, true);
  await push.close();
});

test('after close nothing is dialled, told or waited for, also when the dial ends later', async () => {
  const { last, push, clock, tips } = await bench();
  last().say(greeting(), READY);
  await push.close();
  assert.equal(last().isDestroyed, true);
  last().say(message('hashblock'));
  last().break();
  assert.deepEqual([tips(), clock.pending], [1, 0]);

  let arrive: (line: ZmqSocket) => void = () => {};
  const late = new FakeLine();
  const dial = () => new Promise<ZmqSocket>((resolve) => (arrive = resolve));
  const other = openZmqBlocks({
    host: 'h',
    port: 1,
    dial,
    clock,
    log: recordingLog([]),
    meter: new MemoryMeter(),
  });
  await other.close();
  arrive(late);
  await turn();
  assert.deepEqual([late.isDestroyed, clock.pending], [true, 0]);
});

test('a listener that stopped hears no more; addresses are tcp://host:port', async () => {
  const { last, stop, tips, push } = await bench();
  stop();
  last().say(greeting(), READY);
  assert.equal(tips(), 0);
  await push.close();
  assert.deepEqual(readZmqAddress('tcp://127.0.0.1:28332'), { host: '127.0.0.1', port: 28332 });
  assert.deepEqual(readZmqAddress('tcp://[::1]:1'), { host: '::1', port: 1 });
  for (const text of [
    '127.0.0.1:28332',
    'tcp://:1',
    'tcp://h:0',
    'tcp://h:65536',
    'ipc:///x',
    'tcp://h:1/x',
  ]) {
    assert.equal(readZmqAddress(text), undefined);
  }
});
