/** `gossipd dump`: every record of a gossip_store, one line each, for people or as JSON lines. Reads only, in bounded memory. */
import { toHex } from '../base/bytes.ts';
import { nodeIdAt } from '../base/node_id.ts';
import { scidText } from '../base/short_channel_id.ts';
import { FIRST_RECORD_POSITION, requireVersion } from '../store/format.ts';
import { readVersion, SCAN_BUFFER_BYTES } from '../store/scan.ts';
import { RecordWalker, type WalkEnd } from '../store/walker.ts';
import {
  channelAnnouncementNodeId1At,
  channelAnnouncementNodeId2At,
  channelAnnouncementScidHi,
  channelAnnouncementScidLo,
} from '../wire/channel_announcement.ts';
import {
  channelUpdateCltvExpiryDelta,
  channelUpdateDirection,
  channelUpdateFeeBaseMsat,
  channelUpdateFeeProportionalMillionths,
  channelUpdateHtlcMaximumMsat,
  channelUpdateHtlcMinimumMsat,
  channelUpdateIsDisabled,
  channelUpdateScidHi,
  channelUpdateScidLo,
} from '../wire/channel_update.ts';
import {
  chanDyingDeadline,
  chanDyingScidHi,
  chanDyingScidLo,
  channelAmountSatoshis,
  deleteChanScidHi,
  deleteChanScidLo,
  storeUuidAt,
} from '../wire/gossip_store_messages.ts';
import { messageTypeName } from '../wire/message_types.ts';
import { nodeAnnouncementAlias, nodeAnnouncementNodeIdAt } from '../wire/node_announcement.ts';
import {
  FLAG_COMPLETED,
  FLAG_DELETED,
  FLAG_DYING,
  GOSSIP_STORE_CHAN_DYING,
  GOSSIP_STORE_CHANNEL_AMOUNT,
  GOSSIP_STORE_DELETE_CHAN,
  GOSSIP_STORE_ENDED,
  GOSSIP_STORE_UUID,
  type StoreRecord,
} from '../wire/store_record.ts';
import { Output } from './output.ts';
import type { StoreArgument } from './store_argument.ts';

export interface DumpOptions {
  readonly json: boolean;
  /** Adds the message as hex. */
  readonly raw: boolean;
  /** Shows records that are flagged DELETED as well. */
  readonly deleted: boolean;
}

type Fields = Readonly<Record<string, string | number | boolean>>;

const STORE_TYPE_NAMES: Readonly<Record<number, string>> = {
  [GOSSIP_STORE_CHANNEL_AMOUNT]: 'gossip_store_channel_amount',
  [GOSSIP_STORE_DELETE_CHAN]: 'gossip_store_delete_chan',
  [GOSSIP_STORE_ENDED]: 'gossip_store_ended',
  [GOSSIP_STORE_CHAN_DYING]: 'gossip_store_chan_dying',
  [GOSSIP_STORE_UUID]: 'gossip_store_uuid',
};

