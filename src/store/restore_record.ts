/**
 * Puts right the header of a record whose checksum fails, where the checksum itself proves what was there.
 *
 * The salvage reader asks when it knows how long the record is. CRC is linear, so the difference between the checksum that
 * the header holds and the one that its message gives tells at once whether another timestamp, or one other bit,
 * would explain it; no checksum is computed again. Each answer is one of some hundred values that the difference could
 * have by chance among 2^32; a flipped bit in the message is one of up to 2^19 and is looked for only on request.
 */
import { channelUpdateTimestamp } from '../wire/channel_update.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { nodeAnnouncementTimestamp } from '../wire/node_announcement.ts';
import { shiftRegister, stepRegister } from './prefix_checksums.ts';

/** The timestamp that the header of such a message has; 0 for an announcement and for the store's own records. */
const ownTimestamp = (bytes: Uint8Array, at: number, type: number): number => {
  if (type === MESSAGE_TYPE.channel_update) return channelUpdateTimestamp(bytes, at);
  if (type === MESSAGE_TYPE.node_announcement) return nodeAnnouncementTimestamp(bytes, at);
  return 0;
};

/**
 * The timestamp that makes the checksum right: the message's own, or for an announcement, whose own is not known, one that
 * differs from the header's in one of the lower 16 bits. The timestamp is the checksum's seed, and a bit of it has the same effect
 * as that bit of the message's first four bytes: the lower 16 would be another type, which the message is not; of the upper
 * 16 nobody can say whether they or the signature changed.
 *
 * @param difference of the checksum in the header and the one that message and header timestamp give
 * @param at index of the message, which has passed its structural check
 */
export const provenTimestamp = (
  difference: number,
  bytes: Uint8Array,
  at: number,
  length: number,
  type: number,
  timestamp: number,
): number | undefined => {
  const own = ownTimestamp(bytes, at, type);
  if (shiftRegister(own ^ timestamp, length) === (difference | 0)) return own;
  if (type !== MESSAGE_TYPE.channel_announcement) return undefined;
  for (let bit = 0; bit < 16; bit++) {
    if (shiftRegister(1 << bit, length) === (difference | 0)) return (timestamp ^ (1 << bit)) >>> 0;
  }
  return undefined;
};

/** One bit of the checksum in the header differs. */
export const isOneBit = (difference: number): boolean =>
  difference !== 0 && (difference & (difference - 1)) === 0;

export interface FlippedBit {
  /** Index in the message. */
  readonly index: number;
  readonly mask: number;
}

/**
 * The one bit of the message that explains the difference. Linear in `length`, some nanoseconds for each bit. For an announcement
 * the first four bytes prove nothing: see provenTimestamp.
 */
export const flippedBit = (difference: number, length: number): FlippedBit | undefined => {
  const wanted = difference | 0;
  // What a flip of each bit of the last byte does, moved back byte by byte.
  const effects = Int32Array.from({ length: 8 }, (_, bit) => stepRegister(0, 1 << bit));
  for (let index = length - 1; index >= 0; index--) {
    for (let bit = 0; bit < 8; bit++) {
      const effect = effects[bit] as number;
      if (effect === wanted) return { index, mask: 1 << bit };
      effects[bit] = stepRegister(effect, 0);
    }
  }
  return undefined;
};

/** How many bits of two lengths differ. */
export const differingBits = (left: number, right: number): number => {
  let count = 0;
  for (let rest = left ^ right; rest !== 0; rest &= rest - 1) count++;
  return count;
};
