/**
 * PrefixChecksums: the CRC-32C of any range of a file in constant time, after one pass over the bytes.
 *
 * The search for records behind damage meets headers that may be true or made up, at any distance from each other, each
 * claiming up to 65,535 bytes. Computing every checksum over its own range would let a hostile file cost thousands
 * of times its size. CRC is linear: the register after bytes [0, b) is that after [0, a), moved on over b - a zero bytes, plus
 * what [a, b) adds. So the register behind every byte is kept, and moving on by n bytes takes one step for each bit of n.
 * Memory: 4 bytes for each of 512 Ki positions, allocated at the first damage; 68 KiB of tables.
 */
import { crc32c } from '../wire/crc32c.ts';
import type { FileWindow } from './file_window.ts';

/** Far more than two records of the greatest length, which is as far as a search looks ahead. */
const POSITIONS = 512 * 1024;
const PIECE_BYTES = 16 * 1024;
const SHIFT_BITS = 17;
const WORDS_PER_SHIFT = 1024;

/** What one byte makes of an empty register. */
const BYTE_TABLE = Int32Array.from(
  { length: 256 },
  (_, byte) => ~crc32c(0xffffffff, Uint8Array.of(byte), 0, 1),
);

const shiftedBy = (table: Int32Array, from: number, value: number): number =>
  (table[from + (value & 0xff)] as number) ^
  (table[from + 256 + ((value >>> 8) & 0xff)] as number) ^
  (table[from + 512 + ((value >>> 16) & 0xff)] as number) ^
  (table[from + 768 + (value >>> 24)] as number);

/** Part k moves a register on over 2^k zero bytes. */
const buildShifts = (): Int32Array => {
  const table = new Int32Array(SHIFT_BITS * WORDS_PER_SHIFT);
  for (let index = 0; index < WORDS_PER_SHIFT; index++) {
    const value = (index & 0xff) << (8 * (index >>> 8));
    table[index] = (BYTE_TABLE[value & 0xff] as number) ^ (value >>> 8);
  }
  for (let index = WORDS_PER_SHIFT; index < table.length; index++) {
    const before = index - WORDS_PER_SHIFT;
    const from = before - (before % WORDS_PER_SHIFT);
    table[index] = shiftedBy(table, from, table[before] as number);
  }
  return table;
};

let shifts: Int32Array | undefined;

/**
 * What a difference in the register (or in the seed) has become `length` bytes later: the difference of the checksums.
 *
 * @param length below 2^17
 */
export const shiftRegister = (value: number, length: number): number => {
  shifts ??= buildShifts();
  let shifted = value;
  for (let bit = 0, rest = length; rest !== 0; bit++, rest >>>= 1) {
    if ((rest & 1) !== 0) shifted = shiftedBy(shifts, bit * WORDS_PER_SHIFT, shifted);
  }
  return shifted;
};

/** The register after one more byte; signed. Start from ~seed for the right checksum, whose result is inverted as well. */
export const stepRegister = (register: number, byte: number): number =>
  (BYTE_TABLE[(register ^ byte) & 0xff] as number) ^ (register >>> 8);

/** A register that runs over bytes until it has a value that is looked for. */
export class RunningRegister {
  value: number;

  /** @param value signed */
  constructor(value: number) {
    this.value = value;
  }

  /** Takes `bytes[from, to)`, but stops behind the byte after which the value is `wanted`; returns the index behind the last byte taken. */
  run(bytes: Uint8Array, from: number, to: number, wanted: number): number {
    let register = this.value;
    let index = from;
    while (index < to) {
      register = (BYTE_TABLE[(register ^ (bytes[index++] as number)) & 0xff] as number) ^ (register >>> 8);
      if (register === wanted) break;
    }
    this.value = register;
    return index;
  }
}

export class PrefixChecksums {
  readonly #window: FileWindow;
  /** registers[i] is the register after bytes [base, base + i), from 0; good for i <= count. */
  #registers: Int32Array | undefined;
  #base = 0;
  #count = 0;

  constructor(window: FileWindow) {
    this.#window = window;
  }

  /**
   * The register behind `length` bytes at `position`, when it is `register` in front of them. Undefined beyond the limit.
   *
   * @param position at or behind the window's anchor, and nearer to it than POSITIONS - length
   */
  over(register: number, position: number, length: number): number | undefined {
    if (!this.#cover(position, position + length)) return undefined;
    const registers = this.#registers as Int32Array;
    const first = position - this.#base;
    const before = registers[first] as number;
    return (registers[first + length] as number) ^ shiftRegister(before ^ register, length);
  }

  #cover(position: number, end: number): boolean {
    if (end > this.#window.limit) return false;
    const known = this.#base + this.#count;
    if (
      this.#registers === undefined ||
      position < this.#base ||
      position > known ||
      end - this.#base >= POSITIONS
    ) {
      this.#registers ??= new Int32Array(POSITIONS);
      this.#base = Math.min(position, Math.max(this.#window.anchor, end - POSITIONS + 1));
      this.#count = 0;
    }
    return this.#extend(this.#registers, end - this.#base);
  }

  #extend(registers: Int32Array, wanted: number): boolean {
    const window = this.#window;
    while (this.#count < wanted) {
      const length = Math.min(PIECE_BYTES, wanted - this.#count);
      const at = window.have(this.#base + this.#count, length);
      if (at < 0) return false;
      const { bytes } = window;
      let register = registers[this.#count] as number;
      if (this.#count === 0) {
        register = 0;
        registers[0] = 0;
      }
      for (let index = 0; index < length; index++) {
        register =
          (BYTE_TABLE[(register ^ (bytes[at + index] as number)) & 0xff] as number) ^ (register >>> 8);
        registers[this.#count + index + 1] = register;
      }
      this.#count += length;
    }
    return true;
  }
}
