/** When queries lead nowhere: one peer after the other is asked, by its filter, to send everything that it has. */
import { FILTER_NOTHING } from './relay_stream.ts';
import { type SyncContext, sendFilter } from './seeker_options.ts';
import { FRUITLESS_MS, SILENCE_MS, type SyncPeer } from './sync_peer.ts';

const knownMessages = ({ options }: SyncContext): number =>
  options.graph.channelCount + options.graph.nodeAnnouncementCount;

export const startDump = (context: SyncContext, peer: SyncPeer): void => {
  peer.heardMs = peer.dumpCheckedMs = context.now();
  peer.dumpKnown = knownMessages(context);
  context.options.meter.count('gossipd_full_dumps_total');
  context.setPeerState(peer, 'full_dump', 'queries bring nothing');
  sendFilter(context, peer, 0, 0xffffffff);
};

/** A dump is over when the peer falls quiet, or when what it sends is not new any more. */
export const checkDump = (context: SyncContext, peer: SyncPeer): void => {
  const now = context.now();
  let over = now - peer.heardMs >= SILENCE_MS;
  if (!over && now - peer.dumpCheckedMs >= FRUITLESS_MS) {
    const known = knownMessages(context);
    over = known <= peer.dumpKnown && !context.isBusy();
    peer.dumpCheckedMs = now;
    peer.dumpKnown = known;
  }
  if (!over) return;
  context.setPeerState(peer, 'dumped', 'nothing new any more');
  if (!peer.streaming) sendFilter(context, peer, FILTER_NOTHING, 0);
};
