/** Finds the gossip_store that a tool is to read: the argument (file or folder), else the data folder's, else CLN's. */
import { existsSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { OperationalError } from '../base/errors.ts';
import { nodeStoreFolder, type StoreFile } from '../store/store_file.ts';
import type { StorePlace } from './cli.ts';

export interface StoreArgument {
  readonly path: string;
  readonly file: StoreFile;
}

/** Throws OperationalError `store_missing` that lists where it looked. */
export const findStore = (argument: string | undefined, dataDir: string, network: string): StorePlace => {
  const candidates =
    argument === undefined
      ? [join(dataDir, 'gossip_store'), join(homedir(), '.lightning', network, 'gossip_store')]
      : [argument, join(argument, 'gossip_store')];
  const path = candidates.find((candidate) => existsSync(candidate) && statSync(candidate).isFile());
  if (path === undefined) {
    throw new OperationalError(
      'store_missing',
      'stop',
      `no gossip_store at ${candidates.join(' nor at ')}`,
      'Name the file. CLN keeps it in the network folder of its lightning-dir, e.g. ~/.lightning/bitcoin/gossip_store.',
    );
  }
  const [directory, name] = [dirname(path), basename(path)];
  const folder = nodeStoreFolder(directory);
  return { path, directory, name, folder, open: () => folder.open(name, 'read') };
};

/** Opens for reading. Throws OperationalError. */
export const openStoreArgument = (place: StorePlace): StoreArgument => ({
  path: place.path,
  file: place.open(),
});
