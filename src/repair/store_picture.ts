/**
 * StorePicture: a gossip_store by offset and kind, as cells of equal size. What `gossipd store-map` draws.
 *
 * drawStore walks the file once with the SalvageReader, any version from 3 on, whatever is damaged; each byte counts to one
 * class, and a cell shows the most important class that has a byte in it, or, among live records, the one with most bytes.
 * store_picture_text and store_picture_svg render the result. A cell covers a power of two of bytes, the smallest
 * with which the whole file fits.
 * Memory: the reader's, and 72 bytes for each cell; 20 damaged ranges are listed, all are counted.
 */
import { type GapKind, type Restored, SalvageReader } from '../store/salvage_reader.ts';
import type { StoreFile } from '../store/store_file.ts';
import { detectFormat, type StoreFormat } from '../store/versions.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { OBSOLETE_TYPE } from '../wire/obsolete_store_messages.ts';
import {
  FLAG_DYING,
  GOSSIP_STORE_CHAN_DYING,
  GOSSIP_STORE_CHANNEL_AMOUNT,
  GOSSIP_STORE_DELETE_CHAN,
  GOSSIP_STORE_ENDED,
  GOSSIP_STORE_UUID,
  type StoreRecord,
} from '../wire/store_record.ts';
import { PIECE_BYTES, type Task } from './task.ts';

/** From the most important one down. */
export const PICTURE_CLASSES = [
  'damaged',
  'tail',
  'unknown',
  'internal',
  'deleted',
  'dying',
  'announcement',
  'update',
  'node',
] as const;
export type PictureClass = (typeof PICTURE_CLASSES)[number];

/** For people. */
export const CLASS_MEANS: Readonly<Record<PictureClass, string>> = {
  damaged: 'damaged: no record can be read here, or its header is wrong',
  tail: 'tail: not completely written; a writer at work, or an unclean stop',
  unknown: 'unknown or malformed records',
  internal: 'internal: version, uuid, removals and other notes of the store',
  deleted: 'deleted records: dead weight',
  dying: 'records of channels whose funding is spent',
  announcement: 'channel_announcement with its amount',
  update: 'channel_update',
  node: 'node_announcement',
};

const FIRST_LIVE = PICTURE_CLASSES.indexOf('announcement');
const CLASS_COUNT = PICTURE_CLASSES.length;

export const LISTED_RANGES = 20;

export type DamageKind = GapKind | `header_${Restored}` | 'version_byte' | 'no_store';

export interface DamagedRange {
  readonly offset: number;
  readonly length: number;
  readonly kind: DamageKind;
}

export interface PictureCell {
  readonly offset: number;
  readonly length: number;
  /** Undefined for a cell that a cancelled walk did not reach. */
  readonly shows: PictureClass | undefined;
  /** Bytes of what it shows. */
  readonly bytes: number;
}

export interface ClassTotal {
  readonly name: PictureClass;
  readonly records: number;
  readonly bytes: number;
}

export interface StorePicture {
  readonly version: number | undefined;
  /** Undefined for an empty file. */
  readonly version_byte: number | undefined;
  readonly bytes: number;
  readonly cell_bytes: number;
  readonly columns: number;
  /** Only those that the file reaches. */
  readonly rows: number;
  readonly cells: readonly PictureCell[];
  readonly totals: readonly ClassTotal[];
  readonly records: number;
  readonly damaged_ranges: number;
  /** The first LISTED_RANGES. */
  readonly damaged: readonly DamagedRange[];
  readonly cancelled: 'interrupted' | 'max_duration' | undefined;
}

export interface PictureOptions {
  readonly file: StoreFile;
  readonly task: Task;
  readonly columns: number;
  readonly rows: number;
}

/** The smallest power of two with which `bytes` fit into `cells`. */
export const cellSize = (bytes: number, cells: number): number => {
  let size = 1;
  while (size * cells < bytes) size *= 2;
  return size;
};

