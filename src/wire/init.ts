/**
 * init (16): the first message each way, saying what a node offers and demands (BOLT 1, The init Message; B1-13).
 *
 * Layout: u16 gflen, globalfeatures, u16 flen, features, TLVs 1 networks (32-byte chain hashes) and 3 remote_addr (one
 * address descriptor: how the sender sees us). peer/ compares features and networks and decides.
 * At most (65535 - 6) / 32 = 2047 networks fit into a message.
 */
import { concatBytes, readU16, writeU16 } from '../base/bytes.ts';
import { type AddressDescriptor, decodeSingleAddress, encodeAddress } from './address_descriptor.ts';
import { type Decoded, wireFault } from './fault.ts';
import { countedBytes, fixedBytes } from './fixed_field.ts';
import { MESSAGE_TYPE, TYPE_BYTES } from './message_types.ts';
import { encodeTlvStream, readTlvStream, type TlvRecord } from './tlv.ts';

const TYPE = MESSAGE_TYPE.init;
const TLV_NETWORKS = 1;
const TLV_REMOTE_ADDR = 3;
const TLVS: readonly number[] = [TLV_NETWORKS, TLV_REMOTE_ADDR];
const CHAIN_HASH_BYTES = 32;

export interface Init {
  /** globalfeatures and features together (B1-18), big-endian. A view of raw unless both were set. */
  readonly features: Uint8Array;
  /** chain_hash of each network that the peer gossips for, 32 bytes each, views of raw. Absent: the peer did not say. */
  readonly networks?: readonly Uint8Array[];
  /** Our address as the peer sees it. Absent also when it is of a kind that we do not know or not usable. */
  readonly remote_addr?: AddressDescriptor;
}

/** Bitwise OR of two big-endian maps, aligned at their last byte. Gives one of them itself when the other is empty. */
const combineFeatures = (left: Uint8Array, right: Uint8Array): Uint8Array => {
  if (left.length === 0) return right;
  if (right.length === 0) return left;
  const [longer, shorter] = left.length > right.length ? [left, right] : [right, left];
  const combined = new Uint8Array(longer);
  const shift = longer.length - shorter.length;
  for (let index = 0; index < shorter.length; index++) {
    combined[shift + index] = (combined[shift + index] as number) | (shorter[index] as number);
  }
  return combined;
};

/** Where the counted map at `at` ends; beyond the end of `raw` when it is cut off. */
const mapEnd = (raw: Uint8Array, at: number): number =>
  at + 2 > raw.length ? Number.POSITIVE_INFINITY : at + 2 + readU16(raw, at);

/** Reads an init; `raw` includes the type. The fields borrow from `raw`. */
export const decodeInit = (raw: Uint8Array): Decoded<Init> => {
  const globalEnd = mapEnd(raw, TYPE_BYTES);
  const featuresEnd = mapEnd(raw, globalEnd);
  if (featuresEnd > raw.length) return wireFault('too_short', TYPE, raw.length);
  const found: { networks?: Uint8Array[]; remote_addr?: AddressDescriptor } = {};
  const fault = readTlvStream(
    raw,
    featuresEnd,
    TLVS,
    (type, start, end) => {
      if (type === TLV_NETWORKS) {
        if ((end - start) % CHAIN_HASH_BYTES !== 0) return 'tlv_bad_length';
        found.networks = [];
        for (let hash = start; hash < end; hash += CHAIN_HASH_BYTES) {
          found.networks.push(raw.subarray(hash, hash + CHAIN_HASH_BYTES));
        }
        return undefined;
      }
      const address = decodeSingleAddress(raw.subarray(start, end));
      if (address === 'bad_length') return 'tlv_bad_length';
      if (address !== undefined) found.remote_addr = address;
      return undefined;
    },
    TYPE,
  );
  if (fault !== undefined) return fault;
  const features = combineFeatures(
    raw.subarray(TYPE_BYTES + 2, globalEnd),
    raw.subarray(globalEnd + 2, featuresEnd),
  );
  return { features, ...found };
};

/** All features go into the second map, without leading zero bytes (B1-15). Throws Bug on fields that do not fit. */
export const encodeInit = (message: Init): Uint8Array => {
  const first = message.features.findIndex((byte) => byte !== 0);
  const features = first < 0 ? new Uint8Array(0) : message.features.subarray(first);
  const records: TlvRecord[] = [];
  if (message.networks !== undefined) {
    const hashes = message.networks.map((hash) => fixedBytes('chain_hash', hash, CHAIN_HASH_BYTES));
    records.push({ type: TLV_NETWORKS, value: concatBytes(...hashes) });
  }
  if (message.remote_addr !== undefined) {
    records.push({ type: TLV_REMOTE_ADDR, value: encodeAddress(message.remote_addr) });
  }
  const head = new Uint8Array(6);
  writeU16(head, 0, TYPE);
  writeU16(head, 4, countedBytes('features', features).length);
  return concatBytes(head, features, encodeTlvStream(records));
};
