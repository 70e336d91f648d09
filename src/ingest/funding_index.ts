/**
 * FundingIndex: which channels of the graph have these two bitcoin keys?
 *
 * A block shows of a spent funding output only the two-of-two script, so the spend watch looks channels up by its keys (B7-43). Ingest
 * adds each channel when it is accepted and takes it out when it leaves; at the start `build` reads all announcements of the
 * store, in slices, so that nothing else has to wait. The answer is a list of suspects: keys may be used twice, and 64 bits of hash
 * may collide; whoever asks confirms with the chain. A channel that has left unseen, with a damaged part of the store, is passed
 * over, because an entry counts only while the graph has its short_channel_id at the same place.
 * Entries are chained by hash in columns indexed like the graph's, so that adding and removing takes the same time however many
 * channels share their keys, and keys are hashed with a salt. Memory: 24 bytes of columns for each channel (links 8, hash 8, scid 8) and
 * 4 to 8 of table, with up to a half more while they grow: 2.4 MB for 50,000 channels, 48 MB for MAX_CHANNELS.
 */
import { readU32 } from '../base/bytes.ts';
import { NODE_ID_BYTES } from '../base/node_id.ts';
import type { Clock } from '../base/time.ts';
import type { NetworkGraph } from '../graph/network_graph.ts';
import {
  channelAnnouncementBitcoinKey1At,
  channelAnnouncementBitcoinKey2At,
} from '../wire/channel_announcement.ts';
import type { StorePort } from './ports.ts';

/** Some 10 microseconds for each announcement read; others get their turn in between. */
const SLICE_MS = 20;
const CHECK_CLOCK_EVERY = 64;
const NONE = -1;
const FIRST_CAPACITY = 1024;

const grown = <A extends Uint32Array | Int32Array>(from: A, to: A): A => {
  to.set(from);
  return to;
};

export class FundingIndex {
  readonly #graph: NetworkGraph;
  readonly #salt: number;
  #next = new Int32Array(FIRST_CAPACITY).fill(NONE);
  /** Channel before this one in its chain; NONE at the head; the channel itself when it is not in the index. */
  #previous = Int32Array.from({ length: FIRST_CAPACITY }, (_, channel) => channel);
  /** Two words of hash and two of scid for each channel. */
  #words = new Uint32Array(FIRST_CAPACITY * 4);
  /** First channel of each chain; a power of two. */
  #heads = new Int32Array(FIRST_CAPACITY).fill(NONE);
  #size = 0;
  // Answers of #hash.
  #hashHi = 0;
  #hashLo = 0;

  /** @param salt 32 bits that nobody can guess */
  constructor(graph: NetworkGraph, salt: number) {
    this.#graph = graph;
    this.#salt = salt >>> 0;
  }

  get size(): number {
    return this.#size;
  }

  memoryBytes(): number {
    return (
      this.#next.byteLength + this.#previous.byteLength + this.#words.byteLength + this.#heads.byteLength
    );
  }

