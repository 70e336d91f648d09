/**
 * A rewrite against a model of it: random stores, deletions, damage, appends and step sizes. The model is a plain list of
 * records; the rewrite must give the same list, in order, and a map that leads each of them to its new place.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { concatBytes, toHex } from '../base/bytes.ts';
import { encodeChanDying, encodeChannelAmount, encodeDeleteChan } from '../wire/gossip_store_messages.ts';
import { storeOffset } from '../wire/store_record.ts';
import { goodStore, rec } from './damaged_stores.test.support.ts';
import { MemoryFolder } from './memory_folder.test.support.ts';
import { Rewrite } from './rewrite.ts';
import { scanStore } from './scan.ts';
import type { StoreFile } from './store_file.ts';
import { announcementOf, nodeOf, updateOf } from './store_samples.test.support.ts';
import { storeFormat, type WritableVersion } from './versions.ts';

const NAME = 'gossip_store';
const UUID = new Uint8Array(32).fill(0xa7);

type Kind = 'channel' | 'update' | 'node' | 'dying' | 'tombstone' | 'lone_announcement' | 'lone_amount';
/** What is wrong with a record from the start. */
type Trouble =
  | 'none'
  | 'none '
  | 'none  '
  | 'deleted'
  | 'amount_deleted'
  | 'flipped'
  | 'amount_flipped'
  | 'zeroed';

interface Group {
  readonly kind: Kind;
  readonly trouble: Trouble;
  /** Padding behind the message, so that records have many sizes. */
  readonly padding: number;
}

const group: fc.Arbitrary<Group> = fc.record({
  kind: fc.constantFrom<Kind>(
    ...(['channel', 'channel', 'channel', 'update', 'update', 'node', 'dying'] as const),
    ...(['tombstone', 'lone_announcement', 'lone_amount'] as const),
  ),
  trouble: fc.constantFrom<Trouble>(
    ...(['none', 'none ', 'none  ', 'deleted', 'amount_deleted'] as const),
    ...(['flipped', 'amount_flipped', 'zeroed'] as const),
  ),
  padding: fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 3000 })),
});

type Action =
  | { readonly do: 'append'; readonly groups: readonly Group[] }
  | { readonly do: 'step'; readonly bytes: number }
  | { readonly do: 'kill'; readonly which: number };

const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ do: fc.constant('append' as const), groups: fc.array(group, { maxLength: 4 }) }),
  fc.record({ do: fc.constant('step' as const), bytes: fc.integer({ min: 1, max: 4000 }) }),
  fc.record({ do: fc.constant('kill' as const), which: fc.nat() }),
);

/** One record of the model. */
interface Known {
  readonly position: number;
  readonly bytes: Uint8Array;
  readonly type: number;
  /** Cannot be read, or is flagged in the file. */
  readonly isBad: boolean;
  readonly isTombstone: boolean;
  dead: boolean;
}

class Model {
  readonly records: Known[] = [];
  readonly format = storeFormat(16)!;
  end: number;
  #numbers = 0;

  constructor(end: number) {
    this.end = end;
  }

  /** Adds a group; returns its bytes as they are in the file. */
  add({ kind, trouble, padding }: Group): Uint8Array {
    const number = this.#numbers++;
    const tail = new Uint8Array(padding).fill(number);
    const first = (message: Uint8Array, timestamp = 0): Uint8Array =>
      this.#record(concatBytes(message, tail), timestamp, trouble);
    const amountTrouble =
      trouble === 'amount_deleted' ? 'deleted' : trouble === 'amount_flipped' ? 'flipped' : 'none';
    const amount = (): Uint8Array => this.#record(encodeChannelAmount(BigInt(number)), 0, amountTrouble);
    switch (kind) {
      case 'channel':
        return concatBytes(first(announcementOf(number)), amount());
      case 'lone_announcement':
        return first(announcementOf(number));
      case 'lone_amount':
        return amount();
      case 'update':
        return first(updateOf(number, 0, number), number);
      case 'node':
        return first(nodeOf(number, number), number);
      case 'dying':
        return this.#record(encodeChanDying(number, 1, 5), 0, trouble);
      case 'tombstone':
        return this.#record(encodeDeleteChan(number, 1), 0, trouble);
    }
  }

