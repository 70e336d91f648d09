/**
 * Tells whether the bytes behind the last completed record are one batch that was written whole.
 *
 * load.ts asks when it meets a record that is not COMPLETED. The writer puts a batch into the file with one write in which
 * only the first record lacks the flag, and completes that one last; a crash between the two leaves everything but one bit. Such
 * a batch may be completed: it holds what had been accepted, and each record of it proves itself by its checksum.
 * Anything less than that is a torn tail. CLN writes one record at a time the same way, so its leftovers qualify too.
 */
import { readU16, readU32 } from '../base/bytes.ts';
import { crc32c } from '../wire/crc32c.ts';
import { checkStoreMessage } from '../wire/gossip_store_messages.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import {
  FLAG_COMPLETED,
  GOSSIP_STORE_CHANNEL_AMOUNT,
  GOSSIP_STORE_ENDED,
  GOSSIP_STORE_UUID,
  RECORD_HEADER_BYTES,
} from '../wire/store_record.ts';
import { headerFlags, headerLength } from './format.ts';
import { MAX_BATCH_BYTES } from './pending_batches.ts';
import type { StoreFile } from './store_file.ts';

/**
 * @param position header position of the record that is not COMPLETED
 * @param announced the record in front of it is a live announcement that waits for its amount
 */
export const isIntactBatch = (
  file: StoreFile,
  position: number,
  limit: number,
  announced: boolean,
): boolean => {
  const length = limit - position;
  if (length <= 0 || length > MAX_BATCH_BYTES) return false;
  const bytes = new Uint8Array(length);
  if (file.read(bytes, 0, length, position) !== length) return false;
  let wantsAmount = announced;
  for (let at = 0; at < length; ) {
    const message = at + RECORD_HEADER_BYTES;
    if (message + 2 > length) return false;
    const size = headerLength(bytes, at);
    const end = message + size;
    if (at > 0 && (headerFlags(bytes, at) & FLAG_COMPLETED) === 0) return false;
    if (end > length || checkStoreMessage(bytes, message, size) !== undefined) return false;
    if (crc32c(readU32(bytes, at + 8), bytes, message, end) !== readU32(bytes, at + 4)) return false;
    const type = readU16(bytes, message);
    if (type === GOSSIP_STORE_ENDED || type === GOSSIP_STORE_UUID) return false;
    if ((type === GOSSIP_STORE_CHANNEL_AMOUNT) !== wantsAmount) return false;
    wantsAmount = type === MESSAGE_TYPE.channel_announcement;
    at = end;
  }
  return !wantsAmount;
};
