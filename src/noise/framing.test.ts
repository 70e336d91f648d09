import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesEqual, concatBytes, own } from '../base/bytes.ts';
import { Bug } from '../base/errors.ts';
import { seededRng } from '../base/rng.ts';
import { TEXTS_PER_KEY } from './cipher_state.ts';
import { FRAME_OVERHEAD_BYTES, MAX_HELD_BYTES, MAX_MESSAGE_BYTES, Transport } from './framing.ts';

/** The two ends of a connection. */
const pair = (seed = 1): [Transport, Transport] => {
  const rng = seededRng(seed);
  const [chainingKey, one, other] = [rng.bytes(32), rng.bytes(32), rng.bytes(32)];
  return [
    new Transport({ chainingKey, sendingKey: one, receivingKey: other }),
    new Transport({ chainingKey, sendingKey: other, receivingKey: one }),
  ];
};
const messagesOf = (seed: number, lengths: readonly number[]): Uint8Array[] => {
  const rng = seededRng(seed);
  return lengths.map((length) => rng.bytes(length));
};
const same = (left: readonly Uint8Array[], right: readonly Uint8Array[]): boolean =>
  left.length === right.length && left.every((message, index) => bytesEqual(message, right[index]!));
const collector = (): { got: Uint8Array[]; take: (raw: Uint8Array) => void } => {
  const got: Uint8Array[] = [];
  return { got, take: (raw) => got.push(own(raw)) };
};
/** Splits bytes into chunks of the given sizes, over and over. */
const split = (bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] => {
  const chunks: Uint8Array[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    chunks.push(bytes.slice(at, at + size));
    at += size;
  }
  return chunks;
};

const LENGTHS = [0, 1, 2, 18, 140, 430, 800, 801, 5000, MAX_MESSAGE_BYTES, 3];

test('messages of 0 to 65,535 bytes arrive whole in one chunk, and frames are 34 bytes longer (B8-14, B8-15)', () => {
  const [sender, receiver] = pair();
  const messages = messagesOf(2, LENGTHS);
  const frames = messages.map((message) => sender.encrypt(message));
  assert.deepEqual(
    frames.map((frame) => frame.length),
    LENGTHS.map((length) => length + FRAME_OVERHEAD_BYTES),
  );
  assert.equal(frames[9]!.length, 65_569);
  const { got, take } = collector();
  assert.equal(receiver.receive(concatBytes(...frames), take), true);
  assert.ok(same(got, messages));
  assert.equal(receiver.bufferedBytes, 0);
});

test('a message above 65,535 bytes is a Bug of the sender (B8-14)', () => {
  const [sender] = pair();
  assert.throws(() => sender.encrypt(new Uint8Array(MAX_MESSAGE_BYTES + 1)), Bug);
});

test('encryptMany writes the same bytes as encrypt one by one, without the messages changing', () => {
  const messages = messagesOf(3, [140, 0, 430, 2000]);
  const copies = messages.map(own);
  const one = pair()[0];
  const many = pair()[0].encryptMany(messages);
  assert.ok(bytesEqual(many, concatBytes(...messages.map((message) => one.encrypt(message)))));
  assert.ok(same(messages, copies));
  assert.equal(pair()[0].encryptMany([]).length, 0);
});

test('a stream fed byte by byte is delivered as each message completes (B8-13, B8-15)', () => {
  const [sender, receiver] = pair();
  const messages = messagesOf(4, [2, 0, 140, 3000, MAX_MESSAGE_BYTES, 5]);
  const { got, take } = collector();
  let most = 0;
  for (const [index, message] of messages.entries()) {
    const frame = sender.encrypt(message);
    for (let at = 0; at < frame.length; at++) {
      assert.equal(got.length, index);
      assert.ok(receiver.receive(frame.subarray(at, at + 1), take));
      most = Math.max(most, receiver.bufferedBytes);
    }
  }
  assert.ok(same(got, messages));
  assert.equal(most, MAX_MESSAGE_BYTES + 15, 'at most one part less a byte is held');
  assert.equal(receiver.bufferedBytes, 0);
});

test('any split of any stream delivers the same messages', () => {
  const lengths = fc.array(fc.oneof(fc.nat(60), fc.nat(2000), fc.constant(0)), { maxLength: 12 });
  const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 3000 })), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(lengths, sizes, fc.nat(), (messageLengths, chunkSizes, seed) => {
      const [sender, receiver] = pair(seed);
      const messages = messagesOf(seed, messageLengths);
      const { got, take } = collector();
      for (const chunk of split(sender.encryptMany(messages), chunkSizes))
        assert.ok(receiver.receive(chunk, take));
      assert.ok(same(got, messages));
      assert.equal(receiver.bufferedBytes, 0);
    }),
    { numRuns: 300, seed: 18 },
  );
});

test('both directions rotate their keys on their own every 1000 texts (B8-16, B8-17)', () => {
  const [one, other] = pair();
  const message = new TextEncoder().encode('hello');
  const firstFrame = one.encrypt(message);
  let count = 0;
  const take = (raw: Uint8Array): void => {
    assert.ok(bytesEqual(raw, message));
    count++;
  };
  assert.ok(other.receive(firstFrame, take));
  // Three rotations one way, one the other.
  for (let sent = 1; sent < (TEXTS_PER_KEY * 3) / 2 + 7; sent++)
    assert.ok(other.receive(one.encrypt(message), take));
  for (let sent = 0; sent < TEXTS_PER_KEY / 2 + 3; sent++)
    assert.ok(one.receive(other.encrypt(message), take));
  assert.equal(count, (TEXTS_PER_KEY * 3) / 2 + 7 + TEXTS_PER_KEY / 2 + 3);
});

