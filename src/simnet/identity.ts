/** Secret keys of a simulated network, derived from its seed. They guard nothing: anyone who knows the seed has them. */

import { writeU32 } from '../base/bytes.ts';
import { sha256 } from '../crypto/hash.ts';

type Role = 'node' | 'funding_a' | 'funding_b';
const ROLE_BYTE: Readonly<Record<Role, number>> = { node: 1, funding_a: 2, funding_b: 3 };

/** 32 bytes; `index` is a node or a channel number. */
export const simnetSecret = (seed: number, role: Role, index: number): Uint8Array => {
  const label = new Uint8Array(16);
  label.set([0x73, 0x69, 0x6d, 0x6e, 0x65, 0x74, 0x31, ROLE_BYTE[role]]);
  writeU32(label, 8, seed >>> 0);
  writeU32(label, 12, index);
  const secret = sha256(label);
  // Below the group order for certain.
  if (secret[0] === 0xff) secret[0] = 0x7f;
  return secret;
};
