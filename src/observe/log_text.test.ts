import assert from 'node:assert/strict';
import { test } from 'node:test';
import { escapeControls, escapeControlsInJson, logBody, logLineText, timeText } from './log_text.ts';

const line = {
  timeMs: new Date(2026, 10, 22, 7, 5, 3, 9).getTime(),
  level: 'info',
  part: 'store',
  message: 'loaded',
  fields: {},
} as const;

test('a line is time, part, message and fields', () => {
  const full = {
    ...line,
    fields: {
      records: 3,
      bytes: 12n,
      ok: true,
      left_out: undefined,
      path: '/a/b',
      text: 'two words',
      empty: '',
    },
  };
  assert.equal(
    logLineText(full, logBody(full), 0, false),
    '07:05:03.009 store: loaded records=3 bytes=12 ok=true path=/a/b text="two words" empty=""',
  );
});

test('levels other than info are named, and coloured when asked', () => {
  const broken = { ...line, level: 'broken', part: '' } as const;
  assert.equal(logLineText(broken, logBody(broken), 0, false), '07:05:03.009 BROKEN loaded');
  assert.equal(
    logLineText(broken, logBody(broken), 0, true),
    '\u001b[1;31m07:05:03.009 BROKEN loaded\u001b[0m',
  );
  assert.equal(logLineText(line, logBody(line), 0, true), '07:05:03.009 store: loaded');
});

test('folded lines say how many', () => {
  assert.equal(logLineText(line, logBody(line), 41, false), '07:05:03.009 store: loaded (41 more of these)');
});

test('nothing that a peer sends moves the cursor, colours, reverses or starts a line', () => {
  const evil = 'a\nb\r\t\u001b[31m\u0000\u007f\u009b\u202e\u2066\u2028\ufeff\u200fend';
  const escaped = 'a\\nb\\r\\t\\x1b[31m\\x00\\x7f\\x9b\\u202e\\u2066\\u2028\\ufeff\\u200fend';
  assert.equal(escapeControls(evil), escaped);
  const evilLine = { ...line, part: 'p\n', message: 'm\n', fields: { 'k\n': 'v\u009b' } };
  assert.equal(logBody(evilLine), 'p\\n: m\\n k\\n=v\\x9b');
  assert.equal(
    logBody({ ...line, message: '', fields: { alias: 'x y\u001b[0m\u202e' } }),
    'store:  alias="x y\\u001b[0m\\u202e"',
  );
});

test('text that needs no escape stays as it is', () => {
  assert.equal(escapeControls('Zürich ⚡ 日本'), 'Zürich ⚡ 日本');
});

test('escaped JSON is still the same JSON', () => {
  const value = { text: 'a\n\u001b\u007f\u009b\u202e\u2028 ü' };
  const json = escapeControlsInJson(JSON.stringify(value));
  assert.deepEqual(JSON.parse(json), value);
  assert.doesNotMatch(json, /[\u007f-\u009f\u2028\u202e]/);
});

test('time of day is local, with milliseconds', () => {
  assert.equal(timeText(new Date(2026, 0, 1, 23, 59, 59, 999).getTime()), '23:59:59.999');
});
