/**
 * chooseFromBackup: which records of a backup a damaged store has lost.
 *
 * Three passes: over the damaged store (what it keeps), over the backup (what is missing here, or newer there), and over
 * the backup again (whose nodes have a channel now). Taken are announcements of channels that are neither here nor removed
 * here, the newest update of each direction and the newest announcement of each node; never one that is not newer than what
 * is here, and never a channel that was dying or removed when the backup was made. Amounts that the store has lost come from
 * the backup as well. What is taken replaces what is older here, which the plan then leaves out.
 * Memory: under 150 bytes for each channel and 100 for each node of both files.
 */
import type { Rng } from '../base/rng.ts';
import { FLAG_ZOMBIE } from '../store/versions.ts';
import { channelAnnouncementNodeId1At, channelAnnouncementNodeId2At } from '../wire/channel_announcement.ts';
import {
  CHANNEL_UPDATE_MIN_BYTES,
  channelUpdateDirection,
  channelUpdateTimestamp,
} from '../wire/channel_update.ts';
import { channelAmountSatoshis } from '../wire/gossip_store_messages.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { nodeAnnouncementNodeIdAt, nodeAnnouncementTimestamp } from '../wire/node_announcement.ts';
import { OBSOLETE_TYPE, wrappedSatoshis } from '../wire/obsolete_store_messages.ts';
import {
  FLAG_DYING,
  GOSSIP_STORE_CHANNEL_AMOUNT,
  GOSSIP_STORE_DELETE_CHAN,
  type StoreRecord,
} from '../wire/store_record.ts';
import { KeyTable } from './key_table.ts';
import { eachLiveRecord, messageOf, scidAt } from './live_records.ts';
import type { RepairPlan } from './plan.ts';
import { PositionMap, PositionSet } from './positions.ts';
import type { Task } from './task.ts';

export interface BackupChoice {
  readonly plan: RepairPlan;
  /** Header positions in the backup of announcements to take, each with its amount. They go to the start of the new file. */
  readonly announcements: PositionSet;
  /** Of updates and node announcements. They go to its end. */
  readonly others: PositionSet;
  /** What the damaged store is to leave out: the plan's drops, and what is replaced. */
  readonly drops: PositionSet;
  /** Header position in the damaged store -> satoshi: the plan's amounts, true ones where the backup knows them. */
  readonly amounts: PositionMap;
}

// Columns of channels. 0 stands for none.
const STATE = 0;
/** Header position of the announcement here that lacks its amount. */
const LACKS_AMOUNT = 1;
const ANNOUNCED_THERE = 2;
/** One more than the amount. */
const AMOUNT_THERE = 3;
/** One more than the newest timestamp, the position here, the position in the backup; then the same of direction 1. */
const NEWEST_TIME = 4;
const PER_DIRECTION = 3;
const CHANNEL_COLUMNS = NEWEST_TIME + 2 * PER_DIRECTION;

const HERE = 1;
const REMOVED_HERE = 2;

// Columns of nodes.
const HAS_CHANNEL = 0;
const NODE_TIME = 1;
const NODE_HERE = 2;
const NODE_THERE = 3;

class Chooser {
  readonly #main: RepairPlan;
  readonly #backup: RepairPlan;
  readonly #channels: KeyTable;
  readonly #nodes: KeyTable;
  /** The channel of the announcement just seen in the backup, whose amount comes next. */
  #awaitsAmount = -1;

  constructor(main: RepairPlan, backup: RepairPlan, rng: Rng) {
    this.#main = main;
    this.#backup = backup;
    this.#channels = new KeyTable(8, CHANNEL_COLUMNS, rng);
    this.#nodes = new KeyTable(33, 4, rng);
  }

