/**
 * Which channels a node has: a circular doubly linked list for each node, threaded through the channel columns.
 *
 * NetworkGraph links a side when it adds a channel and unlinks it when the channel goes; both take constant time, so that
 * taking down a node with very many channels costs no more than the channels do. A list keeps the order of linking, which
 * is file order: announcement offsets ascend along it. The list's tail is its first side's predecessor.
 */
import { type ChannelColumns, NONE, type NodeColumns } from './columns.ts';

/** Appends a side (`channel * 2 + side`) to the node's list. */
export const linkSide = (channels: ChannelColumns, nodes: NodeColumns, node: number, side: number): void => {
  const first = nodes.first[node] as number;
  channels.node[side] = node;
  nodes.degree[node] = (nodes.degree[node] as number) + 1;
  if (first === NONE) {
    nodes.first[node] = side;
    channels.next[side] = side;
    channels.previous[side] = side;
    return;
  }
  const last = channels.previous[first] as number;
  channels.next[last] = side;
  channels.previous[side] = last;
  channels.next[side] = first;
  channels.previous[first] = side;
};

/** Takes a side out of its node's list. Returns the node's remaining number of channels. */
export const unlinkSide = (channels: ChannelColumns, nodes: NodeColumns, side: number): number => {
  const node = channels.node[side] as number;
  const next = channels.next[side] as number;
  const degree = (nodes.degree[node] as number) - 1;
  nodes.degree[node] = degree;
  if (degree === 0) {
    nodes.first[node] = NONE;
    return 0;
  }
  const previous = channels.previous[side] as number;
  channels.next[previous] = next;
  channels.previous[next] = previous;
  if (nodes.first[node] === side) nodes.first[node] = next;
  return degree;
};