  /** @param channel index in the graph @param raw its channel_announcement; borrowed */
  add(channel: number, raw: Uint8Array): void {
    this.#makeRoom(channel);
    this.remove(channel);
    this.#hash(raw, channelAnnouncementBitcoinKey1At(raw, 0), channelAnnouncementBitcoinKey2At(raw, 0));
    const words = this.#words;
    words[channel * 4] = this.#hashHi;
    words[channel * 4 + 1] = this.#hashLo;
    words[channel * 4 + 2] = this.#graph.scidHi(channel);
    words[channel * 4 + 3] = this.#graph.scidLo(channel);
    this.#link(channel);
    this.#size++;
    if (this.#size > this.#heads.length) this.#rehash();
  }

  /** The slot of the graph may be given to another channel from here on. */
  remove(channel: number): void {
    if (channel >= this.#next.length || this.#previous[channel] === channel) return;
    const next = this.#next[channel] as number;
    const previous = this.#previous[channel] as number;
    if (previous === NONE) this.#heads[this.#bucket(channel)] = next;
    else this.#next[previous] = next;
    if (next !== NONE) this.#previous[next] = previous;
    this.#previous[channel] = channel;
    this.#size--;
  }

  /** Channels of the graph that may have these keys, in any order of the two. The visitor must not add or remove. */
  forEachWithKeys(bytes: Uint8Array, key1At: number, key2At: number, visit: (channel: number) => void): void {
    this.#hash(bytes, key1At, key2At);
    const [hashHi, hashLo] = [this.#hashHi, this.#hashLo];
    const words = this.#words;
    let channel = this.#heads[hashLo & (this.#heads.length - 1)] as number;
    while (channel !== NONE) {
      const at = channel * 4;
      const isSame = words[at] === hashHi && words[at + 1] === hashLo;
      const [hi, lo] = [words[at + 2] as number, words[at + 3] as number];
      if (isSame && this.#graph.channelIndex(hi, lo) === channel) visit(channel);
      channel = this.#next[channel] as number;
    }
  }

  /**
   * Adds every channel that is in the graph now. Resolves when that is done, or at once after an abort.
   *
   * @returns how many announcements could not be read; the store fetches these again, and then they are added
   */
  async build(store: StorePort, clock: Clock, signal: AbortSignal): Promise<number> {
    const graph = this.#graph;
    const scids: number[] = [];
    graph.forEachChannel((channel) => scids.push(graph.scidHi(channel), graph.scidLo(channel)));
    let unread = 0;
    let sliceEndMs = clock.monotonicMs() + SLICE_MS;
    for (let at = 0; at < scids.length && !signal.aborted; at += 2) {
      // Channels come and go between the slices.
      const channel = graph.channelIndex(scids[at] as number, scids[at + 1] as number);
      const raw = channel < 0 ? undefined : store.readMessage(graph.channelOffset(channel));
      if (raw !== undefined) this.add(channel, raw);
      else if (channel >= 0) unread++;
      if (at % (2 * CHECK_CLOCK_EVERY) !== 0 || clock.monotonicMs() < sliceEndMs) continue;
      await new Promise<void>((resolve) => clock.after(0, resolve));
      sliceEndMs = clock.monotonicMs() + SLICE_MS;
    }
    return unread;
  }

  #bucket(channel: number): number {
    return (this.#words[channel * 4 + 1] as number) & (this.#heads.length - 1);
  }

  #link(channel: number): void {
    const bucket = this.#bucket(channel);
    const head = this.#heads[bucket] as number;
    this.#next[channel] = head;
    this.#previous[channel] = NONE;
    if (head !== NONE) this.#previous[head] = channel;
    this.#heads[bucket] = channel;
  }

  #makeRoom(channel: number): void {
    const before = this.#next.length;
    if (channel < before) return;
    const capacity = Math.max(channel + 1, Math.ceil(before * 1.5));
    this.#next = grown(this.#next, new Int32Array(capacity).fill(NONE));
    this.#words = grown(this.#words, new Uint32Array(capacity * 4));
    const previous = grown(this.#previous, new Int32Array(capacity));
    for (let index = before; index < capacity; index++) previous[index] = index;
    this.#previous = previous;
  }

  #rehash(): void {
    this.#heads = new Int32Array(this.#heads.length * 2).fill(NONE);
    for (let channel = 0; channel < this.#next.length; channel++) {
      if (this.#previous[channel] !== channel) this.#link(channel);
    }
  }

  /** The same for both orders of the keys. The first byte of a key tells one bit and is left out. */
  #hash(bytes: Uint8Array, key1At: number, key2At: number): void {
    let [sumHi, sumLo] = [0, 0];
    for (const keyAt of [key1At, key2At]) {
      let hi = this.#salt;
      let lo = ~this.#salt;
      for (let at = keyAt + 1; at < keyAt + NODE_ID_BYTES; at += 4) {
        const word = readU32(bytes, at);
        hi = Math.imul(hi ^ word, 0x85ebca6b);
        hi ^= hi >>> 13;
        lo = Math.imul(lo ^ word, 0xc2b2ae35);
        lo ^= lo >>> 16;
      }
      sumHi = (sumHi + hi) >>> 0;
      sumLo = (sumLo + lo) >>> 0;
    }
    this.#hashHi = sumHi;
    this.#hashLo = Math.imul(sumLo ^ (sumLo >>> 15), 0x9e3779b1) >>> 0;
  }
}
