/**
 * A sidecar as a plain list, for tests: the same calls as SidecarWriter, and what each record must then be known as.
 *
 * Deleted records in a row are shown as one, because the index may merge them at any time; `shown` brings both sides into
 * that form, so that two of them can be compared as text.
 */
import type { Rng } from '../base/rng.ts';
import {
  encodeChanDying,
  encodeChannelAmount,
  encodeDeleteChan,
  encodeUuid,
} from '../wire/gossip_store_messages.ts';
import {
  FLAG_COMPLETED,
  FLAG_DELETED,
  FLAG_DYING,
  type StoreRecord,
  storeOffset,
} from '../wire/store_record.ts';
import type { IndexEntry, Sidecar } from './sidecar.ts';
import { announcementOf, nodeOf, updateOf } from './store_samples.test.support.ts';

type Row = { -readonly [key in keyof IndexEntry]: IndexEntry[key] };

const SCID_HI = (number: number): number => Math.floor(((100_000 + number) * 2 ** 40 + 2 ** 16) / 2 ** 32);

/** A message of each kind with the key that the index should find in it; an amount gets that of the channel. */
export const sampleMessage = (
  kind: number,
  channel: number,
): {
  readonly bytes: Uint8Array;
  readonly keyHi: number;
  readonly keyLo: number;
  readonly direction: 0 | 1;
} => {
  const scid = { keyHi: SCID_HI(channel), keyLo: 65_536, direction: 0 as const };
  const none = { keyHi: 0, keyLo: 0, direction: 0 as const };
  switch (kind) {
    case 256:
      return { bytes: announcementOf(channel), ...scid };
    case 258:
      return { bytes: updateOf(channel, 0, 1000 + channel), ...scid };
    case 259:
      return { bytes: updateOf(channel, 1, 1000 + channel), ...scid, direction: 1 };
    case 257:
      return { bytes: nodeOf(channel, 1000), ...none };
    case 4101:
      return { bytes: encodeChannelAmount(5n), ...scid };
    case 4103:
      return { bytes: encodeDeleteChan(SCID_HI(channel), 65_536), ...scid };
    case 4106:
      return { bytes: encodeChanDying(SCID_HI(channel), 65_536, 9), ...scid };
  }
  return { bytes: encodeUuid(new Uint8Array(32)), ...none };
};

const KINDS = [257, 258, 259, 258, 259, 4103, 4106, 4107];

export class SidecarModel {
  readonly rows: Row[] = [];
  end = 1;

  /** Adds a record of `kind` and gives it back as the store would hand it to the writer. */
  add(kind: number, channel: number, flags = FLAG_COMPLETED, crc = channel * 7 + 1): StoreRecord {
    const { bytes, ...key } = sampleMessage(kind, channel);
    const type = kind === 259 ? 258 : kind;
    const timestamp = 1000 + channel;
    const position = this.end;
    this.rows.push({ position, length: bytes.length, flags, type, crc, timestamp, ...key, records: 1 });
    this.end = position + 12 + bytes.length;
    return { bytes, at: 0, length: bytes.length, type, flags, timestamp, offset: storeOffset(position + 12) };
  }

  setFlags(position: number, flags: number): void {
    for (const row of this.rows) if (row.position === position) row.flags |= flags;
  }

  setTimestamp(position: number, crc: number, timestamp: number): void {
    for (const row of this.rows) if (row.position === position) Object.assign(row, { crc, timestamp });
  }
}

/** One line for each live record or deleted range. */
export const shown = (entries: readonly IndexEntry[]): string => {
  const lines: string[] = [];
  let run: { position: number; end: number; records: number } | undefined;
  const endRun = (): void => {
    if (run !== undefined) lines.push(`${run.position}-${run.end} ${run.records} deleted`);
    run = undefined;
  };
  for (const entry of entries) {
    const end = entry.position + 12 + entry.length;
    if ((entry.flags & FLAG_DELETED) !== 0) {
      if (run !== undefined && run.end !== entry.position) endRun();
      run ??= { position: entry.position, end, records: 0 };
      run.end = end;
      run.records += entry.records;
      continue;
    }
    endRun();
    lines.push(JSON.stringify(entry, Object.keys(entry).sort()));
  }
  endRun();
  return lines.join('\n');
};

export const entriesOf = (sidecar: Sidecar): IndexEntry[] => {
  const entries: IndexEntry[] = [];
  sidecar.forEach((entry) => {
    entries.push({ ...entry });
  });
  return entries;
};

export type ModelCall =
  | { readonly call: 'add'; readonly record: StoreRecord; readonly crc: number }
  | { readonly call: 'setFlags'; readonly position: number; readonly flags: number }
  | {
      readonly call: 'setTimestamp';
      readonly position: number;
      readonly crc: number;
      readonly timestamp: number;
    }
  | { readonly call: 'flush' };

/** A random next step, applied to the model; channels come as announcement and amount. Flushes one time in `flushOneIn`. */
export const drawCalls = (model: SidecarModel, rng: Rng, flushOneIn = 8): ModelCall[] => {
  const pick = (count: number): number => Math.floor(rng.fraction() * count);
  const channel = pick(1000);
  const add = (kind: number, flags?: number): ModelCall => {
    const record = model.add(kind, channel, flags);
    return { call: 'add', record, crc: channel * 7 + 1 };
  };
  if (pick(flushOneIn) === 0) return [{ call: 'flush' }];
  const row = model.rows[pick(model.rows.length)];
  switch (row === undefined ? 9 : pick(10)) {
    case 0: {
      const position = row?.position ?? 0;
      const flags = pick(2) === 0 ? FLAG_DELETED : FLAG_DYING;
      model.setFlags(position, flags);
      return [{ call: 'setFlags', position, flags }];
    }
    case 1: {
      const position = row?.position ?? 0;
      const [crc, timestamp] = [pick(2 ** 32), pick(2 ** 32)];
      model.setTimestamp(position, crc, timestamp);
      return [{ call: 'setTimestamp', position, crc, timestamp }];
    }
    case 2:
      model.end += 1 + pick(5000);
      return [];
    case 3:
      return [add(KINDS[pick(KINDS.length)] as number, FLAG_COMPLETED | FLAG_DELETED)];
    case 4:
    case 5:
      return [add(256), add(4101)];
  }
  return [add(KINDS[pick(KINDS.length)] as number)];
};
