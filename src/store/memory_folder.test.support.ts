/**
 * A simulated disk for tests: a StoreFolder in memory that can stop, fail, tear and forget.
 *
 * Tests hand it to the store in place of nodeStoreFolder. It keeps every write apart until a sync makes it durable, and
 * the same for names until the directory is synced; `crash` then yields a folder as the disk might be found after a power
 * cut: any subset of what was not durable, each write whole, torn or lost, names up to any point of their history.
 * After a failed fsync it behaves as Linux does: what was not written counts as clean, and a later sync does not cover it.
 * `stopAfter(k)` ends the process in the k-th operation: that one is applied up to a number of bytes, all later ones throw.
 */
import { OperationalError } from '../base/errors.ts';
import type { FileIdentity, OpenMode, StoreFile, StoreFolder, StoreLock } from './store_file.ts';

interface DiskWrite {
  readonly position: number;
  readonly bytes: Uint8Array;
  /** `forgotten`: a sync failed on it, so that later syncs do not cover it. */
  state: 'dirty' | 'forgotten' | 'durable';
}

interface Inode {
  readonly number: number;
  /** What a process sees. */
  live: Uint8Array;
  size: number;
  /** What is on disk, but for `writes`. */
  base: Uint8Array;
  /** In order; the durable ones at the front are folded into `base`. */
  readonly writes: DiskWrite[];
}

type Names = ReadonlyMap<string, Inode>;

export type FaultyCall = 'write' | 'dataSync' | 'rename' | 'syncDirectory' | 'create' | 'read';

/** What becomes of a write that was not durable: how many of its bytes reach the disk. */
export type Fate = (write: { readonly index: number; readonly length: number }) => number;

export interface CrashOptions {
  /** Called for each write that is not durable; all bytes are kept unless given. */
  readonly fate?: Fate;
  /** How many of the unsynced changes of names are kept; all unless given. */
  readonly names?: number;
  /** Puts the writes that are kept into another order; for tests of what no disk should do. */
  readonly reorder?: <T>(writes: T[]) => T[];
}

const WITHIN_A_PAGE_BYTES = 8;

const grown = (bytes: Uint8Array, size: number): Uint8Array => {
  if (size <= bytes.length) return bytes;
  const larger = new Uint8Array(Math.max(size, bytes.length * 2, 256));
  larger.set(bytes);
  return larger;
};

const errorFor = (code: string, what: string): OperationalError =>
  new OperationalError(code, 'degrade', `${what}: ${code} (simulated)`, 'This disk is simulated.');

export class MemoryFolder implements StoreFolder {
  readonly path = 'memory';
  /** Operations that change something, counted from the start. */
  operations = 0;
  /** True once stopAfter() has struck: the process is over. */
  stopped = false;
  /** Bytes that all files together may hold. */
  capacityBytes = Number.POSITIVE_INFINITY;

  #names = new Map<string, Inode>();
  /** The names after each change since the last sync of the directory; the first is the durable state. */
  #history: Names[] = [new Map()];
  #inodes = 0;
  #stopAt = Number.POSITIVE_INFINITY;
  #tornBytes = 0;
  readonly #faults = new Map<FaultyCall, { code: string; left: number }>();
  readonly #locks = new Set<string>();

  /** Ends the process in its operation number `operations`, counted from now; a write then keeps `tornBytes` of its bytes. */
  stopAfter(operations: number, tornBytes = 0): void {
    this.#stopAt = this.operations + operations;
    this.#tornBytes = tornBytes;
  }

  /** The process was killed and another one starts: what was written is still there to be read, and still not durable. */
  restart(): void {
    this.stopped = false;
    this.#stopAt = Number.POSITIVE_INFINITY;
    this.#locks.clear();
  }

  /** Makes the next `times` calls fail with a code of STORE_ERROR_CODES; a failing write of more than 8 bytes writes half. */
  fail(call: FaultyCall, code: 'disk_full' | 'disk_error', times = 1): void {
    this.#faults.set(call, { code, left: times });
  }

