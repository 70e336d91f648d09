/**
 * DNS seeds (BOLT 10), client side: SRV answers carry a node id as a bech32 label `ln1…` in front of the seed's name.
 * A seed is a hint, never relied on (B10-07): several die silently each year, so a built-in list stands beside it.
 */
import { toHex } from '../base/bytes.ts';
import { type NodeId, parseNodeId } from '../base/node_id.ts';
import type { PeerAddress } from './peer_address.ts';

/** Seeds that answered `_nodes._tcp.` SRV queries in September 2026. */
export const DNS_SEEDS: readonly string[] = ['nodes.lightning.directory', 'nodes.lightning.wiki'];

/** Most answers taken from one seed; BOLT 10's default is 25. */
export const MAX_SEED_ANSWERS = 64;

const CHARSET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

const polymod = (values: readonly number[]): number => {
  let checksum = 1;
  for (const value of values) {
    const top = checksum >>> 25;
    checksum = ((checksum & 0x1ffffff) << 5) ^ value;
    for (let bit = 0; bit < 5; bit++) if ((top >>> bit) & 1) checksum ^= GENERATOR[bit] ?? 0;
  }
  return checksum;
};

/** Reads a bech32 node id with the prefix `ln` (B10-08). Undefined on a bad checksum, prefix or length. */
export const nodeIdFromBech32 = (label: string): NodeId | undefined => {
  const text = label.toLowerCase();
  if (!text.startsWith('ln1')) return undefined;
  const values = [...text.slice(3)].map((character) => CHARSET.indexOf(character));
  if (values.includes(-1) || values.length < 6) return undefined;
  const prefix = [3, 3, 0, 12, 14]; // "ln": high bits, zero, low bits
  if (polymod([...prefix, ...values]) !== 1) return undefined;
  const bytes: number[] = [];
  let bits = 0;
  let held = 0;
  for (const value of values.slice(0, -6)) {
    held = ((held << 5) | value) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((held >>> bits) & 0xff);
    }
  }
  return bytes.length === 33 ? parseNodeId(toHex(Uint8Array.from(bytes))) : undefined;
};

export interface SrvAnswer {
  readonly name: string;
  readonly port: number;
}

/** Turns SRV answers into addresses to dial, leaving out what carries no node id. */
export const addressesFromSrv = (answers: readonly SrvAnswer[]): PeerAddress[] =>
  answers.slice(0, MAX_SEED_ANSWERS).flatMap(({ name, port }) => {
    const node_id = nodeIdFromBech32(name.split('.')[0] ?? '');
    return node_id === undefined || port < 1 ? [] : [{ node_id, host: name, port }];
  });
