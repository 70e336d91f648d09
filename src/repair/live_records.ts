/**
 * Walks over the records of a store that a plan keeps, in pieces that let signals and timers have their turn.
 *
 * The passes of repair/ that look for places and amounts use it, over the damaged store and over a backup alike. Also opens
 * the wrapped messages of version 3, so that those passes see one kind of message whatever the version.
 */
import { readU16 } from '../base/bytes.ts';
import { SalvageReader } from '../store/salvage_reader.ts';
import type { StoreFile } from '../store/store_file.ts';
import type { StoreFormat } from '../store/versions.ts';
import { channelAnnouncementChainHashAt } from '../wire/channel_announcement.ts';
import { channelUpdateChainHashAt } from '../wire/channel_update.ts';
import { MESSAGE_TYPE, TYPE_BYTES } from '../wire/message_types.ts';
import { OBSOLETE_TYPE, wrappedAt, wrappedLength } from '../wire/obsolete_store_messages.ts';
import { GOSSIP_STORE_DELETE_CHAN, type StoreRecord } from '../wire/store_record.ts';
import type { PositionSet } from './positions.ts';
import { PIECE_BYTES, type Task } from './task.ts';

const CHAIN_HASH_BYTES = 32;

/** A store as a plan found it; only ever read. */
export interface ReadSource {
  readonly file: StoreFile;
  readonly format: StoreFormat;
  /** Bytes that were there when the plan was made; what a writer adds later is not looked at. */
  readonly bytes: number;
  readonly restoreBits: boolean;
}

export const openReader = (source: ReadSource, from?: number): SalvageReader =>
  new SalvageReader(source.file, {
    format: source.format,
    limit: source.bytes,
    restoreBits: source.restoreBits,
    ...(from === undefined ? {} : { from }),
  });

/** Where the gossip message of a record lies. Reused: valid until the next call. */
export interface InnerMessage {
  type: number;
  /** Index of its type in the record's bytes. */
  at: number;
  length: number;
}

const inner: InnerMessage = { type: 0, at: 0, length: 0 };

/** The record's own message, or the one that a record of version 3 wraps. The record has passed the check of its version. */
export const messageOf = (record: StoreRecord): InnerMessage => {
  const { bytes, at } = record;
  inner.type = record.type;
  inner.at = at;
  inner.length = record.length;
  switch (record.type) {
    case OBSOLETE_TYPE.wrapped_channel_announcement:
    case OBSOLETE_TYPE.wrapped_channel_update:
    case OBSOLETE_TYPE.wrapped_node_announcement:
      inner.at = wrappedAt(bytes, at);
      inner.length = wrappedLength(bytes, at);
      inner.type = readU16(bytes, inner.at);
      break;
    case OBSOLETE_TYPE.wrapped_channel_delete:
      // The scid lies where a delete_chan has it.
      inner.type = GOSSIP_STORE_DELETE_CHAN;
      break;
  }
  return inner;
};

/** Index of the eight bytes of the short_channel_id. Of an announcement, an update, or a delete_chan or chan_dying. */
export const scidAt = (message: InnerMessage, bytes: Uint8Array): number => {
  switch (message.type) {
    case MESSAGE_TYPE.channel_announcement:
      return channelAnnouncementChainHashAt(bytes, message.at) + CHAIN_HASH_BYTES;
    case MESSAGE_TYPE.channel_update:
      return channelUpdateChainHashAt(bytes, message.at) + CHAIN_HASH_BYTES;
  }
  return message.at + TYPE_BYTES;
};

/** @returns false when the task was cancelled */
export const eachLiveRecord = async (
  source: ReadSource,
  drops: PositionSet,
  task: Task,
  label: string,
  visit: (record: StoreRecord, position: number, end: number) => void,
): Promise<boolean> => {
  const reader = openReader(source);
  let breathed = 0;
  for (let step = reader.next(); step !== 'end'; step = reader.next()) {
    if (step === 'live' && !drops.has(reader.position)) visit(reader.record, reader.position, reader.end);
    if (reader.end - breathed < PIECE_BYTES) continue;
    task.progress(label, reader.end, source.bytes);
    await task.breathe(reader.end - breathed);
    breathed = reader.end;
    if (task.cancelled() !== undefined) return false;
  }
  return true;
};
