import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { ManualClock } from '../base/time.ts';
import { type ConsoleLogOptions, consoleLog, MAX_LINE_CHARACTERS } from './console_log.ts';
import { FOLD_MS } from './repeat_folder.ts';

const open = (options: Partial<ConsoleLogOptions> = {}) => {
  const lines: string[] = [];
  const clock = new ManualClock(new Date(2026, 10, 22, 12, 0, 0, 0).getTime());
  const output = {
    isTerminal: false,
    columns: () => 80,
    line: (text: string) => {
      lines.push(text);
    },
    status: () => {},
  };
  return { lines, clock, log: consoleLog({ level: 'info', output, clock, ...options }) };
};

test('people get time, part, message and fields', () => {
  const { lines, log } = open();
  log.info('ready', { channels: 5 });
  log.part('store').unusual('slow disk', { ms: 900 });
  assert.deepEqual(lines, ['12:00:00.000 ready channels=5', '12:00:00.000 UNUSUAL store: slow disk ms=900']);
});

test('levels below the chosen one are dropped', () => {
  const all = ['trace', 'debug', 'info', 'unusual', 'broken'] as const;
  for (const level of all) {
    const { lines, log } = open({ level });
    for (const each of all) log[each](each);
    assert.equal(lines.length, all.length - all.indexOf(level), level);
  }
});

test('JSON lines carry time, level, part, message and fields; big integers are strings', () => {
  const { lines, log, clock } = open({ json: true });
  log.part('peer').info('hello', { n: 1, big: 18446744073709551615n, ok: true, none: undefined });
  assert.deepEqual(JSON.parse(lines[0]!), {
    level: 'info',
    time: clock.nowMs(),
    part: 'peer',
    n: 1,
    big: '18446744073709551615',
    ok: true,
    msg: 'hello',
  });
});

test('a field cannot replace level, time, part or message', () => {
  const { lines, log } = open({ json: true });
  log.part('peer').info('true', { level: 'broken', msg: 'false', part: 'store', time: 0 });
  const { level, msg, part, time } = JSON.parse(lines[0]!);
  assert.deepEqual([level, msg, part, time === 0], ['info', 'true', 'peer', false]);
  assert.equal(lines[0]!.split('"level"').length, 2);
});

test('control characters are escaped in both forms', () => {
  for (const json of [false, true]) {
    const { lines, log } = open({ json });
    log.info('a\nb\u001b[2J\u009b\u202e', { alias: 'x\r\u007f' });
    assert.equal(lines.length, 1);
    for (const control of '\n\r\u001b\u007f\u009b\u202e') assert.ok(!lines[0]!.includes(control));
    if (json) assert.equal(JSON.parse(lines[0]!).msg, 'a\nb\u001b[2J\u009b\u202e');
  }
});

test('identical lines within ten seconds are folded with a count', () => {
  const { lines, log, clock } = open();
  const part = log.part('store');
  for (let index = 0; index < 1000; index++) part.broken('no space', { path: '/d' });
  part.broken('no space', { path: '/other' });
  assert.equal(lines.length, 2);
  clock.advance(FOLD_MS);
  assert.deepEqual(lines[2], '12:00:00.000 BROKEN store: no space path=/d (999 more of these)');
});

test('folded JSON lines carry the count, and flush tells it at once', () => {
  const { lines, log } = open({ json: true });
  for (let index = 0; index < 4; index++) log.info('again');
  log.flush();
  assert.equal(lines.length, 2);
  assert.equal(JSON.parse(lines[1]!).repeated, 3);
});

test('a line is cut when a message quotes too much', () => {
  for (const json of [false, true]) {
    const { lines, log } = open({ json });
    log.info('x'.repeat(100_000), { y: 'z'.repeat(100_000) });
    assert.ok(lines[0]!.length < MAX_LINE_CHARACTERS * 2 + 300);
    assert.match(lines[0]!, /characters\)/);
  }
});

test('colours need a terminal and no NO_COLOR', () => {
  const script = `import { consoleLog } from ${JSON.stringify(new URL('./console_log.js', import.meta.url).href)};
    const output = { isTerminal: process.argv[1] === 'terminal', columns: () => 80, line: console.log, status: () => {} };
    consoleLog({ level: 'info', output }).unusual('x');`;
  const run = (terminal: string, noColor: string) =>
    spawnSync(process.execPath, ['--input-type=module', '-e', script, terminal], {
      encoding: 'utf8',
      env: { ...process.env, NO_COLOR: noColor },
    }).stdout;
  assert.ok(run('terminal', '').includes('\u001b[33m'));
  assert.equal(run('terminal', '1').includes('\u001b'), false);
  assert.equal(run('pipe', '').includes('\u001b'), false);
  assert.match(run('pipe', ''), /UNUSUAL x/);
});

test('what was logged before an immediate exit is on standard error', () => {
  const script = `import { consoleLog } from ${JSON.stringify(new URL('./console_log.js', import.meta.url).href)};
    const log = consoleLog({ level: 'info', json: process.argv[1] === 'json' });
    for (let n = 0; n < 2000; n++) log.info('line', { n });
    process.exit(3);`;
  for (const form of ['text', 'json']) {
    const { status, stderr, stdout } = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', script, form],
      { encoding: 'utf8' },
    );
    assert.equal(status, 3);
    assert.equal(stdout, '');
    assert.equal(stderr.trimEnd().split('\n').length, 2000);
    assert.match(stderr.trimEnd(), form === 'json' ? /"n":1999.*\}$/ : /n=1999$/);
  }
});

test('a pending count does not keep the process alive', () => {
  const script = `import { consoleLog } from ${JSON.stringify(new URL('./console_log.js', import.meta.url).href)};
    const log = consoleLog({ level: 'info' });
    log.info('x'); log.info('x');`;
  const { status, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    timeout: 60_000,
  });
  assert.deepEqual({ status, signal }, { status: 0, signal: null });
});
