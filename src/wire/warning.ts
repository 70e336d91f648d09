/**
 * warning (1): the peer tells us, or we tell it, that something is odd; the connection may go on
 * (BOLT 1, The error and warning Messages).
 *
 * The layout and its bounds are in notice.ts. gossipd has no channels, so a channel_id of one never means it (B1-23).
 */
import type { Decoded } from './fault.ts';
import { MESSAGE_TYPE } from './message_types.ts';
import { decodeNotice, encodeNotice, type Notice } from './notice.ts';

export type Warning = Notice;

/** Reads the message; `raw` includes the type. The fields borrow from `raw`. */
export const decodeWarning = (raw: Uint8Array): Decoded<Warning> => decodeNotice(raw, MESSAGE_TYPE.warning);

/** Throws Bug on a channel_id that is not 32 bytes or on more than MAX_NOTICE_DATA_BYTES of data. */
export const encodeWarning = (message: Warning): Uint8Array => encodeNotice(message, MESSAGE_TYPE.warning);
