/**
 * The message types that gossipd speaks (BOLT 1 and BOLT 7), by number and by name, and the size limit of the transport.
 *
 * Names are a closed set so that they can be metric labels: whatever a peer sends, the label is one of those below.
 * Classes of numbers (B1-31): setup 0-31, channel 32-127, commitment 128-255, gossip 256-511, custom from 32768.
 */

export const MESSAGE_TYPE = {
  warning: 1,
  init: 16,
  error: 17,
  ping: 18,
  pong: 19,
  channel_announcement: 256,
  node_announcement: 257,
  channel_update: 258,
  announcement_signatures: 259,
  query_short_channel_ids: 261,
  reply_short_channel_ids_end: 262,
  query_channel_range: 263,
  reply_channel_range: 264,
  gossip_timestamp_filter: 265,
} as const;

export type MessageTypeName = keyof typeof MESSAGE_TYPE;

/** The longest message that BOLT 8 frames: its length is a u16 (B8-14). The two bytes of the type are part of it. */
export const MAX_MESSAGE_BYTES = 65535;

/** Bytes of the type that opens every message. */
export const TYPE_BYTES = 2;

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(MESSAGE_TYPE).map(([name, number]): [number, string] => [number, name]),
);

/** `channel_update` and the like; `unknown_odd` or `unknown_even` for any other number. */
export const messageTypeName = (type: number): string =>
  NAMES.get(type) ?? (type % 2 === 0 ? 'unknown_even' : 'unknown_odd');
