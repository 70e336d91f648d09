/**
 * Renews a channel's records: they are deleted and appended afresh in one turn, as if the channel had been announced again.
 *
 * Departures calls it for a dying channel whose spend a reorganisation has undone, and for one whose amount has become known. Flags
 * are only ever set, and an amount lies right behind its announcement, so neither can be changed in place: CLN's readers, our
 * cursors and a replay all see a removal and then a new announcement with its amount, updates and, where the channel was the
 * only thing in front of them, the node_announcements.
 * All is appended in one turn and so published as one batch (a second one only at its megabyte). A power cut that keeps the removal
 * and loses the rest costs the one channel until peers send it again: nothing of it is remembered as refused.
 */
import type { StoreOffset } from '../wire/store_record.ts';
import type { Desk } from './desk.ts';

const DIRECTIONS = [0, 1] as const;

interface Kept {
  readonly raw: Uint8Array;
  readonly timestamp: number;
}

/** Appends a copy of a node's announcement, which takes the place of the old one. */
export const moveNode = (desk: Desk, node: number): void => {
  const { graph, store } = desk.ports;
  const replaces = graph.nodeOffset(node);
  const raw = store.readMessage(replaces);
  // Unreadable: the record stays where it is; its node announces itself again some day.
  if (raw === undefined) return;
  desk.commit({ kind: 'node_announcement', raw, timestamp: graph.nodeTimestamp(node), replaces });
};

/**
 * Answers with the announcement; its channel may have another index in the graph now. `refused`: the store takes nothing, and nothing
 * has changed. `lost`: the channel is gone, because its announcement could not be read, or the store stopped in the middle.
 */
export const renewChannel = (
  desk: Desk,
  channel: number,
  satoshis: bigint,
): Uint8Array | 'refused' | 'lost' => {
  const { graph, store } = desk.ports;
  const [scidHi, scidLo] = [graph.scidHi(channel), graph.scidLo(channel)];
  const raw = store.readMessage(graph.channelOffset(channel));
  const remove: StoreOffset[] = [graph.channelOffset(channel)];
  if (graph.dyingOffset(channel) !== 0) remove.push(graph.dyingOffset(channel));
  const updates: Kept[] = [];
  const nodes: Kept[] = [];
  for (const side of DIRECTIONS) {
    if (graph.hasUpdate(channel, side)) {
      const offset = graph.updateOffset(channel, side);
      remove.push(offset);
      const update = store.readMessage(offset);
      if (update !== undefined)
        updates.push({ raw: update, timestamp: graph.updateTimestamp(channel, side) });
    }
    const node = graph.channelNode(channel, side);
    if (graph.nodeChannelCount(node) > 1 || !graph.hasNodeAnnouncement(node)) continue;
    // The node leaves with its only channel, and comes back with it.
    const offset = graph.nodeOffset(node);
    remove.push(offset);
    const announcement = store.readMessage(offset);
    if (announcement !== undefined) nodes.push({ raw: announcement, timestamp: graph.nodeTimestamp(node) });
  }
  desk.removals++;
  if (desk.commit({ kind: 'delete_chan', scidHi, scidLo, remove }) === undefined) return 'refused';
  const announcement =
    raw === undefined ? undefined : desk.commit({ kind: 'channel_announcement', raw, satoshis });
  if (raw === undefined || announcement === undefined) return 'lost';
  for (const [index, update] of updates.entries()) {
    desk.commit({
      kind: 'channel_update',
      ...update,
      replaces: undefined,
      announcement: index === 0 ? announcement : undefined,
    });
  }
  for (const node of nodes) desk.commit({ kind: 'node_announcement', ...node, replaces: undefined });
  putNodesBehind(desk, graph.channelIndex(scidHi, scidLo));
  return raw;
};

/** The nodes of a channel that has just been appended: it may be the only one of theirs that is not dying. */
const putNodesBehind = (desk: Desk, channel: number): void => {
  const { graph } = desk.ports;
  for (const side of DIRECTIONS) {
    const node = graph.channelNode(channel, side);
    const earliest = graph.earliestChannelOffset(node);
    if (earliest === undefined || !graph.hasNodeAnnouncement(node)) continue;
    if (graph.nodeOffset(node) < earliest) moveNode(desk, node);
  }
};
