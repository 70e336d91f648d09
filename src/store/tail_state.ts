/**
 * The state file of a tail: what was told, and where reading is, so that a killed tail goes on exactly.
 *
 * tail.ts writes an event's operations here before it hands the event out, so the file is never behind its reader; which events
 * were really taken the reader says by its cursor, or `delivered` does. Layout: eight bytes of magic, then blocks of u32
 * length, u32 CRC-32C (continued from the block's number), and a body whose first byte is its kind: one head, the table's
 * entries, the last operations before them (so that a cursor of up to UNDO_OPERATIONS ago can be gone back to), then
 * operations as they come. A whole file is written under a temporary name, synced and renamed; appended operations are
 * synced at most once a second. An end that is cut off is what a power cut leaves; anything else that does not verify is damage.
 * Size: 25 bytes a key and 2.9 MB of operations, before it is written anew once as much again was appended.
 */
import { concatBytes, readU32, writeU32 } from '../base/bytes.ts';
import { crc32c } from '../wire/crc32c.ts';
import type { StoreFile, StoreFolder } from './store_file.ts';
import type { TailPlace } from './tail_cursor.ts';
import { decodePlace, encodePlace, OPERATION_BYTES, type TailLedger } from './tail_ledger.ts';

/** A mainnet store changes about once a second: the cursors of half a day. */
export const UNDO_OPERATIONS = 65_536;
const MAGIC = Uint8Array.of(0x47, 0x53, 0x54, 0x41, 0x49, 0x4c, 0x31, 0x0a);
const BLOCK_HEADER_BYTES = 8;
const ENTRY_BYTES = 25;
const ENTRIES_A_BLOCK = 32_768;
const MAX_BLOCK_BYTES = 64 * 1024 * 1024;
/** A state file is written anew when more than this, and more than itself, was appended. */
const MIN_REWRITE_BYTES = 4 * 1024 * 1024;
const KIND = { head: 1, entries: 2, operations: 3 } as const;
const TWO_32 = 4294967296;

export interface TailContext {
  readonly stream: string;
  readonly generation: number;
}

export type LoadedState =
  | { readonly found: 'nothing' }
  | { readonly found: 'damage'; readonly reason: string }
  | { readonly found: 'state'; readonly context: TailContext; readonly operations: readonly Uint8Array[] };

/** Keeps the operations of the recent past. */
export class UndoHistory {
  #blocks: Uint8Array[] = [];
  #bytes = 0;

  get blocks(): readonly Uint8Array[] {
    return this.#blocks;
  }

