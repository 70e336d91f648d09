/**
 * A reader of gossip_store files that shares nothing with src/: it walks the headers as the format says and counts. What it
 * finds is what any other reader would find.
 */
import { readFileSync } from 'node:fs';

export interface StoreCount {
  readonly channel_announcements: number;
  readonly channel_updates: number;
  readonly node_announcements: number;
  readonly amounts: number;
  readonly deleted: number;
  /** Bytes up to the end of the last whole, completed record. */
  readonly bytes: number;
  /** Nothing stands behind that. */
  readonly isWhole: boolean;
}

const DELETED = 0x8000;
const COMPLETED = 0x2000;

/** @param path the file @param limit look at its first bytes only */
export const countStore = (path: string, limit = Number.POSITIVE_INFINITY): StoreCount => {
  const all = readFileSync(path);
  const bytes = all.subarray(0, Math.min(all.length, limit));
  if (bytes[0] !== 16) throw new Error(`version ${bytes[0]}`);
  const types = new Map<number, number>();
  let [at, deleted] = [1, 0];
  while (at + 12 <= bytes.length) {
    const flags = bytes.readUInt16BE(at);
    const end = at + 12 + bytes.readUInt16BE(at + 2);
    if (end > bytes.length || (flags & COMPLETED) === 0) break;
    const type = bytes.readUInt16BE(at + 12);
    if ((flags & DELETED) !== 0) deleted++;
    else types.set(type, (types.get(type) ?? 0) + 1);
    at = end;
  }
  const of = (type: number): number => types.get(type) ?? 0;
  return {
    channel_announcements: of(256),
    channel_updates: of(258),
    node_announcements: of(257),
    amounts: of(4101),
    deleted,
    bytes: at,
    isWhole: at === bytes.length,
  };
};
