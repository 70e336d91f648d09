/** A token is offered only for exactly the bytes that it was given for, whatever happened in between. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '../base/bytes.ts';
import { type Rng, seededRng } from '../base/rng.ts';
import type { ManualClock } from '../base/time.ts';
import type { StoreOffset } from '../wire/store_record.ts';
import type { GossipStore, GossipStoreOptions } from './gossip_store.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import { sidecarName } from './sidecar_format.ts';
import { readSidecar } from './sidecar_reader.ts';
import { readSeal } from './sidecar_seal.ts';
import {
  acceptedChannel,
  acceptedDying,
  acceptedNode,
  acceptedRemoval,
  acceptedUpdate,
  type Bench,
  benchOn,
  describe,
  ignore,
} from './store_samples.test.support.ts';

const NAME = 'gossip_store';
const INDEX = sidecarName(NAME);

const run = async (clock: ManualClock, ms: number): Promise<void> => {
  for (let passed = 0; passed < ms; passed += 250) {
    clock.advance(250);
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  }
};

let draws = 0;
/** The store fills a reserve with random bytes, and makes uuids: different ones are enough here. */
const quickRng: Rng = {
  ...seededRng(4),
  bytes: (length) => new Uint8Array(length).fill(++draws % 251, 0, 4).fill((draws / 251) % 251, 4, 8),
};

/** A store with upkeep that takes, or only notes, the tokens that it is offered. */
const sealable = (folder: MemoryFolder, takes = true, options: Partial<GossipStoreOptions> = {}) => {
  const offered: string[] = [];
  const bench: Bench = benchOn(folder, {
    upkeepMs: 1000,
    rng: quickRng,
    restore: (token) => {
      offered.push(token);
      return takes;
    },
    ...options,
  });
  return { ...bench, offered };
};

/** Three channels with updates and a node, of which some records are dead; closed. */
const sealedStore = async (folder: MemoryFolder) => {
  const store = await sealable(folder).open();
  const offsets: StoreOffset[] = [];
  const updates: StoreOffset[] = [];
  for (let number = 0; number < 3; number++) {
    const channel = store.append(acceptedChannel(number), ignore);
    offsets.push(channel);
    await store.sync();
    updates.push(store.append(acceptedUpdate(number, 0, 5, undefined, channel), ignore));
  }
  await store.sync();
  updates[0] = store.append(acceptedUpdate(0, 0, 6, updates[0]), ignore);
  const node = store.append(acceptedNode(0, 4), ignore);
  await store.close();
  const token = store.sealToken;
  assert.ok(token !== undefined);
  return { store, offsets, updates, node, token };
};

const flagByteAt = (folder: MemoryFolder, offset: StoreOffset): number => folder.contents(NAME)[offset - 12]!;
const overwrite = (folder: MemoryFolder, name: string, position: number, ...bytes: number[]): void =>
  folder.open(name, 'write').write(Uint8Array.from(bytes), position);

test('a clean stop gives a token, the next start is offered it and reads nothing when it is taken', async () => {
  const folder = new MemoryFolder();
  const { store, token, node } = await sealedStore(folder);
  assert.equal(token.slice(0, 64), toHex(store.uuid));
  assert.equal(Number.parseInt(token.slice(64, 78), 16), store.publishedBytes);
  assert.match(token, /^[0-9a-f]{86}$/);
  const { open, offered, lines } = sealable(folder);
  const visited: string[] = [];
  const again = await open((record) => visited.push(describe(record)));
  assert.deepEqual([offered, visited], [[token], []]);
  const { fromSnapshot, records, bytes } = again.loadReport;
  assert.deepEqual([fromSnapshot, records, bytes], [true, 0, folder.contents(NAME).length]);
  assert.ok(again.deadBytes > 0);
  assert.deepEqual(
    [again.publishedBytes, again.durableBytes, again.deadBytes, toHex(again.uuid), again.state],
    [store.publishedBytes, store.durableBytes, store.deadBytes, toHex(store.uuid), 'ok'],
  );
  assert.ok(again.readMessage(node) !== undefined);
  assert.ok(lines.some(({ message }) => /as the last stop left it/.test(message)));
  await again.close();
  assert.notEqual(again.sealToken, undefined);
  assert.notEqual(again.sealToken, token, 'the seal before was taken away');
});

