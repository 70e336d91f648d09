/** Where a peer is: its node id and a host and port to dial. Text form `NODE_ID@HOST:PORT`, IPv6 hosts in brackets. */
import { type NodeId, parseNodeId } from '../base/node_id.ts';

export interface PeerAddress {
  readonly node_id: NodeId;
  readonly host: string;
  readonly port: number;
}

/** Undefined if the text is no such address; the port may be left out. */
export const parsePeerAddress = (text: string, defaultPort: number): PeerAddress | undefined => {
  const match = /^([0-9a-fA-F]{66})@(?:\[([0-9a-fA-F:.]+)\]|([^:@\s]+))(?::(\d{1,5}))?$/.exec(text.trim());
  const node_id = parseNodeId(match?.[1] ?? '');
  const host = match?.[2] ?? match?.[3];
  const port = match?.[4] === undefined ? defaultPort : Number(match[4]);
  if (node_id === undefined || host === undefined || port < 1 || port > 65535) return undefined;
  return { node_id, host, port };
};

export const peerAddressText = ({ node_id, host, port }: PeerAddress): string =>
  host.includes(':') ? `${node_id}@[${host}]:${port}` : `${node_id}@${host}:${port}`;
