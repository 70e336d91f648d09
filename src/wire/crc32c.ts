/**
 * CRC-32C (Castagnoli, RFC 3720 appendix B.4): guards each gossip_store record, and tells channel_updates apart in
 * query_channel_range replies (BOLT 7, checksums_tlv).
 *
 * The store hands in the header's timestamp as the seed and the message as the range; channel_update hands in two ranges.
 * Pure and without allocation. Eight bytes are folded per step through eight tables of 256 words, 8 KiB in all, which
 * stay in the first-level cache; they are computed once when the module is loaded.
 */

/** 0x1edc6f41 with its bits reversed. */
const POLYNOMIAL_REFLECTED = 0x82f63b78;

/** Table k holds the effect of a byte that is followed by k zero bytes; table k starts at index k * 256. */
const buildTables = (): Int32Array => {
  const tables = new Int32Array(8 * 256);
  for (let value = 0; value < 256; value++) {
    let remainder = value;
    for (let bit = 0; bit < 8; bit++) {
      remainder = (remainder & 1) === 1 ? (remainder >>> 1) ^ POLYNOMIAL_REFLECTED : remainder >>> 1;
    }
    tables[value] = remainder;
  }
  for (let index = 256; index < tables.length; index++) {
    const shorter = tables[index - 256] as number;
    tables[index] = (shorter >>> 8) ^ (tables[shorter & 0xff] as number);
  }
  return tables;
};

const TABLES = buildTables();
const TABLE_0 = TABLES.subarray(0, 256);
const TABLE_1 = TABLES.subarray(256, 512);
const TABLE_2 = TABLES.subarray(512, 768);
const TABLE_3 = TABLES.subarray(768, 1024);
const TABLE_4 = TABLES.subarray(1024, 1280);
const TABLE_5 = TABLES.subarray(1280, 1536);
const TABLE_6 = TABLES.subarray(1536, 1792);
const TABLE_7 = TABLES.subarray(1792, 2048);

/**
 * The checksum of `bytes[start, end)` continued from `seed`, unsigned.
 *
 * @param seed 0 for a checksum on its own, an earlier result to continue it, or a record's header timestamp (u32)
 */
export const crc32c = (seed: number, bytes: Uint8Array, start: number, end: number): number => {
  let crc = ~seed;
  let index = start;
  for (const lastStep = end - 8; index <= lastStep; index += 8) {
    crc ^=
      (bytes[index] as number) |
      ((bytes[index + 1] as number) << 8) |
      ((bytes[index + 2] as number) << 16) |
      ((bytes[index + 3] as number) << 24);
    crc =
      (TABLE_7[crc & 0xff] as number) ^
      (TABLE_6[(crc >>> 8) & 0xff] as number) ^
      (TABLE_5[(crc >>> 16) & 0xff] as number) ^
      (TABLE_4[crc >>> 24] as number) ^
      (TABLE_3[bytes[index + 4] as number] as number) ^
      (TABLE_2[bytes[index + 5] as number] as number) ^
      (TABLE_1[bytes[index + 6] as number] as number) ^
      (TABLE_0[bytes[index + 7] as number] as number);
  }
  for (; index < end; index++) {
    crc = (TABLE_0[(crc ^ (bytes[index] as number)) & 0xff] as number) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
};