  /** Drops what is older than UNDO_OPERATIONS, by whole blocks. */
  add(block: Uint8Array): void {
    this.#blocks.push(block);
    this.#bytes += block.length;
    let dropped = 0;
    for (const oldest of this.#blocks) {
      if (this.#bytes - oldest.length < UNDO_OPERATIONS * OPERATION_BYTES) break;
      this.#bytes -= oldest.length;
      dropped++;
    }
    if (dropped > 0) this.#blocks = this.#blocks.slice(dropped);
  }
}

const writeNumber = (bytes: Uint8Array, at: number, value: number): void => {
  writeU32(bytes, at, Math.floor(value / TWO_32));
  writeU32(bytes, at + 4, value % TWO_32);
};
const readNumber = (bytes: Uint8Array, at: number): number =>
  readU32(bytes, at) * TWO_32 + readU32(bytes, at + 4);

const encodeBlock = (number: number, kind: number, ...parts: readonly Uint8Array[]): Uint8Array => {
  const body = concatBytes(Uint8Array.of(kind), ...parts);
  const header = new Uint8Array(BLOCK_HEADER_BYTES);
  writeU32(header, 0, body.length);
  writeU32(header, 4, crc32c(number, body, 0, body.length));
  return concatBytes(header, body);
};

/** 4 stream, 8 sequence, 8 delivered, 4 generation, 4 entry blocks, 4 operation blocks in the first writing, the place. */
const HEAD_BYTES = 32 + OPERATION_BYTES;

interface Head {
  readonly stream: number;
  readonly sequence: number;
  readonly delivered: number;
  readonly generation: number;
  readonly entryBlocks: number;
  readonly operationBlocks: number;
  readonly place: TailPlace;
}

const encodeHead = (head: Head): Uint8Array => {
  const bytes = new Uint8Array(HEAD_BYTES);
  writeU32(bytes, 0, head.stream);
  writeNumber(bytes, 4, head.sequence);
  writeNumber(bytes, 12, head.delivered);
  writeU32(bytes, 20, head.generation);
  writeU32(bytes, 24, head.entryBlocks);
  writeU32(bytes, 28, head.operationBlocks);
  bytes.set(encodePlace(head.sequence, head.place), 32);
  return bytes;
};

const decodeHead = (bytes: Uint8Array, at: number): Head => ({
  stream: readU32(bytes, at),
  sequence: readNumber(bytes, at + 4),
  delivered: readNumber(bytes, at + 12),
  generation: readU32(bytes, at + 20),
  entryBlocks: readU32(bytes, at + 24),
  operationBlocks: readU32(bytes, at + 28),
  place: decodePlace(bytes, at + 32),
});

/** The blocks' bodies as views; the number of whole blocks, and whether what follows them is only a cut-off end. */
const splitBlocks = (bytes: Uint8Array): { readonly bodies: Uint8Array[]; readonly isDamaged: boolean } => {
  const bodies: Uint8Array[] = [];
  let at = MAGIC.length;
  while (at < bytes.length) {
    if (bytes.length - at < BLOCK_HEADER_BYTES) return { bodies, isDamaged: false };
    const length = readU32(bytes, at);
    const from = at + BLOCK_HEADER_BYTES;
    if (length < 1 || length > MAX_BLOCK_BYTES) return { bodies, isDamaged: !isBlank(bytes, at) };
    if (from + length > bytes.length) return { bodies, isDamaged: false };
    const body = bytes.subarray(from, from + length);
    if (crc32c(bodies.length, body, 0, length) !== readU32(bytes, at + 4)) {
      // The last block may have been cut off by a power cut that kept the file's length.
      return { bodies, isDamaged: from + length < bytes.length && !isBlank(bytes, from + length) };
    }
    bodies.push(body);
    at = from + length;
  }
  return { bodies, isDamaged: false };
};

const isBlank = (bytes: Uint8Array, from: number): boolean => {
  for (let index = from; index < bytes.length; index++) if (bytes[index] !== 0) return false;
  return true;
};

/** Fills the table of `ledger` and its numbers. Throws what reading throws, but for a file that is not there. */
export const loadTailState = (folder: StoreFolder, name: string, ledger: TailLedger): LoadedState => {
  if (!folder.exists(name)) return { found: 'nothing' };
  const file = folder.open(name, 'read');
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(file.size());
    bytes = bytes.subarray(0, file.read(bytes, 0, bytes.length, 0));
  } finally {
    file.close();
  }
  if (MAGIC.some((byte, index) => bytes[index] !== byte)) {
    return { found: 'damage', reason: 'it is no state of a tail' };
  }
  const { bodies, isDamaged } = splitBlocks(bytes);
  const first = bodies[0];
  if (isDamaged || first?.[0] !== KIND.head || first.length !== 1 + HEAD_BYTES) {
    return { found: 'damage', reason: 'a checksum is wrong' };
  }
  const head = decodeHead(first, 1);
  const written = 1 + head.entryBlocks + head.operationBlocks;
  if (bodies.length < written) return { found: 'damage', reason: 'its end is missing' };
  for (const body of bodies.slice(1, 1 + head.entryBlocks)) enterEntries(body, ledger);
  ledger.sequence = head.sequence;
  ledger.delivered = head.delivered;
  ledger.place = head.place;
  const operations = bodies.slice(1 + head.entryBlocks).map((body) => body.slice(1));
  for (const later of operations.slice(head.operationBlocks)) ledger.redo(later);
  return {
    found: 'state',
    context: { stream: head.stream.toString(16).padStart(8, '0'), generation: head.generation },
    operations,
  };
};

