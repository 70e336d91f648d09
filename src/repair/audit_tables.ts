/**
 * What an audit remembers of the channels and nodes of a file: where their live records are, so that findings about an older
 * record can be made when a later one shows what is wrong with it.
 *
 * audit_order fills and reads it. Keys are found by open addressing over dense columns, with multipliers drawn at random
 * because peers choose the keys. Memory grows with the distinct channels and nodes of the file, never with its records:
 * about 90 bytes a channel and 80 a node, 8 MB at mainnet's size, and no more than MAX_CHANNELS and MAX_NODES of each.
 */
import { NODE_ID_BYTES } from '../base/node_id.ts';
import type { Rng } from '../base/rng.ts';
import { INITIAL_KEYS, NumberedKeys } from './numbered_keys.ts';

/** Twenty times mainnet; with all columns 100 MB, which only a file made for the purpose reaches. */
export const MAX_CHANNELS = 1_048_576;
export const MAX_NODES = 524_288;
export const SCID_BYTES = 8;

/** Live records of one kind, by the number of their channel or node. Position 0 stands for none: no record lies there. */
export class PlaceColumn {
  position = new Float64Array(INITIAL_KEYS);
  /** Whole record, header included. */
  length = new Uint32Array(INITIAL_KEYS);
  recordNumber = new Uint32Array(INITIAL_KEYS);

  at(number: number): number {
    return this.position[number] ?? 0;
  }

  set(number: number, position: number, length: number, recordNumber: number): void {
    if (number >= this.position.length) this.#grow(number);
    this.position[number] = position;
    this.length[number] = length;
    this.recordNumber[number] = recordNumber;
  }

  clear(number: number): void {
    if (number < this.position.length) this.position[number] = 0;
  }

  #grow(number: number): void {
    const size = 2 ** Math.ceil(Math.log2(number + 1));
    const larger = <T extends Float64Array | Uint32Array>(to: T, from: T): T => {
      to.set(from);
      return to;
    };
    this.position = larger(new Float64Array(size), this.position);
    this.length = larger(new Uint32Array(size), this.length);
    this.recordNumber = larger(new Uint32Array(size), this.recordNumber);
  }
}

/** Small numbers by channel or node; 0 until set. */
export class NumberColumn<T extends Uint8Array | Uint32Array | Float64Array> {
  #values: T;
  readonly #make: (size: number) => T;

  constructor(make: (size: number) => T) {
    this.#make = make;
    this.#values = make(INITIAL_KEYS);
  }

  get(number: number): number {
    return this.#values[number] ?? 0;
  }

  set(number: number, value: number): void {
    if (number >= this.#values.length) {
      const larger = this.#make(2 ** Math.ceil(Math.log2(number + 1)));
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[number] = value;
  }
}

const bytes = (size: number): Uint8Array => new Uint8Array(size);
const words = (size: number): Uint32Array => new Uint32Array(size);
const doubles = (size: number): Float64Array => new Float64Array(size);

/** The announcement has its amount right behind it. */
export const HAS_AMOUNT = 1;
/** What is behind the announcement is an amount that cannot be. */
export const BAD_AMOUNT = 2;
/** Known by a record of a private channel. */
export const PRIVATE = 4;

export class ChannelColumns {
  readonly scids: NumberedKeys;
  readonly announcement = new PlaceColumn();
  readonly updates: readonly [PlaceColumn, PlaceColumn] = [new PlaceColumn(), new PlaceColumn()];
  /** Numbers of the two nodes, plus one; 0 is unknown. */
  readonly node1 = new NumberColumn(words);
  readonly node2 = new NumberColumn(words);
  /** HAS_AMOUNT and so on. */
  readonly state = new NumberColumn(bytes);
  /** Why the channel is left out: a number of DROPS in audit_order; 0 is not at all. */
  readonly dropped = new NumberColumn(bytes);
  /** Which chain, by audit_order's list: of the announcement, of the updates. */
  readonly chain = new NumberColumn(bytes);
  readonly updateChain = [new NumberColumn(bytes), new NumberColumn(bytes)] as const;
  /** htlc_maximum_msat of the live updates; 0 is none. */
  readonly htlcMaximum = [new NumberColumn(doubles), new NumberColumn(doubles)] as const;

  constructor(rng: Rng) {
    this.scids = new NumberedKeys(rng, SCID_BYTES, MAX_CHANNELS);
  }
}

export class NodeColumns {
  readonly ids: NumberedKeys;
  readonly announcement = new PlaceColumn();
  /** Position of the node's first live channel; 0 is none. Filled at the end. */
  readonly firstChannel = new NumberColumn(doubles);

  constructor(rng: Rng) {
    this.ids = new NumberedKeys(rng, NODE_ID_BYTES, MAX_NODES);
  }
}
