/** What a crash, a power cut or a failing disk can make of the index: exactly what it was at some earlier moment, or nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../base/rng.ts';
import { FLAG_DYING, storeOffset } from '../wire/store_record.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import { blockChecksum } from './sidecar_checksum.ts';
import {
  BLOCK_HEADER_BYTES,
  blockSize,
  ENTRY_GAP,
  SIDECAR_HEADER_BYTES,
  sidecarName,
  WORD,
} from './sidecar_format.ts';
import { drawCalls, entriesOf, SidecarModel, shown } from './sidecar_model.test.support.ts';
import { readSidecar, type SidecarResult } from './sidecar_reader.ts';
import { SidecarWriter } from './sidecar_writer.ts';

const NAME = 'gossip_store';
const INDEX = sidecarName(NAME);
const UUID = new Uint8Array(32).fill(9);

const readIn = (folder: MemoryFolder): SidecarResult => readSidecar(folder, NAME, UUID, 16);

/** A life of a writer: every state that the index may be found in is noted before the disk can have it. */
const live = async (folder: MemoryFolder, seed: number, states: Set<string>): Promise<void> => {
  const rng = seededRng(seed);
  const model = new SidecarModel();
  const writer = SidecarWriter.create(folder, NAME, UUID, 16);
  const quietly = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      assert.match(String(error), /OperationalError/);
    }
  };
  states.add('');
  for (let step = 0; step < 60; step++) {
    for (const call of drawCalls(model, rng, 5)) {
      if (call.call === 'add') writer.add(call.record, call.crc);
      else if (call.call === 'setFlags') writer.setFlags(call.position, call.flags);
      else if (call.call === 'setTimestamp') writer.setTimestamp(call.position, call.crc, call.timestamp);
      else quietly(() => writer.flush());
    }
    states.add(shown(model.rows));
    if (step === 40) writer.compact();
    if (step === 50) await writer.seal().catch(() => {});
  }
  await writer.seal().catch(() => {});
  writer.close();
};

const assertKnown = (result: SidecarResult, states: ReadonlySet<string>, where: string): void => {
  if ('reason' in result) {
    assert.ok(result.reason === 'missing' || result.reason === 'damaged', where);
    if (result.reason === 'damaged' && result.prefix !== undefined)
      assert.ok(states.has(shown(entriesOf(result.prefix))), where);
  } else assert.ok(states.has(shown(entriesOf(result.sidecar))), where);
};

test('a crash in any operation, whatever of the unsynced writes survives, leaves an earlier state or nothing', async () => {
  const whole = new MemoryFolder();
  const all = new Set<string>();
  await live(whole, 5, all);
  assert.ok(whole.operations > 20);
  const rng = seededRng(99);
  for (let stop = 0; stop < whole.operations; stop++) {
    for (const torn of [0, 13, 200]) {
      const folder = new MemoryFolder();
      folder.stopAfter(stop, torn);
      await live(folder, 5, new Set());
      folder.restart();
      const killed = readIn(folder);
      assertKnown(killed, all, `killed at ${stop}, torn at ${torn}`);
      assert.ok(
        !('reason' in killed && killed.reason === 'damaged'),
        'a killed process tears the last block at most',
      );
      for (let cut = 0; cut < 4; cut++) {
        const disk = folder.crash({
          fate: ({ length }) => (rng.fraction() < 0.6 ? length : Math.floor(rng.fraction() * (length + 1))),
          names: Math.floor(rng.fraction() * (folder.unsyncedNames + 1)),
        });
        const result = readIn(disk);
        assertKnown(result, all, `power cut at ${stop}`);
        if (!('sidecar' in result)) continue;
        // The next process goes on with it, and what it adds is found behind what survived.
        const before = result.sidecar.count;
        const next = SidecarWriter.resume(disk, NAME, result.sidecar);
        next.add(
          { ...new SidecarModel().add(258, 1), offset: storeOffset(result.sidecar.coveredTo + 12) },
          4,
        );
        next.flush();
        const again = readIn(disk);
        assert.ok('sidecar' in again && again.sidecar.count === before + 1);
      }
    }
  }
});

const smallIndex = (): {
  readonly bytes: Uint8Array;
  readonly states: Set<string>;
  readonly blocks: number[];
} => {
  const folder = new MemoryFolder();
  const model = new SidecarModel();
  const writer = SidecarWriter.create(folder, NAME, UUID, 16);
  const states = new Set<string>(['']);
  const blocks: number[] = [];
  for (let block = 0; block < 5; block++) {
    blocks.push(folder.contents(INDEX).length);
    for (let channel = block * 3; channel < block * 3 + 3; channel++)
      writer.add(model.add(258, channel), channel * 7 + 1);
    const first = model.rows[0]!.position;
    if (block > 1) {
      writer.setFlags(first, FLAG_DYING);
      model.setFlags(first, FLAG_DYING);
    }
    writer.flush();
    states.add(shown(model.rows));
  }
  return { bytes: folder.contents(INDEX), states, blocks };
};

const readBytes = (bytes: Uint8Array): SidecarResult => {
  const folder = new MemoryFolder();
  folder.place(INDEX, bytes);
  return readIn(folder);
};