const enterEntries = (body: Uint8Array, { table }: TailLedger): void => {
  for (let at = 1; at + ENTRY_BYTES <= body.length; at += ENTRY_BYTES) {
    table.set(
      body[at] as number,
      readU32(body, at + 1),
      readU32(body, at + 5),
      readU32(body, at + 9),
      readU32(body, at + 13),
      readNumber(body, at + 17),
    );
  }
};

const entryBlocksOf = ({ table }: TailLedger): Uint8Array[] => {
  const blocks: Uint8Array[] = [];
  let block = new Uint8Array(ENTRIES_A_BLOCK * ENTRY_BYTES);
  let used = 0;
  const close = (): void => {
    if (used > 0) blocks.push(block.slice(0, used));
    used = 0;
  };
  for (let slot = 0; slot < table.slots; slot++) {
    if (table.kindAt(slot) === 0) continue;
    if (used === block.length) close();
    block[used] = table.kindAt(slot);
    writeU32(block, used + 1, table.hiAt(slot));
    writeU32(block, used + 5, table.loAt(slot));
    writeU32(block, used + 9, table.timestampAt(slot));
    writeU32(block, used + 13, table.contentAt(slot));
    writeNumber(block, used + 17, table.positionAt(slot));
    used += ENTRY_BYTES;
  }
  close();
  block = new Uint8Array(0);
  return blocks;
};

/** Writes one state file. Every method throws what the disk throws; `write` then starts anew. */
export class TailStateFile {
  readonly #folder: StoreFolder;
  readonly #name: string;
  #file: StoreFile | undefined;
  #blocks = 0;
  #size = 0;
  #rewriteAt = 0;
  #isDirty = false;

  constructor(folder: StoreFolder, name: string) {
    this.#folder = folder;
    this.#name = name;
  }

  /** True until write() has succeeded, and when so much was appended that the file should be written anew. */
  get wantsWriting(): boolean {
    return this.#file === undefined || this.#size > this.#rewriteAt;
  }

  /** Everything anew: durable when it resolves. Operations must not be taken from the ledger meanwhile. */
  async write(
    ledger: TailLedger,
    place: TailPlace,
    context: TailContext,
    history: UndoHistory,
  ): Promise<void> {
    const entries = entryBlocksOf(ledger);
    const operations = history.blocks;
    const head = encodeHead({
      stream: Number.parseInt(context.stream, 16),
      sequence: ledger.sequence,
      delivered: ledger.delivered,
      generation: context.generation,
      entryBlocks: entries.length,
      operationBlocks: operations.length,
      place,
    });
    this.close();
    const temporary = `${this.#name}.tmp`;
    const file = this.#folder.open(temporary, 'create');
    try {
      let size = 0;
      let blocks = 0;
      const put = (bytes: Uint8Array): void => {
        file.write(bytes, size);
        size += bytes.length;
      };
      put(MAGIC);
      put(encodeBlock(blocks++, KIND.head, head));
      for (const entry of entries) put(encodeBlock(blocks++, KIND.entries, entry));
      for (const block of operations) put(encodeBlock(blocks++, KIND.operations, block));
      await file.dataSync();
      this.#folder.rename(temporary, this.#name);
      await this.#folder.sync();
      [this.#file, this.#blocks, this.#size, this.#isDirty] = [file, blocks, size, false];
      this.#rewriteAt = Math.max(MIN_REWRITE_BYTES, 2 * size);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Survives the end of the process when it returns, and a power cut after the next sync(). */
  append(operations: Uint8Array): void {
    if (this.#file === undefined) return;
    const block = encodeBlock(this.#blocks, KIND.operations, operations);
    try {
      this.#file.write(block, this.#size);
    } catch (error) {
      this.close();
      throw error;
    }
    this.#blocks++;
    this.#size += block.length;
    this.#isDirty = true;
  }

  async sync(): Promise<void> {
    if (!this.#isDirty || this.#file === undefined) return;
    this.#isDirty = false;
    await this.#file.dataSync();
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }
}