const classOfType = (type: number): PictureClass => {
  switch (type) {
    case MESSAGE_TYPE.channel_announcement:
    case GOSSIP_STORE_CHANNEL_AMOUNT:
    case OBSOLETE_TYPE.wrapped_channel_announcement:
    case OBSOLETE_TYPE.wrapped_local_add_channel:
    case OBSOLETE_TYPE.private_channel:
    case OBSOLETE_TYPE.local_add_channel:
      return 'announcement';
    case MESSAGE_TYPE.channel_update:
    case OBSOLETE_TYPE.wrapped_channel_update:
    case OBSOLETE_TYPE.private_update:
      return 'update';
    case MESSAGE_TYPE.node_announcement:
    case OBSOLETE_TYPE.wrapped_node_announcement:
      return 'node';
    case GOSSIP_STORE_DELETE_CHAN:
    case GOSSIP_STORE_CHAN_DYING:
    case GOSSIP_STORE_ENDED:
    case GOSSIP_STORE_UUID:
    case OBSOLETE_TYPE.wrapped_channel_delete:
      return 'internal';
  }
  return 'unknown';
};

const classOfLive = ({ type, flags }: StoreRecord, format: StoreFormat): PictureClass => {
  const found = classOfType(type);
  const isDying = (flags & format.flags & FLAG_DYING) !== 0;
  return isDying && PICTURE_CLASSES.indexOf(found) >= FIRST_LIVE ? 'dying' : found;
};

/** Bytes by cell and class, and the totals. */
class Canvas {
  readonly cellBytes: number;
  readonly #columns: number;
  readonly #size: number;
  readonly #cells: Float64Array;
  readonly #bytes = new Float64Array(CLASS_COUNT);
  readonly #records = new Float64Array(CLASS_COUNT);
  readonly #damaged: { offset: number; length: number; kind: DamageKind }[] = [];
  #ranges = 0;
  #lastRange: { offset: number; length: number; kind: DamageKind } | undefined;

  constructor(size: number, columns: number, rows: number) {
    this.#size = size;
    this.#columns = columns;
    this.cellBytes = cellSize(size, columns * rows);
    this.#cells = new Float64Array(Math.ceil(size / this.cellBytes) * CLASS_COUNT);
  }

  /** Counts [start, end) to a class. */
  paint(name: PictureClass, start: number, end: number, records: number): void {
    const column = PICTURE_CLASSES.indexOf(name);
    const { cellBytes } = this;
    this.#records[column] = (this.#records[column] as number) + records;
    this.#bytes[column] = (this.#bytes[column] as number) + (end - start);
    let cell = Math.floor(start / cellBytes);
    for (let at = start; at < end; cell++) {
      const until = Math.min(end, (cell + 1) * cellBytes);
      const index = cell * CLASS_COUNT + column;
      this.#cells[index] = (this.#cells[index] as number) + (until - at);
      at = until;
    }
  }

