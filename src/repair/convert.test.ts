import assert from 'node:assert/strict';
import test from 'node:test';
import { OperationalError } from '../base/errors.ts';
import { earlyFormat5, storeFormat } from '../store/versions.ts';
import { parseTarget, targetFormat } from './convert.ts';

test('a target is a version or a release of CLN', () => {
  const expected = {
    '14': 14,
    '15': 15,
    '16': 16,
    'v24.02': 14,
    'v24.02.2': 14,
    '24.11': 14,
    'v25.05': 14,
    'v25.09': 14,
    'v25.09.1': 15,
    'v25.09.3': 15,
    'v25.12': 15,
    'v25.12.1': 15,
    'v26.04': 16,
    'v26.06.6': 16,
    'v26.06rc1': 16,
    'v27.03': 16,
  };
  for (const [text, version] of Object.entries(expected)) assert.equal(parseTarget(text), version, text);
});

test('what nobody writes any more, or nobody knows, is refused', () => {
  for (const text of ['', '13', '17', '7', 'v23.11', 'v0.12.0', 'latest', 'v26', '16.1', 'v26.06.6x']) {
    assert.throws(
      () => parseTarget(text),
      (error) => error instanceof OperationalError && error.code === 'bad_argument',
      text,
    );
  }
});

test('a repair keeps the version of the store; older and unknown ones become 16', () => {
  for (const version of [7, 9, 13, 14, 15, 16])
    assert.equal(targetFormat(storeFormat(version)!, undefined).version, version);
  for (const version of [3, 4, 5, 6, 17, 31])
    assert.equal(targetFormat(storeFormat(version)!, undefined).version, 16);
  assert.equal(targetFormat(earlyFormat5, undefined).version, 16);
  assert.equal(targetFormat(storeFormat(9)!, 14).version, 14);
});
