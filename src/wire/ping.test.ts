import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodePing, encodePing, MAX_PING_PADDING_BYTES, pongFor } from './ping.ts';
import { decodePong, encodePong, MAX_PONG_PADDING_BYTES } from './pong.ts';

test('B1-25 padding of ping and pong is zeros', () => {
  assert.deepEqual(encodePing({ num_pong_bytes: 1, byteslen: 3 }), Uint8Array.of(0, 18, 0, 1, 0, 3, 0, 0, 0));
  assert.deepEqual(encodePong({ byteslen: 2 }), Uint8Array.of(0, 19, 0, 2, 0, 0));
});

test('B1-25 what the peer pads with is ignored', () => {
  assert.deepEqual(decodePing(Uint8Array.of(0, 18, 0, 9, 0, 2, 0xca, 0xfe)), {
    num_pong_bytes: 9,
    byteslen: 2,
  });
  assert.deepEqual(decodePong(Uint8Array.of(0, 19, 0, 1, 0x02)), { byteslen: 1 });
});

test('B1-26 a ping below 65532 gets exactly the pong it asks for', () => {
  for (const num_pong_bytes of [0, 1, 65531]) {
    assert.deepEqual(pongFor({ num_pong_bytes, byteslen: 0 }), { byteslen: num_pong_bytes });
  }
  assert.equal(encodePong({ byteslen: 65531 }).length, 65535);
});

test('B1-26 a ping from 65532 on gets no pong', () => {
  for (const num_pong_bytes of [65532, 65535])
    assert.equal(pongFor({ num_pong_bytes, byteslen: 0 }), undefined);
});

test('more padding than a message holds is our own mistake', () => {
  assert.equal(encodePing({ num_pong_bytes: 0, byteslen: MAX_PING_PADDING_BYTES }).length, 65535);
  assert.throws(() => encodePing({ num_pong_bytes: 0, byteslen: MAX_PING_PADDING_BYTES + 1 }));
  assert.throws(() => encodePong({ byteslen: MAX_PONG_PADDING_BYTES + 1 }));
});

test('too_short: padding that is not there (B1-05)', () => {
  assert.deepEqual(decodePing(Uint8Array.of(0, 18, 0, 0, 0, 2, 0)), {
    fault: 'too_short',
    type: 18,
    offset: 7,
  });
  assert.deepEqual(decodePong(Uint8Array.of(0, 19, 0, 2, 0)), { fault: 'too_short', type: 19, offset: 5 });
});
