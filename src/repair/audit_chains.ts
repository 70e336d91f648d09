/**
 * Which chains the messages of a store are of, and which one all of them should be.
 *
 * audit_order numbers each message's chain_hash here, counts live announcements, and asks in the end. Bounds: MAX_CHAINS are told
 * apart, which is more than any file has that was not made for the purpose.
 */
import { readU32 } from '../base/bytes.ts';

/** Chains told apart; others count as one more. */
const MAX_CHAINS = 7;
const OTHER_CHAIN = MAX_CHAINS + 1;
const CHAIN_HASH_WORDS = 8;

const wordsOf = (bytes: Uint8Array, at: number): Uint32Array =>
  Uint32Array.from({ length: CHAIN_HASH_WORDS }, (_, index) => readU32(bytes, at + 4 * index));

const isAt = (words: Uint32Array, bytes: Uint8Array, at: number): boolean => {
  for (let index = 0; index < CHAIN_HASH_WORDS; index++) {
    if (words[index] !== readU32(bytes, at + 4 * index)) return false;
  }
  return true;
};

/** Chain hashes by number from 1, in order of appearance; the expected one is 1. */
export class Chains {
  /** Eight words for each. */
  readonly #known: Uint32Array[] = [];
  readonly #expected: boolean;
  readonly #announcements = new Float64Array(OTHER_CHAIN + 1);

  /** @param expected 32 bytes, if it is known which chain all should be of */
  constructor(expected: Uint8Array | undefined) {
    this.#expected = expected !== undefined;
    if (expected !== undefined) this.#known.push(wordsOf(expected, 0));
  }

  /** Of the 32 bytes at `at`. */
  numberOf(bytes: Uint8Array, at: number): number {
    for (let index = 0; index < this.#known.length; index++) {
      if (isAt(this.#known[index] as Uint32Array, bytes, at)) return index + 1;
    }
    if (this.#known.length === MAX_CHAINS) return OTHER_CHAIN;
    this.#known.push(wordsOf(bytes, at));
    return this.#known.length;
  }

  /** An announcement of this chain is live. */
  count(chain: number): void {
    this.#announcements[chain] = (this.#announcements[chain] as number) + 1;
  }

  /** The chain that all should be of: the expected one, else that of more than half; 0 when there is none. */
  wanted(): number {
    if (this.#expected) return 1;
    const total = this.#announcements.reduce((sum, count) => sum + count, 0);
    const most = this.#announcements.indexOf(Math.max(...this.#announcements));
    return most !== OTHER_CHAIN && (this.#announcements[most] as number) * 2 > total ? most : 0;
  }
}