test('a token that is refused is followed by an ordinary load', async () => {
  const folder = new MemoryFolder();
  const { token } = await sealedStore(folder);
  const { open, offered } = sealable(folder, false);
  const visited: string[] = [];
  const store = await open((record) => visited.push(describe(record)));
  assert.deepEqual([offered, visited.length > 8, store.loadReport.fromSnapshot], [[token], true, false]);
  await store.close();
});

test('without an index, a version of the file that has a uuid, or a clean stop there is no token', async () => {
  const bare = benchOn(new MemoryFolder());
  const unindexed = await bare.open();
  await unindexed.close();
  assert.equal(unindexed.sealToken, undefined);
  const old = new MemoryFolder();
  const fifteen = sealable(old, true, { version: 15 });
  const store = await fifteen.open();
  store.append(acceptedNode(1, 2), ignore);
  await store.close();
  const next = await fifteen.open();
  assert.deepEqual([store.sealToken, fifteen.offered, next.loadReport.fromSnapshot], [undefined, [], false]);
  await next.close();
  const failing = new MemoryFolder();
  const degraded = await sealable(failing).open();
  degraded.append(acceptedNode(1, 2), ignore);
  failing.fail('write', 'disk_error', 1000);
  await degraded.close();
  assert.equal(degraded.sealToken, undefined);
});

test('an index of another store, cut, torn or damaged at its end offers nothing', async () => {
  const folder = new MemoryFolder();
  await sealedStore(folder);
  const sound = folder.contents(INDEX);
  const store = folder.contents(NAME);
  const isSealed = (index: Uint8Array, file = store): boolean => {
    const other = new MemoryFolder();
    other.place(NAME, file);
    other.place(INDEX, index);
    return readSeal(other, NAME, other.open(NAME, 'read')) !== undefined;
  };
  assert.ok(isSealed(sound));
  for (let size = 0; size < sound.length; size++) {
    assert.ok(!isSealed(sound.subarray(0, size)), `cut at ${size}`);
  }
  const end = sound.length - 48;
  for (let bit = 0; bit < (64 + 48) * 8; bit++) {
    const at = bit < 512 ? bit >> 3 : end + ((bit - 512) >> 3);
    const damaged = sound.slice();
    damaged[at]! ^= 1 << (bit & 7);
    assert.ok(!isSealed(damaged), `bit ${bit & 7} of ${at}`);
  }
  for (const more of [1, 8, 48]) {
    const longer = new Uint8Array(sound.length + more);
    longer.set(sound);
    assert.ok(!isSealed(longer));
  }
  // The uuid record, and the length, of the store itself.
  for (const at of [1, 4, 9, 20, 46]) {
    const damaged = store.slice();
    damaged[at]! ^= 1;
    assert.ok(!isSealed(sound, damaged), `byte ${at} of the store`);
  }
  assert.ok(!isSealed(sound, store.subarray(0, store.length - 1)));
});

/** What a running store may do: everything that changes its file. */
const live = async (store: GossipStore, clock: ManualClock, rng: Rng, compacts: boolean): Promise<void> => {
  const settle = (): Promise<void> => run(clock, 250 * Math.ceil(rng.fraction() * 8));
  const channel = store.append(acceptedChannel(10), ignore);
  await settle();
  const stale = store.append(acceptedUpdate(10, 0, 7, undefined, channel), ignore);
  await settle();
  store.append(acceptedUpdate(10, 0, 8, stale), ignore);
  store.append(acceptedDying(10, 99, [channel]), ignore);
  await settle();
  if (compacts) store.compact();
  await settle();
  store.append(acceptedRemoval(11, []), ignore);
  await store.close();
};