test('the same message is never encrypted twice to the same bytes across a rotation (B8-17)', () => {
  const [sender] = pair();
  const frames = new Set<string>();
  for (let sent = 0; sent < 1200; sent++)
    frames.add(Buffer.from(sender.encrypt(new Uint8Array(8))).toString('hex'));
  assert.equal(frames.size, 1200);
});

test('a wrong bit anywhere in a frame ends the stream: false now and for ever (B8-18)', () => {
  const [template] = pair();
  const frameBytes = template.encrypt(new Uint8Array(20)).length;
  for (let at = 0; at < frameBytes; at++) {
    const [sender, receiver] = pair();
    const { got, take } = collector();
    const good = sender.encrypt(new Uint8Array(3));
    const bad = sender.encrypt(new Uint8Array(20));
    bad[at] = bad[at]! ^ 0x10;
    assert.equal(receiver.receive(good, take), true);
    assert.equal(receiver.receive(concatBytes(bad, sender.encrypt(new Uint8Array(4))), take), false);
    assert.equal(receiver.receive(sender.encrypt(new Uint8Array(5)), take), false);
    assert.equal(receiver.resume(take), false);
    assert.equal(got.length, 1);
  }
});

test('a frame that is repeated, left out or moved fails (B8-16)', () => {
  const build = (order: readonly number[]): boolean => {
    const [sender, receiver] = pair();
    const frames = [0, 1, 2].map((byte) => sender.encrypt(new Uint8Array([byte])));
    return order.every((index) => receiver.receive(frames[index]!, () => {}));
  };
  assert.equal(build([0, 1, 2]), true);
  for (const order of [[0, 0], [1], [0, 2], [0, 1, 0]]) assert.equal(build(order), false);
});

test('pause in a handler stops delivery at that message; resume goes on in order', () => {
  const [sender, receiver] = pair();
  const messages = messagesOf(9, [10, 20, 1000, 30, 40, 50]);
  const stream = sender.encryptMany(messages);
  const { got, take } = collector();
  const pausing = (raw: Uint8Array): void => {
    take(raw);
    receiver.pause();
  };
  // The last frame is cut in two, so that a partial frame lies behind what is held.
  assert.ok(receiver.receive(stream.subarray(0, stream.length - 10), pausing));
  assert.equal(got.length, 1);
  assert.equal(receiver.bufferedBytes, stream.length - 10 - (10 + FRAME_OVERHEAD_BYTES));
  assert.ok(receiver.resume(pausing));
  assert.equal(got.length, 2);
  // What arrives while paused waits behind the rest.
  assert.ok(receiver.receive(stream.subarray(stream.length - 10), pausing));
  assert.equal(got.length, 2);
  for (let message = 3; message <= 6; message++) {
    assert.ok(receiver.resume(pausing));
    assert.equal(got.length, message);
  }
  assert.ok(same(got, messages));
  assert.equal(receiver.bufferedBytes, 0);
});

test('pause and resume within one handler change nothing', () => {
  const [sender, receiver] = pair();
  const messages = messagesOf(10, [10, 20, 30]);
  const { got, take } = collector();
  const both = (raw: Uint8Array): void => {
    take(raw);
    receiver.pause();
    assert.equal(receiver.resume(take), true);
  };
  assert.ok(receiver.receive(sender.encryptMany(messages), both));
  assert.ok(same(got, messages));
});

test('any splits, pauses and resumes deliver the same messages', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(900), { minLength: 1, maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1, maxLength: 5 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 9 }),
      (lengths, sizes, pauses) => {
        const [sender, receiver] = pair();
        const messages = messagesOf(lengths.length, lengths);
        const { got, take } = collector();
        let turn = 0;
        const sometimes = (raw: Uint8Array): void => {
          take(raw);
          if (pauses[turn++ % pauses.length]) receiver.pause();
        };
        for (const chunk of split(sender.encryptMany(messages), sizes)) {
          assert.ok(receiver.receive(chunk, sometimes));
          if (pauses[turn++ % pauses.length]) assert.ok(receiver.resume(sometimes));
        }
        for (let left = 0; left <= messages.length; left++) assert.ok(receiver.resume(sometimes));
        assert.ok(same(got, messages));
        assert.equal(receiver.bufferedBytes, 0);
      },
    ),
    { numRuns: 300, seed: 77 },
  );
});

test('held ciphertext is bounded: a reader that is fed on while paused is refused at the maximum', () => {
  const [sender, receiver] = pair();
  const frame = sender.encrypt(new Uint8Array(MAX_MESSAGE_BYTES));
  receiver.pause();
  const nothing = (): void => assert.fail('paused');
  const whole = Math.floor(MAX_HELD_BYTES / frame.length);
  for (let fed = 0; fed < whole; fed++) assert.equal(receiver.receive(frame, nothing), true);
  assert.ok(receiver.bufferedBytes <= MAX_HELD_BYTES);
  assert.equal(receiver.receive(frame, nothing), false);
  assert.equal(receiver.resume(nothing), false);
});

test('a chunk may be overwritten after receive, and feeding from within a handler is a Bug', () => {
  const [sender, receiver] = pair();
  const messages = messagesOf(11, [100, 200]);
  const stream = sender.encryptMany(messages);
  const { got, take } = collector();
  const chunk = new Uint8Array(150);
  for (const part of split(stream, [150])) {
    chunk.set(part);
    assert.ok(receiver.receive(chunk.subarray(0, part.length), take));
    chunk.fill(0xff);
  }
  assert.ok(same(got, messages));
  assert.throws(
    () =>
      receiver.receive(sender.encrypt(new Uint8Array(1)), () => receiver.receive(new Uint8Array(1), take)),
    Bug,
  );
  assert.equal(receiver.receive(new Uint8Array(1), take), false, 'after a Bug the stream is refused');
});
