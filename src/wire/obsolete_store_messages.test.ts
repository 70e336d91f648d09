import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import {
  checkObsoleteMessage,
  privateChannelAnnouncementLength,
  wrappedLength,
  wrappedSatoshis,
} from './obsolete_store_messages.ts';

const typed = (type: number, length: number): Uint8Array => {
  const message = new Uint8Array(length);
  message[0] = type >>> 8;
  message[1] = type & 0xff;
  return message;
};
const counted = (type: number, inner: Uint8Array, ...behind: Uint8Array[]): Uint8Array =>
  concatBytes(typed(type, 2), Uint8Array.of(inner.length >>> 8, inner.length & 0xff), inner, ...behind);
const check = (message: Uint8Array): string | undefined => checkObsoleteMessage(message, 0, message.length);

const announcement = typed(256, 432);
const update = typed(258, 138);
const node = typed(257, 142);
const amount = Uint8Array.of(0, 0, 0, 0, 0, 0, 1, 0);

const GOOD: readonly (readonly [string, Uint8Array])[] = [
  ['local_add_channel', typed(3503, 51)],
  ['local_add_channel with features', concatBytes(typed(3503, 51), Uint8Array.of(0, 1, 7))],
  ['channel_announcement', counted(4096, announcement, amount)],
  ['channel_update', counted(4097, update)],
  ['channel_update without htlc_maximum_msat', counted(4097, typed(258, 130))],
  ['node_announcement', counted(4098, node)],
  ['channel_delete', typed(4099, 10)],
  ['wrapped local_add_channel', counted(4100, new Uint8Array(9))],
  ['private_update', counted(4102, update)],
  ['private_channel', concatBytes(typed(4104, 2), amount, Uint8Array.of(1, 0xb0), announcement)],
];

for (const [name, message] of GOOD) {
  test(`${name}: well formed, and neither a byte shorter nor a byte longer`, () => {
    assert.equal(check(message), undefined);
    assert.notEqual(check(message.slice(0, -1)), undefined);
    // A local_add_channel without features must end there, one byte more is half a length.
    assert.notEqual(check(concatBytes(message, Uint8Array.of(0))), undefined);
    for (let length = 2; length < message.length; length++)
      if (!(name.endsWith('features') && length === 51))
        assert.notEqual(check(message.slice(0, length)), undefined, `${length}`);
  });
}

test('a wrapped message of another type, or one whose own fields do not fit, is malformed', () => {
  assert.equal(check(counted(4097, node)), 'bad_encoding');
  assert.equal(check(counted(4098, typed(257, 141))), 'too_short');
  assert.equal(check(counted(4102, new Uint8Array(1))), 'too_short');
  assert.equal(check(counted(4096, announcement, new Uint8Array(8).fill(0xff))), 'amount_out_of_range');
  assert.equal(check(typed(4101, 10)), 'unknown_record_type');
});

test('accessors find what is inside', () => {
  const wrapped = counted(4096, announcement, amount);
  assert.equal(wrappedLength(wrapped, 0), 432);
  assert.equal(wrappedSatoshis(wrapped, 0), 256n);
  const channel = concatBytes(typed(4104, 2), amount, Uint8Array.of(1, 0xb0), announcement);
  assert.equal(privateChannelAnnouncementLength(channel, 0), 432);
});