test('after a crash at any moment a token is offered only for a file that is byte for byte as it was', async () => {
  const rng = seededRng(7);
  let known = 0;
  for (const compacts of [false, true]) {
    const counted = new MemoryFolder();
    await sealedStore(counted);
    const before = counted.operations;
    const bench = sealable(counted);
    await live(await bench.open(), bench.clock, seededRng(1), compacts);
    const operations = counted.operations - before;
    assert.ok(operations > 20);
    for (let stop = 0; stop <= operations; stop++) {
      const folder = new MemoryFolder();
      const contents = new Map<string, string>();
      const { token } = await sealedStore(folder);
      contents.set(token, toHex(folder.contents(NAME)));
      folder.stopAfter(stop, stop % 3 === 0 ? 5 : 0);
      const second = sealable(folder, stop % 2 === 0);
      const store = await second.open().catch(() => undefined);
      if (store !== undefined) {
        await live(store, second.clock, seededRng(1), compacts).catch(() => {});
        if (store.sealToken !== undefined) contents.set(store.sealToken, toHex(folder.contents(NAME)));
      }
      folder.restart();
      const disks = [folder];
      for (let cut = 0; cut < 6; cut++) {
        const share = rng.fraction();
        disks.push(
          folder.crash({
            fate: ({ length }) =>
              rng.fraction() < share ? length : Math.floor(rng.fraction() * (length + 1)),
            names: Math.floor(rng.fraction() * (folder.unsyncedNames + 1)),
          }),
        );
      }
      for (const disk of disks) {
        const where = `stopped after ${stop}, ${disk === folder ? 'killed' : 'power cut'}`;
        const seal = readSeal(disk, NAME, disk.open(NAME, 'read'));
        const sealed = seal && contents.get(seal.token);
        // Of a seal that was cut short nobody has the token.
        if (sealed === undefined) continue;
        assert.ok(sealed === toHex(disk.contents(NAME)), where);
        known++;
      }
    }
  }
  assert.ok(known > 10, `${known} offers`);
});

test('a store that was not read appends, replaces, removes and compacts like any other', async () => {
  const folder = new MemoryFolder();
  const { offsets, updates } = await sealedStore(folder);
  const moves: ((offset: StoreOffset) => StoreOffset)[] = [];
  const onRelocate: NonNullable<GossipStoreOptions['onRelocate']> = (translate) => {
    moves.push(translate);
    return [];
  };
  const { open, clock } = sealable(folder, true, { onRelocate });
  const store = await open();
  const fresh = store.append(acceptedUpdate(1, 0, 9, updates[1]), ignore);
  store.append(acceptedRemoval(2, [offsets[2]!, updates[2]!]), ignore);
  await run(clock, 3000);
  assert.ok((flagByteAt(folder, offsets[2]!) & 0x80) !== 0 && (flagByteAt(folder, updates[1]!) & 0x80) !== 0);
  store.compact();
  await run(clock, 2000);
  const moved = (offset: StoreOffset): StoreOffset => moves.reduce((at, translate) => translate(at), offset);
  assert.deepEqual([store.generation, store.deadBytes, moved(offsets[2]!)], [1, 0, 0]);
  assert.ok(store.readMessage(moved(fresh)) !== undefined);
  await store.close();
  assert.notEqual(store.sealToken, undefined);
  const loaded: string[] = [];
  const again = await sealable(folder, false).open((record) => loaded.push(describe(record)));
  assert.ok(loaded.includes(`258@${moved(fresh)}`));
  assert.deepEqual([again.loadReport.dropped, again.loadReport.gapCount], [{}, 0]);
  await again.close();
});