test('cut off at any byte, the index is what it was after its last whole block', () => {
  const { bytes, states, blocks } = smallIndex();
  for (let size = 0; size < bytes.length; size++) {
    const result = readBytes(bytes.subarray(0, size));
    if (size < SIDECAR_HEADER_BYTES) {
      assert.ok('reason' in result && result.reason === 'damaged');
      continue;
    }
    assert.ok('sidecar' in result, `${size}`);
    assert.ok(states.has(shown(entriesOf(result.sidecar))));
    const wholeBlocks = blocks.filter((start) => start <= size).length - 1;
    assert.equal(result.sidecar.count, 3 * wholeBlocks);
  }
});

test('any flipped bit costs the block it is in and those behind it, and is called damage unless that is the last one', () => {
  const { bytes, states, blocks } = smallIndex();
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const damaged = bytes.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    const result = readBytes(damaged);
    const block = blocks.filter((start) => start <= bit >> 3).length - 1;
    if (block < 0) {
      assert.ok(
        'reason' in result && result.reason === 'damaged' && result.prefix === undefined,
        `bit ${bit}`,
      );
      continue;
    }
    const sidecar =
      'sidecar' in result ? result.sidecar : result.reason === 'damaged' ? result.prefix : undefined;
    assert.ok(sidecar !== undefined, `bit ${bit}`);
    assert.equal(sidecar.count, 3 * block);
    assert.ok(states.has(shown(entriesOf(sidecar))));
    assert.equal(sidecar.sealed, false);
  }
});

test('zeros that a power cut left behind the last block are passed over; anything else there is damage', () => {
  const { bytes } = smallIndex();
  const longer = new Uint8Array(bytes.length + 300);
  longer.set(bytes);
  const zeros = readBytes(longer);
  assert.ok('sidecar' in zeros && zeros.sidecar.count === 15 && zeros.sidecar.content.tail.torn === 300);
  longer.fill(0x41, bytes.length);
  const garbage = readBytes(longer);
  assert.ok('reason' in garbage && garbage.reason === 'damaged' && garbage.prefix?.count === 15);
});

test('a lost, repeated or moved block is noticed', () => {
  const { bytes, blocks } = smallIndex();
  const block = (index: number): Uint8Array =>
    bytes.subarray(blocks[index]!, blocks[index + 1] ?? bytes.length);
  const joined = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
  const header = bytes.subarray(0, SIDECAR_HEADER_BYTES);
  const count = (...order: number[]): number | undefined => {
    const result = readBytes(joined(header, ...order.map(block)));
    return 'sidecar' in result
      ? result.sidecar.count
      : result.reason === 'damaged'
        ? result.prefix?.count
        : -1;
  };
  assert.equal(count(0, 1, 2, 3, 4), 15);
  assert.equal(count(0, 2, 3, 4), 3);
  assert.equal(count(0, 0, 1, 2), 3);
  assert.equal(count(1, 0, 2), 0);
  assert.equal(count(0, 1, 3, 2), 6);
});

/** Gives the block at the start of the blocks other words, and the checksum that belongs to them. */
const forged = (
  bytes: Uint8Array,
  change: (words: Uint32Array, doubles: Float64Array) => void,
): Uint8Array => {
  const copy = bytes.slice(0, SIDECAR_HEADER_BYTES + blockSize(3, 0));
  const block = copy.slice(SIDECAR_HEADER_BYTES);
  const words = new Uint32Array(block.buffer);
  change(words, new Float64Array(block.buffer));
  words[WORD.crc] = blockChecksum(new Int32Array(block.buffer), 2, block.length / 4);
  copy.set(block, SIDECAR_HEADER_BYTES);
  return copy;
};

test('a block with a right checksum that says what cannot be is refused, quickly and in bounded memory', () => {
  const { bytes } = smallIndex();
  const countOf = (change: (words: Uint32Array, doubles: Float64Array) => void): number => {
    const result = readBytes(forged(bytes, change));
    return 'sidecar' in result ? result.sidecar.count : -1;
  };
  const firstColumn = BLOCK_HEADER_BYTES / 4;
  assert.equal(
    countOf(() => {}),
    3,
  );
  for (const end of [Number.NaN, Number.POSITIVE_INFINITY, -1, 0, 1, 2 ** 53, 1e300])
    assert.equal(
      countOf((_, doubles) => doubles.set([end], 5)),
      0,
      `end ${end}`,
    );
  assert.equal(
    countOf((_, doubles) => doubles.set([0.5], 4)),
    0,
  );
  for (const size of [4097, 0xffffffff]) {
    assert.ok(countOf((words) => words.set([size], WORD.entries)) <= 0);
    assert.ok(countOf((words) => words.set([size], WORD.changes)) <= 0);
  }
  // A hole of 2^64 bytes in front of an end far away.
  const hole = (words: Uint32Array, doubles: Float64Array): void => {
    words.fill(0xffffffff, firstColumn + 6, firstColumn + 12);
    const halves = new Uint16Array(words.buffer);
    halves.fill(ENTRY_GAP, (firstColumn + 12) * 2 + 6, (firstColumn + 12) * 2 + 9);
    doubles[5] = 2 ** 52;
  };
  assert.equal(countOf(hole), 0);
});