  seeHere(record: StoreRecord, position: number): void {
    const message = messageOf(record);
    const { type, at } = message;
    const { bytes } = record;
    const [channels, nodes] = [this.#channels, this.#nodes];
    switch (type) {
      case MESSAGE_TYPE.channel_announcement: {
        const channel = channels.add(bytes, scidAt(message, bytes));
        channels.set(channel, STATE, HERE);
        const lacks = this.#main.amounts.get(position) !== undefined;
        channels.set(channel, LACKS_AMOUNT, lacks ? position : 0);
        this.#giveChannel(bytes, at);
        return;
      }
      case GOSSIP_STORE_DELETE_CHAN: {
        const channel = channels.add(bytes, scidAt(message, bytes));
        for (let column = 0; column < CHANNEL_COLUMNS; column++) channels.set(channel, column, 0);
        channels.set(channel, STATE, REMOVED_HERE);
        return;
      }
      case MESSAGE_TYPE.channel_update: {
        const channel = channels.add(bytes, scidAt(message, bytes));
        const first = NEWEST_TIME + PER_DIRECTION * channelUpdateDirection(bytes, at);
        channels.set(channel, first, channelUpdateTimestamp(bytes, at) + 1);
        channels.set(channel, first + 1, position);
        return;
      }
      case MESSAGE_TYPE.node_announcement: {
        const node = nodes.add(bytes, nodeAnnouncementNodeIdAt(bytes, at));
        nodes.set(node, NODE_TIME, nodeAnnouncementTimestamp(bytes, at) + 1);
        nodes.set(node, NODE_HERE, position);
        return;
      }
    }
  }

  seeThere(record: StoreRecord, position: number): void {
    if (this.#isExpired(record)) return;
    const message = messageOf(record);
    const { type, at } = message;
    const { bytes } = record;
    const channels = this.#channels;
    const awaits = this.#awaitsAmount;
    this.#awaitsAmount = -1;
    switch (type) {
      case MESSAGE_TYPE.channel_announcement: {
        const channel = channels.add(bytes, scidAt(message, bytes));
        if ((record.flags & FLAG_DYING) === 0) channels.set(channel, ANNOUNCED_THERE, position);
        if (record.type === OBSOLETE_TYPE.wrapped_channel_announcement)
          channels.set(channel, AMOUNT_THERE, Number(wrappedSatoshis(bytes, record.at)) + 1);
        else this.#awaitsAmount = channel;
        return;
      }
      case GOSSIP_STORE_CHANNEL_AMOUNT:
        if (awaits >= 0) channels.set(awaits, AMOUNT_THERE, channelAmountSatoshis(bytes, at) + 1);
        return;
      case GOSSIP_STORE_DELETE_CHAN: {
        const channel = channels.find(bytes, scidAt(message, bytes));
        if (channel < 0) return;
        channels.set(channel, ANNOUNCED_THERE, 0);
        for (const first of [NEWEST_TIME, NEWEST_TIME + PER_DIRECTION]) channels.set(channel, first + 2, 0);
        return;
      }
      case MESSAGE_TYPE.channel_update: {
        // Without htlc_maximum_msat it is of no use to any version that could still be running.
        if (message.length < CHANNEL_UPDATE_MIN_BYTES) return;
        const channel = channels.add(bytes, scidAt(message, bytes));
        const first = NEWEST_TIME + PER_DIRECTION * channelUpdateDirection(bytes, at);
        const time = channelUpdateTimestamp(bytes, at) + 1;
        if (time <= channels.get(channel, first)) return;
        channels.set(channel, first, time);
        channels.set(channel, first + 2, position);
        return;
      }
    }
  }

  /** Second look at the backup: what is taken gives its nodes a channel; node announcements are compared. */
  seeNodesThere(record: StoreRecord, position: number): void {
    const message = messageOf(record);
    const { type, at } = message;
    const { bytes } = record;
    if (type === MESSAGE_TYPE.channel_announcement) {
      const channel = this.#channels.find(bytes, scidAt(message, bytes));
      if (this.#isTaken(channel) && this.#channels.get(channel, ANNOUNCED_THERE) === position)
        this.#giveChannel(bytes, at);
    } else if (type === MESSAGE_TYPE.node_announcement) {
      const node = this.#nodes.add(bytes, nodeAnnouncementNodeIdAt(bytes, at));
      const time = nodeAnnouncementTimestamp(bytes, at) + 1;
      if (time <= this.#nodes.get(node, NODE_TIME)) return;
      this.#nodes.set(node, NODE_TIME, time);
      this.#nodes.set(node, NODE_THERE, position);
    }
  }

  choice(): BackupChoice {
    const [announcements, others, drops] = [new PositionSet(), new PositionSet(), new PositionSet()];
    const amounts = new PositionMap();
    const replace = (there: number, here: number): void => {
      others.add(there);
      if (here !== 0) drops.add(here);
    };
    this.#main.drops.each((position) => drops.add(position));
    this.#main.amounts.each((position, satoshis) => amounts.set(position, satoshis));
    const channels = this.#channels;
    for (let channel = 0; channel < channels.size; channel++) {
      const isTaken = this.#isTaken(channel);
      if (isTaken) announcements.add(channels.get(channel, ANNOUNCED_THERE));
      const [lacks, above] = [channels.get(channel, LACKS_AMOUNT), channels.get(channel, AMOUNT_THERE)];
      if (lacks !== 0 && above !== 0) amounts.set(lacks, above - 1);
      if (!isTaken && channels.get(channel, STATE) !== HERE) continue;
      for (const first of [NEWEST_TIME, NEWEST_TIME + PER_DIRECTION]) {
        const there = channels.get(channel, first + 2);
        if (there !== 0) replace(there, channels.get(channel, first + 1));
      }
    }
    const nodes = this.#nodes;
    for (let node = 0; node < nodes.size; node++) {
      const there = nodes.get(node, NODE_THERE);
      if (there !== 0 && nodes.get(node, HAS_CHANNEL) !== 0) replace(there, nodes.get(node, NODE_HERE));
    }
    for (const sealed of [announcements, others, drops, amounts]) sealed.seal();
    return { plan: this.#backup, announcements, others, drops, amounts };
  }

  #isExpired(record: StoreRecord): boolean {
    const { version } = this.#backup.source.format;
    return (version === 12 || version === 13) && (record.flags & FLAG_ZOMBIE) !== 0;
  }

  #isTaken(channel: number): boolean {
    return (
      channel >= 0 &&
      this.#channels.get(channel, STATE) === 0 &&
      this.#channels.get(channel, ANNOUNCED_THERE) !== 0
    );
  }

  #giveChannel(bytes: Uint8Array, at: number): void {
    for (const node of [channelAnnouncementNodeId1At(bytes, at), channelAnnouncementNodeId2At(bytes, at)])
      this.#nodes.set(this.#nodes.add(bytes, node), HAS_CHANNEL, 1);
  }
}

/** @param backup the plan of the backup: what its own audit would leave out is not taken from it */
export const chooseFromBackup = async (
  main: RepairPlan,
  backup: RepairPlan,
  rng: Rng,
  task: Task,
): Promise<BackupChoice | 'cancelled'> => {
  const chooser = new Chooser(main, backup, rng);
  const passes = [
    [main, 'comparing', chooser.seeHere],
    [backup, 'comparing with the backup', chooser.seeThere],
    [backup, 'comparing with the backup', chooser.seeNodesThere],
  ] as const;
  for (const [plan, label, see] of passes) {
    const whole = await eachLiveRecord(plan.source, plan.drops, task, label, (record, position) =>
      see.call(chooser, record, position),
    );
    if (!whole) return 'cancelled';
  }
  return chooser.choice();
};
