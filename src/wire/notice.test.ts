import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeError, encodeError } from './error.ts';
import { isWireFault } from './fault.ts';
import {
  MAX_NOTICE_DATA_BYTES,
  MAX_PRINTABLE_CHARACTERS,
  NO_CHANNEL_ID,
  noticeData,
  printable,
} from './notice.ts';
import { decodeWarning, encodeWarning } from './warning.ts';

test('B1-24 only characters 32 to 126 of what a peer says are shown', () => {
  const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  assert.match(printable(all), /^[ -~]{95}$/);
  assert.equal(printable(Uint8Array.of(0x1b, 0x5b, 0x33, 0x31, 0x6d, 0x0a, 0x41)), '[31mA');
});

test('B1-24 no more than a bounded number of characters is shown', () => {
  const long = new Uint8Array(MAX_NOTICE_DATA_BYTES).fill(65);
  assert.equal(printable(long).length, MAX_PRINTABLE_CHARACTERS);
  assert.equal(printable(long, 5), 'AAAAA');
});

test('B1-32 a warning may be empty and may name no channel', () => {
  const message = { channel_id: NO_CHANNEL_ID, data: new Uint8Array(0) };
  assert.deepEqual(decodeWarning(encodeWarning(message)), message);
});

test('B1-32 error and warning have the same layout under their own types', () => {
  const message = { channel_id: NO_CHANNEL_ID, data: noticeData('too fast') };
  const [error, warning] = [encodeError(message), encodeWarning(message)];
  assert.deepEqual(error.subarray(0, 2), Uint8Array.of(0, 17));
  assert.deepEqual(warning.subarray(0, 2), Uint8Array.of(0, 1));
  assert.deepEqual(error.subarray(2), warning.subarray(2));
});

test('our own text is printable whatever it is made of', () => {
  assert.equal(printable(noticeData('bad é\n✓ end')), 'bad ??? end');
});

test('the longest data fits into a message, one byte more is our own mistake', () => {
  const data = new Uint8Array(MAX_NOTICE_DATA_BYTES);
  assert.equal(encodeError({ channel_id: NO_CHANNEL_ID, data }).length, 65535);
  assert.throws(() =>
    encodeError({ channel_id: NO_CHANNEL_ID, data: new Uint8Array(MAX_NOTICE_DATA_BYTES + 1) }),
  );
});

test('too_short: data longer than the message (B1-05)', () => {
  const raw = encodeError({ channel_id: NO_CHANNEL_ID, data: noticeData('abc') });
  for (let length = 2; length < raw.length; length++) {
    const decoded = decodeError(raw.subarray(0, length));
    assert.deepEqual(isWireFault(decoded) && decoded, { fault: 'too_short', type: 17, offset: length });
  }
});