  /** As paint, and lists the range; one that goes on where the last one of its kind ended is the same. */
  damage(name: 'damaged' | 'tail', kind: DamageKind, start: number, end: number, records: number): void {
    this.paint(name, start, end, records);
    const last = this.#lastRange;
    if (last !== undefined && last.kind === kind && last.offset + last.length === start) {
      last.length += end - start;
      return;
    }
    this.#lastRange = { offset: start, length: end - start, kind };
    if (this.#ranges++ < LISTED_RANGES) this.#damaged.push(this.#lastRange);
  }

  finish(): Pick<
    StorePicture,
    'rows' | 'cells' | 'totals' | 'records' | 'damaged_ranges' | 'damaged' | 'cell_bytes'
  > {
    const cells: PictureCell[] = [];
    const { cellBytes } = this;
    for (let offset = 0; offset < this.#size; offset += cellBytes) {
      const shows = this.#shown(cells.length);
      const column = shows === undefined ? 0 : PICTURE_CLASSES.indexOf(shows);
      cells.push({
        offset,
        length: Math.min(cellBytes, this.#size - offset),
        shows,
        bytes: shows === undefined ? 0 : (this.#cells[cells.length * CLASS_COUNT + column] as number),
      });
    }
    return {
      rows: Math.ceil(cells.length / this.#columns),
      cells,
      totals: PICTURE_CLASSES.map((name, index) => ({
        name,
        records: this.#records[index] as number,
        bytes: this.#bytes[index] as number,
      })),
      records: this.#records.reduce((sum, count) => sum + count, 0),
      damaged_ranges: this.#ranges,
      damaged: this.#damaged,
      cell_bytes: cellBytes,
    };
  }

  #shown(cell: number): PictureClass | undefined {
    const first = cell * CLASS_COUNT;
    for (let index = 0; index < FIRST_LIVE; index++)
      if ((this.#cells[first + index] as number) > 0) return PICTURE_CLASSES[index];
    let best: PictureClass | undefined;
    let most = 0;
    for (let index = FIRST_LIVE; index < CLASS_COUNT; index++) {
      const bytes = this.#cells[first + index] as number;
      if (bytes > most) {
        most = bytes;
        best = PICTURE_CLASSES[index];
      }
    }
    return best;
  }
}

/** What the reader just gave, onto the canvas. */
const paintStep = (
  canvas: Canvas,
  reader: SalvageReader,
  step: 'live' | 'deleted' | 'malformed' | 'gap',
  { format, size }: { readonly format: StoreFormat; readonly size: number },
): void => {
  const { position, end, gap, restored } = reader;
  if (step === 'gap') {
    const isTail = gap.atEnd && gap.kind === 'torn_tail';
    canvas.damage(isTail ? 'tail' : 'damaged', gap.kind, position, end, gap.records);
    return;
  }
  const name =
    step === 'deleted' ? 'deleted' : step === 'malformed' ? 'unknown' : classOfLive(reader.record, format);
  if (restored === undefined) {
    canvas.paint(name, position, end, 1);
    return;
  }
  if (restored === 'completed' && end === size) {
    canvas.damage('tail', 'header_completed', position, end, 1);
    return;
  }
  const message = Math.min(end, position + format.headerBytes);
  canvas.damage('damaged', `header_${restored}`, position, message, 0);
  canvas.paint(name, message, end, 1);
};

/**
 * Walks the file and counts. A walk that the task cancels gives the picture of what it saw, `cancelled` set.
 *
 * @throws OperationalError when the disk refuses
 */
export const drawStore = async ({ file, task, columns, rows }: PictureOptions): Promise<StorePicture> => {
  const size = file.size();
  const canvas = new Canvas(size, columns, rows);
  const detected = detectFormat(file);
  const { format, versionByte } = detected;
  let cancelled: StorePicture['cancelled'];
  if (format === undefined) {
    if (size > 0) canvas.damage('damaged', 'no_store', 0, size, 0);
  } else {
    if (detected.sniffed) canvas.damage('damaged', 'version_byte', 0, 1, 0);
    else canvas.paint('internal', 0, 1, 0);
    const reader = new SalvageReader(file, { format, limit: size });
    let breathed = 0;
    for (let step = reader.next(); step !== 'end'; step = reader.next()) {
      paintStep(canvas, reader, step, { format, size });
      if (reader.end - breathed < PIECE_BYTES) continue;
      task.progress('drawing', reader.end, size);
      await task.breathe(reader.end - breathed);
      breathed = reader.end;
      cancelled = task.cancelled();
      if (cancelled !== undefined) break;
    }
  }
  return {
    version: format?.version,
    version_byte: versionByte,
    bytes: size,
    columns,
    ...canvas.finish(),
    cancelled,
  };
};

/** Share of the file that is deleted records. */
export const deadWeight = (picture: StorePicture): number => {
  const dead = picture.totals.find(({ name }) => name === 'deleted')?.bytes ?? 0;
  return picture.bytes === 0 ? 0 : dead / picture.bytes;
};

/** 32 KiB and the like; powers of two as cells are. */
export const sizeText = (bytes: number): string => {
  const units = ['byte', 'KiB', 'MiB', 'GiB', 'TiB'];
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value} ${units[unit]}${unit === 0 && value !== 1 ? 's' : ''}`;
};
