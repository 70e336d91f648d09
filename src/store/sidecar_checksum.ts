/**
 * The checksum of a sidecar's block: CRC-32C of its two halves, worked out side by side, and CRC-32C of those two.
 *
 * The processor spends most of a table-driven CRC waiting for the step before; two halves at once, fed with words instead of
 * bytes, take half the time of wire/crc32c. Short stretches, each a call of a small function, let the compiler take it up
 * early: at a cold start the 4.5 MB for the main network's map are verified in 5 ms instead of 12.
 * The result depends on the machine's byte order, as a sidecar does anyway. Pure and without allocation.
 */
import { writeU32 } from '../base/bytes.ts';
import { crc32c } from '../wire/crc32c.ts';

/** Table k: the effect of a byte with k bytes behind it, got by running the plain CRC from an empty register. */
const table = (behind: number): Int32Array => {
  const bytes = new Uint8Array(behind + 1);
  return Int32Array.from({ length: 256 }, (_, value) => {
    bytes[0] = value;
    return ~crc32c(0xffffffff, bytes, 0, bytes.length);
  });
};

const TABLE_0 = table(0);
const TABLE_1 = table(1);
const TABLE_2 = table(2);
const TABLE_3 = table(3);

const STRETCH_WORDS = 256;

/** The registers of both halves between two stretches. */
const REGISTERS = new Int32Array(2);
const BOTH = new Uint8Array(8);

const stretch = (words: Int32Array, start: number, end: number, apart: number): void => {
  let left = REGISTERS[0] as number;
  let right = REGISTERS[1] as number;
  for (let index = start; index < end; index++) {
    left ^= words[index] as number;
    right ^= words[index + apart] as number;
    left =
      (TABLE_3[left & 0xff] as number) ^
      (TABLE_2[(left >>> 8) & 0xff] as number) ^
      (TABLE_1[(left >>> 16) & 0xff] as number) ^
      (TABLE_0[left >>> 24] as number);
    right =
      (TABLE_3[right & 0xff] as number) ^
      (TABLE_2[(right >>> 8) & 0xff] as number) ^
      (TABLE_1[(right >>> 16) & 0xff] as number) ^
      (TABLE_0[right >>> 24] as number);
  }
  REGISTERS[0] = left;
  REGISTERS[1] = right;
};

/** Of words [start, end), an even number of them. Unsigned. */
export const blockChecksum = (words: Int32Array, start: number, end: number): number => {
  const half = (end - start) / 2;
  const middle = start + half;
  REGISTERS.fill(-1);
  for (let index = start; index < middle; index += STRETCH_WORDS)
    stretch(words, index, Math.min(index + STRETCH_WORDS, middle), half);
  writeU32(BOTH, 0, ~(REGISTERS[0] as number));
  writeU32(BOTH, 4, ~(REGISTERS[1] as number));
  return crc32c(0, BOTH, 0, 8);
};
