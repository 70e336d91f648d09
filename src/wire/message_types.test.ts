import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MESSAGE_TYPE, messageTypeName } from './message_types.ts';

test('B7-01 the gossip messages have types 256 to 259', () => {
  assert.deepEqual([256, 257, 258, 259].map(messageTypeName), [
    'channel_announcement',
    'node_announcement',
    'channel_update',
    'announcement_signatures',
  ]);
});

test('B1-31 each known type lies in the range of its class: setup below 32, gossip from 256 to 511', () => {
  for (const type of Object.values(MESSAGE_TYPE)) assert.ok(type < 32 || (type >= 256 && type < 512));
});

test('names form a closed set whatever a peer sends', () => {
  const names = new Set(Array.from({ length: 65536 }, (_, type) => messageTypeName(type)));
  assert.deepEqual(names, new Set([...Object.keys(MESSAGE_TYPE), 'unknown_odd', 'unknown_even']));
});