  heal(): void {
    this.#faults.clear();
    this.capacityBytes = Number.POSITIVE_INFINITY;
  }

  /** What a process sees of the file now. */
  contents(name: string): Uint8Array {
    const inode = this.#names.get(name);
    if (inode === undefined) throw errorFor('store_missing', name);
    return inode.live.slice(0, inode.size);
  }

  /** Puts a durable file there. */
  place(name: string, bytes: Uint8Array): void {
    this.#names.set(name, this.#newInode(bytes));
    this.#history = [new Map(this.#names)];
  }

  /** Writes and changes of names that a crash could lose. */
  unsyncedWrites(): number {
    let count = 0;
    for (const inode of this.#everyInode())
      count += inode.writes.filter((write) => write.state !== 'durable').length;
    return count;
  }

  get unsyncedNames(): number {
    return this.#history.length - 1;
  }

  /** The disk after a power cut at this instant, in a new folder; this one stays as it is. */
  crash(options: CrashOptions = {}): MemoryFolder {
    const after = new MemoryFolder();
    const kept = Math.min(options.names ?? this.unsyncedNames, this.unsyncedNames);
    const names = this.#history[kept] ?? new Map<string, Inode>();
    const images = new Map<Inode, Inode>();
    let index = 0;
    for (const [name, inode] of names) {
      let image = images.get(inode);
      if (image === undefined) {
        const writes: DiskWrite[] = [];
        for (const write of inode.writes) {
          const { length } = write.bytes;
          const keep =
            write.state === 'durable' ? length : (options.fate ?? (() => length))({ index: index++, length });
          if (keep > 0) writes.push({ ...write, bytes: write.bytes.subarray(0, keep) });
        }
        image = after.#newInode(inode.base);
        for (const write of options.reorder?.(writes) ?? writes) applyWrite(image, write);
        image.base = image.live.slice(0, image.size);
        images.set(inode, image);
      }
      after.#names.set(name, image);
    }
    after.#history = [new Map(after.#names)];
    return after;
  }

  readonly open = (name: string, mode: OpenMode): StoreFile => {
    let inode = this.#names.get(name);
    if (mode === 'create') {
      this.#operation('create');
      inode = this.#newInode(new Uint8Array(0));
      this.#setName(name, inode);
    }
    if (inode === undefined) throw errorFor('store_missing', `opening ${name}`);
    return this.#file(inode);
  };

  readonly exists = (name: string): boolean => this.#names.has(name);

  readonly identity = (name: string): FileIdentity | undefined => {
    const inode = this.#names.get(name);
    return inode === undefined ? undefined : { dev: 1, ino: inode.number };
  };

  readonly rename = (from: string, to: string): void => {
    this.#operation('rename');
    const inode = this.#names.get(from);
    if (inode === undefined) throw errorFor('store_missing', `renaming ${from}`);
    this.#names.delete(from);
    this.#setName(to, inode);
  };

  readonly link = (from: string, to: string): void => {
    this.#operation();
    const inode = this.#names.get(from);
    if (inode === undefined) throw errorFor('store_missing', `linking ${from}`);
    if (this.#names.has(to)) throw errorFor('disk_error', `linking to ${to}`);
    this.#setName(to, inode);
  };

  readonly remove = (name: string): void => {
    this.#operation();
    this.#names.delete(name);
    this.#history.push(new Map(this.#names));
  };

  readonly sync = async (): Promise<void> => {
    await Promise.resolve();
    this.#operation('syncDirectory');
    this.#history = [new Map(this.#names)];
  };

  readonly list = (): readonly string[] => [...this.#names.keys()];

  readonly freeBytes = (): number => Math.max(0, this.capacityBytes - this.#usedBytes());

  readonly lock = (name: string): StoreLock => {
    if (this.#locks.has(name)) throw errorFor('store_locked', name);
    this.#locks.add(name);
    return { release: () => this.#locks.delete(name) };
  };

  #file(inode: Inode): StoreFile {
    return {
      read: (buffer, start, length, position) => {
        this.#fault('read');
        const got = Math.max(0, Math.min(length, inode.size - position));
        buffer.set(inode.live.subarray(position, position + got), start);
        return got;
      },
      write: (bytes, position) => this.#write(inode, bytes, position),
      size: () => inode.size,
      dataSync: () => this.#dataSync(inode),
      close: () => {},
      identity: () => ({ dev: 1, ino: inode.number }),
    };
  }

  #write(inode: Inode, bytes: Uint8Array, position: number): void {
    const keep = (length: number): void => {
      if (length === 0) return;
      const write: DiskWrite = { position, bytes: bytes.slice(0, length), state: 'dirty' };
      inode.writes.push(write);
      applyWrite(inode, write);
    };
    try {
      this.#operation('write');
    } catch (error) {
      // A write that fails may have reached some pages; the few bytes of a flag or a header lie in one.
      const half = bytes.length > WITHIN_A_PAGE_BYTES ? bytes.length >> 1 : 0;
      keep(this.stopped ? Math.min(this.#tornBytes, bytes.length) : half);
      this.#tornBytes = 0;
      throw error;
    }
    const growth = Math.max(0, position + bytes.length - inode.size);
    const missing = growth - this.freeBytes();
    if (missing > 0) {
      keep(Math.max(0, bytes.length - missing));
      throw errorFor('disk_full', 'writing');
    }
    keep(bytes.length);
  }

  /** What was written before the call is durable after it; what is written meanwhile is not. */
  async #dataSync(inode: Inode): Promise<void> {
    const covered = inode.writes.filter((write) => write.state === 'dirty');
    await Promise.resolve();
    try {
      this.#operation('dataSync');
    } catch (error) {
      if (!this.stopped) for (const write of covered) write.state = 'forgotten';
      throw error;
    }
    for (const write of covered) write.state = 'durable';
    while (inode.writes[0]?.state === 'durable') {
      const write = inode.writes.shift();
      if (write === undefined) break;
      const end = write.position + write.bytes.length;
      const base = end > inode.base.length ? new Uint8Array(end) : inode.base;
      if (base !== inode.base) base.set(inode.base);
      base.set(write.bytes, write.position);
      inode.base = base;
    }
  }

  /** Counts an operation; throws if the process ends in it, or if it was told to fail. */
  #operation(call?: FaultyCall): void {
    if (this.stopped) throw errorFor('simulated_stop', 'the process is over');
    if (this.operations >= this.#stopAt) {
      this.stopped = true;
      throw errorFor('simulated_stop', 'the process ends here');
    }
    this.operations++;
    if (call !== undefined) this.#fault(call);
  }

  #fault(call: FaultyCall): void {
    const fault = this.#faults.get(call);
    if (fault === undefined || fault.left <= 0) return;
    fault.left--;
    throw errorFor(fault.code, call);
  }

  #setName(name: string, inode: Inode): void {
    this.#names.set(name, inode);
    this.#history.push(new Map(this.#names));
  }

  #newInode(bytes: Uint8Array): Inode {
    return {
      number: ++this.#inodes,
      live: bytes.slice(),
      size: bytes.length,
      base: bytes.slice(),
      writes: [],
    };
  }

  #everyInode(): Set<Inode> {
    return new Set([...this.#names.values(), ...this.#history.flatMap((names) => [...names.values()])]);
  }

  #usedBytes(): number {
    let used = 0;
    for (const inode of new Set(this.#names.values())) used += inode.size;
    return used;
  }
}

const applyWrite = (inode: Inode, { position, bytes }: DiskWrite): void => {
  inode.live = grown(inode.live, position + bytes.length);
  inode.live.set(bytes, position);
  inode.size = Math.max(inode.size, position + bytes.length);
};

/** An empty simulated disk. */
export const memoryStoreFolder = (): MemoryFolder => new MemoryFolder();
