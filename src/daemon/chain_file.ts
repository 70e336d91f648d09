/**
 * chain.json in the data folder: where the block follower stopped, and the channels that are known to be closed.
 *
 * compose reads it before the follower is made, and the daemon writes it now and then and at the stop. Written under a temporary name
 * and renamed, without waiting for the disk: a checksum tells what is whole. Losing it costs a round of lookups over the map
 * (blocks that were mined meanwhile are not looked at one by one) and some lookups of closed channels; so nothing here throws for
 * the disk's sake, and what is damaged, of another network or of another version is ignored.
 * Bounds: MAX_SAVED_POINTS of some 80 bytes, and MAX_CLOSED_SCIDS of 16 characters: 3.2 MB; a larger file is not read.
 */
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '../base/bytes.ts';
import type { Log } from '../base/log.ts';
import { type ChainPoint, MAX_SAVED_POINTS } from '../chain/block_follower.ts';
import { sha256 } from '../crypto/hash.ts';

export const CHAIN_FILE_NAME = 'chain.json';
/** Twice what all limits allow. */
export const MAX_CHAIN_FILE_BYTES = 8 * 1024 * 1024;

export interface ChainMemory {
  /** Ascending, without gaps. */
  readonly points: readonly ChainPoint[];
  /** What ClosedMemory.toBytes gave. */
  readonly closed: Uint8Array;
}

const NOTHING: ChainMemory = { points: [], closed: new Uint8Array(0) };
const VERSION = 1;
const HASH = /^[0-9a-f]{64}$/;

const checksumOf = (network: string, points: unknown, closed: string): string =>
  toHex(sha256(new TextEncoder().encode(JSON.stringify([VERSION, network, points, closed]))), 0, 8);

const isHeight = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 0x1000000;

/** Undefined unless each follows on the one before. */
const pointsOf = (value: unknown): ChainPoint[] | undefined => {
  if (!Array.isArray(value) || value.length > MAX_SAVED_POINTS) return undefined;
  const points: ChainPoint[] = [];
  for (const entry of value as readonly unknown[]) {
    if (!Array.isArray(entry)) return undefined;
    const [height, hash] = entry as readonly unknown[];
    const last = points.at(-1);
    if (!isHeight(height) || typeof hash !== 'string' || !HASH.test(hash)) return undefined;
    if (last !== undefined && last.height + 1 !== height) return undefined;
    points.push({ height, hash });
  }
  return points;
};

const parse = (text: string, network: string): ChainMemory | undefined => {
  const read: unknown = JSON.parse(text);
  if (typeof read !== 'object' || read === null) return undefined;
  const { version, points, closed, checksum, ...rest } = read as Readonly<Record<string, unknown>>;
  if (version !== VERSION || rest['network'] !== network || typeof closed !== 'string') return undefined;
  if (checksum !== checksumOf(network, points, closed)) return undefined;
  const parsed = pointsOf(points);
  return parsed === undefined
    ? undefined
    : { points: parsed, closed: new Uint8Array(Buffer.from(closed, 'base64')) };
};

/** What was saved, or nothing. Never throws. */
export const loadChainMemory = (folder: string, network: string, log: Log): ChainMemory => {
  const path = join(folder, CHAIN_FILE_NAME);
  try {
    if (statSync(path).size > MAX_CHAIN_FILE_BYTES) throw new Error('it is too large');
    const memory = parse(readFileSync(path, 'utf8'), network);
    if (memory !== undefined) return memory;
    log.debug(`${CHAIN_FILE_NAME} is damaged, or of another network: the chain is looked at anew`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return NOTHING;
    log.debug(`${CHAIN_FILE_NAME} cannot be read: the chain is looked at anew`, { reason: String(error) });
  }
  return NOTHING;
};

/** Replaces what was saved. False when the disk did not take it. */
export const saveChainMemory = (folder: string, network: string, memory: ChainMemory, log: Log): boolean => {
  const path = join(folder, CHAIN_FILE_NAME);
  const draft = `${path}.tmp`;
  const points = memory.points.slice(-MAX_SAVED_POINTS).map(({ height, hash }) => [height, hash]);
  const closed = Buffer.from(memory.closed).toString('base64');
  const checksum = checksumOf(network, points, closed);
  try {
    writeFileSync(draft, JSON.stringify({ version: VERSION, network, points, closed, checksum }), {
      mode: 0o600,
    });
    renameSync(draft, path);
    return true;
  } catch (error) {
    log.debug(`${CHAIN_FILE_NAME} could not be written: the next start looks at the chain anew`, {
      reason: String(error),
    });
    rmSync(draft, { force: true });
    return false;
  }
};
