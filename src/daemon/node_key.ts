/** The daemon's own BOLT 8 key: 32 random bytes, hex, in `node_key` (mode 0600) of the data folder. It holds no funds. */
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { compareBytes, fromHex, toHex } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import type { Rng } from '../base/rng.ts';

/** Order of secp256k1's group: secrets lie below it. */
const GROUP_ORDER =
  fromHex('fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141') ?? new Uint8Array(32);

const isSecret = (bytes: Uint8Array | undefined): bytes is Uint8Array =>
  bytes?.length === 32 && bytes.some((byte) => byte !== 0) && compareBytes(bytes, 0, GROUP_ORDER, 0, 32) < 0;

/** Reads the key or makes it. Throws OperationalError `bad_node_key` when the file holds no secret key in hex. */
export const loadNodeKey = (dataDir: string, rng: Rng): Uint8Array => {
  const path = join(dataDir, 'node_key');
  if (!existsSync(path)) {
    const secret = rng.bytes(32);
    // Keys from 0xffffffff fffffffffffffffffffffffffffffffe... on are not valid; keeping the first byte below avoids them.
    if (secret[0] === 0xff) secret[0] = 0x7f;
    const file = openSync(`${path}.tmp`, 'w', 0o600);
    try {
      writeFileSync(file, `${toHex(secret)}\n`);
      // Without it a power cut can leave the name with an empty file.
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(`${path}.tmp`, path);
    return secret;
  }
  const secret = fromHex(readFileSync(path, 'utf8').trim());
  if (!isSecret(secret)) {
    throw new OperationalError(
      'bad_node_key',
      'stop',
      `${path} does not hold a secret key of 64 hex characters`,
      `Move it away ("mv ${path} ${path}.bad"): a new identity is made at the next start. No funds depend on it.`,
    );
  }
  chmodSync(path, 0o600);
  return secret;
};
