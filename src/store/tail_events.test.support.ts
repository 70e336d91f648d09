/** What tests of the tail share: events as short texts, and a tail on a simulated disk. */
import { readU32 } from '../base/bytes.ts';
import { seededRng } from '../base/rng.ts';
import { scidText } from '../base/short_channel_id.ts';
import { ManualClock } from '../base/time.ts';
import { channelAnnouncementScidHi, channelAnnouncementScidLo } from '../wire/channel_announcement.ts';
import {
  channelUpdateDirection,
  channelUpdateScidHi,
  channelUpdateScidLo,
  channelUpdateTimestamp,
} from '../wire/channel_update.ts';
import { chanDyingDeadline, chanDyingScidHi, chanDyingScidLo } from '../wire/gossip_store_messages.ts';
import { nodeAnnouncementNodeIdAt, nodeAnnouncementTimestamp } from '../wire/node_announcement.ts';
import type { MemoryFolder } from './memory_folder.test.support.ts';
import { openTail } from './tail.ts';
import type { Tail, TailEvent, TailNotice, TailOptions } from './tail_event.ts';

/** The event in the words of SimulatedCln.live: its kind, its subject, what else tells it apart. */
export const textOf = ({ event, record, satoshis, scidHi, scidLo }: TailEvent): string => {
  if (event === 'channel_deleted') return `channel_deleted ${scidText(scidHi, scidLo)}`;
  if (record === undefined) throw new Error(`${event} without its record`);
  const { bytes, at } = record;
  switch (event) {
    case 'channel_announcement':
      return `${event} ${scidText(channelAnnouncementScidHi(bytes, at), channelAnnouncementScidLo(bytes, at))} ${satoshis}`;
    case 'channel_update': {
      const scid = scidText(channelUpdateScidHi(bytes, at), channelUpdateScidLo(bytes, at));
      return `${event} ${scid} ${channelUpdateDirection(bytes, at)} ${channelUpdateTimestamp(bytes, at)}`;
    }
    case 'node_announcement':
      // Sample node ids differ in their last bytes.
      return `${event} ${readU32(bytes, nodeAnnouncementNodeIdAt(bytes, at) + 29)} ${nodeAnnouncementTimestamp(bytes, at)}`;
    case 'channel_dying':
      return `${event} ${scidText(chanDyingScidHi(bytes, at), chanDyingScidLo(bytes, at))} ${chanDyingDeadline(bytes, at)}`;
  }
};

export interface Told {
  readonly text: string;
  readonly cursor: string;
}

/** Everything that there is now. */
export const drain = (tail: Tail): Told[] => {
  const told: Told[] = [];
  for (let event = tail.next(); event !== undefined; event = tail.next())
    told.push({ text: textOf(event), cursor: event.cursor });
  return told;
};

export const texts = (tail: Tail): string[] => drain(tail).map(({ text }) => text);

export interface TailBench {
  readonly clock: ManualClock;
  readonly notices: TailNotice[];
  /** Kinds of the notices since the last call. */
  readonly heard: () => string[];
  readonly open: (options?: Partial<TailOptions>) => Tail;
}

/** Tails from the start of gossip_store unless told otherwise. */
export const tailBench = (folder: MemoryFolder, seed = 1): TailBench => {
  const clock = new ManualClock();
  const notices: TailNotice[] = [];
  const rng = seededRng(seed);
  return {
    clock,
    notices,
    heard: () => notices.splice(0).map(({ kind }) => kind),
    open: (options = {}) =>
      openTail({ folder, clock, rng, from: 'start', onNotice: (notice) => notices.push(notice), ...options }),
  };
};
