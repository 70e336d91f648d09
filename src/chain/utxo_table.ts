/**
 * The UtxoLookup of a chain that fits in a file: a fixed table of unspent outputs, for tests and the network in a box.
 *
 * Image: the four bytes `GUT1`, then records of 48 bytes in strictly ascending order of scid: short_channel_id u64, value in
 * satoshi u64, and the 32-byte witness program of a P2WSH output (BOLT 3, funding transaction output), all big-endian.
 * The table is the image: nothing is unpacked, an answer is one binary search of at most 25 steps (2^32 / 48 records).
 * Bounds: the image is what the operator gave us; peers cannot make it grow.
 */
import { compareBytes, readU32, readU64, writeU64 } from '../base/bytes.ts';
import { assert, OperationalError } from '../base/errors.ts';
import { type ShortChannelId, scidHi, scidLo } from '../base/short_channel_id.ts';
import type { UtxoLookup, UtxoResult } from './utxo_lookup.ts';

/** One unspent output. */
export interface UtxoTableEntry {
  readonly scid: ShortChannelId;
  readonly satoshis: bigint;
  /** scriptPubKey: 34 bytes, OP_0 and a push of 32 (P2WSH). */
  readonly script: Uint8Array;
}

const MAGIC = Uint8Array.of(0x47, 0x55, 0x54, 0x31);
const RECORD_BYTES = 48;
const PROGRAM_BYTES = 32;
const SCRIPT_BYTES = 34;
/** OP_0, then a push of 32 bytes. */
const P2WSH_HEAD = Uint8Array.of(0x00, 0x20);

const NONE: UtxoResult = { found: 'none' };
const UNAVAILABLE: UtxoResult = { found: 'unavailable' };

/** The image of a table. Entries may come in any order; throws Bug for two with one scid, or a script that is not P2WSH. */
export const encodeUtxoTable = (entries: readonly UtxoTableEntry[]): Uint8Array => {
  const sorted = [...entries].sort((left, right) => (left.scid < right.scid ? -1 : 1));
  const image = new Uint8Array(MAGIC.length + sorted.length * RECORD_BYTES);
  image.set(MAGIC);
  let at = MAGIC.length;
  let previous: ShortChannelId | undefined;
  for (const { scid, satoshis, script } of sorted) {
    assert(scid !== previous, 'a utxo table holds each scid once');
    const isP2wsh = script.length === SCRIPT_BYTES && compareBytes(script, 0, P2WSH_HEAD, 0, 2) === 0;
    assert(isP2wsh, 'a utxo table holds P2WSH outputs only');
    writeU64(image, at, scid);
    writeU64(image, at + 8, satoshis);
    image.set(script.subarray(2), at + 16);
    at += RECORD_BYTES;
    previous = scid;
  }
  return image;
};

const damaged = (what: string): OperationalError =>
  new OperationalError(
    'utxo_table_damaged',
    'stop',
    `The table of unspent outputs is damaged: ${what}.`,
    'Write the table again, or run without a chain backend.',
  );

const compareScid = (image: Uint8Array, at: number, hi: number, lo: number): number =>
  readU32(image, at) - hi || readU32(image, at + 4) - lo;

/**
 * A lookup over an image, which it keeps and never writes to.
 * Throws OperationalError `utxo_table_damaged` when the magic, the length or the order is wrong.
 */
export const openUtxoTable = (image: Uint8Array): UtxoLookup => {
  if (image.length < MAGIC.length || compareBytes(image, 0, MAGIC, 0, MAGIC.length) !== 0) {
    throw damaged('it does not begin with GUT1');
  }
  if ((image.length - MAGIC.length) % RECORD_BYTES !== 0) throw damaged('its last record is cut off');
  const count = (image.length - MAGIC.length) / RECORD_BYTES;
  const recordAt = (index: number): number => MAGIC.length + index * RECORD_BYTES;
  for (let index = 1; index < count; index++) {
    const at = recordAt(index);
    if (compareScid(image, at - RECORD_BYTES, readU32(image, at), readU32(image, at + 4)) >= 0) {
      throw damaged(`record ${index} is out of order`);
    }
  }

  const find = (hi: number, lo: number): UtxoResult => {
    let from = 0;
    let to = count;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const order = compareScid(image, recordAt(middle), hi, lo);
      if (order === 0) return unspentAt(image, recordAt(middle));
      if (order < 0) from = middle + 1;
      else to = middle;
    }
    return NONE;
  };

  return {
    name: 'table',
    verifies: true,
    lookup: (scid, signal) =>
      Promise.resolve(signal.aborted ? UNAVAILABLE : find(scidHi(scid), scidLo(scid))),
  };
};

const unspentAt = (image: Uint8Array, at: number): UtxoResult => {
  const script = new Uint8Array(SCRIPT_BYTES);
  script.set(P2WSH_HEAD);
  script.set(image.subarray(at + 16, at + 16 + PROGRAM_BYTES), 2);
  return { found: 'unspent', script, satoshis: readU64(image, at + 8) };
};