  #record(message: Uint8Array, timestamp: number, trouble: Trouble): Uint8Array {
    const flags = trouble === 'deleted' ? 0xa000 : 0x2000;
    const bytes = rec(this.format, message, { timestamp, flags });
    const type = ((message[0] as number) << 8) | (message[1] as number);
    const damaged = bytes.slice();
    if (trouble === 'flipped') damaged[bytes.length - 1] = (damaged[bytes.length - 1] as number) ^ 0x10;
    if (trouble === 'zeroed') damaged.fill(0);
    this.records.push({
      position: this.end,
      bytes,
      type,
      isBad: ['deleted', 'flipped', 'zeroed'].includes(trouble),
      isTombstone: type === 4103,
      dead: false,
    });
    this.end += bytes.length;
    return damaged;
  }

  /** What a rewrite keeps when it comes to the records in this state. */
  kept(keepTombstonesFrom: number): Known[] {
    const isGood = (record: Known | undefined): boolean =>
      record !== undefined && !record.isBad && !record.dead;
    return this.records.filter((record, index) => {
      if (!isGood(record)) return false;
      if (record.isTombstone) return record.position >= keepTombstonesFrom;
      const [before, after] = [this.records[index - 1], this.records[index + 1]];
      if (record.type === 256) return after?.type === 4101 && isGood(after);
      return record.type !== 4101 || (before?.type === 256 && isGood(before));
    });
  }
}

const scanned = (file: StoreFile, version: WritableVersion): string[] => {
  const bytes = new Uint8Array(file.size());
  file.read(bytes, 0, bytes.length, 0);
  assert.equal(bytes[0], version);
  bytes[0] = 16;
  const folder = new MemoryFolder();
  folder.place(NAME, bytes);
  const seen: string[] = [];
  const { reason } = scanStore(folder.open(NAME, 'read'), (record) => {
    if (record.type !== 4107)
      seen.push(`${record.timestamp} ${toHex(record.bytes, record.at, record.at + record.length)}`);
  });
  assert.equal(reason, 'end_of_file');
  return seen;
};

const check = async (
  groups: readonly Group[],
  actions: readonly Action[],
  tombstones: number,
  version: 15 | 16,
): Promise<void> => {
  const head = goodStore(16, 0).bytes;
  const model = new Model(head.length);
  const folder = new MemoryFolder();
  folder.place(NAME, concatBytes(head, ...groups.map((each) => model.add(each))));
  const file = folder.open(NAME, 'write');
  const keepTombstonesFrom = Math.floor(tombstones * model.end);
  const deadAt = new Set<number>();
  const source = {
    file,
    format: model.format,
    start: 47,
    isDead: (offset: number) => deadAt.has(offset - 12),
    keepTombstonesFrom,
  };
  const rewrite = Rewrite.begin(folder, NAME, source, { version, uuid: UUID });
  for (const each of actions) {
    if (each.do === 'append') {
      // The writer never parts a pair: no batch starts with the amount of an announcement that was published before.
      const first = each.groups.findIndex(({ kind }) => kind !== 'lone_amount');
      const batch = first < 0 ? [] : each.groups.slice(first);
      const at = model.end;
      file.write(concatBytes(...batch.map((added) => model.add(added))), at);
    } else if (each.do === 'step') {
      const before = rewrite.readTo;
      const isAtEnd = rewrite.step(model.end, each.bytes);
      assert.equal(isAtEnd, rewrite.readTo === model.end);
      assert.ok(isAtEnd || rewrite.readTo >= before + each.bytes);
    } else {
      const record = model.records[each.which % Math.max(1, model.records.length)];
      // What is copied already is carried over by its flag instead.
      if (record === undefined || record.position < rewrite.readTo) continue;
      record.dead = true;
      deadAt.add(record.position);
    }
  }
  while (!rewrite.step(model.end, 5000));
  await rewrite.sync();
  const { file: written, size, finish } = rewrite.commit();
  await finish();

  const kept = model.kept(keepTombstonesFrom);
  const text = ({ bytes }: Known): string =>
    `${Number.parseInt(toHex(bytes, 8, 12), 16)} ${toHex(bytes, 12)}`;
  assert.deepEqual(scanned(written, version), kept.map(text));
  assert.equal(rewrite.kept, kept.length);
  let position = version === 16 ? 47 : 1;
  for (const record of model.records) {
    const isKept = kept.includes(record);
    const translated = rewrite.map.translate(storeOffset(record.position + 12));
    assert.equal(translated, isKept ? position + 12 : 0);
    assert.equal(rewrite.map.translatePosition(record.position), position);
    if (isKept) position += record.bytes.length;
  }
  assert.equal(position, size);
  assert.equal(rewrite.map.translate(storeOffset(model.end + 500 + 12)), size + 500 + 12);
  let last = 0;
  for (let query = 0; query < model.end + 100; query += 7) {
    const next = rewrite.map.translatePosition(query);
    assert.ok(next >= last);
    last = next;
  }
};

test('any store, any deletions, any damage, any steps: live records in order, and a map that is right', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(group, { maxLength: 25 }),
      fc.array(action, { maxLength: 25 }),
      fc.double({ min: 0, max: 1.2, noNaN: true }),
      fc.constantFrom(15 as const, 16 as const),
      check,
    ),
    { numRuns: 250 },
  );
});
