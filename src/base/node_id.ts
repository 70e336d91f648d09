/**
 * node_id: a node's public key, 33 bytes, SEC 1 compressed (BOLT 7, node_id; BOLT 1, point).
 * At the edges it is lowercase hex of 66 characters; hot paths compare the bytes in place.
 */
import { toHex } from './bytes.ts';

export type NodeId = string & { readonly __brand: 'NodeId' };

export const NODE_ID_BYTES = 33;

/** Hex of the 33 bytes at `at`. Does not check that the point is on the curve. */
export const nodeIdAt = (bytes: Uint8Array, at = 0): NodeId => toHex(bytes, at, at + NODE_ID_BYTES) as NodeId;

/** Undefined unless the text is 66 hex characters that start with 02 or 03. */
export const parseNodeId = (text: string): NodeId | undefined =>
  /^0[23][0-9a-f]{64}$/.test(text.trim().toLowerCase()) ? (text.trim().toLowerCase() as NodeId) : undefined;