const contentOf = ({ bytes, at, type }: StoreRecord): Fields => {
  switch (type) {
    case 256:
      return {
        short_channel_id: scidText(
          channelAnnouncementScidHi(bytes, at),
          channelAnnouncementScidLo(bytes, at),
        ),
        node_id_1: nodeIdAt(bytes, channelAnnouncementNodeId1At(bytes, at)),
        node_id_2: nodeIdAt(bytes, channelAnnouncementNodeId2At(bytes, at)),
      };
    case 257:
      return {
        node_id: nodeIdAt(bytes, nodeAnnouncementNodeIdAt(bytes, at)),
        alias: nodeAnnouncementAlias(bytes, at),
      };
    case 258:
      return {
        short_channel_id: scidText(channelUpdateScidHi(bytes, at), channelUpdateScidLo(bytes, at)),
        direction: channelUpdateDirection(bytes, at),
        disabled: channelUpdateIsDisabled(bytes, at),
        cltv_expiry_delta: channelUpdateCltvExpiryDelta(bytes, at),
        htlc_minimum_msat: channelUpdateHtlcMinimumMsat(bytes, at),
        htlc_maximum_msat: channelUpdateHtlcMaximumMsat(bytes, at),
        fee_base_msat: channelUpdateFeeBaseMsat(bytes, at),
        fee_proportional_millionths: channelUpdateFeeProportionalMillionths(bytes, at),
      };
    case GOSSIP_STORE_CHANNEL_AMOUNT:
      return { satoshis: channelAmountSatoshis(bytes, at) };
    case GOSSIP_STORE_DELETE_CHAN:
      return { short_channel_id: scidText(deleteChanScidHi(bytes, at), deleteChanScidLo(bytes, at)) };
    case GOSSIP_STORE_CHAN_DYING:
      return {
        short_channel_id: scidText(chanDyingScidHi(bytes, at), chanDyingScidLo(bytes, at)),
        deadline: chanDyingDeadline(bytes, at),
      };
    case GOSSIP_STORE_UUID:
      return { uuid: toHex(bytes, storeUuidAt(bytes, at), storeUuidAt(bytes, at) + 32) };
    default:
      return {};
  }
};

const flagNames = (flags: number): string[] => [
  ...(flags & FLAG_DELETED ? ['DELETED'] : []),
  ...(flags & FLAG_COMPLETED ? [] : ['INCOMPLETE']),
  ...(flags & FLAG_DYING ? ['DYING'] : []),
];

const describe = (record: StoreRecord, fault: string | undefined, options: DumpOptions): string => {
  const { bytes, at, length, type, flags, timestamp, offset } = record;
  const name = STORE_TYPE_NAMES[type] ?? messageTypeName(type);
  // A deleted record whose checksum no longer holds comes with type 0: only its frame can be trusted.
  const content = fault !== undefined ? { malformed: fault } : type === 0 ? {} : contentOf(record);
  const hex = options.raw ? { raw: toHex(bytes, at, at + length) } : {};
  if (options.json) {
    return JSON.stringify({
      offset,
      length,
      type,
      name,
      flags: flagNames(flags),
      timestamp,
      ...content,
      ...hex,
    });
  }
  const fields = Object.entries({ ...content, ...hex }).map(([key, value]) => `${key}=${value}`);
  return [`@${offset}`, `t=${timestamp}`, name, ...flagNames(flags), ...fields].join(' ');
};

/**
 * Prints the records and returns exit bits: 0 the whole file was read, 4 it ends in something that is no whole record.
 * Throws OperationalError `store_version_unsupported` for versions that cannot be read.
 */
export const dump = async ({ path, file }: StoreArgument, options: DumpOptions): Promise<number> => {
  const output = new Output();
  try {
    requireVersion(readVersion(file) ?? 0, path);
    const walker = new RecordWalker(
      file,
      FIRST_RECORD_POSITION,
      new Uint8Array(SCAN_BUFFER_BYTES),
      options.deleted,
    );
    const limit = file.size();
    let end: WalkEnd | undefined;
    while (end === undefined && !output.closed) {
      const step = walker.step(limit);
      if (step === 'live' || step === 'malformed' || step === 'deleted') {
        if (step === 'deleted' && !options.deleted) continue;
        const fault = step === 'malformed' ? walker.fault : undefined;
        if (output.line(describe(walker.record, fault, options))) await output.drain();
      } else end = step;
    }
    await output.drain();
    if (end === undefined || end === 'end_of_file') return 0;
    process.stderr.write(
      `gossipd: ${path}: stopped at byte ${walker.position} of ${limit}: ${end}. No funds are in this file. ` +
        'Next: start "gossipd run" on this folder; it keeps every record in front of that place.\n',
    );
    return 4;
  } finally {
    file.close();
  }
};
