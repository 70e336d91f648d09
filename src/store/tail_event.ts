/**
 * What a tail tells and is told: its events, its notices, its options. tail.ts makes the events; see there for the guarantee.
 */
import type { OperationalError } from '../base/errors.ts';
import type { Rng } from '../base/rng.ts';
import type { Clock } from '../base/time.ts';
import type { StoreOffset, StoreRecord } from '../wire/store_record.ts';
import type { Gap, Restored } from './salvage_reader.ts';
import type { StoreFolder } from './store_file.ts';
import type { TailWait } from './tail_source.ts';

export const TAIL_EVENTS = [
  'channel_announcement',
  'channel_update',
  'node_announcement',
  'channel_dying',
  'channel_deleted',
] as const;
export type TailEventKind = (typeof TAIL_EVENTS)[number];

/** Why a channel_deleted is told: a tombstone; the announcement was flagged; it is not in the file that replaced the other. */
export type DeletionReason = 'delete_chan' | 'flag' | 'absent';

/** Borrowed until the next call of next(). */
export interface TailEvent {
  readonly event: TailEventKind;
  /** Counts from 1; goes on with the state or the cursor. */
  readonly sequence: number;
  /** Opens a tail that goes on behind this event. */
  readonly cursor: string;
  /** Where the record's message is; 0 for a deletion that no record tells. */
  readonly offset: StoreOffset;
  /** Counts the files read, from 0. */
  readonly generation: number;
  /** Of the file that is read. */
  readonly version: number;
  /** Of the file, in hex; undefined before version 16. */
  readonly uuid: string | undefined;
  /** The record; undefined for a deletion that no record tells. */
  readonly record: StoreRecord | undefined;
  /** Of channel_announcement; undefined if no amount follows it. */
  readonly satoshis: number | undefined;
  /** Of channel_deleted. */
  readonly reason: DeletionReason | undefined;
  /** Halves of the short_channel_id of channel_deleted; 0 else. */
  readonly scidHi: number;
  readonly scidLo: number;
}

export type TailNotice =
  | { readonly kind: 'waiting_for_file' }
  | { readonly kind: 'file_replaced'; readonly version: number }
  /** Damage was passed; what was in it is not told. */
  | { readonly kind: 'gap'; readonly gap: Gap }
  | { readonly kind: 'restored'; readonly position: number; readonly restored: Restored }
  /** Channels that the new file lacks are not told as deleted: it is damaged, or holds less than half of them. */
  | { readonly kind: 'deletions_withheld'; readonly channels: number; readonly reason: 'damaged' | 'emptied' }
  | { readonly kind: 'state_damaged'; readonly reason: string }
  | { readonly kind: 'state_not_written'; readonly error: OperationalError }
  /** Neither state nor file know the cursor: everything is told again. */
  | { readonly kind: 'cursor_unknown' }
  | { readonly kind: 'unreadable'; readonly error: OperationalError };

export interface TailOptions {
  readonly folder: StoreFolder;
  /** `gossip_store` unless given. */
  readonly name?: string;
  readonly clock: Clock;
  readonly rng: Rng;
  /** `start`: what is in the file comes first. `end` unless given. A file that appears later is always read from its start. */
  readonly from?: 'start' | 'end';
  /** Goes on behind this event; `from` is then not looked at. */
  readonly cursor?: string;
  /** Where the tail keeps what it has told. One tail at a time may have it. */
  readonly state?: { readonly folder: StoreFolder; readonly name: string };
  readonly onNotice?: (notice: TailNotice) => void;
}

export interface Tail {
  /** The next event; undefined when there is none for now. Throws what the disk throws, after which it may be called again. */
  readonly next: () => TailEvent | undefined;
  /** Why next() gave nothing. `file`: none has the name. */
  readonly waitingFor: TailWait | 'file';
  readonly generation: number;
  /** Makes the events so far survive a kill: to be awaited before they are handed on. Nothing without a state. Never rejects. */
  readonly persist: () => Promise<void>;
  /** The events so far have reached whoever they are for. */
  readonly markDelivered: () => void;
  /** Persists, syncs and closes. Never rejects. */
  readonly close: () => Promise<void>;
}
