import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asRecord, encodeQuestion, isBusy, parseElectrumLine } from './electrum_wire.ts';

test('a question is one line', () => {
  assert.equal(
    encodeQuestion(3, 'a.b', [1, true]),
    '{"jsonrpc":"2.0","id":3,"method":"a.b","params":[1,true]}',
  );
  assert.ok(!encodeQuestion(3, 'a', ['x\ny']).includes('\n'));
});

test('answers, refusals in every dialect, notifications', () => {
  const parse = parseElectrumLine;
  assert.deepEqual(parse('{"id":1,"result":null}'), { kind: 'result', id: 1, result: null });
  assert.deepEqual(parse('{"id":1,"result":[2],"error":null}'), { kind: 'result', id: 1, result: [2] });
  assert.deepEqual(parse('{"id":1,"error":{"code":-102,"message":"busy"}}'), {
    kind: 'error',
    id: 1,
    code: -102,
    message: 'busy',
  });
  assert.deepEqual(parse('{"id":1,"error":"missing"}'), {
    kind: 'error',
    id: 1,
    code: 0,
    message: 'missing',
  });
  assert.deepEqual(parse('{"id":1,"error":7}'), {
    kind: 'error',
    id: 1,
    code: 0,
    message: 'an error without a message',
  });
  assert.deepEqual(parse('{"method":"m","params":[1]}'), { kind: 'notification', method: 'm', params: [1] });
  assert.deepEqual(parse('{"method":"m","params":{}}'), { kind: 'notification', method: 'm', params: [] });
});

test('an error text cannot write to a terminal, nor be long', () => {
  const line = parseElectrumLine(JSON.stringify({ id: 1, error: `\u001b[2J\n${'x'.repeat(1000)}` }));
  assert.match(line.kind === 'error' ? line.message : '', /^\?\[2J\?x{155}$/);
});

test('everything else is garbage or nothing to wait for', () => {
  for (const line of ['', 'HTTP/1.1 400', '[]', '7', 'null', '{"id":1,']) {
    assert.equal(parseElectrumLine(line).kind, 'garbage', line);
  }
  assert.equal(parseElectrumLine('{"id":"1","result":2}').kind, 'other');
  assert.equal(parseElectrumLine('{}').kind, 'other');
});

test('busy by code, not by text', () => {
  assert.deepEqual([-101, -102, 1, 2, 0, -32603].map(isBusy), [true, true, false, false, false, false]);
});

test('records: objects only, and a field named __proto__ is only a field', () => {
  assert.equal(asRecord([1]), undefined);
  assert.equal(asRecord(null), undefined);
  assert.equal(asRecord(JSON.parse('{"__proto__":{"height":5}}'))?.['height'], undefined);
});
