/**
 * error (17): the peer tells us, or we tell it, of a violation that ends the use of the connection or of a channel
 * (BOLT 1, The error and warning Messages).
 *
 * The layout and its bounds are in notice.ts. gossipd has no channels, so a channel_id of one never means it (B1-23).
 */
import type { Decoded } from './fault.ts';
import { MESSAGE_TYPE } from './message_types.ts';
import { decodeNotice, encodeNotice, type Notice } from './notice.ts';

export type ErrorMessage = Notice;

/** Reads the message; `raw` includes the type. The fields borrow from `raw`. */
export const decodeError = (raw: Uint8Array): Decoded<ErrorMessage> => decodeNotice(raw, MESSAGE_TYPE.error);

/** Throws Bug on a channel_id that is not 32 bytes or on more than MAX_NOTICE_DATA_BYTES of data. */
export const encodeError = (message: ErrorMessage): Uint8Array => encodeNotice(message, MESSAGE_TYPE.error);
