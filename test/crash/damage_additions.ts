/** Records and flags that the recipes of the damage catalogue add to a good store, by one who remembers them. */
import { concatBytes } from '../../src/base/bytes.ts';
import { scidHi, scidLo } from '../../src/base/short_channel_id.ts';
import {
  append,
  GOOD_TIMESTAMP,
  type GoodRecord,
  type GoodStore,
  goodAnnouncement,
  goodNode,
  goodScid,
  goodUpdate,
  overwrite,
  type RecordFields,
  rec,
  withFlags,
} from '../../src/store/damaged_stores.test.support.ts';
import type { StoreFormat } from '../../src/store/versions.ts';
import {
  encodeChanDying,
  encodeChannelAmount,
  encodeDeleteChan,
} from '../../src/wire/gossip_store_messages.ts';
import type { Fate, Range, Written } from './damage_recipes.ts';

export const DELETED = 0x8000;
export const RATELIMIT = 0x2000;
export const ZOMBIE = 0x1000;
export const DYING = 0x0800;

/** Writes records behind a store, and remembers them. */
export class Behind {
  bytes: Uint8Array;
  readonly extras: Written[] = [];
  readonly format: StoreFormat;
  readonly damage: Range[] = [];

  constructor(store: GoodStore) {
    this.bytes = store.bytes;
    this.format = store.format;
  }

  get flags(): number {
    return this.format.hasCompleted ? 0x2000 : 0;
  }

  /** Keeps the first `kept` bytes of the record; a torn one is damage. */
  add(
    message: Uint8Array,
    fields: RecordFields & { readonly fate?: Fate; readonly kept?: number } = {},
  ): this {
    const { fate = 'kept', kept = Number.POSITIVE_INFINITY } = fields;
    const raw = rec(this.format, message, fields);
    const start = this.bytes.length;
    this.bytes = append(this.bytes, raw.subarray(0, kept));
    if (kept >= raw.length) this.extras.push({ raw, fate });
    if (kept < raw.length || fate === 'refused') this.damage.push({ start, end: this.bytes.length });
    return this;
  }

  channel(number: number, announcement = goodAnnouncement(number)): this {
    return this.add(announcement).add(encodeChannelAmount(BigInt(500_000 + number)));
  }

  update(
    channel: number,
    direction: 0 | 1,
    timestamp: number,
    fields: RecordFields & { readonly fate?: Fate; readonly kept?: number } = {},
  ): this {
    return this.add(goodUpdate(channel, direction, timestamp), { timestamp, ...fields });
  }

  node(number: number, timestamp: number, fields: RecordFields & { readonly fate?: Fate } = {}): this {
    return this.add(goodNode(number, timestamp), { timestamp, ...fields });
  }

  remove(channel: number): this {
    const scid = goodScid(channel);
    return this.add(encodeDeleteChan(scidHi(scid), scidLo(scid)));
  }
}

export const LATER = GOOD_TIMESTAMP + 100_000;

/** An announcement with the two node ids changed places, and the keys that go with them. */
export const withSwappedIds = (channel: number): Uint8Array => {
  const message = goodAnnouncement(channel);
  const at = 300;
  const [first, second] = [message.slice(at, at + 33), message.slice(at + 33, at + 66)];
  return overwrite(message, at, concatBytes(second, first));
};

export const ofMainnet = (message: Uint8Array, at: number): Uint8Array =>
  overwrite(message, at, new Uint8Array(32).fill(0x6f));

export const chanDying = (channel: number): Uint8Array => {
  const scid = goodScid(channel);
  return encodeChanDying(scidHi(scid), scidLo(scid), 700_123);
};

/** All flagged records of a channel of the store, as another writer would flag them. */
export const flagged = (
  store: GoodStore,
  records: readonly GoodRecord[],
  flags: number,
): { bytes: Uint8Array; written: Written[] } => {
  let { bytes } = store;
  for (const { position, flags: own } of records) bytes = withFlags(bytes, position, own | flags);
  const written = store.records.map(
    ({ position, end }): Written => ({ raw: bytes.subarray(position, end), fate: 'kept' }),
  );
  return { bytes, written };
};