test('damage that no start has read is found by the running store, which leaves it behind', async () => {
  for (const [what, spoil] of [
    ['a message', (offset: StoreOffset) => [offset + 40, 0x5a, 0x5a] as const],
    ['a length', (offset: StoreOffset) => [offset - 10, 0x77] as const],
    ['a deleted flag that nobody set', (offset: StoreOffset) => [offset - 12, 0xa0] as const],
  ] as const) {
    const folder = new MemoryFolder();
    const { updates, node } = await sealedStore(folder);
    const [position, ...bytes] = spoil(updates[1]!);
    overwrite(folder, NAME, position, ...bytes);
    let moved: StoreOffset | undefined;
    const { open, clock, lines } = sealable(folder, true, {
      onRelocate: (translate) => {
        moved = translate(updates[1]!);
        assert.notEqual(translate(node), 0, what);
        return [];
      },
      onLost: () => assert.fail('the relocation tells it'),
    });
    const store = await open();
    assert.ok(store.loadReport.fromSnapshot);
    await run(clock, 60_000);
    assert.deepEqual([store.generation, store.state], [1, 'ok'], what);
    // A length that can be worked out is put right.
    assert.equal(moved === 0, what !== 'a length', what);
    assert.ok(lines.some(({ message }) => /the store is damaged at offset/.test(message)));
    await store.close();
  }
});

test('after a stop before damage was left behind, the next start reads the file', async () => {
  const spoiled: readonly ((folder: MemoryFolder, dead: StoreOffset, update: StoreOffset) => void)[] = [
    // A deleted record that is not deleted any more, a message, a deleted flag that nobody set.
    (folder, dead) => overwrite(folder, NAME, dead - 12, 0x20),
    (folder, _dead, update) => overwrite(folder, NAME, update + 40, 0x5a, 0x5a),
    (folder, _dead, update) => overwrite(folder, NAME, update - 12, 0xa0),
  ];
  for (const [index, spoil] of spoiled.entries()) {
    const folder = new MemoryFolder();
    const first = sealable(folder);
    const writing = await first.open();
    const channel = writing.append(acceptedChannel(1), ignore);
    await writing.sync();
    const dead = writing.append(acceptedUpdate(1, 0, 5, undefined, channel), ignore);
    await writing.sync();
    const update = writing.append(acceptedUpdate(1, 0, 6, dead), ignore);
    await writing.close();
    assert.notEqual(writing.sealToken, undefined);
    spoil(folder, dead, update);
    const short = await sealable(folder).open();
    assert.ok(short.loadReport.fromSnapshot);
    await short.close();
    assert.equal(short.sealToken, undefined, `case ${index}`);
  }
});

test('an index that cannot be compared with the file leads to a load the next time', async () => {
  const folder = new MemoryFolder();
  await sealedStore(folder);
  overwrite(folder, INDEX, 200, 1, 2, 3);
  const { open, clock, offered } = sealable(folder);
  const store = await open();
  assert.equal(offered.length, 1, 'its end is sound');
  await run(clock, 5000);
  await store.close();
  assert.equal(store.sealToken, undefined);
  const loading = sealable(folder);
  const next = await loading.open();
  await next.close();
  assert.notEqual(next.sealToken, undefined);
});

test('what is flagged while the index is compared with the file is not taken for damage, and is in the index', async () => {
  const folder = new MemoryFolder();
  const { offsets, updates, store: first } = await sealedStore(folder);
  const { open, clock, meter } = sealable(folder, true, {
    onRelocate: () => assert.fail('no damage'),
    onLost: () => assert.fail('nothing is lost'),
  });
  const store = await open();
  // Flagged before the first turn of upkeep, in front of what is compared and behind it.
  store.append(acceptedUpdate(1, 0, 9, updates[1]), ignore);
  store.append(acceptedRemoval(2, [offsets[2]!, updates[2]!]), ignore);
  const untouched = store.append(acceptedChannel(5), ignore);
  await store.sync();
  store.append(acceptedUpdate(5, 1, 77, undefined, untouched), ignore);
  await store.sync();
  await run(clock, 5000);
  assert.equal(meter.get('gossipd_store_flipped_flags_total'), 0);
  await store.close();
  assert.notEqual(store.sealToken, undefined);
  const read = readSidecar(folder, NAME, first.uuid, 16);
  assert.ok('sidecar' in read && read.sidecar.sealed);
  const entry = (offset: StoreOffset) => read.sidecar.at(offset - 12);
  for (const offset of [updates[1]!, offsets[2]!, updates[2]!]) assert.equal(entry(offset)?.flags, 0xa000);
  assert.equal(entry(untouched)?.timestamp, 77);
});
